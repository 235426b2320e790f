"""Single records looked at where they lie: no group is joined, nothing is committed."""

from __future__ import annotations

from collections.abc import Generator

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from sinks.ledger import Partition
from streams.kafka_access import KafkaAccess

SECONDS = 3.0
"""So long the broker may take for the next record."""


class Peek:
    """One consumer for all looks, connected at the first."""

    def __init__(self, access: KafkaAccess) -> None:
        self._access = access
        self._consumer: Consumer | None = None

    def records(self, partition: Partition, low: int, end: int) -> Generator[tuple[int, float | None]]:
        """Tell the records from `low` to below `end`: offset, and when it was written (seconds since the epoch).

        At the end comes `(end, None)`; where the broker does not answer, that is missing. Offsets that are
        passed over hold no record: marks of a writer of transactions, or what has expired.
        """
        consumer = self._consumer = self._consumer or self._connected()
        consumer.assign([TopicPartition(partition.topic, partition.partition, low)])
        try:
            while (found := consumer.poll(SECONDS)) is not None:
                error, offset = found.error(), found.offset()
                if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                    return
                if error is not None or offset is None or offset >= end:
                    yield end, None
                    return
                yield offset, found.timestamp()[1] / 1000
                if offset == end - 1:
                    yield end, None
                    return
        except KafkaException:
            return
        finally:
            consumer.unassign()

    def close(self) -> None:
        """Let go of the broker."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def _connected(self) -> Consumer:
        own = {
            "group.id": "yiwang-peek",  # the library wants a name; nothing is joined and nothing committed
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "allow.auto.create.topics": False,
            "isolation.level": "read_uncommitted",  # as triage reads
            "fetch.wait.max.ms": 10,  # the end of a log is told without waiting for more
            "queued.max.messages.kbytes": 4_096,
        }
        return Consumer(self._access.librdkafka(**own))
