"""The vault keeps what citizens said, tells it only to who says why, and remembers who that was."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import make_url

from sinks.database import sqlite_url
from sinks.vault import Asked, Kept, RefusedError, SealError, Vault, VaultUnavailableError, View
from tests.databases import Database
from tests.filled_ledger import NINE, case_id, minutes
from tests.house import DESK, LOOKING, ORIGINAL, PHONE, House, kept, reveal

# ---- keeping and looking --------------------------------------------------------------------------


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


# ---- casework, which only reads -------------------------------------------------------------------


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


# ---- dead letters ---------------------------------------------------------------------------------


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
