"""What Kafka says of intake, read for the audit: where each log starts and ends, and whose each record is."""

import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from sqlalchemy import Engine, text

from sinks.audit import PartitionLog, audit
from sinks.database import open_engine, sqlite_url
from sinks.tables import METADATA
from streams.intake_log import IntakeLogError, intake_logs
from tests.filled_ledger import NINE, FilledLedger, case_id, dispatched, registered
from tests.kafka_fixture import KafkaUnderTest

pytestmark = pytest.mark.broker

Send = Callable[..., None]


@pytest.fixture
def channel(kafka: KafkaUnderTest) -> Iterator[str]:
    """A channel of this test alone, with a topic of two partitions."""
    name = f"c{secrets.token_hex(4)}"
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap, "log_level": 0})
    admin.create_topics([NewTopic(f"intake.{name}", num_partitions=2, replication_factor=1)])[f"intake.{name}"].result(
        30
    )
    yield name
    admin.delete_topics([f"intake.{name}"])[f"intake.{name}"].result(30)


@pytest.fixture
def send(kafka: KafkaUnderTest, channel: str) -> Send:
    def send(*demands: str, key: bool = True, partition: int = 0, transaction: bool = False) -> None:
        settings = {"bootstrap.servers": kafka.bootstrap, "log_level": 0, "linger.ms": 0}
        if transaction:
            settings["transactional.id"] = f"{channel}-writer"
        producer = Producer(settings)
        if transaction:
            producer.init_transactions(30)
            producer.begin_transaction()
        for each in demands:
            value = b'{"demand_id": "%s"}' % each.encode()
            producer.produce(f"intake.{channel}", value, each.encode() if key else None, partition=partition)
        if transaction:
            producer.commit_transaction(30)
        assert producer.flush(30) == 0

    return send


def logs(kafka: KafkaUnderTest, channel: str, *, keys: bool = True) -> list[PartitionLog]:
    """The logs of this channel; the broker may hold those of other tests."""
    return [each for each in intake_logs({"bootstrap.servers": kafka.bootstrap}, keys=keys) if each.channel == channel]


def test_every_record_is_told_with_its_demand(kafka: KafkaUnderTest, channel: str, send: Send) -> None:
    send(case_id(1), case_id(2), case_id(1))
    send(case_id(3), partition=1)
    assert logs(kafka, channel) == [
        PartitionLog(channel, f"intake.{channel}", 0, 0, 3, {0: case_id(1), 1: case_id(2), 2: case_id(1)}),
        PartitionLog(channel, f"intake.{channel}", 1, 0, 1, {0: case_id(3)}),
    ]


def test_the_offsets_alone_need_no_reading(kafka: KafkaUnderTest, channel: str, send: Send) -> None:
    send(case_id(1), case_id(2))
    assert [(each.start, each.end, each.keys) for each in logs(kafka, channel, keys=False)] == [
        (0, 2, None),
        (0, 0, None),
    ]


def test_a_foreign_client_without_keys_is_known_by_what_it_says(
    kafka: KafkaUnderTest, channel: str, send: Send
) -> None:
    send(case_id(1), key=False)
    send("nonsense", key=False)
    send("nonsense")
    assert logs(kafka, channel)[0].keys == {0: case_id(1), 1: None, 2: None}


def test_what_has_expired_is_not_asked_for(kafka: KafkaUnderTest, channel: str, send: Send) -> None:
    send(*(case_id(number) for number in range(5)))
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap, "log_level": 0})
    for future in admin.delete_records([TopicPartition(f"intake.{channel}", 0, 3)]).values():
        future.result(30)
    log = logs(kafka, channel)[0]
    assert (log.start, log.end) == (3, 5)
    assert log.keys == {3: case_id(3), 4: case_id(4)}


def test_marks_of_a_transaction_hold_no_record(kafka: KafkaUnderTest, channel: str, send: Send) -> None:
    send(case_id(1), transaction=True)
    send(case_id(2), transaction=True)
    deadline = time.monotonic() + 30
    while logs(kafka, channel, keys=False)[0].end < 4:  # the broker writes its marks in its own time
        assert time.monotonic() < deadline
    assert logs(kafka, channel)[0].keys == {0: case_id(1), 2: case_id(2)}


def test_progress_is_told_for_each_partition(kafka: KafkaUnderTest, channel: str, send: Send) -> None:
    send(case_id(1), case_id(2))
    told: list[tuple[str, int, int]] = []
    for _log in intake_logs({"bootstrap.servers": kafka.bootstrap}, progress=lambda *step: told.append(step)):
        pass
    assert (f"intake.{channel}[0]", 2, 2) in told
    assert (f"intake.{channel}[1]", 0, 0) in told


def test_time_that_is_over_gives_one_clear_sentence(kafka: KafkaUnderTest, send: Send) -> None:
    send(case_id(1))
    with pytest.raises(IntakeLogError, match=r"could not be read to its end in time; try again"):
        list(intake_logs({"bootstrap.servers": kafka.bootstrap}, seconds=-1))


def test_a_broker_that_is_not_there_gives_one_clear_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.intake_log.TIMEOUT", 1.0)
    with pytest.raises(IntakeLogError, match=r"Kafka at 127\.0\.0\.1:1 does not say .* is it running\?"):
        list(intake_logs({"bootstrap.servers": "127.0.0.1:1"}))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(sqlite_url(tmp_path / "ledger.db"))
    METADATA.create_all(engine)
    yield engine
    engine.dispose()


def test_the_audit_of_a_real_log_names_what_is_wrong(
    kafka: KafkaUnderTest, channel: str, send: Send, engine: Engine
) -> None:
    send(*(case_id(number) for number in range(4)))
    ledger = FilledLedger(engine)
    for number in range(4):
        ledger.case(number, registered(), dispatched("U-ROADS", NINE), channel=channel)
    assert audit(engine, logs(kafka, channel)).ok
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM input WHERE origin_offset = 1"))
        connection.execute(text("UPDATE input SET case_id = :other WHERE origin_offset = 2"), {"other": case_id(3)})
        connection.execute(text("UPDATE input SET origin_offset = 4 WHERE origin_offset = 3"))
    report = audit(engine, logs(kafka, channel))
    assert report.channels[0].document()["missing"] == [1, 3]
    assert [(each.offset, each.reason) for each in report.forged] == [(2, "wrong_case"), (4, "beyond_end")]
    assert report.unaccounted == 4
