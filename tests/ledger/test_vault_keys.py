"""A key for each case, wrapped by the master key; and how that one is changed."""

from pathlib import Path

import pytest

from sinks.master_key import MasterKey
from sinks.vault import SealError, Vault
from tests.filled_ledger import case_id
from tests.house import DESK, LOOKING, ORIGINAL, House, kept, reveal

# ---- keys -----------------------------------------------------------------------------------------


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


# ---- the master key is changed --------------------------------------------------------------------


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
