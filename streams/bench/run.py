"""`yiwang bench`: run a bench, print its figures, and say by the exit status whether they can be trusted."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from sinks.ledger import Partition
from streams import topics
from streams.bench import lifecycle, limit
from streams.bench.processes import BenchError, disk_of
from streams.bench.sample import Sample, take_sample
from streams.bench.texts import Texts
from streams.broker import BrokerError, EmbeddedKafka
from streams.cityfile import CityError, load_city
from streams.cluster import Cluster, ClusterError
from streams.kafka_access import KafkaAccess
from streams.modelfile import of_city
from streams.settings import Settings
from streams.topics import Topic

BENCHES = ("lifecycle", "limit", "naive")

DEFAULT_COUNT = 6_000
SAMPLED = 2_000
"""Lifecycles whose messages and rows are made once; more of them repeat these."""

CHAINS = 1_500
NAIVE_LIFECYCLES = 300
"""The naive topology gets fewer, because it takes so long; it is compared by the time of one."""

LEADER_SECONDS = 60.0

NAIVE = Path(__file__).resolve().parents[2] / "tests" / "bench" / "naive.py"


@dataclass(frozen=True, slots=True)
class Options:
    """What the operator chose."""

    count: int = DEFAULT_COUNT
    seed: int = 1
    folder: Path | None = None
    """Where to measure; its disk is part of the figures. None: a temporary folder, removed at the end."""
    steady_s: int = lifecycle.STEADY_SECONDS
    as_json: bool = False


def run_bench(name: str, settings: Settings, options: Options) -> int:
    """Run a bench in a folder of its own; a real installation is never touched.

    Args:
        name: one of `BENCHES`.
        settings: of the operator; city, partitions and heap count.
        options: see `Options`.

    Returns:
        0 done; 1 a case did not end closed or the audit found a gap; 3 a part could not be started.
    """
    if name == "naive" and not NAIVE.is_file():
        sys.stderr.write(
            "The naive topology is not part of an installed package: it lives in tests/bench of the source tree; "
            "run this bench from a clone of the repository.\n"
        )
        return 3
    try:
        if options.folder is not None:
            options.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="yiwang-bench-", dir=options.folder) as folder:
            document, good = _measure(name, settings, options, Path(folder))
    except (BenchError, RuntimeError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except (BrokerError, ClusterError, CityError) as error:
        sys.stderr.write(f"{error}\n")
        return 3
    _print(document, as_json=options.as_json)
    return 0 if good else 1


def _measure(name: str, settings: Settings, options: Options, folder: Path) -> tuple[dict[str, Any], bool]:
    document: dict[str, Any] = {"bench": name, "disk": disk_of(folder), "cores": os.cpu_count()}
    good = True
    if name == "lifecycle":
        own = settings.model_copy(
            update={
                "data": lifecycle.data_folder(folder),
                "kafka": None,
                "ledger": None,
                "vault": None,
                "vault_keys": None,
                "master_key": None,
            }
        )
        done = lifecycle.run_lifecycles(own, options.count, options.seed, _progress, options.steady_s)
        document |= lifecycle.figures(done)
        good = done.good
    document |= _opponents(name, settings, options, folder)
    if name == "lifecycle":
        document |= ratios(document)
    return document, good


def _opponents(name: str, settings: Settings, options: Options, folder: Path) -> dict[str, Any]:
    """Measure what the bench is held against, on a broker of the same settings."""
    city = load_city(settings.city)
    model, _missing = of_city(settings.city, city)
    document: dict[str, Any] = {}
    with EmbeddedKafka(folder / "opponents", heap=settings.heap) as kafka:
        access = KafkaAccess(bootstrap=kafka.bootstrap)
        if name in ("lifecycle", "limit"):
            _progress("make the messages and rows")
            sampled = folder / "sample"
            sampled.mkdir()
            sample = take_sample(city, sampled, min(options.count, SAMPLED), options.seed, model)
            repeats = max(1, round(options.count / sample.lifecycles))
            wanted = topics.topics_of(city, settings.partitions)
            document["limit"] = _limit(access, wanted, sample, repeats, folder)
        if name == "naive" or (name == "lifecycle" and NAIVE.is_file()):
            _progress("naive topology")
            naive = _naive()
            texts = Texts(city, options.seed, model)
            demands = [texts.demand(number) for number in range(CHAINS + naive.WARM_UP)]
            document["naive"] = naive.measure(
                kafka.bootstrap,
                folder / "naive",
                [(each.demand_id, each.encode()) for each in demands],
                chains=CHAINS,
                lifecycles=min(options.count, NAIVE_LIFECYCLES),
            )
    return document


def _limit(access: KafkaAccess, wanted: list[Topic], sample: Sample, repeats: int, folder: Path) -> dict[str, Any]:
    cluster = Cluster(access)
    kind = wanted[0].kind
    small = [Topic(f"small.{number}", kind, topics.PARTITIONS) for number in range(4)]
    cluster.apply_topics([*wanted, *small])
    _wait_for_leaders(cluster, [*wanted, *small])
    _progress("limit: raw Kafka")
    small_s = limit.kafka_limit(access.bootstrap, limit.small_events([each.name for each in small]))
    kafka_s = limit.kafka_limit(access.bootstrap, sample.messages * repeats)
    _progress("limit: raw SQL")
    sql_s = sum(limit.sql_limit(folder / f"limit-{number}.db", sample.transactions) for number in range(repeats))
    return limit.figures(sample, repeats, kafka_s, sql_s, small_s)


def _wait_for_leaders(cluster: Cluster, wanted: Iterable[Topic]) -> None:
    """Wait until every partition has a leader that answers; a topic's creation is acknowledged before.

    Raises:
        ClusterError: some still have none after `LEADER_SECONDS`.
    """
    partitions = [Partition(topic.name, number) for topic in wanted for number in range(topic.partitions)]
    deadline = time.monotonic() + LEADER_SECONDS
    while True:
        try:
            cluster.ends(partitions)
        except ClusterError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


def ratios(document: Mapping[str, Any]) -> dict[str, Any]:
    """Compare by the time of one lifecycle, whatever each of them played."""
    real = 1 / document["lifecycles_per_s"]
    ratios = {"limit_ratio": round(real * document["limit"]["lifecycles_per_s"], 2)}
    if "naive" in document:
        ratios["naive_ratio"] = round(1 / document["naive"]["lifecycles_per_s"] / real, 2)
    return ratios


def _naive() -> ModuleType:
    """Load the naive topology from the source tree; it is no part of the product."""
    spec = importlib.util.spec_from_file_location("naive_topology", NAIVE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _progress(what: str) -> None:
    sys.stderr.write(f"bench: {what}\n")
    sys.stderr.flush()


def _print(document: Mapping[str, Any], *, as_json: bool) -> None:
    text = json.dumps(document, ensure_ascii=False) if as_json else "\n".join(_lines(document, ""))
    sys.stdout.write(f"{text}\n")


def _lines(document: Mapping[str, Any], indent: str) -> Iterable[str]:
    for name, value in document.items():
        if isinstance(value, Mapping):
            yield f"{indent}{name}:"
            yield from _lines(value, f"{indent}  ")
        else:
            yield f"{indent}{name}: {value}"
