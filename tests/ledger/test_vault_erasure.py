"""What a citizen wants erased is gone, also after a restore."""

from dataclasses import replace
from pathlib import Path

import pytest

from sinks import case_keys
from sinks.database import sqlite_url
from sinks.vault import ErasedError, RefusedError, Vault, View
from tests.filled_ledger import NINE, case_id
from tests.house import CLERK, ERASING, ORIGINAL, House, erase, kept, reveal


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
