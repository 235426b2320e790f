"""Taking a partition: what was left is said, reading starts where the ledger says, batches overlap and workers meet."""

import itertools
import time
from typing import Any

import pytest

from sinks.ledger import Batch, Ledger, LedgerUnavailableError, Output, Partition
from streams import casework as module
from streams import messages as wire
from streams import topics
from streams.casework import HaltError, RefusedError
from streams.cluster import ClusterError
from streams.producer import BatchProducer
from tests.office import FLOOD, LAMPS, NINE, Logs, Office, takeover

# ---- taking a partition ---------------------------------------------------------------------------


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


# ---- a batch that begins before the last one has ended --------------------------------------------


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


# ---- two workers on one ledger --------------------------------------------------------------------


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
