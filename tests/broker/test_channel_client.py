"""The client of a channel, on a real Kafka."""

from datetime import UTC, datetime
from typing import Any

import pytest
from confluent_kafka import Message, Producer

from routers.demand import DEMAND_LIMIT
from streams import decoding, topics
from streams import messages as wire
from streams.channel import ChannelClient
from streams.client import ClientError
from streams.clock import new_id
from tests.kafka_fixture import KafkaUnderTest
from tests.town import WAIT, Town

pytestmark = pytest.mark.broker


def test_a_demand_lies_on_intake_under_its_id_with_cloudevents_headers(town: Town, app: ChannelClient) -> None:
    said = datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC)
    demand_id = app.submit("滨河路口路灯不亮", title="路灯", contact={"phone": "13800000000"}, created_at=said)
    app.flush()

    (record,) = town.read(topics.intake(town.channel), demand_id)

    headers = dict(record.headers())
    assert headers["ce_id"] == headers["ce_subject"] == demand_id.encode()
    assert headers["ce_type"] == b"cn.yiwang.demand.submitted.v1"
    assert headers["ce_source"] == f"/channel/{town.channel}".encode()
    assert headers["ce_specversion"] == b"1.0"
    message = decoding.decode(wire.INTAKE, record.value())
    assert isinstance(message, wire.NewDemand)
    assert (message.text, message.title, message.created_at) == ("滨河路口路灯不亮", "路灯", said)
    assert message.contact is not None
    assert message.contact.phone == "13800000000"


def test_a_key_meets_the_partition_where_java_and_librdkafka_put_it(town: Town, app: ChannelClient) -> None:
    ids = app.submit_many({"text": f"第{number}件"} for number in range(40))
    rdkafka = Producer({"bootstrap.servers": town.bootstrap, "partitioner": "murmur2_random", "log_level": 0})
    placed: dict[bytes | None, int | None] = {}

    def note(_error: object, record: Message) -> None:
        placed[record.key()] = record.partition()

    for demand_id in ids:
        rdkafka.produce(
            topics.outcome(town.channel),
            b"{}",
            demand_id,
            on_delivery=note,
        )
    assert rdkafka.flush(WAIT) == 0

    ours = {each: town.read(topics.intake(town.channel), each)[0].partition() for each in ids[:8]}

    assert ours == {each: placed[each.encode()] for each in ours}
    assert len(set(placed.values())) == 4


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"text": "x" * (DEMAND_LIMIT + 1)}, "text_too_long"),
        ({"text": "a\x00b"}, "nul_byte"),
        ({"text": "a\ud800b"}, "lone_surrogate"),
        ({"text": "路灯", "created_at": datetime(9999, 1, 1, tzinfo=UTC)}, "time_out_of_range"),
        ({"text": "路灯", "place": {"coordinates": {"lon": 118.0, "lat": 32.0}}}, "coordinates_without_system"),
        ({"text": "路灯", "answered_by": "A7"}, "invalid"),
        ({"text": "路灯", "demand_id": "not-a-ulid"}, "invalid"),
    ],
)
def test_what_would_be_refused_is_not_even_sent(app: ChannelClient, fields: dict[str, Any], code: str) -> None:
    with pytest.raises(ClientError) as refused:
        app.submit(**fields)
    assert refused.value.code == code
    app.flush()
    assert app.untold == 0


def test_a_receipt_is_paired_even_when_it_comes_before_anybody_asks(town: Town, app: ChannelClient) -> None:
    demand_id = app.submit("噪音扰民")
    urge_id = app.urge(demand_id, "快一点")
    app.flush()
    place = {each.key().decode(): each for each in town.read(topics.intake(town.channel), demand_id)}[demand_id]
    first, second = sorted(record.offset() for record in town.read(topics.intake(town.channel), demand_id))
    where = {"topic": topics.intake(town.channel), "partition": place.partition()}
    town.tell(demand_id=demand_id, about=demand_id, code="accepted", receipt="R", origin={**where, "offset": first})
    town.tell(demand_id=demand_id, code="state", state="dispatched", seq=2)
    town.tell(demand_id=demand_id, about=urge_id, code="follow_up", seq=3, origin={**where, "offset": second})

    assert app.wait_for([urge_id], WAIT)[urge_id].code == "follow_up"
    assert app.wait_for([demand_id], 0)[demand_id].receipt == "R"
    assert app.untold == 0
    assert [each.code for each in app.outcomes(timeout=1)] == ["accepted", "state", "follow_up"]


def test_a_refusal_that_names_no_id_is_known_by_where_the_record_lies(town: Town, app: ChannelClient) -> None:
    demand_id = app.submit("占道经营")
    app.flush()
    (record,) = town.read(topics.intake(town.channel), demand_id)
    origin = {"topic": record.topic(), "partition": record.partition(), "offset": record.offset()}
    elsewhere = {**origin, "offset": record.offset() + 100}
    town.tell(code="not_json", refused=True, seq=0, origin=elsewhere)
    town.tell(code="wrong_key", refused=True, seq=0, origin=origin)

    assert app.wait_for([demand_id], WAIT)[demand_id].code == "wrong_key"


def test_two_submissions_of_one_id_get_an_answer_each(town: Town, app: ChannelClient) -> None:
    demand_id = app.submit("路面破损")
    app.submit("路面破损", demand_id=demand_id)
    app.flush()
    for record, code in zip(town.read(topics.intake(town.channel), demand_id), ("accepted", "duplicate"), strict=True):
        origin = {"topic": record.topic(), "partition": record.partition(), "offset": record.offset()}
        town.tell(demand_id=demand_id, about=demand_id, code=code, origin=origin)

    assert [told.outcome.code for told in app.receipts(WAIT)] == ["accepted", "duplicate"]


def test_receipts_end_after_silence_and_say_how_many_are_missing(app: ChannelClient) -> None:
    app.submit("无人回答")
    assert list(app.receipts(timeout=0.5)) == []
    assert app.untold == 1


def test_a_state_told_again_or_overtaken_is_told_once(town: Town, app: ChannelClient) -> None:
    case = new_id()
    for seq, name in ((2, "first"), (5, "second"), (5, "both"), (5, "second"), (3, "late"), (6, "third")):
        town.tell(outcome_id=name, demand_id=case, code="state", state=name, seq=seq)

    assert [each.state for each in app.outcomes(timeout=1)] == ["first", "second", "both", "third"]


def test_a_channel_that_starts_again_goes_on_where_it_stopped(town: Town, app: ChannelClient) -> None:
    for seq in range(1, 9):
        town.tell(demand_id=new_id(), code="state", seq=seq)
    seen = []
    for outcome in app.outcomes(timeout=WAIT):
        seen.append(outcome.outcome_id)
        if len(seen) == 3:
            break
    kept = app.position

    with ChannelClient(town.bootstrap, town.channel) as again:
        rest = [each.outcome_id for each in again.outcomes(timeout=1, since=kept)]
        everything = [each.outcome_id for each in again.outcomes(timeout=1, since={})]

    assert len(seen + rest) == 8
    assert len(set(seen + rest)) == 8
    assert set(everything) == set(seen)  # what this client has told before it does not tell again
    with ChannelClient(town.bootstrap, town.channel) as fresh:
        assert len(list(fresh.outcomes(timeout=1, since={}))) == 8


def test_a_channel_nobody_knows_is_told_so_at_once(kafka: KafkaUnderTest) -> None:
    with pytest.raises(ClientError, match=r"no topic outcome\.nowhere") as refused:
        ChannelClient(kafka.bootstrap, "nowhere")
    assert refused.value.code == "no_topic"
