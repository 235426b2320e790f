"""A ledger filled as casework fills it: whole cases by their events, written through the one interface."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine

from routers.demand import Classification, DemandKind, ResolvedPlace
from routers.fold import fold, replay
from routers.life import Case, Event, Facts
from sinks.ledger import Batch, InputRecord, Ledger, Output, Partition, StoredEvent

NINE = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
"""Nine o'clock in the morning in the city: the day of these tests begins."""

DESK = "H-DESK"


def case_id(number: int) -> str:
    """The id of the n-th demand of the day."""
    return f"01KJ0000000000000000{number:06d}"


def minutes(number: float) -> datetime:
    """So many minutes after nine."""
    return NINE + timedelta(minutes=number)


def registered(at: datetime = NINE, *, due_in: timedelta = timedelta(days=5)) -> Event:
    data = {"category": "0701", "tier": "general", "desk": DESK, "due_at": at + due_in}
    return Event("case.registered", at, "pipeline", data)


def happened(kind: str, at: datetime, actor: str = "pipeline", **data: Any) -> Event:
    return Event(f"case.{kind}", at, actor, data)


def dispatched(unit: str, at: datetime, *, actor: str = "pipeline") -> Event:
    accept_by = at + timedelta(hours=2)
    return happened(
        "dispatched", at, actor, unit=unit, co=[], rule="R-7", why="R-7; 噪声", returnable=True, accept_by=accept_by
    )


def handled(unit: str, at: datetime) -> list[Event]:
    """The unit accepts, speaks to the citizen and answers, all within a minute."""
    return [
        happened("accepted", at, unit),
        happened("contacted", at, unit, text="已电话联系"),
        happened("done", at, unit, text="已现场处理", result="solved"),
    ]


def facts(channel: str, at: datetime) -> Facts:
    return Facts(
        channel=channel,
        created_at=at,
        received_at=at,
        text="楼下夜间施工噪声太大",
        place=ResolvedPlace(street="S-01", name="青桥街道"),
        classification=Classification(category="0701", kind=DemandKind.COMPLAINT, confidence=0.9, model="lexicon"),
    )


class FilledLedger:
    """Writes what a test tells it, with the offsets that casework would have seen."""

    def __init__(self, engine: Engine) -> None:
        self._ledger = Ledger(engine)
        self._next: Counter[Partition] = Counter()

    def case(
        self, number: int, *events: Event, channel: str = "app", disposition: str = "opened", partition: int = 0
    ) -> str:
        """A demand came in and all this came of it."""
        name = case_id(number)
        batch = Batch()
        known = facts(channel, events[0].at) if events[0].kind == "case.registered" else None
        batch.cases[name] = (None, replay(name, events, known))
        batch.events = [StoredEvent(name, seq, name, event) for seq, event in enumerate(events, 1)]
        self._write(
            Partition("demands", partition), "demand", disposition, name, origin=f"intake.{channel}", batch=batch
        )
        return name

    def later(self, name: str, *events: Event) -> None:
        """More happens to a case."""
        before = self._ledger.load([name], [], [], []).cases[name]
        after: Case = before
        batch = Batch()
        for event in events:
            after = fold(after, event)
            batch.events.append(StoredEvent(name, after.seq, f"{event.actor}:{after.seq}", event))
        batch.cases[name] = (before, after)
        self._ledger.write(batch)

    def counted(
        self,
        disposition: str,
        name: str | None = None,
        *,
        channel: str = "app",
        partition: int = 0,
        kind: str = "demand",
    ) -> None:
        """An intake record that made no case of its own: a duplicate, a follow-up."""
        self._write(Partition("demands", partition), kind, disposition, name, origin=f"intake.{channel}")

    def dead_letter(self, code: str, *, origin_topic: str = "intake.app", partition: int = 0) -> None:
        """Casework read a dead letter and accounted for its origin."""
        letters = Partition("deadletters", partition)
        self._write(letters, "dead_letter", "dead_lettered", None, origin=origin_topic, code=code)

    def reply(self, name: str, disposition: str, *, code: str | None = None, kind: str = "accept") -> None:
        """A unit's reply met its fate; replies are not intake."""
        self._write(Partition("replies", 0), kind, disposition, name, code=code)

    def waiting(self, number: int) -> None:
        """So many messages are decided and not known to be on the broker."""
        source = Partition("demands", 0)
        outputs = [Output(source, f"demands/0/{each}/0", "work.U-1", b"k", b"v", ()) for each in range(number)]
        self._ledger.write(Batch(outputs=outputs))

    def _write(
        self,
        source: Partition,
        kind: str,
        disposition: str,
        name: str | None,
        *,
        origin: str | None = None,
        code: str | None = None,
        batch: Batch | None = None,
    ) -> None:
        batch = batch or Batch()
        offset = self._take(source)
        origins = Partition(origin, source.partition) if origin else None
        record = InputRecord(
            source.topic,
            source.partition,
            offset,
            f"{kind}:{source.topic}/{source.partition}/{offset}",
            kind,
            "citizen",
            disposition,
            NINE,
            name,
            code,
            None,
            (origins.topic, origins.partition, self._take(origins)) if origins else None,
        )
        batch.inputs.append(record)
        self._ledger.write(batch)

    def _take(self, source: Partition) -> int:
        offset = self._next[source]
        self._next[source] += 1
        return offset


def whole_day(ledger: FilledLedger) -> Sequence[str]:
    """A small day: two cases closed, one by exemption; one overdue; one returned; one with the desk; one answered."""
    noon = minutes(180)
    return (
        ledger.case(
            1,
            registered(),
            dispatched("U-ROADS", NINE),
            *handled("U-ROADS", minutes(30)),
            happened("called_back", noon, DESK, reached=True, solved=True),
            happened("closed", noon, DESK),
        ),
        ledger.case(
            2,
            registered(),
            dispatched("U-ROADS", NINE),
            *handled("U-ROADS", minutes(5)),
            happened("called_back", minutes(10), DESK, reached=False),
            happened("closed", minutes(10), DESK, exemption="unreachable"),
            channel="hotline",
        ),
        ledger.case(
            3,
            registered(due_in=timedelta(hours=1)),
            dispatched("U-WATER", minutes(20)),
            happened("escalated", minutes(60), "clock", clock="due", to="H-SUPV"),
        ),
        ledger.case(
            4,
            registered(minutes(1)),
            dispatched("U-WATER", minutes(1)),
            happened("return_requested", minutes(40), "U-WATER", reason="R1", desk=DESK),
            happened("return_ruled", minutes(50), DESK, upheld=True, unit="U-WATER", reason="不属职责"),
            dispatched("U-ROADS", minutes(50), actor=DESK),
        ),
        ledger.case(
            5,
            registered(minutes(2)),
            happened("review_requested", minutes(2), reason="no_category"),
            disposition="in_review",
            channel="hotline",
        ),
        ledger.case(
            6,
            registered(minutes(3)),
            happened("answered", minutes(3), text="请携带身份证", by="knowledge"),
            disposition="answered",
        ),
    )
