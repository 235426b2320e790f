"""What is put aside, whom that is told, and what is too large to be told at all."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from routers.life import Case, CaseState
from sinks.ledger import Output, Partition
from streams import decoding, envelope, topics
from streams import messages as wire
from streams.arrivals import Problem
from streams.outputs import OversizeError, Teller, fitting
from tests.cities import qinglan
from tests.told import CASE, FACTS, LAMPS, NINE, Talk, Told


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
