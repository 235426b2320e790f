"""Every metric there is, in one list: names, labels, meaning (`METRICS`).

Two kinds. Those of source `worker` count what one process did and begin at nought when it
starts. Those of source `ledger` are read from the ledger when somebody asks
(`sinks.ledger_metrics`), so they are right after a restart; each worker that exports them
gives the same figures, hence `max without (instance)` in queries.

Label values are closed sets: channels, units, categories, topics, states, dispositions, codes; never a case.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

BATCH_BOUNDS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0)
"""Records."""
FAST_BOUNDS = (0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.25, 0.4, 0.7, 1.0, 2.0, 5.0, 10.0)
"""Seconds of machine work; 0.08 and 0.4 are the limits promised for the way to a queue."""
QUEUE_BOUNDS = (*FAST_BOUNDS, 30.0, 60.0, 300.0, 3600.0)
LIFE_BOUNDS = (1.0, 10.0, 60.0, 600.0, 1800.0, *(hours * 3600.0 for hours in (1, 2, 6, 12, 24, 72, 120, 240, 480)))
"""Seconds of people's work: a moment, hours, days."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric as Prometheus shows it."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    source: Literal["worker", "ledger"]
    labels: tuple[str, ...]
    doc: str
    bounds: tuple[float, ...] = ()


def _counter(name: str, source: Literal["worker", "ledger"], labels: str, doc: str) -> Metric:
    return Metric(f"yiwang_{name}_total", "counter", source, tuple(labels.split()), doc)


def _gauge(name: str, source: Literal["worker", "ledger"], labels: str, doc: str) -> Metric:
    return Metric(f"yiwang_{name}", "gauge", source, tuple(labels.split()), doc)


def _histogram(
    name: str, source: Literal["worker", "ledger"], labels: str, doc: str, bounds: tuple[float, ...]
) -> Metric:
    return Metric(f"yiwang_{name}", "histogram", source, tuple(labels.split()), doc, bounds)


METRICS: tuple[Metric, ...] = (
    # what one worker did
    _counter("taken", "worker", "channel", "Intake records triage took."),
    _counter("triaged", "worker", "ruling", "Demands triage ruled on, by ruling."),
    _gauge("model_in_use", "worker", "", "1 while a trained model classifies, 0 while the taxonomy's words do."),
    _gauge("dispatch_withheld", "worker", "category", "1 while outcomes keep a category, or a part, from the machine."),
    _gauge("outcomes_weighed", "worker", "", "Judged cases of the model in use that its thresholds follow from."),
    _counter("decided", "worker", "kind disposition", "Inputs casework decided, by what they are and their fate."),
    _counter(
        "refusals", "worker", "code", "Replies and follow-ups casework refused, by the code their sender is told."
    ),
    _counter("poison", "worker", "stage code", "Records that became dead letters, by who gave up and why."),
    _counter("bad_signatures", "worker", "code", "Replies without a signature, or with one that does not hold."),
    _counter("ledger_conflicts", "worker", "", "Batches decided again because somebody else wrote first."),
    _histogram("batch_records", "worker", "role", "Records in a batch.", BATCH_BOUNDS),
    _histogram("batch_seconds", "worker", "role", "Time from taking a batch to its last acknowledgement.", FAST_BOUNDS),
    _histogram(
        "publish_seconds",
        "worker",
        "role",
        "Time from handing a batch to the broker until it was seen to have it.",
        FAST_BOUNDS,
    ),
    _histogram(
        "intake_to_queue_seconds", "worker", "", "Time from a channel's receipt to the first work queue.", QUEUE_BOUNDS
    ),
    _counter("worker_restarts", "worker", "role", "Times the supervisor started a worker again."),
    _gauge("loop_age_seconds", "worker", "", "Time since the worker's loop last came round; grows while it is stuck."),
    # how things stand
    _gauge("ledger_up", "ledger", "", "1 when the ledger answered, 0 when it did not."),
    _gauge("ledger_seconds", "ledger", "", "Time the ledger took to answer all of this."),
    _counter("received", "ledger", "channel disposition", "Intake records accounted for, by their first disposition."),
    _counter("dead_letters", "ledger", "code", "Dead letters of all topics, by why nobody could decide on them."),
    _counter("events", "ledger", "kind", "Things that happened to cases, by kind."),
    _counter("dispatched", "ledger", "unit", "Cases given to a unit; one that comes back counts again."),
    _counter("returned", "ledger", "unit", "Cases a unit gave back."),
    _counter("contacts_revealed", "ledger", "unit", "Times a unit was shown how to reach a citizen."),
    _counter("escalated", "ledger", "clock", "Cases put before the supervisor, by the clock that ran out."),
    _counter("closed", "ledger", "unit exemption", "Cases closed, by lead unit and exemption (`none`: none needed)."),
    _gauge("cases", "ledger", "state", "Cases by state."),
    _gauge("backlog", "ledger", "unit", "Open cases a unit has in custody."),
    _gauge("backlog_oldest_seconds", "ledger", "unit", "Age of the oldest of them, since it was registered."),
    _gauge("unaccepted", "ledger", "unit", "Cases dispatched to a unit that it has not accepted."),
    _gauge("overdue", "ledger", "unit", "Open cases in a unit's custody whose answer is overdue."),
    _gauge("clocks_running", "ledger", "clock", "Clocks that run."),
    _gauge("clocks_late_seconds", "ledger", "clock", "How long the most belated clock has been due without effect."),
    _histogram("time_to_dispatch_seconds", "ledger", "", "Time from registration to first dispatch.", LIFE_BOUNDS),
    _histogram("time_to_close_seconds", "ledger", "", "Time from registration to closure.", LIFE_BOUNDS),
    _gauge("outbox", "ledger", "", "Messages decided but not known to be on the broker."),
    _gauge("refused_by_broker", "ledger", "", "Messages the broker refused for good: kept, and not tried again."),
    _gauge("broker_up", "ledger", "", "1 when the broker said how far its topics reach, 0 when it did not."),
    _gauge("unaccounted", "ledger", "", "Intake records on the broker that the ledger does not account for yet."),
    _gauge("unaccounted_oldest_seconds", "ledger", "", "Age of the oldest of them."),
    _gauge("lag", "ledger", "topic", "Records a topic holds that its reader has not settled."),
)
"""The list. `docs/metrics.md` is this table; rules and boards may name nothing else."""

_BY_NAME = {metric.name: metric for metric in METRICS}

UNPROVEN = frozenset({"unsigned", "unknown_key", "bad_signature"})
"""Codes of replies that nobody can be held to."""


def metric(name: str) -> Metric:
    """Return the metric of that name, with or without `yiwang_` and `_total`.

    Raises:
        KeyError: it is not in the list.
    """
    full = name if name.startswith("yiwang_") else f"yiwang_{name}"
    return _BY_NAME[full] if full in _BY_NAME else _BY_NAME[f"{full}_total"]
