"""The vault's master key: a file that only its owner can read, which wraps the key of every case.

The file has one key a line, 64 hexadecimal digits each. The first is the newest; others stay while a rotation still
needs them. Which of them is in force, the key database says (`sinks.case_keys`), so that a file that was replaced a
moment too early or too late can do no harm.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Sequence
from pathlib import Path

from sinks.seal import KEY_BYTES, Seal, SealError


class MasterKey:
    """The keys of one file; read again whenever the file has changed.

    Args:
        path: the key file; made by `make`, never by reading.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int] | None = None
        self._seals: dict[str, Seal] = {}

    def seals(self) -> dict[str, Seal]:
        """Return the keys by fingerprint, the newest first.

        Raises:
            SealError: the file is not there, can be read by others, or holds no key.
        """
        try:
            there = self.path.stat()
        except OSError as error:
            raise SealError(
                f"there is no master key {self.path} ({error.strerror}); bring it back from a backup: "
                "without it nobody reads the vault"
            ) from None
        stamp = (there.st_ino, there.st_ctime_ns)
        if stamp != self._seen:
            self._seals = {seal.fingerprint: seal for seal in map(Seal, _read(self.path))}
            self._seen = stamp
        return self._seals

    def seal(self, fingerprint: str) -> Seal:
        """Return the key with this fingerprint.

        Raises:
            SealError: the file does not hold it.
        """
        found = self.seals().get(fingerprint)
        if found is None:
            raise SealError(
                f"{self.path} does not hold the vault's master key {fingerprint}: bring the key file back from a "
                "backup, or the new one after a rotation"
            )
        return found

    def make(self) -> str:
        """Make the file with its first key unless it is there; return the fingerprint of its newest key.

        Any number of processes may call this at once: all get the same key.
        """
        if not self.path.exists():
            _write(self.path, [secrets.token_hex(KEY_BYTES)], first=True)
        return next(iter(self.seals()))

    def add(self) -> str:
        """Put a new key before the others, and return its fingerprint; it is on disk before this returns."""
        self.seals()
        key = secrets.token_bytes(KEY_BYTES)
        _write(self.path, [key.hex(), *(each.hex() for each in _read(self.path))])
        return Seal(key).fingerprint

    def keep_only(self, fingerprint: str) -> None:
        """Drop every key but one.

        Raises:
            SealError: the file does not hold it.
        """
        self.seal(fingerprint)
        _write(self.path, [key.hex() for key in _read(self.path) if Seal(key).fingerprint == fingerprint])


def _read(path: Path) -> list[bytes]:
    """Return the keys of a file, the newest first.

    Raises:
        SealError: it can be read by others than its owner, or holds anything but keys.
        OSError: it cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY)
    with os.fdopen(descriptor, encoding="ascii", errors="replace") as file:
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        if mode & 0o077:
            raise SealError(f"{path} can be read by others (mode {mode:04o}); run `chmod 600 {path}`.")
        lines = file.read().split()
    try:
        keys = [bytes.fromhex(line) for line in lines]
    except ValueError:
        keys = []
    if not keys or any(len(key) != KEY_BYTES for key in keys):
        raise SealError(f"{path} holds no key of {KEY_BYTES * 2} hexadecimal digits; bring it back from a backup.")
    return keys


def _write(path: Path, keys: Sequence[str], *, first: bool = False) -> None:
    """Write the keys whole and durable under another name, then give the file its name in one step.

    Args:
        path: the key file.
        keys: as lines, the newest first.
        first: leave a file alone that somebody else has made meanwhile.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write("".join(f"{key}\n" for key in keys))
            file.flush()
            os.fsync(descriptor)
        if not first:
            draft.replace(path)
        else:
            try:
                os.link(draft, path)
            except FileExistsError:
                return
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
