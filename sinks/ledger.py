"""The ledger: the state of every case, behind one interface, on SQLite or PostgreSQL.

Only SQL that both databases run. A batch is written in one transaction by `Ledger.write`;
nothing here decides anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from pydantic import TypeAdapter
from routers.receipt import receipt
from sqlalchemy import Connection, Engine, Table, and_, bindparam, delete, insert, or_, select, update
from sqlalchemy.exc import DBAPIError

from routers.follow import clocks
from routers.life import Case, ClockName, Event, Facts
from sinks.database import LedgerUnavailableError, is_conflict, is_unavailable, open_engine, sqlite_url
from sinks.tables import CaseRow, ClockRow, EventRow, InputRow, OutboxRow, ProgressRow

__all__ = [
    "Batch",
    "ConflictError",
    "DueClock",
    "InputRecord",
    "KnownInput",
    "Ledger",
    "LedgerUnavailableError",
    "Loaded",
    "Output",
    "Partition",
    "StoredEvent",
    "case_of",
    "event_of",
    "open_engine",
    "sqlite_url",
]

CHUNK = 500
"""Keys asked for in one statement: below every database's limit of parameters."""

_LIFE: TypeAdapter[Case] = TypeAdapter(Case)
_EVENT_DATA: TypeAdapter[Mapping[str, Any]] = TypeAdapter(Mapping[str, Any])


def _table(model: Any) -> Table:
    return cast("Table", model.__table__)


INPUT, EVENT, CASE, CLOCK, OUTBOX, PROGRESS = (
    _table(model) for model in (InputRow, EventRow, CaseRow, ClockRow, OutboxRow, ProgressRow)
)


class ConflictError(Exception):
    """Somebody else wrote first: roll back, load again, decide again."""


@dataclass(frozen=True, slots=True)
class Partition:
    """A topic partition casework reads."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class KnownInput:
    """An input the ledger has seen, as its first record left it."""

    disposition: str
    code: str | None
    digest: str | None


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event with its place in its case."""

    case_id: str
    seq: int
    input_id: str
    event: Event


@dataclass(frozen=True, slots=True)
class InputRecord:
    """What becomes of one record; see `InputRow`."""

    topic: str
    partition: int
    offset: int
    input_id: str
    kind: str
    actor: str
    disposition: str
    decided_at: datetime
    case_id: str | None = None
    code: str | None = None
    digest: str | None = None
    origin: tuple[str, int, int] | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """A message to publish: the bytes, and the `(case_id, seq)` it belongs to."""

    source: Partition
    message_id: str
    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    case_id: str | None = None
    seq: int = 0


@dataclass(slots=True)
class Batch:
    """All that one transaction writes."""

    inputs: list[InputRecord] = field(default_factory=list)
    events: list[StoredEvent] = field(default_factory=list)
    cases: dict[str, tuple[Case | None, Case]] = field(default_factory=dict)
    """Case id to (as loaded, as decided)."""
    outputs: list[Output] = field(default_factory=list)
    published: Sequence[str] = ()
    """Message ids the broker has acknowledged: they leave the outbox."""
    progress: dict[Partition, tuple[int | None, int, str]] = field(default_factory=dict)
    """Partition to (next offset as loaded, next offset now, topic id)."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the ledger knows of the cases, inputs and partitions a batch names."""

    cases: Mapping[str, Case]
    inputs: Mapping[str, KnownInput]
    origins: frozenset[tuple[str, int, int]]
    progress: Mapping[Partition, tuple[int, str]]


@dataclass(frozen=True, slots=True)
class DueClock:
    """A clock that is due and was not emitted lately."""

    case_id: str
    clock: ClockName
    generation: int
    due_at: datetime


class Ledger:
    """The one way to the ledger for whoever writes it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()

    # -- reading ------------------------------------------------------------------------------

    def load(
        self,
        case_ids: Iterable[str],
        input_ids: Iterable[str],
        origins: Iterable[tuple[str, int, int]],
        partitions: Iterable[Partition],
    ) -> Loaded:
        """Return what the ledger knows of these cases, inputs, origins and partitions.

        Raises:
            LedgerUnavailableError: the database does not answer.
        """
        with self._connected() as connection:
            return Loaded(
                cases={
                    row.case_id: case_of(row.life, row.facts)
                    for row in _by_keys(
                        connection, select(CASE.c.case_id, CASE.c.life, CASE.c.facts), CASE.c.case_id, case_ids
                    )
                },
                inputs={
                    row.input_id: KnownInput(row.disposition, row.code, row.digest)
                    for row in _by_keys(
                        connection,
                        select(INPUT.c.input_id, INPUT.c.disposition, INPUT.c.code, INPUT.c.digest).where(
                            INPUT.c.disposition.not_in(("repeat", "dead_lettered"))
                        ),
                        INPUT.c.input_id,
                        input_ids,
                    )
                },
                origins=_known_origins(connection, origins),
                progress=_progress(connection, partitions),
            )

    def progress(self) -> dict[Partition, tuple[int, str]]:
        """Return the next offset and topic id of every partition the ledger knows."""
        with self._connected() as connection:
            return {
                Partition(row.topic, row.partition): (row.next_offset, row.topic_id)
                for row in connection.execute(select(PROGRESS))
            }

    def outbox(self, partitions: Iterable[Partition] | None = None, limit: int = 10_000) -> list[Output]:
        """Return what is decided but not known to be published, in the order in which it was decided.

        Args:
            partitions: only what came from these; None for all.
            limit: rows at most.
        """
        statement = select(OUTBOX).order_by(OUTBOX.c.position).limit(limit)
        if partitions is not None:
            wanted = [
                and_(OUTBOX.c.source_topic == each.topic, OUTBOX.c.source_partition == each.partition)
                for each in partitions
            ]
            if not wanted:
                return []
            statement = statement.where(or_(*wanted))
        with self._connected() as connection:
            return [_output(row) for row in connection.execute(statement)]

    # -- writing ------------------------------------------------------------------------------

    def write(self, batch: Batch) -> None:
        """Write a batch in one transaction, all or nothing.

        Raises:
            ConflictError: a version, a sequence number, an input or an offset was not as loaded.
            LedgerUnavailableError: the database does not answer or cannot write.
        """
        with self._connected() as connection:
            _write_progress(connection, batch)
            _write_cases(connection, batch)
            _insert(connection, INPUT, [_input_row(each) for each in batch.inputs])
            _insert(connection, EVENT, [_event_row(each) for each in batch.events])
            _write_clocks(connection, batch)
            forget(connection, batch.published)
            _insert(connection, OUTBOX, [_outbox_row(each) for each in batch.outputs])

    def forget_published(self, message_ids: Sequence[str]) -> None:
        """Delete outbox rows the broker has acknowledged (when no batch comes to do it)."""
        with self._connected() as connection:
            forget(connection, message_ids)

    def lease_due_clocks(self, now: datetime, again_after: datetime, limit: int) -> list[DueClock]:
        """Return clocks that are due, marked as emitted so that nobody fires them soon again.

        Args:
            now: clocks due at or before this moment.
            again_after: clocks emitted before this moment are emitted again.
            limit: clocks at most.
        """
        due = and_(CLOCK.c.due_at <= now, or_(CLOCK.c.emitted_at.is_(None), CLOCK.c.emitted_at < again_after))
        statement = select(CLOCK).where(due).order_by(CLOCK.c.due_at).limit(limit)
        with self._connected() as connection:
            rows = connection.execute(statement).all()
            if rows:
                mark = (
                    update(CLOCK)
                    .where(and_(CLOCK.c.case_id == bindparam("b_case"), CLOCK.c.clock == bindparam("b_clock")))
                    .values(emitted_at=now)
                )
                connection.execute(mark, [{"b_case": row.case_id, "b_clock": row.clock} for row in rows])
            return [DueClock(row.case_id, row.clock, row.generation, row.due_at) for row in rows]

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """Begin a transaction and give the database's errors our names."""
        try:
            with self.engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            if is_conflict(error):
                raise ConflictError(str(error.orig)) from error
            if is_unavailable(error):
                raise LedgerUnavailableError(str(error.orig)) from error
            raise


def case_of(life: str, facts: str | None) -> Case:
    """Read a case as stored."""
    case = _LIFE.validate_json(life)
    if facts is None:
        return case
    object.__setattr__(case, "facts", Facts.model_validate_json(facts))
    return case


def event_of(row: Any) -> Event:
    """Read an event as stored."""
    return Event(row.kind, row.at, row.actor, json.loads(row.data))


def _by_keys(connection: Connection, statement: Any, column: Any, keys: Iterable[str]) -> Iterator[Any]:
    wanted = list(dict.fromkeys(keys))
    for start in range(0, len(wanted), CHUNK):
        yield from connection.execute(statement.where(column.in_(wanted[start : start + CHUNK])))


def _known_origins(connection: Connection, origins: Iterable[tuple[str, int, int]]) -> frozenset[tuple[str, int, int]]:
    grouped: dict[tuple[str, int], list[int]] = {}
    for topic, partition, offset in origins:
        grouped.setdefault((topic, partition), []).append(offset)
    known = set()
    for (topic, partition), offsets in grouped.items():
        statement = select(INPUT.c.origin_offset).where(
            INPUT.c.origin_topic == topic, INPUT.c.origin_partition == partition
        )
        known |= {(topic, partition, row[0]) for row in _by_keys(connection, statement, INPUT.c.origin_offset, offsets)}  # type: ignore[arg-type]
    return frozenset(known)


def _progress(connection: Connection, partitions: Iterable[Partition]) -> dict[Partition, tuple[int, str]]:
    wanted = set(partitions)
    rows = connection.execute(select(PROGRESS).where(PROGRESS.c.topic.in_({each.topic for each in wanted})))
    found = {Partition(row.topic, row.partition): (row.next_offset, row.topic_id) for row in rows}
    return {each: found[each] for each in wanted if each in found}


def _write_progress(connection: Connection, batch: Batch) -> None:
    fresh = []
    moved = []
    for each, (before, after, topic_id) in batch.progress.items():
        if before is None:
            fresh.append({"topic": each.topic, "partition": each.partition, "next_offset": after, "topic_id": topic_id})
        else:
            moved.append({"b_topic": each.topic, "b_partition": each.partition, "b_before": before, "b_after": after})
    _insert(connection, PROGRESS, fresh)
    _update_all(connection, _MOVE_PROGRESS, moved, "a partition moved on without us")


_MOVE_PROGRESS = (
    update(PROGRESS)
    .where(
        and_(
            PROGRESS.c.topic == bindparam("b_topic"),
            PROGRESS.c.partition == bindparam("b_partition"),
            PROGRESS.c.next_offset == bindparam("b_before"),
        )
    )
    .values(next_offset=bindparam("b_after"))
)

_LIVING = (
    "version",
    "state",
    "custodian",
    "lead",
    "category",
    "first_dispatched_at",
    "due_at",
    "ended_at",
    "escalated",
    "exemption",
    "life",
    "channel",
    "kind",
    "tier",
    "street",
    "registered_at",
)
_UPDATE_CASE = (
    update(CASE)
    .where(and_(CASE.c.case_id == bindparam("b_case"), CASE.c.version == bindparam("b_version")))
    .values({name: bindparam(f"v_{name}") for name in _LIVING})
)
_UPDATE_CASE_WITH_FACTS = _UPDATE_CASE.values(facts=bindparam("v_facts"))


def _write_cases(connection: Connection, batch: Batch) -> None:
    fresh = []
    changed = []
    registered = []
    for case_id, (before, after) in batch.cases.items():
        row = _case_row(after)
        if before is None:
            fresh.append(row | {"case_id": case_id, "receipt": receipt(case_id), "facts": _facts(after)})
            continue
        values = {f"v_{name}": row[name] for name in _LIVING} | {"b_case": case_id, "b_version": before.seq}
        if before.facts is None and after.facts is not None:
            registered.append(values | {"v_facts": _facts(after)})
        else:
            changed.append(values)
    _insert(connection, CASE, fresh)
    _update_all(connection, _UPDATE_CASE, changed, "a case changed meanwhile")
    _update_all(connection, _UPDATE_CASE_WITH_FACTS, registered, "a case changed meanwhile")


def _case_row(case: Case) -> dict[str, Any]:
    facts = case.facts
    return {
        "version": case.seq,
        "state": str(case.state),
        "channel": facts.channel if facts else None,
        "custodian": case.custodian,
        "lead": case.lead,
        "category": case.category,
        "kind": facts.kind if facts else None,
        "tier": case.tier or None,
        "street": facts.place.street if facts else None,
        "registered_at": case.registered_at,
        "first_dispatched_at": case.first_dispatched_at,
        "due_at": case.due_at,
        "ended_at": case.ended_at,
        "escalated": bool(case.escalated),
        "exemption": case.exemption,
        "life": _LIFE.dump_json(case, exclude={"facts"}, exclude_defaults=True).decode(),
    }


def _facts(case: Case) -> str | None:
    return case.facts.model_dump_json(exclude_none=True) if case.facts else None


def _input_row(each: InputRecord) -> dict[str, Any]:
    topic, partition, offset = each.origin or (None, None, None)
    return {
        "topic": each.topic,
        "partition": each.partition,
        "offset": each.offset,
        "origin_topic": topic,
        "origin_partition": partition,
        "origin_offset": offset,
        "input_id": each.input_id,
        "case_id": each.case_id,
        "kind": each.kind,
        "actor": each.actor,
        "disposition": each.disposition,
        "code": each.code,
        "digest": each.digest,
        "decided_at": each.decided_at,
    }


def _event_row(each: StoredEvent) -> dict[str, Any]:
    return {
        "case_id": each.case_id,
        "seq": each.seq,
        "kind": each.event.kind,
        "actor": each.event.actor,
        "at": each.event.at,
        "input_id": each.input_id,
        "data": _EVENT_DATA.dump_json(each.event.data).decode(),
    }


_DELETE_CLOCK = delete(CLOCK).where(and_(CLOCK.c.case_id == bindparam("b_case"), CLOCK.c.clock == bindparam("b_clock")))


def _write_clocks(connection: Connection, batch: Batch) -> None:
    gone = []
    fresh = []
    for case_id, (before, after) in batch.cases.items():
        was = clocks(before) if before else {}
        runs = clocks(after)
        gone += [{"b_case": case_id, "b_clock": name} for name in was if was[name] != runs.get(name)]
        fresh += [
            {"case_id": case_id, "clock": name, "due_at": due_at, "generation": generation, "emitted_at": None}
            for name, (due_at, generation) in runs.items()
            if was.get(name) != (due_at, generation)
        ]
    if gone:
        connection.execute(_DELETE_CLOCK, gone)
    _insert(connection, CLOCK, fresh)


def _outbox_row(each: Output) -> dict[str, Any]:
    return {
        "message_id": each.message_id,
        "source_topic": each.source.topic,
        "source_partition": each.source.partition,
        "case_id": each.case_id,
        "seq": each.seq,
        "topic": each.topic,
        "key": each.key,
        "value": each.value,
        "headers": json.dumps([[name, value.decode()] for name, value in each.headers]),
    }


def _output(row: Any) -> Output:
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


def forget(connection: Connection, message_ids: Sequence[str]) -> None:
    """Delete these messages from the outbox."""
    if message_ids:
        statement = delete(OUTBOX).where(OUTBOX.c.message_id == bindparam("b_id"))
        connection.execute(statement, [{"b_id": each} for each in message_ids])


def _insert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        connection.execute(insert(table), rows)


def _update_all(connection: Connection, statement: Any, rows: Sequence[Mapping[str, Any]], problem: str) -> None:
    """Run a guarded update for each row; one that meets nothing is a conflict.

    Raises:
        ConflictError: fewer rows changed than were named.
    """
    if rows and connection.execute(statement, rows).rowcount != len(rows):
        raise ConflictError(problem)
