"""Questions to the ledger: read-only, in SQL that both databases run.

Every function takes a connection, so that several questions can be asked of one and the same
moment: `with snapshot(engine) as moment: totals(moment); backlog(moment, now)`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, func, literal, select
from sqlalchemy import case as when
from sqlalchemy.exc import DBAPIError

from routers.life import OPEN, CaseState
from sinks.database import LedgerUnavailableError, is_unavailable
from sinks.sql import JsonText, SecondsBetween
from sinks.tables import METADATA

CASE, CLOCK, EVENT, INPUT, PART, OUTBOX = (
    METADATA.tables[name] for name in ("case", "clock", "event", "input", "part", "outbox")
)

DISPOSITIONS = ("opened", "linked", "answered", "declined", "in_review", "duplicate", "follow_up", "dead_lettered")
"""What an intake record is counted as, once and for ever."""

OPEN_STATES = sorted(state.value for state in OPEN)
"""The states in which somebody must still act."""
_SUBJECTS: Mapping[str, ColumnElement[str]] = {
    "case.dispatched": JsonText(EVENT.c.data, literal("unit")),
    "case.escalated": JsonText(EVENT.c.data, literal("clock")),
    "case.return_requested": EVENT.c.actor,
    "case.contact_revealed": EVENT.c.actor,
}
"""The kinds of events that are also counted by whom they concern."""


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """Open one moment of the ledger: all that is asked of the connection sees the same state.

    Raises:
        LedgerUnavailableError: the database does not answer.
    """
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "postgresql":
                # The default there gives each statement a moment of its own; SQLite's transactions do not.
                connection = connection.execution_options(  # noqa: PLW2901 - SQLAlchemy returns the same one
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
            with connection.begin():
                yield connection
    except DBAPIError as error:
        if is_unavailable(error):
            raise LedgerUnavailableError(str(error.orig)) from error
        raise


# ---- what came in ---------------------------------------------------------------------------------


def accounted(moment: Connection) -> dict[str, dict[str, int]]:
    """Return for each channel how many intake records met each disposition."""
    counted: dict[str, dict[str, int]] = {}
    statement = (
        select(INPUT.c.origin_topic, INPUT.c.disposition, func.count())
        .where(INPUT.c.origin_topic.like("intake.%"))
        .group_by(INPUT.c.origin_topic, INPUT.c.disposition)
    )
    for topic, disposition, number in moment.execute(statement):
        counted.setdefault(topic.partition(".")[2], {})[disposition] = number
    return counted


def dead_letters(moment: Connection) -> dict[str, int]:
    """Return how many dead letters were written for each reason, whatever topic they come from."""
    statement = select(INPUT.c.code, func.count()).where(INPUT.c.topic == "deadletters").group_by(INPUT.c.code)
    return {code or "unknown": number for code, number in moment.execute(statement)}


# ---- what happened --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EventCounts:
    """How often things happened, since ever."""

    by_kind: Mapping[str, int]
    dispatched: Mapping[str, int]
    """By the unit that was given the case."""
    returned: Mapping[str, int]
    """By the unit that gave it back."""
    escalated: Mapping[str, int]
    """By the clock that ran out."""
    revealed: Mapping[str, int]
    """By the unit that saw how to reach a citizen."""


def events(moment: Connection) -> EventCounts:
    """Count all events by kind, and the telling ones by whom they concern; one pass over the table."""
    subject = when(*((EVENT.c.kind == kind, whom) for kind, whom in _SUBJECTS.items()), else_=None)
    counted = select(EVENT.c.kind.label("kind"), subject.label("subject")).subquery()
    statement = select(counted.c.kind, counted.c.subject, func.count()).group_by(counted.c.kind, counted.c.subject)
    by_kind: dict[str, int] = {}
    about: dict[str, dict[str, int]] = {kind: {} for kind in _SUBJECTS}
    for kind, whom, number in moment.execute(statement):
        by_kind[kind] = by_kind.get(kind, 0) + number
        if kind in about:
            about[kind][whom or "unknown"] = number
    return EventCounts(
        by_kind,
        about["case.dispatched"],
        about["case.return_requested"],
        about["case.escalated"],
        about["case.contact_revealed"],
    )


def dispatches(moment: Connection) -> dict[str, int]:
    """Return how many cases each unit was given; one that came back counts again."""
    counted = select(JsonText(EVENT.c.data, literal("unit")).label("unit")).where(EVENT.c.kind == "case.dispatched")
    unit = counted.subquery().c.unit
    return {name or "unknown": number for name, number in moment.execute(select(unit, func.count()).group_by(unit))}


# ---- how cases stand ------------------------------------------------------------------------------


def states(moment: Connection) -> dict[str, int]:
    """Return how many cases stand in each state; every state is named."""
    found = dict.fromkeys((str(state) for state in CaseState), 0)
    statement = select(CASE.c.state, func.count()).group_by(CASE.c.state)
    return found | dict(iter(moment.execute(statement)))


@dataclass(frozen=True, slots=True)
class Backlog:
    """What one unit has in hand: open cases in its custody."""

    open: int = 0
    oldest: datetime | None = None
    """When the oldest of them was registered."""
    unaccepted: int = 0
    """Dispatched, and not accepted yet."""
    overdue: int = 0
    """The citizen should have had an answer by now."""
    escalated: int = 0
    """The supervisor sees them too."""


def backlog(moment: Connection, now: datetime) -> dict[str, Backlog]:
    """Return what each unit has in hand, by its code; units with nothing are left out."""
    statement = (
        select(
            CASE.c.custodian,
            func.count(),
            func.min(CASE.c.registered_at),
            _count_if(CASE.c.state == CaseState.DISPATCHED.value),
            _count_if(CASE.c.due_at < now),
            _count_if(CASE.c.escalated.is_(True)),
        )
        .where(CASE.c.state.in_(OPEN_STATES))
        .group_by(CASE.c.custodian)
    )
    return {unit or "unknown": Backlog(*figures) for unit, *figures in moment.execute(statement)}


def closed(moment: Connection) -> dict[tuple[str, str], int]:
    """Return closed cases by (lead unit, exemption); the exemption is `none` where the citizen said yes."""
    statement = (
        select(CASE.c.lead, CASE.c.exemption, func.count())
        .where(CASE.c.state == CaseState.CLOSED.value)
        .group_by(CASE.c.lead, CASE.c.exemption)
    )
    return {(unit or "unknown", reason or "none"): number for unit, reason, number in moment.execute(statement)}


@dataclass(frozen=True, slots=True)
class Clocks:
    """The running clocks of one name."""

    running: int
    late: int
    """Due and not yet acted upon: more than a few for a minute means the ticker stands."""
    oldest_late: datetime | None
    """The due time of the most belated one."""


def clocks(moment: Connection, now: datetime) -> dict[str, Clocks]:
    """Return the running clocks by name."""
    late = CLOCK.c.due_at <= now
    statement = select(
        CLOCK.c.clock, func.count(), _count_if(late), func.min(when((late, CLOCK.c.due_at), else_=None))
    ).group_by(CLOCK.c.clock)
    return {name: Clocks(*figures) for name, *figures in moment.execute(statement)}


@dataclass(frozen=True, slots=True)
class Histogram:
    """Durations sorted into buckets, as Prometheus wants them."""

    cumulative: tuple[int, ...]
    """How many lasted at most as long as each bound."""
    count: int
    total: float
    """Seconds."""


def times_to(moment: Connection, bounds: Sequence[float]) -> tuple[Histogram, Histogram]:
    """Return the times from registration to first dispatch and from registration to closure.

    Args:
        moment: where to ask.
        bounds: upper bounds of the buckets, in seconds, growing.
    """
    return (
        _histogram(moment, CASE.c.first_dispatched_at, CASE.c.first_dispatched_at.is_not(None), bounds),
        _histogram(moment, CASE.c.ended_at, CASE.c.state == CaseState.CLOSED.value, bounds),
    )


def _histogram(moment: Connection, end: Any, which: ColumnElement[bool], bounds: Sequence[float]) -> Histogram:
    lasted = SecondsBetween(CASE.c.registered_at, end)
    measured = select(lasted.label("seconds")).where(which, CASE.c.registered_at.is_not(None)).subquery()
    seconds = measured.c.seconds
    statement = select(
        func.count(), func.coalesce(func.sum(seconds), 0.0), *(_count_if(seconds <= bound) for bound in bounds)
    ).select_from(measured)
    count, total, *cumulative = moment.execute(statement).one()
    return Histogram(tuple(cumulative), count, max(0.0, float(total)))


def _count_if(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(when((condition, 1), else_=0)), 0)


def outbox(moment: Connection) -> int:
    """Return how many messages are decided and not known to be on the broker."""
    return moment.execute(select(func.count()).select_from(OUTBOX).where(OUTBOX.c.refused.is_(None))).scalar_one()


def refused_by_broker(moment: Connection) -> int:
    """Return how many messages the broker refused for good; they are kept and not tried again."""
    return moment.execute(select(func.count()).select_from(OUTBOX).where(OUTBOX.c.refused.is_not(None))).scalar_one()


# ---- sums ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Totals:
    """The sums that `yiwang demo` and `yiwang replay` end with."""

    received: int = 0
    """Intake records the ledger has accounted for: the sum of the eight that follow."""
    opened: int = 0
    linked: int = 0
    answered: int = 0
    declined: int = 0
    in_review: int = 0
    duplicate: int = 0
    follow_up: int = 0
    dead_lettered: int = 0
    dispatched: int = 0
    """Cases that were given to a unit at least once, by machine or by the desk."""
    closed: int = 0
    """Closed with the citizen's word."""
    closed_by_exemption: int = 0
    """Closed under a coded exemption instead; not counted in `closed`."""
    open: int = 0
    """Cases somebody must still act on."""
    units: int = 0
    """Different units that were given a case."""
    by_unit: Mapping[str, int] = field(default_factory=dict)
    """Dispatches by unit, repeated ones too."""


def totals(moment: Connection) -> Totals:
    """Return the sums over everything the ledger holds."""
    fates = dict.fromkeys(DISPOSITIONS, 0)
    for counted in accounted(moment).values():
        for disposition, number in counted.items():
            fates[disposition] = fates.get(disposition, 0) + number
    ended = closed(moment)
    by_unit = dispatches(moment)
    dispatched, still_open = moment.execute(
        select(_count_if(CASE.c.first_dispatched_at.is_not(None)), _count_if(CASE.c.state.in_(OPEN_STATES)))
    ).one()
    return Totals(
        received=sum(fates.values()),
        **{name: fates[name] for name in DISPOSITIONS},
        dispatched=dispatched,
        closed=sum(number for (_unit, exemption), number in ended.items() if exemption == "none"),
        closed_by_exemption=sum(number for (_unit, exemption), number in ended.items() if exemption != "none"),
        open=still_open,
        units=len(by_unit),
        by_unit=by_unit,
    )
