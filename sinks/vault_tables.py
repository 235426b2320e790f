"""The tables of the vault's originals, the values they hold, and the way from the one to the other."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    insert,
    select,
)

from sinks.seal import Seal, SealError
from sinks.tables import UtcTime

METADATA = MetaData()
ENTRY = Table(
    "vault_entry",
    METADATA,
    Column("demand_id", String, primary_key=True),
    Column("topic", String, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("offset", BigInteger, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Index("vault_entry_place", "topic", "partition", "offset"),
)
"""One submission; of an erased demand only the place is left."""
VIEW = Table(
    "vault_view",
    METADATA,
    Column("position", BigInteger().with_variant(Integer, "sqlite"), Identity(), primary_key=True),
    Column("demand_id", String, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("who", Text, nullable=False),
    Column("action", String, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("outcome", String, nullable=False),
    Column("fields", Text, nullable=False),
    Index("vault_view_demand", "demand_id"),
)
ERASED = Table(
    "vault_erased",
    METADATA,
    Column("demand_id", String, primary_key=True),
    Column("at", UtcTime, nullable=False),
)
PAIR = Table("vault_pair", METADATA, Column("pair", String, primary_key=True))

Action = Literal["reveal", "erase", "letter"]
Outcome = Literal["shown", "nothing", "erased", "refused", "parked", "replayed"]


@dataclass(frozen=True, slots=True)
class Kept:
    """The originals of one submission: where it entered, whose demand it is, and what masking may change."""

    topic: str
    partition: int
    offset: int
    demand_id: str
    content: bytes
    """A JSON object, in UTF-8."""


@dataclass(frozen=True, slots=True)
class View:
    """Somebody looked or erased, or tried to."""

    demand_id: str
    """The demand; of a dead letter that names none, the letter's id."""
    at: datetime
    who: str
    action: Action
    purpose: str
    """Code of the city's policies; of a refused attempt what was given instead."""
    outcome: Outcome
    fields: tuple[str, ...] = ()
    """Names of what was shown."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Who wants to look or to erase, when, and why."""

    who: str
    purpose: str
    at: datetime


def entries_of(data: Connection, demand_id: str) -> Sequence[Any]:
    """Return the submissions of a demand, in the order in which they came."""
    wanted = select(ENTRY).where(ENTRY.c.demand_id == demand_id)
    return data.execute(wanted.order_by(ENTRY.c.topic, ENTRY.c.partition, ENTRY.c.offset)).all()


def unsealed(rows: Sequence[Any], key: bytes | None) -> list[dict[str, Any]]:
    """Return originals.

    Raises:
        SealError: there is no key, or it does not fit.
    """
    if not rows:
        return []
    if key is None:
        raise SealError("the key of this case is missing: the key database is older than the vault; see the runbook")
    seal = Seal(key)
    return [json.loads(seal.unseal(row.sealed, context=context_of(row))) for row in rows]


def write_view(  # noqa: PLR0917 - the columns, in order
    data: Connection, action: Action, named: str, asked: Asked, outcome: Outcome, fields: Iterable[str]
) -> None:
    """Write down who looked or erased, or tried to."""
    row = {"demand_id": named, "at": asked.at, "who": asked.who, "action": action, "purpose": asked.purpose}
    data.execute(insert(VIEW), row | {"outcome": outcome, "fields": json.dumps(list(dict.fromkeys(fields)))})


def view_of(row: Any) -> View:
    """Read a view as stored."""
    fields = tuple(json.loads(row.fields))
    return View(row.demand_id, row.at, row.who, row.action, row.purpose, row.outcome, fields)


def context_of(entry: Any) -> bytes:
    """Bind a sealed entry to its row: it cannot be read as another demand's."""
    return f"vault {entry.demand_id} {entry.topic}/{entry.partition}/{entry.offset}".encode()
