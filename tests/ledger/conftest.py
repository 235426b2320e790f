"""The ledger lane: one suite of behaviour on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from sinks.database import sqlite_url
from sinks.ledger import Ledger, open_engine
from sinks.vault import Vault
from tests.databases import Database, database, empty_database, laid_postgresql, laid_sqlite, postgresql
from tests.house import House

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


@pytest.fixture
def house(empty_database: Database, tmp_path: Path) -> Iterator[House]:
    """On PostgreSQL the keys are in a schema of their own."""
    keys_url = sqlite_url(tmp_path / "keys.db")
    if empty_database.kind == "postgresql":
        engine = open_engine(empty_database.url)
        with engine.begin() as connection:
            connection.execute(text("CREATE SCHEMA keys"))
        engine.dispose()
        keys_url = f"{empty_database.url}{'&' if '?' in empty_database.url else '?'}options=-csearch_path%3Dkeys"
    house = House(empty_database.url, keys_url, tmp_path / "vault.key")
    yield house
    house.close()


@pytest.fixture
def vault(house: House) -> Vault:
    return house.open()
