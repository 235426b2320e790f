"""The vault keeps what citizens said, tells it only to who says why, and remembers who that was."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from sinks.database import open_engine
from sinks.vault import Kept, SealError, Vault, VaultUnavailableError, View, load_or_make_key
from tests.databases import Database
from tests.filled_ledger import NINE, case_id, minutes

PHONE = "13800138000"
ORIGINAL = {"contact": {"name": "王秀英", "phone": PHONE}, "title": "路灯不亮", "text": f"请打{PHONE}，家住青桥街道3号"}


@pytest.fixture
def key(tmp_path: Path) -> bytes:
    return load_or_make_key(tmp_path / "vault.key")


@pytest.fixture
def vault(empty_database: Database, key: bytes) -> Iterator[Vault]:
    vault = Vault(empty_database.url, key)
    yield vault
    vault.close()


def kept(number: int, offset: int | None = None, content: object = ORIGINAL) -> Kept:
    offset = number if offset is None else offset
    return Kept("intake.app", 0, offset, case_id(number), json.dumps(content, ensure_ascii=False).encode())


def reveal(vault: Vault, number: int, at: float = 0) -> list[dict[str, object]]:
    return vault.reveal(case_id(number), purpose="回访", who="H-DESK", at=minutes(at))


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
    vault.reveal(case_id(1), purpose="核实地址", who="S01", at=minutes(9))
    assert vault.views(case_id(1)) == [
        View(case_id(1), minutes(5), "H-DESK", "回访", 1),
        View(case_id(1), minutes(9), "S01", "核实地址", 1),
    ]
    assert vault.views(case_id(2)) == []


def test_who_looked_at_nothing_is_known_too(vault: Vault) -> None:
    assert reveal(vault, 7) == []
    assert vault.views(case_id(7)) == [View(case_id(7), NINE, "H-DESK", "回访", 0)]


@pytest.mark.parametrize(("who", "purpose"), [("", "回访"), ("H-DESK", " "), ("\t", "\n")])
def test_nobody_looks_without_a_name_and_a_purpose(vault: Vault, who: str, purpose: str) -> None:
    vault.keep([kept(1)])
    with pytest.raises(ValueError, match="says who it is and why"):
        vault.reveal(case_id(1), purpose=purpose, who=who, at=NINE)
    assert vault.views(case_id(1)) == []


def test_a_view_that_cannot_be_written_shows_nothing(vault: Vault, empty_database: Database) -> None:
    vault.keep([kept(1)])
    engine = open_engine(empty_database.url)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE vault_view RENAME TO hidden"))
    with pytest.raises(Exception, match="vault_view"):
        reveal(vault, 1)
    engine.dispose()


def test_a_changed_entry_is_noticed_and_the_attempt_recorded(vault: Vault, empty_database: Database) -> None:
    vault.keep([kept(1)])
    engine = open_engine(empty_database.url)
    with engine.begin() as connection:
        sealed = bytearray(connection.execute(text("SELECT sealed FROM vault_entry")).scalar_one())
        sealed[-1] ^= 1
        connection.execute(text("UPDATE vault_entry SET sealed = :sealed"), {"sealed": bytes(sealed)})
    engine.dispose()
    with pytest.raises(SealError):
        reveal(vault, 1)
    assert len(vault.views(case_id(1))) == 1


def test_an_entry_moved_to_another_demand_cannot_be_read(vault: Vault, empty_database: Database) -> None:
    vault.keep([kept(1)])
    engine = open_engine(empty_database.url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE vault_entry SET demand_id = :other"), {"other": case_id(2)})
    engine.dispose()
    with pytest.raises(SealError):
        reveal(vault, 2)


def test_no_plain_word_rests_in_the_file(tmp_path: Path, key: bytes) -> None:
    vault = Vault(f"sqlite:///{tmp_path / 'vault.db'}", key)
    vault.keep([kept(number) for number in range(50)])
    reveal(vault, 1)
    files = [each for each in tmp_path.iterdir() if each.name.startswith("vault.db")]
    assert {each.name for each in files} >= {"vault.db", "vault.db-wal"}
    found = b"".join(each.read_bytes() for each in files)
    assert case_id(1).encode() in found  # the search does see what is there
    for secret in (PHONE, "王秀英", "路灯", "青桥街道"):
        assert secret.encode() not in found
        assert secret.encode("utf-16-le") not in found
        assert json.dumps(secret)[1:-1].encode() not in found
    vault.close()


def test_another_key_is_refused_before_anything_is_kept_or_shown(
    vault: Vault, empty_database: Database, tmp_path: Path
) -> None:
    vault.keep([kept(1)])
    other = Vault(empty_database.url, load_or_make_key(tmp_path / "other.key"))
    with pytest.raises(SealError, match="sealed with another key; bring the key file back"):
        other.keep([kept(2)])
    with pytest.raises(SealError, match="sealed with another key"):
        reveal(other, 1)
    other.close()
    assert reveal(vault, 2) == []


def test_a_batch_is_kept_whole_or_not_at_all(vault: Vault) -> None:
    vault.keep([kept(1)])
    broken = Kept("intake.app", 0, None, case_id(3), b"{}")  # type: ignore[arg-type]  # that is the fault
    with pytest.raises(Exception, match="offset"):
        vault.keep([kept(2), broken])
    assert reveal(vault, 2) == []


def test_workers_that_start_at_once_share_one_vault(empty_database: Database, key: bytes) -> None:
    def keeps(number: int) -> None:
        vault = Vault(empty_database.url, key)
        vault.keep([kept(number), kept(99)])
        vault.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(keeps, range(4)))
    vault = Vault(empty_database.url, key)
    assert [reveal(vault, number) for number in (0, 1, 2, 3, 99)] == [[ORIGINAL]] * 5
    vault.close()


def test_a_process_that_only_seals_writes_nothing(tmp_path: Path, key: bytes) -> None:
    vault = Vault(f"sqlite:///{tmp_path / 'vault.db'}", key)
    sealed = vault.seal(b"dead letter", context=b"replies/0/1")
    assert vault.unseal(sealed, context=b"replies/0/1") == b"dead letter"
    vault.close()
    assert not (tmp_path / "vault.db").exists()


def test_a_vault_that_is_away_is_named_so(vault: Vault, empty_database: Database) -> None:
    vault.keep([kept(1)])
    if empty_database.kind == "sqlite":
        assert make_url(empty_database.url).database
        vault.close()  # a file that is open stays usable when its name is gone
    with empty_database.away():
        for attempt in (lambda: vault.keep([kept(2)]), lambda: reveal(vault, 1), lambda: vault.views(case_id(1))):
            with pytest.raises(VaultUnavailableError):
                attempt()
    vault.keep([kept(2)])
    assert reveal(vault, 2) == [ORIGINAL]
