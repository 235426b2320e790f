"""`yiwang status`: how an installation stands."""

from __future__ import annotations

from typing import Any

import typer
from confluent_kafka import KafkaException
from rich.console import Console
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from sinks.database import UnavailableError
from sinks.schema import SchemaError, schema_version
from streams.cityfile import CityError, load_city
from streams.cli.common import Data, Installation, Json, Kafka, find, settings_of, show
from streams.cli.databases import opened_ledger
from streams.cli.errors import DONE, UNREACHABLE, Stop
from streams.client import ClientError, broker_version
from streams.clock import now
from streams.cluster import ClusterError
from streams.lag import Backlog
from streams.learning import MEMORY_FILE as LEARNED_FILE
from streams.learning import told_of
from streams.modelfile import TaxonomyError, of_city
from streams.process import ready_port
from streams.unaccounted import MEMORY_FILE

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: yiwang status --json")
def status(data: Data = None, kafka: Kafka = None, as_json: Json = False) -> None:
    """Tell how an installation stands; status 3 when it is not ready."""
    installation = find(settings_of(data=data, kafka=kafka))
    document, troubles = _document(installation)
    show(document, as_json, lambda console: _tell(console, document))
    if troubles:
        raise Stop(UNREACHABLE, troubles[0])
    raise typer.Exit(DONE)


def _document(installation: Installation) -> tuple[dict[str, Any], list[str]]:
    state = installation.state or {}
    troubles: list[str] = []
    document: dict[str, Any] = {
        "ready": False,
        "data": str(installation.settings.data),
        "kafka": {"address": installation.settings.kafka or state.get("kafka"), "version": None},
        "ledger": {"url": _without_password(installation.ledger_url), "schema": None},
        "workers": list(state.get("workers", [])),
        "metrics": state.get("metrics", {}),
        "lag": None,
        "unaccounted": None,
        "oldest_unaccounted_s": None,
    }
    if installation.state is None and installation.settings.kafka is None:
        troubles.append(str(installation.not_running()))
    else:
        try:
            document["kafka"]["version"] = broker_version(installation.access)
        except ClientError as error:
            troubles.append(str(error))
    try:
        with opened_ledger(installation) as engine:
            document["ledger"]["schema"] = schema_version(engine)
            if not troubles:
                document |= _backlog(installation, engine)
    except (Stop, ClusterError, CityError, KafkaException, UnavailableError, SchemaError, SQLAlchemyError) as error:
        troubles.append(str(error))
    document["classifier"] = _classifier(installation)
    document["withheld"] = sorted(told_of(installation.settings.run / LEARNED_FILE))
    # Last: a worker that is down is the likeliest cause of nothing else, and what the others say is known by now.
    troubles += _down(installation, document["workers"])
    document["ready"] = not troubles
    return document, troubles


def _down(installation: Installation, workers: list[dict[str, Any]]) -> list[str]:
    """Return a sentence for each worker that does not work now, whatever the state file says."""
    settings = installation.settings
    return [
        f"worker {each['name']} is not ready ({each['restarts']} restarts); "
        f"its log says why: {settings.data / 'logs' / each['name']}.log"
        for each in workers
        if ready_port(settings.run, each["name"], each["pid"]) is None
    ]


def _backlog(installation: Installation, engine: Engine) -> dict[str, Any]:
    channels = list(load_city(installation.city).channels)
    backlog = Backlog(installation.access, channels, engine, now, installation.settings.run / MEMORY_FILE)
    try:
        figures = backlog.figures()
    finally:
        backlog.close()
    return {
        "lag": sum(figures.lag.values()),
        "lag_by_topic": dict(figures.lag),
        "unaccounted": figures.unaccounted,
        "oldest_unaccounted_s": round(figures.oldest_unaccounted_seconds, 1),
    }


def _classifier(installation: Installation) -> dict[str, str | None]:
    """Return what classifies: the version of the model, or why there is none."""
    try:
        model, missing = of_city(installation.city, load_city(installation.city))
    except (CityError, TaxonomyError) as error:
        return {"model": None, "problem": str(error)}
    return {"model": model.version if model is not None else None, "problem": missing}


def _without_password(url: str) -> str:
    head, at, tail = url.rpartition("@")
    scheme, slashes, user = head.partition("://")
    return f"{scheme}{slashes}{user.partition(':')[0]}@{tail}" if at and slashes else url


def _tell(console: Console, document: dict[str, Any]) -> None:
    kafka, ledger = document["kafka"], document["ledger"]
    console.print(f"{'ready' if document['ready'] else 'not ready'}: {document['data']}")
    console.print(f"kafka       {kafka['address'] or '-'} (version {kafka['version'] or '-'})")
    console.print(f"ledger      {ledger['url']} (schema {ledger['schema'] or '-'})")
    for worker in document["workers"]:
        console.print(f"{worker['role']:<12}process {worker['pid']}, {worker['restarts']} restarts")
    if document["lag"] is not None:
        console.print(f"lag         {document['lag']}")
        console.print(f"unaccounted {document['unaccounted']}, the oldest {document['oldest_unaccounted_s']} s old")
    classifier = document["classifier"]
    console.print(f"classifier  {classifier['model'] or 'lexicon'}{_because(classifier['problem'])}")
    if document["withheld"]:
        console.print(f"withheld    {', '.join(document['withheld'])}: the desk rules until outcomes keep the promise")


def _because(problem: str | None) -> str:
    return f": {problem}" if problem else ""
