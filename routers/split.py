"""Splitting a case (拆分): a text with several wishes becomes a case for each, linked to the one it came from.

The case that is split ends; what it asked for goes on in its parts. A part has an id made from its parent's and its
number, so that however often a split is told, each part is opened once. The citizen's clock does not begin anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from routers.city import City
from routers.confidential import confidential
from routers.demand import Ruling, Verdict
from routers.inputs import Piece, Register, Split
from routers.life import WITH_UNIT, Case, Decision, Event, Facts, Refusal, Role
from routers.moves import can_handle, event

SPLIT = "case.split"
RULE = "split"
"""Rule and reason by which a part is dispatched."""

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TIME = 10
"""Characters of a ULID that hold its time (github.com/ulid/spec); the other sixteen are chance."""


def part_id(parent: str, number: int) -> str:
    """Return the case id of a part: its parent's time, and 80 bits of SHA-256 over the parent's id and the number.

    Args:
        parent: case id of the case that is split.
        number: of the part, from 1.
    """
    bits = int.from_bytes(hashlib.sha256(f"{parent}/part/{number}".encode()).digest()[:10], "big")
    return parent[:_TIME] + "".join(_ALPHABET[bits >> shift & 31] for shift in range(75, -1, -5))


def split(case: Case, given: Split, at: datetime, city: City) -> Decision:
    """拆分: what the desk holds, or watches while a unit acts, ends as such and goes on in its parts."""
    if case.state in WITH_UNIT and not case.watched:
        return Refusal("not_at_desk")
    if case.parent is not None:
        return Refusal("is_a_part")
    if len(given.parts) < 2:
        return Refusal("one_part")
    wrong = next(filter(None, (_mistake(piece, city) for piece in given.parts)), None)
    if wrong is not None:
        return Refusal(wrong)
    parts = [_planned(case.case_id, number, piece) for number, piece in enumerate(given.parts, 1)]
    return (event(SPLIT, at, given, parts=parts, reason=given.reason or None),)


def _mistake(piece: Piece, city: City) -> str | None:
    """Return the code of what is wrong with a part.

    A unit that was ruled wrong for the whole may have one of its parts: the whole was the reason.
    """
    if not piece.text.strip():
        return "part_empty"
    if not all(can_handle(unit, city) for unit in (piece.to, *piece.co)):
        return "unknown_unit"
    return None if piece.category in city.categories else "unknown_category"


def _planned(parent: str, number: int, piece: Piece) -> dict[str, Any]:
    return {
        "number": number,
        "case_id": part_id(parent, number),
        "unit": piece.to,
        "co": list(piece.co),
        "category": piece.category,
        "text": piece.text,
    }


def openings(parent: Case, done: Event, city: City) -> Iterator[Register]:
    """Yield what opens each part of a case, from the event that split it.

    Args:
        parent: with its facts, as the event left it.
        done: the event.
        city: whose categories and tiers hold for the parts.
    """
    facts = parent.facts
    assert facts is not None
    for part in done.data["parts"]:
        category = city.category(part["category"])
        said = facts.classification.model_copy(
            update={"category": category.code, "urgency": category.urgency, "confidence": 1.0, "why": (), "model": RULE}
        )
        own: Facts = facts.model_copy(
            update={
                "text": part["text"],
                "classification": said,
                "candidates": (),
                "parts": (),
                # what hid its sender goes on hiding it, whatever the part is about
                "confidential": confidential(parent, city),
            }
        )
        reason = done.data.get("reason") or RULE
        verdict = Verdict(ruling=Ruling.DISPATCH, reason=reason, unit=part["unit"], co=tuple(part["co"]), rule=RULE)
        yield Register(
            f"{parent.case_id}:part:{part['number']}",
            done.at,
            Role.PIPELINE,
            own,
            verdict,
            city.tier_of(category.code).code,
            parent=parent.case_id,
            number=part["number"],
            since=parent.registered_at,
            ruled_by=done.actor,
        )
