"""How values become rows: the statements that write, and the tuples they take.

SQLAlchemy prepares the parameters of each row anew, which costs more than SQLite's own work with
it. So each statement is compiled once for a database, and its rows are plain tuples in the order
of its parameters.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, cast

from pydantic import TypeAdapter
from pydantic_core import to_json
from sqlalchemy import Connection, Dialect, Executable, Table, and_, bindparam, delete, insert, update

from routers.judgement import Judgement
from routers.life import Case, Event, Facts
from routers.receipt import receipt
from sinks.batch import InputRecord, Output, Partition, StoredEvent
from sinks.tables import CaseRow, ClockRow, EventRow, InputRow, JudgementRow, OutboxRow, PartRow, ProgressRow, utc_text

Row = tuple[Any, ...]


def _table(model: Any) -> Table:
    return cast("Table", model.__table__)


INPUT, EVENT, CASE, CLOCK, JUDGEMENT, PART, OUTBOX, PROGRESS = (
    _table(model) for model in (InputRow, EventRow, CaseRow, ClockRow, JudgementRow, PartRow, OutboxRow, ProgressRow)
)


class Many:
    """A statement to run once for each of many rows.

    Args:
        statement: with a `bindparam` for each parameter.
        parameters: their names in the order of the tuples, which must be that of the SQL text.
    """

    def __init__(self, statement: Executable, parameters: Sequence[str]) -> None:
        self._statement = statement
        self._parameters = tuple(parameters)
        self._sql: dict[str, str] = {}

    def run(self, connection: Connection, rows: Sequence[Row]) -> int:
        """Run it and return how many rows of the table it met; nothing happens without rows."""
        if not rows:
            return 0
        return connection.exec_driver_sql(self.sql(connection.dialect), list(rows)).rowcount

    def sql(self, dialect: Dialect) -> str:
        """Return its text for a database."""
        known = self._sql.get(dialect.name)
        if known is None:
            style = "qmark" if dialect.name == "sqlite" else "format"
            dialect_of: Any = type(dialect)
            compiled: Any = cast("Any", self._statement).compile(dialect=dialect_of(paramstyle=style))
            if tuple(compiled.positiontup) != self._parameters:
                raise AssertionError(f"parameters stand in the order {compiled.positiontup}")
            known = self._sql[dialect.name] = str(compiled)
        return known


def _insert(table: Table, *, without: Sequence[str] = ()) -> Many:
    """Insert whole rows: tuples in the order of the table's columns."""
    names = [column.name for column in table.columns if column.name not in without]
    return Many(insert(table).values({name: bindparam(name) for name in names}), names)


# ---- progress -----------------------------------------------------------------------------------

INSERT_PROGRESS = _insert(PROGRESS)
"""Rows of `(topic, partition, topic id, next offset)`."""

MOVE_PROGRESS = Many(
    update(PROGRESS)
    .where(
        and_(
            PROGRESS.c.topic == bindparam("of_topic"),
            PROGRESS.c.partition == bindparam("of_partition"),
            PROGRESS.c.next_offset == bindparam("before"),
        )
    )
    .values(next_offset=bindparam("after")),
    ("after", "of_topic", "of_partition", "before"),
)

# ---- inputs and events --------------------------------------------------------------------------

INSERT_INPUT = _insert(INPUT)


def input_row(each: InputRecord) -> Row:
    """Return an input as `INSERT_INPUT` takes it."""
    return (
        each.topic,
        each.partition,
        each.offset,
        *(each.origin or _NO_ORIGIN),
        each.input_id,
        each.case_id,
        each.kind,
        str(each.actor),  # a driver may write an enum's name instead of its value
        each.disposition,
        each.code,
        each.digest,
        utc_text(each.decided_at),
    )


_NO_ORIGIN = (None, None, None)

INSERT_EVENT = _insert(EVENT)


def event_row(each: StoredEvent) -> Row:
    """Return an event as `INSERT_EVENT` takes it."""
    event = each.event
    return (
        each.case_id,
        each.seq,
        event.kind,
        str(event.actor),
        utc_text(event.at),
        each.input_id,
        to_json(event.data).decode(),
    )


def event_of(row: Any) -> Event:
    """Read an event as stored; times in its data stay text, which `routers.fold` understands."""
    return Event(row.kind, row.at, row.actor, json.loads(row.data))


# ---- cases --------------------------------------------------------------------------------------

_WITH_FACTS = ("channel", "kind", "street", "registered_at", "facts")
"""Columns that say what the demand is: written once, when it is registered."""
_EVERY = tuple(column.name for column in CASE.columns)
_CHANGING = tuple(name for name in _EVERY if name not in {"case_id", "receipt"})
_MOVING = tuple(name for name in _CHANGING if name not in _WITH_FACTS)


def _update_case(names: Sequence[str]) -> Many:
    guarded = and_(CASE.c.case_id == bindparam("of_case"), CASE.c.version == bindparam("before"))
    changes: dict[str, Any] = {name: bindparam(f"to_{name}") for name in names}
    return Many(update(CASE).where(guarded).values(changes), (*(f"to_{name}" for name in names), "of_case", "before"))


INSERT_CASE = _insert(CASE)
REGISTER_CASE = _update_case(_CHANGING)
MOVE_CASE = _update_case(_MOVING)

_LIFE: TypeAdapter[Case] = TypeAdapter(Case)
_every_value: Callable[[Mapping[str, Any]], Row] = itemgetter(*_EVERY)
_changing_values: Callable[[Mapping[str, Any]], Row] = itemgetter(*_CHANGING)
_moving_values: Callable[[Mapping[str, Any]], Row] = itemgetter(*_MOVING)


def life_of(case: Case) -> str:
    """Return a case without its facts as JSON."""
    return _LIFE.dump_json(case, exclude=_NO_FACTS, exclude_defaults=True).decode()


_NO_FACTS = {"facts"}


def case_of(life: str, facts: str | None) -> Case:
    """Read a case as stored."""
    case = _LIFE.validate_json(life)
    if facts is not None:
        object.__setattr__(case, "facts", Facts.model_validate_json(facts))
    return case


def new_case_row(case: Case, life: str) -> Row:
    """Return a case as `INSERT_CASE` takes it."""
    values = _moving(case, life) | _said(case)
    values["case_id"] = case.case_id
    values["receipt"] = receipt(case.case_id)
    return _every_value(values)


def registered_case_row(before: Case, after: Case, life: str) -> Row:
    """Return a case that has got its facts as `REGISTER_CASE` takes it."""
    return (*_changing_values(_moving(after, life) | _said(after)), after.case_id, before.seq)


def moved_case_row(before: Case, after: Case, life: str) -> Row:
    """Return a case that had its facts before as `MOVE_CASE` takes it."""
    return (*_moving_values(_moving(after, life)), after.case_id, before.seq)


def _moving(case: Case, life: str) -> dict[str, Any]:
    return {
        "version": case.seq,
        "state": str(case.state),
        "custodian": case.custodian,
        "lead": case.lead,
        "category": case.category,
        "tier": case.tier or None,
        "first_dispatched_at": utc_text(case.first_dispatched_at),
        "due_at": utc_text(case.due_at),
        "ended_at": utc_text(case.ended_at),
        "escalated": bool(case.escalated),
        "exemption": case.exemption,
        "life": life,
    }


def _said(case: Case) -> dict[str, Any]:
    facts = case.facts
    if facts is None:
        return dict.fromkeys(_WITH_FACTS)
    return {
        "channel": facts.channel,
        "kind": str(facts.kind) if facts.kind else None,
        "street": facts.place.street,
        "registered_at": utc_text(case.registered_at),
        "facts": facts.model_dump_json(exclude_none=True),
    }


# ---- clocks -------------------------------------------------------------------------------------

INSERT_CLOCK = _insert(CLOCK)
"""Rows of `(case id, clock, generation, due at, emitted at)`."""

STOP_CLOCK = Many(
    delete(CLOCK).where(and_(CLOCK.c.case_id == bindparam("of_case"), CLOCK.c.clock == bindparam("of_clock"))),
    ("of_case", "of_clock"),
)

LEASE_CLOCK = Many(
    update(CLOCK)
    .where(and_(CLOCK.c.case_id == bindparam("of_case"), CLOCK.c.clock == bindparam("of_clock")))
    .values(emitted_at=bindparam("at")),
    ("at", "of_case", "of_clock"),
)

# ---- judgements ---------------------------------------------------------------------------------

INSERT_JUDGEMENT = _insert(JUDGEMENT)

UNJUDGE = Many(delete(JUDGEMENT).where(JUDGEMENT.c.case_id == bindparam("of_case")), ("of_case",))


def judgement_row(case_id: str, each: Judgement) -> Row:
    """Return a judgement as `INSERT_JUDGEMENT` takes it."""
    return case_id, each.category, each.confidence, each.model, each.right, utc_text(each.at)


# ---- parts --------------------------------------------------------------------------------------

INSERT_PART = _insert(PART)
"""Rows of `(case id of the part, parent, number)`."""

# ---- outbox -------------------------------------------------------------------------------------

INSERT_OUTBOX = _insert(OUTBOX, without=("position", "refused"))

PARK = Many(
    update(OUTBOX).where(OUTBOX.c.message_id == bindparam("of_message")).values(refused=bindparam("why")),
    ("why", "of_message"),
)

FORGET = Many(delete(OUTBOX).where(OUTBOX.c.message_id == bindparam("of_message")), ("of_message",))


def outbox_row(each: Output) -> Row:
    """Return a message as `INSERT_OUTBOX` takes it."""
    return (
        each.message_id,
        each.source.topic,
        each.source.partition,
        each.case_id,
        each.seq,
        each.topic,
        each.key,
        each.value,
        to_json(each.headers).decode(),
    )


def output_of(row: Any) -> Output:
    """Read a message as stored."""
    return Output(
        Partition(row.source_topic, row.source_partition),
        row.message_id,
        row.topic,
        row.key,
        row.value,
        tuple((name, text.encode()) for name, text in json.loads(row.headers)),
        row.case_id,
        row.seq,
    )
