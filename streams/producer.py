"""The worker's one producer (librdkafka): ordered, idempotent, waited for once a batch."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from sinks.ledger import Output
from streams.casework import Arrived, HaltError, RefusedError, arrived

LINGER_MS = 5
"""A batch is handed over at once and flushed; lingering lets librdkafka gather it per partition."""

BATCH_BYTES = 524_288
"""Kafka holds a topic's `max.message.bytes` against whole batches: half of the smallest leaves room."""

PARTITIONER = "murmur2_random"
"""Java's partitioner: every client of the project puts a key into the same partition."""


_FOR_GOOD = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE, KafkaError.INVALID_RECORD})
"""What a message is refused for by itself, however often it is tried."""


@dataclass(slots=True)
class _Batch:
    """What the broker has said of a batch so far."""

    size: int
    started: float
    deadline: float
    left: int = field(init=False)
    """How many it has said nothing of."""
    failures: list[tuple[Output, KafkaError]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.left = self.size

    def tell(self, output: Output, error: KafkaError | None) -> None:
        """Note what became of an output."""
        self.left -= 1
        if error is not None:
            self.failures.append((output, error))

    def told_of(self, output: Output) -> Callable[[KafkaError | None, Message], None]:
        """Return what librdkafka calls when it knows."""
        return lambda error, _message: self.tell(output, error)


class BatchProducer:
    """Publishes batches of outputs; one a worker, used from one thread."""

    def __init__(self, settings: Mapping[str, Any], published: Callable[[float], None] = lambda _seconds: None) -> None:
        """Open the producer.

        Args:
            settings: librdkafka settings that reach the broker (address, security).
            published: told how many seconds each batch took until the broker had it.
        """
        self._published = published
        self._producer = Producer(
            dict(settings)
            | {
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": LINGER_MS,
                "batch.size": BATCH_BYTES,
                "partitioner": PARTITIONER,
                "queue.buffering.max.messages": 1_000_000,
                "message.max.bytes": 4 * 2**20,
                "message.timeout.ms": 9_000,
            }
        )

    def publish(self, outputs: Sequence[Output], timeout: float) -> Arrived:
        """Hand over in order; librdkafka sends, and what comes back waits until the broker has every one of them.

        Args:
            outputs: in the order in which each key must appear.
            timeout: seconds from now, for the broker to have them.

        Raises:
            HaltError: the producer's queue stays full.
        """
        if not outputs:
            return arrived
        batch = _Batch(len(outputs), time.monotonic(), time.monotonic() + timeout)
        for output in outputs:
            try:
                self._produce(output, batch.told_of(output), batch.deadline)
            except KafkaException as error:
                batch.tell(output, error.args[0])
        return lambda: self._wait(batch)

    def _wait(self, batch: _Batch) -> None:
        """Wait until the broker has a batch.

        Raises:
            HaltError: not all are acknowledged in time.
            RefusedError: one of them is refused for good; the text names it.
        """
        self._producer.poll(0)  # what has arrived while nobody looked counts, however late it is
        while batch.left and (rest := batch.deadline - time.monotonic()) > 0:
            self._producer.poll(rest)
        for output, reason in batch.failures:
            if reason.code() in _FOR_GOOD:
                raise RefusedError(f"{output.message_id} for {output.topic}: {reason.str()}")
        if missing := batch.left + len(batch.failures):
            why = str(batch.failures[0][1]) if batch.failures else "no answer in time"
            raise HaltError(f"{missing} of {batch.size} messages are not on the broker: {why}")
        self._published(time.monotonic() - batch.started)

    def _produce(self, output: Output, delivered: Callable[..., None], deadline: float) -> None:
        while True:
            try:
                self._producer.produce(
                    output.topic, output.value, output.key, on_delivery=delivered, headers=list(output.headers)
                )
            except BufferError:
                if time.monotonic() >= deadline:
                    raise HaltError("the producer's queue stays full: the broker does not keep up") from None
                self._producer.poll(0.05)
            else:
                self._producer.poll(0)
                return
