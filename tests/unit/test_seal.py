"""What is sealed can be read by who holds the key, where it belongs, and nowhere else."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.master_key import MasterKey
from sinks.seal import KEY_BYTES, Seal, SealError

KEY = bytes(range(KEY_BYTES))
SEAL = Seal(KEY)
PLACE = b"intake.app/0/17"


@given(st.binary(max_size=500), st.binary(max_size=50))
def test_what_is_sealed_is_read_in_its_place(plain: bytes, context: bytes) -> None:
    assert SEAL.unseal(SEAL.seal(plain, context=context), context=context) == plain


@given(st.binary(min_size=1, max_size=60), st.integers(0, 10**6), st.integers(1, 255))
def test_a_single_changed_byte_is_noticed(plain: bytes, where: int, change: int) -> None:
    sealed = bytearray(SEAL.seal(plain, context=PLACE))
    sealed[where % len(sealed)] ^= change
    with pytest.raises(SealError):
        SEAL.unseal(bytes(sealed), context=PLACE)


@given(st.integers(0, 60))
def test_a_piece_of_a_sealed_value_is_none(length: int) -> None:
    sealed = SEAL.seal(b"x" * 32, context=PLACE)
    with pytest.raises(SealError):
        SEAL.unseal(sealed[:length], context=PLACE)


def test_it_cannot_be_moved_to_another_place() -> None:
    with pytest.raises(SealError, match="changed, moved, or sealed with another key"):
        SEAL.unseal(SEAL.seal(b"13800138000", context=PLACE), context=b"intake.app/0/18")


def test_another_key_cannot_read_it() -> None:
    other = Seal(os.urandom(KEY_BYTES))
    with pytest.raises(SealError, match="sealed with another key"):
        other.unseal(SEAL.seal(b"13800138000", context=PLACE), context=PLACE)
    assert other.fingerprint != SEAL.fingerprint


def test_no_nonce_comes_twice_and_the_same_text_never_looks_the_same() -> None:
    sealed = [SEAL.seal(b"13800138000", context=PLACE) for _ in range(20_000)]
    assert len({each[1:13] for each in sealed}) == len(sealed)
    assert len({each[13:] for each in sealed}) == len(sealed)
    assert {each[0] for each in sealed} == {1}


def test_a_form_of_another_release_is_refused() -> None:
    sealed = SEAL.seal(b"x", context=PLACE)
    with pytest.raises(SealError, match="not a sealed value of a form this release knows"):
        SEAL.unseal(b"\x02" + sealed[1:], context=PLACE)


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(SealError, match="has 32 bytes, this one has 16"):
        Seal(KEY[:16])


# ---- the key file -----------------------------------------------------------------------------------


def test_a_key_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "vault.key"
    master = MasterKey(path)
    fingerprint = master.make()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert master.make() == MasterKey(path).make() == fingerprint
    assert [each.name for each in path.parent.iterdir()] == ["vault.key"]


def test_a_key_is_not_made_by_looking_for_it(tmp_path: Path) -> None:
    with pytest.raises(SealError, match=r"no master key .*vault\.key .*; bring it back from a backup"):
        MasterKey(tmp_path / "vault.key").seals()
    assert not list(tmp_path.iterdir())


def test_the_mode_does_not_hang_on_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        MasterKey(tmp_path / "vault.key").make()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "vault.key").stat().st_mode) == 0o600


def test_many_that_start_at_once_share_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda path: MasterKey(path).make(), [tmp_path / "vault.key"] * 8))
    assert len(keys) == 1
    assert [each.name for each in tmp_path.iterdir()] == ["vault.key"]


def test_a_newer_key_stands_before_the_older_until_that_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "vault.key"
    master, other = MasterKey(path), MasterKey(path)
    old = master.make()
    assert list(other.seals()) == [old]
    sealed = master.seal(old).seal(b"key", context=b"here")
    new = master.add()
    assert list(other.seals()) == [new, old]
    assert other.seal(old).unseal(sealed, context=b"here") == b"key"
    master.keep_only(new)
    assert list(other.seals()) == [new]
    with pytest.raises(SealError, match="does not hold the vault's master key"):
        other.seal(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "vault.key"
    MasterKey(path).make()
    path.chmod(mode)
    with pytest.raises(SealError, match=r"can be read by others .* run `chmod 600"):
        MasterKey(path).seals()


@pytest.mark.parametrize("text", ["", "not a key\n", "ab" * 31 + "\n", "ab" * 33 + "\n", "\xff\n"])
def test_a_file_that_holds_no_key_is_refused_and_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "vault.key"
    path.write_text(text, encoding="latin-1")
    path.chmod(0o600)
    with pytest.raises(SealError, match=r"holds no key .* backup"):
        MasterKey(path).make()
    assert path.read_text(encoding="latin-1") == text
