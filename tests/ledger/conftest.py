"""The ledger lane: one suite of behaviour on SQLite and on PostgreSQL."""

from tests.databases import database, empty_database, laid_postgresql, laid_sqlite, postgresql

__all__ = ["database", "empty_database", "laid_postgresql", "laid_sqlite", "postgresql"]
