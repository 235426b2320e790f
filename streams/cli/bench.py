"""`yiwang bench`: how fast it is, next to what its parts could do and to what one writes first."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from routers.classifier import CATEGORY
from streams.bench import places as bench_places
from streams.bench.run import DEFAULT_COUNT, Options, run_bench
from streams.cityfile import load_city
from streams.cli.common import progress, show
from streams.cli.errors import WRONG, Stop
from streams.cli.training import needs_training
from streams.modelfile import of_city
from streams.settings import DEPLOY, Settings

CORPUS = DEPLOY / "corpus"
"""Texts written for this project."""

app = typer.Typer(
    help="Measure this machine: whole lifecycles, the limit of the parts, the naive topology, places, classification.",
    no_args_is_help=True,
)

Count = Annotated[int, typer.Option("--n", min=1, help="Lifecycles.")]
Seed = Annotated[int, typer.Option("--seed", help="Of the demands' texts.")]
Folder = Annotated[
    Path | None,
    typer.Option(
        "--in", help="Folder on the disk to measure; default: the system's temporary folder.", file_okay=False
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.command(epilog="Example: yiwang bench lifecycle --n 6000 --json")
def lifecycle(
    count: Count = DEFAULT_COUNT,
    seed: Seed = 1,
    steady: Annotated[int, typer.Option("--steady", min=0, help="Seconds of each steady flow.")] = 20,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Play whole lifecycles through an installation of its own, and both opponents in the same run."""
    options = Options(count, seed, folder, steady, as_json)
    raise typer.Exit(run_bench("lifecycle", Settings(), options))


@app.command(epilog="Example: yiwang bench limit --json")
def limit(count: Count = DEFAULT_COUNT, seed: Seed = 1, folder: Folder = None, as_json: Json = False) -> None:
    """Move the same messages and rows with no logic at all: raw aiokafka and raw SQL."""
    raise typer.Exit(run_bench("limit", Settings(), Options(count, seed, folder, as_json=as_json)))


@app.command(epilog="Example: yiwang bench naive --json")
def naive(count: Count = DEFAULT_COUNT, seed: Seed = 1, folder: Folder = None, as_json: Json = False) -> None:
    """Run the naive topology: a Faust agent and a topic a stage, a transaction an event."""
    raise typer.Exit(run_bench("naive", Settings(), Options(count, seed, folder, as_json=as_json)))


@app.command(epilog="Example: yiwang bench places --json")
def places(
    grids: Annotated[int, typer.Option("--grids", min=1, help="Of the generated city.")] = bench_places.DEFAULT_GRIDS,
    points: Annotated[int, typer.Option("--n", min=1, help="Points in a batch.")] = bench_places.DEFAULT_POINTS,
    seed: Seed = 1,
    as_json: Json = False,
) -> None:
    """Find points among many grids, in a batch and one by one, and names in texts; status 1 if they disagree."""
    done = bench_places.measure(load_city(Settings().city), grids, points, seed)

    def people(console: Console) -> None:
        table = Table("figure", "value")
        for name, value in done.figures.items():
            table.add_row(name, str(value))
        console.print(table)

    show({"bench": "places", "cores": os.cpu_count(), **done.figures}, as_json, people)
    raise typer.Exit(0 if done.good else 1)


@app.command(
    epilog="Example: yiwang bench classify --file labelled.csv --map text=title+body --map label=label --json",
)
def classify(
    file: Annotated[
        Path | None,
        typer.Option("--file", help="Labelled texts; without: deploy/corpus and the city's model."),
    ] = None,
    pairs: Annotated[
        list[str] | None, typer.Option("--map", metavar="FIELD=COLUMN[+COLUMN]", help="With --file: text and label.")
    ] = None,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Turns of each side; the median counts.")] = 7,
    as_json: Json = False,
) -> None:
    """Read texts with one core, beside scikit-learn's own pipeline in the same run."""
    with needs_training():
        from streams.bench import classify as bench  # noqa: PLC0415 - the extra is asked for here
        from streams.training.fit import fit  # noqa: PLC0415
        from streams.training.table import Labelled, read_labelled  # noqa: PLC0415
    if file is not None:
        data = read_labelled(file, pairs or [])
        model = fit(data.texts, {CATEGORY: data.labels})
        texts, labels = data.texts, data.labels
    else:
        folder = Settings().city
        shipped, missing = of_city(folder, load_city(folder))
        if shipped is None:
            raise Stop(WRONG, f"{missing}; give labelled texts: --file FILE --map text=... --map label=...")
        model = shipped
        parts: list[Labelled] = [
            read_labelled(each, ["text=title+text", "label=category"]) for each in sorted(CORPUS.glob("[0-9]*.jsonl"))
        ]
        texts = tuple(text for part in parts for text in part.texts)
        labels = tuple(label for part in parts for label in part.labels)
    with progress("turns") as bar:
        task = bar.add_task("", total=repeats)
        figures = bench.measure(model, texts, labels, repeats, lambda: bar.update(task, advance=1))

    def people(console: Console) -> None:
        table = Table("figure", "value")
        for name, value in figures.items():
            table.add_row(name, str(value))
        console.print(table)

    show({"bench": "classify", "cores": os.cpu_count(), **figures}, as_json, people)
