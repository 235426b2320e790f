"""A record as it came from a topic: plain, no client library's type."""

from __future__ import annotations

from dataclasses import dataclass

from sinks.ledger import Partition
from streams.envelope import Headers


@dataclass(frozen=True, slots=True)
class Record:
    """One Kafka record."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp: float
    """Seconds since the epoch, as the broker or producer stamped it."""

    @property
    def source(self) -> Partition:
        """Return the partition it came from."""
        return Partition(self.topic, self.partition)

    @property
    def place(self) -> str:
        """Return topic/partition/offset, which names this record and no other."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    @property
    def next_offset(self) -> int:
        """Return the offset to read after this record."""
        return self.offset + 1
