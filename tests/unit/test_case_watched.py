"""What the desk watches of what the machine decided, and what is learned of it."""

from __future__ import annotations

import pytest

from routers.case import TABLE
from routers.demand import Candidate, Classification, Ruling
from routers.fold import EVENT_KINDS
from routers.follow import queues
from routers.inputs import (
    Accept,
    Answer,
    CallBack,
    Contact,
    Return,
    Rule,
    Withdraw,
)
from routers.judgement import judgement
from routers.life import CaseState, Facts, Role
from tests.story import CITY, DESK, FACTS, ROADS, STREET, SUPERVISOR, UNSURE, WATER, Story


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
