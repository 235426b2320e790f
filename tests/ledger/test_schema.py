"""A ledger is brought to its schema from inside the program, on both databases alike."""

import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect, text

from sinks.database import open_engine
from sinks.ledger import Ledger
from sinks.schema import _ADVISORY_LOCK, SchemaError, check_schema, migrate, newest, schema_version
from sinks.tables import METADATA
from tests.databases import Database

TABLES = {"alembic_version", "case", "clock", "event", "input", "judgement", "outbox", "part", "progress"}


@pytest.fixture
def engine(empty_database: Database) -> Iterator[Engine]:
    engine = open_engine(empty_database.url)
    yield engine
    engine.dispose()


def tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names())


def test_an_empty_database_becomes_a_ledger_of_the_newest_schema(engine: Engine) -> None:
    assert schema_version(engine) is None
    assert migrate(engine) == newest() == schema_version(engine)
    assert tables(engine) == TABLES
    check_schema(engine)


def test_migrating_again_changes_nothing(engine: Engine, empty_database: Database) -> None:
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO progress VALUES ('demands', 0, 'id', 7)"))
    assert migrate(empty_database.url) == newest()
    with engine.begin() as connection:
        assert connection.execute(text("SELECT next_offset FROM progress")).scalar_one() == 7


def test_the_migrations_make_what_the_tables_say(engine: Engine) -> None:
    migrate(engine)
    with engine.begin() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []


def test_a_forgotten_column_is_noticed(engine: Engine) -> None:
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text('ALTER TABLE "case" DROP COLUMN street'))
        differences = compare_metadata(MigrationContext.configure(connection), METADATA)
    assert [(each[0], each[3].name) for each in differences] == [("add_column", "street")]


def test_a_ledger_goes_back_and_forward_again(engine: Engine) -> None:
    migrate(engine)
    assert migrate(engine, revision="base") == "base"
    assert schema_version(engine) is None
    assert tables(engine) == {"alembic_version"}
    assert migrate(engine) == newest()
    assert tables(engine) == TABLES


def test_what_waited_in_the_outbox_before_it_could_be_refused_waits_on(engine: Engine) -> None:
    migrate(engine, revision="0001")
    with engine.begin() as connection:
        names = "message_id, source_topic, source_partition, seq, topic, headers"
        connection.execute(text(f"INSERT INTO outbox ({names}) VALUES ('m', 'demands', 0, 1, 'work.U', '[]')"))
    migrate(engine)
    assert [each.message_id for each in Ledger(engine).outbox()] == ["m"]


def test_a_failed_migration_leaves_nothing_behind(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE progress (note VARCHAR)"))  # in the way of the last step
    with pytest.raises(Exception, match="progress"):
        migrate(engine)
    assert tables(engine) == {"progress"}
    assert schema_version(engine) is None


def test_an_empty_database_is_no_ledger_to_work_with(engine: Engine) -> None:
    with pytest.raises(SchemaError, match="The ledger is empty"):
        check_schema(engine)


def test_a_ledger_of_a_newer_release_is_left_alone(engine: Engine) -> None:
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for attempt in (check_schema, migrate):
        with pytest.raises(SchemaError, match=r"schema 9999, which this release .* does not know"):
            attempt(engine)
    assert schema_version(engine) == "9999"


def test_a_ledger_of_an_older_release_is_named_before_it_is_used(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(engine)
    found = newest()
    monkeypatch.setattr("sinks.schema.newest", lambda: "0999")
    with pytest.raises(SchemaError, match=f"has schema {found} and this release needs 0999"):
        check_schema(engine)


def test_threads_that_start_at_once_lay_one_ledger(empty_database: Database) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(migrate, [empty_database.url] * 4)) == {newest()}


def test_processes_that_start_at_once_lay_one_ledger(empty_database: Database, engine: Engine) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(2) as pool:
        assert set(pool.map(migrate, [empty_database.url] * 2)) == {newest()}
    assert tables(engine) == TABLES


@pytest.mark.parametrize("empty_database", ["postgresql"], indirect=True)
def test_a_second_migration_waits_for_the_first(empty_database: Database, engine: Engine) -> None:
    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    with ThreadPoolExecutor(1) as pool:
        with engine.connect() as first:
            first.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})
            second = pool.submit(migrate, empty_database.url)
            deadline = time.monotonic() + 20
            while not first.execute(waiting).scalar_one():
                assert time.monotonic() < deadline, "nobody waits"
                assert not second.done()
            assert tables(engine) == set()
        assert second.result(20) == newest()
