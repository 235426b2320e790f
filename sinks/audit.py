"""The proof that every intake record is accounted for, once.

It shares nothing with the code it checks: plain SQL of its own against the ledger, and what
Kafka says of its logs, handed in. The claim: for each partition of intake, every offset below
the end of the log has exactly one row, no row stands for a record that is not there, and what
the log still holds belongs to the case the row names. Below the start of the log (what has
expired) the ledger is the proof, so there every offset must have its row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from sqlalchemy import Connection, Engine, text

COUNTED = ("opened", "linked", "answered", "declined", "in_review", "duplicate", "follow_up", "dead_lettered")
"""The ways to be accounted for."""

NAMED = 1000
"""So many broken cases are named at most; one is enough to say no."""


@dataclass(frozen=True, slots=True)
class PartitionLog:
    """What Kafka says of one partition of intake."""

    channel: str
    topic: str
    partition: int
    start: int
    """First offset the log still holds."""
    end: int
    """Offset the next record will have: so many were ever accepted."""
    keys: Mapping[int, str | None] | None = None
    """Demand id of each record from start to end, None for one that names none; None when nobody read them.

    Offsets that are missing here hold no record: marks of a channel that writes in transactions.
    """


@dataclass(frozen=True, slots=True)
class Forged:
    """A row of the ledger that no intake record stands behind."""

    channel: str
    partition: int
    offset: int
    reason: str
    """`beyond_end`, `no_record`, `wrong_case`, `counted_twice`, `unknown_disposition` or `no_such_partition`."""
    case_id: str | None = None
    expected: str | None = None
    """The demand id that Kafka holds there."""


@dataclass(frozen=True, slots=True)
class PartitionReport:
    """The account of one partition."""

    channel: str
    partition: int
    read: int
    counted: Mapping[str, int]
    gaps: tuple[range, ...] = ()
    """Offsets without a row, as ranges: a million of them are still one line."""

    @property
    def missing(self) -> int:
        """Return how many offsets have no row."""
        return sum(len(gap) for gap in self.gaps)

    def document(self) -> dict[str, Any]:
        """Return it as `yiwang audit --json` shows it, each missing offset by its number."""
        return {
            "channel": self.channel,
            "partition": self.partition,
            "read": self.read,
            **{name: self.counted.get(name, 0) for name in COUNTED},
            "missing": [offset for gap in self.gaps for offset in gap],
        }


@dataclass(frozen=True, slots=True)
class AuditReport:
    """All accounts, and what is wrong beside them."""

    channels: tuple[PartitionReport, ...]
    forged: tuple[Forged, ...] = ()
    broken: tuple[tuple[str, str], ...] = ()
    """(case id, what is wrong with its events); at most `NAMED`."""
    cases: int = 0
    events: int = 0
    outbox: int = 0
    """Messages decided and not known to be on the broker: late, not lost."""

    @property
    def unaccounted(self) -> int:
        """Return how many offsets have no row, or a row that proves nothing."""
        return sum(each.missing for each in self.channels) + len(self.forged)

    @property
    def ok(self) -> bool:
        """Tell whether everything is accounted for and every case has its whole history."""
        return not self.unaccounted and not self.broken

    def document(self) -> dict[str, Any]:
        """Return the document of `yiwang audit --json`."""
        return {
            "ok": self.ok,
            "channels": [each.document() for each in self.channels],
            "unaccounted": self.unaccounted,
            "forged": [
                {"channel": each.channel, "partition": each.partition, "offset": each.offset, "reason": each.reason}
                | {"case_id": each.case_id, "expected": each.expected}
                for each in self.forged
            ],
            "broken": [{"case_id": case_id, "reason": reason} for case_id, reason in self.broken],
            "cases": self.cases,
            "events": self.events,
            "outbox": self.outbox,
        }

    def lines(self) -> Iterator[str]:
        """Return what is wrong, one sentence each; nothing when all is well."""
        for each in self.channels:
            if each.gaps:
                offsets = ", ".join(_span(gap) for gap in each.gaps)
                yield f"intake.{each.channel}[{each.partition}]: {each.missing} not accounted for: {offsets}"
        for false in self.forged:
            told = f" (case {false.case_id}, Kafka holds {false.expected})" if false.reason == "wrong_case" else ""
            yield f"intake.{false.channel}[{false.partition}]@{false.offset}: forged row: {false.reason}{told}"
        for case_id, reason in self.broken:
            yield f"case {case_id}: {reason}"


@dataclass(slots=True)
class _Account:
    """One partition while its rows go by."""

    log: PartitionLog
    counted: Counter[str] = field(default_factory=Counter)
    gaps: list[range] = field(default_factory=list)
    forged: list[Forged] = field(default_factory=list)
    expected: int = 0
    """The offset that must come next."""

    def row(self, offset: int, disposition: str, case_id: str | None) -> None:
        """Take one row, in the order of offsets."""
        log = self.log
        if not 0 <= offset < log.end:
            self._forged(offset, "beyond_end", case_id)
            return
        if offset < self.expected:
            self._forged(offset, "counted_twice", case_id)
            return
        self._skip_to(offset)
        self.expected = offset + 1
        if disposition not in COUNTED:
            self._forged(offset, "unknown_disposition", case_id)
            return
        if log.keys is not None and offset >= log.start:
            if offset not in log.keys:
                self._forged(offset, "no_record", case_id)
                return
            key = log.keys[offset]
            # A dead letter belongs to no case, whatever its sender named it.
            if key is not None and case_id != key and disposition != "dead_lettered":
                self._forged(offset, "wrong_case", case_id, key)
                return
        self.counted[disposition] += 1

    def close(self) -> PartitionReport:
        """Return the account, with all that is missing up to the end of the log."""
        self._skip_to(self.log.end)
        return PartitionReport(self.log.channel, self.log.partition, self.log.end, dict(self.counted), tuple(self.gaps))

    def _skip_to(self, offset: int) -> None:
        """Note the offsets from the expected one to this as missing, where a record stands there."""
        log = self.log
        if log.keys is None or offset <= log.start:
            self._missing(range(self.expected, offset))
            return
        below = max(self.expected, log.start)
        self._missing(range(self.expected, below))
        for each in range(below, offset):
            if each in log.keys:
                self._missing(range(each, each + 1))

    def _missing(self, gap: range) -> None:
        if not gap:
            return
        if self.gaps and self.gaps[-1].stop == gap.start:
            self.gaps[-1] = range(self.gaps[-1].start, gap.stop)
        else:
            self.gaps.append(gap)

    def _forged(self, offset: int, reason: str, case_id: str | None, expected: str | None = None) -> None:
        self.forged.append(Forged(self.log.channel, self.log.partition, offset, reason, case_id, expected))


def audit(engine: Engine, intake: Iterable[PartitionLog]) -> AuditReport:
    """Hold the ledger against Kafka's logs.

    Args:
        engine: of the ledger, read-only.
        intake: every partition of every intake topic. Best a generator that asks Kafka as it goes: the
            ledger's moment is fixed first, so what arrives meanwhile cannot look forged.

    Raises:
        sqlalchemy.exc.DBAPIError: the ledger does not answer.
    """
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            known = {(row[0], row[1]) for row in connection.execute(text(_PARTITIONS))}
            reports: list[PartitionReport] = []
            forged: list[Forged] = []
            for log in intake:
                known.discard((log.topic, log.partition))
                account = _Account(log)
                for row in _rows(connection, log.topic, log.partition):
                    account.row(*row)
                reports.append(account.close())
                forged += account.forged
            for topic, partition in sorted(known):
                channel = topic.removeprefix("intake.")
                forged += [
                    Forged(channel, partition, offset, "no_such_partition", case_id)
                    for offset, _disposition, case_id in _rows(connection, topic, partition)
                ]
            numbers = connection.execute(text(_NUMBERS)).one()
            return AuditReport(
                tuple(sorted(reports, key=lambda each: (each.channel, each.partition))),
                tuple(forged),
                tuple(_broken(connection)),
                *numbers,
            )


_PARTITIONS = "SELECT DISTINCT origin_topic, origin_partition FROM input WHERE origin_topic LIKE 'intake.%'"
_ROWS = text("""
    SELECT origin_offset, disposition, case_id FROM input
    WHERE origin_topic = :topic AND origin_partition = :partition ORDER BY origin_offset
""").execution_options(yield_per=5000)
_NUMBERS = 'SELECT (SELECT COUNT(*) FROM "case"), (SELECT COUNT(*) FROM event), (SELECT COUNT(*) FROM outbox)'

_BROKEN: Mapping[str, str] = {
    "its events are not numbered 1 to its version without a gap": """
        SELECT c.case_id FROM "case" c LEFT JOIN event e ON e.case_id = c.case_id
        GROUP BY c.case_id, c.version
        HAVING COUNT(e.seq) <> c.version OR MIN(e.seq) <> 1 OR MAX(e.seq) <> c.version
    """,
    "it has events and no case": """
        SELECT DISTINCT e.case_id FROM event e
        WHERE NOT EXISTS (SELECT 1 FROM "case" c WHERE c.case_id = e.case_id)
    """,
    "it was accounted for as a case and never registered": """
        SELECT i.case_id FROM input i
        WHERE i.origin_topic LIKE 'intake.%' AND i.disposition IN ('opened', 'in_review', 'answered', 'declined')
        AND NOT EXISTS (SELECT 1 FROM event e WHERE e.case_id = i.case_id AND e.kind = 'case.registered')
    """,
    "it was registered and no intake record asked for it": """
        SELECT e.case_id FROM event e WHERE e.kind = 'case.registered'
        AND NOT EXISTS (SELECT 1 FROM input i WHERE i.case_id = e.case_id AND i.origin_topic LIKE 'intake.%'
                        AND i.disposition IN ('opened', 'in_review', 'answered', 'declined', 'linked'))
        AND NOT EXISTS (SELECT 1 FROM part p JOIN event s ON s.case_id = p.parent AND s.kind = 'case.split'
                        WHERE p.case_id = e.case_id)
    """,
    "its parent was split and it was never opened": """
        SELECT p.case_id FROM part p
        WHERE NOT EXISTS (SELECT 1 FROM event e WHERE e.case_id = p.case_id AND e.kind = 'case.registered')
    """,
    "it was split and its parts are not known": """
        SELECT s.case_id FROM event s WHERE s.kind = 'case.split'
        AND (SELECT COUNT(*) FROM part p WHERE p.parent = s.case_id) < 2
    """,
    "it was registered twice": """
        SELECT e.case_id FROM event e WHERE e.kind = 'case.registered' GROUP BY e.case_id HAVING COUNT(*) > 1
    """,
}
"""What may be wrong with a case, and the question that finds it."""


def _rows(connection: Connection, topic: str, partition: int) -> Iterator[Any]:
    """Return a partition's rows in the order of offsets, without holding all of them."""
    # In the statement's options: those of a connection would stay for the questions after this one.
    yield from connection.execute(_ROWS, {"topic": topic, "partition": partition})


def _broken(connection: Connection) -> Iterator[tuple[str, str]]:
    room = count(NAMED, -1)
    for reason, question in _BROKEN.items():
        for row in connection.execute(text(f"{question} ORDER BY 1 LIMIT {NAMED}")):
            if next(room) <= 0:
                return
            yield str(row[0]), reason


def _span(gap: range) -> str:
    return str(gap.start) if len(gap) == 1 else f"{gap.start}-{gap.stop - 1}"
