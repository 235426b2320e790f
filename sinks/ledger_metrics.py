"""What the ledger says about itself whenever Prometheus asks: right after every restart."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Engine

from sinks import queries
from sinks.metric_list import LIFE_BOUNDS, METRICS, metric

LOG = logging.getLogger(__name__)

FRESH_SECONDS = 2.0
"""Figures younger than this are told again without asking the ledger."""

PATIENCE_SECONDS = 3.0
"""So long a scrape waits for fresh figures; Prometheus gives up after ten."""

SHARE = 20.0
"""Asking may take one part in so many of the time: a ledger that needs a second is asked every twenty."""


@dataclass(frozen=True, slots=True)
class IntakeState:
    """What only the broker can tell, handed in because sinks do not know Kafka."""

    unaccounted: int
    """Intake records the ledger has no row for."""
    oldest_unaccounted_seconds: float
    """Age of the oldest of them; 0 when there is none."""
    lag: Mapping[str, int] = field(default_factory=dict)
    """Records not settled yet, by topic."""


class LedgerCollector(Collector):
    """Answers a scrape from the ledger; never raises.

    While the database is away it says `yiwang_ledger_up 0` and nothing it cannot know.
    """

    def __init__(
        self,
        engine: Engine,
        now: Callable[[], datetime],
        intake: Callable[[], IntakeState] | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Remember where to ask; nothing is asked yet.

        Args:
            engine: a read-only engine of the ledger.
            now: the clock that ages are measured by.
            intake: what the broker says about intake; may raise, which shows as `yiwang_broker_up 0`.
            monotonic: seconds that only grow.
        """
        self._engine = engine
        self._now = now
        self._intake = intake
        self._monotonic = monotonic
        self._told: list[Metric] = []
        self._good_until = float("-inf")
        self._asking: threading.Thread | None = None
        self._lock = threading.Lock()

    def describe(self) -> Iterable[Metric]:
        """Name the families without asking the ledger: registering must not need a database."""
        return [_family(each.name) for each in METRICS if each.source == "ledger"]

    def collect(self) -> Iterator[Metric]:
        """Return all figures of one moment: fresh ones, or the last ones while a large ledger takes its time."""
        with self._lock:
            if self._asking is None and self._monotonic() >= self._good_until:
                self._asking = threading.Thread(target=self._ask, name="ledger-metrics", daemon=True)
                self._asking.start()
            asking = self._asking
        if asking is not None:
            asking.join(PATIENCE_SECONDS)
        yield from self._told

    def _ask(self) -> None:
        started = self._monotonic()
        self._told = [*self._from_ledger(), *self._from_broker()]
        took = self._monotonic() - started
        with self._lock:
            self._good_until = self._monotonic() + max(FRESH_SECONDS, SHARE * took)
            self._asking = None

    def _from_ledger(self) -> list[Metric]:
        started = self._monotonic()
        up = GaugeMetricFamily("yiwang_ledger_up", metric("ledger_up").doc)
        try:
            families = figures(self._engine, self._now())
        except Exception as error:  # noqa: BLE001 - whatever it was, the answer to a scrape is: it does not answer
            LOG.warning("The ledger does not answer a scrape: %s: %s", type(error).__name__, error)
            up.add_metric((), 0)
            return [up]
        up.add_metric((), 1)
        took = GaugeMetricFamily("yiwang_ledger_seconds", metric("ledger_seconds").doc)
        took.add_metric((), self._monotonic() - started)
        return [up, took, *families]

    def _from_broker(self) -> list[Metric]:
        if self._intake is None:
            return []
        up = GaugeMetricFamily("yiwang_broker_up", metric("broker_up").doc)
        try:
            state = self._intake()
        except Exception as error:  # noqa: BLE001 - another ring's failure must not silence the figures we have
            LOG.warning("The broker does not say how far its topics reach: %s", error)
            up.add_metric((), 0)
            return [up]
        up.add_metric((), 1)
        return [
            up,
            _gauge("unaccounted", {(): state.unaccounted}),
            _gauge("unaccounted_oldest_seconds", {(): state.oldest_unaccounted_seconds}),
            _gauge("lag", {(topic,): number for topic, number in state.lag.items()}),
        ]


def figures(engine: Engine, now: datetime) -> list[Metric]:
    """Return every metric of source `ledger` that needs nothing but the ledger.

    Raises:
        LedgerUnavailableError: the database does not answer.
    """
    with queries.snapshot(engine) as moment:
        received = queries.accounted(moment)
        letters = queries.dead_letters(moment)
        events = queries.events(moment)
        closed = queries.closed(moment)
        states = queries.states(moment)
        backlog = queries.backlog(moment, now)
        clocks = queries.clocks(moment, now)
        to_dispatch, to_close = queries.times_to(moment, LIFE_BOUNDS)
        waiting = queries.outbox(moment)
        refused = queries.refused_by_broker(moment)

    # A unit that has finished everything stands at nought; it does not vanish from the board.
    backlog = dict.fromkeys(events.dispatched, queries.Backlog()) | backlog

    def age(since: datetime | None) -> float:
        return max(0.0, (now - since).total_seconds()) if since else 0.0

    return [
        _counter(
            "received",
            {(channel, fate): received[channel].get(fate, 0) for channel in received for fate in queries.DISPOSITIONS},
        ),
        _counter("dead_letters", _by_one(letters)),
        _counter("events", _by_one(events.by_kind)),
        _counter("dispatched", _by_one(events.dispatched)),
        _counter("returned", _by_one(events.returned)),
        _counter("contacts_revealed", _by_one(events.revealed)),
        _counter("escalated", _by_one(events.escalated)),
        _counter("closed", closed),
        _gauge("cases", _by_one(states)),
        _gauge("backlog", {(unit,): each.open for unit, each in backlog.items()}),
        _gauge("backlog_oldest_seconds", {(unit,): age(each.oldest) for unit, each in backlog.items()}),
        _gauge("unaccepted", {(unit,): each.unaccepted for unit, each in backlog.items()}),
        _gauge("overdue", {(unit,): each.overdue for unit, each in backlog.items()}),
        _gauge("clocks_running", {(name,): each.running for name, each in clocks.items()}),
        _gauge("clocks_late_seconds", {(name,): age(each.oldest_late) for name, each in clocks.items()}),
        _histogram("time_to_dispatch_seconds", to_dispatch),
        _histogram("time_to_close_seconds", to_close),
        _gauge("outbox", {(): waiting}),
        _gauge("refused_by_broker", {(): refused}),
    ]


def _family(name: str) -> Metric:
    of = metric(name)
    kinds = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily, "histogram": HistogramMetricFamily}
    family: Metric = kinds[of.kind](of.name, of.doc, labels=of.labels)
    return family


def _by_one(counted: Mapping[str, int]) -> dict[tuple[str], int]:
    return {(label,): number for label, number in counted.items()}


def _counter(name: str, counted: Mapping[Any, int]) -> Metric:
    of = metric(name)
    family = CounterMetricFamily(of.name, of.doc, labels=of.labels)
    for labels, number in sorted(counted.items()):
        family.add_metric(labels, number)
    return family


def _gauge(name: str, figures: Mapping[Any, float]) -> Metric:
    of = metric(name)
    family = GaugeMetricFamily(of.name, of.doc, labels=of.labels)
    for labels, figure in sorted(figures.items()):
        family.add_metric(labels, figure)
    return family


def _histogram(name: str, measured: queries.Histogram) -> Metric:
    of = metric(name)
    family = HistogramMetricFamily(of.name, of.doc)
    buckets = [(str(bound), number) for bound, number in zip(of.bounds, measured.cumulative, strict=True)]
    family.add_metric((), [*buckets, ("+Inf", measured.count)], measured.total)
    return family
