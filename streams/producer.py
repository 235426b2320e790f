"""The worker's one producer (librdkafka): ordered, idempotent, flushed once a batch."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from sinks.ledger import Output
from streams.casework import HaltError

LINGER_MS = 5
"""A batch is handed over at once and flushed; lingering lets librdkafka gather it per partition."""

BATCH_BYTES = 524_288
"""Kafka holds a topic's `max.message.bytes` against whole batches: half of the smallest leaves room."""

PARTITIONER = "murmur2_random"
"""Java's partitioner: every client of the project puts a key into the same partition."""


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

    def publish(self, outputs: Sequence[Output], timeout: float) -> None:
        """Publish in order and wait until the broker has every one of them.

        Args:
            outputs: in the order in which each key must appear.
            timeout: seconds.

        Raises:
            HaltError: not all are acknowledged in time, or one is refused for good.
        """
        if not outputs:
            return
        failures: list[KafkaError] = []

        def _delivered(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                failures.append(error)

        started = time.monotonic()
        deadline = started + timeout
        try:
            for output in outputs:
                self._produce(output, _delivered, deadline)
        except KafkaException as error:
            raise HaltError(f"the broker cannot take {output.topic}: {error}") from error
        left = self._producer.flush(max(0.0, deadline - time.monotonic()))
        if left or failures:
            why = str(failures[0]) if failures else "no answer in time"
            raise HaltError(f"{left + len(failures)} of {len(outputs)} messages are not on the broker: {why}")
        self._published(time.monotonic() - started)

    def _produce(self, output: Output, delivered: Any, deadline: float) -> None:
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
