"""The registry on a real Kafka: made once, kept as it should be, and read the same by every client library."""

import asyncio
import dataclasses
from collections.abc import Sequence
from datetime import timedelta

import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka import Message, Producer
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType
from kafka import KafkaProducer

from sinks.ledger import Partition
from streams.clock import monotonic, new_id
from streams.cluster import Applied, Cluster, ClusterError, ClusterUnavailableError
from streams.kafka_access import KafkaAccess
from streams.kafka_ports import free_port
from streams.topics import Topic, topics_of
from tests.cities import qinglan
from tests.kafka_fixture import KafkaUnderTest

pytestmark = pytest.mark.broker

SECONDS = 30.0


@pytest.fixture
def access(kafka: KafkaUnderTest) -> KafkaAccess:
    return KafkaAccess(bootstrap=kafka.bootstrap)


@pytest.fixture
def cluster(access: KafkaAccess) -> Cluster:
    return Cluster(access)


@pytest.fixture
def few(topic_prefix: str) -> list[Topic]:
    """One topic of each kind, under names of this test alone."""
    kinds = {topic.kind.pattern: topic for topic in topics_of(qinglan(), 4)}
    return [dataclasses.replace(topic, name=topic_prefix + topic.name) for topic in kinds.values()]


@pytest.fixture
def admin(access: KafkaAccess) -> AdminClient:
    return AdminClient(access.librdkafka())


def settings_of(admin: AdminClient, topic: str) -> dict[str, str]:
    resource = ConfigResource(ResourceType.TOPIC, topic)
    found = admin.describe_configs([resource])[resource].result(SECONDS)
    return {name: entry.value for name, entry in found.items()}


def names(topics: Sequence[Topic]) -> list[str]:
    return [topic.name for topic in topics]


# -- making them ----------------------------------------------------------------------------------------


def test_topics_are_made_as_the_registry_says(admin: AdminClient, cluster: Cluster, few: list[Topic]) -> None:
    assert cluster.apply_topics(few) == Applied(created=names(few))
    assert cluster.partitions(names(few)) == {topic.name: topic.partitions for topic in few}
    for topic in few:
        found = settings_of(admin, topic.name)
        assert {name: found[name] for name in topic.config()} == topic.config()


def test_applying_again_changes_nothing(cluster: Cluster, few: list[Topic]) -> None:
    cluster.apply_topics(few)
    before = cluster.topic_ids(names(few))
    assert cluster.apply_topics(few) == Applied(unchanged=names(few))
    assert cluster.topic_ids(names(few)) == before


def test_a_new_unit_gets_its_queue_and_the_others_keep_theirs(cluster: Cluster, few: list[Topic]) -> None:
    *old, new = few
    cluster.apply_topics(old)
    assert cluster.apply_topics(few) == Applied(created=[new.name], unchanged=names(old))


def test_a_changed_setting_is_brought_to_the_topic_and_nothing_else_touched(
    admin: AdminClient, cluster: Cluster, few: list[Topic]
) -> None:
    cluster.apply_topics(few)
    first, *others = few
    longer = dataclasses.replace(first, kind=dataclasses.replace(first.kind, retention=timedelta(days=21)))
    before = settings_of(admin, first.name)
    assert cluster.apply_topics([longer, *others]) == Applied(changed=[first.name], unchanged=names(others))
    wanted = str(21 * 24 * 3600 * 1000)
    deadline = monotonic() + SECONDS  # the broker follows the controller within a moment
    while (after := settings_of(admin, first.name))["retention.ms"] != wanted:
        assert monotonic() < deadline, after["retention.ms"]
    assert {name for name in after if after[name] != before[name]} == {"retention.ms"}
    assert cluster.apply_topics([longer, *others]) == Applied(unchanged=names(few))


def test_a_dry_run_only_tells(admin: AdminClient, cluster: Cluster, few: list[Topic]) -> None:
    first, *missing = few
    cluster.apply_topics([first])
    smaller = dataclasses.replace(first, kind=dataclasses.replace(first.kind, max_bytes=100_000))
    told = cluster.apply_topics([smaller, *missing], dry_run=True)
    assert told == Applied(created=names(missing), changed=[first.name])
    assert cluster.partitions(names(few)) == {first.name: first.partitions}
    assert settings_of(admin, first.name)["max.message.bytes"] == str(first.kind.max_bytes)


def test_another_number_of_partitions_is_refused_before_anything_is_made(cluster: Cluster, few: list[Topic]) -> None:
    *old, new = few
    cluster.apply_topics(old)
    wider = [dataclasses.replace(topic, partitions=9) if topic.kind.keyed else topic for topic in few]
    with pytest.raises(ClusterError, match=r"set partitions to 4$"):
        cluster.apply_topics(wider)
    assert new.name not in cluster.partitions()
    assert cluster.partitions(names(old)) == {topic.name: topic.partitions for topic in old}


def test_more_copies_than_brokers_are_refused_with_the_topics_name(cluster: Cluster, few: list[Topic]) -> None:
    with pytest.raises(ClusterError, match=f"topic {few[0].name} cannot be made"):
        cluster.apply_topics(few[:1], replication=9)


def wait_until_gone(cluster: Cluster, name: str) -> None:
    """Deleting is done when the broker says so, and known everywhere a moment later."""
    deadline = monotonic() + SECONDS
    while name in cluster.partitions():
        assert monotonic() < deadline, f"{name} is still there"


# -- asking about them ------------------------------------------------------------------------------------


def test_a_topic_made_anew_under_its_old_name_has_another_id(
    admin: AdminClient, cluster: Cluster, few: list[Topic]
) -> None:
    name = few[0].name
    cluster.apply_topics(few[:1])
    before = cluster.topic_ids([name])[name]
    admin.delete_topics([name])[name].result(SECONDS)
    wait_until_gone(cluster, name)
    with pytest.raises(ClusterError, match="yiwang topics apply"):
        cluster.topic_ids([name])
    cluster.apply_topics(few[:1])
    after = cluster.topic_ids([name])[name]
    assert before
    assert after
    assert before != after


def test_starts_and_ends_are_the_offsets_of_what_was_written(
    access: KafkaAccess, cluster: Cluster, few: list[Topic]
) -> None:
    cluster.apply_topics(few[:1])
    name = few[0].name
    producer = Producer(access.librdkafka())
    for partition, count in ((0, 3), (2, 1)):
        for _ in range(count):
            producer.produce(name, b"{}", partition=partition)
    assert producer.flush(SECONDS) == 0
    asked = [Partition(name, number) for number in range(4)]
    assert cluster.ends(asked) == dict(zip(asked, (3, 0, 1, 0), strict=True))
    assert cluster.starts(asked) == dict.fromkeys(asked, 0)
    assert cluster.ends([]) == {}
    assert cluster.committed("nobody-" + name, asked) == {}


def test_a_cluster_that_does_not_answer_is_said_to_be_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.cluster.TIMEOUT", 1.0)
    address = f"127.0.0.1:{free_port()}"
    away = Cluster(KafkaAccess(bootstrap=address))
    with pytest.raises(ClusterUnavailableError, match=f"no broker answers at {address}"):
        away.partitions()


# -- one key, one partition -------------------------------------------------------------------------------

KEYS = [new_id().encode() for _ in range(60)]


def by_confluent(access: KafkaAccess, topic: str) -> dict[bytes, int]:
    places: dict[bytes, int] = {}

    def delivered(error: object, record: Message) -> None:
        assert error is None
        key, partition = record.key(), record.partition()
        assert isinstance(key, bytes)
        assert partition is not None
        places[key] = partition

    producer = Producer(access.librdkafka(partitioner="murmur2_random"))
    for key in KEYS:
        producer.produce(topic, b"{}", key, on_delivery=delivered)
    assert producer.flush(SECONDS) == 0
    return places


def by_kafka_python(access: KafkaAccess, topic: str) -> dict[bytes, int]:
    producer = KafkaProducer(**access.kafka_python())
    try:
        sent = {key: producer.send(topic, b"{}", key=key) for key in KEYS}
        return {key: future.get(SECONDS).partition for key, future in sent.items()}
    finally:
        producer.close(timeout=SECONDS)


def by_aiokafka(access: KafkaAccess, topic: str) -> dict[bytes, int]:
    async def send() -> dict[bytes, int]:
        async with AIOKafkaProducer(bootstrap_servers=access.bootstrap) as producer:
            sent = {key: await producer.send(topic, b"{}", key=key) for key in KEYS}
            return {key: (await future).partition for key, future in sent.items()}

    return asyncio.run(send())


def test_every_client_library_puts_a_case_into_the_same_partition(
    access: KafkaAccess, cluster: Cluster, few: list[Topic]
) -> None:
    cluster.apply_topics(few[:1])
    places = by_confluent(access, few[0].name)
    assert places.keys() == set(KEYS)
    assert len(set(places.values())) == 4
    assert by_kafka_python(access, few[0].name) == places
    assert by_aiokafka(access, few[0].name) == places
