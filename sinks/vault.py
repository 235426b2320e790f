"""The vault: what citizens said and how to reach them, encrypted, in a database of its own.

Everything downstream of triage is masked; the originals are here only. Whoever looks is
written down first: who, when, at what, why.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from sinks.database import UnavailableError, is_unavailable, open_engine
from sinks.seal import Seal, SealError, load_or_make_key
from sinks.tables import UtcTime

__all__ = ["Kept", "SealError", "Vault", "VaultUnavailableError", "View", "load_or_make_key"]

_METADATA = MetaData()
_ENTRY = Table(
    "vault_entry",
    _METADATA,
    Column("demand_id", String, primary_key=True),
    Column("topic", String, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("offset", BigInteger, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Index("vault_entry_place", "topic", "partition", "offset"),
)
_VIEW = Table(
    "vault_view",
    _METADATA,
    Column("position", BigInteger().with_variant(Integer, "sqlite"), Identity(), primary_key=True),
    Column("demand_id", String, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("who", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("found", Integer, nullable=False),
    Index("vault_view_demand", "demand_id"),
)
_KEY = Table("vault_key", _METADATA, Column("fingerprint", String, primary_key=True))

_ADVISORY_LOCK = 0x59_69_77_61_6E_68


class VaultUnavailableError(UnavailableError):
    """The vault's database cannot be reached or cannot write; try again later."""


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
    """Somebody looked, or tried to."""

    demand_id: str
    at: datetime
    who: str
    purpose: str
    found: int
    """Submissions of this demand the vault held then."""


class Vault:
    """The one way to the originals.

    The tables are laid when first needed, so that a process that only seals writes nothing.

    Args:
        url: SQLAlchemy URL; `sqlite:///FILE` or `postgresql+psycopg://...`.
        key: 32 bytes, as of `load_or_make_key`.
    """

    def __init__(self, url: str, key: bytes) -> None:
        self._engine = open_engine(url)
        self._seal = Seal(key)
        self._laid = False

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()

    def seal(self, plain: bytes, *, context: bytes) -> bytes:
        """Encrypt bytes that rest elsewhere; see `Seal.seal`."""
        return self._seal.seal(plain, context=context)

    def unseal(self, sealed: bytes, *, context: bytes) -> bytes:
        """Return bytes sealed in this context.

        Raises:
            SealError: they were changed, belong elsewhere, or were sealed with another key.
        """
        return self._seal.unseal(sealed, context=context)

    def keep(self, entries: Sequence[Kept]) -> None:
        """Encrypt and store submissions in one transaction; one that is there already stays as it is.

        Raises:
            SealError: the vault was sealed with another key.
            VaultUnavailableError: the database does not answer or cannot write.
        """
        if not entries:
            return
        rows = [
            {
                "demand_id": each.demand_id,
                "topic": each.topic,
                "partition": each.partition,
                "offset": each.offset,
                "sealed": self._seal.seal(each.content, context=_context(each)),
            }
            for each in entries
        ]
        with self._connected() as connection:
            connection.execute(_keep_statement(self._engine), rows)

    def reached(self, topics: Iterable[str]) -> dict[tuple[str, int], int]:
        """Return for each partition of these topics the offset after the last submission that is kept.

        Raises:
            VaultUnavailableError: the database does not answer.
        """
        place = (_ENTRY.c.topic, _ENTRY.c.partition)
        last = select(*place, func.max(_ENTRY.c.offset)).where(_ENTRY.c.topic.in_(list(topics))).group_by(*place)
        with self._connected() as connection:
            return {(topic, number): offset + 1 for topic, number, offset in connection.execute(last)}

    def reveal(self, demand_id: str, *, purpose: str, who: str, at: datetime) -> list[dict[str, Any]]:
        """Return the originals of all submissions of a demand, after writing down who looked and why.

        Args:
            demand_id: the demand.
            purpose: why; must not be empty.
            who: the person or unit that looks; must not be empty.
            at: now (UTC).

        Raises:
            ValueError: nobody looks, or for no purpose.
            SealError: an entry was changed, or the vault was sealed with another key.
            VaultUnavailableError: the database does not answer or cannot write.
        """
        if not who.strip() or not purpose.strip():
            raise ValueError("Who looks into the vault says who it is and why.")
        wanted = select(_ENTRY).where(_ENTRY.c.demand_id == demand_id)
        view = {"demand_id": demand_id, "at": at, "who": who, "purpose": purpose}
        with self._connected() as connection:
            rows = connection.execute(wanted.order_by(_ENTRY.c.topic, _ENTRY.c.partition, _ENTRY.c.offset)).all()
            connection.execute(insert(_VIEW), view | {"found": len(rows)})
        return [json.loads(self._seal.unseal(row.sealed, context=_context(row))) for row in rows]

    def views(self, demand_id: str) -> list[View]:
        """Return who looked at a demand, oldest first.

        Raises:
            VaultUnavailableError: the database does not answer.
        """
        statement = select(_VIEW).where(_VIEW.c.demand_id == demand_id).order_by(_VIEW.c.position)
        with self._connected() as connection:
            return [
                View(row.demand_id, row.at, row.who, row.purpose, row.found) for row in connection.execute(statement)
            ]

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """Begin a transaction on a vault whose tables are laid, and give the database's errors our name."""
        try:
            with self._engine.begin() as connection:
                if not self._laid:
                    self._lay(connection)
                yield connection
            self._laid = True
        except DBAPIError as error:
            if is_unavailable(error):
                raise VaultUnavailableError(str(error.orig)) from error
            raise

    def _lay(self, connection: Connection) -> None:
        """Make the tables, and make sure that this vault was sealed with our key.

        Raises:
            SealError: it was sealed with another.
        """
        if connection.dialect.name == "postgresql":  # on SQLite the transaction itself keeps others waiting
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})
        _METADATA.create_all(connection)
        known = connection.execute(select(_KEY.c.fingerprint)).scalars().all()
        if not known:
            connection.execute(insert(_KEY), {"fingerprint": self._seal.fingerprint})
        elif self._seal.fingerprint not in known:
            raise SealError("The vault was sealed with another key; bring the key file back from a backup.")


def _context(entry: Any) -> bytes:
    """Bind a sealed entry to its row: it cannot be read as another demand's."""
    return f"vault {entry.demand_id} {entry.topic}/{entry.partition}/{entry.offset}".encode()


def _keep_statement(engine: Engine) -> Any:
    """Insert, and leave alone what is there: a submission triaged again after a crash is the same submission."""
    if engine.dialect.name == "postgresql":
        return postgresql.insert(_ENTRY).on_conflict_do_nothing()
    return sqlite.insert(_ENTRY).on_conflict_do_nothing()
