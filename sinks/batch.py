"""What goes into the ledger and what comes out of it, as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from routers.life import Case, ClockName, Event


@dataclass(frozen=True, slots=True)
class Partition:
    """A topic partition casework reads."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class KnownInput:
    """An input the ledger has seen, as its first record left it."""

    disposition: str
    code: str | None
    digest: str | None


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event with its place in its case."""

    case_id: str
    seq: int
    input_id: str
    event: Event


@dataclass(frozen=True, slots=True)
class InputRecord:
    """What becomes of one record; see `InputRow`."""

    topic: str
    partition: int
    offset: int
    input_id: str
    kind: str
    actor: str
    disposition: str
    decided_at: datetime
    case_id: str | None = None
    code: str | None = None
    digest: str | None = None
    origin: tuple[str, int, int] | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """A message to publish: the bytes, and the `(case_id, seq)` it belongs to."""

    source: Partition
    message_id: str
    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    case_id: str | None = None
    seq: int = 0


@dataclass(slots=True)
class Batch:
    """All that one transaction writes."""

    inputs: list[InputRecord] = field(default_factory=list)
    events: list[StoredEvent] = field(default_factory=list)
    cases: dict[str, tuple[Case | None, Case]] = field(default_factory=dict)
    """Case id to (as loaded, as decided)."""
    outputs: list[Output] = field(default_factory=list)
    published: Sequence[str] = ()
    """Message ids the broker has acknowledged: they leave the outbox."""
    progress: dict[Partition, tuple[int | None, int, str]] = field(default_factory=dict)
    """Partition to (next offset as loaded, next offset now, topic id)."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the ledger knows of the cases, inputs and partitions a batch names."""

    cases: Mapping[str, Case]
    inputs: Mapping[str, KnownInput]
    origins: frozenset[tuple[str, int, int]]
    progress: Mapping[Partition, tuple[int, str]]


@dataclass(frozen=True, slots=True)
class DueClock:
    """A clock that is due and was not emitted lately."""

    case_id: str
    clock: ClockName
    generation: int
    due_at: datetime
