"""What the files of a city mean to each other, and the report of everything that is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from streams.cityparts import Parts
from streams.cityyaml import Document, Findings, Mistake


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two rules that hold for one category at one place on one day."""

    category: str
    place: str | None
    rules: tuple[str, str]


@dataclass(frozen=True, slots=True)
class CityReport:
    """How a city's files stand."""

    units: int
    categories: int
    rules: int
    conflicts: tuple[Conflict, ...]
    unowned: tuple[str, ...]
    """Categories for which no rule is in force everywhere."""
    errors: tuple[Mistake, ...]
    warnings: tuple[Mistake, ...]

    @property
    def loads(self) -> bool:
        """Tell whether the city can be loaded."""
        return not self.errors

    @classmethod
    def of(
        cls,
        findings: Findings,
        parts: Parts | None = None,
        conflicts: tuple[Conflict, ...] = (),
        unowned: tuple[str, ...] = (),
    ) -> CityReport:
        """Sum up."""
        return cls(
            units=len(parts.units) if parts else 0,
            categories=len(parts.categories) if parts else 0,
            rules=len(parts.rules) if parts else 0,
            conflicts=conflicts,
            unowned=unowned,
            errors=tuple(sorted(set(findings.errors))),
            warnings=tuple(sorted(set(findings.warnings))),
        )


def check(parts: Parts, documents: Mapping[str, Document | None], findings: Findings, today: date) -> CityReport:
    """Hold the files against each other."""
    _ = documents, today
    return CityReport.of(findings, parts)
