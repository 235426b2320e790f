"""A whole installation for tests: `up` in a process of its own, to be hurt, and then looked into.

`python -m tests.installation` is that process: what `yiwang up` runs, with a supervisor that does not
wait long before it starts a worker again, since these tests kill many.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeVar

import psutil
from sqlalchemy import text

from sinks.audit import AuditReport, audit
from sinks.database import open_engine
from streams import decoding, envelope, faults, kafka_child, process
from streams import messages as wire
from streams.channel import ChannelClient
from streams.client import Reader
from streams.department import DepartmentClient
from streams.intake_log import intake_logs
from streams.kafka_access import KafkaAccess
from streams.lag import CASEWORK_GROUP, TRIAGE_GROUP
from streams.messages import Outcome
from streams.settings import Settings
from streams.topics import outcome, work
from streams.up import UP_FILE, run_up

T = TypeVar("T")

START_SECONDS = 110.0
"""For broker, topics and workers, on a machine that others use too."""

SECONDS = 60.0
"""For anything that an installation does by itself, a change of the group's members included."""

IMPATIENT = 0.2
"""Seconds this supervisor waits before it starts a worker again."""

STREETLIGHT = "云桥街道虹桥社区解放路路灯不亮，晚上走路看不清"
LAMPS, DESK = "U-LIGHT", "H-HOTLINE"
"""Whose work that is, and who calls back when it is done."""


def until(fact: Callable[[], T | None], seconds: float, what: str) -> T:
    """Wait until something is so, and return it.

    Raises:
        AssertionError: it is not so in time.
    """
    deadline = time.monotonic() + seconds
    while not (found := fact()):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)
    return found


def bury(bootstrap: str, group: str) -> None:
    """Take a group's dead members out, as its operator may; Kafka itself waits for the end of their session."""
    from kafka import KafkaAdminClient
    from kafka.admin import MemberToRemove

    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        members = admin.describe_groups([group])[group]["members"]
        with contextlib.suppress(Exception):  # the session may end at the same moment
            admin.remove_group_members(group, [MemberToRemove(member_id=each["member_id"]) for each in members])
    finally:
        admin.close()


@dataclass(frozen=True)
class Told:
    """A record of a topic as any reader sees it."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]

    @property
    def id(self) -> str:
        """The CloudEvents id: what is published twice has the same."""
        return envelope.header(self.headers, "ce_id") or ""

    @property
    def number(self) -> int:
        """The sequence number of the case it shows; 0 for the answer to a reply about no case."""
        return int(envelope.header(self.headers, envelope.SEQUENCE_HEADER) or "0")


@dataclass
class Installation:
    """One installation in one folder; it ends with the test process, however that ends."""

    data: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    """Further `YIWANG_*` settings, by their lower-case names."""
    _process: subprocess.Popen[str] | None = None

    @cached_property
    def order(self) -> Path:
        """The file in which a test orders a worker's death."""
        return self.data.parent / f"{self.data.name}.fault"

    # -- running --------------------------------------------------------------------------------

    def start(self) -> None:
        """Start it and wait until all its workers are ready."""
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("YIWANG_")},
            "YIWANG_DATA": str(self.data),
            "YIWANG_PARTITIONS": "2",
            faults.VARIABLE: str(self.order),
            **{f"YIWANG_{name.upper()}": value for name, value in self.settings.items()},
        }
        self.data.mkdir(parents=True, exist_ok=True)
        with (self.data.parent / f"{self.data.name}.log").open("ab") as log:
            command = [sys.executable, "-m", "tests.installation"]
            self._process = subprocess.Popen(
                [sys.executable, kafka_child.__file__, str(os.getpid()), *command],
                env=environment,
                cwd=Path(__file__).parent.parent,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], START_SECONDS)
        line = self._process.stdout.readline() if readable else ""
        assert line, f"the installation did not start: {self._said()}"
        assert json.loads(line)["ready"]

    def stop(self) -> None:
        """Stop it in order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the supervisor, and with it, by the kernel, everything it started."""
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> None:
        if self._process is None:
            return
        family = psutil.Process(self._process.pid).children(recursive=True) if self._process.poll() is None else []
        self._process.send_signal(number)
        self._process.wait(START_SECONDS)
        _gone, left = psutil.wait_procs(family, timeout=10)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None
        assert not left, f"left behind: {left}"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def _said(self) -> str:
        return (self.data.parent / f"{self.data.name}.log").read_text()[-2000:]

    # -- hurting --------------------------------------------------------------------------------

    @property
    def state(self) -> dict[str, Any]:
        """What the supervisor tells of itself."""
        found: dict[str, Any] = json.loads((self.data / "run" / UP_FILE).read_text())
        return found

    def worker(self, name: str) -> dict[str, Any]:
        """What the supervisor tells of one worker."""
        return next(each for each in self.state["workers"] if each["name"] == name)

    def pid(self, name: str) -> int:
        """The process id of a worker that runs."""
        return until(lambda: int(self.worker(name)["pid"] or 0), SECONDS, f"{name} runs")

    @property
    def kafka_pid(self) -> int:
        """The process id of the embedded broker."""
        return int((self.data / "kafka" / "broker.pid").read_text())

    @property
    def process(self) -> psutil.Process:
        """The supervisor."""
        assert self._process is not None
        return psutil.Process(self._process.pid)

    def arm(self, worker: str, step: str, signal_name: str = "KILL") -> None:
        """Order a worker's death, or its sleep by `STOP`, at its next passing of a step."""
        fired = self.order.with_name(self.order.name + faults.FIRED)
        fired.unlink(missing_ok=True)
        fresh = self.order.with_name(self.order.name + ".new")
        fresh.write_text(f"{worker} {step} {signal_name}")
        fresh.replace(self.order)

    def died(self) -> None:
        """Wait until the order was carried out."""
        until(self.order.with_name(self.order.name + faults.FIRED).exists, SECONDS, "the worker stops as ordered")

    def bury(self, group: str) -> None:
        """Take the dead out of a group; see `bury`."""
        bury(self.bootstrap, group)

    # -- using ----------------------------------------------------------------------------------

    @cached_property
    def _settings(self) -> Settings:
        return Settings(data=self.data, ledger=self.settings.get("ledger"))

    @property
    def bootstrap(self) -> str:
        """The broker's address."""
        return str(self.state["kafka"])

    @property
    def keys(self) -> Path:
        """The folder of the units' keys."""
        return self._settings.keys

    def channel(self, name: str = "app") -> ChannelClient:
        """Connect as a channel."""
        return ChannelClient(self.bootstrap, name)

    def units(self, *codes: str) -> DepartmentClient:
        """Connect as one unit or some."""
        return DepartmentClient(self.bootstrap, codes, self.keys)

    def ends(self, topic: str) -> list[int]:
        """Where the logs of a topic end, by partition."""
        reader = Reader(KafkaAccess(bootstrap=self.bootstrap), "yiwang-test", [topic])
        try:
            return list(reader.ends().values())
        finally:
            reader.close()

    def metrics(self, role: str | None = None) -> list[str]:
        """Where the workers, or those of a role, tell Prometheus: `HOST:PORT` each."""
        targets = json.loads((self.data / "run" / "prometheus-targets.json").read_text())
        return [each["targets"][0] for each in targets if role in {None, each["labels"]["role"]}]

    # -- looking --------------------------------------------------------------------------------

    def rows(self, statement: str, **values: object) -> list[Any]:
        """Ask the ledger."""
        engine = open_engine(self._settings.ledger_url, read_only=True)
        try:
            with engine.connect() as connection:
                return list(connection.execute(text(statement), values))
        finally:
            engine.dispose()

    def audit(self) -> AuditReport:
        """Hold the ledger against Kafka."""
        engine = open_engine(self._settings.ledger_url, read_only=True)
        try:
            return audit(engine, intake_logs(KafkaAccess(bootstrap=self.bootstrap).librdkafka()))
        finally:
            engine.dispose()

    def sound(self) -> AuditReport:
        """Wait until nothing is under way any more, and see that all is accounted for."""

        def _quiet() -> AuditReport | None:
            report = self.audit()
            return report if report.ok and report.outbox == 0 else None

        try:
            return until(_quiet, SECONDS, "everything is accounted for")
        except AssertionError as error:
            report = self.audit()
            raise AssertionError(f"{error}: {list(report.lines())}, outbox {report.outbox}") from None

    def fates(self, case_ids: Iterable[str]) -> dict[str, list[str]]:
        """The kinds of each case's events, in order."""
        found: dict[str, list[str]] = {case_id: [] for case_id in case_ids}
        for case_id, kind in self.rows("SELECT case_id, kind FROM event ORDER BY case_id, seq"):
            if case_id in found:
                found[case_id].append(kind.removeprefix("case."))
        return found

    def told(self, *topics: str) -> list[Told]:
        """Everything some topics hold."""
        reader = Reader(KafkaAccess(bootstrap=self.bootstrap), "yiwang-test", topics)
        records: list[Told] = []
        try:
            ends = reader.ends()
            reader.seek(reader.starts())
            deadline = time.monotonic() + SECONDS
            while any(offset < ends[partition] for partition, offset in reader.position().items()):
                assert time.monotonic() < deadline, f"{topics} cannot be read to their end"
                records += [Told(each.topic, each.key, each.value, each.headers) for each in reader.poll(0.2)]
        finally:
            reader.close()
        return records

    def outcomes(self, channel: str = "app") -> dict[str, list[Outcome]]:
        """What a channel was told of each demand; what was published again counts once."""
        seen: dict[str, Told] = {}
        for each in self.told(outcome(channel)):
            assert same(seen.setdefault(each.id, each), each), f"{each.id} says two things"
        told = defaultdict(list)
        for each in seen.values():
            message = decoding.decode(wire.OUTCOME, each.value)
            told[message.demand_id or ""].append(message)
        return told

    def check_once(self, channels: Iterable[str] = ("app",)) -> None:
        """See that every effect is there once: receipts, work items, events; and the newest of each item last.

        An effect may be published again by a worker that takes over; it is the same effect when it
        has the same id and says the same, for then every reader drops it.
        """
        self.sound()
        for channel in channels:
            for case_id, told in self.outcomes(channel).items():
                receipts = Counter(each.about for each in told if each.code == "accepted")
                assert all(number == 1 for number in receipts.values()), f"{case_id} has two receipts: {receipts}"
        queues = [work(unit) for unit in {row[0] for row in self.rows('SELECT DISTINCT lead FROM "case"')} if unit]
        seen: dict[str, Told] = {}
        records = self.told(*queues) if queues else []
        for each in records:
            assert same(seen.setdefault(each.id, each), each), f"{each.id} on {each.topic} says two things"
        shown: dict[tuple[str, bytes | None, int], bytes | None] = {}
        for each in seen.values():
            if each.number:
                value = shown.setdefault((each.topic, each.key, each.number), each.value)
                assert value == each.value, f"{each.topic} shows two things as number {each.number} of {each.key!r}"
        newest: Counter[tuple[str, bytes | None]] = Counter()
        last: dict[tuple[str, bytes | None], int] = {}
        for each in records:
            last[each.topic, each.key] = each.number
            newest[each.topic, each.key] = max(newest[each.topic, each.key], each.number)
        assert last == newest, "compaction would keep an older state than the newest"


def same(one: Told, other: Told) -> bool:
    """Tell whether two records are one effect."""
    return (one.topic, one.key, one.value) == (other.topic, other.key, other.value)


@contextlib.contextmanager
def installation(data: Path, **settings: str) -> Iterator[Installation]:
    """An installation that runs while the context lasts."""
    with Installation(data, settings) as running:
        yield running


GROUPS = {"triage": TRIAGE_GROUP, "casework": CASEWORK_GROUP}
"""Role to its consumer group."""


if __name__ == "__main__":
    process.FIRST_PAUSE = process.LONGEST_PAUSE = IMPATIENT
    sys.exit(run_up(Settings(), as_json=True))
