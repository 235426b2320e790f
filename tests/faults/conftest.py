"""The faults lane has the PostgreSQL of the ledger lane."""

from tests.databases import postgresql

__all__ = ["postgresql"]
