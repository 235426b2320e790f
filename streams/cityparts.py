"""The files of a city, each item by itself held against its shape, so that one mistake hides no other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from streams.cityshapes import (
    CategoryShape,
    CityShape,
    DistrictShape,
    EntryShape,
    KindShape,
    OutOfScopeShape,
    PoliciesShape,
    RuleShape,
    StreetShape,
    TierShape,
    UnitShape,
)
from streams.cityyaml import Document, Findings, Loc

FILES = ("city", "units", "taxonomy", "catalogue", "places", "knowledge", "policies", "texts")
"""Names of the files of a city, each with the ending `.yaml`."""

FORMAT = 1
"""The version of the files' format that this program reads."""

S = TypeVar("S", bound=BaseModel)

_KEYS: dict[str, dict[str, type]] = {
    "units": {"units": list},
    "taxonomy": {"sla_tiers": dict, "demand_types": list, "out_of_scope": list, "categories": list},
    "catalogue": {"rules": list},
    "places": {"district": dict, "streets": list},
    "knowledge": {"entries": list},
    "texts": {"texts": dict},
}
"""What stands at the top of the files that hold lists, beside `version`."""

_WORDS: dict[type, str] = {list: "a list", dict: "a mapping of keys"}


@dataclass(frozen=True, slots=True)
class Item(Generic[S]):
    """A well-shaped item and where it stands."""

    loc: Loc
    value: S


@dataclass(slots=True)
class Parts:
    """All well-shaped items of a city."""

    city: CityShape | None = None
    policies: PoliciesShape | None = None
    district: DistrictShape | None = None
    units: list[Item[UnitShape]] = field(default_factory=list)
    tiers: dict[str, Item[TierShape]] = field(default_factory=dict)
    kinds: list[Item[KindShape]] = field(default_factory=list)
    out_of_scope: list[Item[OutOfScopeShape]] = field(default_factory=list)
    parents: dict[str, str] = field(default_factory=dict)
    categories: list[tuple[str, Item[CategoryShape]]] = field(default_factory=list)
    """With the code of the first-level category."""
    rules: list[Item[RuleShape]] = field(default_factory=list)
    streets: list[Item[StreetShape]] = field(default_factory=list)
    entries: list[Item[EntryShape]] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)


def split(documents: Mapping[str, Document | None], findings: Findings) -> Parts:
    """Hold all files against their shapes.

    Args:
        documents: by the names of `FILES`; None for a file that could not be read.
        findings: gets the mistakes.
    """
    parts = Parts()
    for name, document in documents.items():
        if document is None:
            continue
        _version(document, findings)
        if name in _KEYS:
            _top(document, _KEYS[name], findings)
    files = {name: document for name, document in documents.items() if document is not None}
    if city := files.get("city"):
        parts.city = _shaped(city, (), city.content, CityShape, findings)
    if policies := files.get("policies"):
        parts.policies = _shaped(policies, (), policies.content, PoliciesShape, findings)
    parts.units = _items(files.get("units"), "units/*", UnitShape, findings)
    parts.rules = _items(files.get("catalogue"), "rules/*", RuleShape, findings)
    parts.streets = _items(files.get("places"), "streets/*", StreetShape, findings)
    parts.entries = _items(files.get("knowledge"), "entries/*", EntryShape, findings)
    for item in _items(files.get("places"), "district", DistrictShape, findings):
        parts.district = item.value
    if taxonomy := files.get("taxonomy"):
        _taxonomy(taxonomy, parts, findings)
    if texts := files.get("texts"):
        _texts(texts, parts, findings)
    return parts


def _texts(document: Document, parts: Parts, findings: Findings) -> None:
    for loc, text in document.find("texts/*"):
        if isinstance(text, str) and text.strip():
            parts.texts[str(loc[-1])] = text
        else:
            findings.error(document, loc, f"`{loc[-1]}` must be a text")


def _taxonomy(document: Document, parts: Parts, findings: Findings) -> None:
    for item in _items(document, "sla_tiers/*", TierShape, findings):
        parts.tiers[str(item.loc[-1])] = item
    parts.kinds = list(_items(document, "demand_types/*", KindShape, findings))
    parts.out_of_scope = list(_items(document, "out_of_scope/*", OutOfScopeShape, findings))
    for loc, parent in document.find("categories/*"):
        if not isinstance(parent, dict):
            findings.error(document, loc, "must be a mapping of keys")
            continue
        for key, kind in (("code", str), ("zh", str), ("children", list)):
            if not isinstance(parent.get(key), kind):
                word = "a list" if kind is list else "text (put numbers in quotes)"
                findings.error(document, (*loc, key), f"`{key}` is missing or not {word}")
        for key in sorted(set(parent) - {"code", "zh", "en", "children"}):
            findings.error(document, (*loc, key), f"`{key}` is no key of this file")
        code = str(parent.get("code"))
        parts.parents[code] = str(parent.get("zh"))
        for place, child in Document(document.name, parent, None).find("children/*"):
            shaped = _shaped(document, (*loc, *place), child, CategoryShape, findings)
            if shaped is not None:
                parts.categories.append((code, Item((*loc, *place), shaped)))


def _version(document: Document, findings: Findings) -> None:
    version = document.content.get("version")
    if version != FORMAT or isinstance(version, bool):
        told = "`version` is missing" if version is None else f"`version` {version} of the format is not known"
        findings.error(document, ("version",), f"{told}; this program reads version {FORMAT}")


def _top(document: Document, keys: Mapping[str, type], findings: Findings) -> None:
    for key, kind in keys.items():
        if key not in document.content:
            findings.error(document, (), f"`{key}` is missing")
        elif not isinstance(document.content[key], kind):
            findings.error(document, (key,), f"`{key}` must be {_WORDS[kind]}")
    for key in document.content:
        if key not in keys and key != "version":
            findings.error(document, (key,), f"`{key}` is no key of this file")


def _items(document: Document | None, path: str, shape: type[S], findings: Findings) -> list[Item[S]]:
    found = []
    for loc, raw in document.find(path) if document is not None else ():
        shaped = _shaped(document, loc, raw, shape, findings) if document else None
        if shaped is not None:
            found.append(Item(loc, shaped))
    return found


def _shaped(document: Document, loc: Loc, raw: Any, shape: type[S], findings: Findings) -> S | None:
    try:
        return shape.model_validate(raw)
    except ValidationError as errors:
        for error in errors.errors(include_url=False):
            inner = tuple(step for step in error["loc"] if step != "[key]")
            findings.error(document, (*loc, *inner), _told(inner, error["type"], error["msg"], error.get("ctx") or {}))
        return None


_COMPLAINTS = {
    "missing": "{name} is missing",
    "extra_forbidden": "{name} is no key of this file",
    "string_type": "{name} must be text (put numbers in quotes)",
    "model_type": "{name} must be a mapping of keys",
    "dict_type": "{name} must be a mapping of keys",
    "tuple_type": "{name} must be a list",
    "literal_error": "{name} must be {expected}",
    "enum": "{name} must be {expected}",
    "string_too_short": "{name} must not be empty",
    "string_pattern_mismatch": "{name} is not written as {pattern}",
    "too_short": "{name} needs at least {min_length}",
}
"""Pydantic's complaints in the words of the file."""


def _told(loc: Loc, kind: str, message: str, context: Mapping[str, Any]) -> str:
    names = [step for step in loc if isinstance(step, str)]
    name = f"`{names[-1]}`" if names else "this"
    if kind in _COMPLAINTS:
        return _COMPLAINTS[kind].format(name=name, **context)
    plain = message.removeprefix("Value error, ")
    return f"{name}: {plain[:1].lower()}{plain[1:]}"
