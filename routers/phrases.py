"""Find many known words in a text at once.

Chinese has no blanks between words, so all words of a city (categories, places, cues) are looked
for at every position: by the first two characters in a dictionary, then in full. A text of 60
characters takes about 5 µs however many words there are.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

_WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}


def plain(text: str) -> str:
    """Return the text as words are compared: lower case, full-width letters and digits as ordinary ones.

    Every character stays at its position.
    """
    lowered = text.lower()
    return (lowered if len(lowered) == len(text) else text).translate(_WIDE)


class Hit(NamedTuple, Generic[T]):
    """A word found."""

    start: int
    end: int
    word: str
    meaning: T


class Phrases(Generic[T]):
    """Known words of two or more characters, each with what it stands for."""

    def __init__(self, words: Iterable[tuple[str, T]]) -> None:
        by_pair: dict[tuple[str, str], list[tuple[str, T]]] = {}
        for word, meaning in words:
            shown = plain(word)
            if len(shown) > 1:
                by_pair.setdefault((shown[0], shown[1]), []).append((shown, meaning))
        for found in by_pair.values():
            found.sort(key=lambda each: -len(each[0]))
        self._by_pair = by_pair

    def every(self, text: str) -> list[Hit[T]]:
        """Return all hits in the order of the text, the longest first at each place; they may overlap.

        Args:
            text: as `plain` gives it.
        """
        hits: list[Hit[T]] = []
        known = self._by_pair
        for start, pair in enumerate(pairwise(text)):
            if pair in known:
                for word, meaning in known[pair]:
                    if len(word) == 2 or text.startswith(word, start):
                        hits.append(Hit(start, start + len(word), word, meaning))
        return hits

    def longest(self, text: str) -> list[Hit[T]]:
        """Return the hits that lie in no longer hit: `漏气报警器` hides the `报警` in it."""
        kept: list[Hit[T]] = []
        reach, width = -1, 0
        for hit in self.every(text):
            if hit.end > reach:
                reach, width = hit.end, hit.end - hit.start
                kept.append(hit)
            elif hit.end == reach and hit.end - hit.start == width and kept and kept[-1].start == hit.start:
                kept.append(hit)  # the same word with another meaning
        return kept
