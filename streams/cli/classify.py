"""`yiwang classify`: what triage would decide, without a broker."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from routers.demand import Demand, Ruling
from routers.triage import Triage
from streams.cityfile import load_city
from streams.cli.common import Data, Json, find, notes, progress, settings_of, show
from streams.cli.errors import DONE, NO, WRONG, Stop
from streams.clock import PEOPLE, now
from streams.modelfile import of_city
from streams.submission import Row, RowError, demand_of, encoding_of, parse_map, read_rows

app = typer.Typer(add_completion=False)

_CHANNEL = "classify"


@app.command(epilog="Example: yiwang classify --text 解放路路灯不亮 --json")
def classify(
    *,
    text: Annotated[str | None, typer.Option("--text", help="What a citizen says.")] = None,
    title: Annotated[str | None, typer.Option("--title", help="With --text: its title.")] = None,
    file: Annotated[Path | None, typer.Option("--file", help="CSV or JSON Lines, plain or gzipped.")] = None,
    pairs: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="FIELD=COLUMN[+COLUMN]", help="Our field and their columns; default: by name."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Where to; default: standard output.")] = None,
    city: Annotated[Path | None, typer.Option("--city", help="Folder of the city.", show_default=False)] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Tell what triage would decide about a text, or about each row of a file as JSON Lines."""
    if (text is None) == (file is None):
        raise Stop(WRONG, "give either --text or --file")
    reader = _Reader(find(settings_of(data=data, city=city)).city)
    if file is None:
        row = Row(1, {"text": str(text), **({"title": title} if title else {})})
        document = reader.document(row)
        document.pop("id")
        show(document, as_json, lambda console: _tell(console, document))
        raise typer.Exit(NO if "error" in document else DONE)
    mapping = parse_map(pairs or ())
    failed = 0
    with _written(out) as stream, progress(file.name) as bar:
        task = bar.add_task("", total=None)
        for row in read_rows(file, mapping, encoding_of(file)):
            document = reader.document(row)
            failed += "error" in document
            stream.write(json.dumps(document, ensure_ascii=False) + "\n")
            bar.update(task, advance=1)
    if failed:
        notes.print(f"{failed} rows are no demands; their lines have an error")


class _Reader:
    """A city's triage."""

    def __init__(self, folder: Path) -> None:
        city = load_city(folder)
        model, missing = of_city(folder, city)
        if missing is not None:
            notes.print(f"the taxonomy's words classify: {missing}")
        self._triage = Triage(city, model)

    def document(self, row: Row) -> dict[str, Any]:
        """Return what triage would decide about a row, or why it is no demand."""
        moment = now()
        own_id = row.values.get("id", str(row.number))
        try:
            given = {"created_at": moment, **demand_of(row, _CHANNEL)}
            demand = Demand(channel=_CHANNEL, received_at=moment, **given)
        except RowError as error:
            return {"id": own_id, "error": error.code, "reason": str(error)}
        except ValidationError as error:
            return {"id": own_id, "error": "invalid", "reason": error.errors(include_input=False)[0]["msg"]}
        decided = self._triage.decide(demand, moment.astimezone(PEOPLE).date())
        top = self._triage.reader.read(demand)
        known, verdict = decided.classification, decided.verdict
        declined = verdict.ruling == Ruling.DECLINE
        return {
            "id": own_id,
            "category": known.category,
            "confidence": round(known.confidence, 4),
            "top3": [{"category": match.code, "score": round(match.score, 4)} for match in top.top],
            "kind": known.kind,
            "urgency": known.urgency,
            "safety": known.safety,
            "out_of_scope": verdict.rule if declined else None,
            "tier": decided.tier,
            "why": list(known.why),
            "place": decided.place.model_dump(mode="json", exclude_none=True),
            "model": known.model,
            "ruling": verdict.ruling,
            "reason": verdict.reason,
            "unit": verdict.unit,
            "candidates": [each.model_dump(mode="json") for each in verdict.candidates],
            "parts": [each.model_dump(mode="json") for each in verdict.parts],
        }


@contextmanager
def _written(out: Path | None) -> Iterator[IO[str]]:
    if out is None:
        yield sys.stdout
        return
    try:
        stream = out.open("w", encoding="utf-8")
    except OSError as error:
        raise Stop(WRONG, f"{out} cannot be written ({error}); choose another with --out") from error
    with stream:
        yield stream


def _tell(console: Console, document: dict[str, Any]) -> None:
    for name, value in document.items():
        if value not in (None, [], {}):
            console.print(
                f"{name:<13}{escape(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))}"
            )
