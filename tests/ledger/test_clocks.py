"""Clocks are rows: they follow the case, and whoever fires them leases them first."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import event, select

from sinks.ledger import Batch, DueClock, Ledger
from sinks.rows import CLOCK
from tests.filled_ledger import NINE, case_id, dispatched, happened, minutes, registered
from tests.ledger.stories import HANDLING, case_now, happens, later, opening

ACCEPT_BY = NINE + timedelta(hours=2)
DUE = NINE + timedelta(days=5)
MINUTE = timedelta(minutes=1)


def running(ledger: Ledger) -> dict[tuple[str, str], tuple[object, int]]:
    with ledger.engine.begin() as connection:
        found = connection.execute(select(CLOCK))
        return {(row.case_id, row.clock): (row.due_at, row.generation) for row in found}


def test_a_dispatched_case_runs_against_its_unit_and_its_citizen(ledger: Ledger) -> None:
    ledger.write(opening(1, 0))
    assert running(ledger) == {(case_id(1), "accept"): (ACCEPT_BY, 1), (case_id(1), "due"): (DUE, 1)}


def test_an_accepted_case_stops_the_first_and_keeps_the_second(ledger: Ledger) -> None:
    ledger.write(opening(1, 0))
    ledger.write(later(case_now(ledger, 1), 0, None, HANDLING[:1]))
    assert running(ledger) == {(case_id(1), "due"): (DUE, 1)}


def test_an_ended_case_has_no_clock(ledger: Ledger) -> None:
    ledger.write(opening(1, 0))
    ledger.write(later(case_now(ledger, 1), 0, None, [happened("withdrawn", minutes(1), "citizen")]))
    assert running(ledger) == {}


def test_a_new_unit_gets_a_clock_of_a_new_generation_that_fires_again(ledger: Ledger) -> None:
    ledger.write(opening(1, 0))
    assert len(ledger.lease_due_clocks(ACCEPT_BY, ACCEPT_BY - MINUTE, 10)) == 1
    again = minutes(150)
    ledger.write(later(case_now(ledger, 1), 0, None, [dispatched("U-WATER", again)]))
    assert running(ledger)[case_id(1), "accept"] == (again + timedelta(hours=2), 2)
    due = again + timedelta(hours=2)
    assert ledger.lease_due_clocks(due, due - MINUTE, 10) == [DueClock(case_id(1), "accept", 2, due)]


def test_a_clock_is_due_from_its_microsecond_on(ledger: Ledger) -> None:
    ledger.write(opening(1, 0))
    before = ACCEPT_BY - timedelta(microseconds=1)
    assert ledger.lease_due_clocks(before, before - MINUTE, 10) == []
    assert ledger.lease_due_clocks(ACCEPT_BY, before - MINUTE, 10) == [DueClock(case_id(1), "accept", 1, ACCEPT_BY)]


def test_a_leased_clock_rests_until_the_lease_is_over(ledger: Ledger, other: Ledger) -> None:
    ledger.write(opening(1, 0))
    assert len(ledger.lease_due_clocks(ACCEPT_BY, ACCEPT_BY - MINUTE, 10)) == 1
    later_on = ACCEPT_BY + MINUTE
    assert other.lease_due_clocks(later_on, later_on - MINUTE, 10) == []
    later_on += timedelta(microseconds=1)
    assert len(other.lease_due_clocks(later_on, later_on - MINUTE, 10)) == 1
    assert other.lease_due_clocks(later_on, later_on - MINUTE, 10) == []


def test_the_oldest_debts_come_first_and_no_more_than_asked_for(ledger: Ledger) -> None:
    batch = Batch()
    for number in (3, 1, 2):
        at = minutes(number)
        happens(batch, None, case_id(number), registered(at, due_in=MINUTE), dispatched("U-ROADS", at))
    ledger.write(batch)
    now = minutes(30)
    first = ledger.lease_due_clocks(now, now - MINUTE, 2)
    assert [(each.case_id, each.clock) for each in first] == [(case_id(1), "due"), (case_id(2), "due")]
    rest = ledger.lease_due_clocks(now, now - MINUTE, 2)
    assert [each.case_id for each in rest] == [case_id(3)]


def test_two_tickers_at_once_share_the_clocks_out(ledger: Ledger, other: Ledger) -> None:
    batch = Batch()
    for number in range(60):
        happens(batch, None, case_id(number), registered(), dispatched("U-ROADS", NINE))
    ledger.write(batch)
    barrier = threading.Barrier(2)

    def leases(own: Ledger) -> list[DueClock]:
        barrier.wait(10)
        found: list[DueClock] = []
        while part := own.lease_due_clocks(ACCEPT_BY, ACCEPT_BY - MINUTE, 7):
            found += part
        return found

    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(leases, (ledger, other))
    both = sorted(each.case_id for each in [*one, *two])
    assert both == [case_id(number) for number in range(60)]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_clock_in_another_tickers_hands_is_passed_over(ledger: Ledger, other: Ledger) -> None:
    ledger.write(opening(1, 0))
    seen: list[list[DueClock]] = []

    @event.listens_for(ledger.engine, "commit")
    def meanwhile(_connection: object) -> None:
        seen.append(other.lease_due_clocks(ACCEPT_BY, ACCEPT_BY - MINUTE, 10))

    assert len(ledger.lease_due_clocks(ACCEPT_BY, ACCEPT_BY - MINUTE, 10)) == 1
    assert seen == [[]]
