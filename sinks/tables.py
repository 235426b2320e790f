"""The ledger's tables (SQLModel). Rows, not messages: wire formats live in `streams.messages`.

Times are stored as UTC text of fixed width, so that they sort and compare the same way on
SQLite and PostgreSQL; JSON is stored as text, read whole or not at all.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from sqlalchemy import (
    BigInteger,
    Column,
    Dialect,
    Identity,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    TypeDecorator,
    text,
)
from sqlmodel import Field, SQLModel

METADATA = SQLModel.metadata
"""What `sinks.schema` lays: every table of this module."""


@lru_cache(4096)  # a batch writes the same few moments many times over
def utc_text(at: datetime | None) -> str | None:
    """Return a moment as the ledger writes it.

    Raises:
        ValueError: the time has no zone; a naive time is a bug.
    """
    if at is None:
        return None
    if at.tzinfo is not UTC:
        if at.tzinfo is None:
            raise ValueError("a naive time must not reach the ledger")
        at = at.astimezone(UTC)
    return at.isoformat(timespec="microseconds")[:26] + "Z"  # strftime takes three times as long


class UtcTime(TypeDecorator[datetime]):
    """An aware moment as text `2026-11-23T01:02:03.000004Z`: one form on every database."""

    impl = String(27)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Write UTC; a naive time is a bug.

        Raises:
            ValueError: the time has no zone.
        """
        return utc_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Read an aware moment."""
        return None if value is None else datetime.fromisoformat(value)


_HAS_ORIGIN = text("origin_topic IS NOT NULL")


class InputRow(SQLModel, table=True):
    """Every record casework has read, with its fate; refused ones too."""

    __tablename__ = "input"
    __table_args__ = (
        Index(
            "input_origin",
            "origin_topic",
            "origin_partition",
            "origin_offset",
            unique=True,
            sqlite_where=_HAS_ORIGIN,
            postgresql_where=_HAS_ORIGIN,
        ),
        Index("input_id_known", "input_id"),
        Index("input_case", "case_id"),
    )

    topic: str = Field(primary_key=True)
    partition: int = Field(primary_key=True)
    offset: int = Field(sa_column=Column("offset", BigInteger(), primary_key=True))
    origin_topic: str | None = None
    """Where it entered; set once an origin, by its first disposition."""
    origin_partition: int | None = None
    origin_offset: int | None = Field(default=None, sa_type=BigInteger)
    input_id: str
    case_id: str | None = None
    kind: str
    actor: str
    disposition: str
    code: str | None = None
    digest: str | None = None
    decided_at: datetime = Field(sa_type=UtcTime)


class EventRow(SQLModel, table=True):
    """What happened to a case, in order; only ever inserted."""

    __tablename__ = "event"

    case_id: str = Field(primary_key=True)
    seq: int = Field(primary_key=True)
    kind: str
    actor: str
    at: datetime = Field(sa_type=UtcTime)
    input_id: str
    data: str = Field(sa_type=Text)
    """JSON."""


class CaseRow(SQLModel, table=True):
    """Where a case stands: what queries ask, beside the whole state as JSON."""

    __tablename__ = "case"
    __table_args__ = (
        Index("case_receipt", "receipt"),
        Index("case_custodian", "custodian", "state"),
        Index("case_state", "state", "due_at"),
    )

    case_id: str = Field(primary_key=True)
    version: int
    state: str
    receipt: str
    channel: str | None = None
    custodian: str | None = None
    lead: str | None = None
    category: str | None = None
    kind: str | None = None
    tier: str | None = None
    street: str | None = None
    registered_at: datetime | None = Field(default=None, sa_type=UtcTime)
    first_dispatched_at: datetime | None = Field(default=None, sa_type=UtcTime)
    due_at: datetime | None = Field(default=None, sa_type=UtcTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcTime)
    escalated: bool = False
    exemption: str | None = None
    facts: str | None = Field(default=None, sa_type=Text)
    """JSON of `routers.life.Facts`; written once."""
    life: str = Field(sa_type=Text)
    """JSON of `routers.life.Case` without its facts."""


class ClockRow(SQLModel, table=True):
    """A running clock: absolute due time and generation."""

    __tablename__ = "clock"
    __table_args__ = (Index("clock_due", "due_at", "emitted_at"),)

    case_id: str = Field(primary_key=True)
    clock: str = Field(primary_key=True)
    generation: int
    due_at: datetime = Field(sa_type=UtcTime)
    emitted_at: datetime | None = Field(default=None, sa_type=UtcTime)


class JudgementRow(SQLModel, table=True):
    """Whether the machine had named the right unit for a case; replaced when it is judged anew."""

    __tablename__ = "judgement"
    __table_args__ = (Index("judgement_when", "model", "judged_at"),)

    case_id: str = Field(primary_key=True)
    category: str
    """As the machine said it."""
    confidence: float
    model: str
    right_unit: bool
    judged_at: datetime = Field(sa_type=UtcTime)


class PartRow(SQLModel, table=True):
    """One part of a case that was split; written with the split, before the part is opened."""

    __tablename__ = "part"
    __table_args__ = (Index("part_of", "parent", "number", unique=True),)

    case_id: str = Field(primary_key=True)
    """Of the part."""
    parent: str
    number: int
    """From 1, in the order of the split."""


class OutboxRow(SQLModel, table=True):
    """A message decided but not yet known to be on the broker; deleted once acknowledged."""

    __tablename__ = "outbox"

    position: int | None = Field(
        default=None,
        sa_column=Column("position", BigInteger().with_variant(Integer, "sqlite"), Identity(), primary_key=True),
    )
    """The order of writing, given by the database: what is decided first is published first."""
    message_id: str = Field(unique=True)
    """`<topic>/<partition>/<offset>/<n>` of the input it comes from: the same whenever it is decided again."""
    source_topic: str
    source_partition: int
    case_id: str | None = None
    seq: int
    topic: str
    key: bytes | None = Field(default=None, sa_type=LargeBinary)
    value: bytes | None = Field(default=None, sa_type=LargeBinary)
    headers: str = Field(sa_type=Text)
    """JSON list of [name, text]."""
    refused: str | None = Field(default=None, sa_type=Text)
    """Why the broker will never take it; such a row is kept for people to look at and not tried again."""


class ProgressRow(SQLModel, table=True):
    """How far each partition is decided; compare-and-set fences a worker that lost it."""

    __tablename__ = "progress"

    topic: str = Field(primary_key=True)
    partition: int = Field(primary_key=True)
    topic_id: str
    """Kafka's id of the topic: a topic made anew under the old name is another one."""
    next_offset: int = Field(sa_type=BigInteger)
