"""`yiwang settings`: what holds, and where each value comes from."""

from __future__ import annotations

import os
import tomllib
from typing import Any

import typer
from pydantic import SecretStr
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from streams.cli.common import Data, Json, Kafka, settings_of, show
from streams.settings import SETTINGS_FILE, Settings

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: YIWANG_PARTITIONS=12 yiwang settings")
def settings(data: Data = None, kafka: Kafka = None, as_json: Json = False) -> None:
    """Show every setting, its value and what gave it: flag, environment, file or default."""
    flags = {"data": data, "kafka": kafka}
    found = settings_of(**flags)
    given = {name for name, value in flags.items() if value is not None}
    document = {"settings": [_line(found, name, given) for name in Settings.model_fields]}
    show(document, as_json, lambda console: _tell(console, document["settings"]))


def _line(found: Settings, name: str, flags: set[str]) -> dict[str, Any]:
    value = getattr(found, name)
    return {
        "name": name,
        "value": "********" if isinstance(value, SecretStr) else value,
        "from": _source(found, name, flags),
        "variable": f"YIWANG_{name.upper()}",
        "help": Settings.model_fields[name].description,
    }


def _source(found: Settings, name: str, flags: set[str]) -> str:
    if name in flags:
        return "flag"
    if any(variable.upper() == f"YIWANG_{name.upper()}" for variable in os.environ):
        return "environment"
    file = found.data / SETTINGS_FILE
    if file.exists() and name in tomllib.loads(file.read_text(encoding="utf-8")):
        return str(file)
    return "default"


def _tell(console: Console, lines: list[dict[str, Any]]) -> None:
    table = Table("setting", "value", "from", "variable", box=None)
    for line in lines:
        value = "" if line["value"] is None else str(line["value"])
        table.add_row(line["name"], escape(value), escape(line["from"]), line["variable"])
    console.print(table)
