"""Reading what came over the wire: a message, or one coded reason why it is none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from routers.demand import DemandId
from streams.messages import Identifier

M = TypeVar("M")


class UndecodableError(Exception):
    """A message that cannot be read; `code` is for machines, the text for people."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


_FIRST_MISTAKE: Iterable[tuple[tuple[str, ...], str, str, str]] = (
    # kinds of mistake in pydantic's words, field, words of the message, code
    (("json_invalid",), "", "hex escape", "lone_surrogate"),  # an escape that UTF-8 cannot hold
    (("json_invalid",), "", "", "not_json"),
    (("missing",), "crs", "", "coordinates_without_system"),
    (("string_too_long", "too_long"), "text", "", "text_too_long"),
    (("string_too_long", "too_long"), "answer", "", "text_too_long"),
    (("union_tag_invalid",), "", "", "unknown_type"),
    (("value_error",), "", "NUL byte", "nul_byte"),
    (("value_error",), "", "surrogate", "lone_surrogate"),
    (("value_error", "datetime_parsing", "datetime_from_date_parsing"), "", "is outside", "time_out_of_range"),
    (("datetime_parsing", "datetime_from_date_parsing"), "", "after 9999", "time_out_of_range"),
)


LARGEST = 2 * 1_048_588
"""Bytes of the largest value any topic takes. A compressed record may hide more, and is not even parsed."""

_MANY_MISTAKES = 1000
"""Listing pydantic's mistakes costs 7 µs each, and a list of a megabyte can hold half a million of them."""


def decode(adapter: TypeAdapter[M], value: bytes | None) -> M:
    """Read one message.

    Args:
        adapter: one of the module's adapters (`INTAKE`, `TRIAGED`, `REPLY`, ...).
        value: the record's bytes.

    Raises:
        UndecodableError: with a coded reason; nothing else.
    """
    if value is None:
        raise UndecodableError("empty", "the record has no value")
    if len(value) > LARGEST:
        raise UndecodableError("text_too_long", f"the record has {len(value)} bytes, {LARGEST} at most are read")
    try:
        return adapter.validate_json(value)
    except ValidationError as error:
        raise _reading_error(error) from error
    except (ValueError, RecursionError) as error:
        raise UndecodableError("invalid", str(error)[:500]) from error


def _reading_error(error: ValidationError) -> UndecodableError:
    """Turn pydantic's list of mistakes into one code and one short text without any of the data.

    The first mistake names it, unless the schema is unknown: then all others follow from that.
    """
    if error.error_count() > _MANY_MISTAKES:
        return UndecodableError("invalid", f"{error.error_count()} mistakes")
    mistakes = error.errors(include_url=False, include_input=False, include_context=False)
    newer = [each for each in mistakes if each["type"] == "literal_error" and each["loc"][-1:] == ("schema",)]
    first = (newer or mistakes)[0]
    where = ".".join(str(part) for part in first["loc"])
    message = (f"{where}: {first['msg']}" if where else first["msg"])[:500]
    if newer:
        return UndecodableError("unknown_schema", message)
    for kinds, field, words, code in _FIRST_MISTAKE:
        if first["type"] in kinds and words in first["msg"] and field in ("", *first["loc"][-1:]):
            return UndecodableError(code, message)
    return UndecodableError("invalid", message)


def text_of(raw: bytes | None) -> str | None:
    """Return bytes as text, None when there are none or they are not UTF-8."""
    try:
        return raw.decode() if raw is not None else None
    except UnicodeDecodeError:
        return None


_DEMAND_ID: TypeAdapter[str] = TypeAdapter(DemandId)
_IDENTIFIER: TypeAdapter[str] = TypeAdapter(Identifier)


def is_demand_id(text: str) -> bool:
    """Tell whether a text has the form of a demand id."""
    return _fits(_DEMAND_ID, text)


def is_identifier(text: str) -> bool:
    """Tell whether a text has the form of an id that senders make."""
    return _fits(_IDENTIFIER, text)


def _fits(form: TypeAdapter[str], text: str) -> bool:
    try:
        form.validate_python(text)
    except ValidationError:
        return False
    return True
