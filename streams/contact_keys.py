"""The key pairs to which citizens' contacts are sealed: the public half for the pipeline, the private for the unit.

Beside a unit's signing key (`streams.keys`), in files of its own: `UNIT.public.json`, and
`UNIT.private.json`, which only the unit needs. Older private keys stay until they are revoked, so
that what is on its way when a key is changed can still be read.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from routers.demand import Contact
from streams.clock import now
from streams.envelope import rfc3339
from streams.keys import SigningKeyError, read_private, write_private
from streams.messages import SealedContact

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
"""RFC 9180, base mode."""


class ContactKeyError(SigningKeyError):
    """A key pair that is not there or not to be trusted; the text says what to do."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The public half of a unit's newest pair."""

    key_id: str
    """`<unit>.<number>`."""
    key: X25519PublicKey


def ensure(folder: Path, units: list[str]) -> None:
    """Give every unit that has none its first pair."""
    for unit in units:
        if not _public_file(folder, unit).exists():
            rotate(folder, unit)


def rotate(folder: Path, unit: str) -> str:
    """Make a new pair, the first one too; older private keys hold until `revoke`. Returns its key id."""
    known = _privates(folder, unit)
    number = int(known[-1]["key_id"].rpartition(".")[2]) + 1 if known else 1
    made = X25519PrivateKey.generate()
    key_id, issued_at = f"{unit}.{number}", rfc3339(now())
    secret = {"key_id": key_id, "private": made.private_bytes_raw().hex(), "issued_at": issued_at}
    write_private(_private_file(folder, unit), json.dumps([*known, secret]))  # first: nothing is sealed to it yet
    public = {"key_id": key_id, "public": made.public_key().public_bytes_raw().hex(), "issued_at": issued_at}
    write_private(_public_file(folder, unit), json.dumps(public))
    return key_id


def revoke(folder: Path, unit: str) -> int:
    """Remove every private key but the newest. Returns how many went."""
    known = _privates(folder, unit)
    write_private(_private_file(folder, unit), json.dumps(known[-1:]))
    return max(0, len(known) - 1)


def public_key(folder: Path, unit: str) -> PublicKey:
    """Return the key to which a unit's contacts are sealed now.

    Raises:
        ContactKeyError: there is none, or it is damaged.
    """
    file = _public_file(folder, unit)
    try:
        stored = json.loads(file.read_text())
        return PublicKey(stored["key_id"], X25519PublicKey.from_public_bytes(bytes.fromhex(stored["public"])))
    except OSError:
        raise ContactKeyError(
            f"{unit} has no public key {file}; make a pair with: yiwang unit key rotate {unit}"
        ) from None
    except (ValueError, TypeError, KeyError) as error:
        raise ContactKeyError(f"{file} is damaged: put a copy back, or run: yiwang unit key rotate {unit}") from error


def seal(contact: bytes, to: PublicKey, info: bytes) -> SealedContact:
    """Seal a contact so that only the unit can read it, as the answer to one reply.

    Args:
        contact: a `Contact` in JSON.
        to: the unit's key.
        info: as of `streams.messages.contact_info`.
    """
    sealed = _SUITE.encrypt(contact, to.key, info)
    return SealedContact(key_id=to.key_id, sealed=base64.b64encode(sealed).decode())


def unseal(sealed: SealedContact, folder: Path, unit: str, info: bytes) -> Contact:
    """Return a contact that was sealed for a unit.

    Args:
        sealed: as it came.
        folder: with the unit's private key.
        unit: whose it is.
        info: as given to `seal`.

    Raises:
        ContactKeyError: the private key is not there, or does not fit.
    """
    for each in _privates(folder, unit):
        if each["key_id"] == sealed.key_id:
            key = X25519PrivateKey.from_private_bytes(bytes.fromhex(each["private"]))
            try:
                return Contact.model_validate_json(_SUITE.decrypt(base64.b64decode(sealed.sealed), key, info))
            except (InvalidTag, ValueError, binascii.Error):
                raise ContactKeyError(f"the contact was changed on its way, or is not for {unit}") from None
    file = _private_file(folder, unit)
    raise ContactKeyError(f"{file} has no private key {sealed.key_id}; bring it from where the unit's keys are made")


def _privates(folder: Path, unit: str) -> list[dict[str, str]]:
    """Return a unit's private keys, oldest first.

    Raises:
        ContactKeyError: others can read the file, or it is damaged.
    """
    file = _private_file(folder, unit)
    if not file.exists():
        return []
    try:
        stored = json.loads(read_private(file))
        return [{name: str(each[name]) for name in ("key_id", "private", "issued_at")} for each in stored]
    except (ValueError, TypeError, KeyError) as error:
        raise ContactKeyError(f"{file} is damaged: put a copy back, or remove it and rotate the unit's key") from error


def _private_file(folder: Path, unit: str) -> Path:
    return folder / f"{unit}.private.json"


def _public_file(folder: Path, unit: str) -> Path:
    return folder / f"{unit}.public.json"
