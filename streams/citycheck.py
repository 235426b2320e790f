"""What the files of a city mean to each other, and the report of everything that is wrong."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from routers.city import OPERATOR, VIRTUAL
from routers.texts import TEXTS, allowed_fields, fields_of
from streams.cityowners import Conflict, check_owners
from streams.cityparts import Parts
from streams.cityplaces import check_places
from streams.cityyaml import Document, Findings, Loc, Mistake

_DEFINED = (
    ("unit", "units", ("units/*/code",)),
    ("unit number", "units", ("units/*/num",)),
    ("first-level category", "taxonomy", ("categories/*/code",)),
    ("category", "taxonomy", ("categories/*/children/*/code",)),
    ("matter out of scope", "taxonomy", ("out_of_scope/*/code",)),
    ("kind of demand", "taxonomy", ("demand_types/*/code",)),
    ("rule", "catalogue", ("rules/*/id",)),
    ("street", "places", ("streets/*/code",)),
    (
        "place",
        "places",
        ("streets/*/code", "streets/*/communities/*/code", "streets/*/communities/*/grids/*/code"),
    ),
    ("entry", "knowledge", ("entries/*/id",)),
)
"""What has a code, and where the codes stand; each stands once."""

_NAMED = (
    ("units", "units/*/choices/*", "unit"),
    ("taxonomy", "categories/*/children/*/lead", "unit"),
    ("taxonomy", "categories/*/children/*/co/*", "unit"),
    ("taxonomy", "categories/*/children/*/tier", "tier"),
    ("catalogue", "rules/*/category", "category"),
    ("catalogue", "rules/*/place", "street"),
    ("catalogue", "rules/*/unit", "unit"),
    ("catalogue", "rules/*/co/*", "unit"),
    ("places", "streets/*/code", "unit"),
    ("knowledge", "entries/*/owner", "unit"),
    ("knowledge", "entries/*/category", "category"),
    ("policies", "desk", "unit"),
    ("policies", "rulings", "unit"),
    ("policies", "supervisor", "unit"),
    ("policies", "fallback_units/*", "unit"),
    ("policies", "default_tier", "tier"),
)
"""Where a code names something that must exist."""

_HANDLING = (
    ("units", "units/*/choices/*", False),
    ("taxonomy", "categories/*/children/*/lead", True),
    ("catalogue", "rules/*/unit", True),
    ("policies", "fallback_units/*", False),
)
"""Where a unit must be able to handle a case, and whether a virtual one may stand for it."""

_RELIED_ON = {
    "contact_exemptions": ("no_contact",),
    "close_exemptions": ("no_contact", "redo_used_up", "unreachable"),
}
"""Codes that the course of a case gives by itself."""

_WITHOUT = {
    "reveal_purposes": "nobody, not even the unit that handles a case, can see how to reach its citizen",
    "erase_purposes": "nobody can erase what a citizen asks to be erased",
}
"""Lists of purposes a city can do without, and what it then cannot do."""


@dataclass(frozen=True, slots=True)
class CityReport:
    """How a city's files stand."""

    units: int
    categories: int
    rules: int
    conflicts: tuple[Conflict, ...]
    unowned: tuple[str, ...]
    """Categories for which no rule is in force at some place."""
    errors: tuple[Mistake, ...]
    warnings: tuple[Mistake, ...]

    @property
    def loads(self) -> bool:
        """Tell whether the city can be loaded."""
        return not self.errors

    def as_json(self) -> dict[str, Any]:
        """Return the report as plain values: numbers, texts, lists and mappings."""
        plain = asdict(self)
        for conflict in plain["conflicts"]:
            conflict["since"] = conflict["since"].isoformat()
            conflict["until"] = conflict["until"].isoformat() if conflict["until"] else None
        return plain

    @classmethod
    def of(
        cls,
        findings: Findings,
        parts: Parts | None = None,
        conflicts: tuple[Conflict, ...] = (),
        unowned: tuple[str, ...] = (),
    ) -> CityReport:
        """Sum up, each mistake once, in the order of files and lines."""
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
    """Hold the files against each other.

    Args:
        parts: the well-shaped items.
        documents: the files; None for one that could not be read. What needs it is not checked.
        findings: with the mistakes so far; gets more.
        today: the day by which rules and entries are in force.
    """
    files = {name: document for name, document in documents.items() if document is not None}
    known = _codes(files, findings)
    _references(files, known, findings)
    _handling(files, parts, findings)
    _units(files, parts, findings)
    _taxonomy(files, parts, findings)
    _knowledge(files, parts, findings, today)
    _policies(files, parts, findings)
    _texts(files, parts, findings)
    if places := files.get("places"):
        check_places(places, parts, findings)
    conflicts, unowned = check_owners(files, parts, known.get("street", set()), findings, today)
    return CityReport.of(findings, parts, conflicts, unowned)


def _codes(files: Mapping[str, Document], findings: Findings) -> dict[str, set[str]]:
    """Return all codes by what they stand for, and note those that stand twice."""
    known: dict[str, set[str]] = {}
    for what, name, paths in _DEFINED:
        if (document := files.get(name)) is None:
            continue
        seen: dict[str, int] = {}
        for loc, code in (found for path in paths for found in document.find(path)):
            if not isinstance(code, str):
                continue
            if code in seen:
                findings.error(document, loc, f"the {what} {code} stands twice; first on line {seen[code]}")
            seen.setdefault(code, document.line(loc))
        known[what] = set(seen)
    if (taxonomy := files.get("taxonomy")) is not None:
        known["tier"] = {str(loc[-1]) for loc, _ in taxonomy.find("sla_tiers/*")}
    return known


def _references(files: Mapping[str, Document], known: Mapping[str, Collection[str]], findings: Findings) -> None:
    for document, loc, code, what in _named(files):
        if what in known and code not in known[what]:
            near = difflib.get_close_matches(code, sorted(known[what]), n=1)
            findings.error(document, loc, f"there is no {what} {code}" + (f"; is it {near[0]}?" if near else ""))


def _named(files: Mapping[str, Document]) -> Iterator[tuple[Document, Loc, str, str]]:
    for name, path, what in _NAMED:
        if (document := files.get(name)) is not None:
            for loc, code in document.find(path):
                if isinstance(code, str):
                    yield document, loc, code, what


def _handling(files: Mapping[str, Document], parts: Parts, findings: Findings) -> None:
    units = {item.value.code: item.value for item in parts.units}
    for name, path, virtual in _HANDLING:
        if (document := files.get(name)) is None:
            continue
        for loc, code in document.find(path):
            unit = units.get(code) if isinstance(code, str) else None
            if unit is not None and not unit.dispatchable:
                findings.error(document, loc, f"{code} ({unit.short}) cannot be the handling unit")
            elif unit is not None and unit.kind == VIRTUAL and not virtual:
                findings.error(document, loc, f"{code} ({unit.short}) only stands for other units")
    for name, path, lead in (("taxonomy", "categories/*/children/*", "lead"), ("catalogue", "rules/*", "unit")):
        for loc, raw in files[name].find(path) if name in files else ():
            if isinstance(raw, dict) and isinstance(raw.get("co"), list) and raw.get(lead) in raw["co"]:
                findings.error(files[name], (*loc, "co"), f"{raw[lead]} leads and helps at once")


def _units(files: Mapping[str, Document], parts: Parts, findings: Findings) -> None:
    document = files.get("units")
    if document is None:
        return
    for item in parts.units:
        unit = item.value
        if (unit.kind == VIRTUAL) != (unit.resolve is not None):
            findings.error(document, item.loc, f"{unit.code}: a virtual unit, and only it, has `resolve`")
        if (unit.resolve == OPERATOR) != bool(unit.choices):
            findings.error(document, item.loc, f"{unit.code}: a unit resolved by operator, and only it, has `choices`")
    if (places := files.get("places")) is not None:
        drawn = {code for _, code in places.find("streets/*/code")}
        for item in parts.units:
            if item.value.kind in ("street", "town") and item.value.code not in drawn:
                findings.warn(
                    document, item.loc, f"{item.value.code} ({item.value.short}) has no outline in places.yaml"
                )


def _taxonomy(files: Mapping[str, Document], parts: Parts, findings: Findings) -> None:
    document = files.get("taxonomy")
    if document is None:
        return
    for code, item in parts.tiers.items():
        tier = item.value
        for key, limit in (("accept", tier.accept), ("first_contact", tier.first_contact)):
            if limit > tier.close:
                findings.error(document, (*item.loc, key), f"tier {code}: `{key}` comes after `close`")
        if tier.warn_yellow > tier.warn_red:
            findings.error(document, (*item.loc, "warn_red"), f"tier {code}: the red warning comes before the yellow")


def _knowledge(files: Mapping[str, Document], parts: Parts, findings: Findings, today: date) -> None:
    document = files.get("knowledge")
    if document is None:
        return
    for item in parts.entries:
        entry = item.value
        if entry.expires < entry.effective:
            findings.error(document, (*item.loc, "expires"), f"entry {entry.id} ends before it begins")
        elif entry.approved and entry.expires < today:
            text = f"entry {entry.id} expired on {entry.expires}; ask {entry.owner} to renew it"
            findings.warn(document, (*item.loc, "expires"), text)


def _policies(files: Mapping[str, Document], parts: Parts, findings: Findings) -> None:
    document = files.get("policies")
    if document is None:
        return
    virtual = {item.value.code for item in parts.units if item.value.kind == VIRTUAL}
    for key in ("desk", "rulings", "supervisor"):
        if (code := document.content.get(key)) in virtual:
            findings.error(document, (key,), f"{code} only stands for other units")
    for key, codes in _RELIED_ON.items():
        given = document.content.get(key)
        for code in codes:
            if isinstance(given, dict) and code not in given:
                findings.error(document, (key,), f"`{key}` needs the code {code}: cases are closed or answered by it")
    _promises(document, parts, findings)
    _purposes(document, findings)
    taxonomy = files.get("taxonomy")
    taken = {code for _, code in taxonomy.find("out_of_scope/*/code")} if taxonomy else set()
    for loc, _ in document.find("decline_codes/*"):
        if loc[-1] in taken:
            findings.error(document, loc, f"the code {loc[-1]} belongs to out_of_scope in taxonomy.yaml already")


def _promises(document: Document, parts: Parts, findings: Findings) -> None:
    known = {item.value.code for _parent, item in parts.categories}
    for loc, _ in document.find("promises/*"):
        if known and loc[-1] not in known:
            findings.error(document, loc, f"there is no category {loc[-1]}")


def _purposes(document: Document, findings: Findings) -> None:
    for key, what in _WITHOUT.items():
        if not document.content.get(key):
            findings.warn(document, (key,), f"`{key}` has no code: {what}")


def _texts(files: Mapping[str, Document], parts: Parts, findings: Findings) -> None:
    document = files.get("texts")
    if document is None:
        return
    given = document.content.get("texts")
    declined = [f"declined.{item.value.code}" for item in parts.out_of_scope]
    for key in [*TEXTS, *declined]:
        if isinstance(given, dict) and key not in given:
            findings.error(document, ("texts",), f"the text {key} is missing")
    for key, template in parts.texts.items():
        loc, allowed = ("texts", key), allowed_fields(key)
        try:
            used = fields_of(template)
        except ValueError as error:
            findings.error(document, loc, f"the text {key} cannot be filled in: {error}")
            continue
        if allowed is None:
            findings.warn(document, loc, f"nothing asks for the text {key}")
        elif unknown := sorted(used - allowed):
            known = ", ".join(f"{{{name}}}" for name in sorted(allowed)) or "none"
            told = ", ".join(f"{{{name}}}" for name in unknown)
            findings.error(document, loc, f"the text {key} has no field {told}; its fields: {known}")
