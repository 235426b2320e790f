"""What workers count, and what the ledger says: all that `/metrics` shows, listed in `sinks.metric_list`.

metrics = Metrics(registry)
casework = Casework(..., observer=metrics.casework())
registry.register(LedgerCollector(engine, now, intake))
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from sinks.ledger_metrics import IntakeState, LedgerCollector
from sinks.metric_list import METRICS, UNPROVEN, Metric, metric

__all__ = [
    "METRICS",
    "CaseworkMetrics",
    "IntakeState",
    "LedgerCollector",
    "Metric",
    "Metrics",
    "TriageMetrics",
    "metric",
]


class Children:
    """A metric's children, each kept once made: finding one again costs a third of making it."""

    def __init__(self, of: Metric, registry: CollectorRegistry) -> None:
        if of.kind == "histogram":
            self._parent: Any = Histogram(of.name, of.doc, of.labels, registry=registry, buckets=of.bounds)
        else:
            make: Any = Counter if of.kind == "counter" else Gauge
            self._parent = make(of.name, of.doc, of.labels, registry=registry)
        self._plain = not of.labels
        self._known: dict[tuple[str, ...], Any] = {}

    def __call__(self, *labels: str) -> Any:
        """Return the child with these label values."""
        child = self._known.get(labels)
        if child is None:
            child = self._known[labels] = self._parent if self._plain else self._parent.labels(*labels)
        return child


class Metrics:
    """The metrics of one process: registers those of its role, and no others."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Remember where `/metrics` reads, and let it tell of the process: memory, processor, start."""
        self._registry = registry
        ProcessCollector(registry=registry)
        self._made: dict[str, Children] = {}

    def __getitem__(self, name: str) -> Children:
        """Return a worker's metric by its name in the list, registered at its first use.

        Raises:
            KeyError: it is not in the list.
        """
        if name not in self._made:
            self._made[name] = Children(metric(name), self._registry)
        return self._made[name]

    def triage(self) -> TriageMetrics:
        """Return what triage counts with."""
        return TriageMetrics(self)

    def casework(self) -> CaseworkMetrics:
        """Return what casework counts with."""
        return CaseworkMetrics(self)

    def restarted(self, role: str, times: int = 1) -> None:
        """The supervisor started a worker of this role again; 0 times shows the role from the start."""
        self["worker_restarts"](role).inc(times)

    def watch_loop(self, age: Callable[[], float]) -> None:
        """Show how long the worker's loop has stood still.

        Args:
            age: seconds since it last came round; asked in the thread that answers a scrape.
        """
        self["loop_age_seconds"]().set_function(age)


class _Batches:
    """What both roles count of their batches."""

    def __init__(self, metrics: Metrics, role: str) -> None:
        self._records = metrics["batch_records"](role)
        self._seconds = metrics["batch_seconds"](role)
        self._published = metrics["publish_seconds"](role)

    def batch(self, size: int, seconds: float) -> None:
        """A batch of so many records was settled in so many seconds."""
        self._records.observe(size)
        self._seconds.observe(seconds)

    def published(self, seconds: float) -> None:
        """The broker took so many seconds to acknowledge a batch."""
        self._published.observe(seconds)


class TriageMetrics(_Batches):
    """What triage counts."""

    def __init__(self, metrics: Metrics) -> None:
        super().__init__(metrics, "triage")
        self._metrics = metrics
        self._taken, self._triaged, self._poison = metrics["taken"], metrics["triaged"], metrics["poison"]
        self._withheld: set[str] = set()
        """Categories that were ever withheld: one that is given back stands at nought."""

    def received(self, channel: str, count: int) -> None:
        """So many records of a channel were taken."""
        self._taken(channel).inc(count)

    def classifier(self, *, trained: bool) -> None:
        """A trained model classifies, or the taxonomy's words alone."""
        self._metrics["model_in_use"]().set(trained)

    def weighed(self, outcomes: int, withheld: Collection[str]) -> None:
        """So many outcomes were weighed; of these categories the machine dispatches less than it would, or nothing."""
        self._metrics["outcomes_weighed"]().set(outcomes)
        known = self._metrics["dispatch_withheld"]
        for category in {*withheld, *self._withheld}:
            known(category).set(category in withheld)
        self._withheld.update(withheld)

    def triaged(self, ruling: str) -> None:
        """A demand was ruled on."""
        self._triaged(ruling).inc()

    def dead_letter(self, stage: str, code: str) -> None:
        """A record became a dead letter."""
        self._poison(stage, code).inc()


class CaseworkMetrics(_Batches):
    """What casework counts."""

    def __init__(self, metrics: Metrics) -> None:
        super().__init__(metrics, "casework")
        self._decided, self._refusals = metrics["decided"], metrics["refusals"]
        self._poison, self._unproven = metrics["poison"], metrics["bad_signatures"]
        self._conflicts = metrics["ledger_conflicts"]()
        self._queued = metrics["intake_to_queue_seconds"]()
        for code in sorted(UNPROVEN):  # an alert on growth needs the nought to grow from
            self._unproven(code)

    def decided(self, kind: str, disposition: str, code: str | None) -> None:
        """An input met its fate."""
        self._decided(kind, disposition).inc()
        if code is None:
            return
        if disposition == "dead_lettered":
            if kind == "dead_letter":  # read again to be accounted for; it was counted when it was written
                return
            self._poison("casework", code).inc()
            if code in UNPROVEN:
                self._unproven(code).inc()
        elif disposition in {"refused", "follow_up"}:
            self._refusals(code).inc()

    def conflict(self) -> None:
        """The ledger refused a batch that somebody else had overtaken."""
        self._conflicts.inc()

    def queued(self, seconds: float) -> None:
        """A demand reached its first work queue so long after its channel took it in."""
        self._queued.observe(max(0.0, seconds))
