"""Bringing a citizen's contact to the unit that holds the case: out of the vault, sealed for that unit alone.

Casework opens the vault for reading only. In clear the contact exists here for a moment; ledger,
outbox and topic get what only the unit can open. That somebody looked is the event
`case.contact_revealed`, which the ledger stores in the transaction that holds the sealed contact.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from routers.life import Refusal
from sinks.vault import ErasedError, SealError, Vault, VaultUnavailableError
from streams.contact_keys import ContactKeyError, public_key, seal
from streams.messages import contact_info

REVEALED = "case.contact_revealed"

PAUSE = 5.0
"""Seconds in which a vault that was away is not asked again: its server may take seconds to say nothing."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Brought:
    """A contact on its way."""

    header: bytes
    """A `SealedContact` in JSON."""
    fields: tuple[str, ...]
    """What it tells: `name`, `phone`, `email`, `note`."""


def never_brought(_case_id: str, _unit: str, _reply_id: str, _kept_under: str) -> Brought | Refusal:
    """Answer for a casework that has no vault."""
    return Refusal("vault_unavailable")


class Contacts:
    """The way from the vault to a unit.

    Args:
        vault: opened for reading.
        keys: folder with the units' public keys.
        monotonic: seconds that only grow.
    """

    def __init__(self, vault: Vault, keys: Path, monotonic: Callable[[], float]) -> None:
        self._vault = vault
        self._keys = keys
        self._monotonic = monotonic
        self._away_until = float("-inf")

    def bring(self, case_id: str, unit: str, reply_id: str, kept_under: str | None = None) -> Brought | Refusal:
        """Return a citizen's contact, sealed for a unit as the answer to its reply, or the code why not.

        Args:
            case_id: the case the unit asks about.
            unit: who asks.
            reply_id: of its reply.
            kept_under: the demand of which the case is a part; none: the case is a demand of its own.
        """
        if self._monotonic() < self._away_until:
            return Refusal("vault_unavailable")
        try:
            to = public_key(self._keys, unit)
            contact = self._vault.contact(kept_under or case_id)
        except ContactKeyError as error:
            _log.error("no contact is shown: %s", error)
            return Refusal("no_public_key")
        except ErasedError:
            return Refusal("erased")
        except (VaultUnavailableError, SealError) as error:
            _log.error("no contact is shown: %s", error)
            self._away_until = self._monotonic() + PAUSE
            return Refusal("vault_unavailable")
        if contact is None:
            return Refusal("no_contact")
        sealed = seal(json.dumps(contact).encode(), to, contact_info(unit, case_id, reply_id))
        return Brought(sealed.model_dump_json().encode(), tuple(contact))
