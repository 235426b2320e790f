"""A citizen's contact reaches the unit that holds the case, and nobody on the way can read it."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from routers.demand import Contact
from routers.life import Refusal
from sinks.vault import ErasedError, SealError, VaultUnavailableError
from streams import contact_keys
from streams.contact_keys import ContactKeyError
from streams.contacts import PAUSE, Brought, Contacts
from streams.messages import SealedContact, contact_info

LAMPS, ROADS, CASE = "U-LIGHT", "U-ROAD", "01KJP0V050DHGPTW3K41GQ8C1H"
WANG = {"name": "王秀英", "phone": "13800138000"}


class Shelf:
    """A vault that holds one contact, or fails."""

    def __init__(self, content: Any = WANG) -> None:
        self.content = content
        self.asked = 0

    def contact(self, _case_id: str) -> Any:
        self.asked += 1
        if isinstance(self.content, Exception):
            raise self.content
        return self.content


class Watch:
    """A clock that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    contact_keys.ensure(tmp_path / "keys", [LAMPS, ROADS])
    return tmp_path / "keys"


def bring(folder: Path, shelf: Shelf, unit: str = LAMPS, watch: Watch | None = None) -> Brought | Refusal:
    vault: Any = shelf
    return Contacts(vault, folder, watch or Watch()).bring(CASE, unit, "r1")


def sealed(folder: Path) -> SealedContact:
    brought = bring(folder, Shelf())
    assert isinstance(brought, Brought)
    return SealedContact.model_validate_json(brought.header)


def test_the_unit_reads_what_nobody_else_can(folder: Path) -> None:
    brought = bring(folder, Shelf())
    assert isinstance(brought, Brought)
    assert brought.fields == ("name", "phone")
    assert all(secret.encode() not in brought.header for secret in WANG.values())
    message = SealedContact.model_validate_json(brought.header)
    assert message.key_id == "U-LIGHT.1"
    assert contact_keys.unseal(message, folder, LAMPS, contact_info(LAMPS, CASE, "r1")) == Contact(**WANG)
    with pytest.raises(ContactKeyError, match=r"has no private key U-LIGHT\.1"):
        contact_keys.unseal(message, folder, ROADS, contact_info(LAMPS, CASE, "r1"))


@pytest.mark.parametrize("info", [(ROADS, CASE, "r1"), (LAMPS, CASE[:-1] + "J", "r1"), (LAMPS, CASE, "r2")])
def test_a_contact_opens_as_the_answer_to_its_reply_only(folder: Path, info: tuple[str, str, str]) -> None:
    with pytest.raises(ContactKeyError, match="changed on its way, or is not for U-LIGHT"):
        contact_keys.unseal(sealed(folder), folder, LAMPS, contact_info(*info))


def test_a_changed_contact_is_noticed(folder: Path) -> None:
    message = sealed(folder)
    raw = bytearray(base64.b64decode(message.sealed))
    raw[-1] ^= 1
    for broken in (base64.b64encode(raw).decode(), "AA==", "no base 64"):
        changed = message.model_copy(update={"sealed": broken})
        with pytest.raises(ContactKeyError, match="changed on its way"):
            contact_keys.unseal(changed, folder, LAMPS, contact_info(LAMPS, CASE, "r1"))


def test_after_a_rotation_what_is_on_its_way_still_opens_until_the_old_key_is_revoked(folder: Path) -> None:
    info = contact_info(LAMPS, CASE, "r1")
    before = sealed(folder)
    assert contact_keys.rotate(folder, LAMPS) == "U-LIGHT.2"
    after = sealed(folder)
    assert [contact_keys.unseal(each, folder, LAMPS, info).phone for each in (before, after)] == [WANG["phone"]] * 2
    assert contact_keys.revoke(folder, LAMPS) == 1
    assert contact_keys.unseal(after, folder, LAMPS, info).phone == WANG["phone"]
    with pytest.raises(ContactKeyError, match=r"has no private key U-LIGHT\.1"):
        contact_keys.unseal(before, folder, LAMPS, info)


def test_private_keys_are_for_the_unit_alone_and_the_pipeline_needs_none(folder: Path) -> None:
    private = folder / "U-LIGHT.private.json"
    assert private.stat().st_mode & 0o077 == 0
    message = sealed(folder)
    private.chmod(0o644)
    with pytest.raises(Exception, match=r"can be read by others; run: chmod 600"):
        contact_keys.unseal(message, folder, LAMPS, contact_info(LAMPS, CASE, "r1"))
    private.unlink()
    assert isinstance(bring(folder, Shelf()), Brought)


def test_ensuring_pairs_leaves_those_there_are(folder: Path) -> None:
    before = json.loads((folder / "U-LIGHT.public.json").read_text())
    contact_keys.ensure(folder, [LAMPS])
    assert json.loads((folder / "U-LIGHT.public.json").read_text()) == before


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "no_contact"),
        (ErasedError("gone"), "erased"),
        (VaultUnavailableError("no answer"), "vault_unavailable"),
        (SealError("wrong key"), "vault_unavailable"),
    ],
)
def test_what_cannot_be_brought_has_a_code(folder: Path, content: Any, code: str) -> None:
    assert bring(folder, Shelf(content)) == Refusal(code)


def test_a_unit_without_a_public_key_gets_nothing_and_the_vault_stays_shut(folder: Path) -> None:
    shelf = Shelf()
    assert bring(folder, shelf, "U-GAS") == Refusal("no_public_key")
    (folder / "U-LIGHT.public.json").write_text("{}")
    assert bring(folder, shelf) == Refusal("no_public_key")
    assert shelf.asked == 0


def test_a_vault_that_was_away_is_not_waited_for_again_at_once(folder: Path) -> None:
    shelf, watch = Shelf(VaultUnavailableError("no answer")), Watch()
    vault: Any = shelf
    contacts = Contacts(vault, folder, watch)
    for _ in range(3):
        assert contacts.bring(CASE, LAMPS, "r1") == Refusal("vault_unavailable")
    assert shelf.asked == 1
    shelf.content = WANG
    watch.now += PAUSE
    assert isinstance(contacts.bring(CASE, LAMPS, "r1"), Brought)
