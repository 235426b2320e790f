"""Databases as the sinks want them: how to open one, and what its errors mean."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from tenacity import retry, retry_if_exception_message, stop_after_delay, wait_random

BUSY_SECONDS = 10.0
"""How long a statement waits for another writer before the database counts as unavailable."""

_CACHE_KIB = 64 * 1024
"""Pages a writer holds in memory: the default of 2 MB sends a large batch's indexes to the disk and back."""

_CHECKPOINT_PAGES = 4000
"""Pages (of 4 KiB) in the log before they are copied into the file: a few batches, not each one."""


class UnavailableError(Exception):
    """A database cannot be reached or cannot write; try again later."""


class ConflictError(Exception):
    """Somebody else wrote first: roll back, load again, decide again."""


class LedgerUnavailableError(UnavailableError):
    """The ledger's database cannot be reached or cannot write; try again later."""


def open_engine(url: str, *, read_only: bool = False, connect_seconds: float = BUSY_SECONDS) -> Engine:
    """Open a database with the settings durability asks for.

    SQLite: WAL, `synchronous=FULL` (a receipt means on disk), `BEGIN IMMEDIATE` for writers
    (a deferred transaction that reads and then writes fails at once when another has written).

    Args:
        url: SQLAlchemy URL; `sqlite:///FILE` or `postgresql+psycopg://...`.
        read_only: open a reader that can never block the writer and makes no file.
        connect_seconds: how long to wait for a server that does not answer.
    """
    target = make_url(url)
    if target.get_backend_name() != "sqlite":
        return _open_postgresql(target, read_only=read_only, connect_seconds=connect_seconds)
    if read_only:
        query = {"mode": "ro", "uri": "true"}
        target = target.set(database=Path(target.database or "").resolve().as_uri()).update_query_dict(query)
    engine = create_engine(target, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # SQLAlchemy begins, not the driver
        cursor = connection.cursor()
        if read_only:
            cursor.execute("PRAGMA query_only=ON")
        else:
            _set_wal(cursor)
            cursor.execute("PRAGMA synchronous=FULL")
            cursor.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
            cursor.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


@retry(
    retry=retry_if_exception_message(match="database is locked"),
    stop=stop_after_delay(BUSY_SECONDS),
    wait=wait_random(0.005, 0.05),
    reraise=True,
)
def _set_wal(cursor: sqlite3.Cursor) -> None:
    """Switch to a write-ahead log; SQLite refuses at once, and does not wait, while another switches."""
    cursor.execute("PRAGMA journal_mode=WAL")


def _open_postgresql(target: URL, *, read_only: bool, connect_seconds: float) -> Engine:
    options = f"-c lock_timeout={int(BUSY_SECONDS * 1000)}"
    if read_only:
        options += " -c default_transaction_read_only=on"
    connect_args = {"connect_timeout": int(connect_seconds), "options": options}
    # A url may bring options of its own, such as a search_path.
    given = target.query.get("options")
    if given:
        connect_args["options"] = f"{given} {options}"
    return create_engine(target, pool_pre_ping=True, pool_size=2, max_overflow=4, connect_args=connect_args)


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """Begin a transaction, commit it in the end, and give the database's errors our names.

    Raises:
        ConflictError: somebody else wrote first.
        LedgerUnavailableError: the database does not answer or cannot write.
    """
    try:
        with engine.begin() as connection:
            yield connection
    except DBAPIError as error:
        if is_conflict(error):
            raise ConflictError(str(error.orig)) from error
        if is_unavailable(error):
            raise LedgerUnavailableError(str(error.orig)) from error
        raise


def sqlite_url(path: Path) -> str:
    """Return the URL of a database file."""
    return f"sqlite:///{path.resolve()}"


def is_conflict(error: DBAPIError) -> bool:
    """Tell whether somebody else wrote first: a key that is there already, or two writers in each other's way.

    Any other broken constraint is a mistake of ours: trying again would not help.
    """
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", 0) in _SQLITE_CONFLICT
    return getattr(cause, "sqlstate", None) in _POSTGRESQL_CONFLICT


def is_unavailable(error: DBAPIError) -> bool:
    """Tell a database that is away, locked or full from a statement that is wrong."""
    if error.connection_invalidated:
        return True
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        return (getattr(cause, "sqlite_errorcode", 0) & 0xFF) in _SQLITE_AWAY
    state = getattr(cause, "sqlstate", None)
    if state is None:  # libpq itself could not connect or lost the connection
        return isinstance(error, OperationalError | InterfaceError)
    return state[:2] in _POSTGRESQL_AWAY or state in _POSTGRESQL_AWAY_STATES


# https://www.sqlite.org/rescode.html, primary result codes
_SQLITE_AWAY = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)
_SQLITE_CONFLICT = frozenset(
    {sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_ROWID}
)
# https://www.postgresql.org/docs/current/errcodes-appendix.html: classes connection exception, insufficient resources
# (disk full, too many connections), operator intervention (shut down, starting up), system error (I/O)
_POSTGRESQL_AWAY = frozenset({"08", "53", "57", "58"})
# unique_violation, serialization_failure, deadlock_detected
_POSTGRESQL_CONFLICT = frozenset({"23505", "40001", "40P01"})
# a lock not granted in time; a server that has become a read-only standby
_POSTGRESQL_AWAY_STATES = frozenset({"55P03", "25006"})
