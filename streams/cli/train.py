"""`yiwang train`: make a classifier from labelled texts, such as a city's own closed cases."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from streams.cli.common import Data, Json, find, progress, settings_of, show
from streams.cli.errors import WRONG, Stop
from streams.cli.training import needs_training

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: yiwang train --file closed.csv --map text=title+body --map label=category --out model")
def train(
    *,
    files: Annotated[list[Path], typer.Option("--file", help="CSV or JSON Lines, plain or gzipped; may be repeated.")],
    pairs: Annotated[
        list[str],
        typer.Option("--map", metavar="FIELD=COLUMN[+COLUMN]", help="text and label; also group, kind, urgency, also."),
    ],
    out: Annotated[Path, typer.Option("--out", help="Where to: OUT.npz and OUT.json.")],
    with_city: Annotated[
        bool,
        typer.Option("--for-city/--free", help="Labels are categories of the city, whose words are learned as well."),
    ] = False,
    held_out: Annotated[
        Path | None,
        typer.Option("--held-out", help="Labelled texts to judge by how sure the machine must be; not learned."),
    ] = None,
    folds: Annotated[int, typer.Option("--folds", min=2, help="Parts of the cross-validation.")] = 3,
    city: Annotated[Path | None, typer.Option("--city", help="Folder of the city.", show_default=False)] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Train a classifier and say how good it is on texts that were left out."""
    with needs_training():
        from streams.training.fit import TooFewError  # noqa: PLC0415 - the extra is asked for here
        from streams.training.make import make  # noqa: PLC0415
    started = time.monotonic()
    folder = find(settings_of(data=data, city=city)).city if with_city else None
    with progress("train") as bar:
        task = bar.add_task("", total=folds + 1)
        try:
            report = make(
                files,
                pairs,
                out,
                city_folder=folder,
                parts=folds,
                held_out=held_out,
                done=lambda: bar.update(task, advance=1),
            )
        except TooFewError as error:
            raise Stop(WRONG, f"too little to learn from: {error}") from error
    document = {**report, "seconds": round(time.monotonic() - started, 1), "model": str(out)}
    show(document, as_json, lambda console: _tell(console, document))


def _tell(console: Console, document: dict[str, object]) -> None:
    for name, value in document.items():
        console.print(f"{name}: {value}")
