"""How far behind: what is on the broker and not yet in the ledger, and how old it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from confluent_kafka import Consumer, KafkaException, TopicPartition
from sqlalchemy import Connection, Engine, func, select

from sinks.ledger import Partition
from sinks.ledger_metrics import IntakeState
from sinks.queries import snapshot
from sinks.tables import InputRow, ProgressRow
from streams.cluster import Cluster
from streams.kafka_access import KafkaAccess
from streams.topics import casework_topics, intake

TRIAGE_GROUP = "yiwang-triage"
CASEWORK_GROUP = "yiwang-casework"

_PEEK_SECONDS = 3.0
_INPUT = InputRow.__table__  # type: ignore[attr-defined]
_PROGRESS = ProgressRow.__table__  # type: ignore[attr-defined]


@dataclass(slots=True)
class Backlog:
    """Compares the broker's offsets with the ledger's, when asked."""

    access: KafkaAccess
    channels: Sequence[str]
    ledger: Engine
    now: Callable[[], datetime]
    _cluster: Cluster | None = None
    _peek: Consumer | None = None

    def figures(self) -> IntakeState:
        """Return what is unaccounted, how old the oldest of it is, and the lag by topic.

        Raises:
            ClusterError: the broker does not answer.
        """
        cluster = self._cluster = self._cluster or Cluster(self.access)
        counts = cluster.partitions([*(intake(each) for each in self.channels), *casework_topics()])
        partitions = [Partition(topic, number) for topic, count in counts.items() for number in range(count)]
        ends = cluster.ends(partitions)
        entered = {each: end for each, end in ends.items() if each.topic not in casework_topics()}
        committed = cluster.committed(TRIAGE_GROUP, list(entered))
        with snapshot(self.ledger) as moment:
            missing = {
                each: first for each, end in entered.items() if (first := _first_missing(moment, each, end)) is not None
            }
            unaccounted = sum(entered.values()) - sum(_accounted(moment, each) for each in entered)
            decided = _decided(moment)
        lag: dict[str, int] = {}
        for each, end in ends.items():
            done = committed.get(each, 0) if each in entered else decided.get(each, 0)
            lag[each.topic] = lag.get(each.topic, 0) + max(0, end - done)
        return IntakeState(max(0, unaccounted), self._oldest(missing), lag)

    def close(self) -> None:
        """Let go of the broker."""
        if self._peek is not None:
            self._peek.close()
            self._peek = None

    def _oldest(self, missing: Mapping[Partition, int]) -> float:
        """Return the age in seconds of the oldest unaccounted record, 0 when there is none."""
        ages = [self._age(each, first) for each, first in missing.items()]
        return max(ages, default=0.0)

    def _age(self, partition: Partition, offset: int) -> float:
        if self._peek is None:
            self._peek = Consumer(self.access.librdkafka(**{"group.id": "yiwang-peek", "enable.auto.commit": False}))
        self._peek.assign([TopicPartition(partition.topic, partition.partition, offset)])
        try:
            message = self._peek.poll(_PEEK_SECONDS)
        except KafkaException:
            return 0.0
        if message is None or message.error():
            return 0.0
        return max(0.0, self.now().timestamp() - message.timestamp()[1] / 1000)


def _accounted(moment: Connection, each: Partition, below: int | None = None) -> int:
    statement = (
        select(func.count())
        .select_from(_INPUT)
        .where(_INPUT.c.origin_topic == each.topic, _INPUT.c.origin_partition == each.partition)
    )
    if below is not None:
        statement = statement.where(_INPUT.c.origin_offset < below)
    return int(moment.execute(statement).scalar_one())


def _first_missing(moment: Connection, each: Partition, end: int) -> int | None:
    """Return the lowest offset without a row, None when all below `end` have one.

    A binary search: the rows below an offset are complete exactly when they are as many.
    """
    if _accounted(moment, each, end) == end:
        return None
    low, high = 0, end
    while low < high:
        middle = (low + high + 1) // 2
        if _accounted(moment, each, middle) == middle:
            low = middle
        else:
            high = middle - 1
    return low


def _decided(moment: Connection) -> dict[Partition, int]:
    return {
        Partition(row.topic, row.partition): row.next_offset
        for row in moment.execute(select(_PROGRESS.c.topic, _PROGRESS.c.partition, _PROGRESS.c.next_offset))
    }
