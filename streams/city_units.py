"""The plain parts of a city folder: the city itself, its units, its policies and its texts."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from routers.city import (
    GEOGRAPHY,
    OPERATOR,
    VIRTUAL,
    Channel,
    Policies,
    ReturnReason,
    Unit,
    frozen_map,
)
from routers.texts import TEXTS, allowed_fields, fields_of
from streams.city_yaml import Item

UNIT_CODE = r"[A-Z][A-Z0-9-]{1,31}"
CHANNEL_NAME = r"[a-z][a-z0-9_]{0,31}"
_UNIT_KINDS = ("bureau", "hub", "sub_unit", "vertical", "party", "mass", "utility", "street", "town", VIRTUAL)
_HOURS = ("office", "24x7", "on_call")
_CHANNEL_KINDS = ("hotline", "app", "grid", "sensor")
_LIMITS = ("demand", "reply", "note")


def read_channels(item: Item) -> Mapping[str, Channel]:
    """Return the channels of `city.yaml`."""
    found: dict[str, Channel] = {}
    for name, each in item.entries("channels"):
        kind: Any = each.choice("kind", _CHANNEL_KINDS)
        channel = Channel(name, each.text("zh"), kind)
        each.finish()
        _hold(each, name, CHANNEL_NAME, "channel")
        found[name] = channel
    if not found:
        item.error("a city needs at least one channel", "channels")
    return frozen_map(found)


def read_units(item: Item) -> Mapping[str, Unit]:
    """Return the units of `units.yaml`, in its order."""
    found: dict[str, Unit] = {}
    numbers: dict[str, str] = {}
    items = item.items("units")
    for each in items:
        unit = Unit(
            code=each.text("code", pattern=UNIT_CODE),
            zh=each.text("zh"),
            short=each.text("short"),
            en=each.text("en", ""),
            kind=each.choice("kind", _UNIT_KINDS),
            level=each.text("level", ""),
            hours=each.choice("hours", _HOURS, "office"),
            duties=each.words("duties", ()),
            aliases=each.words("aliases", ()),
            dispatchable=each.flag("dispatchable", True),
            resolve=each.choice("resolve", (GEOGRAPHY, OPERATOR), "") or None,
            choices=each.words("choices", ()),
        )
        number = each.text("num", "")
        each.finish()
        if unit.code in found:
            each.error(f"unit {unit.code} stands here twice", "code")
        if number and number in numbers:
            each.error(f"number {number} already belongs to {numbers[number]}", "num")
        if unit.virtual != (unit.resolve is not None):
            each.error("a virtual unit, and only it, says how it is resolved", "resolve")
        if (unit.resolve == OPERATOR) != bool(unit.choices):
            each.error("a unit resolved by operator, and only it, names its choices", "choices")
        numbers[number] = unit.code
        found.setdefault(unit.code, unit)
    for each in items:
        if each.has("choices"):
            known_units(each, "choices", each.words("choices"), found, handling=True)
    return frozen_map(found)


def known_units(
    item: Item, key: str, codes: Collection[str], units: Mapping[str, Unit], *, handling: bool = False
) -> None:
    """Note codes that no unit has; with `handling` also those that cannot be the handling unit."""
    for code in codes:
        if not units or not code:
            continue
        unit = units.get(code)
        if unit is None:
            item.error(f"{key} names the unit {code}, which does not exist", key)
        elif handling and not unit.dispatchable:
            item.error(f"{key} names {code} ({unit.short}), which cannot handle a case", key)
        elif handling and unit.virtual:
            item.error(f"{key} names {code} ({unit.short}), which only stands for other units", key)


def read_policies(
    item: Item, units: Mapping[str, Unit], tiers: Collection[str], declines: Mapping[str, str]
) -> Policies:
    """Return `policies.yaml`.

    Args:
        item: the file.
        units: all units; empty when they could not be read.
        tiers: codes of all tiers; empty when they could not be read.
        declines: codes and names of what is out of scope.
    """
    roles = {key: item.text(key) for key in ("desk", "rulings", "supervisor")}
    for key, code in roles.items():
        known_units(item, key, [code], units)
        if code in units and units[code].virtual:
            item.error(f"{key} names {code}, which only stands for other units", key)
    tier = item.text("default_tier")
    if tiers and tier and tier not in tiers:
        item.error(f"default_tier {tier} does not exist; known are {', '.join(tiers)}", "default_tier")
    fallback = item.words("fallback_units")
    known_units(item, "fallback_units", fallback, units, handling=True)
    limits = item.block("text_limits")
    own = _names(item, "decline_codes")
    for code in own.keys() & declines.keys():
        item.error(f"decline code {code} is already one of the taxonomy's", "decline_codes")
    return Policies(
        desk=roles["desk"],
        rulings=roles["rulings"],
        supervisor=roles["supervisor"],
        default_tier=tier,
        fallback_units=fallback,
        dispatch_confidence=item.number("dispatch_confidence", 0, 1),
        max_returns=item.integer("max_returns", 0, 20),
        max_redo=item.integer("max_redo", 0, 20),
        call_back_tries=item.integer("call_back_tries", 1, 20),
        max_queue=item.integer("max_queue", 1, 1_000_000),
        text_limits=frozen_map({key: limits.integer(key, 1, 1_000_000) for key in _LIMITS}),
        return_reasons=frozen_map(_reasons(item)),
        contact_exemptions=frozen_map(_names(item, "contact_exemptions")),
        close_exemptions=frozen_map(_names(item, "close_exemptions")),
        decline_codes=frozen_map({**declines, **own}),
        safety_words=item.words("safety_words", ()),
    )


def _reasons(item: Item) -> dict[str, ReturnReason]:
    found = {}
    for code, each in item.entries("return_reasons"):
        found[code] = ReturnReason(
            code, each.text("zh"), each.flag("needs_basis", False), each.flag("needs_proposal", False)
        )
        each.finish()
        _hold(each, code, r"R[1-9]", "return reason")
    return found


def _names(item: Item, key: str) -> dict[str, str]:
    block = item.block(key)
    return {code: block.text(code) for code in block.fields}


def read_texts(item: Item, declines: Collection[str]) -> Mapping[str, str]:
    """Return `texts.yaml`, every template checked against the fields it may use.

    Args:
        item: the file.
        declines: codes of what is out of scope; each needs its text.
    """
    block = item.block("texts")
    found = {key: block.text(key) for key in block.fields}
    for key, template in found.items():
        allowed = allowed_fields(key)
        try:
            used = fields_of(template)
        except ValueError as error:
            block.error(f"text {key}: {error}", key)
            continue
        if allowed is None:
            block.warn(f"nobody asks for the text {key}", key)
        elif used - allowed:
            unknown = ", ".join(sorted(used - allowed))
            known = ", ".join(sorted(allowed)) or "none"
            block.error(f"text {key} uses {unknown}; its fields are: {known}", key)
    for key in [*TEXTS, *(f"declined.{code}" for code in declines)]:
        if key not in found and not block.absent:
            block.error(f"the text {key} is missing")
    return frozen_map(found)


def _hold(item: Item, name: str, pattern: str, what: str) -> None:
    if not re.fullmatch(pattern, name):
        item.error(f"{what} {name!r} does not look like {pattern}")
