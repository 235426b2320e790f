"""The vault keeps what citizens said, tells it only to who says why, and remembers who that was."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url, select, text

from sinks import case_keys, vault_tables
from sinks.database import open_engine, sqlite_url
from sinks.master_key import MasterKey
from sinks.vault import Asked, ErasedError, Kept, RefusedError, SealError, Vault, VaultUnavailableError, View
from tests.databases import Database
from tests.filled_ledger import NINE, case_id, minutes

PHONE = "13800138000"
ORIGINAL = {"contact": {"name": "王秀英", "phone": PHONE}, "title": "路灯不亮", "text": f"请打{PHONE}，家住青桥街道3号"}
LOOKING, ERASING = ("contact", "call_back"), ("requested",)
DESK = Asked("H-DESK", "call_back", NINE)
CLERK = Asked("档案室", "requested", NINE)
TABLES = {"data": vault_tables.METADATA, "keys": case_keys._METADATA}

Backup = dict[str, list[dict[str, Any]]]


@dataclass
class House:
    """Two databases and a key file, and whoever opens them."""

    url: str
    keys_url: str
    key_file: Path
    vaults: list[Vault] = field(default_factory=list)

    def open(self, *, read_only: bool = False, key_file: Path | None = None) -> Vault:
        vault = Vault(self.url, self.keys_url, MasterKey(key_file or self.key_file), read_only=read_only)
        self.vaults.append(vault)
        return vault

    def run(self, statement: str, *, of: str = "data", **values: object) -> list[Any]:
        engine = open_engine(self.url if of == "data" else self.keys_url)
        with engine.begin() as connection:
            found = connection.execute(text(statement), values)
            rows = list(found) if found.returns_rows else []
        engine.dispose()
        return rows

    def back_up(self, of: str) -> Backup:
        engine = open_engine(self.url if of == "data" else self.keys_url)
        with engine.connect() as connection:
            found = {
                table.name: [dict(row) for row in connection.execute(select(table)).mappings()]
                for table in TABLES[of].sorted_tables
            }
        engine.dispose()
        return found

    def restore(self, of: str, backup: Backup) -> None:
        engine = open_engine(self.url if of == "data" else self.keys_url)
        with engine.begin() as connection:
            for table in TABLES[of].sorted_tables:
                connection.execute(table.delete())
                if rows := backup[table.name]:
                    connection.execute(table.insert(), rows)
        engine.dispose()

    def keyed(self) -> set[str]:
        """Whose key there is."""
        return {row[0] for row in self.run("SELECT demand_id FROM vault_case_key", of="keys")} - {"deadletters"}

    def ciphertext(self, number: int) -> bytes:
        rows = self.run("SELECT sealed FROM vault_entry WHERE demand_id = :demand", demand=case_id(number))
        return b"".join(bytes(row[0]) for row in rows)

    def close(self) -> None:
        for vault in self.vaults:
            vault.close()


@pytest.fixture
def house(empty_database: Database, tmp_path: Path) -> Iterator[House]:
    """On PostgreSQL the keys are in a schema of their own."""
    keys_url = sqlite_url(tmp_path / "keys.db")
    if empty_database.kind == "postgresql":
        engine = open_engine(empty_database.url)
        with engine.begin() as connection:
            connection.execute(text("CREATE SCHEMA keys"))
        engine.dispose()
        keys_url = f"{empty_database.url}{'&' if '?' in empty_database.url else '?'}options=-csearch_path%3Dkeys"
    house = House(empty_database.url, keys_url, tmp_path / "vault.key")
    yield house
    house.close()


@pytest.fixture
def vault(house: House) -> Vault:
    return house.open()


def kept(number: int, offset: int | None = None, content: object = ORIGINAL) -> Kept:
    offset = number if offset is None else offset
    return Kept("intake.app", 0, offset, case_id(number), json.dumps(content, ensure_ascii=False).encode())


def reveal(vault: Vault, number: int, at: float = 0) -> list[dict[str, object]]:
    return vault.reveal(case_id(number), replace(DESK, at=minutes(at)), LOOKING)


def erase(vault: Vault, number: int) -> int:
    return vault.erase(case_id(number), CLERK, ERASING)


# ---- keeping and looking ----------------------------------------------------------------------------


def test_the_originals_come_back_to_who_says_why(vault: Vault) -> None:
    vault.keep([kept(1), kept(2, content={"text": "另一件"})])
    assert reveal(vault, 1) == [ORIGINAL]
    assert reveal(vault, 2) == [{"text": "另一件"}]


def test_all_submissions_of_a_demand_are_told_in_their_order(vault: Vault) -> None:
    vault.keep([kept(1, 10, {"text": "二"}), kept(1, 9, {"text": "一"})])
    vault.keep([kept(1, 11, {"text": "三"})])
    assert [each["text"] for each in reveal(vault, 1)] == ["一", "二", "三"]


def test_a_submission_triaged_again_stays_as_it_was(vault: Vault) -> None:
    vault.keep([kept(1)])
    vault.keep([kept(1, content={"text": "changed"}), kept(2), kept(2)])
    assert reveal(vault, 1) == [ORIGINAL]
    assert reveal(vault, 2) == [ORIGINAL]


def test_everybody_who_looked_is_known(vault: Vault) -> None:
    vault.keep([kept(1)])
    reveal(vault, 1, 5)
    vault.reveal(case_id(1), Asked("S01", "contact", minutes(9)), LOOKING)
    fields = ("contact", "title", "text")
    assert vault.views(case_id(1)) == [
        View(case_id(1), minutes(5), "H-DESK", "reveal", "call_back", "shown", fields),
        View(case_id(1), minutes(9), "S01", "reveal", "contact", "shown", fields),
    ]
    assert vault.views(case_id(2)) == []
    assert vault.view_counts() == {("reveal", "shown"): 2}


def test_who_looked_at_nothing_is_known_too(vault: Vault) -> None:
    assert reveal(vault, 7) == []
    assert vault.views(case_id(7)) == [View(case_id(7), NINE, "H-DESK", "reveal", "call_back", "nothing")]


@pytest.mark.parametrize(("who", "purpose"), [("", "contact"), ("H-DESK", " "), ("H-DESK", "因为想看"), ("\t", "\n")])
def test_nobody_looks_without_a_name_and_a_purpose_of_the_city_and_who_tried_is_known(
    vault: Vault, who: str, purpose: str
) -> None:
    vault.keep([kept(1)])
    with pytest.raises(RefusedError, match="codes: contact, call_back"):
        vault.reveal(case_id(1), Asked(who, purpose, NINE), LOOKING)
    assert vault.views(case_id(1)) == [View(case_id(1), NINE, who, "reveal", purpose, "refused")]


def test_a_view_that_cannot_be_written_shows_nothing(vault: Vault, house: House) -> None:
    vault.keep([kept(1)])
    house.run("ALTER TABLE vault_view RENAME TO hidden")
    with pytest.raises(Exception, match="vault_view"):
        reveal(vault, 1)


def test_a_changed_entry_is_noticed_and_the_attempt_recorded(vault: Vault, house: House) -> None:
    vault.keep([kept(1)])
    sealed = bytearray(house.ciphertext(1))
    sealed[-1] ^= 1
    house.run("UPDATE vault_entry SET sealed = :sealed", sealed=bytes(sealed))
    with pytest.raises(SealError):
        reveal(vault, 1)
    assert len(vault.views(case_id(1))) == 1


@pytest.mark.parametrize(("table", "of"), [("vault_entry", "data"), ("vault_case_key", "keys")])
def test_an_entry_or_key_moved_to_another_demand_cannot_be_read(
    vault: Vault, house: House, table: str, of: str
) -> None:
    vault.keep([kept(1), kept(2)])
    house.run(f"DELETE FROM {table} WHERE demand_id = :two", of=of, two=case_id(2))
    house.run(f"UPDATE {table} SET demand_id = :two WHERE demand_id = :one", of=of, one=case_id(1), two=case_id(2))
    with pytest.raises(SealError):
        reveal(vault, 2)


def test_no_plain_word_rests_in_the_files(tmp_path: Path) -> None:
    house = House(sqlite_url(tmp_path / "vault.db"), sqlite_url(tmp_path / "vault-keys.db"), tmp_path / "vault.key")
    vault = house.open()
    vault.keep([kept(number) for number in range(50)])
    reveal(vault, 1)
    files = [each for each in tmp_path.iterdir() if each.name.startswith("vault")]
    assert {each.name for each in files} >= {"vault.db", "vault.db-wal", "vault-keys.db", "vault-keys.db-wal"}
    found = b"".join(each.read_bytes() for each in files)
    assert case_id(1).encode() in found  # the search does see what is there
    for secret in (PHONE, "王秀英", "路灯", "青桥街道"):
        assert secret.encode() not in found
        assert secret.encode("utf-16-le") not in found
        assert json.dumps(secret)[1:-1].encode() not in found
    house.close()


def test_a_batch_is_kept_whole_or_not_at_all(vault: Vault) -> None:
    vault.keep([kept(1)])
    broken = Kept("intake.app", 0, None, case_id(3), b"{}")  # type: ignore[arg-type]  # that is the fault
    with pytest.raises(Exception, match="offset"):
        vault.keep([kept(2), broken])
    assert reveal(vault, 2) == []


def test_workers_that_start_at_once_share_one_vault_and_the_key_of_a_case(house: House) -> None:
    def keeps(number: int) -> None:
        house.open().keep([kept(number), kept(99, 100 + number)])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(keeps, range(4)))
    vault = house.open()
    assert [reveal(vault, number) for number in (0, 1, 2, 3)] == [[ORIGINAL]] * 4
    assert reveal(vault, 99) == [ORIGINAL] * 4


@pytest.mark.parametrize("away", ["data", "keys"])
def test_a_vault_that_is_away_is_named_so(house: House, vault: Vault, empty_database: Database, away: str) -> None:
    vault.keep([kept(1)])
    vault.close()  # a file that is open stays usable when its name is gone
    if empty_database.kind == "sqlite" and away == "keys":
        path = Path(make_url(house.keys_url).database or "")
        path.rename(path.with_name("elsewhere"))
        path.mkdir()
        with pytest.raises(VaultUnavailableError):
            vault.keep([kept(2)])
        with pytest.raises(VaultUnavailableError):
            reveal(vault, 1)
        path.rmdir()
        path.with_name("elsewhere").rename(path)
    else:
        with empty_database.away():
            for attempt in (lambda: vault.keep([kept(2)]), lambda: reveal(vault, 1), lambda: vault.views(case_id(1))):
                with pytest.raises(VaultUnavailableError):
                    attempt()
    vault.keep([kept(2)])
    assert reveal(vault, 2) == [ORIGINAL]


# ---- keys -------------------------------------------------------------------------------------------


def test_each_case_has_a_key_of_its_own_apart_from_the_originals(vault: Vault, house: House) -> None:
    vault.keep([kept(1), kept(2), kept(2, 3)])
    assert house.keyed() == {case_id(1), case_id(2)}
    wrapped = [bytes(row[0]) for row in house.run("SELECT wrapped FROM vault_case_key", of="keys")]
    assert len(set(wrapped)) == len(wrapped) >= 2


def test_a_vault_without_its_master_key_says_so_and_makes_no_other(vault: Vault, house: House) -> None:
    vault.keep([kept(1)])
    saved = house.key_file.read_bytes()
    house.key_file.unlink()
    for attempt in (lambda: house.open().keep([kept(2)]), lambda: reveal(vault, 1), lambda: house.open().open()):
        with pytest.raises(SealError, match=r"there is no master key .*vault\.key .*; bring it back from a backup"):
            attempt()
    assert not house.key_file.exists()
    house.key_file.write_bytes(saved)
    house.key_file.chmod(0o600)
    assert reveal(vault, 1) == [ORIGINAL]


def test_another_master_key_is_refused_before_anything_is_kept_or_shown(
    vault: Vault, house: House, tmp_path: Path
) -> None:
    vault.keep([kept(1)])
    MasterKey(tmp_path / "other.key").make()
    other = house.open(key_file=tmp_path / "other.key")
    with pytest.raises(SealError, match=r"other\.key does not hold the vault's master key .*: bring the key file back"):
        other.keep([kept(2)])
    with pytest.raises(SealError, match="does not hold the vault's master key"):
        reveal(other, 1)
    assert reveal(vault, 2) == []


def test_a_vault_whose_keys_are_gone_does_not_begin_with_new_ones(vault: Vault, house: House) -> None:
    vault.keep([kept(1)])
    backup = house.back_up("keys")
    house.restore("keys", {name: [] for name in backup})
    with pytest.raises(SealError, match="the key database of the vault is missing or empty: bring it back"):
        house.open().open()
    house.restore("keys", backup | {"vault_key_state": [backup["vault_key_state"][0] | {"pair": "another"}]})
    with pytest.raises(SealError, match="belong to different installations"):
        house.open().open()
    house.restore("keys", backup)
    assert reveal(house.open(), 1) == [ORIGINAL]


def test_originals_younger_than_a_restored_key_database_are_named_as_unreadable(vault: Vault, house: House) -> None:
    vault.keep([kept(1)])
    backup = house.back_up("keys")
    vault.keep([kept(2)])
    house.restore("keys", backup)
    assert reveal(vault, 1) == [ORIGINAL]
    with pytest.raises(SealError, match="the key database is older than the vault"):
        reveal(vault, 2)


# ---- erasing ----------------------------------------------------------------------------------------


def gone(vault: Vault, house: House, number: int = 1) -> bool:
    """Tell whether nobody can read a demand, by any way that the two databases leave."""
    with pytest.raises(ErasedError):
        reveal(vault, number)
    with pytest.raises(ErasedError):
        house.open(read_only=True).contact(case_id(number))
    return case_id(number) not in house.keyed() and house.ciphertext(number) == b""


def test_an_erased_demand_is_gone_and_who_erased_it_is_known(vault: Vault, house: House) -> None:
    vault.keep([kept(1), kept(1, 5), kept(2)])
    assert erase(vault, 1) == 2
    assert gone(vault, house)
    assert reveal(vault, 2) == [ORIGINAL]
    assert vault.views(case_id(1))[0] == View(case_id(1), NINE, "档案室", "erase", "requested", "erased")
    assert vault.views(case_id(1))[1].outcome == "erased"
    assert vault.erased() == {case_id(1): NINE}
    assert erase(vault, 1) == 0


def test_nobody_erases_without_a_purpose(vault: Vault) -> None:
    vault.keep([kept(1)])
    with pytest.raises(RefusedError):
        vault.erase(case_id(1), replace(CLERK, purpose="contact"), ERASING)
    assert vault.views(case_id(1))[0].outcome == "refused"
    assert reveal(vault, 1) == [ORIGINAL]


def test_what_was_erased_is_not_kept_again_however_it_comes(vault: Vault, house: House) -> None:
    vault.keep([kept(1, 0)])
    erase(vault, 1)
    for again in ([kept(1, 0)], [kept(1, 1)], [kept(1, 2, {"text": "补充"}), kept(2, 3)]):
        vault.keep(again)
        house.open().keep(again)
        assert gone(vault, house)
    assert reveal(vault, 2) == [ORIGINAL]
    assert vault.reached(["intake.app"]) == {("intake.app", 0): 4}


def test_a_demand_may_be_erased_before_it_comes(vault: Vault, house: House) -> None:
    assert erase(vault, 1) == 0
    vault.keep([kept(1)])
    assert gone(vault, house)


@pytest.mark.parametrize("how", ["start", "look", "keep"])
@pytest.mark.parametrize("of", ["data", "keys"])
def test_an_erased_demand_stays_erased_after_a_restore_of_either_database(
    vault: Vault, house: House, of: str, how: str
) -> None:
    vault.keep([kept(1), kept(2)])
    backup = house.back_up(of)
    erase(vault, 1)
    house.restore(of, backup)
    if how == "start":
        house.open().open()
    elif how == "keep":
        vault.keep([kept(1)])
    assert gone(vault, house)
    assert reveal(vault, 2) == [ORIGINAL]


def test_one_restore_after_the_other_with_a_start_between_brings_nothing_back(vault: Vault, house: House) -> None:
    vault.keep([kept(1)])
    data, keys = house.back_up("data"), house.back_up("keys")
    erase(vault, 1)
    for of, backup in (("data", data), ("keys", keys), ("data", data)):
        house.restore(of, backup)
        house.open().open()
        assert gone(house.open(), house)


def test_after_a_restore_of_both_only_the_list_of_erasures_knows(vault: Vault, house: House) -> None:
    vault.keep([kept(1)])
    data, keys = house.back_up("data"), house.back_up("keys")
    erase(vault, 1)
    listed = vault.erased()
    house.restore("data", data)
    house.restore("keys", keys)
    again = house.open()
    assert reveal(again, 1) == [ORIGINAL]
    for each in listed:
        again.erase(each, CLERK, ERASING)
    assert gone(again, house)


def test_an_erasure_that_was_broken_off_is_finished_at_the_next_start(
    vault: Vault, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.keep([kept(1)])

    def killed(*_arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(case_keys.CaseKeys, "destroy", killed)
        with pytest.raises(KeyboardInterrupt):
            erase(vault, 1)
    assert case_id(1) in house.keyed()
    assert vault.views(case_id(1))[0].action == "erase"
    assert gone(house.open(), house)


def test_an_erased_key_leaves_no_copy_in_the_files(tmp_path: Path) -> None:
    house = House(sqlite_url(tmp_path / "vault.db"), sqlite_url(tmp_path / "vault-keys.db"), tmp_path / "vault.key")
    vault = house.open()
    vault.keep([kept(number) for number in range(20)])
    (row,) = house.run("SELECT wrapped FROM vault_case_key WHERE demand_id = :one", of="keys", one=case_id(1))
    secrets = (bytes(row[0]), house.ciphertext(1))
    erase(vault, 1)
    found = b"".join(each.read_bytes() for each in tmp_path.iterdir())
    assert all(secret not in found for secret in secrets)
    house.close()


# ---- the master key is changed ------------------------------------------------------------------------


def test_a_new_master_key_wraps_every_key_and_the_old_one_opens_nothing(vault: Vault, house: House) -> None:
    vault.keep([kept(number) for number in range(1200)])
    letter = vault.seal(b"{", context=b"replies/0/1")
    old = house.key_file.read_text().split()
    steps = list(vault.rotate())
    assert steps[-1][0] == steps[-1][1] == 1201
    new = house.key_file.read_text().split()
    assert len(new) == 1
    assert new != old
    assert house.key_file.stat().st_mode & 0o077 == 0
    assert len({row[0] for row in house.run("SELECT DISTINCT master FROM vault_case_key", of="keys")}) == 1
    assert reveal(vault, 7) == reveal(house.open(), 1199) == [ORIGINAL]
    opened = house.open().open_letter(letter, context=b"replies/0/1", named="x", asked=DESK, purposes=LOOKING)
    assert opened == b"{"
    house.key_file.write_text("".join(f"{key}\n" for key in old))
    with pytest.raises(SealError, match="does not hold the vault's master key"):
        reveal(house.open(), 7)


@pytest.mark.parametrize("step", range(6))
def test_a_rotation_broken_off_at_any_step_goes_on_while_workers_keep(vault: Vault, house: House, step: int) -> None:
    vault.keep([kept(number) for number in range(600)])
    running = house.open()
    rotation = house.open().rotate()
    for number, _done in enumerate(rotation):
        running.keep([kept(1000 + number)])
        assert reveal(running, 5) == [ORIGINAL]
        if number == step:
            rotation.close()
            break
    assert list(house.open().rotate())
    fresh = house.open()
    assert [reveal(fresh, number) for number in (0, 599, 1000)] == [[ORIGINAL]] * 3
    running.keep([kept(2000)])
    assert reveal(fresh, 2000) == [ORIGINAL]
    assert len(house.key_file.read_text().split()) == 1


def test_a_worker_with_the_key_file_of_before_a_rotation_is_told_which_one_it_needs(
    vault: Vault, house: House, tmp_path: Path
) -> None:
    vault.keep([kept(1)])
    elsewhere = tmp_path / "elsewhere.key"
    elsewhere.write_bytes(house.key_file.read_bytes())
    elsewhere.chmod(0o600)
    worker = house.open(key_file=elsewhere)
    worker.keep([kept(2)])
    list(vault.rotate())
    with pytest.raises(SealError, match=r"elsewhere\.key does not hold .* or the new one after a rotation"):
        worker.keep([kept(3)])
    elsewhere.write_bytes(house.key_file.read_bytes())
    worker.keep([kept(3)])
    assert reveal(vault, 3) == [ORIGINAL]


def test_keys_from_a_backup_before_a_rotation_open_with_the_old_key_put_back(vault: Vault, house: House) -> None:
    vault.keep([kept(1)])
    backup, old = house.back_up("keys"), house.key_file.read_text()
    list(vault.rotate())
    house.restore("keys", backup)
    with pytest.raises(SealError, match="does not hold the vault's master key"):
        house.open().open()
    house.key_file.write_text(house.key_file.read_text() + old)
    list(house.open().rotate())
    assert reveal(house.open(), 1) == [ORIGINAL]
    assert len(house.key_file.read_text().split()) == 1


# ---- casework, which only reads -----------------------------------------------------------------------


def test_a_reader_finds_the_contact_and_seals_letters_but_writes_nothing(vault: Vault, house: House) -> None:
    vault.open()
    vault.keep([kept(1), kept(2, content={"text": "匿名"}), kept(2, 3, {"text": "补充"})])
    before = house.back_up("data"), house.back_up("keys")
    reader = house.open(read_only=True)
    assert reader.contact(case_id(1)) == ORIGINAL["contact"]
    assert [reader.contact(case_id(number)) for number in (2, 3)] == [None, None]
    sealed = reader.seal(b"dead letter", context=b"replies/0/1")
    assert (house.back_up("data"), house.back_up("keys")) == before
    opened = vault.open_letter(sealed, context=b"replies/0/1", named=case_id(1), asked=DESK, purposes=LOOKING)
    assert opened == b"dead letter"
    assert vault.views(case_id(1)) == [
        View(case_id(1), NINE, "H-DESK", "letter", "call_back", "shown", ("original",)),
    ]
    with pytest.raises(SealError):
        vault.open_letter(sealed, context=b"replies/0/2", named="x", asked=DESK, purposes=LOOKING)


def test_a_reader_of_a_vault_that_was_never_laid_waits(house: House) -> None:
    with pytest.raises(VaultUnavailableError):
        house.open(read_only=True).open()


# ---- dead letters -------------------------------------------------------------------------------------


def test_how_a_dead_letter_was_dealt_with_is_known_and_by_whom(vault: Vault) -> None:
    letters = ("letter/intake.app/0/1", "letter/intake.app/0/2")
    vault.deal_with(letters[0], "parked", DESK, LOOKING)
    vault.deal_with(letters[0], "replayed", DESK, LOOKING)
    vault.deal_with(letters[1], "parked", DESK, LOOKING)
    with pytest.raises(RefusedError):
        vault.deal_with(letters[1], "replayed", replace(DESK, purpose="?"), LOOKING)
    assert vault.dealt_with() == {letters[0]: "replayed", letters[1]: "parked"}
    assert [(each.who, each.outcome) for each in vault.views(letters[1])] == [
        ("H-DESK", "parked"),
        ("H-DESK", "refused"),
    ]
