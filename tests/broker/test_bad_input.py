"""What comes in broken, twice or in the wrong order, through a running installation: each gets its coded answer."""

import json
import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.request import urlopen

import pytest
from confluent_kafka import Producer
from typer.testing import CliRunner

from routers.demand import DEMAND_LIMIT, TEXT_LIMIT
from streams import cli, envelope, keys, signatures, topics
from streams import messages as wire
from streams.channel import ChannelClient
from streams.client import ClientError
from streams.clock import new_id, now
from streams.department import DepartmentClient
from streams.envelope import rfc3339
from streams.messages import Outcome
from tests.installation import DESK, LAMPS, SECONDS, STREETLIGHT, Installation, installation, until
from tests.kafka_fixture import CHOICE

pytestmark = [pytest.mark.broker, pytest.mark.timeout(200)]

ROADS = "U-ROAD"
WELL = {"casework-0": 0, "triage-0": 0}
"""The workers and how often they died."""

FLOOD = 6 * 2**20
"""Bytes of one character, which gzip folds into a record that every topic takes."""


class Post:
    """Sends raw bytes as any foreign client may, and says where they came to rest."""

    def __init__(self, bootstrap: str) -> None:
        # `consistent_random` is librdkafka's default, which kcat uses: another partition than the project's clients.
        self._producer = Producer(
            {"bootstrap.servers": bootstrap, "partitioner": "consistent_random", "log_level": 0, "linger.ms": 0}
            | {"compression.type": "gzip", "message.max.bytes": 3 * FLOOD}
        )

    def send(
        self, topic: str, value: bytes | None, key: bytes | None = None, headers: envelope.Headers = ()
    ) -> wire.Origin:
        places: list[Any] = []
        self._producer.produce(
            topic, value, key, headers=list(headers), on_delivery=lambda error, record: places.append((error, record))
        )
        assert self._producer.flush(SECONDS) == 0
        ((error, record),) = places
        assert error is None
        return wire.Origin(topic=record.topic(), partition=record.partition(), offset=record.offset())


class Street(NamedTuple):
    """All that a test needs."""

    town: Installation
    post: Post
    channel: ChannelClient
    units: DepartmentClient

    def heard(self, origin: wire.Origin) -> Outcome:
        """Wait for what the channel is told of an intake record."""
        for outcome in self.channel.outcomes(timeout=SECONDS):
            if outcome.origin == origin:
                return outcome
        raise AssertionError(f"the channel was never told of {origin}")

    def open_case(self) -> str:
        """Open a case that waits for the lamps to accept it."""
        case_id = self.channel.submit(STREETLIGHT)
        assert self.channel.wait_for([case_id], SECONDS)[case_id].unit == LAMPS
        return case_id

    def signed(
        self, message: wire.ReplyBase, *, value: bytes | None = None, **forged: str | bytes
    ) -> list[tuple[str, bytes]]:
        """The headers of a reply, as `reply` sends it."""
        key = keys.current(self.town.keys, str(forged.get("unit", message.unit)))
        secret = forged.get("secret", key.secret)
        assert isinstance(secret, bytes)
        signature = signatures.sign(secret, message.reply_id, message.encode() if value is None else value)
        return [
            *envelope.ce_headers(type(message), message.reply_id, subject=message.case_id),
            (envelope.KEY_HEADER, key.key_id.encode()),
            (envelope.SIGNATURE_HEADER, signature.encode()),
        ]

    def reply(self, message: wire.ReplyBase, *, value: bytes | None = None, **forged: str | bytes) -> str:
        """Sign a reply and send it as kcat would; returns what became of it.

        Args:
            message: names the unit, the case and the reply.
            value: other bytes than the message's, signed all the same.
            forged: `unit` whose key signs, or another `secret`.
        """
        body = message.encode() if value is None else value
        self.post.send(topics.REPLIES, body, message.case_id.encode(), self.signed(message, value=value, **forged))
        return self.units.result_of([message.reply_id], SECONDS)[message.reply_id].code


@pytest.fixture(scope="module")
def street(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    data = tmp_path_factory.mktemp("bad-input") / "town"
    # The session's broker is shared with tests that fill topics of their own; an embedded one can be had for itself.
    own = os.environ.get(CHOICE, "embedded") in {"", "embedded"}
    settings = {} if own else {"kafka": request.getfixturevalue("kafka").bootstrap}
    with (
        installation(data, partitions="4", **settings) as town,
        town.channel() as channel,
        town.units(LAMPS, ROADS, DESK) as units,
    ):
        yield Street(town, Post(town.bootstrap), channel, units)
        assert {each["name"]: each["restarts"] for each in town.state["workers"]} == WELL
        town.check_once()


def demand(demand_id: str, **changes: Any) -> dict[str, Any]:
    moment = rfc3339(now())
    return {
        "schema": 1,
        "type": "demand",
        "demand_id": demand_id,
        "channel": "app",
        "created_at": moment,
        "received_at": moment,
        "text": STREETLIGHT,
        **changes,
    }


def as_json(**changes: Any) -> Callable[[str], bytes]:
    return lambda demand_id: json.dumps(demand(demand_id, **changes)).encode()


POINT = {"lon": 104.09, "lat": 30.36}

BROKEN: dict[str, tuple[Callable[[str], bytes | None], str]] = {
    "nothing at all": (lambda _id: None, "empty"),
    "no bytes": (lambda _id: b"", "not_json"),
    "not JSON": (lambda _id: b"{oops", "not_json"),
    "not UTF-8": (lambda _id: b'{"text":"\xff\xfe"}', "not_json"),
    "JSON nested without end": (lambda _id: b"[" * 100_000, "not_json"),
    "JSON but no object": (lambda _id: b"[1, 2]", "invalid"),
    "a number for a text": (as_json(text=5), "invalid"),
    "a text for a list": (as_json(attachments="none"), "invalid"),
    "no text at all": (as_json(text=None), "invalid"),
    "an unknown schema version": (as_json(schema=99), "unknown_schema"),
    "an unknown type": (as_json(type="poem"), "unknown_type"),
    "a text beyond the limit": (as_json(text="灯" * (DEMAND_LIMIT + 1)), "text_too_long"),
    "a NUL byte": (as_json(text="路灯\x00不亮"), "nul_byte"),
    "a lone surrogate": (as_json(text="路灯\ud800不亮"), "lone_surrogate"),
    "the year 9999": (as_json(created_at="9999-12-31T23:59:59Z"), "time_out_of_range"),
    "a time without a zone": (as_json(created_at="2026-03-02T09:00:00"), "invalid"),
    "a point without its system": (as_json(place={"coordinates": POINT}), "coordinates_without_system"),
    "a point off the globe": (as_json(place={"coordinates": {**POINT, "lat": 91, "crs": "WGS-84"}}), "invalid"),
    "an unknown channel": (as_json(channel="pager"), "unknown_channel"),
    "another channel's name": (as_json(channel="hotline"), "wrong_channel"),
    "another demand's id": (lambda _id: json.dumps(demand(new_id())).encode(), "wrong_key"),
    "an answer without who gave it": (as_json(answer="已答复"), "invalid"),
    "a follow-up without its id": (as_json(type="urge"), "invalid"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_demand_becomes_a_dead_letter_that_its_channel_hears_of(street: Street, kind: str) -> None:
    make, code = BROKEN[kind]
    demand_id = new_id()
    origin = street.post.send("intake.app", make(demand_id), demand_id.encode())
    told = street.heard(origin)
    assert (told.code, told.refused, told.receipt) == (code, True, None)
    assert told.text
    counted = street.town.rows(
        "SELECT disposition, code FROM input WHERE origin_topic = :topic AND origin_partition = :place "
        "AND origin_offset = :offset",
        topic=origin.topic,
        place=origin.partition,
        offset=origin.offset,
    )
    assert [tuple(each) for each in counted] == [("dead_lettered", code)]


def test_a_broken_demand_without_any_id_is_told_by_the_place_it_was_put(street: Street) -> None:
    told = street.heard(street.post.send("intake.app", b"?"))
    assert (told.code, told.demand_id) == ("not_json", None)


def yiwang(street: Street, *arguments: str, status: int = 0) -> Any:
    result = CliRunner().invoke(cli.app, ["deadletters", *arguments, "--data", str(street.town.data), "--json"])
    assert result.exit_code == status, result.output
    return json.loads(result.stdout) if status == 0 else result.stderr


def waiting(street: Street) -> dict[str, str]:
    """Dead letters that nobody has dealt with: where the original lies, and why it was put aside."""
    listed = yiwang(street, "list", "--limit", "1000")["letters"]
    return {each["letter_id"].removeprefix("letter/"): each["code"] for each in listed}


def test_a_dead_letter_is_opened_through_the_vault_and_handed_in_again_or_parked(street: Street) -> None:
    sent = demand(new_id(), contact={"phone": "13912345678"})
    places = []
    for value, key in ((json.dumps(sent).encode(), b"elsewhere"), (b'{"phone": "13912345678"', b"x")):
        origin = street.post.send("intake.app", value, key)
        street.heard(origin)
        places.append(f"{origin.topic}/{origin.partition}/{origin.offset}")
    good, broken = places
    assert {place: waiting(street)[place] for place in places} == {good: "wrong_key", broken: "not_json"}

    why = ("--purpose", "dead_letter", "--who", "值班")
    assert "original" not in yiwang(street, "show", good)
    assert "13912345678" not in json.dumps(yiwang(street, "list"))
    assert json.loads(yiwang(street, "show", good, *why)["original"]) == sent
    assert "dead_letter (处理无法识别的来件)" in yiwang(street, "show", good, "--purpose", "好奇", status=2)

    assert yiwang(street, "replay", good, "--dry-run")["replayed"] is None
    assert "not_json" in yiwang(street, "replay", broken, *why, status=1)
    again = wire.Origin(**yiwang(street, "replay", good, *why)["replayed"])
    assert street.heard(again).code == "accepted"
    assert not yiwang(street, "park", broken, "--dry-run")["parked"]
    assert broken in waiting(street)
    assert yiwang(street, "park", broken, *why)["parked"]
    assert not waiting(street).keys() & {good, broken}
    dealt = {each["letter_id"]: each["dealt"] for each in yiwang(street, "list", "--all", "--limit", "1000")["letters"]}
    assert (dealt[f"letter/{good}"], dealt[f"letter/{broken}"]) == ("replayed", "parked")
    assert "no dead letter" in yiwang(street, "show", "intake.app/0/999999", status=1)


def test_a_demand_at_sea_is_declined_with_the_reason(street: Street) -> None:
    demand_id = new_id()
    sea = {"coordinates": {"lon": 150.0, "lat": 20.0, "crs": "WGS-84"}}
    told = street.heard(street.post.send("intake.app", as_json(place=sea)(demand_id), demand_id.encode()))
    assert (told.code, told.state) == ("accepted", "declined")
    assert street.town.fates([demand_id]) == {demand_id: ["registered", "declined"]}


def test_a_channel_that_is_none_of_the_citys_is_told_before_it_can_send(street: Street) -> None:
    with pytest.raises(ClientError, match=r"there is no topic outcome\.pager"):
        street.town.channel("pager")


def test_a_demand_without_a_key_is_as_good_as_any(street: Street) -> None:
    demand_id = new_id()
    told = street.heard(street.post.send("intake.app", as_json()(demand_id)))
    assert (told.code, told.demand_id) == ("accepted", demand_id)


def test_one_bad_sender_keeps_nobody_waiting(street: Street) -> None:
    for _ in range(50):
        street.post.send("intake.app", b"spam", b"spam")
    assert street.open_case()


# ---- replies ----------------------------------------------------------------------------------------


def accept(case_id: str, unit: str = LAMPS) -> wire.Accept:
    return wire.Accept(reply_id=new_id(), unit=unit, case_id=case_id, at=now())


def test_a_reply_put_by_kcats_partitioner_has_the_same_effect(street: Street) -> None:
    """Some of these lie in other partitions than their cases' demands."""
    case_ids = [street.open_case() for _ in range(4)]
    for case_id in case_ids:
        assert street.reply(accept(case_id)) == "applied"
        contact = wire.ContactNote(reply_id=new_id(), unit=LAMPS, case_id=case_id, at=now(), text="已电话联系")
        assert street.reply(contact) == "applied"
    assert set(map(tuple, street.town.fates(case_ids).values())) == {
        ("registered", "dispatched", "accepted", "contacted")
    }


def test_a_unit_that_may_not_make_a_reply_reads_why_on_its_own_queue(street: Street) -> None:
    case_id = street.open_case()
    ruling = wire.Dispatch(reply_id=new_id(), unit=LAMPS, case_id=case_id, at=now(), to=ROADS)
    early = wire.CallBack(reply_id=new_id(), unit=DESK, case_id=case_id, at=now(), solved=True)
    assert street.reply(accept(case_id, ROADS)) == "not_your_case"
    assert street.reply(ruling) == "not_yours"
    assert street.reply(early) == "not_in_this_state"
    assert street.town.fates([case_id]) == {case_id: ["registered", "dispatched"]}


def test_a_reply_to_a_case_that_does_not_exist_is_refused(street: Street) -> None:
    assert street.reply(accept(new_id())) == "unknown_case"


def test_a_reply_signed_wrongly_is_never_a_decision_and_is_counted(street: Street) -> None:
    case_id = street.open_case()
    before = bad_signatures(street.town)
    assert street.reply(accept(case_id), secret=b"guessed" * 5) == "bad_signature"
    assert street.reply(accept(case_id), unit=ROADS) == "bad_signature"
    assert street.town.fates([case_id]) == {case_id: ["registered", "dispatched"]}
    until(lambda: bad_signatures(street.town) == before + 2, SECONDS, "the metric counts it")


def test_a_reply_that_was_copied_and_changed_is_never_a_decision(street: Street) -> None:
    case_id, other = street.open_case(), street.open_case()
    real = accept(case_id)
    assert street.reply(real) == "applied"
    (copy,) = [each for each in street.town.told(topics.REPLIES) if each.id == real.reply_id]
    assert copy.value is not None
    before = bad_signatures(street.town)
    street.post.send(topics.REPLIES, copy.value.replace(case_id.encode(), other.encode()), other.encode(), copy.headers)
    street.post.send(topics.REPLIES, copy.value, case_id.encode(), copy.headers)
    assert street.reply(accept(other)) == "applied"
    street.town.sound()
    until(lambda: bad_signatures(street.town) == before + 1, SECONDS, "the metric counts it")
    assert street.town.fates([case_id, other]) == {
        each: ["registered", "dispatched", "accepted"] for each in (case_id, other)
    }


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"{oops", "not_json"),
        (b"", "not_json"),
        (b'{"action":"dance"}', "unknown_type"),
        (b'{"action":"accept","schema":7}', "unknown_schema"),
        (b'{"action":"note","text":"\\u0000"}', "invalid"),
    ],
    ids=["not JSON", "no bytes", "an unknown action", "an unknown schema version", "fields missing"],
)
def test_a_signed_reply_that_cannot_be_read_is_a_dead_letter_its_unit_hears_of(
    street: Street, value: bytes, code: str
) -> None:
    assert street.reply(accept(new_id()), value=value) == code


def test_an_unsigned_reply_is_a_dead_letter(street: Street) -> None:
    before = bad_signatures(street.town)
    case_id = street.open_case()
    street.post.send(topics.REPLIES, accept(case_id).encode(), case_id.encode())
    street.post.send(topics.REPLIES, None, case_id.encode())
    assert street.reply(accept(case_id)) == "applied"
    street.town.sound()
    until(lambda: bad_signatures(street.town) == before + 2, SECONDS, "the metric counts it")
    assert street.town.fates([case_id]) == {case_id: ["registered", "dispatched", "accepted"]}


def test_the_largest_work_item_that_notes_can_make_still_fits_its_queue(street: Street) -> None:
    """Characters that JSON writes sixfold; an item too large for its topic would be found out only when encoded."""
    poison = "\x01" * TEXT_LIMIT
    case_id = street.channel.submit((STREETLIGHT * TEXT_LIMIT)[:TEXT_LIMIT])
    assert street.channel.wait_for([case_id], SECONDS)[case_id].unit == LAMPS
    healthy = street.open_case()
    replies = []
    for number in range(5):
        replies += [street.units.note(case_id, poison, unit=LAMPS), street.units.note(healthy, f"{number}", unit=LAMPS)]
    results = street.units.result_of(replies, SECONDS)
    assert [results[each].code for each in replies] == ["applied"] * 10
    noted = ["registered", "dispatched", *["progress_noted"] * 5]
    assert street.town.fates([case_id, healthy]) == {case_id: noted, healthy: noted}


def test_a_record_that_unfolds_to_megabytes_in_its_key_or_headers_stops_nobody(street: Street) -> None:
    """What a broker refuses from us would be refused again at every start."""
    key = keys.current(street.town.keys, LAMPS)
    headers = [("ce_id", b"x" * FLOOD), (envelope.KEY_HEADER, key.key_id.encode()), (envelope.SIGNATURE_HEADER, b"00")]
    before = bad_signatures(street.town)
    street.post.send(topics.REPLIES, b"x", b"k" * FLOOD, headers)
    street.heard(street.post.send(topics.intake("app"), b"x", b"k" * FLOOD))
    until(lambda: bad_signatures(street.town) == before + 1, SECONDS, "the metric counts it")
    assert street.reply(accept(street.open_case())) == "applied"


def test_a_unit_that_writes_in_transactions_is_heard_past_their_marks(street: Street) -> None:
    case_id = street.open_case()
    producer = Producer({"bootstrap.servers": street.town.bootstrap, "transactional.id": "unit", "log_level": 0})
    producer.init_transactions(SECONDS)
    notes = [wire.Note(reply_id=new_id(), unit=LAMPS, case_id=case_id, at=now(), text="已派人") for _ in range(3)]
    for each in notes:
        producer.begin_transaction()
        producer.produce(topics.REPLIES, each.encode(), case_id.encode(), headers=list[Any](street.signed(each)))
        producer.commit_transaction(SECONDS)
    results = street.units.result_of([each.reply_id for each in notes], SECONDS)
    assert [results[each.reply_id].code for each in notes] == ["applied"] * 3


# ---- twice, and in the wrong order ------------------------------------------------------------------


def test_a_withdrawal_a_millisecond_after_its_demand_withdraws_it(street: Street) -> None:
    case_ids = [new_id() for _ in range(10)]
    for case_id in case_ids:
        street.channel.submit(STREETLIGHT, demand_id=case_id)
    withdrawals = [street.channel.withdraw(case_id) for case_id in case_ids]
    told = street.channel.wait_for([*case_ids, *withdrawals], SECONDS)
    assert [told[each].code for each in [*case_ids, *withdrawals]] == ["accepted"] * 10 + ["follow_up"] * 10
    assert street.town.fates(case_ids) == {each: ["registered", "dispatched", "withdrawn"] for each in case_ids}
    assert not any((LAMPS, case_id) in street.units.open_items() for case_id in case_ids)


def test_a_withdrawal_that_overtakes_its_demand_withdraws_it(street: Street) -> None:
    case_id = new_id()
    withdrawal = street.channel.withdraw(case_id)
    assert street.channel.wait_for([withdrawal], SECONDS)[withdrawal].code == "follow_up"
    street.channel.submit(STREETLIGHT, demand_id=case_id)
    assert street.channel.wait_for([case_id], SECONDS)[case_id].code == "accepted"
    assert street.town.fates([case_id]) == {case_id: ["follow_up_held", "registered", "dispatched", "withdrawn"]}


def test_a_resubmission_with_a_changed_address_opens_nothing(street: Street) -> None:
    case_id = new_id()
    addresses = ["解放路1号", "解放路2号", "解放路1号"]
    told = []
    for address in addresses:
        street.channel.submit(STREETLIGHT, demand_id=case_id, place={"address": address})
        told.append(street.channel.wait_for([case_id], SECONDS)[case_id])
    first, changed, repeated = told
    assert (first.code, changed.code, repeated.code) == ("accepted", "duplicate", "duplicate")
    assert first.receipt == changed.receipt == repeated.receipt
    assert changed.text != repeated.text
    assert street.town.fates([case_id]) == {case_id: ["registered", "dispatched"]}


def bad_signatures(town: Installation) -> int:
    """What casework's own metrics count, of all codes."""
    with urlopen(f"http://{town.state['metrics']['casework-0']}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return sum(int(float(line.rpartition(" ")[2])) for line in lines if line.startswith("yiwang_bad_signatures_total{"))
