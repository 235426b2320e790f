"""The life of a case, in stories."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from itertools import permutations

import pytest

from routers.demand import DemandKind, Ruling
from routers.follow import clocks, queues
from routers.inputs import (
    Accept,
    Answer,
    CallBack,
    ClockRanOut,
    Contact,
    Decline,
    Input,
    Return,
    Reveal,
    Rule,
    Urge,
    Withdraw,
)
from routers.life import HELD_AT_MOST, ORPHAN_WAIT, Case, CaseState, Facts, Held
from tests.story import CITY, DESK, FACTS, ROADS, STREET, SUPERVISOR, T0, WATER, Story


def test_a_burst_pipe_is_dispatched_accepted_answered_called_back_and_closed() -> None:
    story = Story().registered()
    assert story.case.custodian == WATER
    assert story.says(WATER, Accept) == ("accepted",)
    assert story.says(WATER, Contact, text="已联系") == ("contacted",)
    assert story.says(WATER, Answer, text="水管已更换") == ("done",)
    assert (story.case.state, story.case.custodian) == (CaseState.CALL_BACK, DESK)
    assert story.says(DESK, CallBack, solved=True, satisfied=True) == ("called_back", "closed")
    assert story.case.state is CaseState.CLOSED
    assert story.case.custodian is None


def test_an_answer_that_overtakes_its_contact_note_waits_for_it() -> None:
    story = Story().registered()
    assert story.says(WATER, Answer, text="已修好") == ("accepted", "answer_filed")
    assert story.case.state is CaseState.IN_PROGRESS
    assert story.says(WATER, Contact) == ("contacted", "done")
    assert story.says(WATER, Accept) == ()
    assert story.case.answer == "已修好"


@pytest.mark.parametrize("order", list(permutations((Accept, Contact, Answer))))
def test_accept_contact_and_answer_come_to_the_same_in_any_order(order: Iterable[type[Input]]) -> None:
    story = Story().registered()
    for kind in order:
        story.says(WATER, kind, **({"text": "已修好"} if kind is Answer else {}))
    assert story.case.state is CaseState.CALL_BACK
    assert story.case.contacted
    assert story.case.answer == "已修好"


def test_done_needs_an_answer_and_a_contact_or_a_coded_exemption() -> None:
    story = Story().registered()
    assert story.says(WATER, Answer, text="  ") == "answer_missing"
    assert story.says(WATER, Answer, text="好了", exemption="because") == "unknown_exemption"
    exemption = next(iter(CITY.policies.contact_exemptions))
    assert story.says(WATER, Answer, text="好了", exemption=exemption) == ("accepted", "done")
    assert story.case.contact_exemption == exemption


def test_a_caller_who_left_no_contact_needs_none_and_is_closed_by_exemption() -> None:
    story = Story(FACTS.model_copy(update={"reachable": False})).registered()
    assert story.says(WATER, Answer, text="已处理") == ("accepted", "done")
    assert story.says(DESK, CallBack, reached=False) == ("called_back", "closed")
    assert story.case.exemption == "no_contact"


def test_a_wrong_unit_returns_the_desk_upholds_and_it_never_comes_back() -> None:
    story = Story().registered()
    assert story.says(WATER, Return, reason="R2") == "basis_missing"
    assert story.says(WATER, Return, reason="R2", basis="职责规定", propose="X-NOBODY") == "unknown_unit"
    assert story.says(WATER, Return, reason="R2", basis="职责规定", propose=ROADS) == ("return_requested",)
    assert story.case.custodian == DESK
    assert story.says(DESK, Rule, to=ROADS) == ("return_ruled", "dispatched")
    assert story.case.ruled_wrong == (WATER,)
    assert story.says(ROADS, Return, reason="R1") == ("return_requested",)
    assert story.says(DESK, Rule, to=WATER) == "ruled_wrong"


def test_a_rejected_return_binds_the_unit() -> None:
    story = Story().registered()
    story.says(WATER, Return, reason="R1")
    assert story.says(DESK, Rule, to=WATER, reason="属你单位管辖") == ("return_ruled", "dispatched")
    assert story.says(WATER, Return, reason="R1") == "not_returnable"
    assert story.case.ruled_wrong == ()


def test_the_desk_dispatches_answers_or_declines_what_triage_was_not_sure_of() -> None:
    assert Story().registered(Ruling.DESK, None).says(DESK, Rule, to=STREET, category="0101") == ("dispatched",)
    assert Story().registered(Ruling.DESK, None).says(DESK, Answer, text="按规定……") == ("answered",)
    code = next(iter(CITY.policies.decline_codes))
    assert Story().registered(Ruling.DESK, None).says(DESK, Decline, code=code, text="请向……") == ("declined",)
    assert Story().registered(Ruling.DESK, None).says(DESK, Decline, code="?", text="x") == "unknown_decline_code"
    assert Story().registered(Ruling.DESK, None).says(DESK, Rule, to="X-LOCAL") == "unknown_unit"


def test_unsolved_is_done_again_once_then_closed_by_exemption() -> None:
    story = Story().registered().answered()
    assert story.says(DESK, CallBack, solved=False, text="还在漏") == ("called_back", "redo_ordered")
    assert (story.case.state, story.case.custodian) == (CaseState.IN_PROGRESS, WATER)
    assert story.says(WATER, Answer, text="再次处理") == ("done",)
    assert story.says(DESK, CallBack, solved=False) == ("called_back", "closed")
    assert story.case.exemption == "redo_used_up"


def test_a_caller_who_cannot_be_reached_is_tried_a_few_times() -> None:
    story = Story().registered().answered()
    tries = [story.says(DESK, CallBack, reached=False) for _ in range(CITY.policies.call_back_tries)]
    assert tries == [("called_back",)] * (len(tries) - 1) + [("called_back", "closed")]
    assert story.case.exemption == "unreachable"


def test_a_withdrawal_ends_any_open_case_and_meets_an_ended_one_politely() -> None:
    story = Story().registered()
    assert story.says("citizen", Withdraw) == ("withdrawn",)
    assert story.says("citizen", Withdraw) == "case_ended"
    assert story.says(WATER, Answer, text="x") == "case_ended"


def test_a_withdrawal_that_overtakes_its_demand_is_not_lost() -> None:
    story = Story()
    assert story.says("citizen", Withdraw, channel="app") == ("follow_up_held",)
    story.registered()
    assert [event.kind for event in story.events][-1] == "case.withdrawn"
    assert story.case.state is CaseState.WITHDRAWN


def test_an_urge_that_never_meets_its_demand_lapses() -> None:
    story = Story()
    story.says("citizen", Urge, channel="app")
    due_at, generation = clocks(story.case)["orphan"]
    story.now = due_at
    assert story.says("clock", ClockRanOut, clock="orphan", generation=generation) == ("follow_up_lapsed",)
    assert clocks(story.case) == {}


def test_how_long_a_follow_up_is_held_is_not_for_its_senders_clock_to_say() -> None:
    story = Story()
    story.given(Urge("i1", T0 - timedelta(days=300), "citizen", channel="app"))
    story.given(Urge("i2", T0 + timedelta(days=300), "citizen", channel="app"))
    assert clocks(story.case) == {"orphan": (T0 + timedelta(minutes=1) + ORPHAN_WAIT, 1)}


def test_a_follow_up_held_before_its_holding_was_timed_lapses_by_its_own_time() -> None:
    held = Held("urge", "i1", T0, "app")
    assert clocks(Case("01ARZ3NDEKTSV4RRFFQ69G5FAV", held=(held,))) == {"orphan": (T0 + ORPHAN_WAIT, 1)}


def test_no_more_is_held_for_a_demand_than_a_citizen_has_to_say() -> None:
    story = Story()
    for _ in range(HELD_AT_MOST):
        assert story.says("citizen", Urge, channel="app") == ("follow_up_held",)
    assert story.says("citizen", Urge, channel="app") == "too_many_held"
    story.registered()
    assert story.case.urged == HELD_AT_MOST
    assert story.says("citizen", Urge, channel="app") == ("urged",)


def test_an_unaccepted_case_goes_to_the_supervisor_too_until_it_is_accepted() -> None:
    story = Story().registered()
    accept_by, generation = clocks(story.case)["accept"]
    assert story.says("clock", ClockRanOut, clock="accept", generation=generation) == ()
    story.now = accept_by
    assert story.says("clock", ClockRanOut, clock="accept", generation=generation + 1) == ()
    assert story.says("clock", ClockRanOut, clock="accept", generation=generation) == ("escalated",)
    assert set(queues(story.case, CITY)) == {WATER, SUPERVISOR}
    assert story.says("clock", ClockRanOut, clock="accept", generation=generation) == ()
    story.says(WATER, Accept)
    assert set(queues(story.case, CITY)) == {WATER}


def test_whoever_holds_a_case_may_reach_its_citizen_for_a_purpose_of_the_citys() -> None:
    story = Story().registered()
    assert story.says(WATER, Reveal) == "unknown_purpose"
    assert story.says(WATER, Reveal, purpose="因为想看") == "unknown_purpose"
    assert story.says(WATER, Reveal, purpose="contact", clerk="周工", message="不会转达") == ("contact_revealed",)
    assert story.events[-1].data == {"purpose": "contact", "clerk": "周工"}
    assert story.events[-1].actor == WATER
    for stranger in (ROADS, DESK, SUPERVISOR):
        assert story.says(stranger, Reveal, purpose="contact") in {"not_your_case", "not_yours"}
    assert story.says("citizen", Reveal, purpose="contact") == "not_yours"


def test_nobody_reaches_a_citizen_after_custody_has_ended() -> None:
    story = Story().registered().answered()
    assert story.says(WATER, Reveal, purpose="contact") == "not_yours"
    assert story.says(DESK, Reveal, purpose="call_back") == ("contact_revealed",)
    story.says(DESK, CallBack, solved=True)
    assert [story.says(unit, Reveal, purpose="contact") for unit in (WATER, DESK)] == ["case_ended"] * 2


def test_a_unit_whose_return_is_pending_or_that_lost_the_case_sees_no_contact() -> None:
    story = Story().registered()
    story.says(WATER, Return, reason="R1")
    assert story.says(WATER, Reveal, purpose="contact") == "not_yours"
    story.says(DESK, Rule, to=ROADS)
    assert story.says(WATER, Reveal, purpose="contact") == "not_your_case"
    assert story.says(ROADS, Reveal, purpose="contact") == ("contact_revealed",)


def test_a_co_handler_sees_no_contact() -> None:
    story = Story().registered(co=(ROADS,))
    assert story.says(ROADS, Reveal, purpose="contact") == "not_yours"


def test_who_left_no_contact_has_none_to_show() -> None:
    story = Story(FACTS.model_copy(update={"reachable": False})).registered()
    assert story.says(WATER, Reveal, purpose="contact") == "no_contact"


REPORT = FACTS.classification.model_copy(update={"kind": DemandKind.REPORT})


@pytest.mark.parametrize(
    "facts", [FACTS.model_copy(update={"confidential": True}), FACTS.model_copy(update={"classification": REPORT})]
)
def test_a_hidden_sender_is_left_a_message_and_only_the_desk_sees_the_contact(facts: Facts) -> None:
    story = Story(facts).registered()
    assert story.says(WATER, Reveal, purpose="contact") == "confidential"
    assert story.says(WATER, Reveal, purpose="contact", message=" ") == "confidential"
    assert story.says(WATER, Reveal, purpose="contact", message="请补充门牌号") == ("message_relayed",)
    assert story.case.notes == ("请补充门牌号",)
    story.answered()
    assert story.says(DESK, Reveal, purpose="call_back") == ("contact_revealed",)


def test_a_ruling_that_finds_a_confidential_matter_hides_its_sender_from_then_on() -> None:
    hidden = next(code for code, category in CITY.categories.items() if "confidential" in category.flags)
    story = Story().registered(Ruling.DESK, None)
    story.says(DESK, Rule, to=ROADS, category=hidden)
    assert story.says(ROADS, Reveal, purpose="contact") == "confidential"
