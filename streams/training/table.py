"""Labelled texts from a file: a row each, with whatever fields the caller pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from streams.submission import FileError, encoding_of, parse_map, read_rows


@dataclass(frozen=True, slots=True)
class Labelled:
    """Texts with their labels, in the order of the file; further columns by name, one value a text."""

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    groups: tuple[str, ...]
    """Texts of one group are near-duplicates; without a column each text stands alone."""
    more: dict[str, tuple[str, ...]]


def read_labelled(path: Path, pairs: Sequence[str], more: Sequence[str] = ()) -> Labelled:
    """Read labelled texts; rows without a text or a label are left out.

    Args:
        path: CSV or JSON Lines, plain or gzipped.
        pairs: of `--map`; text and label at least.
        more: further fields that may be paired.

    Raises:
        FileError: the file cannot be read, or a column is missing.
    """
    mapping = parse_map(pairs, ("text", "label", "group", *more))
    for needed in ("text", "label"):
        if needed not in mapping:
            raise FileError(f"say which column holds the {needed}: --map {needed}=COLUMN")
    rows = [row for row in read_rows(path, mapping, encoding_of(path)) if {"text", "label"} <= row.values.keys()]
    if not rows:
        raise FileError(f"{path} has no row with a text and a label")
    return Labelled(
        tuple(row.values["text"] for row in rows),
        tuple(row.values["label"] for row in rows),
        tuple(row.values.get("group", f"row {row.number}") for row in rows),
        {name: tuple(row.values.get(name, "") for row in rows) for name in more if name in mapping},
    )
