"""Records become inputs, or the reason why not; nothing a record holds gets past that."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import to_jsonable_python

from routers import inputs
from routers.life import Role
from streams import decoding, envelope, keys, schemas, signatures, topics
from streams import messages as wire
from streams.arrivals import Arrival, Problem, UnknownSchemaError, read
from streams.keys import KeyRing, UnitKey
from streams.records import Record

LAMPS, ROADS, DESK = "U-LIGHT", "U-ROAD", "H-HOTLINE"
NINE = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
REPLIES = [message for message in wire.CE_NOUNS if issubclass(message, wire.ReplyBase)]


def example(message: type[wire.Message], **changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads((schemas.EXAMPLES / schemas.file_name(message)).read_text())
    return fields | changes


def encoded(message: type[wire.Message], **changes: Any) -> bytes:
    return json.dumps(example(message, **changes), ensure_ascii=False).encode()


CASE: str = example(wire.Accept)["case_id"]


def record(
    topic: str, value: bytes | None, headers: envelope.Headers = (), *, key: bytes | None = CASE.encode()
) -> Record:
    return Record(topic, 3, 77, key, value, headers, NINE.timestamp())


class Staff:
    """Units with keys, who sign."""

    def __init__(self, folder: Path) -> None:
        self.keys = {unit: keys.issue(folder, unit) for unit in (LAMPS, ROADS, DESK)}
        self.ring = KeyRing(folder)

    def signed(self, value: bytes, reply_id: str, unit: str = LAMPS, **forged: str | None) -> list[tuple[str, bytes]]:
        key: UnitKey = self.keys[unit]
        given_headers = {
            "ce_id": reply_id,
            envelope.KEY_HEADER: key.key_id,
            envelope.SIGNATURE_HEADER: signatures.sign(key.secret, reply_id, value),
        } | forged
        return [(name, text.encode()) for name, text in given_headers.items() if text is not None]

    def say(self, value: bytes, reply_id: str, unit: str = LAMPS, **forged: str | None) -> Arrival:
        return read(record(topics.REPLIES, value, self.signed(value, reply_id, unit, **forged)), self.ring)


@pytest.fixture(scope="module")
def staff(tmp_path_factory: pytest.TempPathFactory) -> Staff:
    return Staff(tmp_path_factory.mktemp("keys"))


def refused(arrival: Arrival) -> str:
    """The code of an arrival nobody decides on."""
    assert arrival.given is None
    assert arrival.kind == "broken"
    assert isinstance(arrival.problem, Problem)
    assert arrival.problem.reason
    assert arrival.input_id == f"{arrival.record.topic}/3/77"
    return arrival.problem.code


# -- demands and follow-ups -------------------------------------------------------------------------


def test_a_demand_registers_with_all_that_triage_knows(staff: Staff) -> None:
    sent = example(wire.TriagedDemand)
    arrival = read(record(topics.DEMANDS, encoded(wire.TriagedDemand)), staff.ring)
    assert (arrival.kind, arrival.actor, arrival.channel, arrival.unit) == ("demand", Role.CITIZEN, "app", None)
    assert arrival.input_id == arrival.case_id == arrival.about == sent["demand_id"]
    assert arrival.origin == ("intake.app", 2, 1041)
    assert arrival.digest == sent["digest"]
    given_input = arrival.given
    assert isinstance(given_input, inputs.Register)
    assert (given_input.id, given_input.actor, given_input.tier) == (sent["demand_id"], Role.PIPELINE, "N7D")
    assert given_input.verdict.unit == LAMPS
    facts = given_input.facts.model_dump(mode="json", exclude_none=True)
    told = {**sent, **{name: sent["verdict"][name] for name in ("candidates", "parts")}}
    assert facts == {name: told[name] for name in facts}
    assert {"text", "address", "place", "classification", "confidential", "reachable", "city_version"} <= facts.keys()


@pytest.mark.parametrize(
    ("action", "more", "kind"),
    [
        ("urge", {"text": "请快一点"}, inputs.Urge),
        ("supplement", {"text": "灯杆 014"}, inputs.Supplement),
        ("withdraw", {"text": None}, inputs.Withdraw),
        ("rate", {"text": "很好", "solved": True, "satisfied": False}, inputs.CallBack),
    ],
)
def test_a_follow_up_is_said_by_the_citizen_through_a_channel(
    staff: Staff, action: str, more: dict[str, Any], kind: type[inputs.Input]
) -> None:
    value = encoded(wire.TriagedFollowUp, follow_up_id="f1", action=action, **more)
    arrival = read(record(topics.DEMANDS, value), staff.ring)
    assert (arrival.kind, arrival.input_id, arrival.about) == (action, "app:f1", "f1")
    assert (arrival.case_id, arrival.channel, arrival.actor) == (CASE, "app", Role.CITIZEN)
    assert arrival.origin == ("intake.app", 2, 1207)
    said = arrival.given
    assert type(said) is kind
    assert (said.id, said.actor) == ("app:f1", Role.CITIZEN)
    assert all(getattr(said, name) == value for name, value in {**more, "channel": "app"}.items())


def test_two_channels_may_use_the_same_id_of_a_follow_up(staff: Staff) -> None:
    ids = {
        read(record(topics.DEMANDS, encoded(wire.TriagedFollowUp, channel=each)), staff.ring).input_id
        for each in ("app", "hotline")
    }
    assert len(ids) == 2


@pytest.mark.parametrize(("topic", "message"), [(topics.DEMANDS, wire.TriagedDemand), (topics.COMMANDS, wire.ClockDue)])
def test_a_message_of_our_own_from_the_future_stops_the_worker(
    staff: Staff, topic: str, message: type[wire.Message]
) -> None:
    with pytest.raises(UnknownSchemaError, match=rf"{topic}\[3\]@77"):
        read(record(topic, encoded(message, schema=2)), staff.ring)


def test_a_foreign_message_from_the_future_stops_nobody(staff: Staff) -> None:
    assert refused(staff.say(encoded(wire.Accept, schema=2), "light-0001")) == "unknown_schema"


@pytest.mark.parametrize("topic", topics.casework_topics())
def test_nothing_at_all_is_a_problem_and_not_an_exception(staff: Staff, topic: str) -> None:
    arrival = read(record(topic, None, key=None), staff.ring)
    assert refused(arrival) == ("unsigned" if topic == topics.REPLIES else "empty")
    assert arrival.case_id is None


@pytest.mark.parametrize("key", [b"2026-0001", b"\xff", b"", None])
def test_a_broken_record_names_a_case_only_where_its_key_is_one(staff: Staff, key: bytes | None) -> None:
    assert read(record(topics.DEMANDS, b"{}", key=key), staff.ring).case_id is None
    assert read(record(topics.DEMANDS, b"{}"), staff.ring).case_id == CASE


# -- clocks and letters -------------------------------------------------------------------------------


def test_each_firing_of_a_clock_is_an_input_of_its_own_and_speaks_of_one_generation(staff: Staff) -> None:
    arrival = read(record(topics.COMMANDS, encoded(wire.ClockDue, generation=4)), staff.ring)
    assert (arrival.kind, arrival.actor, arrival.case_id) == ("clock", Role.CLOCK, CASE)
    assert arrival.input_id == "commands/3/77"
    assert isinstance(arrival.given, inputs.ClockRanOut)
    assert arrival.given.id == f"{CASE}:accept:1"
    assert (arrival.given.clock, arrival.given.generation) == ("accept", 4)
    assert (arrival.channel, arrival.unit, arrival.origin) == (None, None, None)


def test_a_letter_is_read_from_its_header_and_counts_for_its_intake_record(staff: Staff) -> None:
    headers = [(envelope.LETTER_HEADER, encoded(wire.DeadLetter))]
    arrival = read(record(topics.DEADLETTERS, b"sealed", headers), staff.ring)
    assert arrival.kind == "dead_letter"
    assert arrival.letter == decoding.decode(wire.DEADLETTER, encoded(wire.DeadLetter))
    assert arrival.input_id == "letter/intake.app/2/1042"
    assert (arrival.origin, arrival.channel) == (("intake.app", 2, 1042), "app")
    assert (arrival.given, arrival.problem) == (None, None)


@pytest.mark.parametrize("letter", [None, b"", b"{}", b"\xff"])
def test_a_letter_without_its_header_is_a_problem(staff: Staff, letter: bytes | None) -> None:
    headers = [] if letter is None else [(envelope.LETTER_HEADER, letter)]
    assert refused(read(record(topics.DEADLETTERS, b"sealed", headers), staff.ring)) in {"empty", "invalid"}


# -- replies -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", REPLIES, ids=lambda message: wire.CE_NOUNS[message])
def test_every_kind_of_reply_becomes_an_input_with_all_it_says(staff: Staff, message: type[wire.ReplyBase]) -> None:
    sent = example(message)
    arrival = staff.say(encoded(message), sent["reply_id"], sent["unit"])
    assert arrival.problem is None
    assert (arrival.kind, arrival.case_id) == (sent["action"], CASE)
    assert (arrival.unit, arrival.actor, arrival.about) == (sent["unit"], sent["unit"], sent["reply_id"])
    assert arrival.input_id == f"{sent['unit']}:{sent['reply_id']}"
    said = arrival.given
    assert said is not None
    assert (said.id, said.actor) == (arrival.input_id, sent["unit"])
    common = {"schema", "reply_id", "unit", "case_id", "at", "by", "action"}
    for name, value in sent.items():
        if name not in common:
            assert to_jsonable_python(getattr(said, name)) == value


SECRETS = "13812345678", "11010519491231002X", "0831-2345678"
TOLD = "已致电张三13812345678（家中0831-2345678），身份证11010519491231002X。"
FREE_TEXTS = [
    (message, name)
    for message in REPLIES
    for name in ("text", "basis", "reason")
    if name in message.model_fields and (message, name) != (wire.Return, "reason")  # there it is a code
]


@pytest.mark.parametrize(("message", "name"), FREE_TEXTS, ids=lambda each: getattr(each, "__name__", each))
def test_what_reaches_a_person_does_not_get_from_a_reply_into_the_case(
    staff: Staff, message: type[wire.ReplyBase], name: str
) -> None:
    sent = example(message)
    arrival = staff.say(encoded(message, **{name: TOLD}), sent["reply_id"], sent["unit"])
    said = getattr(arrival.given, name)
    assert said.startswith("已致电")
    to_the_citizen = message in (wire.Answer, wire.Decline)
    assert [each in said for each in SECRETS] == [False, False, to_the_citizen]


def test_an_answer_may_name_the_telephone_of_an_office(staff: Staff) -> None:
    words = "请到街道办事处办理，办公电话：2345678，或拨 0831-2345678、12345。"
    sent = example(wire.Answer)
    arrival = staff.say(encoded(wire.Answer, text=words), sent["reply_id"], sent["unit"])
    assert isinstance(arrival.given, inputs.Answer)
    assert arrival.given.text == words


def test_two_units_may_use_the_same_id_of_a_reply(staff: Staff) -> None:
    ids = {staff.say(encoded(wire.Accept, reply_id="r1", unit=unit), "r1", unit).input_id for unit in (LAMPS, ROADS)}
    assert ids == {"U-LIGHT:r1", "U-ROAD:r1"}


@pytest.mark.parametrize("missing", ["ce_id", envelope.KEY_HEADER, envelope.SIGNATURE_HEADER])
@pytest.mark.parametrize("left", [None, ""])
def test_a_reply_without_a_signature_is_nobodys(staff: Staff, missing: str, left: str | None) -> None:
    arrival = staff.say(encoded(wire.Accept), "light-0001", LAMPS, **{missing: left})
    assert refused(arrival) == "unsigned"
    assert (arrival.unit, arrival.actor) == (None, "unknown")


@pytest.mark.parametrize("key_id", ["U-LIGHT.9", "U-MOON.1", "../U-LIGHT.1", "U-LIGHT", "签名"])
def test_a_key_that_nobody_holds_is_nobodys(staff: Staff, key_id: str) -> None:
    arrival = staff.say(encoded(wire.Accept), "light-0001", **{envelope.KEY_HEADER: key_id})
    assert refused(arrival) == "unknown_key"
    assert arrival.unit is None


def test_a_forged_reply_is_told_to_the_unit_whose_key_it_names(staff: Staff) -> None:
    value = encoded(wire.Accept)
    forgeries = (
        staff.say(value, "light-0001", **{envelope.SIGNATURE_HEADER: "0" * 64}),
        staff.say(value, "light-0001", **{envelope.SIGNATURE_HEADER: "签名"}),
        staff.say(value, "light-0001", ce_id="light-0002"),
        read(record(topics.REPLIES, value + b" ", staff.signed(value, "light-0001")), staff.ring),
        read(record(topics.REPLIES, None, staff.signed(value, "light-0001")), staff.ring),
    )
    for arrival in forgeries:
        assert refused(arrival) == "bad_signature"
        assert arrival.unit == LAMPS


def test_a_unit_signs_for_itself_alone(staff: Staff) -> None:
    """Roads hold a good key, and say something in the name of the lamps."""
    arrival = staff.say(encoded(wire.Accept), "light-0001", ROADS)
    assert refused(arrival) == "bad_signature"
    assert arrival.unit == ROADS


def test_the_signed_id_is_the_replys_own(staff: Staff) -> None:
    assert refused(staff.say(encoded(wire.Accept), "light-0009")) == "bad_signature"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"", "not_json"),
        (b"{", "not_json"),
        (encoded(wire.Note, text=""), "invalid"),
        (encoded(wire.Note, action="sing"), "unknown_type"),
        (encoded(wire.Note, at="9999-01-01T00:00:00Z"), "time_out_of_range"),
    ],
)
def test_a_signed_reply_that_cannot_be_read_is_told_to_its_unit(staff: Staff, value: bytes, code: str) -> None:
    arrival = staff.say(value, "light-0003")
    assert refused(arrival) == code
    assert (arrival.unit, arrival.about, arrival.case_id) == (LAMPS, "light-0003", CASE)


@given(
    topic=st.sampled_from(topics.casework_topics()),
    value=st.none() | st.binary(max_size=60),
    headers=st.lists(
        st.tuples(
            st.sampled_from(["ce_id", envelope.KEY_HEADER, envelope.SIGNATURE_HEADER, envelope.LETTER_HEADER]),
            st.binary(max_size=20) | st.just(b"U-LIGHT.1"),
        ),
        max_size=5,
    ),
    key=st.none() | st.binary(max_size=30),
)
@settings(max_examples=80, deadline=None)
def test_whatever_comes_an_arrival_comes_back(
    staff: Staff, topic: str, value: bytes | None, headers: list[tuple[str, bytes]], key: bytes | None
) -> None:
    arrival = read(record(topic, value, headers, key=key), staff.ring)
    assert arrival.given is None
    assert arrival.problem is not None
    arrival.problem.reason.encode()
