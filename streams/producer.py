"""The worker's one producer (librdkafka): ordered, idempotent, flushed once a batch."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from sinks.ledger import Output
from streams.casework import HaltError, RefusedError

LINGER_MS = 5
"""A batch is handed over at once and flushed; lingering lets librdkafka gather it per partition."""

BATCH_BYTES = 524_288
"""Kafka holds a topic's `max.message.bytes` against whole batches: half of the smallest leaves room."""

PARTITIONER = "murmur2_random"
"""Java's partitioner: every client of the project puts a key into the same partition."""


_FOR_GOOD = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE, KafkaError.INVALID_RECORD})
"""What a message is refused for by itself, however often it is tried."""


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
            HaltError: not all are acknowledged in time.
            RefusedError: one of them is refused for good; the text names it.
        """
        if not outputs:
            return
        failures: list[tuple[Output, KafkaError]] = []
        started = time.monotonic()
        deadline = started + timeout
        for output in outputs:
            try:
                self._produce(output, _failing(output, failures), deadline)
            except KafkaException as error:
                failures.append((output, error.args[0]))
        left = self._producer.flush(max(0.0, deadline - time.monotonic()))
        for output, reason in failures:
            if reason.code() in _FOR_GOOD:
                raise RefusedError(f"{output.message_id} for {output.topic}: {reason.str()}")
        if left or failures:
            why = str(failures[0][1]) if failures else "no answer in time"
            raise HaltError(f"{left + len(failures)} of {len(outputs)} messages are not on the broker: {why}")
        self._published(time.monotonic() - started)

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


def _failing(output: Output, failures: list[tuple[Output, KafkaError]]) -> Callable[[KafkaError | None, Message], None]:
    """Return what notes that the broker does not have an output."""

    def _delivered(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            failures.append((output, error))

    return _delivered
