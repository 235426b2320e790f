"""Figures of state come from the ledger, so they are right after any restart; workers count what they do."""

import ast
import inspect
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine

import streams.casework
import streams.triage
from sinks.database import open_engine, sqlite_url
from sinks.ledger_metrics import FRESH_SECONDS, IntakeState, LedgerCollector
from sinks.metric_list import METRICS, UNPROVEN
from sinks.metrics import CaseworkMetrics, Metrics, TriageMetrics, metric
from tests.filled_ledger import DESK, NINE, FilledLedger, dispatched, happened, minutes, registered, whole_day

DOCS = Path(__file__).parents[2] / "docs" / "metrics.md"


class Clock:
    """Wall and monotonic time that a test sets."""

    def __init__(self) -> None:
        self.at = minutes(120)
        self.seconds = 0.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.seconds

    def later(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.seconds += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine(ledger_file: Path) -> Iterator[Engine]:
    engine = open_engine(sqlite_url(ledger_file))
    yield engine
    engine.dispose()


@pytest.fixture
def ledger(engine: Engine) -> FilledLedger:
    return FilledLedger(engine)


@pytest.fixture
def worker(ledger_file: Path, clock: Clock) -> Iterator[Callable[..., CollectorRegistry]]:
    """Start a worker: a registry of its own, with the ledger's figures in it."""
    engines = []

    def start(intake: Callable[[], IntakeState] | None = None) -> CollectorRegistry:
        reader = open_engine(sqlite_url(ledger_file), read_only=True)
        engines.append(reader)
        registry = CollectorRegistry()
        registry.register(LedgerCollector(reader, clock.now, intake, monotonic=clock.monotonic))
        return registry

    yield start
    for each in engines:
        each.dispose()


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, labels)


def test_the_figures_of_a_day(ledger: FilledLedger, worker: Callable[..., CollectorRegistry]) -> None:
    first, *_ = whole_day(ledger)
    ledger.counted("duplicate", first)
    ledger.dead_letter("bad_signature", origin_topic="replies")
    ledger.waiting(2)
    registry = worker()
    assert value(registry, "yiwang_ledger_up") == 1
    assert value(registry, "yiwang_received_total", channel="app", disposition="opened") == 3
    assert value(registry, "yiwang_received_total", channel="app", disposition="duplicate") == 1
    assert value(registry, "yiwang_received_total", channel="app", disposition="linked") == 0
    assert value(registry, "yiwang_received_total", channel="hotline", disposition="in_review") == 1
    assert value(registry, "yiwang_dead_letters_total", code="bad_signature") == 1
    assert value(registry, "yiwang_dispatched_total", unit="U-ROADS") == 3
    assert value(registry, "yiwang_returned_total", unit="U-WATER") == 1
    assert value(registry, "yiwang_escalated_total", clock="due") == 1
    assert value(registry, "yiwang_events_total", kind="case.registered") == 6
    assert value(registry, "yiwang_closed_total", unit="U-ROADS", exemption="none") == 1
    assert value(registry, "yiwang_closed_total", unit="U-ROADS", exemption="unreachable") == 1
    assert value(registry, "yiwang_cases", state="dispatched") == 2
    assert value(registry, "yiwang_cases", state="withdrawn") == 0
    assert value(registry, "yiwang_outbox") == 2
    assert value(registry, "yiwang_clocks_running", clock="accept") == 2
    assert value(registry, "yiwang_clocks_late_seconds", clock="accept") == 0


def test_each_unit_s_backlog_and_its_oldest_age(ledger: FilledLedger, worker: Callable[..., CollectorRegistry]) -> None:
    whole_day(ledger)
    registry = worker()
    assert value(registry, "yiwang_backlog", unit="U-WATER") == 1
    assert value(registry, "yiwang_backlog_oldest_seconds", unit="U-WATER") == 120 * 60
    assert value(registry, "yiwang_unaccepted", unit="U-WATER") == 1
    assert value(registry, "yiwang_overdue", unit="U-WATER") == 1
    assert value(registry, "yiwang_backlog_oldest_seconds", unit=DESK) == 118 * 60
    assert value(registry, "yiwang_overdue", unit=DESK) == 0


def test_times_to_dispatch_and_to_close_are_histograms(
    ledger: FilledLedger, worker: Callable[..., CollectorRegistry]
) -> None:
    whole_day(ledger)
    registry = worker()
    assert value(registry, "yiwang_time_to_dispatch_seconds_bucket", le="1.0") == 3
    assert value(registry, "yiwang_time_to_dispatch_seconds_bucket", le="1800.0") == 4
    assert value(registry, "yiwang_time_to_close_seconds_bucket", le="600.0") in {
        0,
        1,
    }  # ten minutes to the millisecond
    assert value(registry, "yiwang_time_to_close_seconds_bucket", le="21600.0") == 2
    assert value(registry, "yiwang_time_to_close_seconds_bucket", le="+Inf") == 2
    assert value(registry, "yiwang_time_to_close_seconds_sum") == pytest.approx(190 * 60, abs=0.01)


def test_a_new_worker_tells_the_same_as_the_old_one(
    ledger: FilledLedger, worker: Callable[..., CollectorRegistry]
) -> None:
    whole_day(ledger)

    def told(registry: CollectorRegistry) -> list[tuple[str, dict[str, str], float]]:
        samples = [sample for family in registry.collect() for sample in family.samples]
        return [(each.name, each.labels, each.value) for each in samples if each.name != "yiwang_ledger_seconds"]

    before = told(worker())
    assert told(worker()) == before
    assert len(before) > 60


def test_a_unit_that_has_done_everything_stands_at_nought(
    ledger: FilledLedger, worker: Callable[..., CollectorRegistry]
) -> None:
    ledger.case(1, registered(), dispatched("U-ROADS", NINE), happened("withdrawn", minutes(1), "citizen"))
    registry = worker()
    assert value(registry, "yiwang_backlog", unit="U-ROADS") == 0
    assert value(registry, "yiwang_backlog_oldest_seconds", unit="U-ROADS") == 0


def test_a_burst_of_scrapes_asks_the_ledger_once(
    ledger: FilledLedger, worker: Callable[..., CollectorRegistry], clock: Clock
) -> None:
    registry = worker()
    assert value(registry, "yiwang_cases", state="dispatched") == 0
    ledger.case(1, registered(), dispatched("U-ROADS", NINE))
    assert value(registry, "yiwang_cases", state="dispatched") == 0
    clock.later(FRESH_SECONDS)
    assert value(registry, "yiwang_cases", state="dispatched") == 1


def test_a_ledger_that_is_away_says_so_and_comes_back(ledger: FilledLedger, clock: Clock, ledger_file: Path) -> None:
    whole_day(ledger)
    away = ledger_file.with_name("away")
    registry = CollectorRegistry()
    reader = open_engine(sqlite_url(away), read_only=True)
    registry.register(LedgerCollector(reader, clock.now, lambda: IntakeState(3, 1.5), monotonic=clock.monotonic))
    assert value(registry, "yiwang_ledger_up") == 0
    assert value(registry, "yiwang_cases", state="closed") is None
    assert value(registry, "yiwang_unaccounted") == 3
    away.symlink_to(ledger_file)
    clock.later(FRESH_SECONDS)
    assert value(registry, "yiwang_ledger_up") == 1
    assert value(registry, "yiwang_cases", state="closed") == 2
    reader.dispose()


def test_a_ledger_without_tables_breaks_no_scrape(tmp_path: Path, clock: Clock) -> None:
    engine = open_engine(sqlite_url(tmp_path / "empty.db"))
    registry = CollectorRegistry()
    registry.register(LedgerCollector(engine, clock.now))
    assert value(registry, "yiwang_ledger_up") == 0
    engine.dispose()


def test_what_only_the_broker_knows_is_handed_in(engine: Engine, worker: Callable[..., CollectorRegistry]) -> None:
    assert engine
    registry = worker(lambda: IntakeState(7, 42.0, {"demands": 5, "replies": 0}))
    assert value(registry, "yiwang_broker_up") == 1
    assert value(registry, "yiwang_unaccounted") == 7
    assert value(registry, "yiwang_unaccounted_oldest_seconds") == 42
    assert value(registry, "yiwang_lag", topic="demands") == 5
    assert value(registry, "yiwang_lag", topic="replies") == 0


def test_a_broker_that_is_away_silences_nothing_else(
    ledger: FilledLedger, worker: Callable[..., CollectorRegistry]
) -> None:
    whole_day(ledger)

    def away() -> IntakeState:
        raise ConnectionError("no broker")

    registry = worker(away)
    assert value(registry, "yiwang_broker_up") == 0
    assert value(registry, "yiwang_unaccounted") is None
    assert value(registry, "yiwang_cases", state="closed") == 2


def test_a_slow_ledger_keeps_no_scrape_waiting(
    engine: Engine, worker: Callable[..., CollectorRegistry], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While fresh figures are on their way, the last ones are told."""
    assert engine
    slow, answered = Event(), Event()
    answers = iter((1, 2, 3))

    def intake() -> IntakeState:
        if slow.is_set():
            assert answered.wait(30)
        return IntakeState(next(answers), 0.0)

    registry = worker(intake)
    assert value(registry, "yiwang_unaccounted") == 1
    monkeypatch.setattr("sinks.ledger_metrics.PATIENCE_SECONDS", 0.05)
    slow.set()
    clock.later(FRESH_SECONDS)
    assert value(registry, "yiwang_unaccounted") == 1
    assert value(registry, "yiwang_unaccounted") == 1
    answered.set()
    monkeypatch.setattr("sinks.ledger_metrics.PATIENCE_SECONDS", 30)
    assert value(registry, "yiwang_unaccounted") == 2


def test_casework_counts_the_fate_of_every_input() -> None:
    registry = CollectorRegistry()
    counts = Metrics(registry).casework()
    counts.decided("demand", "opened", None)
    counts.decided("demand", "opened", None)
    counts.decided("return", "refused", "not_returnable")
    counts.decided("broken", "dead_lettered", "bad_signature")
    counts.decided("dead_letter", "dead_lettered", "bad_signature")
    counts.conflict()
    counts.batch(120, 0.05)
    counts.published(0.01)
    counts.queued(0.07)
    counts.queued(-0.002)  # a channel's clock may run ahead of ours
    assert value(registry, "yiwang_decided_total", kind="demand", disposition="opened") == 2
    assert value(registry, "yiwang_refusals_total", code="not_returnable") == 1
    assert value(registry, "yiwang_poison_total", stage="casework", code="bad_signature") == 1
    assert value(registry, "yiwang_bad_signatures_total", code="bad_signature") == 1
    assert {code: value(registry, "yiwang_bad_signatures_total", code=code) for code in UNPROVEN} == {
        "bad_signature": 1,
        "unknown_key": 0,
        "unsigned": 0,
    }
    assert value(registry, "yiwang_ledger_conflicts_total") == 1
    assert value(registry, "yiwang_batch_records_bucket", role="casework", le="200.0") == 1
    assert value(registry, "yiwang_batch_records_bucket", role="casework", le="100.0") == 0
    assert value(registry, "yiwang_publish_seconds_count", role="casework") == 1
    assert value(registry, "yiwang_intake_to_queue_seconds_count") == 2
    assert value(registry, "yiwang_intake_to_queue_seconds_bucket", le="0.08") == 2


def test_triage_counts_what_it_takes_and_rules() -> None:
    registry = CollectorRegistry()
    counts = Metrics(registry).triage()
    counts.received("app", 3)
    counts.triaged("dispatch")
    counts.dead_letter("triage", "not_json")
    counts.batch(3, 0.01)
    assert value(registry, "yiwang_taken_total", channel="app") == 3
    assert value(registry, "yiwang_triaged_total", ruling="dispatch") == 1
    assert value(registry, "yiwang_poison_total", stage="triage", code="not_json") == 1
    assert value(registry, "yiwang_batch_seconds_count", role="triage") == 1
    assert value(registry, "yiwang_intake_to_queue_seconds_count") is None


def test_workers_are_observed_through_these_and_nothing_else() -> None:
    def methods(of: type) -> dict[str, list[str]]:
        functions = inspect.getmembers(of, inspect.isfunction)
        return {name: list(inspect.signature(each).parameters) for name, each in functions if name[0] != "_"}

    for observer, counts in ((streams.casework.Observer, CaseworkMetrics), (streams.triage.Observer, TriageMetrics)):
        assert methods(observer).items() <= methods(counts).items()


def test_restarts_and_a_stuck_loop_show() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    metrics.restarted("casework", 0)
    age = [0.5]
    metrics.watch_loop(lambda: age[0])
    assert value(registry, "yiwang_worker_restarts_total", role="casework") == 0
    assert value(registry, "yiwang_loop_age_seconds") == 0.5
    metrics.restarted("casework")
    age[0] = 70
    assert value(registry, "yiwang_worker_restarts_total", role="casework") == 1
    assert value(registry, "yiwang_loop_age_seconds") == 70


def test_a_metric_that_is_not_in_the_list_cannot_be_counted() -> None:
    with pytest.raises(KeyError, match="citizens"):
        Metrics(CollectorRegistry())["citizens"]


def test_the_list_keeps_to_prometheus_habits() -> None:
    names = [each.name for each in METRICS]
    assert len(set(names)) == len(names)
    for each in METRICS:
        assert each.name.startswith("yiwang_")
        assert each.name.endswith("_total") == (each.kind == "counter")
        assert each.doc.endswith(".")
        assert bool(each.bounds) == (each.kind == "histogram")
        assert list(each.bounds) == sorted(each.bounds)
        assert not {"case", "case_id", "demand_id", "receipt"} & set(each.labels)


def test_every_metric_of_the_ledger_is_told(ledger: FilledLedger, worker: Callable[..., CollectorRegistry]) -> None:
    whole_day(ledger)
    ledger.dead_letter("not_json")
    told = {family.name for family in worker(lambda: IntakeState(0, 0.0, {"demands": 0})).collect()}
    assert {each.name.removesuffix("_total") for each in METRICS if each.source == "ledger"} == told


def test_every_metric_of_a_worker_is_counted_by_somebody() -> None:
    source = ast.parse(inspect.getsource(inspect.getmodule(Metrics)))  # type: ignore[arg-type]
    named = {
        node.slice.value
        for node in ast.walk(source)
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant)
    }
    assert {metric(str(name)) for name in named} == {each for each in METRICS if each.source == "worker"}


def test_the_documents_list_every_metric_as_it_is() -> None:
    rows = [line for line in DOCS.read_text(encoding="utf-8").splitlines() if line.startswith("| `yiwang_")]
    wanted = [
        f"| `{each.name}` | {each.kind} | {', '.join(each.labels)} | {each.source} | {each.doc} |" for each in METRICS
    ]
    assert rows == wanted
