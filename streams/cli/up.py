"""`yiwang up`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.cli.common import Data, Json, settings_of
from streams.up import run_up

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: yiwang up --data ./yiwang-data")
def up(
    data: Data = None,
    city: Annotated[Path | None, typer.Option("--city", help="Folder of the city.", show_default="Qinglan")] = None,
    kafka: Annotated[
        str | None,
        typer.Option("--kafka", metavar="HOST:PORT", help="Existing cluster; default: an embedded broker."),
    ] = None,
    ledger: Annotated[
        str | None, typer.Option("--ledger", help="SQLAlchemy URL; default: a SQLite file in the data folder.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run and supervise an installation until SIGTERM or Ctrl-C.

    With --json one line tells where everything is, once all of it is ready.
    """
    raise typer.Exit(run_up(settings_of(data=data, city=city, kafka=kafka, ledger=ledger), as_json=as_json))
