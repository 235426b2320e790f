"""`yiwang up`: broker, topics, ledger and workers of one installation, supervised until SIGTERM."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from routers.city import City
from sinks.database import UnavailableError, open_engine
from sinks.master_key import MasterKey
from sinks.schema import SchemaError, migrate
from sinks.seal import SealError
from sinks.vault import Vault
from streams import clock, contact_keys, keys
from streams.broker import BrokerError, EmbeddedKafka
from streams.cityfile import CityError, load_city
from streams.cluster import Cluster, ClusterError
from streams.files import write_whole
from streams.modelfile import TaxonomyError, of_city
from streams.process import READY_FILE, Child, ready_port, stop_all
from streams.settings import Settings
from streams.topics import topics_of

READY_SECONDS = 90.0
"""How long the workers may take until all have their partitions."""

GRACE = 20.0
"""Seconds a worker has to finish its batch: twice a batch's budget."""

_POLL = 0.1
UP_FILE = "up.json"

_log = logging.getLogger(__name__)


class UpError(Exception):
    """The installation cannot start; one sentence that says what to do."""


def run_up(settings: Settings, *, as_json: bool) -> int:
    """Run an installation until SIGTERM or SIGINT.

    Returns:
        0 after an orderly stop, 3 when something it needs is not there.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    stopping = _stop_on_signals()
    try:
        with installation(settings, stopping) as running:
            if stopping:
                return 0
            ready = running.state()
            if as_json:
                sys.stdout.write(json.dumps(ready) + "\n")
            else:
                sys.stdout.write(
                    f"Yiwang is up in {settings.data}: Kafka {running.bootstrap}, ledger {settings.ledger_url}; "
                    "stop with Ctrl-C\n"
                )
            sys.stdout.flush()
            running.supervise(stopping)
    except _REFUSALS as error:
        sys.stderr.write(f"{error}\n")
        return 3
    return 0


_REFUSALS = (
    UpError,
    BrokerError,
    ClusterError,
    CityError,
    TaxonomyError,
    SchemaError,
    SealError,
    UnavailableError,
)
"""What keeps an installation from starting: one sentence each."""


def _stop_on_signals() -> list[int]:
    """Return a list that stays empty until SIGTERM or SIGINT comes."""
    stopping: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda signum, _frame: stopping.append(signum))
    return stopping


@dataclass(slots=True)
class Running:
    """An installation that runs."""

    settings: Settings
    city: City
    bootstrap: str
    kafka: EmbeddedKafka | None
    children: list[Child] = field(default_factory=list)

    def start_workers(self, stopping: list[int]) -> None:
        """Start the workers and wait until each has its partitions.

        Raises:
            UpError: not all are ready in time.
        """
        environment = {**os.environ, **self.settings.environment(), "YIWANG_KAFKA": self.bootstrap}
        roles = {"triage": self.settings.triage_workers, "casework": self.settings.casework_workers}
        for role, count in roles.items():
            for number in range(count):
                name = f"{role}-{number}"
                command = [sys.executable, "-m", "streams.worker", "--role", role, "--name", name]
                (self.settings.run / READY_FILE.format(name=name)).unlink(missing_ok=True)
                self.children.append(
                    Child(name, role, command, environment, self.settings.data / "logs" / f"{name}.log")
                )
        for child in self.children:
            child.start()
        deadline = time.monotonic() + READY_SECONDS
        while not stopping and not all(self._metrics(child) for child in self.children):
            self._watch()
            if time.monotonic() > deadline:
                late = ", ".join(f"{c.name} ({c.last_words()})" for c in self.children if not self._metrics(c))
                raise UpError(f"not ready after {READY_SECONDS:.0f} s: {late}; see {self.settings.data / 'logs'}")
            time.sleep(_POLL)

    def supervise(self, stopping: list[int]) -> None:
        """Keep everything running until told to stop."""
        told: dict[str, str | None] = {}
        while not stopping:
            # A worker that was started again has another metrics port, and only once it is ready.
            addresses = {child.name: self._metrics(child) for child in self.children}
            if self._watch() or addresses != told:
                told = addresses
                self.write_state()
            time.sleep(_POLL)

    def _watch(self) -> bool:
        """Start again what has died; tell whether anything changed."""
        changed = False
        if self.kafka is not None and not self.kafka.is_alive():
            _log.warning("Kafka has died; starting it again")
            with contextlib.suppress(BrokerError):
                self.kafka.restart()
            changed = True
        for child in self.children:
            before = child.restarts
            died = child.watch()
            if died:
                _log.warning("%s; starting it again", died)
            changed = changed or bool(died) or child.restarts != before
        return changed

    def _metrics(self, child: Child) -> str | None:
        """Return where a worker serves its metrics, None until it is ready."""
        port = ready_port(self.settings.run, child.name, child.pid)
        return None if port is None else f"127.0.0.1:{port}"

    def state(self) -> dict[str, Any]:
        """Return what others need to find this installation."""
        metrics = {child.name: self._metrics(child) for child in self.children}
        return {
            "ready": all(metrics.values()),
            "pid": os.getpid(),
            "kafka": self.bootstrap,
            "ledger": self.settings.ledger_url,
            "vault": self.settings.vault_url,
            "vault_keys": self.settings.vault_keys_url,
            "master_key": str(self.settings.master_key_file.resolve()),
            "city": str(self.settings.city.resolve()),
            "partitions": self.settings.partitions,
            "metrics": metrics,
            "workers": [
                {"name": child.name, "role": child.role, "pid": child.pid, "restarts": child.restarts}
                for child in self.children
            ],
            "started_at": clock.for_people(clock.now()),
        }

    def write_state(self) -> None:
        """Write the state file and Prometheus' targets, each in one step."""
        state = self.state()
        targets = [
            {"targets": [address], "labels": {"worker": name, "role": name.rpartition("-")[0]}}
            for name, address in state["metrics"].items()
            if address
        ]
        for name, content in ((UP_FILE, state), ("prometheus-targets.json", targets)):
            write_whole(self.settings.run / name, json.dumps(content, indent=1).encode())


@contextlib.contextmanager
def installation(settings: Settings, stopping: list[int]) -> Iterator[Running]:
    """Start an installation, and stop all of it at the end, whatever happened.

    Raises:
        UpError: another one runs on these data, or the workers do not get ready.
        BrokerError, ClusterError, CityError, SchemaError: as their parts say.
    """
    if settings.ledger_url.startswith("sqlite") and settings.casework_workers > 1:
        raise UpError("SQLite has one writer: run one casework worker, or give the ledger a PostgreSQL URL")
    city = load_city(settings.city)
    of_city(settings.city, city)  # a model for another taxonomy is refused before anything is started
    settings.run.mkdir(parents=True, exist_ok=True)
    with _only_one(settings.run / "up.lock", settings.data):
        kafka = None if settings.kafka else EmbeddedKafka(settings.data, heap=settings.heap)
        running: Running | None = None
        try:
            bootstrap = settings.kafka or (kafka.start() if kafka else "")
            prepare(settings, city, bootstrap)
            running = Running(settings, city, bootstrap, kafka)
            running.start_workers(stopping)
            running.write_state()
            yield running
        finally:
            if running is not None:
                stop_all(running.children, GRACE)
            (settings.run / UP_FILE).unlink(missing_ok=True)
            if kafka is not None:
                kafka.stop()


def prepare(settings: Settings, city: City, bootstrap: str) -> None:
    """Bring topics, ledger, vault and keys to what the city needs."""
    units = [unit.code for unit in city.units.values() if unit.kind != "virtual"]
    keys.ensure(settings.keys, units)
    contact_keys.ensure(settings.keys, units)
    engine = open_engine(settings.ledger_url)
    try:
        migrate(engine)
    finally:
        engine.dispose()
    vault = Vault(settings.vault_url, settings.vault_keys_url, MasterKey(settings.master_key_file))
    try:
        vault.open()
    finally:
        vault.close()
    Cluster(settings.access(bootstrap)).apply_topics(
        topics_of(city, settings.partitions), replication=settings.replication
    )


@contextlib.contextmanager
def _only_one(lock: Path, data: Path) -> Iterator[None]:
    """Hold the installation's lock; the kernel lets go of it when the process dies."""
    with lock.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UpError(f"an installation already runs in {data}; stop it, or choose another --data") from None
        yield


def main() -> int:
    """Run an installation with the settings of the environment, telling its state as JSON."""
    return run_up(Settings(), as_json=True)


if __name__ == "__main__":
    sys.exit(main())
