"""The units' keys: a file each that nobody else reads, and a ring that sees every change at once."""

import json
import logging
import os
from pathlib import Path

import pytest

from streams import keys
from streams.keys import KeyRing, SigningKeyError, UnitKey

LAMPS, ROADS = "U-LIGHT", "U-ROAD"


class Hands:
    """The hands of the ring's clock."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at

    def wait(self) -> None:
        """Let what has been read grow stale."""
        self.at += keys.FRESH_SECONDS + 0.001


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Hands:
    hands = Hands()
    monkeypatch.setattr(keys, "monotonic", hands)
    return hands


def of(folder: Path, unit: str = LAMPS) -> list[str]:
    return [key.key_id for key in keys.keys_of(folder, unit)]


def test_a_first_key_is_long_secret_and_the_units_own(tmp_path: Path) -> None:
    key = keys.issue(tmp_path / "keys", LAMPS)
    other = keys.issue(tmp_path / "keys", ROADS)
    assert (key.unit, key.key_id, len(key.secret)) == (LAMPS, "U-LIGHT.1", keys.KEY_BYTES)
    assert key.secret != other.secret
    assert keys.current(tmp_path / "keys", LAMPS) == key
    assert key.issued_at.endswith("Z")


def test_only_its_owner_reads_a_key(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    before = os.umask(0)  # as careless as a machine can be set up
    try:
        keys.issue(folder, LAMPS)
        keys.rotate(folder, LAMPS)
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [(each.name, each.stat().st_mode & 0o777) for each in folder.iterdir()] == [("U-LIGHT.json", 0o600)]


def test_a_second_first_key_is_refused_with_what_to_do(tmp_path: Path) -> None:
    key = keys.issue(tmp_path, LAMPS)
    with pytest.raises(SigningKeyError, match="yiwang unit key rotate U-LIGHT"):
        keys.issue(tmp_path, LAMPS)
    assert keys.current(tmp_path, LAMPS) == key


def test_a_rotation_keeps_the_old_key_until_it_is_revoked(tmp_path: Path) -> None:
    first = keys.issue(tmp_path, LAMPS)
    second = keys.rotate(tmp_path, LAMPS)
    assert of(tmp_path) == ["U-LIGHT.1", "U-LIGHT.2"]
    assert keys.current(tmp_path, LAMPS) == second
    assert keys.revoke(tmp_path, LAMPS) == 1
    assert of(tmp_path) == ["U-LIGHT.2"]
    assert keys.rotate(tmp_path, LAMPS).key_id == "U-LIGHT.3"
    assert first.secret not in {key.secret for key in keys.keys_of(tmp_path, LAMPS)}


def test_revoking_the_only_key_leaves_the_unit_without(tmp_path: Path) -> None:
    gone = keys.issue(tmp_path, LAMPS)
    assert keys.revoke(tmp_path, LAMPS) == 1
    assert keys.revoke(tmp_path, LAMPS) == 0
    with pytest.raises(SigningKeyError, match="yiwang unit key issue U-LIGHT"):
        keys.current(tmp_path, LAMPS)
    assert keys.issue(tmp_path, LAMPS).secret != gone.secret


def test_a_start_gives_keys_to_units_without_and_takes_none_away(tmp_path: Path) -> None:
    mine = keys.issue(tmp_path, LAMPS)
    keys.ensure(tmp_path, [LAMPS, ROADS])
    keys.ensure(tmp_path, [LAMPS, ROADS])
    assert keys.current(tmp_path, LAMPS) == mine
    assert of(tmp_path, ROADS) == ["U-ROAD.1"]


def test_a_start_does_not_undo_a_revocation(tmp_path: Path) -> None:
    keys.issue(tmp_path, LAMPS)
    keys.revoke(tmp_path, LAMPS)
    keys.ensure(tmp_path, [LAMPS])
    assert of(tmp_path) == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    keys.issue(tmp_path, LAMPS)
    file = tmp_path / "U-LIGHT.json"
    file.chmod(mode)
    with pytest.raises(SigningKeyError, match=f"chmod 600 {file}"):
        keys.current(tmp_path, LAMPS)
    with pytest.raises(SigningKeyError, match="can be read by others"):
        keys.rotate(tmp_path, LAMPS)


@pytest.mark.parametrize(
    "damage", ["", "{", "[{}]", "[1]", "5", '[{"key_id": "U-LIGHT.1", "secret": "x", "issued_at": ""}]']
)
def test_a_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    keys.issue(tmp_path, LAMPS)
    (tmp_path / "U-LIGHT.json").write_text(damage)
    with pytest.raises(SigningKeyError, match=r"U-LIGHT\.json is damaged"):
        keys.current(tmp_path, LAMPS)


# -- the ring ---------------------------------------------------------------------------------------


def test_a_key_issued_while_it_runs_is_found(tmp_path: Path, clock: Hands) -> None:
    ring = KeyRing(tmp_path)
    assert ring.get("U-LIGHT.1") is None
    first = keys.issue(tmp_path, LAMPS)
    assert ring.get("U-LIGHT.1") == first
    second = keys.rotate(tmp_path, LAMPS)
    clock.wait()
    assert [ring.get("U-LIGHT.1"), ring.get("U-LIGHT.2")] == [first, second]


def test_a_revoked_key_is_forgotten(tmp_path: Path, clock: Hands) -> None:
    ring = KeyRing(tmp_path)
    keys.issue(tmp_path, LAMPS)
    second = keys.rotate(tmp_path, LAMPS)
    assert ring.get("U-LIGHT.1") is not None
    keys.revoke(tmp_path, LAMPS)
    clock.wait()
    assert [ring.get("U-LIGHT.1"), ring.get("U-LIGHT.2")] == [None, second]
    keys.revoke(tmp_path, LAMPS)
    clock.wait()
    assert ring.get("U-LIGHT.2") is None


def test_a_unit_whose_file_is_gone_has_no_key(tmp_path: Path, clock: Hands) -> None:
    ring = KeyRing(tmp_path)
    keys.issue(tmp_path, LAMPS)
    assert ring.get("U-LIGHT.1") is not None
    (tmp_path / "U-LIGHT.json").unlink()
    clock.wait()
    assert ring.get("U-LIGHT.1") is None


def test_a_file_is_read_again_only_when_it_has_changed(
    tmp_path: Path, clock: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring, read = KeyRing(tmp_path), []

    def counted(folder: Path, unit: str, really: object = keys.keys_of) -> list[UnitKey]:
        read.append(unit)
        assert callable(really)
        found: list[UnitKey] = really(folder, unit)
        return found

    keys.issue(tmp_path, LAMPS)
    monkeypatch.setattr(keys, "keys_of", counted)
    for _ in range(5):
        assert ring.get("U-LIGHT.1") is not None
        clock.wait()
    assert read == [LAMPS]


def test_one_units_careless_file_refuses_that_unit_and_no_other(
    tmp_path: Path, clock: Hands, caplog: pytest.LogCaptureFixture
) -> None:
    ring = KeyRing(tmp_path)
    keys.ensure(tmp_path, [LAMPS, ROADS])
    (tmp_path / "U-LIGHT.json").chmod(0o644)
    with caplog.at_level(logging.ERROR, "streams.keys"):
        for _ in range(3):
            assert ring.get("U-LIGHT.1") is None
            assert ring.get("U-ROAD.1") is not None
            clock.wait()
    (told,) = caplog.messages
    assert "U-LIGHT are refused" in told
    assert "chmod 600" in told
    (tmp_path / "U-LIGHT.json").chmod(0o600)
    clock.wait()
    assert ring.get("U-LIGHT.1") is not None


def test_a_damaged_file_stops_nobody(tmp_path: Path, clock: Hands) -> None:
    ring = KeyRing(tmp_path)
    keys.issue(tmp_path, LAMPS)
    whole = (tmp_path / "U-LIGHT.json").read_text()
    (tmp_path / "U-LIGHT.json").write_text(whole[:20])
    assert ring.get("U-LIGHT.1") is None
    (tmp_path / "U-LIGHT.json").write_text(whole)
    clock.wait()
    assert ring.get("U-LIGHT.1") is not None


@pytest.mark.parametrize(
    "key_id",
    ["", ".", "U-LIGHT", "U-LIGHT.", "U-LIGHT.2", "../U-LIGHT.1", "keys/U-LIGHT.1", "U-LIGHT.1\x00", "\x00.1", "-.1"],
)
def test_an_invented_key_id_is_unknown(tmp_path: Path, key_id: str) -> None:
    keys.issue(tmp_path / "keys", LAMPS)
    assert KeyRing(tmp_path / "keys").get(key_id) is None


def test_a_key_is_never_taken_from_outside_the_folder(tmp_path: Path) -> None:
    keys.issue(tmp_path, LAMPS)
    (tmp_path / "keys").mkdir()
    assert KeyRing(tmp_path / "keys").get("../U-LIGHT.1") is None


def test_invented_units_do_not_fill_the_memory(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path)
    for number in range(100):
        assert ring.get(f"U-{number}.1") is None
    assert not ring._seen


def test_what_is_stored_is_what_the_unit_signs_with(tmp_path: Path) -> None:
    key = keys.issue(tmp_path, LAMPS)
    (stored,) = json.loads((tmp_path / "U-LIGHT.json").read_text())
    assert stored == {"key_id": "U-LIGHT.1", "secret": key.secret.hex(), "issued_at": key.issued_at}
