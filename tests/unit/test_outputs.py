"""What the world is told of each input: who hears it, in which words, and always the same under the same id."""

from datetime import timedelta

import pytest

from routers import inputs
from routers.demand import Ruling
from routers.life import Case, CaseState, Role
from routers.receipt import receipt
from sinks.ledger import Output, Partition
from streams import envelope, topics
from streams import messages as wire
from streams.clock import for_people
from streams.outputs import Teller, work_item
from tests.cities import qinglan
from tests.told import CANDIDATE, CASE, DESK, FACTS, LAMPS, NINE, ROADS, STREET, SUPERVISOR, Talk, Told, dispatched


# -- a demand -----------------------------------------------------------------------------------------
def test_a_dispatched_demand_is_told_to_its_unit_and_its_channel() -> None:
    talk = Talk()
    told = talk.registers(co=(STREET,))
    work = told.work()
    assert work.keys() == {LAMPS, STREET}
    lead, helper = work[LAMPS], work[STREET]
    assert lead is not None
    assert helper is not None
    assert (lead.role, lead.task, lead.state) == (Role.LEAD, "handle", CaseState.DISPATCHED)
    assert (helper.role, helper.task) == (Role.CO_HANDLER, "assist")
    assert (lead.receipt, lead.text, lead.category_name) == (receipt(CASE), FACTS.text, "路灯与景观照明")
    assert talk.case is not None
    assert (lead.seq, lead.due_at, lead.accept_by) == (talk.case.seq, talk.case.due_at, talk.case.accept_by)
    (outcome,) = told.outcomes()
    assert (outcome.code, outcome.state, outcome.refused) == ("accepted", "dispatched", False)
    assert outcome.unit_name == qinglan().units[LAMPS].zh
    assert outcome.origin == wire.Origin(topic="intake.app", partition=1, offset=10)
    assert outcome.about == outcome.demand_id == CASE
    assert told.results() == []


def test_the_receipt_tells_number_unit_and_day_in_the_citys_words() -> None:
    talk = Talk()
    (outcome,) = talk.registers().outcomes()
    assert talk.case is not None
    assert talk.case.due_at is not None
    assert outcome.text == (
        f"您的诉求已受理，编号 {receipt(CASE)}，已派 {qinglan().units[LAMPS].zh} 办理，"
        f"将在 {for_people(talk.case.due_at)} 前答复。"
    )


@pytest.mark.parametrize(
    ("ruling", "unit", "state"),
    [
        (Ruling.DESK, None, CaseState.IN_REVIEW),
        (Ruling.ANSWER, None, CaseState.ANSWERED),
        (Ruling.ANSWERED, None, CaseState.ANSWERED),
        (Ruling.DECLINE, None, CaseState.DECLINED),
    ],
)
def test_every_ruling_of_triage_gives_one_receipt_and_no_second_message(
    ruling: Ruling, unit: str | None, state: CaseState
) -> None:
    told = Talk().registers(ruling, unit)
    assert told.codes() == [("accepted", state)]
    if state is CaseState.IN_REVIEW:
        item = told.work()[DESK]
        assert item is not None
        assert (item.task, item.candidates) == ("rule", (CANDIDATE,))
    else:
        assert told.work() == {}
        assert "由办理机关依法决定" in told.outcomes()[0].text
        assert told.outcomes()[0].due_at is None


def test_only_who_rules_sees_the_candidates() -> None:
    item = Talk().registers().work()[LAMPS]
    assert item is not None
    assert item.candidates == ()


def test_a_channel_the_city_does_not_have_is_told_nothing() -> None:
    talk = Talk(FACTS.model_copy(update={"channel": "carrier_pigeon"}))
    told = talk.registers()
    assert [each.topic for each in told.outputs] == [topics.work(LAMPS)]


# -- its life -----------------------------------------------------------------------------------------
def test_a_life_is_told_to_the_citizen_step_by_step() -> None:
    talk = dispatched()
    assert talk.replies(LAMPS, inputs.Accept).codes() == [("state", "in_progress")]
    assert talk.replies(LAMPS, inputs.Contact, text="已联系").codes() == []
    assert talk.replies(LAMPS, inputs.Note, text="等配件").codes() == []
    told = talk.replies(LAMPS, inputs.Answer, text="六盏灯已恢复")
    assert told.codes() == [("state", "call_back")]
    assert told.outcomes()[0].answer == "六盏灯已恢复"
    assert "六盏灯已恢复" in told.outcomes()[0].text
    told = talk.replies(DESK, inputs.CallBack, solved=True, satisfied=True)
    assert told.codes() == [("state", "closed")]
    assert told.outcomes()[0].text == f"您的诉求（编号 {receipt(CASE)}）已办结，感谢您的反映。"


def test_a_finished_piece_of_work_leaves_its_queue_as_another_enters() -> None:
    talk = dispatched()
    told = talk.done().replies(DESK, inputs.CallBack, solved=False, satisfied=False)
    assert told.work()[DESK] is None
    lead = told.work()[LAMPS]
    assert lead is not None
    assert (lead.redo, lead.task) == (1, "handle")
    (outcome,) = told.outcomes()
    assert outcome.text == (
        f"您对办理结果（编号 {receipt(CASE)}）不满意，已要求 {qinglan().units[LAMPS].zh} 重新办理。"
    )


def test_what_leaves_a_queue_is_a_tombstone_under_the_same_key_with_a_later_number() -> None:
    talk = Talk()
    (came,) = [each for each in talk.registers().outputs if each.topic == topics.work(LAMPS)]
    (went,) = [each for each in talk.citizen("withdraw", inputs.Withdraw).outputs if each.topic == topics.work(LAMPS)]
    assert went.value is None
    assert went.key == came.key == CASE.encode()
    numbers = [int(envelope.header(each.headers, envelope.SEQUENCE_HEADER) or "") for each in (came, went)]
    assert numbers == [came.seq, went.seq]
    assert numbers[0] < numbers[1]


def test_a_helper_is_spared_the_leads_every_word() -> None:
    talk = dispatched(co=(STREET,))
    assert talk.replies(LAMPS, inputs.Accept).work().keys() == {LAMPS}
    assert talk.replies(LAMPS, inputs.Note, text="等配件").work().keys() == {LAMPS}
    assert talk.replies(STREET, inputs.Note, text="已联系物业").work().keys() == {LAMPS, STREET}
    told = talk.citizen("withdraw", inputs.Withdraw)
    assert told.work() == {LAMPS: None, STREET: None}


def test_an_urge_reaches_the_lead_and_the_citizen_is_told_so() -> None:
    talk = dispatched()
    told = talk.citizen("urge", inputs.Urge, text="请快一点")
    item = told.work()[LAMPS]
    assert item is not None
    assert item.urged == 1
    (outcome,) = told.outcomes()
    assert (outcome.code, outcome.about) == ("follow_up", "urge-11")
    assert outcome.origin == wire.Origin(topic="intake.app", partition=1, offset=11)
    assert outcome.text == f"已为您催办，编号 {receipt(CASE)}。"


def test_a_follow_up_from_another_channel_is_answered_there_and_the_change_told_at_home() -> None:
    told = dispatched().citizen("withdraw", inputs.Withdraw, channel="hotline")
    assert told.codes("hotline") == [("follow_up", "withdrawn")]
    assert told.codes("app") == [("state", "withdrawn")]


def test_a_follow_up_that_overtakes_its_demand_is_confirmed_without_a_state() -> None:
    talk = Talk()
    told = talk.citizen("urge", inputs.Urge)
    (outcome,) = told.outcomes()
    assert (outcome.code, outcome.state) == ("follow_up", None)
    assert outcome.text == f"已收到。您的诉求正在登记，登记后立即生效，编号 {receipt(CASE)}。"
    assert told.work() == {}
    told = talk.registers()
    item = told.work()[LAMPS]
    assert item is not None
    assert item.urged == 1


def test_an_unaccepted_case_stands_before_the_supervisor_too() -> None:
    talk = dispatched()
    assert talk.case is not None
    talk.now = NINE + timedelta(days=30)
    told = talk.runs_out("accept")
    item = told.work()[SUPERVISOR]
    assert item is not None
    assert (item.task, item.role) == ("supervise", Role.SUPERVISOR)
    assert told.codes() == []
    assert talk.replies(LAMPS, inputs.Accept).work()[SUPERVISOR] is None


def test_the_desk_is_told_at_once_of_what_it_watches_and_not_at_every_word() -> None:
    talk = Talk()
    told = talk.registers(watch=True)
    item, lead = told.work()[DESK], told.work()[LAMPS]
    assert item is not None
    assert (item.role, item.task, item.state) == (Role.DESK, "watch", CaseState.DISPATCHED)
    assert item.candidates == (CANDIDATE,), "whose else it might be"
    assert lead is not None
    assert (lead.task, lead.candidates) == ("handle", ())
    assert DESK not in talk.replies(LAMPS, inputs.Note, text="已派人").work()
    told = talk.replies(DESK, inputs.Rule, to=ROADS)
    assert told.results() == [(topics.work(DESK), "reply-12", "applied")]
    assert told.work()[LAMPS] is None
    assert told.work()[DESK] is None
    assert told.work()[ROADS] is not None


# -- said again, put aside ------------------------------------------------------------------------------
def test_a_repeated_demand_is_told_so_with_its_receipt() -> None:
    talk = dispatched()
    for changed, beginning in ((False, "这件诉求此前已经收到，无须"), (True, "这件诉求此前已经收到，内容以第一次")):
        teller = Teller(qinglan(), talk.arrival("demand", None, channel="app"), NINE)
        teller.repeated(talk.case, None, changed=changed)
        (outcome,) = Told(teller.outputs).outcomes()
        assert (outcome.code, outcome.receipt, outcome.refused) == ("duplicate", receipt(CASE), False)
        assert outcome.text.startswith(beginning)


def test_another_channel_learns_nothing_of_a_case_by_guessing_its_id() -> None:
    talk = dispatched()
    teller = Teller(qinglan(), talk.arrival("demand", None, channel="hotline"), NINE)
    teller.repeated(talk.case, None, changed=True)
    (outcome,) = Told(teller.outputs).outcomes("hotline")
    assert outcome.code == "duplicate"
    assert [outcome.state, outcome.receipt, outcome.unit, outcome.answer, outcome.seq] == [None, None, None, None, 0]


# -- ids and sizes --------------------------------------------------------------------------------------
def test_the_same_input_is_told_in_the_same_bytes_under_the_same_ids() -> None:
    def story() -> list[Output]:
        talk = Talk()
        told = [*talk.registers(co=(STREET,)).outputs]
        told += talk.citizen("urge", inputs.Urge, text="快").outputs
        return [*told, *talk.done().replies(DESK, inputs.CallBack, solved=True).outputs]

    first, again = story(), story()
    assert first == again
    ids = [each.message_id for each in first]
    assert len(set(ids)) == len(ids)
    for each in first:
        assert envelope.header(each.headers, "ce_id") == each.message_id
        assert each.source == Partition(each.message_id.split("/")[0], 2)


def test_a_unit_that_has_nothing_of_a_case_is_shown_nothing() -> None:
    talk = dispatched()
    assert talk.case is not None
    assert work_item(talk.case, ROADS, qinglan()) is None
    assert work_item(Case(CASE), LAMPS, qinglan()) is None
