"""What a channel and a department put on a real Kafka, and what they make of what comes back."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from kafka.net.inet import KafkaNetSocket

from routers.demand import ResolvedPlace
from routers.life import CaseState, Role
from streams import decoding, envelope, keys, signatures, topics
from streams import messages as wire
from streams.broker import EmbeddedKafka
from streams.channel import ChannelClient
from streams.client import ClientError
from streams.clock import new_id, now
from streams.department import DepartmentClient
from tests.kafka_fixture import KafkaUnderTest

pytestmark = pytest.mark.broker

WAIT = 20.0


class Town:
    """A channel and two units of their own on the session's Kafka, and the pipeline's side of them by hand."""

    def __init__(self, bootstrap: str, mark: str) -> None:
        self.bootstrap = bootstrap
        self.channel = f"c{mark}"
        self.unit = f"D-{mark.upper()}"
        self.other = f"E-{mark.upper()}"
        self.producer = Producer({"bootstrap.servers": bootstrap, "log_level": 0})
        make_topics(
            bootstrap,
            {
                topics.intake(self.channel): 4,
                topics.outcome(self.channel): 4,
                topics.work(self.unit): 1,
                topics.work(self.other): 1,
                topics.REPLIES: 4,
            },
        )

    def tell(self, **fields: Any) -> None:
        """Say something to the channel, as casework does."""
        given = {"outcome_id": new_id(), "channel": self.channel, "seq": 1, "text": "话", "at": now(), **fields}
        outcome = wire.Outcome(**given)
        key = (outcome.demand_id or outcome.outcome_id).encode()
        self.producer.produce(topics.outcome(self.channel), outcome.encode(), key)
        assert self.producer.flush(WAIT) == 0

    def queue(self, unit: str, case_id: str, seq: int, *, gone: bool = False, reply: str | None = None) -> None:
        """Put a record on a unit's queue, as casework does."""
        headers: list[tuple[str, str | bytes | None]] = [
            (envelope.SEQUENCE_HEADER, str(seq).encode()),
            ("ce_subject", case_id.encode()),
        ]
        if reply is not None:
            headers += [
                (envelope.REPLY_HEADER, reply.encode()),
                (envelope.RESULT_HEADER, b"applied"),
                (envelope.RESULT_TEXT_HEADER, "已受理".encode()),
            ]
        value = None if gone else item(unit, case_id, seq).encode()
        self.producer.produce(topics.work(unit), value, case_id.encode(), headers=headers)
        assert self.producer.flush(WAIT) == 0

    def notice(self, code: Literal["dispatch_withheld", "dispatch_given_back"], day: str) -> None:
        """Tell the unit something about a category, as triage does."""
        told = wire.DeskNotice(
            notice_id=f"notice/0505/{code}/{day}",
            unit=self.unit,
            code=code,
            category="0505",
            category_name="路灯",
            model="model-1",
            judged=3,
            wrong=1,
            promise=0.995,
            text="话",
            at=now(),
        )
        headers: Any = envelope.ce_headers(wire.DeskNotice, told.notice_id, subject=told.category, at=told.at)
        self.producer.produce(topics.work(self.unit), told.encode(), b"notice/0505", headers=headers)
        assert self.producer.flush(WAIT) == 0

    def read(self, topic: str, key: str) -> list[Any]:
        """Return the records of a key, by another client library."""
        return read(self.bootstrap, topic, key)


def item(unit: str, case_id: str, seq: int) -> wire.WorkItem:
    moment = datetime(2026, 11, 23, 1, tzinfo=UTC)
    return wire.WorkItem(
        case_id=case_id,
        seq=seq,
        unit=unit,
        role=Role.LEAD,
        state=CaseState.DISPATCHED,
        task="handle",
        receipt="ABCD-EFGH-JKMNP",
        urgency="normal",
        tier="general",
        text="井盖松动",
        place=ResolvedPlace(),
        created_at=moment,
        registered_at=moment,
        why="rule 7",
    )


def make_topics(bootstrap: str, partitions: dict[str, int]) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    wanted = [NewTopic(name, num_partitions=count, replication_factor=1) for name, count in partitions.items()]
    for future in admin.create_topics(wanted).values():
        error = future.exception(30)
        assert error is None or "already exists" in str(error)


def read(bootstrap: str, topic: str, key: str) -> list[Any]:
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": new_id(), "enable.auto.commit": False, "log_level": 0}
    )
    try:
        count = len(consumer.list_topics(topic, timeout=WAIT).topics[topic].partitions)
        ends = {number: consumer.get_watermark_offsets(TopicPartition(topic, number))[1] for number in range(count)}
        consumer.assign([TopicPartition(topic, number, 0) for number in range(count)])
        found: list[Any] = []
        missing = sum(ends.values())
        deadline = time.monotonic() + WAIT
        while missing and time.monotonic() < deadline:
            record = consumer.poll(0.5)
            if record is not None and record.error() is None:
                missing -= 1
                found += [record] if record.key() == key.encode() else []
        return found
    finally:
        consumer.close()


@pytest.fixture
def town(kafka: KafkaUnderTest, topic_prefix: str) -> Town:
    return Town(kafka.bootstrap, topic_prefix.rstrip("."))


@pytest.fixture
def app(town: Town) -> Iterator[ChannelClient]:
    with ChannelClient(town.bootstrap, town.channel) as client:
        yield client


@pytest.fixture
def desk(town: Town, tmp_path: Path) -> Iterator[DepartmentClient]:
    keys.ensure(tmp_path, [town.unit, town.other])
    with DepartmentClient(town.bootstrap, [town.unit, town.other], tmp_path) as client:
        yield client


# ---- the channel ----------------------------------------------------------------------------------


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
        ({"text": "x" * 20_001}, "text_too_long"),
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


# ---- the department -------------------------------------------------------------------------------


def test_a_reply_is_keyed_by_its_case_and_signed_over_its_bytes(
    town: Town, desk: DepartmentClient, tmp_path: Path
) -> None:
    case = new_id()
    reply_id = desk.answer(case, "已修复", result="solved", unit=town.unit, by="李工")
    desk.flush()

    (record,) = town.read(topics.REPLIES, case)

    headers = dict(record.headers())
    key = keys.current(tmp_path, town.unit)
    signature = headers[envelope.SIGNATURE_HEADER].decode()
    assert headers[envelope.KEY_HEADER].decode() == key.key_id
    assert headers["ce_id"].decode() == reply_id
    assert headers["ce_source"].decode() == f"/unit/{town.unit}"
    assert signatures.signature_holds(key.secret, reply_id, record.value(), signature)
    assert not signatures.signature_holds(key.secret, reply_id, record.value() + b" ", signature)
    answer = decoding.decode(wire.REPLY, record.value())
    assert isinstance(answer, wire.Answer)
    assert (answer.unit, answer.by, answer.text, answer.result) == (town.unit, "李工", "已修复", "solved")


def test_every_reply_kind_is_one_the_pipeline_reads(town: Town, desk: DepartmentClient) -> None:
    case = new_id()
    unit = town.unit
    sent = [
        desk.accept(case, unit=unit),
        desk.contact(case, "已电话联系", unit=unit),
        desk.note(case, "正在处理", unit=unit),
        desk.answer(case, "已办结", unit=unit),
        desk.return_(case, "R1", basis="三定方案", propose=town.other, unit=unit),
        desk.dispatch(case, town.other, co=[unit], reason="职责所在", unit=unit),
        desk.decline(case, "COURT", "请向法院提起诉讼", unit=unit),
        desk.call_back(case, solved=True, satisfied=True, unit=unit),
    ]
    desk.flush()

    found = [decoding.decode(wire.REPLY, each.value()) for each in town.read(topics.REPLIES, case)]

    assert [each.reply_id for each in found] == sent
    assert [each.action for each in found] == [
        "accept",
        "contact",
        "note",
        "answer",
        "return",
        "dispatch",
        "decline",
        "call_back",
    ]


def test_a_rotated_key_signs_the_next_reply(town: Town, desk: DepartmentClient, tmp_path: Path) -> None:
    case = new_id()
    desk.accept(case, unit=town.unit)
    fresh = keys.rotate(tmp_path, town.unit)
    desk.accept(case, unit=town.unit)
    desk.flush()

    used = [dict(each.headers())[envelope.KEY_HEADER].decode() for each in town.read(topics.REPLIES, case)]

    assert used == [f"{town.unit}.1", fresh.key_id]


def test_a_unit_without_a_key_is_told_how_to_get_one(town: Town, desk: DepartmentClient, tmp_path: Path) -> None:
    (tmp_path / f"{town.unit}.json").unlink()
    with pytest.raises(ClientError, match=f"yiwang unit key issue {town.unit}"):
        desk.accept(new_id(), unit=town.unit)


def test_the_queue_is_what_is_open_now(town: Town, desk: DepartmentClient) -> None:
    kept, done, shared = new_id(), new_id(), new_id()
    town.queue(town.unit, kept, 2)
    town.queue(town.unit, done, 2)
    town.queue(town.unit, shared, 3)
    town.queue(town.other, shared, 3)
    town.queue(town.unit, kept, 4)
    town.queue(town.unit, done, 5, gone=True)
    town.queue(town.unit, kept, 3)  # published again after a restart
    town.queue(town.unit, done, 2)
    town.queue(town.unit, kept, 0, gone=True)  # a refusal of a reply that met no case

    items = desk.open_items()

    assert {key: each.seq for key, each in items.items()} == {
        (town.unit, kept): 4,
        (town.unit, shared): 3,
        (town.other, shared): 3,
    }


def test_following_yields_what_is_open_and_then_what_changes(town: Town, desk: DepartmentClient) -> None:
    old, new = new_id(), new_id()
    town.queue(town.unit, old, 2)
    changes = desk.follow(timeout=WAIT)
    first = next(changes)
    town.queue(town.other, new, 1)
    second = next(changes)
    town.queue(town.unit, old, 3, gone=True)
    third = next(changes)

    assert (first.unit, first.case_id, first.item and first.item.seq) == (town.unit, old, 2)
    assert (second.unit, second.case_id) == (town.other, new)
    assert (third.case_id, third.item) == (old, None)
    assert desk.open_items().keys() == {(town.other, new)}


def test_a_notice_to_the_desk_stands_beside_its_work_until_a_newer_one_about_its_category(
    town: Town, desk: DepartmentClient
) -> None:
    case_id = new_id()
    town.queue(town.unit, case_id, 3)
    town.notice("dispatch_withheld", "2026-11-23")
    assert set(desk.open_items()) == {(town.unit, case_id)}
    (told,) = desk.notices()
    assert (told.code, told.category) == ("dispatch_withheld", "0505")
    changes = desk.follow(timeout=1)
    assert {next(changes).case_id, next(changes).case_id} == {case_id, "notice/0505"}
    town.notice("dispatch_withheld", "2026-11-23")  # by another worker
    town.notice("dispatch_given_back", "2026-11-23")
    (change,) = list(changes)
    assert (change.item, change.notice) == (None, desk.notices()[0])
    assert [each.code for each in desk.notices()] == ["dispatch_given_back"]


def test_the_result_of_a_reply_comes_on_the_units_own_queue(town: Town, desk: DepartmentClient) -> None:
    case = new_id()
    town.queue(town.unit, case, 2)
    reply = desk.accept(desk.open_items()[town.unit, case])
    assert desk.result_of([reply], timeout=0.3) == {}
    town.queue(town.unit, case, 3, reply=reply)

    result = desk.result_of([reply], timeout=WAIT)[reply]

    assert result.applied
    assert (result.text, result.case_id) == ("已受理", case)
    assert desk.open_items()[town.unit, case].seq == 3


def test_a_reply_to_a_case_two_units_hold_must_say_whose_it_is(town: Town, desk: DepartmentClient) -> None:
    case = new_id()
    town.queue(town.unit, case, 2)
    town.queue(town.other, case, 2)
    desk.open_items()

    with pytest.raises(ClientError, match="say which one replies"):
        desk.accept(case)


# ---- a broker that goes away ------------------------------------------------------------------------


@pytest.fixture
def tidy_sockets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close what kafka-python leaves to the garbage collector: each connection that was refused."""
    made: list[socket.socket] = []
    plain = KafkaNetSocket.socket

    def remembered(self: KafkaNetSocket, *arguments: Any) -> socket.socket:
        made.append(plain(self, *arguments))
        return made[-1]

    monkeypatch.setattr(KafkaNetSocket, "socket", remembered)
    yield
    for each in made:
        each.close()


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[EmbeddedKafka]:
    broker = EmbeddedKafka(tmp_path / "own")
    broker.start()
    yield broker
    broker.stop()


def in_background(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.mark.usefixtures("tidy_sockets")
def test_clients_live_through_a_restart_of_the_broker(own_kafka: EmbeddedKafka, tmp_path: Path) -> None:
    town = Town(own_kafka.bootstrap, "restart")
    keys.ensure(tmp_path / "keys", [town.unit])
    with (
        ChannelClient(town.bootstrap, town.channel) as app,
        DepartmentClient(town.bootstrap, town.unit, tmp_path / "keys") as unit,
    ):
        before = app.submit_many({"text": f"之前{number}"} for number in range(50))
        assert unit.open_items() == {}
        own_kafka.kill()
        during = [app.submit(f"期间{number}") for number in range(50)]
        reply = unit.accept(during[0])
        starter = in_background(own_kafka.start)
        app.flush()
        unit.flush()
        starter.join()
        after = app.submit("之后")
        app.flush()
        town.tell(demand_id=after, code="state", seq=1, state="dispatched")
        town.queue(town.unit, after, 1, reply=reply)

        assert next(app.outcomes(timeout=WAIT)).demand_id == after
        assert unit.result_of([reply], timeout=WAIT)[reply].applied
        assert next(iter(unit.open_items().values())).case_id == after

    for demand_id in [*before[:2], *during[:2], after]:
        (record,) = town.read(topics.intake(town.channel), demand_id)
        assert json.loads(record.value())["demand_id"] == demand_id


def test_a_broker_that_is_not_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.client.CONNECT_SECONDS", 1.0)
    with pytest.raises(ClientError, match=r"no Kafka broker answers at 127\.0\.0\.1:1") as refused:
        ChannelClient("127.0.0.1:1", "app")
    assert refused.value.code == "unreachable"
