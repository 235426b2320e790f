"""What units are told of their replies: the result once, in words, and how their queue stands."""

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routers import inputs
from routers.follow import queues
from routers.inputs import Input
from streams import envelope, topics
from streams.outputs import Teller
from tests.cities import qinglan
from tests.told import _SAID, CASE, DESK, LAMPS, NINE, ROADS, STREET, SUPERVISOR, Talk, Told, dispatched


# -- results of replies -------------------------------------------------------------------------------
def test_a_reply_is_answered_on_its_units_queue_with_a_text_for_the_clerk() -> None:
    told = dispatched().replies(LAMPS, inputs.Accept)
    assert told.results() == [(topics.work(LAMPS), "reply-11", "applied")]
    (record,) = [each for each in told.outputs if each.topic == topics.work(LAMPS)]
    assert envelope.header(record.headers, envelope.RESULT_TEXT_HEADER) == "已生效。"


def test_a_reply_that_changes_nothing_is_answered_all_the_same() -> None:
    talk = dispatched()
    talk.replies(LAMPS, inputs.Accept)
    told = talk.replies(LAMPS, inputs.Accept)
    assert [(result, each.seq) for (_, _, result), each in zip(told.results(), told.outputs, strict=True)] == [
        ("applied", talk.case.seq if talk.case else None)
    ]


def test_a_unit_that_returns_its_case_is_answered_as_it_goes() -> None:
    told = dispatched().replies(LAMPS, inputs.Return, reason="R2", basis="职责清单第四条", propose=ROADS)
    assert told.results() == [(topics.work(LAMPS), "reply-11", "applied")]
    assert told.work()[LAMPS] is None
    assert told.work()[DESK] is not None


def test_a_refused_reply_shows_what_the_unit_has_and_why_not() -> None:
    talk = dispatched()
    told = talk.replies(LAMPS, inputs.Return, reason="R2")
    assert told.results() == [(topics.work(LAMPS), "reply-11", "basis_missing")]
    (record,) = told.outputs
    assert envelope.header(record.headers, envelope.RESULT_TEXT_HEADER) == "此类退单须写明依据。"
    assert told.work()[LAMPS] is not None


def test_a_stranger_is_refused_on_its_own_queue_and_sees_nothing_of_the_case() -> None:
    told = dispatched().replies(ROADS, inputs.Accept)
    assert told.results() == [(topics.work(ROADS), "reply-11", "not_your_case")]
    assert told.work() == {ROADS: None}


def test_a_reply_to_a_case_that_does_not_exist_is_refused() -> None:
    told = Talk().replies(LAMPS, inputs.Accept)
    assert told.results() == [(topics.work(LAMPS), "reply-10", "unknown_case")]
    assert told.outputs[0].key != CASE.encode(), "under the key of a case, compaction would take an open item with it"


def test_a_code_without_words_is_told_as_the_code() -> None:
    talk = dispatched()
    teller = Teller(qinglan(), talk.arrival("reply", None, unit=LAMPS), NINE)
    teller.refused(talk.case, "moon_phase")
    assert envelope.header(teller.outputs[0].headers, envelope.RESULT_TEXT_HEADER) == "未受理，原因代码 moon_phase。"


_HISTORY = st.lists(st.tuples(st.sampled_from([LAMPS, ROADS, STREET, DESK, SUPERVISOR]), _SAID), min_size=1, max_size=8)


@given(history=_HISTORY, escalates=st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_replys_result_is_told_once_and_queues_show_where_the_case_stands(
    history: Iterable[tuple[str, tuple[type[Input], dict[str, Any]]]], *, escalates: bool
) -> None:
    talk = Talk()
    shown = dict(talk.registers(co=(STREET,)).work())
    if escalates:
        talk.now += timedelta(days=30)
        shown |= talk.runs_out("accept").work()
    for unit, (kind, fields) in history:
        told = talk.replies(unit, kind, **fields)
        ((topic, _reply, result),) = told.results()
        assert topic == topics.work(unit)
        assert result
        assert max(Counter(each.topic for each in told.outputs if each.topic != "outcome.app").values()) == 1
        shown |= told.work()
        stands = queues(talk.case, qinglan())
        assert {each for each, item in shown.items() if item is not None} == stands.keys()
        for each, item in told.work().items():
            assert item is None or (item.role, item.task) == stands[each]


@pytest.mark.parametrize("code", [None, "basis_missing"])
def test_a_repeated_reply_is_told_its_first_result(code: str | None) -> None:
    talk = dispatched()
    teller = Teller(qinglan(), talk.arrival("reply", None, unit=LAMPS), NINE)
    teller.repeated(talk.case, code, changed=False)
    assert Told(teller.outputs).results() == [(topics.work(LAMPS), "reply-11", code or "applied")]
