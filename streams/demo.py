"""`yiwang demo`: a seeded day in Qinglan on a real Kafka, played out and accounted for."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from routers.city import City
from sinks.audit import AuditReport, audit
from sinks.cases import first_rulings
from sinks.database import open_engine
from sinks.queries import Backlog, Totals, backlog, snapshot, totals
from streams import clock
from streams.cityfile import load_city
from streams.intake_log import intake_logs
from streams.kafka_process import tied
from streams.play import make_plan
from streams.settings import Settings

PACE = 12.0
"""Demands a second that the day brings at least: a mean day of a district in under two minutes."""

LONGEST = 600.0
"""Seconds after which a day that does not end counts as failed."""

OFFICES = 3
"""Processes that play the departments."""

GRACE = 30.0

_SHOWN = 60
"""Characters of a text that the summary shows."""


class DemoError(Exception):
    """The demo cannot be played; one sentence that says why."""


def run_demo(settings: Settings, *, demands: int, seed: int, as_json: bool) -> int:
    """Start everything, play the day, account for it, stop everything.

    Returns:
        0 when every demand is accounted for and all work is done, 1 when not, 3 when it could not start.
    """
    console = Console(stderr=True)
    stopping: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda signum, _frame: stopping.append(signum))
    try:
        with _folder(settings) as data:
            own = settings.model_copy(update={"data": data})
            summary = _Demo(own, demands, seed, console, stopping, live=not as_json).play()
    except DemoError as error:
        console.print(f"[red]{error}[/]")
        return 3
    if summary is None:
        console.print("stopped; nothing is left running")
        return 130
    if as_json:
        sys.stdout.write(json.dumps(summary) + "\n")
    else:
        _print(summary)
    return 0 if summary["unaccounted"] == 0 and summary["open"] == 0 else 1


@contextlib.contextmanager
def _folder(settings: Settings) -> Iterator[Path]:
    """Return the demo's own folder: the one asked for, else one that is gone afterwards."""
    if "data" in settings.model_fields_set:
        yield settings.data
        return
    with tempfile.TemporaryDirectory(prefix="yiwang-demo-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@dataclass(slots=True)
class _Demo:
    settings: Settings
    demands: int
    seed: int
    console: Console
    stopping: list[int]
    live: bool
    _children: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def play(self) -> dict[str, Any] | None:
        """Play the day; returns its summary, None when stopped by a signal."""
        city = load_city(self.settings.city)
        plan = make_plan(self.demands, self.seed, clock.now())
        folder = self.settings.data / "demo"
        said, right = plan.write(folder)
        up: subprocess.Popen[bytes] | None = None
        try:
            up, state = self._up()
            if state is None:
                return None
            started = time.monotonic()
            offices = self._offices(city, state, right, folder)
            citizens = self._citizens(city, state, said)
            finished = self._watch(city, len(plan.said), citizens, [up, *offices])
            seconds = time.monotonic() - started
            if not finished and self.stopping:
                return None
            _stop(offices)
            return self._account(state, seconds, folder)
        finally:
            _stop(self._children)
            if up is not None:
                _stop([up])

    def _up(self) -> tuple[subprocess.Popen[bytes], Mapping[str, Any] | None]:
        """Start the installation and wait until it is ready.

        Raises:
            DemoError: it does not get ready.
        """
        log = (self.settings.data / "demo" / "up.log").open("wb")
        with log, self.console.status("Starting Kafka, triage and casework ..."):
            process = subprocess.Popen(
                tied([sys.executable, "-m", "streams.up"]),
                env={**os.environ, **self.settings.environment()},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
            assert process.stdout is not None
            while not self.stopping:
                readable, _, _ = select.select([process.stdout], [], [], 0.2)
                if readable:
                    line = process.stdout.readline()
                    if line:
                        return process, json.loads(line)
                    process.wait()
                    words = Path(log.name).read_text(errors="replace").strip().splitlines()
                    raise DemoError(words[-1] if words else "the installation did not start and said nothing")
            return process, None

    def _role(self, *arguments: str) -> subprocess.Popen[bytes]:
        log = (self.settings.data / "demo" / f"people-{len(self._children)}.log").open("wb")
        with log:
            child = subprocess.Popen(
                tied([sys.executable, "-m", "streams.simulation", *arguments]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._children.append(child)
        return child

    def _offices(
        self, city: City, state: Mapping[str, Any], right: Path, folder: Path
    ) -> list[subprocess.Popen[bytes]]:
        desk = {city.policies.desk, city.policies.supervisor}
        others = [unit.code for unit in city.units.values() if unit.kind != "virtual" and unit.code not in desk]
        groups = [sorted(desk), *(others[number :: OFFICES - 1] for number in range(OFFICES - 1))]
        return [
            self._role(
                "office",
                f"--bootstrap={state['kafka']}",
                f"--units={','.join(group)}",
                f"--keys={self.settings.keys}",
                f"--city={self.settings.city}",
                f"--gold={right}",
                f"--seed={self.seed}",
                f"--seen={folder / f'seen-{number}.json'}",
            )
            for number, group in enumerate(groups)
        ]

    def _citizens(self, city: City, state: Mapping[str, Any], said: Path) -> list[subprocess.Popen[bytes]]:
        return [
            self._role(
                "citizens",
                f"--bootstrap={state['kafka']}",
                f"--channel={channel.name}",
                f"--plan={said}",
                f"--seconds={self.demands / PACE}",
            )
            for channel in city.channels.values()
            if channel.kind != "sensor"
        ]

    def _watch(
        self,
        city: City,
        planned: int,
        citizens: Sequence[subprocess.Popen[bytes]],
        needed: Sequence[subprocess.Popen[bytes]],
    ) -> bool:
        """Show how it goes until all is said and done.

        Returns:
            Whether the day came to its end.

        Raises:
            DemoError: a process that is needed died.
        """
        engine = open_engine(self.settings.ledger_url, read_only=True)
        deadline = time.monotonic() + self.demands / PACE + LONGEST
        bar = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=self.console)
        read = bar.add_task("received", total=planned)
        done = bar.add_task("settled", total=self.demands)
        shown = (
            Live(console=self.console, refresh_per_second=4, transient=True) if self.live else contextlib.nullcontext()
        )
        try:
            with shown as screen:
                while not self.stopping and time.monotonic() < deadline:
                    with snapshot(engine) as moment:
                        sums = totals(moment)
                        now = clock.now()
                        queues = backlog(moment, now)
                    settled = sums.opened + sums.in_review + sums.answered + sums.declined - sums.open
                    bar.update(read, completed=sums.received)
                    bar.update(done, completed=settled)
                    if screen is not None:
                        screen.update(Group(bar, _screen(city, sums, queues, now)))
                    said = all(child.poll() is not None for child in citizens)
                    if said and sums.received >= planned and sums.open == 0:
                        return True
                    self._still_there(citizens, needed)
                    time.sleep(0.25)
        finally:
            engine.dispose()
        return False

    def _still_there(
        self, citizens: Sequence[subprocess.Popen[bytes]], needed: Sequence[subprocess.Popen[bytes]]
    ) -> None:
        if any(child.poll() is not None for child in needed) or any(child.poll() for child in citizens):
            raise DemoError(f"a process of the demo died; what it said is in {self.settings.data / 'demo'}")

    def _account(self, state: Mapping[str, Any], seconds: float, folder: Path) -> dict[str, Any]:
        engine = open_engine(self.settings.ledger_url, read_only=True)
        try:
            report: AuditReport = audit(
                engine, intake_logs(self.settings.access(state["kafka"]).librdkafka(), keys=True)
            )
            with snapshot(engine) as moment:
                sums = totals(moment)
                rulings = first_rulings(moment)
        finally:
            engine.dispose()
        seen = sorted(ms for file in folder.glob("seen-*.json") for ms in json.loads(file.read_text()))
        names = (
            "received opened answered declined linked in_review duplicate follow_up dispatched closed "
            "closed_by_exemption dead_lettered open"
        )
        ended = sums.closed + sums.closed_by_exemption
        return {name: getattr(sums, name) for name in names.split()} | {
            "unaccounted": report.unaccounted,
            "units": sums.units,
            "seconds": round(seconds, 1),
            "lifecycles_per_s": round(ended / seconds, 1),
            "intake_to_queue_ms": {"p50": _share(seen, 0.5), "p99": _share(seen, 0.99)},
            "rulings": [_ruling(way, file) for way, file in sorted(rulings.items())],
        }


def _ruling(way: str, file: Mapping[str, Any]) -> dict[str, Any]:
    """Return what triage made of one demand, and why."""
    decision = next(each for each in file["decisions"] if each["decision"] == way)
    known = file["classification"]
    return {
        "case_id": file["case_id"],
        "decision": way,
        "text": file["text"],
        "category": known.get("category"),
        "confidence": known["confidence"],
        "why": known.get("why", []),
        "unit": decision.get("unit"),
        "rule": next((decision[name] for name in ("rule", "code", "reason", "by") if decision.get(name)), None),
    }


def _share(ordered: Sequence[float], share: float) -> float | None:
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 1) if ordered else None


def _screen(city: City, sums: Totals, queues: Mapping[str, Backlog], now: datetime) -> Table:
    """Return the live picture: the longest queues beside the sums."""
    table = Table(title=f"{city.zh} · one day", expand=False)
    for heading in ("unit", "单位", "open", "oldest, s"):
        table.add_column(heading, justify="right" if heading in ("open", "oldest, s") else "left")
    longest = sorted(queues.items(), key=lambda each: -each[1].open)[:8]
    for unit, waiting in longest:
        name = city.units[unit].short if unit in city.units else unit
        age = (now - waiting.oldest).total_seconds() if waiting.oldest else 0.0
        table.add_row(unit, name, str(waiting.open), f"{age:.0f}")
    table.caption = (
        f"received {sums.received}  dispatched {sums.dispatched} to {sums.units} units  in review {sums.in_review}  "
        f"answered {sums.answered}  declined {sums.declined}  closed {sums.closed}+{sums.closed_by_exemption}"
    )
    return table


def _stop(children: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ask all to end, wait, and end who has not."""
    for child in children:
        if child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                child.terminate()
    for child in children:
        try:
            child.wait(GRACE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _print(summary: Mapping[str, Any]) -> None:
    for name, value in summary.items():
        if name == "rulings":
            continue
        shown = " ".join(f"{key} {each}" for key, each in value.items()) if isinstance(value, dict) else value
        sys.stdout.write(f"{name}: {shown}\n")
    sys.stdout.write("\nThe first of each ruling, and why:\n")
    for each in summary["rulings"]:
        to = f" -> {each['unit']}" if each["unit"] else ""
        why = "、".join(each["why"]) or "-"
        sys.stdout.write(f"{each['decision']}{to} ({each['rule']}): {each['text'][:_SHOWN]}\n")
        sys.stdout.write(f"    category {each['category'] or '-'}, sure {each['confidence']:.2f}, for: {why}\n")
    sys.stdout.write("More of a case: yiwang case show CASE, on an installation that goes on (yiwang up).\n")
