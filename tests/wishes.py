"""Measure how well several wishes in one text are found: `python -m tests.wishes [MODEL]`.

MODEL is the stem of a model to read with; without one, the city's own. Prints a table over the even rows of
`deploy/corpus/multi.jsonl` and `single.jsonl` (the odd ones were developed on), and over the seeded day.

`single.jsonl` is among the texts the city's own model learned from, which flatters it there. An honest figure comes
from a model trained without it: the command of `make model` with that file left out.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from routers.reader import Reader
from routers.wishes import Wish, says_several
from streams.modelfile import load
from streams.play import DAY
from tests.cities import qinglan, qinglan_model
from tests.doc_tables import ROOT, table

CORPUS = ROOT / "deploy" / "corpus"

Line = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """What is proposed for one text."""

    line: Line
    wishes: tuple[Wish, ...]

    @property
    def wanted(self) -> set[str]:
        """The categories of its wishes, as its author had them."""
        return {part["category"] for part in self.line.get("parts", ())}

    @property
    def proposed(self) -> set[str]:
        """Those of the proposal."""
        return {wish.category for wish in self.wishes}


def lines_of(name: str | Path) -> list[Line]:
    """Return the texts of a file of the corpus."""
    return [json.loads(line) for line in (CORPUS / name).read_text(encoding="utf-8").splitlines()]


def propose(lines: Iterable[Line], reader: Reader) -> list[Found]:
    """Look for several wishes in each text, as triage does."""
    found = []
    for line in lines:
        likely = len(reader.lexicon.read(line["text"], line.get("title")).words) > 1 or says_several(line["text"])
        found.append(Found(line, reader.wishes(line["text"]) if likely else ()))
    return found


def figures(many: Sequence[Found], one: Sequence[Found], day: Sequence[Found]) -> Iterator[tuple[str, str]]:
    """Yield what is reported: a name and its figure each."""
    seen = [each for each in many if each.wishes]
    wrongly = sum(bool(each.wishes) for each in one)
    yield "texts of several wishes in which several are seen (recall)", _share(len(seen), len(many))
    yield "long texts of one wish in which several are seen", _share(wrongly, len(one))
    yield (
        "of both together: several are there where several are seen (precision)",
        _share(len(seen), len(seen) + wrongly),
    )
    right = sum(len(each.wanted & each.proposed) for each in seen)
    yield (
        "where seen: proposed categories that are right (precision)",
        _share(right, sum(len(e.proposed) for e in seen)),
    )
    yield "where seen: right categories that are proposed (recall)", _share(right, sum(len(e.wanted) for e in seen))
    exact = sum(each.wanted == each.proposed for each in seen)
    yield "where seen: exactly the right categories", _share(exact, len(seen))
    yield (
        "demands of the seeded day in which several are seen",
        _share(sum(bool(each.wishes) for each in day), len(day)),
    )


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({100 * part / max(1, whole):.1f} %)"


def main(arguments: Sequence[str]) -> int:
    """Measure and print."""
    model = load(Path(arguments[0])).model if arguments else qinglan_model()
    day = lines_of(DAY)
    columns = []
    for reader in (Reader(qinglan(), model), Reader(qinglan())):
        texts = [
            propose(lines, reader) for lines in (lines_of("multi.jsonl")[1::2], lines_of("single.jsonl")[1::2], day)
        ]
        columns.append(list(figures(*texts)))
    rows = [(name, model_says, words_say) for (name, model_says), (_name, words_say) in zip(*columns, strict=True)]
    sys.stdout.write(table(("", "model", "words of the taxonomy"), rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
