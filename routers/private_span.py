"""A piece of personal data in a text, and the sheet on which the detectors mark what they find."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Any, NamedTuple

BLANK = "\ue000"
"""Stands for each character of what is found already: no detector reads across it."""


class Kind(StrEnum):
    """What a piece of personal data is."""

    MOBILE = "mobile"
    LANDLINE = "landline"
    ID = "id"
    BANK_CARD = "bank_card"
    PASSPORT = "passport"
    PLATE = "plate"
    EMAIL = "email"
    ACCOUNT = "account"
    NAME = "name"
    ADDRESS = "address"


LABELS = {
    Kind.MOBILE: "手机",
    Kind.LANDLINE: "电话",
    Kind.ID: "身份证",
    Kind.BANK_CARD: "银行卡",
    Kind.PASSPORT: "证件",
    Kind.PLATE: "车牌",
    Kind.EMAIL: "邮箱",
    Kind.ACCOUNT: "账号",
    Kind.NAME: "姓名",
    Kind.ADDRESS: "地址",
}
"""What stands in a placeholder, `〔手机1〕`."""


class Span(NamedTuple):
    """A piece of personal data: characters `start` up to `end` of the text it was found in."""

    start: int
    end: int
    kind: Kind
    value: str
    """The same for every way of writing it: two spans with one value get one placeholder."""


class Sheet:
    """A text of which the found parts are blanked out, without moving anything."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.spans: list[Span] = []

    def take(self, pattern: re.Pattern[str], kind: Kind | None, value: Callable[[re.Match[str]], str | None]) -> None:
        """Mark what a pattern finds: its group 1 if it has one, else the whole.

        Args:
            pattern: what to look for.
            kind: what it is; None to blank it out as something that is nobody's.
            value: gives its value, or None where it is something else.
        """
        group = 1 if pattern.groups else 0
        found: list[tuple[int, int]] = []
        for match in pattern.finditer(self.text):
            known = value(match)
            if known is not None:
                found.append(match.span(group))
                if kind is not None:
                    self.spans.append(Span(*match.span(group), kind, known))
        self.blank(found)

    def mark(self, spans: list[Span]) -> None:
        """Mark spans; none of them overlaps another, or what was found before."""
        self.spans += spans
        self.blank([(span.start, span.end) for span in spans])

    def blank(self, ranges: list[tuple[int, int]]) -> None:
        """Blank out parts, in any order."""
        if not ranges:
            return
        pieces, at = [], 0
        for start, end in sorted(ranges):
            pieces += [self.text[at:start], BLANK * (end - start)]
            at = end
        self.text = "".join([*pieces, self.text[at:]])


def take(taken: bytearray, start: int, end: int) -> bool:
    """Take a part of a text, a byte for each character, if none of it is taken; tell whether it was free."""
    if any(taken[start:end]):
        return False
    taken[start:end] = bytes([1]) * (end - start)
    return True


def any_of(words: str) -> str:
    """Return a pattern of words separated by `|`, the longest first, that branches only where they differ.

    A plain alternation tries every word at every character; this looks at one character at a time.
    """
    tree: dict[str, Any] = {}
    for word in words.split("|"):
        node = tree
        for character in word:
            node = node.setdefault(character, {})
        node[""] = {}
    return _pattern_of(tree)


def _pattern_of(tree: dict[str, Any]) -> str:
    branches = [re.escape(character) + _pattern_of(rest) for character, rest in tree.items() if character]
    if not branches:
        return ""
    pattern = f"(?:{'|'.join(branches)})"
    return f"{pattern}?" if "" in tree else pattern
