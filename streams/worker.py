"""A worker process: one Faust app for one role, wired to the function that settles its batches."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import faust
from mode.loop import use as use_loop
from prometheus_client import CollectorRegistry
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from routers.triage import Triage as Decider
from sinks import judgements
from sinks.database import LedgerUnavailableError, UnavailableError, open_engine
from sinks.ledger import Ledger, Partition
from sinks.ledger_metrics import LedgerCollector
from sinks.master_key import MasterKey
from sinks.metrics import Metrics
from sinks.schema import SchemaError, check_schema
from sinks.seal import SealError
from sinks.vault import Vault, VaultUnavailableError
from streams import clock, topics
from streams.batches import EX_SOFTWARE, Batches, Ending
from streams.buffers import App
from streams.casework import Casework
from streams.chores import Chores
from streams.cityfile import CityError, load_city
from streams.cluster import Cluster, ClusterError, ClusterUnavailableError
from streams.contacts import Contacts
from streams.faults import fault_point
from streams.health import serve_health
from streams.keys import KeyRing
from streams.lag import CASEWORK_GROUP, TRIAGE_GROUP, Backlog
from streams.learning import MEMORY_FILE as LEARNED_FILE
from streams.learning import MOST, WINDOW, Learner
from streams.modelfile import TaxonomyError, of_city
from streams.offsets import Settled, own_offsets_transport
from streams.process import READY_FILE, RESTARTS
from streams.producer import BatchProducer
from streams.records import Record
from streams.settings import Settings
from streams.takeover import Resume, Takeover
from streams.ticker import Ticker
from streams.triage import Triage
from streams.unaccounted import MEMORY_FILE

SESSION = 10.0
"""Seconds after which a silent worker's partitions go to another; above the batch budget's last try."""

WAIT = 60.0
"""Seconds a starting worker waits for broker and ledger before it gives up and is started again."""

VAULT_SECONDS = 2.0
"""Seconds casework waits for a vault's server: a part of a batch's budget, since cases go on without the vault."""

LEDGER_SECONDS = 2.0
"""Seconds triage waits for a ledger's server that does not answer: it learns from it, and does without."""

STUCK = 60.0
"""Seconds without a settled batch or an idle turn after which `/healthz` says no."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Role:
    """What a worker of a role does; the rest is the same for all."""

    group: str
    topics: list[str]
    begin: Callable[[Sequence[Record]], Ending]
    starts: Callable[[list[Partition]], Mapping[Partition, int]]
    """Called in the settling thread at every assignment; see `streams.offsets.Starts`."""
    idle: Callable[[], None]
    registry: CollectorRegistry
    metrics: Metrics
    closers: list[Callable[[], None]] = field(default_factory=list)


def run_worker(role: str, settings: Settings, name: str | None = None) -> int:
    """Run a worker until SIGTERM.

    Args:
        role: `triage` or `casework`.
        settings: the installation.
        name: of this worker among its like, for its ready file; default the role.

    Returns:
        0 after SIGTERM, 70 when it cannot go on, 3 when a service it needs is not reachable.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("faust").setLevel(logging.WARNING)
    logging.getLogger("mode").setLevel(logging.WARNING)
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    try:
        parts = _wired(role, settings)
    except (ClusterError, UnavailableError, SchemaError, CityError, TaxonomyError, SealError) as error:
        _log.critical("%s", error)
        return 3
    settled = Settled()
    batches = Batches(parts.begin, settled, parts.idle)
    parts.metrics.watch_loop(lambda: time.monotonic() - batches.progress_at)
    parts.metrics.restarted(role, int(os.environ.get(RESTARTS, "0")))
    app = _app(parts, settings, settled, batches)
    health = serve_health(
        settings.metrics_port,
        parts.registry,
        lambda: _healthy(batches, role),
    )
    ready = settings.run / READY_FILE.format(name=name or role)

    @app.on_rebalance_complete.connect
    async def _on_ready(*_arguments: Any, **_settings: Any) -> None:
        ready.parent.mkdir(parents=True, exist_ok=True)
        fresh = ready.with_suffix(f".{os.getpid()}")
        fresh.write_text(f"{os.getpid()} {health.port}\n")
        fresh.replace(ready)

    _spare_the_collector()
    try:
        return _serve(app)
    finally:
        health.close()
        for close in parts.closers:
            close()


def _spare_the_collector() -> None:
    """Keep the cyclic collector off what lives as long as the worker: city, tables, compiled statements.

    It walked them again and again under load, an eighth of casework's time (`docs/performance.md`).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def _wired(role: str, settings: Settings) -> Role:
    """Wire a role, waiting for broker and ledger before it joins its group."""
    patient = Retrying(
        retry=retry_if_exception_type((ClusterUnavailableError, LedgerUnavailableError, VaultUnavailableError)),
        stop=stop_after_delay(WAIT),
        wait=wait_random_exponential(0.2, 5),
        reraise=True,
    )
    return patient(_ROLES[role], settings)


def _healthy(batches: Batches, role: str) -> tuple[bool, dict[str, Any]]:
    still = time.monotonic() - batches.progress_at
    return still < STUCK, {"role": role, "waiting": batches.waiting, "seconds_since_progress": round(still, 1)}


def _app(parts: Role, settings: Settings, settled: Settled, batches: Batches) -> faust.App:
    """Build the Faust app: raw bytes in, nothing declared, nothing served, offsets ours."""
    use_loop("uvloop")
    settings.run.mkdir(parents=True, exist_ok=True)  # Faust makes its own folder, but none above it
    app = App(
        parts.group,
        **settings.access().faust(),
        autodiscover=False,
        broker_commit_interval=1.0,
        broker_heartbeat_interval=SESSION / 4,
        broker_session_timeout=SESSION,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=2 * 2**20,
        datadir=str(settings.run / "faust"),
        producer_request_timeout=10.0,
        store="memory://",
        stream_buffer_maxsize=8_192,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        web_tables_enabled=False,
        worker_redirect_stdouts=False,
    )

    async def _starts(partitions: Iterable[Partition]) -> Mapping[Partition, int]:
        found: Mapping[Partition, int] = await batches.between(parts.starts, list(partitions))
        return found

    transport = own_offsets_transport(settled, _starts)
    app.transport = transport(app.conf.broker_consumer, app)
    source = app.topic(*parts.topics, key_type=bytes, key_serializer="raw", value_type=bytes, value_serializer="raw")

    @app.agent(source, name=f"{parts.group}.take", concurrency=1)
    async def _take(stream: Any) -> None:
        await batches.feed(stream.noack().events())

    async def _settle() -> None:
        await batches.run()

    app.task(_settle)
    return app


def _serve(app: faust.App) -> int:
    """Run the app under Faust's worker until SIGTERM or SIGINT."""
    worker = faust.Worker(
        app, loglevel="WARN", logfile=None, override_logging=False, redirect_stdouts=False, quiet=True
    )
    try:
        worker.execute_from_commandline()
    except SystemExit as stop:
        return EX_SOFTWARE if isinstance(stop.code, str) else int(stop.code or 0)


# ---- triage -----------------------------------------------------------------------------------------


def _triage(settings: Settings) -> Role:
    city = load_city(settings.city)
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    counted = metrics.triage()
    model, missing = of_city(settings.city, city)
    if missing is not None:
        _log.warning("the taxonomy's words classify: %s", missing)
    counted.classifier(trained=model is not None)
    vault = Vault(settings.vault_url, settings.vault_keys_url, MasterKey(settings.master_key_file))
    vault.open()
    triage = Triage(
        city,
        Decider(city, model),
        vault,
        BatchProducer(settings.access().librdkafka(), counted.published),
        clock.now,
        counted,
        fault_point(os.environ),
    )

    reader = open_engine(settings.ledger_url, read_only=True, connect_seconds=LEDGER_SECONDS)
    learner = Learner(
        city,
        triage.decider.reader,
        lambda model: judgements.newest(reader, model, clock.now() - WINDOW, MOST),
        triage.publisher,
        counted,
        clock.now,
        clock.monotonic,
        settings.run / LEARNED_FILE,
    )
    learner.learn()
    resume = Resume(vault, Cluster(settings.access()))
    names = [topics.intake(channel) for channel in city.channels]
    closers = [vault.close, reader.dispose]
    return Role(TRIAGE_GROUP, names, triage.begin, resume.check, learner.turn, registry, metrics, closers)


# ---- casework ---------------------------------------------------------------------------------------


def _casework(settings: Settings) -> Role:
    city = load_city(settings.city)
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    counted = metrics.casework()
    engine = open_engine(settings.ledger_url)
    check_schema(engine)
    ledger = Ledger(engine)
    vault = Vault(
        settings.vault_url,
        settings.vault_keys_url,
        MasterKey(settings.master_key_file),
        read_only=True,
        connect_seconds=VAULT_SECONDS,
    )
    vault.open()
    cluster = Cluster(settings.access())
    names = list(topics.casework_topics())
    casework = Casework(
        ledger,
        city,
        KeyRing(settings.keys),
        BatchProducer(settings.access().librdkafka(), counted.published),
        lambda plain, context: vault.seal(plain, context=context),
        clock.now,
        counted,
        cluster.topic_ids(names),
        existing=cluster.existing,
        bring=Contacts(vault, settings.keys, clock.monotonic).bring,
        fault=fault_point(os.environ),
    )
    takeover = Takeover(casework, ledger, cluster)
    partitions = [
        Partition(name, number) for name, count in cluster.partitions(names).items() for number in range(count)
    ]
    takeover.check(partitions)
    commands = [each for each in partitions if each.topic == topics.COMMANDS]
    ticker = Ticker(ledger, clock.now, clock.monotonic, lambda: takeover.behind(commands))
    reader = open_engine(settings.ledger_url, read_only=True)
    backlog = Backlog(settings.access(), list(city.channels), reader, clock.now, settings.run / MEMORY_FILE)
    registry.register(LedgerCollector(reader, clock.now, backlog.figures))
    return Role(
        CASEWORK_GROUP,
        names,
        casework.begin,
        takeover.take,
        Chores(casework, ticker).turn,
        registry,
        metrics,
        [ledger.close, vault.close, backlog.close, reader.dispose],
    )


_ROLES: Mapping[str, Callable[[Settings], Role]] = {"triage": _triage, "casework": _casework}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a worker with the settings of the environment; what `yiwang up` starts."""
    parser = argparse.ArgumentParser(prog="python -m streams.worker", description=__doc__)
    parser.add_argument("--role", choices=sorted(_ROLES), required=True)
    parser.add_argument("--name", help="of this worker among its like")
    options = parser.parse_args(arguments)
    return run_worker(options.role, Settings(), options.name)


if __name__ == "__main__":
    sys.exit(main())
