"""Intake records without a row: named by what the broker holds, at a cost that does not grow with what lies below."""

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, insert, text

from sinks import accounted
from sinks.accounted import INPUT, WINDOW, count, first_gap
from sinks.database import open_engine
from sinks.ledger import Partition
from sinks.queries import snapshot
from streams.unaccounted import REMEMBERED, Found, Unaccounted
from tests.databases import Database
from tests.filled_ledger import NINE

HERE = Partition("intake.app", 0)
NOW = 5_000.0


class Log:
    """A partition by the offsets that hold a record; the record at an offset was written that many seconds in."""

    def __init__(self, *held: range | int) -> None:
        self.held = [offset for each in held for offset in ([each] if isinstance(each, int) else each)]
        self.end = max(self.held, default=-1) + 1
        self.start = 0
        self.away = False
        self.told = 0

    def records(self, partition: Partition, low: int, end: int) -> Generator[tuple[int, float | None]]:
        assert partition == HERE
        if self.away:
            return
        for offset in self.held:
            if max(low, self.start) <= offset < end:
                self.told += 1
                yield offset, float(offset)
        yield end, None


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    engine = open_engine(database.url)
    yield engine
    engine.dispose()


def decide(engine: Engine, *offsets: range | int) -> None:
    """Casework has written the rows of these offsets."""
    rows = [
        {
            "topic": "demands",
            "partition": 0,
            "offset": offset,
            "input_id": str(offset),
            "kind": "demand",
            "actor": "citizen",
            "disposition": "opened",
            "decided_at": NINE,
            "origin_topic": HERE.topic,
            "origin_partition": 0,
            "origin_offset": offset,
        }
        for each in offsets
        for offset in ([each] if isinstance(each, int) else each)
    ]
    with engine.begin() as connection:
        connection.execute(insert(INPUT), rows)


def look(engine: Engine, unaccounted: Unaccounted, log: Log) -> tuple[int, float | None]:
    with snapshot(engine) as moment:
        found: Found = unaccounted.look(moment, {HERE: log.start}, {HERE: log.end}, NOW)
    return found.records, found.oldest


def test_what_the_broker_holds_and_the_ledger_does_not_is_counted_with_the_age_of_the_oldest(engine: Engine) -> None:
    log = Log(range(10))
    unaccounted = Unaccounted(log)
    assert look(engine, unaccounted, log) == (10, 0.0)
    decide(engine, range(3), 5)
    assert look(engine, unaccounted, log) == (6, 3.0)
    decide(engine, 3, 4, range(6, 10))
    assert look(engine, unaccounted, log) == (0, None)


def test_a_mark_of_a_transaction_is_no_record(engine: Engine) -> None:
    log = Log(0, 2, 4)
    log.end = 6
    unaccounted = Unaccounted(log)
    assert look(engine, unaccounted, log) == (3, 0.0)
    decide(engine, 0, 2)
    assert look(engine, unaccounted, log) == (1, 4.0)
    decide(engine, 4)
    assert look(engine, unaccounted, log) == (0, None)


def test_a_lost_record_is_named_for_ever_and_what_follows_it_costs_nothing_more(engine: Engine) -> None:
    log = Log(range(2_000))
    unaccounted = Unaccounted(log)
    decide(engine, range(7), range(8, 2_000))
    assert look(engine, unaccounted, log) == (1, 7.0)
    log.told = 0
    assert look(engine, unaccounted, log) == (1, 7.0)
    assert log.told == 0


def test_a_large_backlog_is_counted_without_reading_it(engine: Engine) -> None:
    log = Log(range(50_000))
    unaccounted = Unaccounted(log)
    assert look(engine, unaccounted, log) == (50_000, 0.0)
    decide(engine, range(1_000, 2_000))
    assert look(engine, unaccounted, log) == (49_000, 0.0)
    assert log.told <= REMEMBERED + 1


def test_many_transactions_are_passed_without_counting_their_marks(engine: Engine) -> None:
    log = Log(range(0, 5_000, 2))
    decide(engine, range(0, 4_990, 2))
    assert look(engine, Unaccounted(log), log) == (5, 4_990.0)


def test_a_record_that_expired_before_it_had_a_row_is_lost(engine: Engine) -> None:
    log = Log(range(20))
    log.start = 10
    decide(engine, range(8), range(10, 20))
    unaccounted = Unaccounted(log)
    assert look(engine, unaccounted, log) == (2, 10.0)
    log.start = 20
    assert look(engine, Unaccounted(log), log) == (2, NOW)
    decide(engine, 8, 9)
    assert look(engine, unaccounted, log) == (0, None)


def test_while_the_broker_says_nothing_every_gap_counts(engine: Engine) -> None:
    log = Log(0, 2)
    decide(engine, 0)
    unaccounted = Unaccounted(log)
    log.away = True
    assert look(engine, unaccounted, log) == (2, None)
    log.away = False
    assert look(engine, unaccounted, log) == (1, 2.0)


def test_another_process_goes_on_where_one_stopped(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(range(3_000))
    decide(engine, range(5), range(6, 2_999))
    assert look(engine, Unaccounted(log, tmp_path / "memory"), log) == (2, 5.0)
    log.told = 0
    counted: list[int] = []

    def noting(moment: Connection, of: Partition, low: int, high: int) -> int:
        counted.append(low)
        return count(moment, of, low, high)

    monkeypatch.setattr(accounted, "count", noting)
    assert look(engine, Unaccounted(log, tmp_path / "memory"), log) == (2, 5.0)
    assert log.told == 0
    assert set(counted) == {3_000}


@pytest.mark.parametrize("memory", ["", "{", "[]", '{"intake.app/0": {}}', '{"intake.app/0": {"below": "x"}}'])
def test_a_damaged_memory_costs_time_and_nothing_else(engine: Engine, tmp_path: Path, memory: str) -> None:
    (tmp_path / "memory").write_text(memory)
    log = Log(range(10))
    decide(engine, range(9))
    assert look(engine, Unaccounted(log, tmp_path / "memory"), log) == (1, 9.0)


def test_a_ledger_brought_back_from_a_backup_is_looked_at_from_the_beginning(engine: Engine) -> None:
    log = Log(range(10))
    decide(engine, range(10))
    unaccounted = Unaccounted(log)
    assert look(engine, unaccounted, log) == (0, None)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM input WHERE origin_offset >= 4"))
    assert look(engine, unaccounted, log) == (6, 4.0)


@pytest.mark.parametrize("gap", [0, 1, WINDOW, 3 * WINDOW - 1, 9_998, None])
def test_the_first_gap_is_found_wherever_it_is(engine: Engine, gap: int | None) -> None:
    decide(engine, *(range(10_000) if gap is None else (*range(gap), *range(gap + 1, 10_000))))
    with snapshot(engine) as moment:
        assert first_gap(moment, HERE, 0, 10_000) == gap
        assert first_gap(moment, HERE, 5_000, 10_000) == (gap if gap is not None and gap >= 5_000 else None)
