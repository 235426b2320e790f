"""The keys with which units sign their replies: one folder, one file a unit, owner only.

A unit has one current key and may have older ones that still hold until they are revoked,
so that a rotation interrupts nobody.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from streams.clock import monotonic, now
from streams.envelope import rfc3339

KEY_BYTES = 32
FRESH_SECONDS = 0.2
"""How long the verifier trusts what it has read of a unit's file: a revoked key dies within this."""

_PRIVATE = 0o600
_FOLDER = 0o700

_log = logging.getLogger(__name__)


class SigningKeyError(Exception):
    """A key that is not there or not to be trusted; the text says what to do."""


@dataclass(frozen=True, slots=True)
class UnitKey:
    """A signing key of a unit."""

    unit: str
    key_id: str
    """`<unit>.<number>`; travels with every reply."""
    secret: bytes
    issued_at: str


def issue(folder: Path, unit: str) -> UnitKey:
    """Make a unit's first key.

    Raises:
        SigningKeyError: it has one.
    """
    if keys_of(folder, unit):
        raise SigningKeyError(f"{unit} has a key already; rotate it with: yiwang unit key rotate {unit}")
    return _add(folder, unit, [])


def rotate(folder: Path, unit: str) -> UnitKey:
    """Make a new current key; older ones hold until `revoke`."""
    return _add(folder, unit, keys_of(folder, unit))


def revoke(folder: Path, unit: str) -> int:
    """Remove every key but the current one; with one key only, remove that. Returns how many went."""
    keys = keys_of(folder, unit)
    kept = keys[-1:] if len(keys) > 1 else []
    _write(folder, unit, kept)
    return len(keys) - len(kept)


def ensure(folder: Path, units: list[str]) -> None:
    """Give every unit that has none its first key."""
    for unit in units:
        if not _file(folder, unit).exists():
            issue(folder, unit)


def current(folder: Path, unit: str) -> UnitKey:
    """Return the key a unit signs with.

    Raises:
        SigningKeyError: there is none.
    """
    keys = keys_of(folder, unit)
    if not keys:
        raise SigningKeyError(f"{unit} has no signing key in {folder}; make one with: yiwang unit key issue {unit}")
    return keys[-1]


def keys_of(folder: Path, unit: str) -> list[UnitKey]:
    """Return a unit's keys, oldest first.

    Raises:
        SigningKeyError: others can read the file, or it is damaged.
    """
    file = _file(folder, unit)
    if not file.exists():
        return []
    try:
        stored = json.loads(read_private(file))
        return [UnitKey(unit, each["key_id"], bytes.fromhex(each["secret"]), each["issued_at"]) for each in stored]
    except (ValueError, TypeError, KeyError) as error:
        raise SigningKeyError(
            f"{file} is damaged: put a copy back, or remove it and run: yiwang unit key issue {unit}"
        ) from error


_Stamp = tuple[int, int]
_Keys = tuple[_Stamp, Mapping[str, UnitKey]]
"""What changes with every change of a file or of its permissions (inode, ns), and the keys in it by id."""


class KeyRing:
    """All units' keys, for the verifier; a key issued while it runs is found without a restart."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: dict[str, tuple[float, _Keys]] = {}

    def get(self, key_id: str) -> UnitKey | None:
        """Return the key of this id, None when unknown or revoked."""
        unit, dot, _number = key_id.rpartition(".")
        if not dot or not unit.replace("-", "").isalnum():
            return None
        seen = self._seen.get(unit)
        if seen is None or monotonic() - seen[0] > FRESH_SECONDS:
            found = self._look(unit, seen)
            if found is None:  # not remembered: whoever invents units must not fill the memory
                self._seen.pop(unit, None)
                return None
            seen = (monotonic(), found)
            self._seen[unit] = seen
        return seen[1][1].get(key_id)

    def _look(self, unit: str, seen: tuple[float, _Keys] | None) -> _Keys | None:
        """Read a unit's file again if it has changed; None when there is none.

        A file that cannot be trusted holds no key: its unit's replies are refused, and no other unit waits for that.
        """
        try:
            there = _file(self._folder, unit).stat()
        except OSError:
            return None
        stamp = (there.st_ino, there.st_ctime_ns)
        if seen is not None and seen[1][0] == stamp:
            return seen[1]
        try:
            return stamp, {key.key_id: key for key in keys_of(self._folder, unit)}
        except (SigningKeyError, OSError) as error:
            _log.error("the replies of %s are refused: %s", unit, error)
            return stamp, {}


def _file(folder: Path, unit: str) -> Path:
    return folder / f"{unit}.json"


def _add(folder: Path, unit: str, keys: list[UnitKey]) -> UnitKey:
    number = int(keys[-1].key_id.rpartition(".")[2]) + 1 if keys else 1
    key = UnitKey(unit, f"{unit}.{number}", secrets.token_bytes(KEY_BYTES), rfc3339(now()))
    _write(folder, unit, [*keys, key])
    return key


def _write(folder: Path, unit: str, keys: list[UnitKey]) -> None:
    """Replace a unit's file."""
    text = json.dumps([{"key_id": k.key_id, "secret": k.secret.hex(), "issued_at": k.issued_at} for k in keys])
    write_private(_file(folder, unit), text)


def read_private(file: Path) -> str:
    """Return what a file says that nobody else can read.

    Raises:
        SigningKeyError: others can.
    """
    if file.stat().st_mode & 0o077:
        raise SigningKeyError(f"{file} can be read by others; run: chmod 600 {file}")
    return file.read_text()


def write_private(file: Path, text: str) -> None:
    """Replace a file in one step, never readable by others."""
    file.parent.mkdir(mode=_FOLDER, parents=True, exist_ok=True)
    fresh = file.with_suffix(f".{secrets.token_hex(4)}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(file)
