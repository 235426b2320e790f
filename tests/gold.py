"""Join the labels of `tests/quality` with the texts they are about, which this project does not publish.

`python -m tests.gold LABELS MESSAGES OUT` writes a CSV file with the columns id, title, text, category,
second and kind; MESSAGES is the public set of messages that the labels name by id.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from streams.submission import encoding_of, parse_map, read_rows

COLUMNS = ("id", "title", "text", "category", "second", "kind")
_MESSAGES = ("id=msg_id", "title=title", "text=body")


def join(labels: Path, messages: Path, out: Path) -> int:
    """Write the labelled texts; return how many.

    Args:
        labels: CSV of msg_id, category, second, kind.
        messages: CSV of msg_id, title, body; may be gzipped.
        out: where to.

    Raises:
        FileError: a file cannot be read.
        KeyError: a label's message is not among the messages.
    """
    mapping = parse_map(_MESSAGES, ("id", "title", "text"))
    texts = {row.values["id"]: row.values for row in read_rows(messages, mapping, encoding_of(messages))}
    with labels.open(encoding="utf-8", newline="") as given, out.open("w", encoding="utf-8", newline="") as written:
        writer = csv.DictWriter(written, COLUMNS)
        writer.writeheader()
        rows = list(csv.DictReader(given))
        for row in rows:
            text = texts[row["msg_id"]]
            writer.writerow(
                {
                    "id": row["msg_id"],
                    "title": text.get("title", ""),
                    "text": text.get("text", ""),
                    "category": row["category"],
                    "second": row["second"],
                    "kind": row["kind"],
                }
            )
    return len(rows)


if __name__ == "__main__":
    print(join(*map(Path, sys.argv[1:4])), "labelled texts")  # noqa: T201 - a command's answer
