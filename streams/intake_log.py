"""What Kafka says of the intake topics, for the audit: how far each partition reaches, and whose each record is."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from sinks.audit import PartitionLog
from streams.decoding import is_demand_id, text_of
from streams.topics import channel_of

TIMEOUT = 20.0
"""Seconds a question about offsets may take."""

READ_SECONDS = 600.0
"""Seconds that reading the keys of all partitions may take together."""

_TAKE = 10_000
"""Records asked for at once."""

Progress = Callable[[str, int, int], None]
"""Told now and then: the partition (`intake.app[2]`), records read of it, records there are."""


class IntakeLogError(Exception):
    """Kafka does not say what it holds; the text says what to do."""


def intake_logs(
    settings: Mapping[str, Any],
    *,
    keys: bool = True,
    progress: Progress | None = None,
    seconds: float = READ_SECONDS,
    monotonic: Callable[[], float] = time.monotonic,
) -> Iterator[PartitionLog]:
    """Say of each partition of each intake topic where its log starts and ends, and whose its records are.

    One partition is read at a time and Kafka is asked as the caller goes on, so that the audit
    fixes the ledger's moment first and holds the keys of one partition only.

    Args:
        settings: how to reach the cluster, in librdkafka's words (`KafkaAccess.librdkafka()`).
        keys: read every record for its demand id; False asks for the offsets alone.
        progress: told how far the reading is.
        seconds: all of it may take.
        monotonic: seconds that only grow.

    Raises:
        IntakeLogError: no broker answers, or the time is over.
    """
    deadline = monotonic() + seconds
    with _consumer(settings) as consumer:
        for topic, partition in _partitions(consumer):
            log = PartitionLog(channel_of(topic) or "", topic, partition, *_watermarks(consumer, topic, partition))
            if not keys:
                yield log
                continue
            found: dict[int, str | None] = {}
            for offset, demand_id in _read(consumer, log, still_time=lambda: monotonic() < deadline):
                found[offset] = demand_id
                if progress is not None and len(found) % _TAKE == 0:
                    progress(f"{topic}[{partition}]", len(found), log.end - log.start)
            if progress is not None:
                progress(f"{topic}[{partition}]", log.end - log.start, log.end - log.start)
            # What expired while it was read is below the start now: there the ledger is the proof.
            start = max(log.start, min(_watermarks(consumer, topic, partition)[0], log.end))
            yield replace(log, start=start, keys=found)


@contextmanager
def _consumer(settings: Mapping[str, Any]) -> Iterator[Any]:
    own = {
        "group.id": "yiwang-audit",  # the library wants a name; nothing is joined and nothing committed
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "earliest",  # what expires before it is read is below the start when it is read
        "allow.auto.create.topics": False,
        "isolation.level": "read_uncommitted",
        "log_level": 0,
    }
    consumer = Consumer({**settings, **own})
    try:
        yield consumer
    except KafkaException as error:
        raise IntakeLogError(
            f"Kafka at {settings.get('bootstrap.servers')} does not say what its intake topics hold "
            f"({_reason(error)}); is it running?"
        ) from error
    finally:
        consumer.close()


def _partitions(consumer: Any) -> list[tuple[str, int]]:
    topics = consumer.list_topics(timeout=TIMEOUT).topics
    return sorted((name, number) for name, topic in topics.items() if channel_of(name) for number in topic.partitions)


def _watermarks(consumer: Any, topic: str, partition: int) -> tuple[int, int]:
    start, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=TIMEOUT)
    return start, end


def _read(consumer: Any, log: PartitionLog, *, still_time: Callable[[], bool]) -> Iterator[tuple[int, str | None]]:
    """Read a partition from start to end; ends at the end, also where the last offsets hold no record.

    Raises:
        IntakeLogError: the time is over.
    """
    if log.start >= log.end:
        return
    consumer.assign([TopicPartition(log.topic, log.partition, log.start)])
    ahead = log.start
    try:
        while still_time():
            # No more than there are: the library waits out its time for a full measure.
            for record in consumer.consume(min(_TAKE, log.end - ahead), timeout=0.5):
                error = record.error()
                if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                    raise KafkaException(error)
                if error is not None or record.offset() >= log.end:
                    return
                yield record.offset(), _demand_id(record.key(), record.value())
                ahead = record.offset() + 1
                if ahead == log.end:
                    return
    finally:
        consumer.unassign()
    raise IntakeLogError(
        f"{log.topic}[{log.partition}] could not be read to its end in time; "
        "try again when the broker has less to do, or ask for the offsets alone."
    )


def _demand_id(key: bytes | None, value: bytes | None) -> str | None:
    """Return whose a record is: its key, or what it says where a foreign client sent no key."""
    if key is not None:
        text = text_of(key)
        return text if text and is_demand_id(text) else None
    with suppress(ValueError, RecursionError):
        said = json.loads(value or b"")
        named = said.get("demand_id") if isinstance(said, dict) else None
        return named if isinstance(named, str) and is_demand_id(named) else None
    return None


def _reason(error: KafkaException) -> str:
    return str(getattr(error.args[0], "str", lambda: error)()) if error.args else str(error)
