"""What is behind, as a real Kafka and a ledger say it."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from sinks.database import open_engine, sqlite_url
from sinks.ledger_metrics import IntakeState
from sinks.schema import migrate
from streams import topics
from streams.clock import now
from streams.kafka_access import KafkaAccess
from streams.lag import TRIAGE_GROUP, Backlog
from tests.filled_ledger import FilledLedger
from tests.kafka_fixture import KafkaUnderTest

pytestmark = pytest.mark.broker

SECONDS = 30.0


class Channel:
    """A channel that writes in transactions, as some foreign clients do; and a ledger of its own."""

    def __init__(self, bootstrap: str, folder: Path) -> None:
        self.bootstrap = bootstrap
        self.name = f"c{secrets.token_hex(4)}"
        self.topic = topics.intake(self.name)
        self.admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
        self.admin.create_topics([NewTopic(self.topic, num_partitions=1, replication_factor=1)])[self.topic].result(
            SECONDS
        )
        self.producer = Producer({"bootstrap.servers": bootstrap, "log_level": 0, "transactional.id": self.name})
        self.producer.init_transactions(SECONDS)
        migrate(sqlite_url(folder / "ledger.db"))
        self.engine = open_engine(sqlite_url(folder / "ledger.db"))
        self.ledger = FilledLedger(self.engine)
        self.backlog = Backlog(KafkaAccess(bootstrap=bootstrap), [self.name], self.engine, now, folder / "memory")

    def send(self, number: int = 1) -> None:
        self.producer.begin_transaction()
        for each in range(number):
            self.producer.produce(self.topic, b"%d" % each)
        self.producer.commit_transaction(SECONDS)

    def settle(self, next_offset: int) -> None:
        """Triage has committed so far."""
        group = {"group.id": TRIAGE_GROUP, "enable.auto.commit": False, "log_level": 0}
        consumer = Consumer({"bootstrap.servers": self.bootstrap, **group})
        consumer.commit(offsets=[TopicPartition(self.topic, 0, next_offset)], asynchronous=False)
        consumer.close()

    def figures(self) -> tuple[IntakeState, int]:
        state = self.backlog.figures()
        return state, state.lag[self.topic]

    def close(self) -> None:
        self.backlog.close()
        self.engine.dispose()
        self.admin.delete_topics([self.topic])[self.topic].result(SECONDS)


@pytest.fixture
def channel(kafka: KafkaUnderTest, tmp_path: Path) -> Iterator[Channel]:
    channel = Channel(kafka.bootstrap, tmp_path)
    yield channel
    channel.close()


def test_the_mark_of_a_transaction_is_neither_lag_nor_unaccounted(channel: Channel) -> None:
    channel.send()
    state, lag = channel.figures()
    assert (state.unaccounted, lag) == (1, 2)
    assert 0.0 <= state.oldest_unaccounted_seconds < SECONDS

    channel.ledger.counted("opened", channel=channel.name)
    channel.settle(1)
    state, lag = channel.figures()
    assert (state.unaccounted, state.oldest_unaccounted_seconds, lag) == (0, 0.0, 0)


def test_what_comes_after_a_transaction_counts_again(channel: Channel) -> None:
    channel.send(3)
    for _ in range(3):
        channel.ledger.counted("opened", channel=channel.name)
    channel.settle(3)
    channel.send(2)
    state, lag = channel.figures()
    assert (state.unaccounted, lag) == (2, 3)  # the second mark lies at the end, behind a record
