"""The ledger lane: one suite of behaviour on SQLite and on PostgreSQL."""

from collections.abc import Iterator

import pytest

from sinks.ledger import Ledger, open_engine
from tests.databases import Database, database, empty_database, laid_postgresql, laid_sqlite, postgresql

__all__ = ["database", "empty_database", "laid_postgresql", "laid_sqlite", "postgresql"]


@pytest.fixture
def ledger(database: Database) -> Iterator[Ledger]:
    ledger = Ledger(open_engine(database.url))
    yield ledger
    ledger.close()


@pytest.fixture
def other(database: Database) -> Iterator[Ledger]:
    """A second worker on the same ledger."""
    ledger = Ledger(open_engine(database.url))
    yield ledger
    ledger.close()
