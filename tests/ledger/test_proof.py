"""The audit asks the same of SQLite and of PostgreSQL."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text

from sinks.audit import PartitionLog, audit
from sinks.database import open_engine
from tests.databases import Database
from tests.filled_ledger import NINE, FilledLedger, case_id, dispatched, registered


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    engine = open_engine(database.url)
    ledger = FilledLedger(engine)
    for number in range(4):
        ledger.case(number, registered(), dispatched("U-ROADS", NINE))
    yield engine
    engine.dispose()


@pytest.fixture
def reader(database: Database, engine: Engine) -> Iterator[Engine]:
    assert engine
    reader = open_engine(database.url, read_only=True)
    yield reader
    reader.dispose()


LOG = PartitionLog("app", "intake.app", 0, 0, 4, {number: case_id(number) for number in range(4)})


def test_a_whole_ledger_is_proven_by_a_reader(reader: Engine) -> None:
    report = audit(reader, [LOG])
    assert report.ok
    assert (report.cases, report.events, report.outbox) == (4, 8, 0)


def test_what_is_wrong_is_named_on_either_database(engine: Engine, reader: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM input WHERE origin_offset = 1"))
        connection.execute(text("UPDATE input SET origin_offset = 9 WHERE origin_offset = 3"))
        connection.execute(text("DELETE FROM event WHERE case_id = :case AND seq = 1"), {"case": case_id(2)})
    report = audit(reader, [LOG])
    assert report.document()["channels"][0]["missing"] == [1, 3]
    assert [(each.offset, each.reason) for each in report.forged] == [(9, "beyond_end")]
    assert {case for case, _reason in report.broken} == {case_id(2), case_id(1)}


def test_the_moment_is_fixed_before_kafka_is_asked(engine: Engine, reader: Engine) -> None:
    def asked_late() -> Iterator[PartitionLog]:
        with engine.begin() as connection:
            connection.execute(text("DELETE FROM input WHERE origin_offset = 1"))
        yield LOG

    assert audit(reader, asked_late()).ok
    assert audit(reader, [LOG]).unaccounted == 1
