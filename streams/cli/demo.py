"""`yiwang demo`."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.cli.common import Data, Json, settings_of
from streams.demo import run_demo

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: yiwang demo --demands 600 --seed 1")
def demo(
    demands: Annotated[int, typer.Option("--demands", min=1, help="Demands of the day.")] = 600,
    seed: Annotated[int, typer.Option("--seed", help="The same seed is the same day.")] = 1,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Start everything, play a day with simulated departments, account for every demand, end."""
    raise typer.Exit(run_demo(settings_of(data=data), demands=demands, seed=seed, as_json=as_json))
