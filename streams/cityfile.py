"""A city's folder: eight YAML files, read into one frozen `City`, or a list of all that is wrong with them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from routers.city import City
from streams import clock
from streams.citybuild import build
from streams.citycheck import CityReport, check
from streams.cityparts import FILES, Parts, split
from streams.cityyaml import Document, Findings, Mistake, read


class CityError(Exception):
    """A city that cannot be loaded."""

    def __init__(self, folder: Path, mistakes: tuple[Mistake, ...]) -> None:
        """Keep the mistakes.

        Args:
            folder: of the city.
            mistakes: all of them, in the order of files and lines.
        """
        count = len(mistakes)
        head = f"the city in {folder} has {count} mistake{'s' if count != 1 else ''}; correct the lines named here:"
        super().__init__("\n".join([head, *(f"  {mistake}" for mistake in mistakes)]))
        self.mistakes = mistakes


def load_city(folder: Path, today: date | None = None) -> City:
    """Load a city.

    Args:
        folder: with the eight files of `FILES`.
        today: the day by which rules are in force; none: the clock's.

    Raises:
        CityError: with every mistake, by file and line.
    """
    report, parts, version = _examine(folder, today)
    if parts is None or not report.loads:
        raise CityError(folder, report.errors)
    return build(parts, version)


def check_city(folder: Path, today: date | None = None) -> CityReport:
    """Tell everything that is wrong or doubtful with a city's files; see `load_city`."""
    return _examine(folder, today)[0]


def _examine(folder: Path, today: date | None) -> tuple[CityReport, Parts | None, str]:
    findings = Findings()
    if not folder.is_dir():
        findings.errors.append(
            Mistake(str(folder), 1, "there is no such folder; name the folder with the city's files")
        )
        return CityReport.of(findings), None, ""
    documents: dict[str, Document | None] = {}
    contents: dict[str, bytes] = {}
    for name in FILES:
        documents[name], contents[f"{name}.yaml"] = read(folder, f"{name}.yaml", findings)
    parts = split(documents, findings)
    day = today or clock.now().astimezone(clock.PEOPLE).date()
    return check(parts, documents, findings, day), parts, version_of(contents)


def version_of(contents: Mapping[str, bytes]) -> str:
    """Return the version of a city: the first 12 hex digits of a SHA-256 over its files, by name."""
    digest = hashlib.sha256()
    for name in sorted(contents):
        digest.update(f"{name}\0{len(contents[name])}\0".encode())
        digest.update(contents[name])
    return digest.hexdigest()[:12]
