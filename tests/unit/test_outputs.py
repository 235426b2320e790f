"""What the world is told of each input: who hears it, in which words, and always the same under the same id."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routers import inputs
from routers.case import decide
from routers.demand import Candidate, Classification, DemandKind, ResolvedPlace, Ruling, Verdict
from routers.fold import fold
from routers.follow import queues
from routers.inputs import Input
from routers.life import Case, CaseState, Facts, Refusal, Role
from routers.receipt import receipt
from sinks.ledger import Output, Partition
from streams import decoding, envelope, topics
from streams import messages as wire
from streams.arrivals import Arrival, Problem
from streams.clock import for_people
from streams.outputs import OversizeError, Teller, fitting, work_item
from streams.records import Record
from tests.cities import qinglan

CASE = "01KJP0V050DHGPTW3K41GQ8C1H"
LAMPS, ROADS, STREET = "U-LIGHT", "U-ROAD", "S01"
DESK, SUPERVISOR = qinglan().policies.desk, qinglan().policies.supervisor
NINE = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
CANDIDATE = Candidate(unit=LAMPS, category="0505", score=0.4, why="派单目录 R0505")

FACTS = Facts(
    channel="app",
    created_at=NINE,
    received_at=NINE,
    title="路灯不亮",
    text="解放路的路灯三天不亮",
    address="解放路1号",
    place=ResolvedPlace(street=STREET, name="虹桥社区"),
    classification=Classification(category="0505", kind=DemandKind.HELP, confidence=0.9, model="test"),
    candidates=(CANDIDATE,),
)


@dataclass(frozen=True)
class Told:
    """The outputs of one input, read as their readers read them."""

    outputs: Sequence[Output]

    def results(self) -> list[tuple[str, str, str]]:
        """Topic, reply and result of every record that answers a reply."""
        found = []
        for each in self.outputs:
            reply, result = (
                envelope.header(each.headers, name) for name in (envelope.REPLY_HEADER, envelope.RESULT_HEADER)
            )
            if reply is not None and result is not None:
                found.append((each.topic, reply, result))
        return found

    def work(self) -> dict[str, wire.WorkItem | None]:
        """What each unit's queue now shows of the case; None: nothing any more."""
        prefix = topics.work("")
        return {
            each.topic.removeprefix(prefix): each.value and decoding.decode(wire.WORK, each.value)  # type: ignore[misc]  # b"" is never sent
            for each in self.outputs
            if each.topic.startswith(prefix)
        }

    def outcomes(self, channel: str = "app") -> list[wire.Outcome]:
        return [
            decoding.decode(wire.OUTCOME, each.value) for each in self.outputs if each.topic == topics.outcome(channel)
        ]

    def codes(self, channel: str = "app") -> list[tuple[str, str | None]]:
        return [(each.code, each.state) for each in self.outcomes(channel)]


class Talk:
    """A case, and what is told as its inputs come in."""

    def __init__(self, facts: Facts = FACTS) -> None:
        self.case: Case | None = None
        self.facts = facts
        self.now = NINE
        self._offsets = count(10)

    def arrival(self, kind: str, said: Input | None, *, unit: str | None = None, channel: str | None = None) -> Arrival:
        topic = topics.REPLIES if unit else topics.DEMANDS if channel else topics.COMMANDS
        record = Record(topic, 2, next(self._offsets), CASE.encode(), b"{}", (), self.now.timestamp())
        origin = (topics.intake(channel), 1, record.offset) if channel else None
        about = (CASE if kind == "demand" else f"{kind}-{record.offset}") if unit or channel else None
        return Arrival(record, kind, f"i{record.offset}", unit or "citizen", CASE, said, origin, channel, unit, about)

    def hears(self, arrival: Arrival) -> Told:
        """Decide and fold as casework does, and return what is told."""
        self.now += timedelta(minutes=1)
        assert arrival.given is not None
        teller = Teller(qinglan(), arrival, self.now)
        case = self.case or (Case(CASE) if arrival.origin else None)
        decision = decide(case, arrival.given, self.now, qinglan())
        if isinstance(decision, Refusal):
            teller.refused(self.case, decision.code)
        else:
            before, after = self.case, case or Case(CASE)
            for event in decision:
                after = fold(after, event, facts=self.facts if event.kind == "case.registered" else None)
            self.case = after if decision else before
            teller.applied(before, after, decision)
        return Told(teller.outputs)

    def registers(self, ruling: Ruling = Ruling.DISPATCH, unit: str | None = LAMPS, **verdict: Any) -> Told:
        text = None if ruling is Ruling.DISPATCH else "由办理机关依法决定"
        said = Verdict(ruling=ruling, reason="test", unit=unit, text=text, rule="R0505", **verdict)
        given_input = inputs.Register(CASE, self.now, Role.PIPELINE, self.facts, said, "N7D")
        return self.hears(self.arrival("demand", given_input, channel=self.facts.channel))

    def replies(self, unit: str, kind: type[Input], **fields: Any) -> Told:
        return self.hears(self.arrival("reply", kind("i", self.now, unit, **fields), unit=unit))

    def citizen(self, action: str, kind: type[Any], channel: str = "app", **fields: Any) -> Told:
        said = kind("i", self.now, Role.CITIZEN, channel=channel, **fields)
        return self.hears(self.arrival(action, said, channel=channel))

    def runs_out(self, clock: str, generation: int = 1) -> Told:
        said = inputs.ClockRanOut("i", self.now, Role.CLOCK, clock, generation)  # type: ignore[arg-type]  # a name of the test
        return self.hears(self.arrival("clock", said))

    def done(self) -> "Talk":
        """Bring the case to the call-back."""
        self.replies(LAMPS, inputs.Accept)
        self.replies(LAMPS, inputs.Contact, text="已联系")
        self.replies(LAMPS, inputs.Answer, text="六盏灯已恢复")
        return self


def dispatched(**verdict: Any) -> Talk:
    talk = Talk()
    talk.registers(**verdict)
    return talk


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


_SAID: st.SearchStrategy[tuple[type[Input], dict[str, Any]]] = st.one_of(
    st.tuples(st.just(inputs.Accept), st.just({})),
    st.tuples(st.just(inputs.Contact), st.just({"text": "已联系"})),
    st.tuples(st.just(inputs.Note), st.just({"text": "等配件"})),
    st.tuples(st.just(inputs.Answer), st.just({"text": "已修好"})),
    st.tuples(st.just(inputs.Return), st.fixed_dictionaries({"reason": st.sampled_from(["R1", "R2"])})),
    st.tuples(st.just(inputs.Rule), st.fixed_dictionaries({"to": st.sampled_from([LAMPS, ROADS, STREET, "U-MOON"])})),
    st.tuples(st.just(inputs.Decline), st.just({"code": "IN_HAND", "text": "正在办理"})),
    st.tuples(st.just(inputs.CallBack), st.fixed_dictionaries({"solved": st.sampled_from([True, False, None])})),
)
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


@pytest.mark.parametrize("code", [None, "basis_missing"])
def test_a_repeated_reply_is_told_its_first_result(code: str | None) -> None:
    talk = dispatched()
    teller = Teller(qinglan(), talk.arrival("reply", None, unit=LAMPS), NINE)
    teller.repeated(talk.case, code, changed=False)
    assert Told(teller.outputs).results() == [(topics.work(LAMPS), "reply-11", code or "applied")]


def test_a_letter_of_triage_is_told_to_its_channel() -> None:
    letter = wire.DeadLetter(
        letter_id="letter/intake.app/2/5",
        origin=wire.Origin(topic="intake.app", partition=2, offset=5),
        stage="triage",
        code="coordinates_without_system",
        reason="crs",
        demand_id=CASE,
        channel="app",
        at=NINE,
    )
    arrival = Talk().arrival("dead_letter", None)
    teller = Teller(qinglan(), arrival, NINE)
    teller.letter_told(letter)
    (outcome,) = Told(teller.outputs).outcomes()
    assert (outcome.code, outcome.refused, outcome.origin) == ("coordinates_without_system", True, letter.origin)
    assert "坐标系" in outcome.text
    for channel in (None, "carrier_pigeon"):
        silent = Teller(qinglan(), arrival, NINE)
        silent.letter_told(letter.model_copy(update={"channel": channel}))
        assert silent.outputs == []


def test_what_cannot_be_decided_is_put_aside_sealed_and_its_unit_told() -> None:
    arrival = replace(Talk().arrival("broken", None, unit=LAMPS), problem=Problem("bad_signature", "x" * 900))
    assert arrival.problem is not None
    teller = Teller(qinglan(), arrival, NINE)
    teller.dead_letter(arrival.problem, b"sealed")
    letter_record, told = teller.outputs
    assert (letter_record.topic, letter_record.value, letter_record.key) == (
        topics.DEADLETTERS,
        b"sealed",
        CASE.encode(),
    )
    letter = decoding.decode(
        wire.DEADLETTER, (envelope.header(letter_record.headers, envelope.LETTER_HEADER) or "").encode()
    )
    assert letter.letter_id == "letter/replies/2/10"
    assert (letter.code, letter.stage, len(letter.reason)) == ("bad_signature", "casework", 500)
    assert Told([told]).results() == [(topics.work(LAMPS), "broken-10", "bad_signature")]


def test_what_no_known_sender_sent_is_put_aside_in_silence() -> None:
    teller = Teller(qinglan(), Talk().arrival("broken", None), NINE)
    teller.dead_letter(Problem("unsigned", "no key id"), b"sealed")
    assert [each.topic for each in teller.outputs] == [topics.DEADLETTERS]


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


MUCH = "字" * topics.INTAKE_BYTES


def test_a_piece_of_work_that_no_queue_takes_is_refused_before_it_is_stored() -> None:
    talk = Talk(FACTS.model_copy(update={"text": MUCH}))
    with pytest.raises(OversizeError, match=r"^\d+ bytes for work\.U-LIGHT$"):
        talk.registers()


def test_an_outcome_that_no_channel_takes_is_refused() -> None:
    teller = Teller(qinglan(), Talk().arrival("demand", None, channel="app"), NINE)
    ended = Case(CASE, state=CaseState.ANSWERED, facts=FACTS, answer=MUCH)
    with pytest.raises(OversizeError, match=r"^\d+ bytes for outcome\.app$"):
        teller.refused(ended, "case_ended")


def test_a_dead_letter_larger_than_its_topic_takes_is_refused() -> None:
    teller = Teller(qinglan(), Talk().arrival("broken", None), NINE)
    with pytest.raises(OversizeError, match=r"^\d+ bytes for deadletters$"):
        teller.dead_letter(Problem("not_json", "no words"), MUCH.encode())


@pytest.mark.parametrize(
    ("key", "headers"), [(MUCH.encode(), ()), (b"k", [("ce_id", MUCH.encode())])], ids=["its key", "a header"]
)
def test_keys_and_headers_count_for_the_size_of_an_output(key: bytes, headers: Sequence[tuple[str, bytes]]) -> None:
    output = Output(Partition(topics.REPLIES, 2), "m", topics.work(LAMPS), key, None, tuple(headers))
    with pytest.raises(OversizeError, match=r"^\d+ bytes for work\.U-LIGHT$"):
        fitting(output)


def test_a_unit_that_has_nothing_of_a_case_is_shown_nothing() -> None:
    talk = dispatched()
    assert talk.case is not None
    assert work_item(talk.case, ROADS, qinglan()) is None
    assert work_item(Case(CASE), LAMPS, qinglan()) is None
