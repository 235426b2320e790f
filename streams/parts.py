"""The parts of a split, as the desk hands them in: those the machine proposes, or as a clerk types them."""

from __future__ import annotations

from pydantic import ValidationError

from streams.client import ClientError
from streams.messages import SplitPart, WorkItem


def proposed(item: WorkItem) -> tuple[SplitPart, ...]:
    """Return the parts that the machine proposes for a case.

    Raises:
        ClientError: it proposes none, or cannot say whose one of them is.
    """
    if not item.parts:
        raise ClientError("invalid", f"the machine sees one wish in {item.receipt}; name the parts yourself")
    found = []
    for number, part in enumerate(item.parts, 1):
        if part.unit is None:
            raise ClientError(
                "invalid", f"nobody is proposed for part {number} of {item.receipt}; name the parts yourself"
            )
        found.append(SplitPart(text=item.text[part.start : part.end], to=part.unit, category=part.category))
    return tuple(found)


def typed(text: str) -> SplitPart:
    """Read a part as a clerk types it: `UNIT:CATEGORY:TEXT`.

    Raises:
        ClientError: it is not of that form.
    """
    unit, _, rest = text.partition(":")
    category, _, words = rest.partition(":")
    try:
        return SplitPart(text=words.strip(), to=unit.strip(), category=category.strip())
    except ValidationError as error:
        raise ClientError("invalid", f"{text!r} is no part; write UNIT:CATEGORY:TEXT") from error
