"""The values of a case's life: its states, what it is, what happened to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

from routers.demand import Candidate, Classification, DemandKind, Part, ResolvedPlace, Value


class CaseState(StrEnum):
    """Where a case stands."""

    NEW = "new"
    """Not registered: only follow-ups that overtook their demand are held."""
    IN_REVIEW = "in_review"
    DISPATCHED = "dispatched"
    IN_PROGRESS = "in_progress"
    RETURN_PENDING = "return_pending"
    CALL_BACK = "call_back"
    CLOSED = "closed"
    ANSWERED = "answered"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"
    SPLIT = "split"
    """It goes on in its parts, each a case of its own."""


class Role(StrEnum):
    """What an actor is to a case."""

    LEAD = "lead"
    CO_HANDLER = "co_handler"
    DESK = "desk"
    SUPERVISOR = "supervisor"
    CITIZEN = "citizen"
    CLOCK = "clock"
    PIPELINE = "pipeline"


ENDED = frozenset({CaseState.CLOSED, CaseState.ANSWERED, CaseState.DECLINED, CaseState.WITHDRAWN, CaseState.SPLIT})
WITH_UNIT = frozenset({CaseState.DISPATCHED, CaseState.IN_PROGRESS})
WITH_DESK = frozenset({CaseState.IN_REVIEW, CaseState.RETURN_PENDING, CaseState.CALL_BACK})
OPEN = WITH_UNIT | WITH_DESK

ClockName = Literal["accept", "due", "orphan"]
"""`accept`: a unit must take it; `due`: the citizen must have an answer; `orphan`: a follow-up awaits its demand."""

ORPHAN_WAIT = timedelta(hours=24)
"""How long a follow-up that overtook its demand is held."""

HELD_AT_MOST = 50
"""Follow-ups held for one demand that has not come: a case is read and written whole."""


class Facts(Value):
    """What is known of a demand once triage is done; never changes, masked throughout."""

    channel: str
    created_at: datetime
    received_at: datetime
    title: str | None = None
    text: str
    address: str | None = None
    place: ResolvedPlace
    classification: Classification
    candidates: tuple[Candidate, ...] = ()
    parts: tuple[Part, ...] = ()
    """Several wishes that triage saw in the text."""
    confidential: bool = False
    reachable: bool = True
    digest: str = ""
    city_version: str = ""

    @property
    def kind(self) -> DemandKind | None:
        """Return what the citizen wants (诉求类型)."""
        return self.classification.kind


@dataclass(frozen=True, slots=True)
class Custody:
    """Who held the case from when to when (UTC); `until` is None while it lasts."""

    unit: str
    since: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """A follow-up that came before its demand."""

    kind: Literal["urge", "supplement", "withdraw", "rate"]
    id: str
    at: datetime
    channel: str
    text: str | None = None
    solved: bool | None = None
    satisfied: bool | None = None
    since: datetime | None = None
    """When it was decided to hold it; None in what was stored before that was kept. `at` is its sender's clock."""


@dataclass(frozen=True, slots=True)
class Filed:
    """An answer that waits for its contact note."""

    text: str
    result: str
    by: str


@dataclass(frozen=True)
class Case:
    """A case as its events left it."""

    case_id: str
    seq: int = 0
    """Number of events folded; the version that guards every write."""
    state: CaseState = CaseState.NEW
    updated_at: datetime | None = None
    registered_at: datetime | None = None
    ended_at: datetime | None = None
    category: str | None = None
    tier: str = ""
    custodian: str | None = None
    custody: tuple[Custody, ...] = ()
    lead: str | None = None
    co: tuple[str, ...] = ()
    dispatches: int = 0
    first_dispatched_at: datetime | None = None
    dispatched_at: datetime | None = None
    rule: str | None = None
    why: str = ""
    accept_by: datetime | None = None
    due_at: datetime | None = None
    accepted: bool = False
    contacted: bool = False
    answer: str | None = None
    result: str | None = None
    filed: Filed | None = None
    returns: int = 0
    returnable: bool = True
    return_reason: str | None = None
    proposed: str | None = None
    ruled_wrong: tuple[str, ...] = ()
    redo: int = 0
    tries: int = 0
    urged: int = 0
    notes: tuple[str, ...] = ()
    """The last few notes and supplements, newest last; all of them are in the events."""
    escalated: tuple[ClockName, ...] = ()
    contact_exemption: str | None = None
    """Coded reason that stands for a missing contact record (I6)."""
    exemption: str | None = None
    """Coded reason for which the case was closed without `solved` (I7)."""
    named: str | None = None
    """The unit to which the machine dispatched it."""
    watched: bool = False
    """The desk looks on while the unit acts: the machine was not sure, but it was urgent."""
    right: bool | None = None
    """Whether the machine had named the right unit, as last judged; None while nobody knows."""
    judged_at: datetime | None = None
    parent: str | None = None
    """Case of which this is a part; the vault keeps its originals under that id."""
    number: int | None = None
    """Of the part, from 1."""
    children: tuple[str, ...] = ()
    """Its parts, in their order, once it is split."""
    held: tuple[Held, ...] = ()
    lapses: int = 0
    """How often what was held has lapsed."""
    facts: Facts | None = field(default=None)

    @property
    def open(self) -> bool:
        """Tell whether somebody must still act."""
        return self.state in OPEN

    def but(self, **changes: Any) -> Case:
        """Return a copy with these fields changed.

        Folding is the hot path: `dataclasses.replace` passes all forty fields through `__init__`
        at twenty times the cost.
        """
        copy = object.__new__(Case)
        copy.__dict__.update(self.__dict__, **changes)
        return copy


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a case; stored for ever, in order of `seq`."""

    kind: str
    at: datetime
    actor: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A no, with the code its sender is told."""

    code: str


Decision = tuple[Event, ...] | Refusal
"""No events and no refusal: the input had its effect before (`already`)."""

NOTES_SHOWN = 5
"""How many of the latest notes travel with a work item."""
