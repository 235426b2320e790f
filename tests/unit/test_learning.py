"""What a triage worker learns between batches, and what the desk is told of it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from copy import copy
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from routers.reader import Reader
from routers.tiers import NEVER, NOTHING, Evidence, evidence_of
from sinks.database import LedgerUnavailableError
from sinks.ledger import Output
from sinks.metrics import Metrics
from streams import decoding, envelope, topics
from streams import messages as wire
from streams.casework import Arrived, HaltError, arrived
from streams.learning import PAUSE, Learner
from tests.cities import qinglan

CITY = qinglan()
READER = Reader(CITY)
"""One that has learned nothing: its words take a while to lay out, and what a copy learns is the copy's own."""

DESK = CITY.policies.desk
LAMPS, WATER = "0505", "0101"
WRONG = evidence_of([(LAMPS, 0.9, False)] * 4)
RIGHT = WRONG + evidence_of([(LAMPS, 0.95, True)])


class Town:
    """A ledger that is a value, a broker that is a list, and a clock that is set by hand."""

    def __init__(self, memory: Path) -> None:
        self.found: Evidence = NOTHING
        self.asked: list[str] = []
        self.away = self.broker_away = False
        self.at = datetime(2026, 11, 23, 1, tzinfo=UTC)
        self.seconds = 0.0
        self.log: list[Output] = []
        self.memory = memory
        self.registry = CollectorRegistry()

    def outcomes(self, model: str) -> Evidence:
        self.asked.append(model)
        if self.away:
            raise LedgerUnavailableError("no such file")
        return self.found

    def publish(self, outputs: Sequence[Output], timeout: float) -> Arrived:
        assert timeout > 0
        if self.broker_away:
            raise HaltError("no broker")
        self.log += outputs
        return arrived

    def worker(self) -> Learner:
        self.registry = CollectorRegistry()
        counted = Metrics(self.registry).triage()
        learner = Learner(
            CITY, copy(READER), self.outcomes, self, counted, lambda: self.at, lambda: self.seconds, self.memory
        )
        self.turn(learner)
        return learner

    @staticmethod
    def turn(learner: Learner) -> None:
        """Let it have idle turns until the ledger has answered."""
        learner.turn()
        while learner.asking:
            time.sleep(0.0005)
            learner.turn()

    def later(self, learner: Learner, found: Evidence | None = None, seconds: float = PAUSE) -> None:
        self.found = self.found if found is None else found
        self.seconds += seconds
        self.at += timedelta(seconds=seconds)
        self.turn(learner)

    def notices(self) -> list[wire.DeskNotice]:
        told = [decoding.decode(wire.WORK, each.value) for each in self.log]
        return [each for each in told if isinstance(each, wire.DeskNotice)]

    def withheld(self, category: str = LAMPS) -> float | None:
        return self.registry.get_sample_value("yiwang_dispatch_withheld", {"category": category})


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path / "run" / "withheld.json")


def test_a_category_that_breaks_its_promise_goes_to_the_desk_and_the_desk_is_told_once(town: Town) -> None:
    learner = town.worker()
    assert (town.asked, town.log) == ([learner.reader.model], [])
    town.later(learner, WRONG)
    assert learner.reader.threshold(LAMPS) == NEVER
    assert learner.reader.threshold(WATER) == CITY.policies.dispatch_confidence
    assert (town.withheld(), town.withheld(WATER)) == (1, None)
    assert town.registry.get_sample_value("yiwang_outcomes_weighed") == 4
    town.later(learner)
    (told,) = town.notices()
    assert (told.unit, told.code, told.category, told.judged, told.wrong) == (DESK, "dispatch_withheld", LAMPS, 4, 4)
    assert told.threshold is None
    assert "4 件中有 4 件派错" in told.text
    assert "99.5%" in told.text
    (output,) = town.log
    assert (output.topic, output.key) == (topics.work(DESK), b"notice/0505")
    assert envelope.header(output.headers, "ce_id") == told.notice_id == "notice/0505/dispatch_withheld/2026-11-23"


def test_it_is_given_back_when_outcomes_keep_the_promise_again_and_the_desk_is_told(town: Town) -> None:
    learner = town.worker()
    town.later(learner, WRONG)
    town.later(learner, evidence_of([(LAMPS, 0.9, True)] * 900 + [(LAMPS, 0.9, False)] * 4))
    assert learner.reader.threshold(LAMPS) == 0.5
    assert town.withheld() == 0
    assert [each.code for each in town.notices()] == ["dispatch_withheld", "dispatch_given_back"]
    back = town.notices()[-1]
    assert (back.judged, back.wrong, back.threshold) == (904, 4, 0.5)
    assert "恢复" in back.text


def test_what_is_withheld_in_part_is_told_with_how_sure_it_must_be(town: Town) -> None:
    learner = town.worker()
    town.later(learner, RIGHT)
    (told,) = town.notices()
    assert told.threshold == pytest.approx(0.95)
    assert "把握不足 95%" in told.text


def test_a_restart_learns_before_its_first_batch_and_tells_nothing_twice(town: Town) -> None:
    town.later(town.worker(), WRONG)
    successor = Learner(
        CITY, Reader(CITY), town.outcomes, town, Metrics(CollectorRegistry()).triage(), lambda: town.at, lambda: 0.0
    )
    successor.learn()
    assert successor.reader.threshold(LAMPS) == NEVER
    town.later(town.worker())
    assert len(town.notices()) == 1
    town.found = NOTHING
    town.later(town.worker())
    assert [each.code for each in town.notices()] == ["dispatch_withheld", "dispatch_given_back"]


def test_two_workers_say_it_under_one_id(town: Town, tmp_path: Path) -> None:
    first = town.worker()
    town.memory = tmp_path / "elsewhere" / "withheld.json"
    second = town.worker()
    town.found = WRONG
    for learner in (first, second):
        town.later(learner)
    assert len({each.notice_id for each in town.notices()}) == 1


@pytest.mark.parametrize("content", [None, "", "{", "[1]", '{"a": 1}', '["9999"]'])
def test_a_memory_that_is_damaged_or_of_another_taxonomy_knows_of_nothing(town: Town, content: str | None) -> None:
    town.memory.parent.mkdir()
    if content is not None:
        town.memory.write_text(content)
    town.found = WRONG
    town.worker()
    assert len(town.notices()) == 1


def test_a_ledger_that_is_away_changes_nothing_and_is_logged_once(town: Town, caplog: pytest.LogCaptureFixture) -> None:
    learner = town.worker()
    town.later(learner, WRONG)
    town.away = True
    for _ in range(3):
        town.later(learner, NOTHING)
    assert learner.reader.threshold(LAMPS) == NEVER
    assert town.withheld() == 1
    assert caplog.text.count("no outcomes are weighed") == 1
    town.away = False
    town.later(learner, NOTHING)
    assert learner.reader.threshold(LAMPS) == 0.5


def test_it_looks_once_a_minute(town: Town) -> None:
    learner = town.worker()
    for _ in range(10):
        town.later(learner, seconds=PAUSE / 10)
    assert len(town.asked) == 2


def test_triage_does_not_wait_for_a_ledger_that_takes_its_time(town: Town) -> None:
    learner = town.worker()
    answered = threading.Event()

    def slowly(model: str) -> Evidence:
        assert answered.wait(10)
        return town.outcomes(model)

    learner.outcomes = slowly
    town.found = WRONG
    town.seconds += PAUSE
    for _ in range(3):
        learner.turn()
    assert learner.asking
    assert learner.reader.threshold(LAMPS) == 0.5
    answered.set()
    town.turn(learner)
    assert learner.reader.threshold(LAMPS) == NEVER


def test_a_broker_that_is_away_does_not_end_the_worker_and_the_desk_is_told_later(
    town: Town, caplog: pytest.LogCaptureFixture
) -> None:
    learner = town.worker()
    town.broker_away = True
    with caplog.at_level(logging.WARNING):
        town.later(learner, WRONG)
    assert "the desk is not told yet" in caplog.text
    town.broker_away = False
    town.later(learner)
    assert len(town.notices()) == 1


def test_a_memory_that_cannot_be_written_is_no_reason_to_stop(town: Town) -> None:
    town.memory.parent.write_text("a file stands where the folder should be")
    learner = town.worker()
    town.later(learner, WRONG)
    assert len(town.notices()) == 1
