"""The envelope of a message: CloudEvents 1.0 attributes as Kafka headers.

Binary content mode (CloudEvents Kafka binding 1.0): the value is the data, the attributes are
headers `ce_<name>`; what CloudEvents has no word for is called `yw_<name>`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache

from streams.messages import CE_NOUNS, Message

Headers = Sequence[tuple[str, bytes]]
"""Kafka headers as every client library gives them."""

SOURCE = "/yiwang"
"""CloudEvents source of everything the pipeline itself says."""


SEQUENCE_HEADER = "ce_sequence"
REPLY_HEADER = "ce_replyid"
RESULT_HEADER = "ce_result"
RESULT_TEXT_HEADER = "ce_resulttext"
"""A record on a work queue that answers a reply says so in these headers: which reply, its
result (`applied`, `relayed`, or a refusal's code) and the clerk's text. Its value is what the unit
now has open of that case, or nothing."""

CONTACT_HEADER = "yw_contact"
"""On the record that answers a `reveal`: the contact as a `SealedContact` in JSON."""

LETTER_HEADER = "yw_letter"
"""A dead letter's `DeadLetter` as JSON; its value is the sealed original."""

KEY_HEADER = "yw_key"
SIGNATURE_HEADER = "yw_signature"
"""Which key signed a reply, and its signature (`streams.signatures`)."""

_FIXED_HEADERS = {
    message: (
        ("content-type", b"application/json"),
        ("ce_specversion", b"1.0"),
        ("ce_type", message.ce_type().encode()),
    )
    for message in CE_NOUNS
}


def ce_headers(
    message_type: type[Message],
    event_id: str,
    *,
    subject: str | None = None,
    at: datetime | None = None,
    source: str = SOURCE,
    **extensions: str,
) -> list[tuple[str, bytes]]:
    """Return the CloudEvents 1.0 attributes of a message as Kafka headers (binary mode).

    Args:
        message_type: gives `ce_type`.
        event_id: unique within `source`.
        subject: the case id, usually.
        at: `ce_time`.
        source: who says it: a channel, a unit or the pipeline.
        extensions: further attributes; names lower-case letters and digits only.
    """
    pairs = [*_FIXED_HEADERS[message_type], ("ce_id", event_id.encode()), ("ce_source", source.encode())]
    if subject is not None:
        pairs.append(("ce_subject", subject.encode()))
    if at is not None:
        pairs.append(("ce_time", rfc3339(at).encode()))
    pairs += [(f"ce_{name}", value.encode()) for name, value in extensions.items()]
    return pairs


@lru_cache(maxsize=256)
def rfc3339(at: datetime) -> str:
    """Return a moment as RFC 3339 in UTC with microseconds and `Z`."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def header(headers: Headers | None, name: str) -> str | None:
    """Return the last header of that name as text, or None; undecodable bytes count as absent."""
    for key, value in reversed(headers or ()):
        if key == name and value is not None:
            try:
                return bytes(value).decode()
            except UnicodeDecodeError:
                return None
    return None
