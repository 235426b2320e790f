"""The broker lane's town: topics of its own on the lane's Kafka, and a client of its channel."""

from collections.abc import Iterator

import pytest

from streams.channel import ChannelClient
from tests.kafka_fixture import KafkaUnderTest
from tests.town import Town


@pytest.fixture
def town(kafka: KafkaUnderTest, topic_prefix: str) -> Town:
    return Town(kafka.bootstrap, topic_prefix.rstrip("."))


@pytest.fixture
def app(town: Town) -> Iterator[ChannelClient]:
    with ChannelClient(town.bootstrap, town.channel) as client:
        yield client
