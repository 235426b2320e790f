"""What a dead letter keeps of the message it stands for."""

from __future__ import annotations

from streams.messages import IDENTIFIER_BYTES

LETTER_BYTES = 1_048_588
"""What a dead letter keeps of its original at most; a compressed record can unfold to far more."""


def letter_bytes(value: bytes | None) -> bytes:
    """Return what a dead letter keeps of an original."""
    return (value or b"")[:LETTER_BYTES]


def letter_size(value: bytes | None) -> int | None:
    """Return the size of an original that is not kept whole, None for one that is."""
    return len(value) if value is not None and len(value) > LETTER_BYTES else None


def letter_key(key: bytes | None, letter_id: str) -> bytes:
    """Return the key of a dead letter: its original's, or the letter's own where that is none or could be no id."""
    return key if key and len(key) <= IDENTIFIER_BYTES else letter_id.encode()
