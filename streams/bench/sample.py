"""The messages and rows of so many lifecycles: the product's own, made without Kafka.

The very functions of the workers run here on an in-process log and a ledger of their own, and everything
they publish and write is kept. So the limit has to move exactly the bytes the product moves.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from sqlalchemy import event

from routers.city import City
from routers.classifier import Model
from routers.triage import Triage as Decider
from sinks.ledger import Ledger, Output, open_engine, sqlite_url
from sinks.master_key import MasterKey
from sinks.metrics import Metrics
from sinks.schema import migrate
from sinks.vault import Vault
from streams import clock, keys
from streams.bench.parties import Departments, Sent, submission
from streams.bench.texts import Texts
from streams.casework import Arrived, Casework, arrived
from streams.keys import KeyRing
from streams.records import Record
from streams.topics import DEMANDS, PARTITIONS, REPLIES
from streams.triage import Triage

BATCH = 2_000
"""Inputs of one transaction."""

_WRITES = ("INSERT", "UPDATE", "DELETE")

Statement = tuple[str, list[tuple[Any, ...]]]
"""SQL and the rows it is run with."""


@dataclass(slots=True)
class Sample:
    """What the lifecycles come to."""

    lifecycles: int
    messages: list[Sent] = field(default_factory=list)
    transactions: list[list[Statement]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    """Processor time of triage, casework and clients without Kafka; the profile's ground truth."""

    @property
    def rows(self) -> int:
        """Return how many rows are written, changed or deleted."""
        return sum(len(rows) for statements in self.transactions for _sql, rows in statements)

    @property
    def bytes(self) -> int:
        """Return the bytes of all keys, values and headers."""
        return sum(
            len(key) + len(value or b"") + sum(len(name) + len(text) for name, text in headers)
            for _topic, key, value, headers in self.messages
        )


@dataclass(slots=True)
class _Log:
    """A broker that only remembers: one partition a topic is enough, offsets just count."""

    sample: Sample
    ends: dict[str, int] = field(default_factory=dict)
    fresh: list[Record] = field(default_factory=list)

    def publish(self, outputs: Sequence[Output], timeout: float) -> Arrived:  # noqa: ARG002 - the producer's signature
        self.append((each.topic, each.key or b"", each.value, list(each.headers)) for each in outputs)
        return arrived

    def append(self, messages: Iterable[tuple[str, bytes, bytes | None, list[tuple[str, bytes]]]]) -> None:
        for topic, key, value, headers in messages:
            offset = self.ends.get(topic, 0)
            self.ends[topic] = offset + 1
            self.sample.messages.append((topic, key, value, headers))  # type: ignore[arg-type]
            self.fresh.append(Record(topic, 0, offset, key, value, headers, 0.0))

    def take(self) -> list[Record]:
        taken, self.fresh = self.fresh, []
        return taken


def take_sample(city: City, folder: Path, lifecycles: int, seed: int, model: Model | None = None) -> Sample:
    """Run so many lifecycles through the workers' functions.

    Args:
        city: of the bench.
        folder: an empty one, for ledger, vault and keys.
        lifecycles: how many.
        seed: of the texts.
        model: with which the city classifies; None for its words.

    Raises:
        RuntimeError: not every case ended closed.
    """
    texts = Texts(city, seed, model)
    sample = Sample(lifecycles)
    log = _Log(sample)
    units = [unit.code for unit in city.units.values() if not unit.virtual]
    keys.ensure(folder / "keys", units)
    engine = open_engine(sqlite_url(folder / "ledger.db"))
    migrate(engine)
    vault = Vault(
        sqlite_url(folder / "vault.db"), sqlite_url(folder / "vault-keys.db"), MasterKey(folder / "vault.key")
    )
    metrics = Metrics(CollectorRegistry())
    triage = Triage(city, Decider(city, model), vault, log, clock.now, metrics.triage())
    casework = Casework(
        Ledger(engine),
        city,
        KeyRing(folder / "keys"),
        log,
        lambda plain, context: vault.seal(plain, context=context),
        clock.now,
        metrics.casework(),
    )
    staff = Departments(lambda unit: keys.current(folder / "keys", unit), clock.now)
    wave = _Wave(texts, log, triage, casework, staff)
    _record_writes(engine, sample)
    try:
        for start in range(0, lifecycles, BATCH):
            wave.run(range(start, min(lifecycles, start + BATCH)))
    finally:
        vault.close()
        casework.ledger.close()
    if len(staff.called) != lifecycles:
        raise RuntimeError(f"{len(staff.called)} of {lifecycles} sampled cases reached their call-back")
    return sample


@dataclass(frozen=True, slots=True)
class _Wave:
    """Everybody who takes part in a wave of demands."""

    texts: Texts
    log: _Log
    triage: Triage
    casework: Casework
    staff: Departments

    def run(self, numbers: range) -> None:
        """Bring these demands from submission to the end."""
        log, seconds = self.log, self.log.sample.seconds
        with _timed(seconds, "clients"):
            for number in numbers:
                log.append([submission(self.texts.demand(number))])
        with _timed(seconds, "triage"):
            self.triage.settle(log.take())
        while records := log.take():
            inputs = [each for each in records if each.topic in (DEMANDS, REPLIES)]
            with _timed(seconds, "clients"):
                for each in records:
                    done = self.staff.react(each.value) if each.topic.startswith("work.") else None
                    log.append(done[1] if done else ())
            with _timed(seconds, "casework"):
                for first in range(0, len(inputs), BATCH):
                    self.casework.transact(inputs[first : first + BATCH])


@contextlib.contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Add the processor time of a block to a sum."""
    started = time.process_time()
    yield
    seconds[name] = seconds.get(name, 0.0) + time.process_time() - started


def _record_writes(engine: Any, sample: Sample) -> None:
    """Keep every statement that writes, with its rows, by transaction."""
    open_: list[Statement] = []

    @event.listens_for(engine, "before_cursor_execute")
    def _on_execute(*arguments: Any) -> None:
        _connection, _cursor, statement, parameters, _context, many = arguments
        if statement.lstrip().startswith(_WRITES):
            open_.append((statement, list(parameters) if many else [parameters]))

    @event.listens_for(engine, "commit")
    def _on_commit(_connection: Any) -> None:
        if open_:
            sample.transactions.append(list(open_))
            open_.clear()


def topic_partitions(topics: Iterable[str]) -> dict[str, int]:
    """Return how many partitions each topic has on a real installation by default."""
    return {topic: 1 if topic.startswith("work.") else PARTITIONS for topic in topics}
