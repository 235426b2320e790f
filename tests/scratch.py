"""A pytest plugin: where tests write, which is memory where the machine has room there.

Kafka and SQLite wait for the disk at every commit and PostgreSQL at every new database, and lanes side by side wait for
each other. A killed process leaves in memory the very files it would leave on a disk, so nothing is proven less; the
test of a power cut has a file system of its own. `PYTEST_DEBUG_TEMPROOT` names any other place.
"""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

CHOICE = "PYTEST_DEBUG_TEMPROOT"
MEMORY = Path("/dev/shm")
ROOM = 4 * 2**30
"""Bytes that must be free: all lanes together write a quarter of that, and the last three runs are kept."""


def pytest_configure(config: pytest.Config) -> None:
    """Choose the place before any test asks for a folder."""
    _ = config
    os.environ.setdefault(CHOICE, str(place()))


def place() -> Path:
    """Return memory that is large enough and whose files may be executed, else the machine's temporary folder.

    Kafka unpacks native libraries where it keeps its data.
    """
    try:
        fit = shutil.disk_usage(MEMORY).free >= ROOM and not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC
    except OSError:
        fit = False
    return MEMORY if fit and os.access(MEMORY, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())


def folder(prefix: str) -> Path:
    """Make a folder there, outside those that pytest keeps."""
    return Path(tempfile.mkdtemp(prefix=prefix, dir=os.environ[CHOICE]))
