"""Whole lifecycles through the real product: a burst for the rate, two steady flows for the latency, then the audit."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sinks.audit import audit
from sinks.database import open_engine
from sinks.queries import snapshot, states
from streams.bench.processes import BenchError, Party, Product, cpu_seconds, product
from streams.intake_log import intake_logs
from streams.settings import Settings

WARM_UP = 300
"""Lifecycles before the measurement: Java compiles its hot paths meanwhile."""

STEADY_SECONDS = 20
STEADY_RATES = (20, 100)
"""Demands a second: a district's busy hour, and a storm."""

Progress = Callable[[str], None]


@dataclass(slots=True)
class Lifecycles:
    """What was measured."""

    count: int
    seconds: float = 0.0
    closed: int = 0
    cases: int = 0
    """Of all phases, as the ledger says; so are those closed."""
    cases_closed: int = 0
    unaccounted: int = 0
    cpu_ms: dict[str, float] = field(default_factory=dict)
    """Processor time of each part for one lifecycle of the burst."""
    latency_ms: dict[int, dict[str, float]] = field(default_factory=dict)
    """Rate to the percentiles from submission to the department."""
    steady_cpu_ms: dict[int, dict[str, float]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Tell whether every case ended closed and every demand is accounted for."""
        return not self.problems and self.cases == self.cases_closed and self.unaccounted == 0


def run_lifecycles(settings: Settings, count: int, seed: int, progress: Progress, steady_s: int) -> Lifecycles:
    """Play so many lifecycles at once, then two steady flows.

    Args:
        settings: of an installation of the bench's own, in an empty folder.
        count: lifecycles of the burst.
        seed: of the texts.
        progress: told what happens.
        steady_s: seconds of each steady flow; 0 for none.

    Raises:
        BenchError: the product or a client does not run.
    """
    done = Lifecycles(count)
    play = _Play(settings, seed, progress)
    with product(settings) as running:
        with play.clients(running, patient=True):
            play.phase(min(WARM_UP, count), None)
            _waits, done.seconds, done.cpu_ms = play.phase(count, None)
        if steady_s:
            with play.clients(running, patient=False):
                for rate in STEADY_RATES:
                    waits, _seconds, cpu_ms = play.phase(rate * steady_s, rate)
                    done.latency_ms[rate] = {"p50": percentile(waits, 50), "p99": percentile(waits, 99)}
                    done.steady_cpu_ms[rate] = cpu_ms
        progress("audit")
        _check(settings, running, done)
    if play.number != done.cases:
        done.problems.append(f"{play.number} demands were submitted and the ledger has {done.cases} cases")
    return done


@dataclass(slots=True)
class _Play:
    """The clients of a bench, and what they have done so far."""

    settings: Settings
    seed: int
    progress: Progress
    number: int = 0
    _pids: dict[str, int] = field(default_factory=dict)
    _parties: tuple[Party, ...] = ()

    @contextlib.contextmanager
    def clients(self, running: Product, *, patient: bool) -> Iterator[None]:
        """Run the two client processes.

        Args:
            running: the installation.
            patient: gather as one does under load; else hurry, for the latency.
        """
        order = {
            "kafka": self.settings.access(running.bootstrap).librdkafka(),
            "keys": str(self.settings.keys),
            "city": str(self.settings.city.resolve()),
            "seed": self.seed,
            "patient": patient,
        }
        with contextlib.ExitStack() as stack:
            parties = []
            for role in ("channels", "departments"):
                parties.append(Party(role, order, self.settings.data / f"{role}.log"))
                stack.callback(parties[-1].close)
            self._parties = tuple(parties)
            self._pids = {**running.pids, "channels": parties[0].pid, "departments": parties[1].pid}
            yield

    def cpu(self) -> dict[str, float]:
        """Return the processor time of each part; both client processes are one part."""
        spent = cpu_seconds(self._pids)
        return spent | {"clients": spent.pop("channels") + spent.pop("departments")}

    def phase(self, count: int, rate: float | None) -> tuple[list[float], float, dict[str, float]]:
        """Play lifecycles to their end.

        Returns:
            Milliseconds from submission to first sight in the department, one a demand; seconds of all; milliseconds
            of processor time a lifecycle, by part.

        Raises:
            BenchError: not all ended closed.
        """
        self.progress(f"{count} lifecycles {'at once' if rate is None else f'at {rate}/s'}")
        channels, departments = self._parties
        before = self.cpu()
        result = channels.ask({"first": self.number, "count": count, "rate": rate})
        self.number += count
        cpu_ms = {part: round((spent - before[part]) / count * 1000, 3) for part, spent in self.cpu().items()}
        report = departments.ask({"report": True})
        seconds = result["ended"] - result["started"]
        if result["closed"] != count:
            details = f"outcomes astray: {result['astray']}; departments: {report['problems']}"
            raise BenchError(f"{result['closed']} of {count} cases ended closed; {details}")
        sent, seen = result["sent"], report["seen"]
        self.progress(f"all closed in {seconds:.1f} s, {count / seconds:.0f}/s")
        return [(seen[each] - sent[each]) * 1000 for each in sent], seconds, cpu_ms


def _check(settings: Settings, running: Product, done: Lifecycles) -> None:
    """Ask the ledger for the cases, and prove that every demand is accounted for."""
    engine = open_engine(settings.ledger_url, read_only=True)
    try:
        report = audit(engine, intake_logs(settings.access(running.bootstrap).librdkafka()))
        with snapshot(engine) as moment:
            by_state = states(moment)
    finally:
        engine.dispose()
    done.unaccounted = report.unaccounted
    done.cases = sum(by_state.values())
    done.cases_closed = by_state.get("closed", 0)
    if not report.ok:
        done.problems += list(report.lines())[:5]
    if done.cases != done.cases_closed:
        done.problems.append(f"not all cases are closed: { {name: n for name, n in by_state.items() if n} }")


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the nearest-rank percentile."""
    ordered = sorted(values)
    return round(ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)], 1)


def figures(done: Lifecycles) -> dict[str, Any]:
    """Return what is reported of the product."""
    document: dict[str, Any] = {
        "lifecycles_per_s": round(done.count / done.seconds, 1),
        "seconds": round(done.seconds, 3),
        "lifecycles": done.count,
        "cases": done.cases_closed,
        "audit_unaccounted": done.unaccounted,
        "cpu_ms_per_lifecycle": done.cpu_ms,
        "problems": done.problems,
    }
    if done.latency_ms:
        slow, fast = STEADY_RATES
        document["intake_to_queue_ms"] = {"p50": done.latency_ms[slow]["p50"], "p99": done.latency_ms[fast]["p99"]}
        document["steady"] = {
            f"{rate}/s": values | {"cpu_ms_per_lifecycle": done.steady_cpu_ms[rate]}
            for rate, values in done.latency_ms.items()
        }
    return document


def data_folder(root: Path) -> Path:
    """Return where the installation of a bench lives."""
    return root / "installation"
