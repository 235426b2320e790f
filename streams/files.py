"""Files that are there whole or not at all."""

from __future__ import annotations

import secrets
from pathlib import Path


def write_whole(file: Path, content: bytes) -> None:
    """Replace a file in one step; its folder is made where it is missing.

    What others may not read is written by `streams.keys.write_private`.

    Args:
        file: to write; a reader sees what was there before or all of what is new, and two writers do not mix.
        content: all of it.

    Raises:
        OSError: it cannot be written; what was there stays.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        fresh.write_bytes(content)
        fresh.replace(file)
    finally:
        fresh.unlink(missing_ok=True)
