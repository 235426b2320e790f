"""`yiwang city`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from streams.citycheck import CityReport
from streams.cityfile import check_city
from streams.cli.common import Json, show
from streams.cli.errors import DONE, NO

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Check the files of a city.")


@app.callback()
def city() -> None:
    """Check the files of a city."""


@app.command(epilog="Example: yiwang city check deploy/cities/qinglan")
def check(folder: Annotated[Path, typer.Argument(help="Folder of the city.")], as_json: Json = False) -> None:
    """Find every mistake in a city's files at once, by file and line; status 1 if it would not load."""
    report = check_city(folder)
    show(report.as_json(), as_json, lambda console: _tell(console, report))
    raise typer.Exit(DONE if report.loads else NO)


def _tell(console: Console, report: CityReport) -> None:
    for mistake in report.errors:
        console.print(f"[red]error[/red] {escape(str(mistake))}")
    for mistake in report.warnings:
        console.print(f"[yellow]warning[/yellow] {escape(str(mistake))}")
    if report.unowned:
        console.print(f"without a rule somewhere: {', '.join(report.unowned)}")
    counts = f"{report.units} units, {report.categories} categories, {report.rules} rules"
    console.print(f"{counts}: {'good' if report.loads else 'would not load'}")
