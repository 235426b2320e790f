"""What breaks under the ledger is named, and leaves nothing half done."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from sinks.database import open_engine, sqlite_url
from sinks.ledger import Batch, Ledger, LedgerUnavailableError
from sinks.schema import migrate, schema_version
from tests.databases import Database, PostgreSQL
from tests.filled_ledger import case_id
from tests.ledger.stories import DEMANDS, Content, content, opening

WRITES_AND_WAITS = """
import sys
from sqlalchemy import event
from sinks.ledger import Ledger, open_engine
from tests.ledger.stories import opening

ledger = Ledger(open_engine(sys.argv[1]))

@event.listens_for(ledger.engine, "commit")
def wait(connection):
    print("all is written, nothing committed", flush=True)
    sys.stdin.read()

ledger.write(opening(2, 1, 1))
print("committed", flush=True)
"""


def test_a_worker_killed_before_the_commit_leaves_nothing_and_blocks_nobody(ledger: Ledger, database: Database) -> None:
    ledger.write(opening(1, 0))
    before = content(ledger.engine)
    command = [sys.executable, "-c", WRITES_AND_WAITS, database.url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout
        try:
            assert worker.stdout.readline() == "all is written, nothing committed\n"
        finally:
            worker.send_signal(signal.SIGKILL)
    assert content(ledger.engine) == before
    ledger.write(opening(3, 1, 1))
    assert set(ledger.load([case_id(2), case_id(3)], [], [], []).cases) == {case_id(3)}


def test_a_batch_that_breaks_in_its_last_statement_leaves_nothing(ledger: Ledger) -> None:
    ledger.write(opening(1, 0))
    before = content(ledger.engine)

    @event.listens_for(ledger.engine, "before_cursor_execute")
    def breaks(*given: Any) -> None:
        if given[2].startswith("INSERT INTO outbox"):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ledger.write(opening(2, 1, 1))
    event.remove(ledger.engine, "before_cursor_execute", breaks)
    assert content(ledger.engine) == before
    ledger.write(opening(2, 1, 1))


def test_a_database_that_is_away_is_named_so_and_works_again_when_it_is_back(
    ledger: Ledger, database: Database
) -> None:
    ledger.write(opening(1, 0))
    before = content(ledger.engine)
    if database.kind == "sqlite":
        ledger.close()  # a file that is open stays usable when its name is gone
    with database.away():
        for attempt in (
            lambda: ledger.load([], [], [], [DEMANDS]),
            lambda: ledger.write(opening(2, 1, 1)),
            ledger.outbox,
            ledger.progress,
            lambda: ledger.forget_published(["m"]),
            lambda: schema_version(ledger.engine),
            lambda: migrate(database.url),
        ):
            with pytest.raises(LedgerUnavailableError):
                attempt()
    assert content(ledger.engine) == before
    ledger.write(opening(2, 1, 1))


def test_a_reader_cannot_write(ledger: Ledger, database: Database) -> None:
    ledger.write(opening(1, 0))
    before = content(ledger.engine)
    reader = Ledger(open_engine(database.url, read_only=True))
    with pytest.raises(LedgerUnavailableError):
        reader.write(opening(2, 1, 1))
    assert reader.load([case_id(1)], [], [], []).cases == ledger.load([case_id(1)], [], [], []).cases
    reader.close()
    assert content(ledger.engine) == before


def test_a_writer_that_holds_on_for_too_long_makes_others_wait_and_then_say_so(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sinks.database.BUSY_SECONDS", 0.2)
    ledger = Ledger(open_engine(database.url))
    ledger.write(opening(1, 0))
    holder = open_engine(database.url)
    with holder.begin() as connection:
        connection.execute(text("UPDATE progress SET next_offset = 1"))
        with pytest.raises(LedgerUnavailableError):
            ledger.write(opening(2, 1, 1))
    ledger.write(opening(2, 1, 1))
    holder.dispose()
    ledger.close()


# ---- what only one of them can suffer ------------------------------------------------------------------


@pytest.fixture
def small_disk(database: Database) -> Iterator[tuple[Ledger, int]]:
    """A ledger file that may not grow by more than a few pages."""
    engine = open_engine(database.url)
    with engine.begin() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()

    @event.listens_for(engine, "connect")
    def limit(connection: Any, _record: object) -> None:
        connection.execute(f"PRAGMA max_page_count={pages + 2}")

    engine.dispose()
    ledger = Ledger(engine)
    yield ledger, pages + 2
    ledger.close()


def large_batch() -> Batch:
    batch = opening(1, 0)
    for number in range(2, 200):
        further = opening(number, number)
        batch.inputs += further.inputs
        batch.events += further.events
        batch.cases |= further.cases
        batch.outputs += further.outputs
    return batch


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_full_disk_is_named_so_and_the_batch_goes_through_when_there_is_room(
    small_disk: tuple[Ledger, int], ledger: Ledger
) -> None:
    full, _pages = small_disk
    before: Content = content(ledger.engine)
    with pytest.raises(LedgerUnavailableError, match="full"):
        full.write(large_batch())
    assert content(ledger.engine) == before
    ledger.write(large_batch())
    assert content(ledger.engine).count()["case"] == 199


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_commit_is_on_the_disk(ledger: Ledger) -> None:
    with ledger.engine.begin() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar_one() == 2  # FULL


def test_a_reader_makes_no_file_where_there_is_none(tmp_path: Path) -> None:
    reader = Ledger(open_engine(sqlite_url(tmp_path / "nowhere.db"), read_only=True))
    with pytest.raises(LedgerUnavailableError):
        reader.progress()
    reader.close()
    assert not (tmp_path / "nowhere.db").exists()


@contextmanager
def cut_before_commit(server: PostgreSQL, ledger: Ledger) -> Iterator[None]:
    """The server drops our connection when everything is written."""

    def cut(connection: Any) -> None:
        server.run(f"SELECT pg_terminate_backend({connection.connection.dbapi_connection.info.backend_pid}, 5000)")

    event.listen(ledger.engine, "commit", cut)
    yield
    event.remove(ledger.engine, "commit", cut)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_connection_lost_at_the_commit_leaves_nothing(ledger: Ledger, postgresql: PostgreSQL) -> None:
    ledger.write(opening(1, 0))
    before = content(ledger.engine)
    with cut_before_commit(postgresql, ledger), pytest.raises(LedgerUnavailableError):
        ledger.write(opening(2, 1, 1))
    assert content(ledger.engine) == before
    ledger.write(opening(2, 1, 1))
