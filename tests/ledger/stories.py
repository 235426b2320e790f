"""Batches as casework would write them, for the ledger's tests."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, text

from routers.fold import fold
from routers.life import Case, Event, Facts
from sinks.ledger import Batch, InputRecord, Ledger, Output, Partition, StoredEvent
from tests.filled_ledger import NINE, case_id, dispatched, facts, handled, registered

DEMANDS = Partition("demands", 0)
REPLIES = Partition("replies", 3)
TABLES = ("input", "event", "case", "clock", "judgement", "outbox", "progress")
UNIT = "U-ROADS"

OPENING = (registered(), dispatched(UNIT, NINE))
HANDLING = tuple(handled(UNIT, NINE))


def record(offset: int, input_id: str, *, source: Partition = DEMANDS, **changes: Any) -> InputRecord:
    """A record of casework's topics that was applied."""
    said: dict[str, Any] = {"kind": "demand", "actor": "citizen", "disposition": "opened", "decided_at": NINE}
    named = said | changes
    return InputRecord(source.topic, source.partition, offset, input_id, **named)


def message(offset: int, number: int = 0, *, source: Partition = DEMANDS, **changes: Any) -> Output:
    """A work item that follows from a record."""
    place = f"{source.topic}/{source.partition}/{offset}/{number}"
    named: dict[str, Any] = {
        "topic": f"work.{UNIT}",
        "key": b"k",
        "value": b"v",
        "headers": (("ce_id", b"1"),),
    } | changes
    return Output(source, place, **named)


def happens(
    batch: Batch,
    before: Case | None,
    name: str,
    *events: Event,
    input_id: str | None = None,
    known: Facts | None = None,
) -> Case:
    """Let events happen to a case within a batch; returns the case after them."""
    case = before or Case(name)
    for event in events:
        registers = event.kind == "case.registered"
        case = fold(case, event, facts=(known or facts("app", event.at)) if registers else None)
        batch.events.append(StoredEvent(name, case.seq, input_id or name, event))
    batch.cases[name] = (before, case)
    return case


def opening(number: int, offset: int, before: int | None = None, *, source: Partition = DEMANDS) -> Batch:
    """A demand arrives at an offset, becomes a case and goes to its unit.

    Args:
        number: of the demand.
        offset: of its record.
        before: the ledger's next offset until now; None when it knows none.
        source: where it is read.
    """
    name = case_id(number)
    batch = Batch(
        inputs=[record(offset, name, source=source, case_id=name, digest="d", origin=("intake.app", 0, number))],
        outputs=[message(offset, each, source=source, case_id=name, seq=2) for each in range(2)],
        progress={source: (before, offset + 1, "topic-id")},
    )
    happens(batch, None, name, *OPENING)
    return batch


def later(before: Case, offset: int, expected: int | None, events: Sequence[Event]) -> Batch:
    """A reply about a case that is already there."""
    input_id = f"{UNIT}:{before.case_id}:{offset}"
    batch = Batch(
        inputs=[record(offset, input_id, source=REPLIES, case_id=before.case_id, disposition="applied")],
        outputs=[message(offset, source=REPLIES, case_id=before.case_id, seq=before.seq + 1)],
        progress={REPLIES: (expected, offset + 1, "topic-id")},
    )
    happens(batch, before, before.case_id, *events, input_id=input_id)
    return batch


@dataclass(frozen=True)
class Content:
    """Every row of a ledger, as the database has it."""

    rows: dict[str, list[tuple[Any, ...]]]

    def count(self) -> dict[str, int]:
        """Rows by table."""
        return {table: len(rows) for table, rows in self.rows.items()}


def content(engine: Engine) -> Content:
    """Read everything, to see that a refused batch changed nothing."""
    with engine.begin() as connection:
        return Content(
            {
                table: sorted(map(tuple, connection.execute(text(f'SELECT * FROM "{table}"'))), key=repr)
                for table in TABLES
            }
        )


def case_now(ledger: Ledger, number: int) -> Case:
    """A case as the ledger has it."""
    return ledger.load([case_id(number)], [], [], []).cases[case_id(number)]
