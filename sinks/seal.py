"""Sealing bytes so that only who holds the key can read them, and nobody can change or move them.

AES-256-GCM (NIST SP 800-38D). A sealed value is one version byte, a nonce of 12 random bytes and
the ciphertext with its tag. Random nonces are safe for 2^32 values under one key (section 8.3
there): a case's key seals a handful of them, the master key one for each case.
"""

from __future__ import annotations

import hashlib
import os
from functools import cached_property

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
        key: 32 random bytes.

    Raises:
        SealError: the key has another length.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise SealError(f"A key of the vault has {KEY_BYTES} bytes, this one has {len(key)}.")
        self._key = key
        self._cipher = AESGCM(key)

    @cached_property
    def fingerprint(self) -> str:
        """Return what names the key without giving it away."""
        return hashlib.sha256(b"yiwang vault key" + self._key).hexdigest()[:16]

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
