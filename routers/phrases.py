"""Find many known words in a text at once.

Chinese has no blanks between words, so all words of a city (categories, places, cues) are looked
for everywhere: the pairs of characters of the text are compared with those that known words begin
with, as sets, and only where they meet is a word looked for in full. How many words there are
hardly matters. Several vocabularies are searched in the same text, so what is made of a text once
(its plain form, its pairs) is kept for the next.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from operator import add, itemgetter
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

_WIDE = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}


_KEPT = 8
"""Texts remembered: a demand's title, text and address, and the next one's."""


@lru_cache(maxsize=_KEPT)
def plain(text: str) -> str:
    """Return the text as words are compared: lower case, full-width letters and digits as ordinary ones.

    Every character stays at its position.
    """
    lowered = text.lower()
    return (lowered if len(lowered) == len(text) else text).translate(_WIDE)


@lru_cache(maxsize=_KEPT)
def pairs_of(text: str) -> frozenset[str]:
    """Return all pairs of neighbours."""
    return frozenset(map(add, text, text[1:]))


class Hit(NamedTuple, Generic[T]):
    """A word found."""

    start: int
    end: int
    word: str
    meaning: T


class Phrases(Generic[T]):
    """Known words of two or more characters, each with what it stands for."""

    def __init__(self, words: Iterable[tuple[str, T]]) -> None:
        meanings: dict[str, list[T]] = {}
        for word, meaning in words:
            shown = plain(word)
            if len(shown) > 1:
                meanings.setdefault(shown, []).append(meaning)
        self._by_pair: dict[str, list[tuple[str, list[T]]]] = {}
        for word, found in meanings.items():
            self._by_pair.setdefault(word[:2], []).append((word, found))
        self._starts = frozenset(self._by_pair)

    def every(self, text: str) -> list[Hit[T]]:
        """Return all hits in the order of the text, the longest first at each place; they may overlap.

        Args:
            text: as `plain` gives it.
        """
        hits: list[tuple[int, int, Hit[T]]] = []
        for pair in self._starts & pairs_of(text):
            for word, meanings in self._by_pair[pair]:
                start = text.find(word)
                while start >= 0:
                    end = start + len(word)
                    hits.extend((start, -end, Hit(start, end, word, meaning)) for meaning in meanings)
                    start = text.find(word, start + 1)
        # only meanings of one word can tie, and they stay in the order they were given
        hits.sort(key=itemgetter(0, 1))
        return [hit for _, _, hit in hits]

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
