"""Whoever comes second is told so, and nothing of his batch is written."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from routers.life import Case, Event
from sinks import rows
from sinks.database import transaction
from sinks.ledger import Batch, ConflictError, Ledger, Partition, StoredEvent
from tests.filled_ledger import NINE, case_id, happened
from tests.ledger.stories import (
    DEMANDS,
    HANDLING,
    OPENING,
    REPLIES,
    UNIT,
    case_now,
    content,
    happens,
    later,
    message,
    opening,
    record,
)


def refused(ledger: Ledger, batch: Batch) -> None:
    """The batch is a conflict, and the ledger stays as it is."""
    before = content(ledger.engine)
    with pytest.raises(ConflictError):
        ledger.write(batch)
    assert content(ledger.engine) == before


def test_a_worker_that_lost_its_partition_writes_nothing(ledger: Ledger, other: Ledger) -> None:
    ledger.write(opening(1, 0))
    other.write(opening(2, 1, 1))
    refused(ledger, opening(3, 1, 1))
    ledger.write(opening(3, 2, 2))


def test_a_worker_that_never_had_the_partition_writes_nothing(ledger: Ledger, other: Ledger) -> None:
    other.write(opening(1, 0))
    refused(ledger, opening(2, 0, None))
    refused(ledger, opening(2, 5, 4))


def test_one_lost_partition_of_many_stops_the_batch(ledger: Ledger) -> None:
    ledger.write(opening(1, 0))
    batch = opening(2, 1, 1)
    batch.progress[REPLIES] = (7, 8, "topic-id")
    refused(ledger, batch)


def test_a_case_that_changed_meanwhile_stops_the_batch(ledger: Ledger, other: Ledger) -> None:
    ledger.write(opening(1, 0))
    stale = case_now(ledger, 1)
    other.write(later(case_now(other, 1), 0, None, HANDLING))
    batch = later(stale, 1, 1, [happened("withdrawn", NINE, "citizen")])
    refused(ledger, batch)
    assert case_now(ledger, 1) == case_now(other, 1)


def test_a_case_of_that_id_is_there_already(ledger: Ledger, other: Ledger) -> None:
    other.write(opening(1, 0))
    batch = Batch()
    happens(batch, None, case_id(1), *OPENING)
    batch.events.clear()  # its version stops it, not its events
    refused(ledger, batch)


def test_an_event_of_that_number_is_there_already(ledger: Ledger) -> None:
    ledger.write(opening(1, 0))
    event = Event("case.urged", NINE, "citizen", {})
    refused(ledger, Batch(events=[StoredEvent(case_id(1), 2, "late", event)], inputs=[record(9, "late")]))


def test_an_input_of_that_offset_is_there_already(ledger: Ledger) -> None:
    ledger.write(opening(1, 0))
    refused(ledger, Batch(inputs=[record(0, "again")], outputs=[message(0, 7)]))


def test_an_intake_record_is_counted_once(ledger: Ledger) -> None:
    ledger.write(opening(1, 0))
    refused(ledger, Batch(inputs=[record(1, "again", origin=("intake.app", 0, 1))], outputs=[message(1)]))
    ledger.write(Batch(inputs=[record(1, "follow-up", origin=("intake.app", 1, 1))]))
    ledger.write(Batch(inputs=[record(2, "reply"), record(3, "another")]))  # no origin: nothing to count


def test_a_message_of_that_id_is_there_already(ledger: Ledger) -> None:
    ledger.write(opening(1, 0))
    refused(ledger, Batch(outputs=[message(1), message(0, 1)], inputs=[record(1, "i")]))


def test_a_mistake_of_ours_is_no_conflict_and_leaves_nothing_either(ledger: Ledger) -> None:
    batch = opening(1, 0)
    batch.inputs.append(record(1, "nameless", kind=None))
    before = content(ledger.engine)
    with pytest.raises(IntegrityError):
        ledger.write(batch)
    assert content(ledger.engine) == before


def test_a_refused_case_is_not_remembered(ledger: Ledger, other: Ledger) -> None:
    ledger.write(opening(1, 0))
    stale = case_now(ledger, 1)
    other.write(later(case_now(other, 1), 0, None, HANDLING))
    with pytest.raises(ConflictError):
        ledger.write(later(stale, 1, 1, HANDLING))
    assert case_now(ledger, 1) == case_now(other, 1)


@pytest.mark.parametrize("present", [0, 1, 2, 3])
def test_many_updates_report_how_many_rows_they_met(ledger: Ledger, present: int) -> None:
    ledger.write(Batch(progress={Partition("demands", number): (None, 5, "topic-id") for number in range(3)}))
    wanted = [(6, "demands", number, 5 if number < present else 4) for number in range(3)]
    with ledger.engine.begin() as connection:
        assert rows.MOVE_PROGRESS.run(connection, wanted) == present
        assert rows.MOVE_PROGRESS.run(connection, []) == 0
        assert rows.MOVE_PROGRESS.run(connection, [(7, "demands", 0, 6)]) == (1 if present else 0)
        assert rows.FORGET.run(connection, [("nobody",), ("nowhere",)]) == 0


def at_once(*works: Callable[[], object]) -> list[object]:
    """Run functions in threads that start together; an exception is a result."""
    barrier = threading.Barrier(len(works))

    def run(work: Callable[[], object]) -> object:
        barrier.wait(10)
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            return type(error)

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


def test_of_two_workers_at_once_exactly_one_gets_the_partition(ledger: Ledger, other: Ledger) -> None:
    before: int | None = None
    for offset in range(12):
        one = opening(2 * offset, offset, before)
        two = opening(2 * offset + 1, offset, before)
        results = at_once(lambda batch=one: ledger.write(batch), lambda batch=two: other.write(batch))  # type: ignore[misc]
        assert sorted(results, key=str) == sorted([None, ConflictError], key=str)
        before = offset + 1
    assert content(ledger.engine).count() == {
        "input": 12,
        "event": 24,
        "case": 12,
        "clock": 24,
        "judgement": 0,
        "outbox": 24,
        "progress": 1,
    }


def test_two_workers_that_want_the_same_rows_in_another_order_never_wait_in_a_ring(
    ledger: Ledger, other: Ledger
) -> None:
    partitions = [Partition("demands", number) for number in range(6)]
    ledger.write(Batch(progress=dict.fromkeys(partitions, (None, 0, "topic-id"))))
    for offset in range(8):
        forth = Batch(progress=dict.fromkeys(partitions, (offset, offset + 1, "topic-id")))
        back = Batch(progress=dict.fromkeys(reversed(partitions), (offset, offset + 1, "topic-id")))
        results = at_once(lambda batch=forth: ledger.write(batch), lambda batch=back: other.write(batch))  # type: ignore[misc]
        assert sorted(results, key=str) == sorted([None, ConflictError], key=str)
    assert {offset for offset, _id in ledger.progress().values()} == {8}


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_who_is_chosen_to_break_a_ring_of_waiting_tries_again(ledger: Ledger) -> None:
    ledger.write(Batch(progress={Partition("demands", number): (None, 0, "topic-id") for number in range(2)}))
    both_hold_one = threading.Barrier(2)

    def takes(first: int) -> None:
        with transaction(ledger.engine) as connection:
            rows.MOVE_PROGRESS.run(connection, [(1, "demands", first, 0)])
            both_hold_one.wait(10)
            rows.MOVE_PROGRESS.run(connection, [(1, "demands", 1 - first, 0)])

    results = at_once(lambda: takes(0), lambda: takes(1))
    assert sorted(results, key=str) == sorted([None, ConflictError], key=str)


def test_two_workers_that_try_again_after_conflicts_lose_nothing(ledger: Ledger, other: Ledger) -> None:
    ledger.write(opening(1, 0))
    each_one = 10

    def urges(own: Ledger, who: str) -> int:
        conflicts = done = 0
        while done < each_one:
            loaded = own.load([case_id(1)], [], [], [REPLIES])
            before = loaded.progress.get(REPLIES, (None, ""))[0]
            urged = Event("case.urged", NINE, "citizen", {"text": f"{who} {done}"})
            try:
                own.write(later(loaded.cases[case_id(1)], before or 0, before, [urged]))
            except ConflictError:
                conflicts += 1
            else:
                done += 1
        return conflicts

    results = at_once(lambda: urges(ledger, "one"), lambda: urges(other, "two"))
    assert all(isinstance(each, int) for each in results), results
    case: Case = case_now(other, 1)
    assert (case.urged, case.seq) == (2 * each_one, 2 * each_one + 2)
    assert ledger.progress()[REPLIES] == (2 * each_one, "topic-id")
    with ledger.engine.begin() as connection:
        told = connection.execute(text("SELECT data FROM event WHERE kind = 'case.urged'")).scalars().all()
    assert len(set(told)) == 2 * each_one
    assert case.lead == UNIT
    assert DEMANDS in ledger.progress()
