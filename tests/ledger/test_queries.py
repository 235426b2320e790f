"""The ledger answers the same questions the same way on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from routers.receipt import receipt
from sinks import queries
from sinks.cases import case_file, case_list, find_case
from sinks.database import LedgerUnavailableError, open_engine
from tests.databases import Database
from tests.filled_ledger import (
    DESK,
    NINE,
    FilledLedger,
    case_id,
    dispatched,
    happened,
    minutes,
    registered,
    whole_day,
)


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    engine = open_engine(database.url)
    yield engine
    engine.dispose()


@pytest.fixture
def ledger(engine: Engine) -> FilledLedger:
    return FilledLedger(engine)


@pytest.fixture
def moment(database: Database, ledger: FilledLedger) -> Iterator[Connection]:
    whole_day(ledger)
    reader = open_engine(database.url, read_only=True)
    with queries.snapshot(reader) as moment:
        yield moment
    reader.dispose()


def test_a_day_adds_up(ledger: FilledLedger, engine: Engine) -> None:
    first, *_ = whole_day(ledger)
    ledger.counted("duplicate", first)
    ledger.counted("follow_up", first, kind="urge", channel="hotline")
    ledger.dead_letter("not_json")
    ledger.dead_letter("unsigned", origin_topic="replies")
    ledger.reply(first, "applied")
    ledger.reply(first, "dead_lettered", code="undecidable")
    with queries.snapshot(engine) as moment:
        totals = queries.totals(moment)
    assert totals == queries.Totals(
        received=9,
        opened=4,
        answered=1,
        in_review=1,
        duplicate=1,
        follow_up=1,
        dead_lettered=1,
        dispatched=4,
        closed=1,
        closed_by_exemption=1,
        open=3,
        units=2,
        by_unit={"U-ROADS": 3, "U-WATER": 2},
    )


def test_what_never_entered_on_intake_is_not_counted_as_received(ledger: FilledLedger, engine: Engine) -> None:
    ledger.dead_letter("bad_signature", origin_topic="replies")
    ledger.reply(case_id(1), "refused", code="unknown_case")
    with queries.snapshot(engine) as moment:
        assert queries.totals(moment).received == 0
        assert queries.accounted(moment) == {}
        assert queries.dead_letters(moment) == {"bad_signature": 1}


def test_each_channel_is_accounted_for_by_itself(moment: Connection) -> None:
    assert queries.accounted(moment) == {
        "app": {"opened": 3, "answered": 1},
        "hotline": {"opened": 1, "in_review": 1},
    }


def test_the_backlog_names_who_holds_what_and_since_when(moment: Connection) -> None:
    assert queries.backlog(moment, minutes(120)) == {
        "U-WATER": queries.Backlog(open=1, oldest=NINE, unaccepted=1, overdue=1, escalated=1),
        "U-ROADS": queries.Backlog(open=1, oldest=minutes(1), unaccepted=1),
        DESK: queries.Backlog(open=1, oldest=minutes(2)),
    }
    assert queries.backlog(moment, minutes(30))["U-WATER"].overdue == 0


def test_every_state_is_named_even_when_no_case_stands_there(moment: Connection) -> None:
    states = queries.states(moment)
    assert states["closed"] == 2
    assert states["dispatched"] == 2
    assert states["in_review"] == states["answered"] == 1
    assert states["withdrawn"] == states["new"] == 0


def test_events_are_counted_by_whom_they_concern(moment: Connection) -> None:
    events = queries.events(moment)
    assert events.dispatched == {"U-ROADS": 3, "U-WATER": 2}
    assert events.returned == {"U-WATER": 1}
    assert events.escalated == {"due": 1}
    assert events.by_kind["case.registered"] == 6
    assert events.by_kind["case.closed"] == 2


def test_cases_closed_by_exemption_are_told_apart(moment: Connection) -> None:
    assert queries.closed(moment) == {("U-ROADS", "none"): 1, ("U-ROADS", "unreachable"): 1}


def test_durations_fall_into_their_buckets(moment: Connection) -> None:
    to_dispatch, to_close = queries.times_to(moment, (0.5, 600.0, 3600.0))
    assert to_dispatch.cumulative == (3, 3, 4)
    assert to_dispatch.count == 4
    assert to_dispatch.total == pytest.approx(20 * 60, abs=0.01)
    assert to_close.count == 2
    assert to_close.cumulative[0] == 0
    assert to_close.cumulative[2] == 1
    assert to_close.total == pytest.approx((180 + 10) * 60, abs=0.01)


def test_a_belated_clock_shows(moment: Connection) -> None:
    running = queries.clocks(moment, minutes(171))
    assert running["accept"] == queries.Clocks(running=2, late=2, oldest_late=minutes(140))
    assert running["due"].running == 2
    assert running["due"].late == 0
    assert running["due"].oldest_late is None


def test_what_waits_in_the_outbox_is_counted(ledger: FilledLedger, engine: Engine) -> None:
    ledger.waiting(3)
    with queries.snapshot(engine) as moment:
        assert queries.outbox(moment) == 3


def test_all_questions_of_one_snapshot_see_the_same_moment(database: Database, ledger: FilledLedger) -> None:
    reader = open_engine(database.url, read_only=True)
    ledger.case(1, registered(), dispatched("U-ROADS", NINE))
    with queries.snapshot(reader) as moment:
        assert queries.totals(moment).received == 1
        ledger.case(2, registered(), dispatched("U-ROADS", NINE))
        assert queries.totals(moment).received == 1
        assert queries.states(moment)["dispatched"] == 1
    with queries.snapshot(reader) as moment:
        assert queries.totals(moment).received == 2
    reader.dispose()


def test_a_reader_cannot_write(database: Database) -> None:
    reader = open_engine(database.url, read_only=True)
    with pytest.raises((LedgerUnavailableError, DBAPIError)), queries.snapshot(reader) as moment:
        moment.exec_driver_sql("DELETE FROM input")
    reader.dispose()


def test_a_ledger_that_is_away_is_named_as_such(database: Database) -> None:
    reader = open_engine(database.url, read_only=True)
    with database.away(), pytest.raises(LedgerUnavailableError), queries.snapshot(reader) as moment:
        queries.totals(moment)
    reader.dispose()


def test_a_unit_lists_what_it_holds_and_what_it_has_handled(moment: Connection) -> None:
    held = case_list(moment, unit="U-ROADS")
    assert {each.case_id for each in held} == {case_id(1), case_id(2), case_id(4)}
    assert [each.case_id for each in case_list(moment, unit="U-WATER")] == [case_id(3)]
    assert [each.case_id for each in case_list(moment, unit="U-ROADS", state="dispatched")] == [case_id(4)]


def test_the_most_urgent_case_comes_first(moment: Connection) -> None:
    listed = case_list(moment)
    assert [each.due_at for each in listed] == sorted(each.due_at for each in listed if each.due_at)
    assert [each.case_id for each in case_list(moment, limit=1)] == [case_id(3)]


def test_only_open_cases_fall_due(moment: Connection) -> None:
    soon = case_list(moment, due_before=NINE + timedelta(days=9))
    assert {each.case_id for each in soon} == {case_id(3), case_id(4), case_id(5)}
    assert [each.case_id for each in case_list(moment, due_before=minutes(61))] == [case_id(3)]


def test_a_follow_up_without_its_demand_is_no_case_yet(ledger: FilledLedger, engine: Engine) -> None:
    held = happened("follow_up_held", NINE, "citizen", held="urge", id="u1", channel="app", said_at=NINE)
    ledger.case(9, held, disposition="follow_up")
    with queries.snapshot(engine) as moment:
        assert case_list(moment) == []
        assert queries.clocks(moment, NINE)["orphan"].running == 1


def test_a_case_is_found_by_id_and_by_receipt(moment: Connection) -> None:
    assert find_case(moment, case_id(3)) == case_id(3)
    assert find_case(moment, receipt(case_id(3))) == case_id(3)
    assert find_case(moment, "nothing of the kind") is None
    assert case_file(moment, case_id(99)) is None


def test_the_whole_life_of_a_case_is_told(moment: Connection) -> None:
    told = case_file(moment, receipt(case_id(4)))
    assert told is not None
    assert told["case_id"] == case_id(4)
    assert told["state"] == "dispatched"
    assert told["unit"] == "U-ROADS"
    assert told["category"] == "0701"
    assert told["kind"] == "COMPLAINT"
    assert told["origin"] == {"topic": "intake.app", "partition": 0, "offset": 2}
    assert [each["seq"] for each in told["events"]] == [1, 2, 3, 4, 5]
    assert [each["disposition"] for each in told["inputs"]] == ["opened"]
    assert {each["clock"] for each in told["clocks"]} == {"accept", "due"}
    assert [(each["decision"], each.get("unit")) for each in told["decisions"]] == [
        ("dispatched", "U-WATER"),
        ("return_ruled", "U-WATER"),
        ("dispatched", "U-ROADS"),
    ]
    assert told["decisions"][0]["why"] == "R-7; 噪声"
    assert [each["unit"] for each in told["custody"]] == [DESK, "U-WATER", DESK, "U-ROADS"]
    assert told["registered_at"] == "2026-03-02T01:01:00Z"
    assert told["parent"] is None
    assert told["children"] == []
