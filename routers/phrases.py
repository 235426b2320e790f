"""Find many known words in a text at once.

Chinese has no blanks between words, so all words of a city (categories, places, cues) are looked
for everywhere, in one pass of an Aho-Corasick automaton (`ahocorasick-rs`): how many words there are
hardly matters. Several vocabularies are searched in the same text, so what is made of a text once
(its plain form, its pairs) is kept for the next.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from operator import add
from typing import Generic, NamedTuple, TypeVar

from ahocorasick_rs import AhoCorasick

from routers.traditional import SIMPLIFIED

T = TypeVar("T")

_WIDE = {chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)} | {"\u3000": " "}
_COMPARED_AS = str.maketrans(_WIDE | SIMPLIFIED)

_KEPT = 8
"""Texts remembered: a demand's title, text and address, and the next one's."""


@lru_cache(maxsize=_KEPT)
def plain(text: str) -> str:
    """Return the text as words are compared: lower case, full-width as ordinary, traditional characters as simplified.

    Every character stays at its position.
    """
    lowered = text.lower()
    return (lowered if len(lowered) == len(text) else text).translate(_COMPARED_AS)


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
    """Known words of two or more characters, each with what it stands for; immutable, so threads may share it."""

    def __init__(self, words: Iterable[tuple[str, T]]) -> None:
        meanings: dict[str, list[T]] = {}
        for word, meaning in words:
            shown = plain(word)
            if len(shown) > 1:
                meanings.setdefault(shown, []).append(meaning)
        self._known = tuple(meanings.items())
        self._automaton = AhoCorasick(list(meanings), store_patterns=False)

    def every(self, text: str) -> list[Hit[T]]:
        """Return all hits in the order of the text, the longest first at each place; they may overlap.

        Args:
            text: as `plain` gives it.
        """
        found = self._automaton.find_matches_as_indexes(text, overlapping=True)
        if len(found) > 1:
            found.sort(key=_place)
        known = self._known
        hits = []
        for number, start, end in found:
            word, meanings = known[number]
            # meanings of one word stay in the order they were given
            hits.extend([Hit(start, end, word, meaning) for meaning in meanings])
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


def _place(match: tuple[int, int, int]) -> tuple[int, int]:
    _number, start, end = match
    return start, -end
