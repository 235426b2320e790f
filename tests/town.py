"""A town of topics for the clients of channels and departments, without the pipeline between them."""

import time
from datetime import UTC, datetime
from typing import Any, Literal

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from routers.demand import ResolvedPlace
from routers.life import CaseState, Role
from streams import envelope, topics
from streams import messages as wire
from streams.clock import new_id, now
from tests.installation import until

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
    # The controller has answered; the broker shows a new topic a moment later.
    until(lambda: partitions.keys() <= admin.list_topics(timeout=WAIT).topics.keys(), WAIT, "the new topics show")


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
