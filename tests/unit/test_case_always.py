"""The invariants of a case, over every history."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from routers.case import TABLE
from routers.demand import Ruling, Verdict
from routers.fold import replay
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
    Piece,
    Register,
    Return,
    Reveal,
    Rule,
    Split,
    Supplement,
    Urge,
    Withdraw,
)
from routers.life import ENDED, OPEN, Case, CaseState
from tests.story import CITY, DESK, FACTS, ROADS, STREET, SUPERVISOR, T0, UNSURE, WATER, Story

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


_PIECES = st.builds(Piece, text=_TEXT, to=_UNITS, category=st.sampled_from(["0505", "0101", "?"]))


_INPUTS = st.one_of(
    _said(Register, st.just("pipeline"), facts=st.just(FACTS), verdict=_VERDICTS, tier=st.sampled_from([*CITY.tiers])),
    _said(Accept, _UNITS),
    _said(Contact, _UNITS, text=_TEXT),
    _said(Note, _UNITS, text=_TEXT),
    _said(Reveal, _UNITS, purpose=st.sampled_from([*CITY.policies.reveal_purposes, "?"]), message=_TEXT),
    _said(Answer, _UNITS, text=_TEXT, exemption=st.sampled_from([None, *CITY.policies.contact_exemptions, "none"])),
    _said(Return, _UNITS, reason=_REASONS, basis=_TEXT, propose=st.one_of(st.none(), _UNITS)),
    _said(Rule, _UNITS, to=_UNITS, co=st.lists(_UNITS, max_size=3).map(tuple), final=st.booleans()),
    _said(Split, _UNITS, parts=st.lists(_PIECES, max_size=3).map(tuple)),
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
