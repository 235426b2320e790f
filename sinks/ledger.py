"""The ledger: the state of every case, behind one interface, on SQLite or PostgreSQL.

Only SQL that both databases run. A batch is written in one transaction by `Ledger.write`;
nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, and_, or_, select

from routers.follow import clocks
from routers.judgement import judgement
from routers.life import Case
from sinks import rows
from sinks.batch import Batch, DueClock, InputRecord, KnownInput, Loaded, Output, Partition, StoredEvent
from sinks.database import ConflictError, LedgerUnavailableError, open_engine, sqlite_url, transaction
from sinks.rows import CASE, CLOCK, INPUT, OUTBOX, PROGRESS, case_of, event_of
from sinks.tables import utc_text

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

REMEMBERED = 4096
"""Cases whose reading is remembered; some 8 KB each."""

_DECIDED_ELSEWHERE = ("repeat", "duplicate", "dead_lettered")
"""Dispositions of a record that did not decide its input: another one did, or none has yet."""


class Ledger:
    """The one way to the ledger for whoever writes it; used by one thread at a time."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._memory = _Memory()

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
        with self._transaction() as connection:
            return Loaded(
                cases=self._cases(connection, case_ids),
                inputs=_known_inputs(connection, input_ids),
                origins=_known_origins(connection, origins),
                progress=_progress(connection, partitions),
            )

    def _cases(self, connection: Connection, case_ids: Iterable[str]) -> dict[str, Case]:
        """Read cases; what reads the same as before is not parsed again, and its facts not even fetched."""
        lives = select(CASE.c.case_id, CASE.c.life)
        found = {row.case_id: row.life for row in _by_keys(connection, lives, CASE.c.case_id, case_ids)}
        cases = {case_id: self._memory.recall(case_id, life) for case_id, life in found.items()}
        new = [case_id for case_id, case in cases.items() if case is None]
        facts = select(CASE.c.case_id, CASE.c.facts)
        for case_id, text in _by_keys(connection, facts, CASE.c.case_id, new):
            cases[case_id] = case = case_of(found[case_id], text)
            self._memory.keep(case, found[case_id])
        return {case_id: case for case_id, case in cases.items() if case is not None}

    def progress(self) -> dict[Partition, tuple[int, str]]:
        """Return the next offset and topic id of every partition the ledger knows.

        Raises:
            LedgerUnavailableError: the database does not answer.
        """
        with self._transaction() as connection:
            return {
                Partition(row.topic, row.partition): (row.next_offset, row.topic_id)
                for row in connection.execute(select(PROGRESS))
            }

    def outbox(self, partitions: Iterable[Partition] | None = None, limit: int | None = 10_000) -> list[Output]:
        """Return what is decided but not known to be published, in the order in which it was decided.

        What the broker refused for good is not among it.

        Args:
            partitions: only what came from these; None for all.
            limit: rows at most; None for all.

        Raises:
            LedgerUnavailableError: the database does not answer.
        """
        statement = select(OUTBOX).where(OUTBOX.c.refused.is_(None)).order_by(OUTBOX.c.position).limit(limit)
        if partitions is not None:
            wanted = [
                and_(OUTBOX.c.source_topic == each.topic, OUTBOX.c.source_partition == each.partition)
                for each in partitions
            ]
            if not wanted:
                return []
            statement = statement.where(or_(*wanted))
        with self._transaction() as connection:
            return [rows.output_of(row) for row in connection.execute(statement)]

    # -- writing ------------------------------------------------------------------------------

    def write(self, batch: Batch) -> None:
        """Write a batch in one transaction, all or nothing.

        Raises:
            ConflictError: a version, a sequence number, an input or an offset was not as loaded.
            LedgerUnavailableError: the database does not answer or cannot write.
        """
        lives = {case_id: rows.life_of(after) for case_id, (_before, after) in batch.cases.items()}
        inputs = [rows.input_row(each) for each in batch.inputs]
        events = [rows.event_row(each) for each in batch.events]
        messages = [rows.outbox_row(each) for each in batch.outputs]
        with self._transaction() as connection:
            _write_progress(connection, batch)
            _write_cases(connection, batch, lives)
            rows.INSERT_INPUT.run(connection, inputs)
            rows.INSERT_EVENT.run(connection, events)
            _write_clocks(connection, batch)
            _write_judgements(connection, batch)
            _write_parts(connection, batch)
            _forget(connection, batch.published)
            rows.INSERT_OUTBOX.run(connection, messages)
        for case_id, (_before, after) in batch.cases.items():
            self._memory.keep(after, lives[case_id])

    def forget_published(self, message_ids: Sequence[str]) -> None:
        """Delete outbox rows the broker has acknowledged (when no batch comes to do it).

        Raises:
            LedgerUnavailableError: the database does not answer or cannot write.
        """
        with self._transaction() as connection:
            _forget(connection, message_ids)

    def park(self, message_id: str, why: str) -> None:
        """Keep an outbox row that the broker will never take, and try it no more.

        Raises:
            LedgerUnavailableError: the database does not answer or cannot write.
        """
        with self._transaction() as connection:
            rows.PARK.run(connection, [(why, message_id)])

    def clock_is_due(self, now: datetime, again_after: datetime) -> bool:
        """Tell whether `lease_due_clocks` would return any.

        Raises:
            LedgerUnavailableError: the database does not answer.
        """
        with self._transaction() as connection:
            statement = select(CLOCK.c.case_id).where(_due(now, again_after)).limit(1)
            return connection.execute(statement).first() is not None

    def lease_due_clocks(self, now: datetime, again_after: datetime, limit: int) -> list[DueClock]:
        """Return clocks that are due, marked as emitted so that nobody fires them soon again.

        Args:
            now: clocks due at or before this moment.
            again_after: clocks emitted before this moment are emitted again.
            limit: clocks at most.

        Raises:
            LedgerUnavailableError: the database does not answer or cannot write.
        """
        due = select(CLOCK).where(_due(now, again_after)).order_by(CLOCK.c.due_at).limit(limit)
        # Two tickers at once share the clocks out; SQLite has one writer and leaves these words out.
        statement = due.with_for_update(skip_locked=True)
        with self._transaction() as connection:
            found = connection.execute(statement).all()
            rows.LEASE_CLOCK.run(connection, [(utc_text(now), each.case_id, each.clock) for each in found])
            return [DueClock(each.case_id, each.clock, each.generation, each.due_at) for each in found]

    def _transaction(self) -> AbstractContextManager[Connection]:
        return transaction(self.engine)


def _due(now: datetime, again_after: datetime) -> ColumnElement[bool]:
    return and_(CLOCK.c.due_at <= now, or_(CLOCK.c.emitted_at.is_(None), CLOCK.c.emitted_at < again_after))


class _Memory:
    """Cases already read, by the very text they were read from: it saves parsing and can never be stale."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, Case]] = {}

    def recall(self, case_id: str, life: str) -> Case | None:
        """Return the case that this text was read as or written from."""
        known = self._known.get(case_id)
        return known[1] if known and known[0] == life else None

    def keep(self, case: Case, life: str) -> None:
        """Remember a case, and forget the one untouched for longest."""
        self._known.pop(case.case_id, None)
        self._known[case.case_id] = (life, case)
        if len(self._known) > REMEMBERED:
            del self._known[next(iter(self._known))]


def _by_keys(connection: Connection, statement: Any, column: Any, keys: Iterable[str | int]) -> Iterator[Any]:
    wanted = list(dict.fromkeys(keys))
    for start in range(0, len(wanted), CHUNK):
        yield from connection.execute(statement.where(column.in_(wanted[start : start + CHUNK])))


def _known_inputs(connection: Connection, input_ids: Iterable[str]) -> dict[str, KnownInput]:
    statement = select(INPUT.c.input_id, INPUT.c.disposition, INPUT.c.code, INPUT.c.digest).where(
        INPUT.c.disposition.not_in(_DECIDED_ELSEWHERE)
    )
    found = _by_keys(connection, statement, INPUT.c.input_id, input_ids)
    return {input_id: KnownInput(disposition, code, digest) for input_id, disposition, code, digest in found}


def _known_origins(connection: Connection, origins: Iterable[tuple[str, int, int]]) -> frozenset[tuple[str, int, int]]:
    grouped: dict[tuple[str, int], list[int]] = {}
    for topic, partition, offset in origins:
        grouped.setdefault((topic, partition), []).append(offset)
    known = set()
    for (topic, partition), offsets in grouped.items():
        statement = select(INPUT.c.origin_offset).where(
            INPUT.c.origin_topic == topic, INPUT.c.origin_partition == partition
        )
        known |= {(topic, partition, row[0]) for row in _by_keys(connection, statement, INPUT.c.origin_offset, offsets)}
    return frozenset(known)


def _progress(connection: Connection, partitions: Iterable[Partition]) -> dict[Partition, tuple[int, str]]:
    wanted = set(partitions)
    found = connection.execute(select(PROGRESS).where(PROGRESS.c.topic.in_({each.topic for each in wanted})))
    progress = {Partition(row.topic, row.partition): (row.next_offset, row.topic_id) for row in found}
    return {each: progress[each] for each in wanted if each in progress}


def _write_progress(connection: Connection, batch: Batch) -> None:
    fresh = []
    moved = []
    for each, (before, after, topic_id) in sorted(batch.progress.items(), key=_by_place):
        if before is None:
            fresh.append((each.topic, each.partition, topic_id, after))
        else:
            moved.append((after, each.topic, each.partition, before))
    rows.INSERT_PROGRESS.run(connection, fresh)
    _all_met(rows.MOVE_PROGRESS.run(connection, moved), moved, "a partition moved on without us")


def _by_place(item: tuple[Partition, object]) -> tuple[str, int]:
    """Order partitions: two writers that lock in one order never wait for each other in a ring."""
    return item[0].topic, item[0].partition


def _write_cases(connection: Connection, batch: Batch, lives: dict[str, str]) -> None:
    fresh = []
    moved = []
    registered = []
    for case_id in sorted(batch.cases):
        before, after = batch.cases[case_id]
        if before is None:
            fresh.append(rows.new_case_row(after, lives[case_id]))
        elif before.facts is None and after.facts is not None:
            registered.append(rows.registered_case_row(before, after, lives[case_id]))
        else:
            moved.append(rows.moved_case_row(before, after, lives[case_id]))
    rows.INSERT_CASE.run(connection, fresh)
    _all_met(rows.MOVE_CASE.run(connection, moved), moved, "a case changed meanwhile")
    _all_met(rows.REGISTER_CASE.run(connection, registered), registered, "a case changed meanwhile")


def _write_clocks(connection: Connection, batch: Batch) -> None:
    gone = []
    fresh = []
    for case_id, (before, after) in batch.cases.items():
        was = clocks(before) if before else {}
        runs = clocks(after)
        gone += [(case_id, name) for name in was if was[name] != runs.get(name)]
        fresh += [
            (case_id, name, generation, utc_text(due_at), None)
            for name, (due_at, generation) in runs.items()
            if was.get(name) != (due_at, generation)
        ]
    rows.STOP_CLOCK.run(connection, gone)
    rows.INSERT_CLOCK.run(connection, fresh)


def _write_judgements(connection: Connection, batch: Batch) -> None:
    gone = []
    fresh = []
    for case_id, (before, after) in batch.cases.items():
        was = judgement(before) if before else None
        now = judgement(after)
        if was != now:
            gone += [(case_id,)] if was else []
            fresh += [rows.judgement_row(case_id, now)] if now else []
    rows.UNJUDGE.run(connection, gone)
    rows.INSERT_JUDGEMENT.run(connection, fresh)


def _write_parts(connection: Connection, batch: Batch) -> None:
    fresh = [
        (part, case_id, number)
        for case_id, (before, after) in batch.cases.items()
        if after.children and not (before and before.children)
        for number, part in enumerate(after.children, 1)
    ]
    rows.INSERT_PART.run(connection, fresh)


def _forget(connection: Connection, message_ids: Sequence[str]) -> None:
    rows.FORGET.run(connection, [(each,) for each in message_ids])


def _all_met(met: int, wanted: Sequence[object], problem: str) -> None:
    """Hold a guarded update to its rows; one that meets nothing is a conflict.

    Raises:
        ConflictError: fewer rows changed than were named.
    """
    if met != len(wanted):
        raise ConflictError(problem)
