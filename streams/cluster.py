"""Questions to the cluster about its topics: ids, offsets, existence; and making them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from sinks.ledger import Partition
from streams.clock import monotonic
from streams.kafka_access import KafkaAccess
from streams.topics import Topic

TIMEOUT = 20.0
"""Seconds a question may take."""

_LOOK_SECONDS = 5.0
"""For reading again what a batch has left out: half of a batch's budget."""

_LOOK_AGAIN = 0.05
"""Seconds; the brokers follow the controller within some 100 ms."""


class ClusterError(Exception):
    """The cluster is not as it must be; the text says what to do."""


class ClusterUnavailableError(ClusterError):
    """No broker answers; try again later."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What `apply_topics` did."""

    created: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)


class Cluster:
    """An admin's view of one cluster."""

    def __init__(self, access: KafkaAccess) -> None:
        self._access = access
        self._admin = AdminClient(access.librdkafka())

    def partitions(self, topics: Iterable[str] | None = None) -> dict[str, int]:
        """Return the partition count of every topic there is, or of those named.

        Raises:
            ClusterError: no broker answers.
        """
        try:
            found = self._admin.list_topics(timeout=TIMEOUT).topics
        except KafkaException as error:
            raise ClusterUnavailableError(f"no broker answers at {self._access.bootstrap}: {error}") from error
        wanted = None if topics is None else set(topics)
        return {name: len(each.partitions) for name, each in found.items() if wanted is None or name in wanted}

    def topic_ids(self, topics: Sequence[str]) -> dict[str, str]:
        """Return Kafka's id of each topic: a topic made anew under an old name has another.

        Raises:
            ClusterUnavailableError: no broker answers, or one of them is not there (yet).
        """
        described = self._admin.describe_topics(TopicCollection(list(topics)), request_timeout=TIMEOUT)
        try:
            return {name: str(future.result().topic_id) for name, future in described.items()}
        except KafkaException as error:
            if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise ClusterUnavailableError(
                    f"a topic is missing among {', '.join(topics)}; make it with: yiwang topics apply"
                ) from error
            raise ClusterUnavailableError(f"the cluster does not tell its topics: {error}") from error

    def ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Return the end of each log: the offset its next record will have."""
        return self._offsets(partitions, OffsetSpec.latest())

    def starts(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Return the first offset each log still holds."""
        return self._offsets(partitions, OffsetSpec.earliest())

    def _offsets(self, partitions: Iterable[Partition], spec: Any) -> dict[Partition, int]:
        asked = {TopicPartition(each.topic, each.partition): spec for each in partitions}
        if not asked:
            return {}
        try:
            answers = self._admin.list_offsets(asked, request_timeout=TIMEOUT)
            return {Partition(each.topic, each.partition): future.result().offset for each, future in answers.items()}
        except KafkaException as error:
            raise ClusterUnavailableError(f"the cluster does not tell its offsets: {error}") from error

    def committed(self, group: str, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Return a group's committed offsets; partitions without one are missing."""
        asked = [TopicPartition(each.topic, each.partition) for each in partitions]
        consumer = Consumer(self._access.librdkafka(**{"group.id": group, "enable.auto.commit": False}))
        try:
            answers = _committed(consumer, asked)
        except KafkaException as error:
            raise ClusterUnavailableError(f"the cluster does not tell the offsets of {group}: {error}") from error
        finally:
            consumer.close()
        return {Partition(each.topic, each.partition): each.offset for each in answers if each.offset >= 0}

    def existing(self, partition: Partition, start: int, stop: int) -> set[int]:
        """Return the offsets from `start` up to `stop` at which there are records; marks of transactions are none.

        Args:
            partition: to read.
            start: first offset asked for.
            stop: offset of a record that is there.

        Raises:
            ClusterUnavailableError: the broker does not give them all in time.
        """
        settings = {
            "group.id": "yiwang-look",  # the library wants a name; nothing is joined and nothing committed
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_uncommitted",  # as the workers read
        }
        consumer = Consumer(self._access.librdkafka(**settings))
        found: set[int] = set()
        deadline = monotonic() + _LOOK_SECONDS
        try:
            consumer.assign([TopicPartition(partition.topic, partition.partition, start)])
            while monotonic() < deadline:
                message = consumer.poll(0.2)
                offset = None if message is None or message.error() else message.offset()
                if offset is not None and offset >= stop:
                    return found
                if offset is not None:
                    found.add(offset)
        finally:
            consumer.close()
        raise ClusterUnavailableError(
            f"{partition.topic}[{partition.partition}] could not be read again from {start} to {stop} in time"
        )

    def apply_topics(self, topics: Sequence[Topic], *, replication: int = 1, dry_run: bool = False) -> Applied:
        """Make the topics there should be, and give those there are the settings they should have.

        Args:
            topics: what there should be.
            replication: copies of each.
            dry_run: only tell.

        Raises:
            ClusterError: a keyed topic has another number of partitions than was fixed at installation.
        """
        there = self.partitions()
        wrong = [t.name for t in topics if t.name in there and there[t.name] != t.partitions]
        if wrong:
            raise ClusterError(
                f"{', '.join(wrong[:3])}: the number of partitions differs from the installation's; "
                f"it was fixed when the topics were made: set partitions to {there[wrong[0]]}"
            )
        min_insync = 2 if replication > 2 else 1
        missing = [topic for topic in topics if topic.name not in there]
        if missing and not dry_run:
            self._create(missing, replication, min_insync)
        present = [topic for topic in topics if topic.name in there]
        changed = self._changed(present, min_insync)
        if changed and not dry_run:
            self._alter({topic.name: topic.config(min_insync=min_insync) for topic in changed})
        names = {topic.name for topic in changed}
        return Applied(
            [topic.name for topic in missing],
            [topic.name for topic in changed],
            [topic.name for topic in present if topic.name not in names],
        )

    def _create(self, topics: Sequence[Topic], replication: int, min_insync: int) -> None:
        wanted = [
            NewTopic(
                topic.name,
                num_partitions=topic.partitions,
                replication_factor=replication,
                config=topic.config(min_insync=min_insync),
            )
            for topic in topics
        ]
        for name, future in self._admin.create_topics(wanted, request_timeout=TIMEOUT * 3).items():
            try:
                future.result()
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise ClusterError(f"topic {name} cannot be made: {error}") from error
        self._await({topic.name for topic in topics})

    def _await(self, names: set[str]) -> None:
        """Wait until the brokers know the topics that the controller has just made.

        Raises:
            ClusterUnavailableError: they do not within `TIMEOUT`.
        """
        deadline = monotonic() + TIMEOUT
        while missing := names - self.partitions(names).keys():
            if monotonic() >= deadline:
                raise ClusterUnavailableError(f"topic {min(missing)} was made, but no broker knows it")
            time.sleep(_LOOK_AGAIN)

    def _changed(self, topics: Sequence[Topic], min_insync: int) -> list[Topic]:
        resources = [ConfigResource(ResourceType.TOPIC, topic.name) for topic in topics]
        if not resources:
            return []
        answers = self._admin.describe_configs(resources, request_timeout=TIMEOUT)
        try:
            current: Mapping[str, Mapping[str, Any]] = {each.name: future.result() for each, future in answers.items()}
        except KafkaException as error:
            raise ClusterUnavailableError(f"the cluster does not tell its topics' settings: {error}") from error
        return [
            topic
            for topic in topics
            if any(
                name in current[topic.name] and current[topic.name][name].value != value
                for name, value in topic.config(min_insync=min_insync).items()
            )
        ]

    def _alter(self, settings: Mapping[str, Mapping[str, str]]) -> None:
        resources = [
            ConfigResource(
                ResourceType.TOPIC,
                name,
                incremental_configs=[
                    ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
                    for key, value in values.items()
                ],
            )
            for name, values in settings.items()
        ]
        for resource, future in self._admin.incremental_alter_configs(resources, request_timeout=TIMEOUT).items():
            try:
                future.result()
            except KafkaException as error:
                raise ClusterError(f"the settings of topic {resource.name} cannot be changed: {error}") from error


_COORDINATOR_MOVES = (
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
)
"""The first question about any group makes Kafka's own topic of offsets, which takes a moment."""


def _committed(consumer: Consumer, asked: list[TopicPartition]) -> list[TopicPartition]:
    """Ask for committed offsets until a coordinator answers, at most `TIMEOUT`.

    Raises:
        KafkaException: none does, or it says no.
    """
    deadline = monotonic() + TIMEOUT
    while True:
        try:
            answers: list[TopicPartition] = consumer.committed(asked, timeout=TIMEOUT)
        except KafkaException as error:
            if error.args[0].code() not in _COORDINATOR_MOVES or monotonic() >= deadline:
                raise
            time.sleep(_LOOK_AGAIN)
        else:
            return answers
