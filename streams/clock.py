"""The one place that reads the clock and makes identifiers."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from ulid import ULID

PEOPLE = ZoneInfo("Asia/Shanghai")
"""The zone people read; everything stored and sent is UTC."""


def now() -> datetime:
    """Return the moment, aware, in UTC."""
    return datetime.now(UTC)  # noqa: TID251 - the one place


def monotonic() -> float:
    """Return seconds that only grow, for durations."""
    return time.monotonic()


def new_id() -> str:
    """Return a new ULID: 48 bits of milliseconds, 80 of chance."""
    return str(ULID())


def content_id(at: datetime, digest: bytes) -> str:
    """Return the ULID that a given moment and content always have.

    The file submitter makes ids with it, so that the same file opens nothing twice.

    Args:
        at: goes into the 48 time bits, in milliseconds.
        digest: at least 10 bytes; the first 10 become the random part.

    Raises:
        ValueError: the digest is shorter.
    """
    if len(digest) < 10:
        raise ValueError(f"a digest of {len(digest)} bytes cannot make an id")
    milliseconds = int(at.timestamp() * 1000)
    return str(ULID.from_bytes(milliseconds.to_bytes(6, "big") + digest[:10]))


def secret_token(size: int = 32) -> bytes:
    """Return `size` unguessable bytes."""
    return secrets.token_bytes(size)


def for_people(at: datetime) -> str:
    """Return a moment as people in the city read it: `2026-11-23 09:30`."""
    return at.astimezone(PEOPLE).strftime("%Y-%m-%d %H:%M")
