"""The vault: what citizens said and how to reach them, encrypted, in a database of its own.

Everything downstream of triage is masked; the originals are here only. Each case has a key of its
own, in another database (`sinks.case_keys`); who destroys it has erased the case. Whoever looks is
written down first: who, when, at what, why; so is who was refused.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import Connection, func, insert, inspect, select, update

from sinks.case_keys import CaseKeys
from sinks.database import BUSY_SECONDS
from sinks.master_key import MasterKey
from sinks.seal import Seal, SealError
from sinks.tables import utc_text
from sinks.vault_store import Store, VaultUnavailableError
from sinks.vault_tables import (
    ENTRY,
    ERASED,
    METADATA,
    PAIR,
    VIEW,
    Action,
    Asked,
    Kept,
    Outcome,
    View,
    context_of,
    entries_of,
    unsealed,
    view_of,
    write_view,
)

__all__ = ["Asked", "ErasedError", "Kept", "RefusedError", "SealError", "Vault", "VaultUnavailableError", "View"]

_LOCK = 0x59_69_77_61_6E_68
_LETTERS = "deadletters"
"""Whose key seals the bytes of dead letters; no demand has such an id."""


class RefusedError(Exception):
    """Nobody looks without a name and a purpose of the city's policies; that it was tried is written down."""


class ErasedError(Exception):
    """The demand was erased: its key is destroyed."""


class Vault:
    """The one way to the originals.

    Args:
        url: SQLAlchemy URL; `sqlite:///FILE` or `postgresql+psycopg://...`.
        keys_url: the same of the key database.
        master: the master key.
        read_only: for a process that only reads a contact, or seals dead letters; writes nothing.
        connect_seconds: how long to wait for a server that does not answer.
    """

    def __init__(
        self,
        url: str,
        keys_url: str,
        master: MasterKey,
        *,
        read_only: bool = False,
        connect_seconds: float = BUSY_SECONDS,
    ) -> None:
        self._data = Store(url, METADATA, _LOCK, read_only=read_only, connect_seconds=connect_seconds)
        self._keys = CaseKeys(keys_url, master, read_only=read_only, connect_seconds=connect_seconds)
        self._laid = read_only
        self._letters: Seal | None = None

    def close(self) -> None:
        """Let go of all connections."""
        self._data.close()
        self._keys.close()

    def open(self) -> None:
        """Make sure that everything is there and fits together; a vault that may write lays what is missing.

        Raises:
            SealError: a key is missing or is the wrong one.
            VaultUnavailableError: a database does not answer, or was never laid.
        """
        with self._connected():
            pass
        self._letters_seal()

    # -- keeping ------------------------------------------------------------------------------------

    def keep(self, entries: Sequence[Kept]) -> None:
        """Encrypt and store submissions in one transaction; one that is there already stays as it is.

        Of an erased demand nothing is kept but the place, however often it is submitted.

        Raises:
            SealError: the master key in force is not in our file.
            VaultUnavailableError: a database does not answer or cannot write.
        """
        if not entries:
            return
        demands = {each.demand_id for each in entries}
        with self._connected() as data:
            erased = self._agreed(data, demands)
            provided = self._keys.provide(demands - erased)  # on disk before what they seal
            self._bury(data, provided.erased)
            seals = {demand: Seal(key) for demand, key in provided.keys.items()}
            rows = [
                (
                    each.demand_id,
                    each.topic,
                    each.partition,
                    each.offset,
                    seal.seal(each.content, context=context_of(each)) if (seal := seals.get(each.demand_id)) else b"",
                )
                for each in entries
            ]
            self._data.insert_new(data, ENTRY, rows)

    def reached(self, topics: Iterable[str]) -> dict[tuple[str, int], int]:
        """Return for each partition of these topics the offset after the last submission that is kept.

        Raises:
            VaultUnavailableError: the database does not answer.
        """
        place = (ENTRY.c.topic, ENTRY.c.partition)
        last = select(*place, func.max(ENTRY.c.offset)).where(ENTRY.c.topic.in_(list(topics))).group_by(*place)
        with self._connected() as data:
            return {(topic, number): offset + 1 for topic, number, offset in data.execute(last)}

    # -- looking ------------------------------------------------------------------------------------

    def reveal(self, demand_id: str, asked: Asked, purposes: Collection[str]) -> list[dict[str, Any]]:
        """Return the originals of all submissions of a demand, after writing down who looked and why.

        Args:
            demand_id: the demand.
            asked: who, when, why.
            purposes: the city's codes.

        Raises:
            RefusedError: nobody looks, or for no purpose of the city's.
            ErasedError: it was erased.
            SealError: an entry was changed, or keys are missing.
            VaultUnavailableError: a database does not answer or cannot write.
        """
        self._permit("reveal", demand_id, asked, purposes)
        with self._connected() as data:
            erased = bool(self._agreed(data, {demand_id}))
            provided = self._keys.find(demand_id)
            self._bury(data, provided.erased)
            rows = entries_of(data, demand_id)
            outcome: Outcome = "erased" if erased or provided.erased else "shown" if rows else "nothing"
            problem: SealError | None = None
            found: list[dict[str, Any]] = []
            if outcome == "shown":
                try:
                    found = unsealed(rows, provided.keys.get(demand_id))
                except SealError as error:
                    problem = error
            write_view(data, "reveal", demand_id, asked, outcome, [name for each in found for name in each])
        if problem is not None:
            raise problem
        if outcome == "erased":
            raise ErasedError(f"{demand_id} was erased: nobody can read it any more")
        return found

    def contact(self, demand_id: str) -> Mapping[str, str] | None:
        """Return how to reach the citizen, None where none was given; writes nothing, not even who asked.

        Its caller writes that down where its own decision is: casework as the event `case.contact_revealed`.

        Raises:
            ErasedError: the demand was erased.
            SealError: an entry was changed, or keys are missing.
            VaultUnavailableError: a database does not answer.
        """
        with self._connected() as data:
            rows = entries_of(data, demand_id)
            erased = bool(self._erased(data, {demand_id}))
        provided = self._keys.find(demand_id)
        if erased or provided.erased:
            raise ErasedError(demand_id)
        contacts = (each.get("contact") for each in unsealed(rows, provided.keys.get(demand_id)) if rows)
        return next((each for each in contacts if each), None)

    def views(self, demand_id: str) -> list[View]:
        """Return who looked at a demand, erased it or tried to, oldest first.

        Raises:
            VaultUnavailableError: the database does not answer.
        """
        wanted = select(VIEW).where(VIEW.c.demand_id == demand_id).order_by(VIEW.c.position)
        with self._connected() as data:
            return [view_of(row) for row in data.execute(wanted)]

    def view_counts(self) -> dict[tuple[str, str], int]:
        """Return how many looked, by action and outcome.

        Raises:
            VaultUnavailableError: the database does not answer.
        """
        wanted = select(VIEW.c.action, VIEW.c.outcome, func.count()).group_by(VIEW.c.action, VIEW.c.outcome)
        with self._connected() as data:
            return {(action, outcome): count for action, outcome, count in data.execute(wanted)}

    # -- erasing ------------------------------------------------------------------------------------

    def erase(self, demand_id: str, asked: Asked, purposes: Collection[str]) -> int:
        """Erase a demand: destroy its key, after writing down who did and why, and leave tombstones.

        Broken off after its first step, the next start finishes it: the tombstone with the originals is enough.

        Returns:
            How many submissions are erased; 0 where none was kept, and none will be.

        Raises:
            RefusedError: nobody erases, or for no purpose of the city's.
            VaultUnavailableError: a database does not answer or cannot write.
        """
        self._permit("erase", demand_id, asked, purposes)
        with self._connected(alone=True) as data:
            count = self._bury(data, {demand_id}, asked.at)
            write_view(data, "erase", demand_id, asked, "erased" if count else "nothing", ())
        self._keys.destroy({demand_id})
        self._data.scrub(ENTRY)
        return count

    def erased(self) -> dict[str, datetime]:
        """Return every erased demand, and since when; kept apart, this list outlives a restore of everything."""
        with self._connected() as data:
            return {row.demand_id: row.at for row in data.execute(select(ERASED).order_by(ERASED.c.demand_id))}

    def rotate(self) -> Generator[tuple[int, int]]:
        """Put a new master key in force; see `CaseKeys.rotate`."""
        with self._connected():
            pass
        yield from self._keys.rotate()

    def _agreed(self, data: Connection, demand_ids: Collection[str]) -> set[str]:
        """Return those of the demands that were erased; a key that came back from a backup is destroyed again."""
        erased = self._erased(data, demand_ids)
        if erased:
            self._keys.destroy(erased)
        return erased

    def _erased(self, data: Connection, demand_ids: Collection[str]) -> set[str]:
        whose = self._data.among(ERASED.c.demand_id, demand_ids)
        return set(data.execute(select(ERASED.c.demand_id).where(whose)).scalars())

    def _bury(self, data: Connection, demand_ids: Collection[str], at: datetime | None = None) -> int:
        """Leave tombstones, and of the originals the places only; return how many originals that were."""
        if not demand_ids:
            return 0
        when = utc_text(at or datetime.fromtimestamp(0, UTC))
        self._data.insert_new(data, ERASED, [(each, when) for each in sorted(demand_ids)])
        whose = self._data.among(ENTRY.c.demand_id, demand_ids) & (func.length(ENTRY.c.sealed) > 0)
        return data.execute(update(ENTRY).where(whose).values(sealed=b"")).rowcount

    # -- dead letters -------------------------------------------------------------------------------

    def seal(self, plain: bytes, *, context: bytes) -> bytes:
        """Encrypt the bytes of a dead letter, which rest elsewhere; see `Seal.seal`."""
        return self._letters_seal().seal(plain, context=context)

    def open_letter(
        self, sealed: bytes, *, context: bytes, named: str, asked: Asked, purposes: Collection[str]
    ) -> bytes:
        """Return the bytes of a dead letter, after writing down who looked and why.

        Args:
            sealed: as of `seal`.
            context: as given there.
            named: the demand it is about, or its own id.
            asked: who, when, why.
            purposes: the city's codes.

        Raises:
            RefusedError: nobody looks, or for no purpose of the city's.
            SealError: the bytes were changed, or sealed elsewhere.
            VaultUnavailableError: a database does not answer or cannot write.
        """
        self._permit("letter", named, asked, purposes)
        with self._connected() as data:
            write_view(data, "letter", named, asked, "shown", ("original",))
        return self._letters_seal().unseal(sealed, context=context)

    def deal_with(
        self, letter_id: str, how: Literal["parked", "replayed"], asked: Asked, purposes: Collection[str]
    ) -> None:
        """Write down that a dead letter was dealt with, by whom and why.

        Raises:
            RefusedError: by nobody, or for no purpose of the city's.
            VaultUnavailableError: a database does not answer or cannot write.
        """
        self._permit("letter", letter_id, asked, purposes)
        with self._connected() as data:
            write_view(data, "letter", letter_id, asked, how, ())

    def dealt_with(self) -> dict[str, str]:
        """Return how dead letters were dealt with, by their ids: the last word on each.

        Raises:
            VaultUnavailableError: the database does not answer.
        """
        wanted = select(VIEW.c.demand_id, VIEW.c.outcome).where(VIEW.c.outcome.in_(("parked", "replayed")))
        with self._connected() as data:
            return {row.demand_id: row.outcome for row in data.execute(wanted.order_by(VIEW.c.position))}

    def _letters_seal(self) -> Seal:
        if self._letters is None:
            look = self._keys.find(_LETTERS) if self._data.read_only else self._keys.provide([_LETTERS])
            if _LETTERS not in look.keys:
                raise VaultUnavailableError("the vault is not laid yet; start triage first")
            self._letters = Seal(look.keys[_LETTERS])
        return self._letters

    # -- the databases ------------------------------------------------------------------------------

    def _permit(self, action: Action, named: str, asked: Asked, purposes: Collection[str]) -> None:
        """Let nobody pass without a name and a purpose, and write down who tried.

        Raises:
            RefusedError: it is not permitted.
        """
        if asked.who.strip() and asked.purpose in purposes:
            return
        with self._connected() as data:
            write_view(data, action, named, asked, "refused", ())
        codes = ", ".join(purposes) or "its policies have none"
        raise RefusedError(f"say who you are, and why by one of the city's codes: {codes}")

    @contextmanager
    def _connected(self, *, alone: bool = False) -> Iterator[Connection]:
        """Begin a transaction on a vault that is laid."""
        if not self._laid:
            self._lay()
            self._laid = True
        with self._data.begin(alone=alone) as data:
            if self._data.read_only and not self._data.laid(data):
                raise VaultUnavailableError("the vault is not laid yet; start triage first")
            yield data

    def _lay(self) -> None:
        """Make the tables, hold vault and keys against each other, and let what was erased in one be so in both."""
        with self._data.begin(alone=True) as data:
            if inspect(data).has_table("vault_key"):
                raise SealError("this vault was made before its cases had keys; begin with a new data folder")
            METADATA.create_all(data)
            pair = data.execute(select(PAIR.c.pair)).scalar()
            found = self._keys.lay(pair)
            if pair is None:
                data.execute(insert(PAIR), {"pair": found})
            here, there = set(data.execute(select(ERASED.c.demand_id)).scalars()), self._keys.destroyed()
            self._bury(data, there - here)
            if here:
                self._keys.destroy(here)
