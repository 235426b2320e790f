"""Judge the model that ships with Qinglan on messages nobody here wrote: `python -m tests.judge LABELS MESSAGES`.

LABELS is a file of `tests/quality`, MESSAGES the public set it names by id (see `tests.gold`). Prints a table. The 500
of `hot_messages_labels.csv` are for the model as it ships, not for choosing one: develop on `hot_messages_dev.csv`.
"""

from __future__ import annotations

import csv
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from routers.demand import TEXT_LIMIT, Demand, Ruling
from routers.triage import Triage, Triaged
from tests.cities import qinglan, qinglan_model
from tests.doc_tables import MONDAY, table
from tests.gold import join


@dataclass(frozen=True, slots=True)
class Judged:
    """One message: what it is about, and what triage makes of it."""

    labels: tuple[str, ...]
    """The right category, and the second that could be defended."""
    top: tuple[str, ...]
    """The likeliest categories, the first first."""
    found: Triaged

    @property
    def right(self) -> bool:
        """Whether the first category is a right one."""
        return self.top[0] in self.labels

    @property
    def right_unit(self) -> bool:
        """Whether it leads to the unit of a right one."""
        city = qinglan()
        leads = {city.category(each).lead for each in self.labels if each in city.categories}
        return city.category(self.top[0]).lead in leads


def judge(labels: Path, messages: Path) -> list[Judged]:
    """Let triage read the labelled messages."""
    triage = Triage(qinglan(), qinglan_model())
    with tempfile.TemporaryDirectory() as folder:
        joined = Path(folder) / "joined.csv"
        join(labels, messages, joined)
        with joined.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    demands = [
        Demand(
            demand_id="01ARZ3NDEKTSV4RRFFQ69G5FAV",
            channel="app",
            created_at=MONDAY,
            received_at=MONDAY,
            title=row["title"] or None,
            text=row["text"][:TEXT_LIMIT],
        )
        for row in rows
    ]
    judged = []
    for row, demand, seen in zip(rows, demands, triage.see(demands), strict=True):
        assert seen.guess is not None
        wanted = tuple(each for each in (row["category"], row["second"]) if each)
        found = triage.decide(demand, MONDAY.date(), seen)
        judged.append(Judged(wanted, seen.guess.category.labels, found))
    return judged


def figures(judged: Sequence[Judged]) -> list[tuple[str, str]]:
    """Return what is reported: a name and its figure each."""
    threshold = Triage(qinglan(), qinglan_model()).reader.threshold
    sure = [each for each in judged if each.found.classification.confidence >= threshold(each.top[0])]
    ways = (Ruling.DISPATCH, Ruling.DESK, Ruling.DECLINE, Ruling.ANSWER)
    rulings = Counter(each.found.verdict.ruling for each in judged)
    watched = sum(each.found.verdict.watch for each in judged if each.found.verdict.ruling is Ruling.DISPATCH)
    return [
        ("the first category is the right one", _share(sum(each.right for each in judged), len(judged))),
        (
            "the right one is among the first three",
            _share(sum(bool({*each.labels} & {*each.top}) for each in judged), len(judged)),
        ),
        ("sure enough for a dispatch by machine", _share(len(sure), len(judged))),
        ("... of these, the category leads to the right unit", _share(sum(e.right_unit for e in sure), len(sure))),
        ("... of these, the category is the right one", _share(sum(e.right for e in sure), len(sure))),
        ("dispatched, sent to the desk, declined, answered", ", ".join(str(rulings[each]) for each in ways)),
        ("... dispatched as urgent while the desk looks on", str(watched)),
    ]


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({100 * part / max(1, whole):.1f} %)"


if __name__ == "__main__":
    done = judge(*map(Path, sys.argv[1:3]))
    sys.stdout.write(table((f"of {len(done)} messages", "model"), figures(done)))
