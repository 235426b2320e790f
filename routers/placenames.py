"""Names of places in running text: own names, what people say, old names, and roads and estates by their numbers.

A name may mean several places: a road runs through several grids, and two streets may both have a
`幸福小区`. What is found is therefore a list of mentions, each with all it may mean; a number behind the
name (`解放路18号`, `虹苑小区3栋`) and other places named in the same text say which.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from routers.city import Grid, NumberRange, Places, names_of
from routers.phrases import Phrases, plain
from routers.spots import Spot, spots_of

Mention = tuple[Spot, ...]
"""What a name in the text may mean."""

_NUMBER = re.compile(
    r"[ ,(]?第?(?:([0-9]{1,5})|([一二三四五六七八九十百零〇两]{1,6}))(?:[-之附][0-9]{1,4})? ?"
    r"(?:号楼|号院|栋|幢|座|号(?!线|[早晚凌上中下开起以至前后]|之[前后]))"
)
"""A number behind a name in plain text; `18号线` and `18号晚上` are none."""

_LOOKED_AT = 16
"""Characters behind a name in which its number must stand."""

_DIGITS = {digit: value for value, digit in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_STEPS = {"十": 10, "百": 100}


class PlaceNames:
    """All names of a city's places, ready to be looked for; immutable, so threads may share it."""

    def __init__(self, places: Places) -> None:
        found: dict[str, _Meaning] = {}
        for spot in spots_of(places):
            for name in names_of(spot.place):
                found.setdefault(plain(name), _Meaning()).add(spot)
            if isinstance(spot.place, Grid):
                for name, ranges in spot.place.numbers.items():
                    found.setdefault(plain(name), _Meaning()).add(spot, ranges)
        self._phrases: Phrases[_Meaning] = Phrases(found.items())

    def mentions(self, text: str) -> list[Mention]:
        """Return what the names in a text may mean, in the order of the text.

        Args:
            text: as `plain` gives it.
        """
        return [hit.meaning.at(text, hit.end) for hit in self._phrases.longest(text)]


class _Meaning:
    """What one name may mean."""

    __slots__ = ("_numbers", "_spots")

    def __init__(self) -> None:
        self._spots: Mention = ()
        self._numbers: list[tuple[Spot, tuple[NumberRange, ...]]] = []

    def add(self, spot: Spot, numbers: tuple[NumberRange, ...] = ()) -> None:
        """Add a place."""
        if all(known.code != spot.code for known in self._spots):
            self._spots = (*self._spots, spot)
        if numbers:
            self._numbers.append((spot, numbers))

    def at(self, text: str, end: int) -> Mention:
        """Return what it means where it ends at a position: all, unless a number stands there that settles it."""
        if self._numbers and (number := number_behind(text, end)) is not None:
            told = tuple(spot for spot, ranges in self._numbers if any(number in each for each in ranges))
            if told:
                return told
        return self._spots


def number_behind(text: str, end: int) -> int | None:
    """Return the number of a house or building that stands right behind a position; None where none does."""
    found = _NUMBER.match(text[end : end + _LOOKED_AT])
    if found is None:
        return None
    return int(found[1]) if found[1] else _spoken(found[2])


def _spoken(digits: str) -> int:
    """Return a number in Chinese digits, below a thousand: `十八`, `一百零三`, and `一八` as on a door."""
    if not any(step in digits for step in _STEPS):
        return int("".join(str(_DIGITS[digit]) for digit in digits))
    total, last = 0, 0
    for digit in digits:
        if digit in _STEPS:
            total += (last or 1) * _STEPS[digit]
            last = 0
        else:
            last = _DIGITS[digit]
    return total + last


def settle(mentions: Sequence[Mention], besides: Sequence[Mention] = ()) -> list[Spot]:
    """Return what the names mean together; those that may mean several places, as the other names tell.

    Args:
        mentions: of one text.
        besides: of a text that helps to understand it, and adds no place of its own.
    """
    if all(len(mention) == 1 for mention in mentions):
        return [mention[0] for mention in mentions]
    told = _Told([*mentions, *besides])
    return [spot for mention in mentions for spot in told.narrowed(mention)]


class _Told:
    """The grids, communities and streets that some names leave no doubt about."""

    def __init__(self, mentions: Sequence[Mention]) -> None:
        sure = [mention[0] for mention in mentions if len(mention) == 1]
        self._grids = {spot.grid.code for spot in sure if spot.grid is not None}
        self._communities = {spot.community.code for spot in sure if spot.community is not None}
        # a road that spans grids of one street still tells the street
        lists = [{spot.street.code for spot in mention} for mention in mentions]
        self._streets = {code for codes in lists if len(codes) == 1 for code in codes}

    def narrowed(self, mention: Mention) -> Mention:
        """Return what a name may still mean: what shares the smallest place told; all, where nothing helps."""
        if len(mention) == 1:
            return mention
        for kept in (
            tuple(spot for spot in mention if spot.grid is not None and spot.grid.code in self._grids),
            tuple(spot for spot in mention if spot.community is not None and spot.community.code in self._communities),
            tuple(spot for spot in mention if spot.street.code in self._streets),
        ):
            if kept:
                return kept
        return mention
