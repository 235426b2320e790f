"""Whether the machine had named the right unit: judged by what becomes of its cases.

The desk's rulings say it at once, whether the case waited at the desk, came back from a unit, or
was watched there; a case that the machine dispatched and that is closed where it was sent says it
in the end. A later ruling replaces an earlier judgement. Nothing is judged where the machine named
no unit, where no unit was to act (answered, declined, withdrawn), or where a supervisor moved a case
that was with a unit: that says who shall act, not whose it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from routers.life import WITH_UNIT, Case, Event, Role


@dataclass(frozen=True, slots=True)
class Judgement:
    """One answer of the machine and whether it was right; holds nothing of what the citizen said."""

    category: str
    """As the machine said it."""
    confidence: float
    model: str
    """Version of what said it."""
    right: bool
    """The unit that the category leads to was the right one."""
    at: datetime


def judgement(case: Case) -> Judgement | None:
    """Return how the machine did with a case, as far as is known."""
    if case.right is None or case.facts is None or case.judged_at is None:
        return None
    said = case.facts.classification
    if said.category is None:
        return None
    return Judgement(said.category, said.confidence, said.model, case.right, case.judged_at)


def ruled(case: Case, event: Event, unit: str) -> Mapping[str, Any]:
    """Return what changes of a case's judgement when it is given to a unit.

    Args:
        case: before.
        event: the dispatch, or the desk's word that it may stay where it is.
        unit: that has it now.
    """
    if event.actor == Role.PIPELINE:
        return {"named": unit}
    desk = case.custody[0].unit if case.custody else None
    if case.state in WITH_UNIT and event.actor != desk:
        return {}
    named, whole = _named(case)
    if not named or (unit not in named and not whole):
        return {}
    return {"right": unit in named, "judged_at": event.at}


def closed(case: Case, event: Event) -> Mapping[str, Any]:
    """Return what changes of a case's judgement when it is closed: nobody has said that it was wrong."""
    if case.right is None and case.named is not None and case.lead == case.named:
        return {"right": True, "judged_at": event.at}
    return {}


def _named(case: Case) -> tuple[frozenset[str], bool]:
    """Return the units that the machine's category leads to, and whether these are all of them.

    Without a dispatch these are the candidates of that category that own it (they alone have a score); where
    a company that nobody named leads, they are several, and perhaps not all of them are shown.
    """
    if case.named is not None:
        return frozenset({case.named}), True
    facts = case.facts
    if facts is None or facts.classification.category is None:
        return frozenset(), True
    said = facts.classification.category
    owners = frozenset(each.unit for each in facts.candidates if each.category == said and each.score > 0)
    return owners, len(owners) == 1
