"""The client of a department, on a real Kafka."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from streams import decoding, envelope, keys, signatures, topics
from streams import messages as wire
from streams.client import ClientError
from streams.clock import new_id
from streams.department import DepartmentClient
from tests.town import WAIT, Town

pytestmark = pytest.mark.broker


@pytest.fixture
def desk(town: Town, tmp_path: Path) -> Iterator[DepartmentClient]:
    keys.ensure(tmp_path, [town.unit, town.other])
    with DepartmentClient(town.bootstrap, [town.unit, town.other], tmp_path) as client:
        yield client


# ---- the department -------------------------------------------------------------------------------


def test_a_reply_is_keyed_by_its_case_and_signed_over_its_bytes(
    town: Town, desk: DepartmentClient, tmp_path: Path
) -> None:
    case = new_id()
    reply_id = desk.answer(case, "已修复", result="solved", unit=town.unit, by="李工")
    desk.flush()

    (record,) = town.read(topics.REPLIES, case)

    headers = dict(record.headers())
    key = keys.current(tmp_path, town.unit)
    signature = headers[envelope.SIGNATURE_HEADER].decode()
    assert headers[envelope.KEY_HEADER].decode() == key.key_id
    assert headers["ce_id"].decode() == reply_id
    assert headers["ce_source"].decode() == f"/unit/{town.unit}"
    assert signatures.signature_holds(key.secret, reply_id, record.value(), signature)
    assert not signatures.signature_holds(key.secret, reply_id, record.value() + b" ", signature)
    answer = decoding.decode(wire.REPLY, record.value())
    assert isinstance(answer, wire.Answer)
    assert (answer.unit, answer.by, answer.text, answer.result) == (town.unit, "李工", "已修复", "solved")


def test_every_reply_kind_is_one_the_pipeline_reads(town: Town, desk: DepartmentClient) -> None:
    case = new_id()
    unit = town.unit
    sent = [
        desk.accept(case, unit=unit),
        desk.contact(case, "已电话联系", unit=unit),
        desk.note(case, "正在处理", unit=unit),
        desk.answer(case, "已办结", unit=unit),
        desk.return_(case, "R1", basis="三定方案", propose=town.other, unit=unit),
        desk.dispatch(case, town.other, co=[unit], reason="职责所在", unit=unit),
        desk.decline(case, "COURT", "请向法院提起诉讼", unit=unit),
        desk.call_back(case, solved=True, satisfied=True, unit=unit),
    ]
    desk.flush()

    found = [decoding.decode(wire.REPLY, each.value()) for each in town.read(topics.REPLIES, case)]

    assert [each.reply_id for each in found] == sent
    assert [each.action for each in found] == [
        "accept",
        "contact",
        "note",
        "answer",
        "return",
        "dispatch",
        "decline",
        "call_back",
    ]


def test_a_rotated_key_signs_the_next_reply(town: Town, desk: DepartmentClient, tmp_path: Path) -> None:
    case = new_id()
    desk.accept(case, unit=town.unit)
    fresh = keys.rotate(tmp_path, town.unit)
    desk.accept(case, unit=town.unit)
    desk.flush()

    used = [dict(each.headers())[envelope.KEY_HEADER].decode() for each in town.read(topics.REPLIES, case)]

    assert used == [f"{town.unit}.1", fresh.key_id]


def test_a_unit_without_a_key_is_told_how_to_get_one(town: Town, desk: DepartmentClient, tmp_path: Path) -> None:
    (tmp_path / f"{town.unit}.json").unlink()
    with pytest.raises(ClientError, match=f"yiwang unit key issue {town.unit}"):
        desk.accept(new_id(), unit=town.unit)


def test_the_queue_is_what_is_open_now(town: Town, desk: DepartmentClient) -> None:
    kept, done, shared = new_id(), new_id(), new_id()
    town.queue(town.unit, kept, 2)
    town.queue(town.unit, done, 2)
    town.queue(town.unit, shared, 3)
    town.queue(town.other, shared, 3)
    town.queue(town.unit, kept, 4)
    town.queue(town.unit, done, 5, gone=True)
    town.queue(town.unit, kept, 3)  # published again after a restart
    town.queue(town.unit, done, 2)
    town.queue(town.unit, kept, 0, gone=True)  # a refusal of a reply that met no case

    items = desk.open_items()

    assert {key: each.seq for key, each in items.items()} == {
        (town.unit, kept): 4,
        (town.unit, shared): 3,
        (town.other, shared): 3,
    }


def test_following_yields_what_is_open_and_then_what_changes(town: Town, desk: DepartmentClient) -> None:
    old, new = new_id(), new_id()
    town.queue(town.unit, old, 2)
    changes = desk.follow(timeout=WAIT)
    first = next(changes)
    town.queue(town.other, new, 1)
    second = next(changes)
    town.queue(town.unit, old, 3, gone=True)
    third = next(changes)

    assert (first.unit, first.case_id, first.item and first.item.seq) == (town.unit, old, 2)
    assert (second.unit, second.case_id) == (town.other, new)
    assert (third.case_id, third.item) == (old, None)
    assert desk.open_items().keys() == {(town.other, new)}


def test_a_notice_to_the_desk_stands_beside_its_work_until_a_newer_one_about_its_category(
    town: Town, desk: DepartmentClient
) -> None:
    case_id = new_id()
    town.queue(town.unit, case_id, 3)
    town.notice("dispatch_withheld", "2026-11-23")
    assert set(desk.open_items()) == {(town.unit, case_id)}
    (told,) = desk.notices()
    assert (told.code, told.category) == ("dispatch_withheld", "0505")
    changes = desk.follow(timeout=1)
    assert {next(changes).case_id, next(changes).case_id} == {case_id, "notice/0505"}
    town.notice("dispatch_withheld", "2026-11-23")  # by another worker
    town.notice("dispatch_given_back", "2026-11-23")
    (change,) = list(changes)
    assert (change.item, change.notice) == (None, desk.notices()[0])
    assert [each.code for each in desk.notices()] == ["dispatch_given_back"]


def test_the_result_of_a_reply_comes_on_the_units_own_queue(town: Town, desk: DepartmentClient) -> None:
    case = new_id()
    town.queue(town.unit, case, 2)
    reply = desk.accept(desk.open_items()[town.unit, case])
    assert desk.result_of([reply], timeout=0.3) == {}
    town.queue(town.unit, case, 3, reply=reply)

    result = desk.result_of([reply], timeout=WAIT)[reply]

    assert result.applied
    assert (result.text, result.case_id) == ("已受理", case)
    assert desk.open_items()[town.unit, case].seq == 3


def test_a_reply_to_a_case_two_units_hold_must_say_whose_it_is(town: Town, desk: DepartmentClient) -> None:
    case = new_id()
    town.queue(town.unit, case, 2)
    town.queue(town.other, case, 2)
    desk.open_items()

    with pytest.raises(ClientError, match="say which one replies"):
        desk.accept(case)
