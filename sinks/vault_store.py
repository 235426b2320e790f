"""A database of the vault: its originals are in one, the keys of its cases in another."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    MetaData,
    String,
    Table,
    any_,
    cast,
    event,
    func,
    inspect,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import DBAPIError

from sinks.database import BUSY_SECONDS, UnavailableError, is_unavailable, open_engine


class VaultUnavailableError(UnavailableError):
    """The vault's database cannot be reached or cannot write; try again later."""


class Store:
    """One of the two databases.

    Args:
        url: SQLAlchemy URL; `sqlite:///FILE` or `postgresql+psycopg://...`.
        tables: what it holds.
        lock: number of its advisory lock on PostgreSQL; on SQLite a transaction itself keeps other writers waiting.
        read_only: open a reader that can never block a writer and makes no file.
        connect_seconds: how long to wait for a server that does not answer.
    """

    def __init__(
        self, url: str, tables: MetaData, lock: int, *, read_only: bool = False, connect_seconds: float = BUSY_SECONDS
    ) -> None:
        self.engine = open_engine(url, read_only=read_only, connect_seconds=connect_seconds)
        self.tables = tables
        self.read_only = read_only
        self._lock = lock
        self._sqlite = self.engine.dialect.name == "sqlite"
        if self._sqlite and not read_only:

            @event.listens_for(self.engine, "connect")
            def _on_connect(connection: Any, _record: object) -> None:
                connection.execute("PRAGMA secure_delete=ON")  # what is erased is overwritten, not only forgotten

    @contextmanager
    def begin(self, *, alone: bool = False) -> Iterator[Connection]:
        """Begin a transaction, and give the database's errors our name.

        Args:
            alone: with nobody else between begin and commit; otherwise keepers of originals may be at it together.

        Raises:
            VaultUnavailableError: the database does not answer or cannot write.
        """
        try:
            with self.engine.begin() as connection:
                if not self._sqlite and not self.read_only:
                    shared = "" if alone else "_shared"
                    connection.execute(text(f"SELECT pg_advisory_xact_lock{shared}(:lock)"), {"lock": self._lock})
                yield connection
        except DBAPIError as error:
            if is_unavailable(error):
                raise VaultUnavailableError(str(error.orig)) from error
            raise

    def laid(self, connection: Connection) -> bool:
        """Tell whether its tables are there."""
        return inspect(connection).has_table(next(iter(self.tables.tables)))

    def insert_new(self, connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> int:
        """Insert whole rows, tuples in the order of the table's columns; leave alone what is there.

        Returns:
            How many were new. Prepared by hand: SQLAlchemy takes as long for each row as SQLite itself.
        """
        if not rows:
            return 0
        names = ", ".join(f'"{column.name}"' for column in table.columns)
        marks = ", ".join(["?" if self._sqlite else "%s"] * len(table.columns))
        statement = f"INSERT INTO {table.name} ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING"  # noqa: S608
        return connection.exec_driver_sql(statement, list(rows)).rowcount

    def among(self, column: Column[Any], values: Iterable[str]) -> ColumnElement[bool]:
        """Return the condition that a column has one of many values: one parameter, however many they are."""
        if self._sqlite:
            return column.in_(select(func.json_each(json.dumps(list(values))).table_valued("value").c.value))
        return column == any_(cast(list(values), ARRAY(String)))

    def scrub(self, *tables: Table) -> None:
        """Leave no copy of what was erased in the database's own files, as far as the database can.

        SQLite: the log is copied into the file and cut. PostgreSQL: dead rows are taken out of these tables; its
        write-ahead log and its backups keep them until they are recycled.
        """
        try:
            if self._sqlite:
                connection = self.engine.raw_connection()
                try:
                    connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
                finally:
                    connection.close()
                return
            with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as free:
                for table in tables:
                    free.execute(text(f"VACUUM {table.name}"))
        except DBAPIError as error:
            if is_unavailable(error):
                raise VaultUnavailableError(str(error.orig)) from error
            raise

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()
