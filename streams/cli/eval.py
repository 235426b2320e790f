"""`yiwang eval`: how good it is, measured on files whose right answers are known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from routers.private_score import Marked, Miss, Score
from streams.cli.common import Json, show
from streams.cli.errors import WRONG, Stop
from streams.cli.eval_classify import classify

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Measure on files whose right answers are known.")
app.command("classify", epilog="Example: yiwang eval classify --file labelled.csv.gz --folds 5 --json")(classify)


@app.callback()
def evaluate() -> None:
    """Measure on files whose right answers are known."""


@app.command(epilog="Example: yiwang eval mask --file tests/quality/mask_a.jsonl --json")
def mask(
    file: Annotated[Path, typer.Option("--file", help='JSON Lines of {"text":…, "spans":[[start,end,kind],…]}.')],
    mistakes: Annotated[bool, typer.Option("--mistakes", help="List what was missed and what is wrong.")] = False,
    as_json: Json = False,
) -> None:
    """Measure how well personal data are found in texts in which people have marked them.

    A marked span is found when all its letters and digits are hidden, by whatever kind. Of an address only the numbers
    of house, building, unit and room must be hidden: the names of estate, road and village stay readable. A found span
    is right when it overlaps a marked one. The kinds of the file may have any names; per_kind is by them (recall),
    per_found_kind is by ours (precision).
    """
    score = Score()
    for text, marked in _texts(file):
        score.add(text, marked)
    document = score.document()
    if mistakes:
        document |= {"missed": [_shown(each) for each in score.missed], "wrong": [_shown(each) for each in score.wrong]}
    show(document, as_json, lambda console: _tell(console, score, mistakes=mistakes))


def _texts(file: Path) -> Iterator[tuple[str, list[Marked]]]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Stop(WRONG, f"{file} cannot be read ({error}); give a file of JSON Lines in UTF-8") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            text = str(row["text"])
            marked = [Marked(int(start), int(end), str(kind)) for start, end, kind in row["spans"]]
        except (ValueError, TypeError, KeyError) as error:
            what = 'it must be {"text":…, "spans":[[start,end,kind],…]}'
            raise Stop(WRONG, f"line {number} of {file} is not what was expected ({error!r}): {what}") from error
        if not all(0 <= span.start < span.end <= len(text) for span in marked):
            raise Stop(WRONG, f"line {number} of {file} marks a span outside its text; offsets are in characters")
        yield text, marked


def _shown(each: Miss) -> dict[str, object]:
    return {"kind": each.kind, "said": each.text[each.start : each.end], "text": each.text}


def _tell(console: Console, score: Score, *, mistakes: bool) -> None:
    document = score.document()
    console.print(f"recall {score.recall:.2%} of {document['spans']} marked spans in {document['texts']} texts")
    for kind, row in document["per_kind"].items():
        console.print(f"  {escape(kind):<12}{row['hidden']:>5} of {row['spans']:<5}{row['recall']:>8.2%}")
    console.print(f"precision {score.precision:.2%} of {document['found']} found spans")
    for kind, row in document["per_found_kind"].items():
        console.print(f"  {kind:<12}{row['right']:>5} of {row['found']:<5}{row['precision']:>8.2%}")
    if mistakes:
        for title, misses in (("missed", score.missed), ("wrong", score.wrong)):
            for each in misses:
                around = each.text[max(0, each.start - 12) : each.end + 12].replace("\n", " ")
                console.print(
                    f"{title} {escape(each.kind)}: {escape(each.text[each.start : each.end])} | {escape(around)}"
                )
