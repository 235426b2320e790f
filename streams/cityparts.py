"""The files of a city, each item by itself held against its shape, so that one mistake hides no other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
    if city := documents.get("city"):
        parts.city = _shaped(city, (), city.content, CityShape, findings)
    if policies := documents.get("policies"):
        parts.policies = _shaped(policies, (), policies.content, PoliciesShape, findings)
    if units := documents.get("units"):
        parts.units = list(_items(units, "units/*", UnitShape, findings))
    if taxonomy := documents.get("taxonomy"):
        _taxonomy(taxonomy, parts, findings)
    if catalogue := documents.get("catalogue"):
        parts.rules = list(_items(catalogue, "rules/*", RuleShape, findings))
    if places := documents.get("places"):
        for item in _items(places, "district", DistrictShape, findings):
            parts.district = item.value
        parts.streets = list(_items(places, "streets/*", StreetShape, findings))
    if knowledge := documents.get("knowledge"):
        parts.entries = list(_items(knowledge, "entries/*", EntryShape, findings))
    if texts := documents.get("texts"):
        for loc, text in texts.find("texts/*"):
            if isinstance(text, str) and text.strip():
                parts.texts[str(loc[-1])] = text
            else:
                findings.error(texts, loc, f"`{loc[-1]}` must be a text")
    return parts


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


def _items(document: Document, path: str, shape: type[S], findings: Findings) -> Iterator[Item[S]]:
    for loc, raw in document.find(path):
        shaped = _shaped(document, loc, raw, shape, findings)
        if shaped is not None:
            yield Item(loc, shaped)


def _shaped(document: Document, loc: Loc, raw: Any, shape: type[S], findings: Findings) -> S | None:
    try:
        return shape.model_validate(raw)
    except ValidationError as errors:
        for error in errors.errors(include_url=False):
            inner = tuple(step for step in error["loc"] if step != "[key]")
            findings.error(document, (*loc, *inner), _told(inner, error["type"], error["msg"], error.get("ctx") or {}))
        return None


def _told(loc: Loc, kind: str, message: str, context: Mapping[str, Any]) -> str:
    """Return pydantic's complaint in the words of the file."""
    names = [str(step) for step in loc if isinstance(step, str)]
    name = f"`{names[-1]}`" if names else "this"
    match kind:
        case "missing":
            return f"{name} is missing"
        case "extra_forbidden":
            return f"{name} is no key of this file"
        case "string_type":
            return f"{name} must be text (put numbers in quotes)"
        case "model_type" | "dict_type":
            return f"{name} must be a mapping of keys"
        case "tuple_type":
            return f"{name} must be a list"
        case "literal_error" | "enum":
            return f"{name} must be {context.get('expected')}"
        case "string_too_short":
            return f"{name} must not be empty"
        case "value_error":
            return f"{name}: {message.removeprefix('Value error, ')}"
        case "string_pattern_mismatch":
            return f"{name} is not written as {context.get('pattern')}"
        case "too_short":
            return f"{name} needs at least {context.get('min_length')} items"
        case _:
            return f"{name}: {message[:1].lower()}{message[1:]}"
