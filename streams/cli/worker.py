"""`yiwang worker`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from streams.cli.common import Data, Kafka, find, settings_of
from streams.worker import run_worker

app = typer.Typer(add_completion=False)


class RoleName(StrEnum):
    """What a worker does."""

    TRIAGE = "triage"
    CASEWORK = "casework"


@app.command(epilog="Example: yiwang worker --role triage --kafka kafka-1:9092,kafka-2:9092")
def worker(
    role: Annotated[RoleName, typer.Option("--role", help="What it does.")],
    name: Annotated[str | None, typer.Option("--name", help="Of this worker among its like.")] = None,
    data: Data = None,
    kafka: Kafka = None,
    ledger: Annotated[str | None, typer.Option("--ledger", help="SQLAlchemy URL of the ledger.")] = None,
) -> None:
    """Run one worker until SIGTERM, beside any others; topics and ledger must be there (`yiwang up` makes them)."""
    settings = settings_of(data=data, kafka=kafka, ledger=ledger)
    if settings.kafka is None:
        settings = settings.model_copy(update={"kafka": find(settings).bootstrap})
    raise typer.Exit(run_worker(role.value, settings, name))
