"""Ledger and vault of an installation, for commands that read them; neither needs anything that runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine

from sinks.database import open_engine
from sinks.master_key import MasterKey
from sinks.schema import check_schema
from sinks.vault import Vault
from streams.cli.common import Installation
from streams.cli.errors import UNREACHABLE, Stop

_SQLITE = "sqlite:///"


@contextmanager
def opened_ledger(installation: Installation) -> Iterator[Engine]:
    """Open the ledger for reading.

    Raises:
        Stop: there is none.
    """
    _require_file(installation.ledger_url, installation.settings.data)
    engine = open_engine(installation.ledger_url, read_only=True)
    try:
        check_schema(engine)
        yield engine
    finally:
        engine.dispose()


@contextmanager
def opened_vault(installation: Installation) -> Iterator[Vault]:
    """Open the vault with the installation's keys.

    Raises:
        Stop: there is none.
        SealError: a key is missing or is the wrong one.
    """
    _require_file(installation.vault_url, installation.settings.data)
    vault = Vault(installation.vault_url, installation.vault_keys_url, MasterKey(installation.master_key_file))
    try:
        vault.open()
        yield vault
    finally:
        vault.close()


def _require_file(url: str, data: Path) -> None:
    """Make sure that a SQLite file is there: opening it would make an empty one.

    Raises:
        Stop: it is not.
    """
    if url.startswith(_SQLITE) and not Path(url.removeprefix(_SQLITE)).exists():
        raise Stop(UNREACHABLE, f"there is no installation in {data}; make one with: yiwang up --data {data}")
