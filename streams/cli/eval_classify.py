"""`yiwang eval classify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from streams.cli.common import Json, progress, show
from streams.cli.errors import WRONG, Stop
from streams.cli.training import needs_training


def classify(
    *,
    file: Annotated[Path | None, typer.Option("--file", help="Labelled texts, for cross-validation.")] = None,
    folds: Annotated[int | None, typer.Option("--folds", min=2, help="With --file: parts; default 5.")] = None,
    train: Annotated[Path | None, typer.Option("--train", help="Labelled texts to learn from.")] = None,
    test: Annotated[Path | None, typer.Option("--test", help="With --train: labelled texts to be judged on.")] = None,
    pairs: Annotated[
        list[str], typer.Option("--map", metavar="FIELD=COLUMN[+COLUMN]", help="text and label; also group.")
    ],
    as_json: Json = False,
) -> None:
    """Measure the classifier: on another file, or by cross-validation that keeps groups of near-duplicates together.

    top60 and top80 are the texts the classifier is surest of. per_label has the F1 of each label, reliability what was
    promised and what was right in each band of confidence. texts_per_s is reading alone, on one core.
    """
    if (file is None) == (train is None) or (train is None) != (test is None) or (folds and file is None):
        raise Stop(WRONG, "give either --file (with --folds) or both --train and --test")
    with needs_training():
        from streams.training import measure  # noqa: PLC0415 - the extra is asked for here
        from streams.training.fit import TooFewError  # noqa: PLC0415
        from streams.training.make import RECIPE  # noqa: PLC0415
        from streams.training.table import read_labelled  # noqa: PLC0415
    try:
        if file is not None:
            parts = folds or 5
            with progress(file.name) as bar:
                task = bar.add_task("", total=parts)
                data = read_labelled(file, pairs)
                found = measure.cross_validate(data, parts, RECIPE, lambda: bar.update(task, advance=1))
        else:
            assert train is not None
            assert test is not None
            found = measure.judge(read_labelled(train, pairs), read_labelled(test, pairs), RECIPE)
    except TooFewError as error:
        raise Stop(WRONG, f"too little to learn from: {error}") from error
    document = measure.figures(found)
    show(document, as_json, lambda console: _tell(console, document))


def _tell(console: Console, document: dict[str, Any]) -> None:
    for name in ("macro_f1", "accuracy", "top3", "accuracy_top60", "accuracy_top80", "texts_per_s"):
        console.print(f"{name:<15}{document[name]}")
    for label, each in document["per_label"].items():
        console.print(f"  {escape(label)}: F1 {each['f1']} of {each['rows']} rows")
    console.print("confidence      texts promised    right")
    for band in document["reliability"]:
        console.print(
            f"  {band['from']:.2f} to {band['to']:.2f}{band['texts']:>7}{band['promised']:>9.1%}{band['right']:>9.1%}"
        )
    console.print(f"learned from {document['rows']['train']}, judged on {document['rows']['test']} texts")
