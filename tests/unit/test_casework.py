"""The one transaction, on a real ledger and a broker that is a list: what a batch must survive."""

import itertools
import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from routers.case import decide
from routers.demand import Classification, DemandKind, ResolvedPlace, Ruling, Verdict
from routers.inputs import Input
from routers.life import Case, CaseState, ClockName, Decision
from sinks.database import open_engine, sqlite_url
from sinks.ledger import Batch, DueClock, Ledger, LedgerUnavailableError, Output, Partition
from sinks.schema import migrate
from sinks.tables import utc_text
from streams import casework as module
from streams import decoding, envelope, keys, outputs, signatures, topics
from streams import messages as wire
from streams.casework import OWN_FAILURES, Arrived, Casework, HaltError, RefusedError, arrived
from streams.cluster import ClusterError
from streams.contacts import Brought
from streams.producer import BatchProducer
from streams.records import Record
from streams.takeover import Takeover
from streams.ticker import _command
from tests.cities import qinglan

LAMPS, ROADS, DESK = "U-LIGHT", "U-ROAD", "H-HOTLINE"
NINE = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
STEPS = ("take", "load", "decide", "derive", "write", "publish", "ack")


class Killed(BaseException):
    """What SIGKILL is in one process: nothing below the test sees it coming."""


class Broker:
    """Takes outputs; what is published again under its id is the same effect."""

    def __init__(self) -> None:
        self.log: list[Output] = []
        self.away = False
        self.refuses: Callable[[Output], bool] = lambda _output: False

    def publish(self, outputs: Sequence[Output], timeout: float) -> Arrived:
        assert timeout > 0
        if outputs and self.away:
            return self._fail(HaltError("no broker"))
        refused = next(filter(self.refuses, outputs), None)
        if refused is not None:  # what came before it in its batch may be on the broker, what came with it not
            self.log += outputs[: outputs.index(refused) // 2]
            return self._fail(RefusedError(refused.message_id))
        self.log += outputs
        return arrived

    def _fail(self, error: HaltError) -> Arrived:
        """Return what a batch that does not arrive waits for."""

        def _wait() -> None:
            raise error

        return _wait

    @property
    def effects(self) -> dict[str, Output]:
        """Each output once, by its id; one that says two things under one id fails the test."""
        seen: dict[str, Output] = {}
        for each in self.log:
            known = seen.setdefault(each.message_id, each)
            assert (known.topic, known.key, known.value) == (each.topic, each.key, each.value)
        return seen

    def on(self, topic: str) -> list[Output]:
        return [each for each in self.effects.values() if each.topic == topic]

    def outcomes(self, channel: str = "app") -> list[wire.Outcome]:
        return [decoding.decode(wire.OUTCOME, each.value) for each in self.on(topics.outcome(channel))]

    def results(self, unit: str) -> dict[str, str]:
        """What the unit was told of its replies, by their ids."""
        headers = [each.headers for each in self.on(topics.work(unit))]
        named = [
            (envelope.header(each, envelope.REPLY_HEADER), envelope.header(each, envelope.RESULT_HEADER))
            for each in headers
        ]
        return {reply: result for reply, result in named if reply is not None and result is not None}

    def letters(self) -> list[wire.DeadLetter]:
        found = (envelope.header(each.headers, envelope.LETTER_HEADER) for each in self.on(topics.DEADLETTERS))
        return [decoding.decode(wire.DEADLETTER, each.encode()) for each in found if each]


class Counts:
    """Counts as the metrics do."""

    def __init__(self) -> None:
        self.fates: Counter[tuple[str, str, str | None]] = Counter()
        self.conflicts = 0

    def batch(self, size: int, seconds: float) -> None:
        pass

    def decided(self, kind: str, disposition: str, code: str | None) -> None:
        self.fates[kind, disposition, code] += 1

    def conflict(self) -> None:
        self.conflicts += 1

    def queued(self, seconds: float) -> None:
        assert seconds >= 0


class Office:
    """The topics that casework reads, a ledger on disk, and workers that come and go."""

    def __init__(self, folder: Path, laid: Path) -> None:
        shutil.copyfile(laid, folder / "ledger.db")
        self.url = sqlite_url(folder / "ledger.db")
        self.keys = folder / "keys"
        for unit in (LAMPS, ROADS, DESK):
            keys.issue(self.keys, unit)
        self.broker = Broker()
        self.counts = Counts()
        self._ends: Counter[Partition] = Counter()
        self._number = itertools.count(1)
        self._open: list[Ledger] = []

    def worker(self, fault: Callable[[str], None] = lambda _step: None, **changes: Any) -> Casework:
        """A worker that starts with nothing but the ledger."""
        ledger = Ledger(open_engine(self.url))
        self._open.append(ledger)
        return Casework(
            ledger,
            qinglan(),
            keys.KeyRing(self.keys),
            self.broker,
            lambda plain, context: b"sealed " + context + plain[:0],
            lambda: NINE + timedelta(minutes=1),
            self.counts,
            dict.fromkeys(topics.casework_topics(), "topic-1"),
            fault=fault,
            **changes,
        )

    def close(self) -> None:
        for ledger in self._open:
            ledger.close()

    # -- what arrives ---------------------------------------------------------------------------

    def case_id(self) -> str:
        return f"01KJ0000000000000000{next(self._number):06d}"

    def record(
        self, topic: str, key: str, value: bytes | None, headers: envelope.Headers = (), *, partition: int = 0
    ) -> Record:
        place = Partition(topic, partition)
        offset = self._ends[place]
        self._ends[place] += 1
        return Record(topic, partition, offset, key.encode(), value, headers, NINE.timestamp())

    def demand(
        self, case_id: str, *, words: str = "路灯不亮", address: str = "解放路1号", partition: int = 0, **said: Any
    ) -> Record:
        """A demand that triage has dispatched to the lamps; its digest changes with its address."""
        origin = self._origin(partition)
        message = wire.TriagedDemand(
            origin=origin,
            demand_id=case_id,
            channel="app",
            created_at=NINE,
            received_at=NINE,
            triaged_at=NINE,
            digest=f"digest of {address}",
            text=words,
            address=address,
            place=ResolvedPlace(street="S01"),
            classification=Classification(category="0505", kind=DemandKind.HELP, confidence=0.9, model="test"),
            tier="general",
            verdict=Verdict(ruling=Ruling.DISPATCH, reason="catalogue", unit=LAMPS, rule="R"),
            city_version="1",
            **said,
        )
        return self.record(topics.DEMANDS, case_id, message.encode(), partition=partition)

    def withdrawal(self, case_id: str, *, partition: int = 0, follow_up: str = "w1") -> Record:
        message = wire.TriagedFollowUp(
            origin=self._origin(partition),
            follow_up_id=follow_up,
            demand_id=case_id,
            channel="app",
            action="withdraw",
            created_at=NINE + timedelta(milliseconds=1),
        )
        return self.record(topics.DEMANDS, case_id, message.encode(), partition=partition)

    def _origin(self, partition: int) -> wire.Origin:
        place = Partition("intake.app", partition)
        self._ends[place] += 1
        return wire.Origin(topic=place.topic, partition=partition, offset=self._ends[place] - 1)

    def reply(self, message: wire.ReplyBase, *, signer: str | None = None, partition: int = 0, **forged: Any) -> Record:
        """A reply as its unit's client sends it; `signer` and `forged` (secret, key, about) are the liar's."""
        key = keys.current(self.keys, signer or message.unit)
        about = forged.get("about", message.reply_id)
        signature = signatures.sign(forged.get("secret", key.secret), message.reply_id, message.encode())
        headers = [
            *envelope.ce_headers(type(message), about, subject=message.case_id),
            (envelope.KEY_HEADER, forged.get("key", key.key_id).encode()),
            (envelope.SIGNATURE_HEADER, signature.encode()),
        ]
        return self.record(topics.REPLIES, message.case_id, message.encode(), headers, partition=partition)

    def accept(self, case_id: str, *, unit: str = LAMPS, partition: int = 0, **forged: Any) -> Record:
        message = wire.Accept(reply_id=f"accept-{case_id}", unit=unit, case_id=case_id, at=NINE)
        return self.reply(message, partition=partition, **forged)

    def fires(self, case_id: str, clock: ClockName, *, due_at: datetime | None = None) -> Record:
        """A command as the ticker sends it for a clock that stands in the ledger, or stood there."""
        stands = self.clocks().get(clock)
        at, generation = stands or (due_at or NINE, 1)
        output = _command(DueClock(case_id, clock, generation, due_at or at), at)
        return self.record(topics.COMMANDS, case_id, output.value, output.headers)

    # -- what there is --------------------------------------------------------------------------

    def clocks(self) -> dict[str, tuple[datetime, int]]:
        """When each clock of the one case runs out, and its generation."""
        found = self.rows("SELECT clock, due_at, generation FROM clock")
        return {name: (datetime.fromisoformat(due_at), generation) for name, due_at, generation in found}

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with self._open[-1].engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]

    def fates(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for case_id, seq, kind in self.rows("SELECT case_id, seq, kind FROM event ORDER BY case_id, seq"):
            events = found.setdefault(case_id, [])
            events.append(kind.removeprefix("case."))
            assert len(events) == seq
        return found

    def dispositions(self) -> list[str]:
        return [row[0] for row in self.rows('SELECT disposition FROM input ORDER BY topic, "partition", "offset"')]

    def progress(self) -> dict[tuple[str, int], int]:
        return {(row[0], row[1]): row[2] for row in self.rows('SELECT topic, "partition", next_offset FROM progress')}


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("laid") / "ledger.db"
    migrate(sqlite_url(path))
    return path


@pytest.fixture
def office(tmp_path: Path, laid: Path) -> Iterator[Office]:
    office = Office(tmp_path, laid)
    yield office
    office.close()


# ---- killed at any step -----------------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS)
def test_a_worker_that_dies_at_a_step_leaves_its_work_to_the_next(office: Office, step: str) -> None:
    case_ids = [office.case_id() for _ in range(3)]
    records = [office.demand(each) for each in case_ids] + [office.accept(case_ids[0])]

    def die(reached: str) -> None:
        if reached == step:
            raise Killed

    with pytest.raises(Killed):
        office.worker(die).transact(records)

    successor = office.worker()
    takeover(office, successor).take([Partition(topics.DEMANDS, 0), Partition(topics.REPLIES, 0)])
    assert successor.transact(records) == {Partition(topics.DEMANDS, 0): 3, Partition(topics.REPLIES, 0): 1}

    opened = ["registered", "dispatched"]
    assert office.fates() == {case_ids[0]: [*opened, "accepted"], case_ids[1]: opened, case_ids[2]: opened}
    assert [each.code for each in office.broker.outcomes()] == ["accepted"] * 3 + ["state"]
    assert len(office.broker.on(topics.work(LAMPS))) == 4
    assert office.dispositions() == ["opened"] * 3 + ["applied"]


class Logs:
    """What the cluster says of the logs."""

    def __init__(self, ends: Mapping[Partition, int], starts: Mapping[Partition, int] | None = None) -> None:
        self._ends, self._starts = ends, starts or {}

    def ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        return {each: self._ends[each] for each in partitions}

    def starts(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        return {each: self._starts.get(each, 0) for each in partitions}


def takeover(office: Office, worker: Casework, logs: Logs | None = None) -> Takeover:
    cluster: Any = logs or Logs(office._ends)
    return Takeover(worker, worker.ledger, cluster)


# ---- taking a partition -----------------------------------------------------------------------------


def test_reading_starts_where_the_ledger_says_and_what_was_left_is_published(office: Office) -> None:
    office.broker.away = True
    records = [office.demand(office.case_id()) for _ in range(4)]
    with pytest.raises(HaltError, match="no broker"):
        office.worker().transact(records)
    assert not office.broker.log

    office.broker.away = False
    successor = office.worker()
    replies = Partition(topics.REPLIES, 0)
    assert takeover(office, successor).take([records[0].source, replies]) == {records[0].source: 4, replies: 0}
    assert [each.code for each in office.broker.outcomes()] == ["accepted"] * 4
    assert successor.ledger.outbox() == []


def test_what_the_broker_refuses_for_good_is_put_aside_and_the_rest_is_said_in_order(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    case_ids = [office.case_id() for _ in range(5)]
    records = [office.demand(each) for each in case_ids] + [office.accept(each) for each in case_ids]
    office.broker.refuses = lambda output: output.message_id == "demands/0/2/0"
    with pytest.raises(RefusedError, match="demands/0/2/0"):
        office.worker().transact(records)
    successor = office.worker()
    for _ in range(2):
        takeover(office, successor).take([Partition(topics.DEMANDS, 0), Partition(topics.REPLIES, 0)])
    assert successor.ledger.outbox() == []
    assert office.rows("SELECT message_id FROM outbox WHERE refused LIKE 'demands/0/2/0%'") == [("demands/0/2/0",)]
    assert "refuses a message for good" in caplog.text
    last = {each.key: each.message_id for each in office.broker.log if each.topic == topics.work(LAMPS)}
    assert last == {case_id.encode(): f"replies/0/{number}/0" for number, case_id in enumerate(case_ids)}
    assert len(office.broker.on(topics.work(LAMPS))) == 2 * len(case_ids) - 1
    assert successor.transact([office.demand(office.case_id())])


def test_a_message_too_large_for_any_broker_is_named() -> None:
    producer = BatchProducer({"bootstrap.servers": "127.0.0.1:9", "log_level": 0})
    large = Output(Partition(topics.REPLIES, 0), "replies/0/7/0", topics.work(LAMPS), b"k", b"x" * FLOOD, ())
    with pytest.raises(RefusedError, match=r"replies/0/7/0 for work\.U-LIGHT: .* too large"):
        producer.publish([large], 1.0)()


def test_what_no_broker_takes_in_time_is_counted() -> None:
    producer = BatchProducer({"bootstrap.servers": "127.0.0.1:9", "log_level": 0})
    small = [
        Output(Partition(topics.REPLIES, 0), f"replies/0/{number}/0", topics.work(LAMPS), b"k", b"v", ())
        for number in range(3)
    ]
    first, second = producer.publish(small[:1], 0.05), producer.publish(small[1:], 0.05)
    with pytest.raises(HaltError, match="1 of 1 messages are not on the broker: no answer in time"):
        first()
    with pytest.raises(HaltError, match="2 of 2 messages are not on the broker: no answer in time"):
        second()


# ---- a batch that begins before the last one has ended ------------------------------------------------


def test_the_next_batch_is_decided_while_the_broker_takes_the_last(office: Office) -> None:
    worker = office.worker()
    case_id = office.case_id()
    demand, accept = office.demand(case_id), office.accept(case_id)
    first = worker.begin([demand])
    second = worker.begin([accept])
    assert first() == {demand.source: 1}
    assert second() == {accept.source: 1}
    assert office.fates()[case_id][-1] == "accepted"
    third = worker.begin([office.demand(office.case_id())])
    third()
    worker.transact([office.demand(office.case_id())])
    assert {each.message_id.rpartition("/")[0] for each in worker.ledger.outbox()} == {"demands/0/2"}


def test_what_two_batches_had_to_say_when_the_broker_went_is_said_by_who_takes_over(office: Office) -> None:
    case_id = office.case_id()
    demand, accept = office.demand(case_id), office.accept(case_id)
    office.broker.away = True
    worker = office.worker()
    first = worker.begin([demand])
    worker.begin([accept])
    with pytest.raises(HaltError, match="no broker"):
        first()

    office.broker.away = False
    successor = office.worker()
    assert takeover(office, successor).take([demand.source, accept.source]) == {demand.source: 1, accept.source: 1}
    assert [each.message_id.rpartition("/")[0] for each in office.broker.log if each.topic == topics.work(LAMPS)] == [
        "demands/0/0",
        "replies/0/0",
    ]
    assert successor.ledger.outbox() == []


def test_a_log_that_was_cut_stops_the_start_with_a_sentence(office: Office) -> None:
    record = office.demand(office.case_id())
    office.worker().transact([record])
    with pytest.raises(ClusterError, match=r"ends at 0, before 1 .* the log was cut; restore the broker's data"):
        takeover(office, office.worker(), Logs({record.source: 0})).take([record.source])


def test_a_reply_that_did_not_come_is_read_again_before_it_is_stepped_over(office: Office) -> None:
    case_id = office.case_id()
    notes = [wire.Note(reply_id=f"n{number}", unit=LAMPS, case_id=case_id, at=NINE, text="话") for number in range(3)]
    worker = office.worker()
    first, lost, last = [office.reply(each) for each in notes]
    worker.transact([office.demand(case_id), first])
    with pytest.raises(HaltError, match=r"replies\[0\]: offset 1 was expected, 2 came; reading again"):
        worker.transact([last])
    worker.transact([lost, last])
    assert office.fates()[case_id][2:] == ["progress_noted"] * 3


def test_the_marks_of_a_foreign_transaction_are_no_records(office: Office) -> None:
    """The client of a unit that writes in transactions leaves an offset without a record after each."""
    asked: list[tuple[Partition, int, int]] = []

    def existing(partition: Partition, start: int, stop: int) -> set[int]:
        asked.append((partition, start, stop))
        return {0, 2, 4}

    worker = office.worker(existing=existing)
    written = [office.accept(office.case_id()) for _ in range(5)]
    assert worker.transact(written[::2]) == {written[0].source: 5}
    assert asked == [(written[0].source, 1, 4)]


def test_a_hole_that_nobody_can_look_into_ends_the_worker(office: Office) -> None:
    def existing(*_hole: object) -> set[int]:
        raise ClusterError("no broker answers")

    _skipped, came = office.accept(office.case_id()), office.accept(office.case_id())
    with pytest.raises(HaltError, match="no broker answers"):
        office.worker(existing=existing).transact([came])


def test_a_topic_made_anew_stops_the_start_with_a_sentence(office: Office) -> None:
    record = office.demand(office.case_id())
    office.worker().transact([record])
    successor = office.worker()
    successor.topic_ids = {topics.DEMANDS: "topic-2"}
    with pytest.raises(ClusterError, match="demands was made anew since the ledger read it"):
        takeover(office, successor).take([record.source])


def test_a_ledger_that_knows_nothing_of_a_partition_reads_it_from_its_beginning(office: Office) -> None:
    """A group's offset from another ledger's days would step over everything before it."""
    worker = office.worker()
    records = [office.demand(office.case_id()) for _ in range(4)]
    assert takeover(office, worker).take([records[0].source]) == {records[0].source: 0}
    with pytest.raises(HaltError, match="offset 0 was expected, 2 came"):
        worker.transact(records[2:])
    logs = Logs({records[0].source: 4}, {records[0].source: 2})
    assert takeover(office, worker, logs).take([records[0].source]) == {records[0].source: 2}
    assert worker.transact(records[2:]) == {records[0].source: 4}


def test_what_expired_unread_is_stepped_over_but_nothing_else_is(office: Office) -> None:
    worker = office.worker()
    first, lost, late, later = (office.demand(office.case_id()) for _ in range(4))
    worker.transact([first])
    with pytest.raises(HaltError, match="offset 1 was expected, 2 came"):
        worker.transact([late])
    assert takeover(office, worker, Logs({first.source: 4}, {first.source: 2})).take([first.source]) == {
        first.source: 2
    }
    assert worker.transact([late, later]) == {first.source: 4}
    assert lost.key is not None
    assert lost.key.decode() not in office.fates()


def test_what_the_ledger_has_not_decided_of_a_topic_is_counted(office: Office) -> None:
    worker = office.worker()
    records = [office.demand(office.case_id()) for _ in range(5)]
    worker.transact(records[:2])
    unread = Partition(topics.COMMANDS, 1)
    logs = Logs({records[0].source: 5, unread: 9}, {unread: 7})
    assert takeover(office, worker, logs).behind([records[0].source, unread]) == 3 + 2


# ---- two workers on one ledger ----------------------------------------------------------------------


def test_a_worker_that_wakes_after_another_took_its_partition_changes_nothing(office: Office) -> None:
    case_ids = [office.case_id() for _ in range(4)]
    records = [office.demand(each) for each in case_ids]
    other = office.worker()
    slept: list[str] = []

    def sleep(step: str) -> None:
        if step == "derive" and not slept:
            slept.append(step)
            other.transact(records)

    assert office.worker(sleep).transact(records[:2]) == {records[0].source: 4}
    assert office.counts.conflicts == 1
    assert office.fates() == {each: ["registered", "dispatched"] for each in case_ids}
    assert [each.about for each in office.broker.outcomes()] == case_ids
    assert len(office.broker.log) == len(office.broker.effects)


def test_a_case_that_changes_under_a_batch_is_decided_anew(office: Office) -> None:
    case_id = office.case_id()
    other = office.worker()
    other.transact([office.demand(case_id)])
    note = wire.Note(reply_id="n1", unit=LAMPS, case_id=case_id, at=NINE, text="已派人")
    elsewhere = office.reply(note, partition=1)
    met: list[str] = []

    def meet(step: str) -> None:
        if step == "derive" and not met:
            met.append(step)
            other.transact([elsewhere])

    office.worker(meet).transact([office.accept(case_id)])
    assert office.counts.conflicts == 1
    assert office.fates() == {case_id: ["registered", "dispatched", "progress_noted", "accepted"]}
    assert office.broker.results(LAMPS) == {"n1": "applied", f"accept-{case_id}": "applied"}


def test_a_ledger_that_keeps_changing_ends_the_worker_before_its_session(office: Office) -> None:
    case_id = office.case_id()
    other = office.worker()
    other.transact([office.demand(case_id)])
    numbers = itertools.count()

    def meet(step: str) -> None:
        if step == "derive":
            note = wire.Note(reply_id=f"n{next(numbers)}", unit=LAMPS, case_id=case_id, at=NINE, text="话")
            other.transact([office.reply(note, partition=1)])

    with pytest.raises(HaltError, match="the ledger kept changing under this batch"):
        office.worker(meet, budget=0.2).transact([office.accept(case_id)])
    assert "accepted" not in office.fates()[case_id]


def test_a_ledger_that_is_away_for_a_moment_is_waited_for(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = office.worker()
    away = iter((True, True))
    real = Ledger.load

    def load(ledger: Ledger, *arguments: Any) -> Any:
        if next(away, False):
            raise LedgerUnavailableError("no answer")
        return real(ledger, *arguments)

    monkeypatch.setattr(Ledger, "load", load)
    monkeypatch.setattr(module, "_PAUSE", 0.001)
    record = office.demand(office.case_id())
    assert worker.transact([record]) == {record.source: 1}


def test_a_ledger_that_stays_away_ends_the_worker(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_arguments: Any) -> Any:
        raise LedgerUnavailableError("no answer")

    monkeypatch.setattr(Ledger, "load", load)
    monkeypatch.setattr(module, "_PAUSE", 0.001)
    with pytest.raises(HaltError, match="the ledger is not available: no answer"):
        office.worker(budget=0.05).transact([office.demand(office.case_id())])


@pytest.mark.parametrize("published_before", [False, True], ids=["alone", "after another batch"])
def test_a_batch_that_is_committed_though_its_answer_was_lost_is_published(
    office: Office, monkeypatch: pytest.MonkeyPatch, *, published_before: bool
) -> None:
    """A server that fails over during COMMIT: the retry finds everything decided already."""
    worker = office.worker()
    if published_before:
        worker.transact([office.demand(office.case_id())])
    said_before = len(office.broker.log)
    real = Ledger.write
    lost = iter((True,))

    def write(ledger: Ledger, batch: Batch) -> None:
        real(ledger, batch)
        if next(lost, False):
            raise LedgerUnavailableError("the server closed the connection")

    monkeypatch.setattr(Ledger, "write", write)
    monkeypatch.setattr(module, "_PAUSE", 0.001)
    record = office.demand(office.case_id())
    assert worker.transact([record]) == {record.source: record.next_offset}
    assert [each.message_id for each in office.broker.log[said_before:]] == [
        f"demands/0/{record.offset}/{number}" for number in range(2)
    ]
    worker.transact([office.demand(office.case_id())])
    assert {each.message_id.split("/")[2] for each in worker.ledger.outbox()} == {str(record.next_offset)}


def test_nothing_is_published_once_the_time_is_over(office: Office) -> None:
    """Another worker may hold the partition by then and have said something newer."""
    record = office.demand(office.case_id())
    with pytest.raises(HaltError, match="the time for this batch is over before it could be published"):
        office.worker(lambda step: time.sleep(0.05) if step == "write" else None, budget=0.04).transact([record])
    assert office.broker.log == []
    takeover(office, office.worker()).take([record.source])
    assert len(office.broker.log) == 2


# ---- how to reach the citizen ------------------------------------------------------------------------


def brings(_case_id: str, unit: str, reply_id: str) -> Brought:
    return Brought(f'{{"sealed":"for {unit} {reply_id}"}}'.encode(), ("name", "phone"))


def reveal(office: Office, case_id: str, reply_id: str = "r1", **said: Any) -> Record:
    fields = {"unit": LAMPS, "purpose": "contact", "by": "周工"} | said
    return office.reply(wire.Reveal(reply_id=reply_id, case_id=case_id, at=NINE, **fields))


def contacts_told(office: Office, unit: str = LAMPS) -> list[str]:
    told = [envelope.header(each.headers, envelope.CONTACT_HEADER) for each in office.broker.on(topics.work(unit))]
    return [each for each in told if each is not None]


def test_a_contact_goes_sealed_to_who_holds_the_case_and_the_ledger_knows_who_asked_why(office: Office) -> None:
    case_id = office.case_id()
    worker = office.worker(bring=brings)
    worker.transact([office.demand(case_id), reveal(office, case_id)])
    assert contacts_told(office) == ['{"sealed":"for U-LIGHT r1"}']
    assert office.broker.results(LAMPS) == {"r1": "applied"}
    ((actor, data),) = office.rows("SELECT actor, data FROM event WHERE kind = 'case.contact_revealed'")
    assert actor == LAMPS
    assert json.loads(data) == {"purpose": "contact", "clerk": "周工", "fields": ["name", "phone"]}
    assert [each.code for each in office.broker.outcomes()] == ["accepted"]

    worker.transact([reveal(office, case_id), reveal(office, case_id, "r2", unit=ROADS)])
    assert contacts_told(office) == ['{"sealed":"for U-LIGHT r1"}'], "the same reply brings nothing twice"
    assert office.broker.results(ROADS) == {"r2": "not_your_case"}
    assert not contacts_told(office, ROADS)


def test_the_vault_is_opened_only_for_who_may_see(office: Office) -> None:
    opened: list[str] = []

    def spy(case_id: str, unit: str, reply_id: str) -> Brought:
        opened.append(reply_id)
        return brings(case_id, unit, reply_id)

    case_id = office.case_id()
    refused = [
        reveal(office, case_id, "r1", unit=ROADS),
        reveal(office, case_id, "r2", purpose="?"),
        reveal(office, "01KJ9999999999999999999999", "r3"),
    ]
    office.worker(bring=spy).transact([office.demand(case_id), *refused, reveal(office, case_id, "r4")])
    assert opened == ["r4"]


def test_a_vault_that_is_away_is_told_to_the_unit_and_stops_no_case(office: Office) -> None:
    case_id = office.case_id()
    away = office.worker()  # it has no vault
    away.transact([office.demand(case_id), reveal(office, case_id), office.accept(case_id)])
    assert office.broker.results(LAMPS) == {"r1": "vault_unavailable", f"accept-{case_id}": "applied"}
    assert office.fates() == {case_id: ["registered", "dispatched", "accepted"]}
    office.worker(bring=brings).transact([reveal(office, case_id, "r2")])
    assert contacts_told(office) == ['{"sealed":"for U-LIGHT r2"}']


def test_a_contact_decided_but_not_sent_is_sent_by_the_next_worker_as_it_was_sealed(office: Office) -> None:
    case_id = office.case_id()
    numbers = itertools.count()

    def sealed_anew(*_asked: str) -> Brought:
        return Brought(f'{{"sealed":"{next(numbers)}"}}'.encode(), ("phone",))

    office.broker.away = True
    records = [office.demand(case_id), reveal(office, case_id)]
    with pytest.raises(HaltError):
        office.worker(bring=sealed_anew).transact(records)
    office.broker.away = False
    successor = office.worker(bring=sealed_anew)
    takeover(office, successor).take([record.source for record in records])
    successor.transact(records)
    assert contacts_told(office) == ['{"sealed":"0"}']


def test_a_hidden_sender_gets_the_message_and_the_unit_no_contact(office: Office) -> None:
    case_id = office.case_id()
    records = [office.demand(case_id, confidential=True), reveal(office, case_id, "r0")]
    records.append(reveal(office, case_id, message="请补充灯杆编号"))
    office.worker(bring=brings).transact(records)
    assert office.broker.results(LAMPS) == {"r0": "confidential", "r1": "relayed"}
    assert not contacts_told(office)
    relayed = office.broker.outcomes()[-1]
    assert (relayed.code, relayed.demand_id) == ("relayed", case_id)
    assert "请补充灯杆编号" in relayed.text


# ---- poison -----------------------------------------------------------------------------------------


def poison(monkeypatch: pytest.MonkeyPatch, *poisoned: str) -> None:
    """Let the decision about these cases fail, as a bug of ours would."""

    def decide_or_fail(case: Case | None, given: Input, now: datetime, city: Any) -> Decision:
        if case is not None and case.case_id in poisoned:
            raise ZeroDivisionError
        return decide(case, given, now, city)

    monkeypatch.setattr(module, "decide", decide_or_fail)


@pytest.mark.parametrize("place", [0, 4, 8])
def test_the_one_poisoned_case_of_a_batch_is_put_aside_and_the_others_go_on(
    office: Office, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    case_ids = [office.case_id() for _ in range(9)]
    poison(monkeypatch, case_ids[place])
    records = [office.demand(each) for each in case_ids]

    assert office.worker().transact(records) == {records[0].source: 9}

    healthy = [each for each in case_ids if each != case_ids[place]]
    assert office.fates() == {each: ["registered", "dispatched"] for each in healthy}
    assert office.dispositions() == ["dead_lettered" if each == place else "opened" for each in range(9)]
    (letter,) = office.broker.letters()
    assert (letter.code, letter.stage, letter.demand_id) == ("undecidable", "casework", case_ids[place])
    assert letter.reason == "ZeroDivisionError while deciding"
    (sealed,) = office.broker.on(topics.DEADLETTERS)
    assert sealed.value == f"sealed demands/0/{place}".encode()
    told = {each.about: each.code for each in office.broker.outcomes()}
    assert told == {each: "undecidable" if each == case_ids[place] else "accepted" for each in case_ids}
    assert office.counts.fates["demand", "dead_lettered", "undecidable"] == 1


def test_what_once_was_undecidable_can_be_handed_in_again(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    case_id = office.case_id()
    worker = office.worker()
    with monkeypatch.context() as patch:
        poison(patch, case_id)
        worker.transact([office.demand(case_id)])
    worker.transact([office.demand(case_id)])
    with monkeypatch.context() as patch:
        poison(patch, case_id)
        worker.transact([office.accept(case_id)])
    worker.transact([office.accept(case_id)])
    assert office.dispositions() == ["dead_lettered", "opened", "dead_lettered", "applied"]
    assert office.fates() == {case_id: ["registered", "dispatched", "accepted"]}
    assert [each.code for each in office.broker.outcomes()] == ["undecidable", "accepted", "state"]


def test_a_channel_hears_once_that_its_demand_became_a_dead_letter(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The letter comes back to casework, which accounts for it and says no more."""
    case_id = office.case_id()
    poison(monkeypatch, case_id)
    worker = office.worker()
    worker.transact([office.demand(case_id)])
    (sealed,) = office.broker.on(topics.DEADLETTERS)
    worker.transact([office.record(topics.DEADLETTERS, case_id, sealed.value, sealed.headers)])
    (outcome,) = office.broker.outcomes()
    assert outcome.refused
    assert outcome.origin == wire.Origin(topic="intake.app", partition=0, offset=0)
    counted = office.rows("SELECT origin_topic, disposition FROM input WHERE origin_topic LIKE 'intake.%'")
    assert counted == [("intake.app", "dead_lettered")]


def test_a_unit_hears_that_its_reply_became_a_dead_letter(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    case_id = office.case_id()
    worker = office.worker()
    worker.transact([office.demand(case_id)])
    poison(monkeypatch, case_id)
    worker.transact([office.accept(case_id)])
    assert office.broker.results(LAMPS) == {f"accept-{case_id}": "undecidable"}


def test_a_run_of_our_own_failures_stops_the_worker_before_a_topic_is_drained(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: Any) -> Decision:
        raise ZeroDivisionError

    monkeypatch.setattr(module, "decide", fail)
    records = [office.demand(office.case_id()) for _ in range(OWN_FAILURES + 5)]
    with pytest.raises(HaltError, match="cannot be decided: ZeroDivisionError"):
        office.worker().transact(records)
    assert len(office.broker.letters()) < OWN_FAILURES


def test_many_bad_records_of_others_stop_nobody(office: Office) -> None:
    records = [office.record(topics.REPLIES, "x", b"{", partition=0) for _ in range(3 * OWN_FAILURES)]
    case_id = office.case_id()
    office.worker().transact([*records, office.demand(case_id)])
    assert {each.code for each in office.broker.letters()} == {"unsigned"}
    assert case_id in office.fates()


def test_a_record_that_unfolds_far_beyond_its_topic_is_put_aside_by_its_beginning(office: Office) -> None:
    """Kafka holds a limit against the compressed batch; what a foreign client sends can unfold to anything."""
    case_id = office.case_id()
    flood = office.record(topics.REPLIES, "x", b"{" * (5 * 2**20), partition=0)
    office.worker().transact([flood, office.demand(case_id)])
    (letter,) = office.broker.letters()
    assert (letter.code, letter.size) == ("unsigned", 5 * 2**20)
    assert case_id in office.fates()


@pytest.mark.parametrize("forged", [{"secret": b"x" * 32}, {}], ids=["another's secret", "another's signature"])
def test_an_id_that_unfolds_to_megabytes_is_echoed_to_nobody(office: Office, forged: dict[str, Any]) -> None:
    case_id = office.case_id()
    worker = office.worker()
    worker.transact([office.demand(case_id)])
    worker.transact([office.accept(case_id, about="x" * FLOOD, **forged), office.accept(case_id)])
    assert [each.code for each in office.broker.letters()] == ["bad_signature"]
    assert office.broker.results(LAMPS) == {f"accept-{case_id}": "applied"}
    assert max(map(weight, office.broker.log)) < topics.INTAKE_BYTES


def test_a_key_that_unfolds_to_megabytes_is_not_its_dead_letters_key(office: Office) -> None:
    office.worker().transact([office.record(topics.REPLIES, "k" * FLOOD, b"{"), office.record(topics.REPLIES, "", b"")])
    named = [each.key for each in office.broker.on(topics.DEADLETTERS)]
    assert named == [b"letter/replies/0/0", b"letter/replies/0/1"]


FLOOD = 6 * 2**20


def weight(output: Output) -> int:
    """The bytes a broker counts."""
    return sum(map(len, (output.value or b"", output.key or b"", *itertools.chain(*output.headers))))


def test_a_forged_dead_letter_names_nothing_long(office: Office) -> None:
    """Whoever writes to `deadletters` without right could else make outputs that no topic takes."""
    place: dict[str, Any] = {"topic": "intake.app", "partition": 0, "offset": 0}
    letter: dict[str, Any] = {
        "letter_id": "l",
        "origin": place,
        "stage": "triage",
        "code": "c",
        "reason": "r",
        "at": NINE.isoformat(),
    }
    floods: list[dict[str, Any]] = [
        {"demand_id": "x" * 2**20},
        {"code": "x" * 2**20},
        {"origin": place | {"topic": "x" * 2**20}},
    ]
    headers = [[(envelope.LETTER_HEADER, json.dumps(letter | {"channel": "app"} | each).encode())] for each in floods]
    office.worker().transact([office.record(topics.DEADLETTERS, "k", b"", each) for each in headers])
    assert [each.code for each in office.broker.letters()] == ["invalid"] * len(floods)


def test_an_output_too_large_for_its_topic_is_one_inputs_fault(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five notes of characters that JSON writes sixfold: the fifth makes a work item that this topic does not take."""
    monkeypatch.setitem(outputs._LIMITS, "work", 640_000)
    case_id = office.case_id()
    worker = office.worker()
    words = "\x01" * 20_000
    worker.transact([office.demand(case_id, words=words)])
    notes = [
        office.reply(wire.Note(reply_id=f"n{number}", unit=LAMPS, case_id=case_id, at=NINE, text=words))
        for number in range(5)
    ]
    worker.transact([*notes, office.accept(case_id)])
    results = office.broker.results(LAMPS)
    assert results.pop("n4") == "undecidable"
    assert set(results.values()) == {"applied"}
    assert office.fates()[case_id] == ["registered", "dispatched", *["progress_noted"] * 4, "accepted"]


def test_a_newer_message_of_our_own_stops_the_worker(office: Office) -> None:
    record = office.demand(office.case_id())
    assert record.value is not None
    newer = Record(
        record.topic, 0, 0, record.key, record.value.replace(b'"schema":1', b'"schema":2', 1), (), record.timestamp
    )
    with pytest.raises(HaltError, match="upgrade this worker"):
        office.worker().transact([newer])


# ---- forged replies ---------------------------------------------------------------------------------

FORGERIES: dict[str, tuple[str, dict[str, Any]]] = {
    "signed with a secret of one's own": ("bad_signature", {"secret": b"x" * 32}),
    "signed by another unit in this one's name": ("bad_signature", {"signer": ROADS}),
    "under a key that nobody holds": ("unknown_key", {"key": "U-LIGHT.9"}),
    "under a key of no unit": ("unknown_key", {"key": "../../etc/passwd.1"}),
    "sent again under another id": ("bad_signature", {"about": "another-id"}),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_reply_is_a_dead_letter_and_never_a_decision(office: Office, forgery: str) -> None:
    code, lie = FORGERIES[forgery]
    case_id = office.case_id()
    worker = office.worker()
    worker.transact([office.demand(case_id), office.accept(case_id, **lie)])
    assert office.fates() == {case_id: ["registered", "dispatched"]}
    assert [each.code for each in office.broker.letters()] == [code]
    assert office.counts.fates["broken", "dead_lettered", code] == 1
    worker.transact([office.accept(case_id)])
    assert office.fates() == {case_id: ["registered", "dispatched", "accepted"]}


def test_a_reply_copied_from_the_topic_has_its_effect_once(office: Office) -> None:
    case_id = office.case_id()
    note = wire.Note(reply_id="n1", unit=LAMPS, case_id=case_id, at=NINE, text="已派人")
    office.worker().transact([office.demand(case_id), office.reply(note), office.reply(note)])
    assert office.fates() == {case_id: ["registered", "dispatched", "progress_noted"]}
    assert office.dispositions() == ["opened", "applied", "duplicate"]


def test_a_unit_cannot_reply_about_what_is_not_its_own(office: Office) -> None:
    case_id = office.case_id()
    office.worker().transact([office.demand(case_id), office.accept(case_id, unit=ROADS)])
    assert office.broker.results(ROADS) == {f"accept-{case_id}": "not_your_case"}
    assert office.fates() == {case_id: ["registered", "dispatched"]}


# ---- clocks -----------------------------------------------------------------------------------------


def test_a_clock_that_a_slower_machine_hears_early_has_run_out_all_the_same(office: Office) -> None:
    """The machine of the ticker is 300 ms ahead of the one that decides."""
    case_id = office.case_id()
    worker = office.worker()
    worker.transact([office.demand(case_id)])
    due_at, generation = office.clocks()["due"]
    worker.now = lambda: due_at - timedelta(milliseconds=300)
    worker.transact([office.fires(case_id, "due")])
    assert office.fates() == {case_id: ["registered", "dispatched", "escalated"]}
    assert office.rows("SELECT at FROM event WHERE kind = 'case.escalated'") == [(utc_text(due_at),)]
    assert "due" not in office.clocks()
    assert generation == 1


def test_a_clock_that_came_to_nothing_once_is_heard_the_next_time(office: Office) -> None:
    case_id = office.case_id()
    worker = office.worker()
    worker.transact([office.demand(case_id)])
    due_at, _generation = office.clocks()["due"]
    early = office.fires(case_id, "due", due_at=due_at - timedelta(minutes=5))
    worker.transact([early])
    worker.now = lambda: due_at
    worker.transact([office.fires(case_id, "due"), office.fires(case_id, "due")])
    worker.transact([office.fires(case_id, "due", due_at=due_at)])
    assert office.fates() == {case_id: ["registered", "dispatched", "escalated"]}
    assert office.dispositions() == ["repeat", "applied", "repeat", "repeat", "opened"]


def test_what_is_held_again_after_it_lapsed_lapses_again(office: Office) -> None:
    case_id = office.case_id()
    worker = office.worker()
    for generation in (1, 2):
        worker.transact([office.withdrawal(case_id, follow_up=f"w{generation}")])
        due_at, number = office.clocks()["orphan"]
        assert number == generation
        worker.now = partial(max, due_at, NINE)
        worker.transact([office.fires(case_id, "orphan")])
        assert office.clocks() == {}
    assert office.fates() == {case_id: ["follow_up_held", "follow_up_lapsed"] * 2}


# ---- repeats and order ------------------------------------------------------------------------------


def test_a_citizens_number_in_a_units_note_reaches_neither_the_ledger_nor_a_queue(office: Office) -> None:
    case_id, worker = office.case_id(), office.worker()
    words = "已致电13812345678，身份证11010519491231002X"
    note = wire.Note(reply_id="n1", unit=LAMPS, case_id=case_id, at=NINE, text=words)
    worker.transact([office.demand(case_id), office.reply(note)])
    (told,) = office.rows("SELECT data FROM event WHERE kind = 'case.progress_noted'")
    item = office.broker.on(topics.work(LAMPS))[-1].value
    for each in (told[0], (item or b"").decode()):
        assert "已致电〔手机1〕" in each
        assert "13812345678" not in each
        assert "11010519491231002X" not in each


def test_a_resubmission_with_a_changed_address_is_a_duplicate_of_the_one_case(office: Office) -> None:
    case_id = office.case_id()
    worker = office.worker()
    worker.transact([office.demand(case_id, address="解放路1号")])
    worker.transact([office.demand(case_id, address="解放路2号"), office.demand(case_id, address="解放路1号")])
    assert office.fates() == {case_id: ["registered", "dispatched"]}
    assert office.dispositions() == ["opened", "duplicate", "duplicate"]
    accepted, changed, repeated = office.broker.outcomes()
    assert (accepted.code, changed.code, repeated.code) == ("accepted", "duplicate", "duplicate")
    assert accepted.receipt == changed.receipt == repeated.receipt
    assert changed.text != repeated.text
    assert len(office.broker.on(topics.work(LAMPS))) == 1


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "a batch later"])
def test_a_withdrawal_a_millisecond_after_its_demand_withdraws_it(office: Office, *, together: bool) -> None:
    case_id = office.case_id()
    records = [office.demand(case_id), office.withdrawal(case_id)]
    worker = office.worker()
    for part in [records] if together else [[each] for each in records]:
        worker.transact(part)
    assert office.fates() == {case_id: ["registered", "dispatched", "withdrawn"]}
    assert state(office, case_id) is CaseState.WITHDRAWN
    assert office.broker.on(topics.work(LAMPS))[-1].value is None
    assert [each.code for each in office.broker.outcomes()] == ["accepted", "state", "follow_up"]


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "a batch earlier"])
def test_a_withdrawal_that_overtakes_its_demand_through_another_partition_withdraws_it(
    office: Office, *, together: bool
) -> None:
    case_id = office.case_id()
    records = [office.withdrawal(case_id, partition=1), office.demand(case_id, partition=0)]
    worker = office.worker()
    for part in [records] if together else [[each] for each in records]:
        worker.transact(part)
    assert office.fates() == {case_id: ["follow_up_held", "registered", "dispatched", "withdrawn"]}
    assert state(office, case_id) is CaseState.WITHDRAWN
    assert sorted(office.dispositions()) == ["follow_up", "opened"]


def state(office: Office, case_id: str) -> CaseState:
    return CaseState(office.rows(f"SELECT state FROM \"case\" WHERE case_id = '{case_id}'")[0][0])


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "a batch later"])
def test_a_follow_up_that_was_refused_is_refused_again_when_it_is_sent_again(office: Office, *, together: bool) -> None:
    case_id = office.case_id()
    worker = office.worker()
    worker.transact([office.demand(case_id), office.withdrawal(case_id)])
    twice = [office.withdrawal(case_id, follow_up="w2"), office.withdrawal(case_id, follow_up="w2")]
    for part in [twice] if together else [[each] for each in twice]:
        worker.transact(part)
    told = [(each.code, each.refused, each.text) for each in office.broker.outcomes() if each.about == "w2"]
    assert [each[:2] for each in told] == [("case_ended", True)] * 2
    assert told[0] == told[1]
    assert office.dispositions() == ["opened", "follow_up", "follow_up", "duplicate"]


def test_a_redelivery_is_dropped_even_when_only_a_part_of_it_is_new(office: Office) -> None:
    records = [office.demand(office.case_id()) for _ in range(5)]
    worker = office.worker()
    worker.transact(records[:3])
    published = len(office.broker.log)
    assert worker.transact(records[:3]) == {records[0].source: 3}
    assert len(office.broker.log) == published
    worker.transact(records[1:])
    assert office.dispositions() == ["opened"] * 5
    assert office.progress() == {(topics.DEMANDS, 0): 5}
