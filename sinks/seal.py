"""Sealing bytes so that only who holds the key can read them, and nobody can change or move them.

AES-256-GCM (NIST SP 800-38D). A sealed value is one version byte, a nonce of 12 random bytes and
the ciphertext with its tag. Random nonces are safe for 2^32 values under one key (section 8.3
there): at 100,000 demands a day for more than a century.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_NONCE_BYTES = 12
_VERSION = b"\x01"
_TAG_BYTES = 16


class SealError(Exception):
    """A sealed value cannot be read, or the key is not fit for use."""


class Seal:
    """Seals and unseals with one key.

    Args:
        key: 32 random bytes, as of `load_or_make_key`.

    Raises:
        SealError: the key has another length.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise SealError(f"A key of the vault has {KEY_BYTES} bytes, this one has {len(key)}.")
        self._cipher = AESGCM(key)
        self.fingerprint = hashlib.sha256(b"yiwang vault key" + key).hexdigest()[:16]
        """Names the key without giving it away."""

    def seal(self, plain: bytes, *, context: bytes) -> bytes:
        """Encrypt bytes for one place.

        Args:
            plain: what to hide.
            context: where it belongs; the same must be said to read it, so that it cannot be moved elsewhere.
        """
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, plain, _VERSION + context)

    def unseal(self, sealed: bytes, *, context: bytes) -> bytes:
        """Return the bytes that were sealed in this context.

        Raises:
            SealError: they were changed, belong elsewhere, or were sealed with another key.
        """
        if sealed[:1] != _VERSION or len(sealed) < 1 + _NONCE_BYTES + _TAG_BYTES:
            raise SealError("This is not a sealed value of a form this release knows.")
        nonce, hidden = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, hidden, _VERSION + context)
        except InvalidTag:
            raise SealError("A sealed value was changed, moved, or sealed with another key.") from None


def load_or_make_key(path: Path) -> bytes:
    """Return the key in a file, which is made on first use with mode 0600 and never overwritten.

    Any number of processes may call this at once: all get the same key.

    Args:
        path: the key file: 64 hexadecimal digits and a newline.

    Raises:
        SealError: the file can be read by others than its owner, or holds no key.
        OSError: it cannot be read or made.
    """
    if not path.exists():
        _make_key(path)
    descriptor = os.open(path, os.O_RDONLY)
    with os.fdopen(descriptor, encoding="ascii", errors="replace") as file:
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        if mode & 0o077:
            raise SealError(f"{path} can be read by others (mode {mode:04o}); run `chmod 600 {path}`.")
        text = file.read().strip()
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise SealError(f"{path} holds no key of {KEY_BYTES * 2} hexadecimal digits; bring it back from a backup.")
    return key


def _make_key(path: Path) -> None:
    """Write a new key whole and durable under another name, then give it its name unless somebody was first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(KEY_BYTES) + "\n")
            file.flush()
            os.fsync(descriptor)
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
