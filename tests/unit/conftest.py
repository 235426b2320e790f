"""The unit lane's fixtures, and how it spares the cyclic collector what lives as long as the lane.

What they need is imported when they are asked for: the process that hands out the tests reads this file too, and starts
no worker before it has.
"""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.office import Office

gc.set_threshold(500_000, 20, 20)  # importing makes much and frees nothing, and a test leaves little behind


def pytest_collection_finish(session: pytest.Session) -> None:
    """Leave alone what has been imported and collected."""
    _ = session
    gc.freeze()


@pytest.fixture(scope="session")
def laid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty ledger, laid out once, to be copied."""
    from sinks.database import sqlite_url
    from sinks.schema import migrate

    path = tmp_path_factory.mktemp("laid") / "ledger.db"
    migrate(sqlite_url(path))
    return path


@pytest.fixture
def ledger_file(tmp_path: Path, laid: Path) -> Path:
    """The file of an empty ledger of the test's own."""
    return Path(shutil.copyfile(laid, tmp_path / "ledger.db"))


@pytest.fixture
def office(tmp_path: Path, laid: Path) -> Iterator[Office]:
    """An office with a ledger of its own."""
    from tests.office import Office

    office = Office(tmp_path, laid)
    yield office
    office.close()


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """The folder of a small city, to be changed."""
    from tests.tiny_city import build_tiny_city

    return build_tiny_city(tmp_path / "shuanghe")


@pytest.fixture
def bare_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, and no settings from outside."""
    for name in [name for name in os.environ if name.startswith("YIWANG_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The city of the command line's tests is read from its files once."""
    from tests.cities import qinglan

    for name in ("unit", "topics", "classify", "vault"):
        monkeypatch.setattr(f"streams.cli.{name}.load_city", lambda _folder: qinglan())
