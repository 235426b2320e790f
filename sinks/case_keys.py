"""The keys of the vault's cases, each wrapped by the master key, in a database of their own.

Apart from the originals, so that a backup of one without the other tells nothing, and so that a
case is erased by destroying its key. Destroyed keys leave a tombstone: here, and with the
originals; either of the two is enough to keep a case erased when the other comes back from an old
backup.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Collection, Generator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, LargeBinary, MetaData, String, Table, bindparam, delete, func, select, update

from sinks.database import BUSY_SECONDS
from sinks.master_key import MasterKey
from sinks.seal import KEY_BYTES, SealError
from sinks.vault_store import Store, VaultUnavailableError

_METADATA = MetaData()
_STATE = Table(
    "vault_key_state",
    _METADATA,
    Column("pair", String, primary_key=True),
    Column("master", String, nullable=False),
)
_KEY = Table(
    "vault_case_key",
    _METADATA,
    Column("demand_id", String, primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),
    Column("master", String, nullable=False),
)
_DESTROYED = Table("vault_key_destroyed", _METADATA, Column("demand_id", String, primary_key=True))

_LOCK = 0x59_69_77_61_6E_6B
_BATCH = 500
"""Keys rewrapped in one transaction; a case that waits for its key waits no longer than that."""


@dataclass(frozen=True, slots=True)
class Provided:
    """The keys for some demands, and those of them that have none for ever."""

    keys: dict[str, bytes]
    erased: set[str]


class CaseKeys:
    """One key for each case.

    Args:
        url: SQLAlchemy URL of the key database, another one than the vault's.
        master: wraps the keys.
        read_only: never write.
        connect_seconds: how long to wait for a server that does not answer.
    """

    def __init__(
        self, url: str, master: MasterKey, *, read_only: bool = False, connect_seconds: float = BUSY_SECONDS
    ) -> None:
        self._store = Store(url, _METADATA, _LOCK, read_only=read_only, connect_seconds=connect_seconds)
        self._master = master

    def close(self) -> None:
        """Let go of all connections."""
        self._store.close()

    def lay(self, pair: str | None) -> str:
        """Make the tables and, in a new installation, the master key; make sure that all belongs together.

        Args:
            pair: what the vault says of its key database; None: it has never had one.

        Returns:
            What names the two databases as a pair.

        Raises:
            SealError: keys are missing, of another vault, or wrapped by a master key we do not have.
            VaultUnavailableError: the database does not answer or cannot write.
        """
        with self._store.begin(alone=True) as keys:
            _METADATA.create_all(keys)
            state = keys.execute(select(_STATE)).first()
            if state is None and pair is not None:
                raise SealError(
                    "the key database of the vault is missing or empty: bring it back from a backup; without it "
                    "nobody reads the vault"
                )
            if state is None:
                pair = secrets.token_hex(8)
                keys.execute(_STATE.insert(), {"pair": pair, "master": self._master.make()})
                return pair
            if pair not in (None, state.pair):
                raise SealError("vault and key database belong to different installations; see the settings of both")
            self._master.seal(state.master)
            found: str = state.pair
            return found

    # -- one case ---------------------------------------------------------------------------------

    def provide(self, demand_ids: Collection[str]) -> Provided:
        """Return the keys of demands; new ones are made, and are on disk before this returns.

        Raises:
            SealError: the master key in force is not in our file.
            VaultUnavailableError: the database does not answer or cannot write.
        """
        with self._store.begin() as keys:
            fingerprint = self._in_force(keys)
            master = self._master.seal(fingerprint)
            erased = self._destroyed(keys, demand_ids)
            known = self._known(keys, demand_ids)
            made = {each: os.urandom(KEY_BYTES) for each in sorted(set(demand_ids) - known.keys() - erased)}
            if made:
                rows = [(each, master.seal(key, context=_context(each)), fingerprint) for each, key in made.items()]
                if self._store.insert_new(keys, _KEY, rows) != len(rows):  # another worker met one at this moment
                    made = self._known(keys, made)
        return Provided(known | made, erased)

    def find(self, demand_id: str) -> Provided:
        """Return the key of a demand if there is one; makes none.

        Raises:
            SealError: it cannot be unwrapped.
            VaultUnavailableError: the database does not answer, or was never laid.
        """
        with self._store.begin() as keys:
            if self._store.read_only and not self._store.laid(keys):
                raise VaultUnavailableError("the key database is not laid yet; start triage first")
            erased = self._destroyed(keys, [demand_id])
            return Provided({} if erased else self._known(keys, [demand_id]), erased)

    def destroy(self, demand_ids: Collection[str]) -> None:
        """Destroy keys for ever; those destroyed before stay so.

        Raises:
            VaultUnavailableError: the database does not answer or cannot write.
        """
        with self._store.begin(alone=True) as keys:
            self._store.insert_new(keys, _DESTROYED, [(each,) for each in sorted(demand_ids)])
            gone = keys.execute(delete(_KEY).where(self._store.among(_KEY.c.demand_id, demand_ids))).rowcount
        if gone:
            self._store.scrub(_KEY)

    def destroyed(self) -> set[str]:
        """Return all demands whose key was destroyed."""
        with self._store.begin() as keys:
            return set(keys.execute(select(_DESTROYED.c.demand_id)).scalars())

    # -- the master key ---------------------------------------------------------------------------

    def rotate(self) -> Generator[tuple[int, int]]:
        """Put a new master key in force, wrap every case's key with it, and drop the old one.

        May be broken off at any moment and called again: it goes on where it was. A file that holds more than one
        key is a rotation that was begun; then no further key is made.

        Yields:
            How many keys are wrapped anew, of how many; after each step that is on disk.

        Raises:
            SealError: a key is wrapped by a master key that is not in the file.
            VaultUnavailableError: the database does not answer or cannot write.
        """
        if len(self._master.seals()) == 1:
            with self._store.begin() as keys:
                self._master.seal(self._in_force(keys))
            self._master.add()
            yield 0, 0
        newest = next(iter(self._master.seals()))
        with self._store.begin(alone=True) as keys:
            self._master.seal(self._in_force(keys))
            keys.execute(update(_STATE).values(master=newest))
            total = keys.execute(select(func.count()).where(_KEY.c.master != newest)).scalar_one()
        yield 0, total
        done, last, count = 0, "", 1
        while count:
            last, count = self._rewrap(newest, last)
            done += count
            yield done, total
        self._store.scrub(_KEY)
        self._master.keep_only(newest)
        yield done, total

    def _rewrap(self, newest: str, after: str) -> tuple[str, int]:
        """Wrap the next keys with the newest master key; return the last one's demand, and how many."""
        master = self._master.seal(newest)
        wanted = (
            select(_KEY)
            .where(_KEY.c.demand_id > after, _KEY.c.master != newest)
            .order_by(_KEY.c.demand_id)
            .limit(_BATCH)
        )
        with self._store.begin(alone=True) as keys:
            rows = keys.execute(wanted).all()
            changes = [
                {
                    "of_demand": row.demand_id,
                    "to_wrapped": master.seal(self._unwrapped(row), context=_context(row.demand_id)),
                    "to_master": newest,
                }
                for row in rows
            ]
            if changes:
                changed: dict[str, Any] = {"wrapped": bindparam("to_wrapped"), "master": bindparam("to_master")}
                keys.execute(update(_KEY).where(_KEY.c.demand_id == bindparam("of_demand")).values(changed), changes)
        return (rows[-1].demand_id if rows else after), len(rows)

    def _in_force(self, keys: Connection) -> str:
        found: str = keys.execute(select(_STATE.c.master)).scalar_one()
        return found

    # -- rows -------------------------------------------------------------------------------------

    def _known(self, keys: Connection, demand_ids: Collection[str]) -> dict[str, bytes]:
        wanted = select(_KEY).where(self._store.among(_KEY.c.demand_id, demand_ids))
        return {row.demand_id: self._unwrapped(row) for row in keys.execute(wanted)}

    def _unwrapped(self, row: object) -> bytes:
        master, wrapped, demand_id = (getattr(row, name) for name in ("master", "wrapped", "demand_id"))
        return self._master.seal(master).unseal(wrapped, context=_context(demand_id))

    def _destroyed(self, keys: Connection, demand_ids: Collection[str]) -> set[str]:
        whose = self._store.among(_DESTROYED.c.demand_id, demand_ids)
        return set(keys.execute(select(_DESTROYED.c.demand_id).where(whose)).scalars())


def _context(demand_id: str) -> bytes:
    """Bind a wrapped key to its demand: it cannot be moved to another's row."""
    return f"vault key {demand_id}".encode()
