"""All figures of triage's quality in one run: `python -m tests.evaluate DATA` (`make eval DATA=...`).

DATA is the folder of the public sets, which are not ours to publish: `teddy2020c/labelled_full_text.csv.gz` and
`teddy2020c/hot_messages_4326.csv.gz`. Prints what it reads and finds, and writes it into `docs/quality.md`.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from streams.files import write_whole
from tests.doc_tables import ROOT, table
from tests.judge import figures, judge

PAGE = ROOT / "docs" / "quality.md"
PLACE = re.compile(r"(<!-- measured -->\n).*?(<!-- end -->)", re.DOTALL)
QUALITY = ROOT / "tests" / "quality"
MAPPED = ("--map", "text=title+body", "--map", "label=label")


def answer(*arguments: str | Path) -> Any:
    """Run `yiwang` and return its JSON document; its progress goes to the terminal.

    Raises:
        CalledProcessError: it failed.
    """
    command = [sys.executable, "-m", "streams.cli", *map(str, arguments), "--json"]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def measure(data: Path) -> Iterator[tuple[str, str, str]]:
    """Yield set, rows and what was found, one part after the other."""
    labelled = data / "teddy2020c" / "labelled_full_text.csv.gz"
    found = answer("eval", "classify", "--file", labelled, "--folds", "5", *MAPPED, "--map", "group=group")
    scores = ("macro_f1", "accuracy", "accuracy_top80", "accuracy_top60")
    yield ("seven classes of a public set, cross-validated", f"{found['rows']['test']}", _named(found, scores))
    found = answer("bench", "classify", "--file", labelled, *MAPPED)
    speed = ("texts_per_s", "sklearn_texts_per_s", "ratio", "reads_characters", "mean_characters_read")
    yield ("reading them with one core", f"{found['texts']}", _named(found, speed))
    for name in ("mask_a", "mask_b"):
        found = answer("eval", "mask", "--file", QUALITY / f"{name}.jsonl")
        kinds = found["per_kind"]
        numbers = [each for kind, each in kinds.items() if kind not in {"name", "address"}]
        recall = {
            "recall_numbers": sum(each["hidden"] for each in numbers) / sum(each["spans"] for each in numbers),
            "recall_names": kinds["name"]["recall"],
            "recall_addresses": kinds["address"]["recall"],
            "precision": found["precision"],
        }
        rows = f"{found['texts']} texts, {found['spans']} spans"
        yield (f"personal data, `{name}.jsonl`", rows, _named(recall, tuple(recall)))
    judged = judge(QUALITY / "hot_messages_labels.csv", data / "teddy2020c" / "hot_messages_4326.csv.gz")
    for name, figure in figures(judged):
        yield f"the shipped model: {name}", f"{len(judged)}", figure


def _named(found: Mapping[str, Any], names: Sequence[str]) -> str:
    return ", ".join(
        f"{name} {found[name] if isinstance(found[name], int) else round(found[name], 4)}" for name in names
    )


def main(data: Path) -> int:
    """Measure everything and write it down."""
    rows = []
    for row in measure(data):
        sys.stdout.write(" | ".join(row) + "\n")
        sys.stdout.flush()
        rows.append(row)
    page = PAGE.read_text(encoding="utf-8")
    made = table(("set", "rows", "found"), rows)
    write_whole(PAGE, PLACE.sub(lambda match: f"{match[1]}{made}{match[2]}", page).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
