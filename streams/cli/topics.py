"""`yiwang topics`: from the one registry."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from routers.city import City
from streams import topics
from streams.cityfile import load_city
from streams.cli.common import Data, Installation, Json, Kafka, find, settings_of, show
from streams.cluster import Cluster
from streams.topics import Topic

app = typer.Typer(add_completion=False, no_args_is_help=True, help="The registry of topics: list, apply, describe.")

CityFolder = Annotated[
    Path | None, typer.Option("--city", help="Folder of the city; default: the installation's.", show_default=False)
]


@app.callback()
def _topics() -> None:
    """The registry of topics: list, apply, describe."""


@app.command("list", epilog="Example: yiwang topics list --json")
def list_topics(data: Data = None, city: CityFolder = None, as_json: Json = False) -> None:
    """List every topic of the city, with its key, limits, writers and readers."""
    installation = find(settings_of(data=data, city=city))
    wanted = topics.topics_of(load_city(installation.city), _partitions(installation))
    document = {"topics": [_described(topic) for topic in wanted]}
    show(document, as_json, lambda console: console.print(_table(wanted)))


@app.command(epilog="Example: yiwang topics apply --kafka kafka-1:9092 --dry-run")
def apply(
    data: Data = None,
    city: CityFolder = None,
    kafka: Kafka = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell.")] = False,
    as_json: Json = False,
) -> None:
    """Make the topics there should be, and give those there are the settings they should have."""
    installation = find(settings_of(data=data, city=city, kafka=kafka))
    wanted = topics.topics_of(load_city(installation.city), _partitions(installation))
    done = Cluster(installation.access).apply_topics(
        wanted, replication=installation.settings.replication, dry_run=dry_run
    )
    document = {**asdict(done), "dry_run": dry_run}
    counts = f"{len(done.created)} made, {len(done.changed)} changed, {len(done.unchanged)} as they should be"
    show(document, as_json, lambda console: console.print(counts + (" (dry run)" if dry_run else "")))


@app.command(epilog="Example: yiwang topics asyncapi > asyncapi.json")
def asyncapi(
    data: Data = None,
    city: CityFolder = None,
    as_json: Annotated[bool, typer.Option("--json", help="As always: the description is JSON.")] = True,  # noqa: ARG001
) -> None:
    """Describe all topics and messages as AsyncAPI 3.0."""
    installation = find(settings_of(data=data, city=city))
    found: City = load_city(installation.city)
    document = topics.asyncapi(found, version("yiwang"), _partitions(installation))
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")


def _partitions(installation: Installation) -> int:
    """Return the number of partitions fixed at installation."""
    return int((installation.state or {}).get("partitions") or installation.settings.partitions)


def _described(topic: Topic) -> dict[str, Any]:
    kind = topic.kind
    return {
        "name": topic.name,
        "title": kind.title,
        "key": kind.key,
        "partitions": topic.partitions,
        "cleanup": kind.cleanup,
        "retention_s": kind.retention.total_seconds() if kind.retention and "delete" in kind.cleanup else None,
        "max_bytes": kind.max_bytes,
        "writers": kind.writers,
        "readers": kind.readers,
        "on_success": kind.on_success,
        "on_poison": kind.on_poison,
        "on_sink_down": kind.on_sink_down,
    }


def _table(wanted: list[Topic]) -> Table:
    table = Table("topic", "partitions", "key", "cleanup", "days", "writers", "readers", box=None)
    for topic in wanted:
        kind = topic.kind
        days = str(kind.retention.days) if kind.retention and "delete" in kind.cleanup else ""
        table.add_row(topic.name, str(topic.partitions), kind.key, kind.cleanup, days, kind.writers, kind.readers)
    return table
