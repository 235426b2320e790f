"""拆分: the desk makes a case of each wish. Every part is opened once, whatever is told twice or breaks off."""

import itertools
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from routers.case import decide
from routers.confidential import confidential
from routers.demand import DemandKind, Part, Ruling, UnitCode, Verdict
from routers.fold import fold, replay
from routers.inputs import Decline, Piece, Split, Urge
from routers.life import Case, CaseState, Refusal
from routers.receipt import receipt
from routers.split import openings, part_id
from sinks.audit import PartitionLog, audit
from sinks.cases import case_file
from sinks.ledger import Partition
from sinks.queries import snapshot
from streams import decoding, envelope, parts, topics
from streams import messages as wire
from streams.client import ClientError
from streams.contacts import Brought
from streams.decoding import is_demand_id
from streams.records import Record
from streams.schemas import EXAMPLES
from tests.office import DESK, LAMPS, NINE, ROADS, STEPS, Killed, Office, takeover
from tests.story import CITY, SUPERVISOR, T0, UNSURE, WATER, Story

PIECES = (Piece("路灯坏了六盏", LAMPS, "0505"), Piece("路面塌了一个坑", ROADS, "0501"))
TWO = (
    wire.SplitPart(text="路灯坏了六盏", to=LAMPS, category="0505"),
    wire.SplitPart(text="路面塌了一个坑，请打13800138000", to=ROADS, category="0501"),
)


def at_desk(**facts: Any) -> Story:
    story = Story(UNSURE.model_copy(update=facts))
    story.registered(Ruling.DESK, None)
    return story


# ---- what the desk decides --------------------------------------------------------------------------


def test_a_case_at_the_desk_ends_in_its_parts() -> None:
    story = at_desk()
    assert story.says(DESK, Split, parts=PIECES) == ("split",)
    assert story.case.state is CaseState.SPLIT
    assert story.case.children == (part_id(story.case.case_id, 1), part_id(story.case.case_id, 2))
    assert (story.case.custodian, story.case.open) == (None, False)
    assert replay(story.case.case_id, story.events, story.facts) == story.case


def test_parts_have_ids_of_their_own_that_are_always_the_same() -> None:
    ids = [
        part_id(parent, number)
        for parent in ("01ARZ3NDEKTSV4RRFFQ69G5FAV", "7ZZZZZZZZZ0000000000000000")
        for number in range(1, 11)
    ]
    assert len(set(ids)) == len(ids)
    assert all(is_demand_id(each) for each in ids)
    assert part_id("01ARZ3NDEKTSV4RRFFQ69G5FAV", 1) == "01ARZ3NDEK" + ids[0][10:]


@pytest.mark.parametrize(
    ("pieces", "code"),
    [
        (PIECES[:1], "one_part"),
        ((), "one_part"),
        ((PIECES[0], replace(PIECES[1], to="U-MOON")), "unknown_unit"),
        ((PIECES[0], replace(PIECES[1], co=("X-LOCAL",))), "unknown_unit"),
        ((PIECES[0], replace(PIECES[1], category="9999")), "unknown_category"),
        ((PIECES[0], replace(PIECES[1], text="  ")), "part_empty"),
    ],
)
def test_a_split_that_cannot_be_is_refused_with_its_reason(pieces: tuple[Piece, ...], code: str) -> None:
    story = at_desk()
    assert story.says(DESK, Split, parts=pieces) == code
    assert story.case.state is CaseState.IN_REVIEW
    assert f"reply.{code}" in CITY.texts


def test_only_the_desk_splits_and_only_what_it_holds_or_watches() -> None:
    held = at_desk()
    assert held.says(WATER, Split, parts=PIECES) == "not_your_case"
    assert held.says(SUPERVISOR, Split, parts=PIECES) == "not_yours"
    with_unit = Story()
    with_unit.registered(Ruling.DISPATCH, unit=WATER)
    assert with_unit.says(WATER, Split, parts=PIECES) == "not_yours"
    assert with_unit.says(DESK, Split, parts=PIECES) == "not_at_desk"
    watched = Story()
    watched.registered(Ruling.DISPATCH, unit=WATER, watch=True)
    assert watched.says(DESK, Split, parts=PIECES) == ("split",)


def test_what_was_split_is_neither_split_nor_replied_to_again() -> None:
    story = at_desk()
    story.says(DESK, Split, parts=PIECES)
    assert story.says(DESK, Split, parts=PIECES) == "case_ended"
    assert story.says(DESK, Decline, code="IN_HAND", text="正在办理") == "case_split"
    assert story.says("citizen", Urge) == "case_split"


def opened(story: Story, number: int) -> Case:
    """A part as its opening makes it."""
    opening = list(openings(story.case, story.events[-1], CITY))[number - 1]
    case = Case(part_id(story.case.case_id, number))
    events = decide(None, opening, story.now, CITY)
    assert not isinstance(events, Refusal)
    for each in events:
        case = fold(case, each, facts=opening.facts if each.kind == "case.registered" else None)
    return case


def test_a_part_is_a_case_of_its_own_but_for_the_citizens_clock() -> None:
    story = at_desk()
    story.now += timedelta(hours=5)
    story.says(DESK, Split, parts=PIECES)
    part = opened(story, 2)
    assert part.facts is not None
    assert (part.parent, part.number) == (story.case.case_id, 2)
    assert (part.state, part.lead, part.category) == (CaseState.DISPATCHED, ROADS, "0501")
    assert part.facts.text == "路面塌了一个坑"
    assert part.tier == CITY.tier_of("0501").code
    assert story.case.registered_at is not None
    assert part.due_at == story.case.registered_at + CITY.tiers[part.tier].close, "the citizen has waited five hours"
    assert part.accept_by == story.now + CITY.tiers[part.tier].accept, "the unit has not"
    assert part.named is None, "the desk said whose it is: no judgement of the machine"


def test_a_part_hides_its_sender_where_the_whole_did() -> None:
    story = at_desk(classification=UNSURE.classification.model_copy(update={"kind": DemandKind.REPORT}))
    assert confidential(story.case, CITY)
    story.says(DESK, Split, parts=PIECES)
    part = opened(story, 1)
    assert part.facts is not None
    assert part.facts.confidential
    assert confidential(part, CITY)


def test_a_part_is_not_split_again() -> None:
    story = at_desk()
    story.says(DESK, Split, parts=PIECES)
    part = opened(story, 1)
    returned = replace(part, state=CaseState.RETURN_PENDING, custodian=DESK)
    assert decide(returned, Split("s2", T0, DESK, PIECES), story.now, CITY) == Refusal("is_a_part")


def test_proposed_parts_become_parts_of_a_split() -> None:
    text = "路灯坏了；井盖碎了"
    item = _item(
        text, (Part(start=0, end=4, category="0505", unit=LAMPS), Part(start=5, end=9, category="0503", unit=ROADS))
    )
    assert [(each.text, each.to, each.category) for each in parts.proposed(item)] == [
        ("路灯坏了", LAMPS, "0505"),
        ("井盖碎了", ROADS, "0503"),
    ]
    with pytest.raises(ClientError, match="part 1"):
        parts.proposed(_item(text, (Part(start=0, end=4, category="0505"),)))
    with pytest.raises(ClientError, match="one wish"):
        parts.proposed(_item(text, ()))


def test_a_clerk_types_a_part_in_one_line() -> None:
    assert parts.typed("U-LIGHT:0505:路灯坏了：六盏:全灭") == wire.SplitPart(
        text="路灯坏了：六盏:全灭", to=LAMPS, category="0505"
    )
    for wrong in ("", "U-LIGHT", "U-LIGHT:0505", "U-LIGHT:0505:", "路灯:0505:坏了"):
        with pytest.raises(ClientError, match="UNIT:CATEGORY:TEXT"):
            parts.typed(wrong)


def _item(text: str, seen: tuple[Part, ...]) -> wire.WorkItem:
    example = json.loads((EXAMPLES / "work.item.v1.json").read_text(encoding="utf-8"))
    return wire.WorkItem.model_validate({**example, "text": text, "parts": seen})


# ---- casework -----------------------------------------------------------------------------------------


def asks(office: Office, case_id: str, *, confidential: bool = False) -> Record:
    """A demand of two wishes that triage gave to the desk."""
    verdict = Verdict(
        ruling=Ruling.DESK, reason="several_wishes", parts=(Part(start=0, end=4, category="0505", unit=LAMPS),)
    )
    return office.demand(case_id, words="路灯坏了六盏，路面塌了一个坑", confidential=confidential, verdict=verdict)


def splits(
    office: Office, case_id: str, reply_id: str = "s1", said: tuple[wire.SplitPart, ...] = TWO, unit: UnitCode = DESK
) -> Record:
    return office.reply(
        wire.Split(reply_id=reply_id, unit=unit, case_id=case_id, at=NINE, parts=said, reason="两家的事")
    )


def told(office: Office) -> list[Record]:
    """What casework tells itself: the commands as the broker would bring them."""
    brought = []
    for each in office.broker.on(topics.COMMANDS):
        assert each.key is not None
        brought.append(office.record(topics.COMMANDS, each.key.decode(), each.value, each.headers))
    return brought


def test_both_parts_are_opened_and_the_citizen_has_a_receipt_of_each(office: Office) -> None:
    case_id = office.case_id()
    worker = office.worker()
    worker.transact([asks(office, case_id)])
    (queued,) = office.broker.on(topics.work(DESK))
    seen = decoding.decode(wire.WORK, queued.value)
    assert isinstance(seen, wire.WorkItem)
    assert [each.category for each in seen.parts] == ["0505"], "the desk sees what the machine proposes"

    worker.transact([splits(office, case_id)])
    first, second = part_id(case_id, 1), part_id(case_id, 2)
    assert office.broker.results(DESK) == {"s1": "applied"}
    assert office.broker.on(topics.work(DESK))[-1].value is None, "the desk has it no more"
    worker.transact(told(office))

    assert office.fates() == {
        case_id: ["registered", "review_requested", "split"],
        first: ["registered", "dispatched"],
        second: ["registered", "dispatched"],
    }
    *_, split, one, two = office.broker.outcomes()
    assert (split.demand_id, split.code, split.state) == (case_id, "state", "split")
    assert split.parts is not None
    assert [(each.demand_id, each.unit) for each in split.parts] == [(first, LAMPS), (second, ROADS)]
    assert all(receipt(each) in split.text for each in (first, second))
    assert [(each.demand_id, each.code, each.receipt, each.parent) for each in (one, two)] == [
        (first, "accepted", receipt(first), case_id),
        (second, "accepted", receipt(second), case_id),
    ]
    assert receipt(case_id) in one.text
    (work,) = office.broker.on(topics.work(ROADS))
    item = decoding.decode(wire.WORK, work.value)
    assert isinstance(item, wire.WorkItem)
    assert (item.parent, item.text) == (case_id, "路面塌了一个坑，请打〔手机1〕"), "what the clerk typed is masked"


def test_the_file_of_a_case_shows_its_parts_and_theirs_shows_it(office: Office) -> None:
    case_id = office.case_id()
    worker = office.worker()
    worker.transact([asks(office, case_id), splits(office, case_id)])
    with snapshot(worker.ledger.engine) as moment:
        waiting = case_file(moment, case_id)
    assert waiting is not None
    assert [each["state"] for each in waiting["children"]] == [None, None], "told, and not opened yet"
    worker.transact(told(office))
    with snapshot(worker.ledger.engine) as moment:
        whole, part = case_file(moment, case_id), case_file(moment, part_id(case_id, 2))
    assert whole is not None
    assert part is not None
    assert (whole["state"], whole["parent"]) == ("split", None)
    assert [(each["case_id"], each["unit"], each["state"]) for each in whole["children"]] == [
        (part_id(case_id, 1), LAMPS, "dispatched"),
        (part_id(case_id, 2), ROADS, "dispatched"),
    ]
    assert (part["parent"], part["children"]) == (case_id, [])
    assert [each["decision"] for each in whole["decisions"]] == ["review_requested", "split"]


def log(case_id: str) -> PartitionLog:
    return PartitionLog("app", "intake.app", 0, 0, 1, {0: case_id})


def test_the_audit_counts_the_whole_and_proves_the_parts(office: Office) -> None:
    case_id = office.case_id()
    worker = office.worker()
    worker.transact([asks(office, case_id), splits(office, case_id)])
    late = audit(worker.ledger.engine, [log(case_id)])
    assert late.unaccounted == 0
    assert {reason for _case, reason in late.broken} == {"its parent was split and it was never opened"}
    worker.transact(told(office))
    report = audit(worker.ledger.engine, [log(case_id)])
    assert (report.ok, report.cases) == (True, 3)
    assert report.channels[0].counted == {"in_review": 1}, "parts are not received"


def test_a_part_whose_split_is_gone_is_named_by_the_audit(office: Office) -> None:
    case_id = office.case_id()
    worker = office.worker()
    worker.transact([asks(office, case_id), splits(office, case_id)])
    worker.transact(told(office))
    with worker.ledger.engine.begin() as connection:
        connection.exec_driver_sql(f"DELETE FROM part WHERE case_id = '{part_id(case_id, 1)}'")
    broken = dict(audit(worker.ledger.engine, [log(case_id)]).broken)
    assert broken == {
        part_id(case_id, 1): "it was registered and no intake record asked for it",
        case_id: "it was split and its parts are not known",
    }


def test_the_citizens_contact_comes_from_under_the_demand(office: Office) -> None:
    asked: list[tuple[str, str]] = []

    def brings(case_id: str, _unit: str, reply_id: str, kept_under: str) -> Brought:
        asked.append((case_id, kept_under))
        return Brought(reply_id.encode(), ("phone",))

    case_id = office.case_id()
    first = part_id(case_id, 1)
    worker = office.worker(bring=brings)
    worker.transact([asks(office, case_id), splits(office, case_id)])
    worker.transact(told(office))
    worker.transact([office.reply(wire.Reveal(reply_id="r1", unit=LAMPS, case_id=first, at=NINE, purpose="contact"))])
    assert asked == [(first, case_id)]
    assert office.broker.results(LAMPS)["r1"] == "applied"


def test_a_report_stays_hidden_in_its_parts(office: Office) -> None:
    case_id = office.case_id()
    worker = office.worker()
    worker.transact([asks(office, case_id, confidential=True), splits(office, case_id)])
    worker.transact(told(office))
    reveal = wire.Reveal(reply_id="r1", unit=LAMPS, case_id=part_id(case_id, 1), at=NINE, purpose="contact")
    worker.transact([office.reply(reveal)])
    assert office.broker.results(LAMPS)["r1"] == "confidential"


def test_a_part_is_worked_on_and_answered_by_itself(office: Office) -> None:
    case_id = office.case_id()
    worker = office.worker()
    worker.transact([asks(office, case_id), splits(office, case_id)])
    worker.transact(told(office))
    for number, unit in ((1, LAMPS), (2, ROADS)):
        part = part_id(case_id, number)
        worker.transact(
            [
                office.reply(wire.ContactNote(reply_id=f"c{number}", unit=unit, case_id=part, at=NINE)),
                office.reply(wire.Answer(reply_id=f"a{number}", unit=unit, case_id=part, at=NINE, text="已修好")),
                office.reply(wire.CallBack(reply_id=f"b{number}", unit=DESK, case_id=part, at=NINE, solved=True)),
            ]
        )
    with snapshot(worker.ledger.engine) as moment:
        whole = case_file(moment, case_id)
    assert whole is not None
    assert [(each["state"], each["answer"]) for each in whole["children"]] == [("closed", "已修好")] * 2


# ---- once, whatever happens ---------------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("batch", ["split", "opening"])
def test_a_worker_that_dies_at_a_step_opens_each_part_once_all_the_same(office: Office, step: str, batch: str) -> None:
    case_id = office.case_id()
    office.worker().transact([asks(office, case_id)])
    split = [splits(office, case_id)]

    def die(reached: str) -> None:
        if reached == step:
            raise Killed

    def successor(records: list[Record]) -> None:
        worker = office.worker()
        takeover(office, worker).take([Partition(topics.REPLIES, 0), Partition(topics.COMMANDS, 0)])
        worker.transact(records)

    if batch == "split":
        with pytest.raises(Killed):
            office.worker(die).transact(split)
        successor(split)
        successor(told(office))
    else:
        office.worker().transact(split)
        commands = told(office)
        with pytest.raises(Killed):
            office.worker(die).transact(commands)
        successor(commands)
    each = ["registered", "dispatched"]
    assert office.fates() == {
        case_id: ["registered", "review_requested", "split"],
        part_id(case_id, 1): each,
        part_id(case_id, 2): each,
    }
    assert len(office.broker.on(topics.work(LAMPS))) == len(office.broker.on(topics.work(ROADS))) == 1
    assert office.rows("SELECT parent, number FROM part ORDER BY number") == [(case_id, 1), (case_id, 2)]


@pytest.fixture(scope="session")
def numbers() -> Iterator[int]:
    return itertools.count()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_repeats_and_any_order_open_each_part_exactly_once(
    data: st.DataObject, tmp_path: Path, laid: Path, numbers: Iterator[int]
) -> None:
    """The same reply twice, a second split, commands repeated and turned round, cut into batches anyhow."""
    folder = tmp_path / str(next(numbers))
    folder.mkdir()
    with closing(Office(folder, laid)) as office:
        case_id = office.case_id()
        office.worker().transact([asks(office, case_id)])
        replies = data.draw(st.lists(st.sampled_from(["s1", "s1", "s2"]), min_size=1, max_size=4))
        for reply_id in replies:
            office.worker().transact([splits(office, case_id, reply_id)])
        commands = [each for each in office.broker.effects.values() if each.topic == topics.COMMANDS]
        assert len(commands) == 2, "a second split is refused"
        again = data.draw(st.lists(st.sampled_from([0, 1]), max_size=4))
        order = data.draw(st.permutations([0, 1, *again]))
        records = [
            office.record(
                topics.COMMANDS, (commands[each].key or b"").decode(), commands[each].value, commands[each].headers
            )
            for each in order
        ]
        worker = office.worker()
        while records:
            size = data.draw(st.integers(1, len(records)))
            worker.transact(records[:size])
            records = records[size:]
        fates = office.fates()
        assert set(fates) == {case_id, part_id(case_id, 1), part_id(case_id, 2)}
        assert Counter(kind for events in fates.values() for kind in events) == {
            "registered": 3,
            "review_requested": 1,
            "split": 1,
            "dispatched": 2,
        }
        accepted = [each for each in office.broker.outcomes() if each.code == "accepted"]
        assert len(accepted) == 3
        assert audit(worker.ledger.engine, [log(case_id)]).ok


def test_a_refused_split_is_told_to_its_sender(office: Office) -> None:
    case_id = office.case_id()
    worker = office.worker()
    worker.transact(
        [asks(office, case_id), splits(office, case_id, "s1", TWO[:1]), splits(office, case_id, "s2", unit=LAMPS)]
    )
    assert office.broker.results(DESK)["s1"] == "one_part"
    assert office.broker.results(LAMPS) == {"s2": "not_your_case"}
    texts = [envelope.header(each.headers, envelope.RESULT_TEXT_HEADER) for each in office.broker.on(topics.work(DESK))]
    assert CITY.text("reply.one_part") in texts
    assert not office.broker.on(topics.COMMANDS)
