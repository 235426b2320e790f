"""Ledger and vault of an installation, for commands that read them; neither needs anything that runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine

from sinks.database import open_engine
from sinks.schema import check_schema
from sinks.vault import Vault, load_or_make_key
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
    """Open the vault with the installation's key.

    Raises:
        Stop: there is none, or its key is gone.
    """
    file = installation.settings.data / "vault.key"
    _require_file(installation.vault_url, installation.settings.data)
    if not file.exists():
        raise Stop(UNREACHABLE, f"there is no key {file}; bring it back from a backup, or name the right --data")
    vault = Vault(installation.vault_url, load_or_make_key(file))
    try:
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
