"""What cannot be decided, what is too large and what is forged: one record's misfortune stops no other."""

import itertools
import json
from datetime import datetime
from typing import Any

import pytest

from routers.case import decide
from routers.inputs import Input
from routers.life import Case, Decision
from sinks.ledger import Output
from streams import casework as module
from streams import envelope, outputs, topics
from streams import messages as wire
from streams.casework import OWN_FAILURES, HaltError
from streams.records import Record
from tests.office import FLOOD, LAMPS, NINE, ROADS, Office

# ---- poison ---------------------------------------------------------------------------------------


def poison(monkeypatch: pytest.MonkeyPatch, *poisoned: str) -> None:
    """Let the decision about these cases fail, as a bug of ours would."""

    def decide_or_fail(case: Case | None, given: Input, now: datetime, city: Any) -> Decision:
        if case is not None and case.case_id in poisoned:
            raise ZeroDivisionError
        return decide(case, given, now, city)

    monkeypatch.setattr(module, "decide", decide_or_fail)


@pytest.mark.parametrize("place", [0, 4, 8])
def test_the_one_poisoned_case_of_a_batch_is_put_aside_and_the_others_go_on(
    office: Office, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    case_ids = [office.case_id() for _ in range(9)]
    poison(monkeypatch, case_ids[place])
    records = [office.demand(each) for each in case_ids]

    assert office.worker().transact(records) == {records[0].source: 9}

    healthy = [each for each in case_ids if each != case_ids[place]]
    assert office.fates() == {each: ["registered", "dispatched"] for each in healthy}
    assert office.dispositions() == ["dead_lettered" if each == place else "opened" for each in range(9)]
    (letter,) = office.broker.letters()
    assert (letter.code, letter.stage, letter.demand_id) == ("undecidable", "casework", case_ids[place])
    assert letter.reason == "ZeroDivisionError while deciding"
    (sealed,) = office.broker.on(topics.DEADLETTERS)
    assert sealed.value == f"sealed demands/0/{place}".encode()
    told = {each.about: each.code for each in office.broker.outcomes()}
    assert told == {each: "undecidable" if each == case_ids[place] else "accepted" for each in case_ids}
    assert office.counts.fates["demand", "dead_lettered", "undecidable"] == 1


def test_what_once_was_undecidable_can_be_handed_in_again(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    case_id = office.case_id()
    worker = office.worker()
    with monkeypatch.context() as patch:
        poison(patch, case_id)
        worker.transact([office.demand(case_id)])
    worker.transact([office.demand(case_id)])
    with monkeypatch.context() as patch:
        poison(patch, case_id)
        worker.transact([office.accept(case_id)])
    worker.transact([office.accept(case_id)])
    assert office.dispositions() == ["dead_lettered", "opened", "dead_lettered", "applied"]
    assert office.fates() == {case_id: ["registered", "dispatched", "accepted"]}
    assert [each.code for each in office.broker.outcomes()] == ["undecidable", "accepted", "state"]


def test_a_channel_hears_once_that_its_demand_became_a_dead_letter(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The letter comes back to casework, which accounts for it and says no more."""
    case_id = office.case_id()
    poison(monkeypatch, case_id)
    worker = office.worker()
    worker.transact([office.demand(case_id)])
    (sealed,) = office.broker.on(topics.DEADLETTERS)
    worker.transact([office.record(topics.DEADLETTERS, case_id, sealed.value, sealed.headers)])
    (outcome,) = office.broker.outcomes()
    assert outcome.refused
    assert outcome.origin == wire.Origin(topic="intake.app", partition=0, offset=0)
    counted = office.rows("SELECT origin_topic, disposition FROM input WHERE origin_topic LIKE 'intake.%'")
    assert counted == [("intake.app", "dead_lettered")]


def test_a_unit_hears_that_its_reply_became_a_dead_letter(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    case_id = office.case_id()
    worker = office.worker()
    worker.transact([office.demand(case_id)])
    poison(monkeypatch, case_id)
    worker.transact([office.accept(case_id)])
    assert office.broker.results(LAMPS) == {f"accept-{case_id}": "undecidable"}


def test_a_run_of_our_own_failures_stops_the_worker_before_a_topic_is_drained(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: Any) -> Decision:
        raise ZeroDivisionError

    monkeypatch.setattr(module, "decide", fail)
    records = [office.demand(office.case_id()) for _ in range(OWN_FAILURES + 5)]
    with pytest.raises(HaltError, match="cannot be decided: ZeroDivisionError"):
        office.worker().transact(records)
    assert len(office.broker.letters()) < OWN_FAILURES


def test_many_bad_records_of_others_stop_nobody(office: Office) -> None:
    records = [office.record(topics.REPLIES, "x", b"{", partition=0) for _ in range(3 * OWN_FAILURES)]
    case_id = office.case_id()
    office.worker().transact([*records, office.demand(case_id)])
    assert {each.code for each in office.broker.letters()} == {"unsigned"}
    assert case_id in office.fates()


def test_a_record_that_unfolds_far_beyond_its_topic_is_put_aside_by_its_beginning(office: Office) -> None:
    """Kafka holds a limit against the compressed batch; what a foreign client sends can unfold to anything."""
    case_id = office.case_id()
    flood = office.record(topics.REPLIES, "x", b"{" * (5 * 2**20), partition=0)
    office.worker().transact([flood, office.demand(case_id)])
    (letter,) = office.broker.letters()
    assert (letter.code, letter.size) == ("unsigned", 5 * 2**20)
    assert case_id in office.fates()


@pytest.mark.parametrize("forged", [{"secret": b"x" * 32}, {}], ids=["another's secret", "another's signature"])
def test_an_id_that_unfolds_to_megabytes_is_echoed_to_nobody(office: Office, forged: dict[str, Any]) -> None:
    case_id = office.case_id()
    worker = office.worker()
    worker.transact([office.demand(case_id)])
    worker.transact([office.accept(case_id, about="x" * FLOOD, **forged), office.accept(case_id)])
    assert [each.code for each in office.broker.letters()] == ["bad_signature"]
    assert office.broker.results(LAMPS) == {f"accept-{case_id}": "applied"}
    assert max(map(weight, office.broker.log)) < topics.INTAKE_BYTES


def test_a_key_that_unfolds_to_megabytes_is_not_its_dead_letters_key(office: Office) -> None:
    office.worker().transact([office.record(topics.REPLIES, "k" * FLOOD, b"{"), office.record(topics.REPLIES, "", b"")])
    named = [each.key for each in office.broker.on(topics.DEADLETTERS)]
    assert named == [b"letter/replies/0/0", b"letter/replies/0/1"]


def weight(output: Output) -> int:
    """The bytes a broker counts."""
    return sum(map(len, (output.value or b"", output.key or b"", *itertools.chain(*output.headers))))


def test_a_forged_dead_letter_names_nothing_long(office: Office) -> None:
    """Whoever writes to `deadletters` without right could else make outputs that no topic takes."""
    place: dict[str, Any] = {"topic": "intake.app", "partition": 0, "offset": 0}
    letter: dict[str, Any] = {
        "letter_id": "l",
        "origin": place,
        "stage": "triage",
        "code": "c",
        "reason": "r",
        "at": NINE.isoformat(),
    }
    floods: list[dict[str, Any]] = [
        {"demand_id": "x" * 2**20},
        {"code": "x" * 2**20},
        {"origin": place | {"topic": "x" * 2**20}},
    ]
    headers = [[(envelope.LETTER_HEADER, json.dumps(letter | {"channel": "app"} | each).encode())] for each in floods]
    office.worker().transact([office.record(topics.DEADLETTERS, "k", b"", each) for each in headers])
    assert [each.code for each in office.broker.letters()] == ["invalid"] * len(floods)


def test_an_output_too_large_for_its_topic_is_one_inputs_fault(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five notes of characters that JSON writes sixfold: the fifth makes a work item that this topic does not take."""
    monkeypatch.setitem(outputs._LIMITS, "work", 640_000)
    case_id = office.case_id()
    worker = office.worker()
    words = "\x01" * 20_000
    worker.transact([office.demand(case_id, words=words)])
    notes = [
        office.reply(wire.Note(reply_id=f"n{number}", unit=LAMPS, case_id=case_id, at=NINE, text=words))
        for number in range(5)
    ]
    worker.transact([*notes, office.accept(case_id)])
    results = office.broker.results(LAMPS)
    assert results.pop("n4") == "undecidable"
    assert set(results.values()) == {"applied"}
    assert office.fates()[case_id] == ["registered", "dispatched", *["progress_noted"] * 4, "accepted"]


def test_a_newer_message_of_our_own_stops_the_worker(office: Office) -> None:
    record = office.demand(office.case_id())
    assert record.value is not None
    newer = Record(
        record.topic, 0, 0, record.key, record.value.replace(b'"schema":1', b'"schema":2', 1), (), record.timestamp
    )
    with pytest.raises(HaltError, match="upgrade this worker"):
        office.worker().transact([newer])


# ---- forged replies -------------------------------------------------------------------------------


FORGERIES: dict[str, tuple[str, dict[str, Any]]] = {
    "signed with a secret of one's own": ("bad_signature", {"secret": b"x" * 32}),
    "signed by another unit in this one's name": ("bad_signature", {"signer": ROADS}),
    "under a key that nobody holds": ("unknown_key", {"key": "U-LIGHT.9"}),
    "under a key of no unit": ("unknown_key", {"key": "../../etc/passwd.1"}),
    "sent again under another id": ("bad_signature", {"about": "another-id"}),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_reply_is_a_dead_letter_and_never_a_decision(office: Office, forgery: str) -> None:
    code, lie = FORGERIES[forgery]
    case_id = office.case_id()
    worker = office.worker()
    worker.transact([office.demand(case_id), office.accept(case_id, **lie)])
    assert office.fates() == {case_id: ["registered", "dispatched"]}
    assert [each.code for each in office.broker.letters()] == [code]
    assert office.counts.fates["broken", "dead_lettered", code] == 1
    worker.transact([office.accept(case_id)])
    assert office.fates() == {case_id: ["registered", "dispatched", "accepted"]}


def test_a_reply_copied_from_the_topic_has_its_effect_once(office: Office) -> None:
    case_id = office.case_id()
    note = wire.Note(reply_id="n1", unit=LAMPS, case_id=case_id, at=NINE, text="已派人")
    office.worker().transact([office.demand(case_id), office.reply(note), office.reply(note)])
    assert office.fates() == {case_id: ["registered", "dispatched", "progress_noted"]}
    assert office.dispositions() == ["opened", "applied", "duplicate"]


def test_a_unit_cannot_reply_about_what_is_not_its_own(office: Office) -> None:
    case_id = office.case_id()
    office.worker().transact([office.demand(case_id), office.accept(case_id, unit=ROADS)])
    assert office.broker.results(ROADS) == {f"accept-{case_id}": "not_your_case"}
    assert office.fates() == {case_id: ["registered", "dispatched"]}
