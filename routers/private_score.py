"""How well personal data are found: spans that people marked in texts against those that `routers.privacy` finds.

A marked span is found when all its letters and digits are covered by found spans of any kind: it is hidden, whatever
it is called. Of an address only the private part must be covered, the numbers of house, building, unit and room: the
names of estate and road stay for the clerk, and so do the numbers of a village's group, of a phase or of a block.
A found span is right when it overlaps a marked one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from routers.privacy import find


class Marked(NamedTuple):
    """A span as people marked it; the kind may have any name."""

    start: int
    end: int
    kind: str


class Miss(NamedTuple):
    """One mistake: a marked span that was not hidden, or a found one that nobody marked."""

    text: str
    start: int
    end: int
    kind: str


class Score:
    """Counts over texts."""

    def __init__(self) -> None:
        self.texts = 0
        self.missed: list[Miss] = []
        self.wrong: list[Miss] = []
        self._marked: Counter[str] = Counter()
        self._hidden: Counter[str] = Counter()
        self._found: Counter[str] = Counter()
        self._right: Counter[str] = Counter()

    def add(self, text: str, marked: Sequence[Marked]) -> None:
        """Count one text."""
        self.texts += 1
        found = find(text)
        covered = {at for span in found for at in range(span.start, span.end)}
        for span in marked:
            self._marked[span.kind] += 1
            if needed(text, span) <= covered:
                self._hidden[span.kind] += 1
            else:
                self.missed.append(Miss(text, *span))
        for each in found:
            self._found[each.kind] += 1
            if any(each.start < span.end and span.start < each.end for span in marked):
                self._right[each.kind] += 1
            else:
                self.wrong.append(Miss(text, each.start, each.end, each.kind))

    @property
    def recall(self) -> float:
        """Share of the marked spans that are hidden; 1 if none is marked."""
        return _share(self._hidden.total(), self._marked.total())

    @property
    def precision(self) -> float:
        """Share of the found spans that are right; 1 if none is found."""
        return _share(self._right.total(), self._found.total())

    def recall_of(self, kinds: Iterable[str]) -> float:
        """Return the recall over some kinds of marked spans."""
        kinds = set(kinds)
        return _share(sum(self._hidden[each] for each in kinds), sum(self._marked[each] for each in kinds))

    def document(self) -> dict[str, Any]:
        """Return the figures; `per_kind` by the names of the marks, `per_found_kind` by our own."""
        return {
            "precision": round(self.precision, 4),
            "recall": round(self.recall, 4),
            "texts": self.texts,
            "spans": self._marked.total(),
            "found": self._found.total(),
            "per_kind": {
                kind: {"spans": count, "hidden": self._hidden[kind], "recall": _rounded(self._hidden[kind], count)}
                for kind, count in sorted(self._marked.items())
            },
            "per_found_kind": {
                kind: {"found": count, "right": self._right[kind], "precision": _rounded(self._right[kind], count)}
                for kind, count in sorted(self._found.items())
            },
        }


_ADDRESS = re.compile(r"addr|地址|住址|dwelling|residence|门牌", re.IGNORECASE)
_HOUSE = re.compile(r"[0-9０-９A-Za-z一二三四五六七八九十][号栋幢座室弄]|单元")
_PUBLIC_PART = re.compile(r"[0-9０-９一二三四五六七八九十A-Za-z]+(?=[组社队期区路街村巷里道环线大])")
_PRIVATE_DIGIT = re.compile(
    r"[0-9０-９A-Za-zＡ-Ｚａ-ｚ]|[甲乙丙丁一二三四五六七八九十〇零百两](?=[甲乙丙丁一二三四五六七八九十〇零百两]*(?:[号栋幢座室弄单楼层门户]|$))"
)


def needed(text: str, span: Marked) -> set[int]:
    """Return the characters that must be covered for a marked span to be hidden."""
    said = text[span.start : span.end]
    if _ADDRESS.search(span.kind) is not None or _HOUSE.search(said) is not None:
        public = {at for part in _PUBLIC_PART.finditer(said) for at in range(*part.span())}
        private = {span.start + digit.start() for digit in _PRIVATE_DIGIT.finditer(said) if digit.start() not in public}
        if private:
            return private
    return {at for at in range(span.start, span.end) if text[at].isalnum()}


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


def _rounded(part: int, whole: int) -> float:
    return round(_share(part, whole), 4)
