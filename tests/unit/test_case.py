"""The life of a case: stories first, then what must hold whatever happens."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routers.case import TABLE, decide
from routers.city import City
from routers.demand import Candidate, Classification, DemandKind, ResolvedPlace, Ruling, Verdict
from routers.fold import EVENT_KINDS, fold, replay
from routers.follow import clocks, queues
from routers.inputs import (
    Accept,
    Answer,
    CallBack,
    ClockRanOut,
    Contact,
    Decline,
    Input,
    Note,
    Register,
    Return,
    Reveal,
    Rule,
    Supplement,
    Urge,
    Withdraw,
)
from routers.judgement import judgement
from routers.life import ENDED, HELD_AT_MOST, OPEN, ORPHAN_WAIT, Case, CaseState, Event, Facts, Held, Refusal, Role
from tests.cities import qinglan

T0 = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
CITY: City = qinglan()
DESK, SUPERVISOR = CITY.policies.desk, CITY.policies.supervisor
WATER, ROADS, STREET = "U-WATER", "U-ROAD", "S01"

FACTS = Facts(
    channel="hotline",
    created_at=T0,
    received_at=T0,
    text="楼下水管爆了,水漫到马路上",
    place=ResolvedPlace(street="S01"),
    classification=Classification(category="0101", model="test"),
)


class Story:
    """A case as its inputs come in, one minute after the other."""

    def __init__(self, facts: Facts = FACTS) -> None:
        self.case = Case("01ARZ3NDEKTSV4RRFFQ69G5FAV")
        self.events: list[Event] = []
        self.facts = facts
        self.now = T0
        self._numbers = count(1)

    def says(self, actor: str, kind: type[Input], **fields: object) -> tuple[str, ...] | str:
        """Let somebody say something; returns the kinds of events, or the refusal's code."""
        return self.given(kind(id=f"i{next(self._numbers)}", at=self.now, actor=actor, **fields))

    def given(self, said: Input) -> tuple[str, ...] | str:
        self.now += timedelta(minutes=1)
        decision = decide(self.case, said, self.now, CITY)
        if isinstance(decision, Refusal):
            return decision.code
        for event in decision:
            registers = event.kind == "case.registered"
            self.case = fold(self.case, event, facts=self.facts if registers else None)
            self.events.append(event)
        return tuple(event.kind.removeprefix("case.") for event in decision)

    def registered(self, ruling: Ruling = Ruling.DISPATCH, unit: str | None = WATER, **verdict: object) -> Story:
        text = "您的问题答复如下" if ruling is not Ruling.DISPATCH else None
        said = Verdict(ruling=ruling, reason="test", unit=unit, text=text, **verdict)
        self.says("pipeline", Register, facts=self.facts, verdict=said, tier="U24H")
        return self

    def answered(self, unit: str = WATER) -> Story:
        self.says(unit, Accept)
        self.says(unit, Contact, text="已电话联系")
        self.says(unit, Answer, text="已修好")
        return self


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


# ---- what the desk watches, and what is learned ----------------------------------------------------

OWNERS = (
    Candidate(unit=WATER, category="0101", score=1.4, why="供水：停水"),
    Candidate(unit=STREET, category="0101", score=0, why="供水：协办"),
)
UNSURE = FACTS.model_copy(update={"candidates": OWNERS})


def judged(story: Story) -> bool | None:
    found = judgement(story.case)
    assert found is None or (found.category, found.model, found.at) == ("0101", "test", story.case.judged_at)
    return found.right if found else None


def watched() -> Story:
    story = Story(UNSURE).registered(watch=True)
    assert set(queues(story.case, CITY)) == {WATER, DESK}
    assert queues(story.case, CITY)[DESK] == (Role.DESK, "watch")
    return story


def test_what_is_urgent_is_with_its_unit_while_the_desk_looks_on() -> None:
    story = watched()
    assert story.case.custodian == WATER
    assert story.says(DESK, Accept) == "not_yours"
    assert story.says(WATER, Accept) == ("accepted",)
    assert DESK in queues(story.case, CITY), "the desk has not looked at it yet"
    story.says(WATER, Contact)
    assert story.says(WATER, Answer, text="已关阀") == ("done",)
    story.says(DESK, CallBack, solved=False)
    assert set(queues(story.case, CITY)) == {WATER}, "what was done and called back the desk knows"


def test_the_desk_moves_what_it_watches_to_the_right_unit_by_its_usual_ruling() -> None:
    story = watched()
    story.says(WATER, Accept)
    assert story.says(DESK, Rule, to=ROADS, reason="路面塌陷") == ("dispatched",)
    assert (story.case.lead, story.case.accepted, story.case.ruled_wrong) == (ROADS, False, ())
    assert set(queues(story.case, CITY)) == {ROADS}
    assert judged(story) is False
    assert story.says(DESK, Rule, to=WATER) == "not_yours", "it watches no more"


def test_the_desk_may_say_that_it_is_where_it_belongs_and_the_unit_goes_on() -> None:
    story = watched()
    story.says(WATER, Accept)
    assert story.says(DESK, Rule, to=WATER, category="?") == "unknown_category"
    assert story.says(DESK, Rule, to=WATER, co=(ROADS, WATER), final=True) == ("confirmed",)
    case = story.case
    assert (case.state, case.dispatches, case.co) == (CaseState.IN_PROGRESS, 1, (ROADS,))
    assert not case.returnable
    assert set(queues(case, CITY)) == {WATER, ROADS}
    assert judged(story) is True


def test_what_is_returned_while_the_desk_watches_comes_to_it_to_be_ruled_on() -> None:
    story = watched()
    story.says(WATER, Return, reason="R1")
    assert queues(story.case, CITY) == {DESK: (Role.DESK, "rule")}
    story.says(DESK, Rule, to=WATER)
    assert set(queues(story.case, CITY)) == {WATER}


def test_only_what_it_watches_the_desk_may_take_from_a_unit() -> None:
    story = Story().registered()
    assert story.says(DESK, Rule, to=ROADS) == "not_yours"
    assert story.says(SUPERVISOR, Rule, to=ROADS) == ("dispatched",)


def test_a_dispatch_by_machine_was_right_when_the_case_is_closed_where_it_was_sent() -> None:
    story = Story().registered().answered()
    assert judged(story) is None
    story.says(DESK, CallBack, solved=True)
    assert judged(story) is True


def test_an_upheld_return_says_that_the_machine_was_wrong_and_closing_does_not_unsay_it() -> None:
    story = Story().registered()
    story.says(WATER, Return, reason="R1")
    assert judged(story) is None
    story.says(DESK, Rule, to=ROADS)
    assert judged(story) is False
    story.answered(ROADS).says(DESK, CallBack, solved=True)
    assert (story.case.state, judged(story)) == (CaseState.CLOSED, False)


def test_a_rejected_return_says_that_the_machine_was_right() -> None:
    story = Story().registered()
    story.says(WATER, Return, reason="R1")
    story.says(DESK, Rule, to=WATER)
    assert judged(story) is True


@pytest.mark.parametrize(("to", "right"), [(WATER, True), (ROADS, False), (STREET, False)])
def test_the_desks_ruling_judges_what_the_machine_was_not_sure_of(to: str, *, right: bool) -> None:
    story = Story(UNSURE).registered(Ruling.DESK, None)
    story.says(DESK, Rule, to=to)
    assert judged(story) is right


def test_a_later_ruling_replaces_an_earlier_judgement() -> None:
    story = Story(UNSURE).registered(Ruling.DESK, None)
    story.says(DESK, Rule, to=ROADS)
    story.says(ROADS, Return, reason="R1")
    story.says(DESK, Rule, to=WATER)
    assert judged(story) is True


def test_where_one_of_several_companies_leads_only_one_that_was_shown_is_known_to_be_right() -> None:
    two = tuple(Candidate(unit=unit, category="0101", score=1, why="") for unit in (WATER, ROADS))
    for to, right in ((WATER, True), (ROADS, True), (STREET, None)):
        story = Story(FACTS.model_copy(update={"candidates": two})).registered(Ruling.DESK, None)
        story.says(DESK, Rule, to=to)
        assert judged(story) is right


@pytest.mark.parametrize("facts", [FACTS, UNSURE.model_copy(update={"classification": Classification(model="test")})])
def test_where_the_machine_named_no_unit_there_is_nothing_to_judge(facts: Facts) -> None:
    story = Story(facts).registered(Ruling.DESK, None)
    story.says(DESK, Rule, to=WATER)
    story.answered().says(DESK, CallBack, solved=True)
    assert judged(story) is None


def test_a_case_that_a_supervisor_moved_says_nothing_of_the_machine() -> None:
    story = Story().registered()
    story.says(SUPERVISOR, Rule, to=ROADS)
    story.answered(ROADS).says(DESK, CallBack, solved=True)
    assert (story.case.state, judged(story)) == (CaseState.CLOSED, None)


def test_a_withdrawn_case_says_nothing_of_the_machine() -> None:
    story = Story().registered()
    story.says("citizen", Withdraw)
    assert judged(story) is None


def test_a_stranger_may_do_nothing() -> None:
    story = Story().registered()
    assert story.says(ROADS, Accept) == "not_your_case"
    assert story.says(DESK, Accept) == "not_yours"
    assert story.says(ROADS, CallBack, solved=True) == "not_in_this_state"
    assert Story().says(ROADS, Accept) == "unknown_case"


def test_every_event_the_table_names_can_be_folded() -> None:
    assert {kind for row in TABLE for kind in row.events} <= set(EVENT_KINDS)


# ---- whatever happens ----------------------------------------------------------------------------

_UNITS = st.sampled_from([WATER, ROADS, STREET, DESK, SUPERVISOR, "U-GAS"])
_TEXT = st.sampled_from(["", "已处理", "再看看"])
_WHO = st.one_of(_UNITS, st.just("citizen"))


def _said(kind: type[Input], who: st.SearchStrategy[str], **fields: st.SearchStrategy[object]) -> st.SearchStrategy:
    return st.builds(kind, id=st.uuids().map(str), at=st.just(T0), actor=who, **fields)


_VERDICTS = st.builds(
    Verdict,
    ruling=st.sampled_from(list(Ruling)),
    reason=st.just("test"),
    unit=st.one_of(st.none(), _UNITS, st.just("X-LOCAL")),
    co=st.lists(_UNITS, max_size=3).map(tuple),
    watch=st.booleans(),
)
_REASONS = st.sampled_from([*CITY.policies.return_reasons, "R9"])
_INPUTS = st.one_of(
    _said(Register, st.just("pipeline"), facts=st.just(FACTS), verdict=_VERDICTS, tier=st.sampled_from([*CITY.tiers])),
    _said(Accept, _UNITS),
    _said(Contact, _UNITS, text=_TEXT),
    _said(Note, _UNITS, text=_TEXT),
    _said(Reveal, _UNITS, purpose=st.sampled_from([*CITY.policies.reveal_purposes, "?"]), message=_TEXT),
    _said(Answer, _UNITS, text=_TEXT, exemption=st.sampled_from([None, *CITY.policies.contact_exemptions, "none"])),
    _said(Return, _UNITS, reason=_REASONS, basis=_TEXT, propose=st.one_of(st.none(), _UNITS)),
    _said(Rule, _UNITS, to=_UNITS, co=st.lists(_UNITS, max_size=3).map(tuple), final=st.booleans()),
    _said(Decline, _UNITS, code=st.sampled_from([*CITY.policies.decline_codes, "?"]), text=_TEXT),
    _said(CallBack, _WHO, reached=st.booleans(), solved=st.one_of(st.none(), st.booleans())),
    _said(Urge, st.just("citizen"), text=_TEXT),
    _said(Supplement, st.just("citizen"), text=_TEXT),
    _said(Withdraw, st.just("citizen")),
    _said(
        ClockRanOut, st.just("clock"), clock=st.sampled_from(["accept", "due", "orphan"]), generation=st.integers(0, 3)
    ),
)


@settings(max_examples=100, deadline=None)
@given(histories=st.lists(st.tuples(_INPUTS, st.integers(0, 60 * 48)), max_size=25), reachable=st.booleans())
def test_the_invariants_hold_over_every_history(histories: list[tuple[Input, int]], *, reachable: bool) -> None:
    facts = UNSURE.model_copy(update={"reachable": reachable})
    story = Story(facts)
    for said, minutes in histories:
        story.now += timedelta(minutes=minutes)
        before = story.case
        given_now = replace(said, facts=facts) if isinstance(said, Register) else said
        result = story.given(given_now)
        _check(story, before, given_now, result)
    assert replay(story.case.case_id, story.events, facts) == story.case  # I10


def _check(story: Story, before: Case, said: Input, result: tuple[str, ...] | str) -> None:
    case = story.case
    rows = [row for row in TABLE if before.state in row.states and isinstance(said, row.given)]
    if isinstance(result, str):
        assert case == before, "a refusal changes nothing"
    else:
        assert {f"case.{kind}" for kind in result} <= {kind for row in rows for kind in row.events}
    # I1 one custodian while open, none otherwise
    assert (case.custodian is not None) == (case.state in OPEN)
    assert (case.state in ENDED) == (case.ended_at is not None)
    # I2 custody tiles the life
    for earlier, later in zip(case.custody, case.custody[1:], strict=False):
        assert earlier.until == later.since
        assert earlier.since <= later.since
    if case.custody:
        assert case.custody[0].since == case.registered_at
        assert case.custody[-1].until == case.ended_at
        assert all(custody.until is not None for custody in case.custody[:-1])
    # I3 one lead, nobody both
    if case.state in {CaseState.DISPATCHED, CaseState.IN_PROGRESS}:
        assert case.lead == case.custodian
        assert case.lead not in case.co
        assert len(set(case.co)) == len(case.co)
    # I4, I5
    if case.state is CaseState.DISPATCHED:
        assert case.lead not in case.ruled_wrong
    assert case.returns <= CITY.policies.max_returns
    # I6 done needs answer, result and contact or a coded exemption
    if case.state is CaseState.CALL_BACK:
        assert case.answer
        assert case.result
        assert case.contacted or case.contact_exemption in CITY.policies.contact_exemptions
    # the desk stands beside a unit only while it watches; who holds the case does not change by that
    beside = case.state in {CaseState.DISPATCHED, CaseState.IN_PROGRESS} and case.lead != DESK
    assert (beside and case.watched) or queues(case, CITY).get(DESK, (None, None))[1] != "watch"
    # a judgement stays until another ruling, and is of the machine's own answer
    assert before.right is None or case.right is not None
    assert case.right in {None, before.right} or set(result) & {"dispatched", "confirmed", "closed"}
    # who has it open and which clocks run follow from the state
    assert bool(queues(case, CITY)) == case.open
    assert all(name == "orphan" for name in clocks(case)) or case.open
