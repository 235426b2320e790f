"""Take what names or reaches a person out of free text, and leave a typed placeholder: `〔手机1〕`.

`find` tells where personal data stand; masking and measuring both build on it. What is looked for is in
`private_numbers`, `private_names` and `private_addresses`, in this order: what is found is blanked for those after it.
Public numbers (110, 12345, 95598, 400-...) and unified social credit codes are nobody's and stay.
One `Masker` gives the same value the same placeholder wherever it stands, so that a reader can still follow; what
another has masked, such as a unit's note on a demand, is numbered anew.
Where it is unclear whether a number is a person's, it is hidden: the original is in the vault.
"""

from __future__ import annotations

import re

from routers.private_addresses import mark_addresses
from routers.private_names import mark_names
from routers.private_numbers import mark_numbers, same_width
from routers.private_span import BLANK, LABELS, Kind, Sheet, Span

_SAID_IN_ANSWERS = frozenset({Kind.LANDLINE, Kind.NAME, Kind.ADDRESS})
_PLACEHOLDER = re.compile(rf"〔(?:{'|'.join(LABELS.values())})\d{{1,6}}〕")


def find(text: str) -> list[Span]:
    """Return the personal data of a text, in its order and without overlaps; offsets are those of the text."""
    plain = same_width(text)
    if "〔" in plain:
        plain = _PLACEHOLDER.sub(lambda found: BLANK * len(found.group()), plain)
    sheet = Sheet(plain)
    mark_numbers(sheet)
    mark_names(sheet)
    mark_addresses(sheet)
    return sorted(sheet.spans)


def mask(text: str) -> str:
    """Return the text with placeholders; masking it again changes nothing."""
    return Masker().mask(text)


def mask_answer(text: str) -> str:
    """Return a text that goes to the citizen with placeholders for numbers that are a person's.

    What an answer needs stays: the telephone and the address of an office, and how people are called.
    """
    return Masker().mask_answer(text)


class Masker:
    """Masks several texts of one demand: what is found in two of them has one placeholder."""

    def __init__(self) -> None:
        self._known: dict[tuple[Kind, str], str] = {}
        self._used: set[str] = set()
        self._last = dict.fromkeys(Kind, 0)

    def mask(self, text: str) -> str:
        """Return the text with placeholders."""
        return self._masked(text, frozenset())

    def mask_answer(self, text: str) -> str:
        """Return a text for the citizen with placeholders; see `mask_answer`."""
        return self._masked(text, _SAID_IN_ANSWERS)

    def _masked(self, text: str, kept: frozenset[Kind]) -> str:
        # numbers that the text already carries as placeholders are not given twice
        if "〔" in text:
            self._used.update(found.group() for found in _PLACEHOLDER.finditer(text))
        while spans := [span for span in find(text) if span.kind not in kept]:
            text = self._replaced(text, spans)  # what stood next to one may now be seen to be another
        return text

    def _replaced(self, text: str, spans: list[Span]) -> str:
        pieces, at = [], 0
        for span in spans:
            pieces += [text[at : span.start], self._placeholder(span.kind, span.value)]
            at = span.end
        return "".join([*pieces, text[at:]])

    def _placeholder(self, kind: Kind, value: str) -> str:
        given = self._known.get((kind, value))
        if given is not None:
            return given
        number = self._last[kind] + 1
        while (new := f"〔{LABELS[kind]}{number}〕") in self._used:
            number += 1
        self._last[kind] = number
        self._known[kind, value] = new
        self._used.add(new)
        return new
