"""Clocks that are due are said to their cases: once, again after a minute, and not at all once time has jumped."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from routers.demand import Classification, ResolvedPlace
from routers.follow import clocks
from routers.life import Case, CaseState, Facts
from sinks.database import open_engine, sqlite_url
from sinks.ledger import Batch, Ledger, Partition
from streams import decoding, envelope, topics
from streams import messages as wire
from streams.ticker import AGAIN, BATCH, DRIFT, Ticker

NINE = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
DUE = NINE + timedelta(hours=2)
FACTS = Facts(
    channel="app",
    created_at=NINE,
    received_at=NINE,
    text="路灯不亮",
    place=ResolvedPlace(),
    classification=Classification(model="test"),
)


class Tower:
    """Two clocks that a test moves: the wall's and the steady one."""

    def __init__(self) -> None:
        self.wall = NINE
        self.steady = 500.0

    def passes(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.steady += seconds


@pytest.fixture
def tower() -> Tower:
    return Tower()


@pytest.fixture
def ledger(ledger_file: Path) -> Iterator[Ledger]:
    opened = Ledger(open_engine(sqlite_url(ledger_file)))
    yield opened
    opened.close()


@pytest.fixture
def ticker(ledger: Ledger, tower: Tower) -> Ticker:
    return Ticker(ledger, lambda: tower.wall, lambda: tower.steady)


def case(number: int = 1, *, due: datetime = DUE, seq: int = 1) -> Case:
    return Case(
        f"01KJ0000000000000000{number:06d}",
        seq=seq,
        state=CaseState.IN_PROGRESS,
        updated_at=NINE,
        registered_at=NINE,
        tier="N7D",
        custodian="U-LIGHT",
        lead="U-LIGHT",
        due_at=due,
        facts=FACTS,
    )


def store(ledger: Ledger, *cases: Case, before: Case | None = None) -> None:
    batch = Batch()
    batch.cases |= {each.case_id: (before, each) for each in cases}
    ledger.write(batch)


def fired(ticker: Ticker) -> list[str]:
    return [each.message_id for each in ticker.tick()]


def test_a_clock_is_quiet_until_it_is_due_and_fires_once(ledger: Ledger, ticker: Ticker, tower: Tower) -> None:
    store(ledger, case())
    assert fired(ticker) == []
    tower.passes(2 * 3600 - 1)
    assert fired(ticker) == []
    tower.passes(1)
    assert fired(ticker) == ["01KJ0000000000000000000001:due:1"]
    tower.passes(AGAIN.total_seconds() / 2)
    assert fired(ticker) == []


def test_what_is_said_is_a_command_to_its_case(ledger: Ledger, ticker: Ticker, tower: Tower) -> None:
    store(ledger, case())
    tower.passes(3 * 3600)
    (output,) = ticker.tick()
    assert (output.topic, output.key) == (topics.COMMANDS, case().case_id.encode())
    assert output.source == Partition(topics.COMMANDS, 0)
    command = decoding.decode(wire.COMMAND, output.value)
    assert isinstance(command, wire.ClockDue)
    assert (command.case_id, command.clock, command.generation) == (case().case_id, "due", 1)
    assert command.due_at == DUE
    assert command.command_id == output.message_id == envelope.header(output.headers, "ce_id")
    assert envelope.header(output.headers, "ce_time") == envelope.rfc3339(tower.wall)


def test_a_clock_that_still_stands_is_fired_again_after_a_minute_as_the_same_command(
    ledger: Ledger, ticker: Ticker, tower: Tower
) -> None:
    store(ledger, case())
    tower.passes(3 * 3600)
    first = fired(ticker)
    tower.passes(AGAIN.total_seconds() + 1)
    assert fired(ticker) == first


def test_a_clock_that_was_heard_is_silent(ledger: Ledger, ticker: Ticker, tower: Tower) -> None:
    running = case()
    store(ledger, running)
    tower.passes(3 * 3600)
    assert len(fired(ticker)) == 1
    heard = running.but(seq=2, escalated=("due",))
    assert clocks(heard) == {}
    store(ledger, heard, before=running)
    tower.passes(AGAIN.total_seconds() + 1)
    assert fired(ticker) == []


def test_a_storm_of_deadlines_is_fired_in_bounded_parts(ledger: Ledger, ticker: Ticker, tower: Tower) -> None:
    store(ledger, *(case(number) for number in range(1, BATCH + 4)))
    tower.passes(3 * 3600)
    parts = [fired(ticker), fired(ticker), fired(ticker)]
    assert [len(each) for each in parts] == [BATCH, 3, 0]
    assert len({each for part in parts for each in part}) == BATCH + 3


def test_while_commands_lag_no_more_of_them_are_made(
    ledger: Ledger, tower: Tower, caplog: pytest.LogCaptureFixture
) -> None:
    waiting = [BATCH]
    ticker = Ticker(ledger, lambda: tower.wall, lambda: tower.steady, lambda: waiting[-1])
    store(ledger, case())
    tower.passes(3 * 3600)
    for _ in range(3):
        assert fired(ticker) == []
    assert [each for each in caplog.messages if "wait" in each] == [
        "500 commands wait: no clock is fired until they go on"
    ]
    waiting.append(BATCH - 1)
    assert len(fired(ticker)) == 1


def test_nobody_asks_how_commands_lag_while_no_clock_is_due(ledger: Ledger, tower: Tower) -> None:
    def broker_is_away() -> int:
        raise AssertionError

    ticker = Ticker(ledger, lambda: tower.wall, lambda: tower.steady, broker_is_away)
    store(ledger, case())
    assert fired(ticker) == []


@pytest.mark.parametrize("jump", [DRIFT + 1, -DRIFT - 1, 86_400.0])
def test_firing_stops_when_somebody_moves_the_clock(
    ledger: Ledger, ticker: Ticker, tower: Tower, caplog: pytest.LogCaptureFixture, jump: float
) -> None:
    store(ledger, case(), case(2, due=NINE + timedelta(days=30)))
    tower.passes(3 * 3600)
    assert len(fired(ticker)) == 1
    tower.wall += timedelta(seconds=jump)
    with caplog.at_level(logging.ERROR, "streams.ticker"):
        for _ in range(3):
            tower.passes(120)
            assert fired(ticker) == []
    assert ticker.stopped
    (told,) = caplog.messages
    assert f"moved by {abs(jump):.0f} s" in told
    assert "restart" in told


def test_firing_stays_stopped_when_the_clock_is_put_back(ledger: Ledger, ticker: Ticker, tower: Tower) -> None:
    store(ledger, case())
    fired(ticker)
    tower.wall += timedelta(days=1)
    assert fired(ticker) == []
    tower.wall -= timedelta(days=1)
    tower.passes(3 * 3600)
    assert fired(ticker) == []
    again = Ticker(ledger, lambda: tower.wall, lambda: tower.steady)
    assert len(fired(again)) == 1


def test_a_clock_that_drifts_a_little_is_no_jump(ledger: Ledger, ticker: Ticker, tower: Tower) -> None:
    store(ledger, case())
    fired(ticker)
    tower.wall += timedelta(seconds=DRIFT - 1)
    tower.passes(3 * 3600)
    assert len(fired(ticker)) == 1
    assert not ticker.stopped
