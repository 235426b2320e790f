"""The bench's client processes: `python -m streams.bench.party channels|departments`, on librdkafka.

Both talk with their owner by lines of JSON: settings come first on standard input, then orders;
answers go to standard output. They end when their standard input does.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from confluent_kafka import OFFSET_END, Consumer, KafkaException, Producer, TopicPartition

from streams import clock, keys
from streams.bench.parties import Departments, Sent, UnplayableError, submission
from streams.bench.texts import Texts
from streams.cityfile import load_city
from streams.modelfile import of_city
from streams.producer import PARTITIONER

STALLED_SECONDS = 30.0
"""Seconds without any outcome after which a run counts as stalled."""

_TAKE = 4_000
_EAGER_MS = 5
"""Milliseconds for which clients gather in a steady flow: short, because it is part of the measured latency."""

_PATIENT_MS = 50
"""The same in a burst: few, large fetches, as a client that has much to do would ask for."""

_PATIENT_BYTES = 500_000


def say(**message: Any) -> None:
    """Write one line to the owner."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


class Orders:
    """Lines from the owner, without waiting for them."""

    def __init__(self) -> None:
        self._rest = b""
        self.ended = False

    def next(self, wait: float) -> dict[str, Any] | None:
        """Return the next order, None when none came in `wait` seconds or standard input has ended."""
        if b"\n" not in self._rest:
            ready, _, _ = select.select([0], [], [], wait)
            if not ready:
                return None
            read = os.read(0, 65536)
            self.ended = not read
            self._rest += read
        line, found, rest = self._rest.partition(b"\n")
        if not found:
            return None
        self._rest = rest
        order: dict[str, Any] = json.loads(line)
        return order


def _gather_ms(settings: Mapping[str, Any]) -> int:
    return _PATIENT_MS if settings["patient"] else _EAGER_MS


def _producer(settings: Mapping[str, Any]) -> Producer:
    return Producer(
        dict(settings["kafka"])
        | {
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": 20 if settings["patient"] else 1,
            "batch.size": 250_000,  # a topic's `max.message.bytes` counts whole batches
            "partitioner": PARTITIONER,
            "queue.buffering.max.messages": 1_000_000,
        }
    )


def _consumer(settings: Mapping[str, Any], group: str, prefix: str) -> Consumer:
    """Return a consumer of every partition of the topics with this prefix, from their end."""
    consumer = Consumer(
        dict(settings["kafka"])
        | {
            "group.id": group,
            "enable.auto.commit": False,
            "fetch.min.bytes": _PATIENT_BYTES if settings["patient"] else 1,
            "fetch.wait.max.ms": _PATIENT_MS if settings["patient"] else 500,
            "log_level": 3,
        }
    )
    topics = consumer.list_topics(timeout=20.0).topics
    consumer.assign(
        [
            TopicPartition(name, part, OFFSET_END)
            for name, topic in topics.items()
            if name.startswith(prefix)
            for part in topic.partitions
        ]
    )
    return consumer


def _send(producer: Producer, messages: Iterable[Sent]) -> None:
    for topic, key, value, headers in messages:
        while True:
            try:
                producer.produce(topic, value, key, headers=list(headers))
            except BufferError:
                producer.poll(0.05)
            else:
                break
    producer.poll(0)


def channels(settings: Mapping[str, Any], orders: Orders) -> None:
    """Submit demands as ordered, `{"first", "count", "rate"}`, and watch their outcomes until all are closed."""
    folder = Path(settings["city"])
    city = load_city(folder)
    texts = Texts(city, settings["seed"], of_city(folder, city)[0])
    producer = _producer(settings)
    consumer = _consumer(settings, "bench-channels", "outcome.")
    consumer.consume(_TAKE, 1.0)
    gather = _gather_ms(settings) / 1000
    say(ready=True, categories=texts.categories)
    while not orders.ended:
        order = orders.next(0.2)
        if order:
            say(**_submit(texts, producer, consumer, order, gather))
    consumer.close()


def _submit(
    texts: Texts, producer: Producer, consumer: Consumer, order: Mapping[str, Any], gather: float
) -> dict[str, Any]:
    """Submit and watch.

    Returns:
        `sent`: id to the moment of submission, `closed`: how many, `started` and `ended`; moments in seconds of the
        machine's monotonic clock, which all processes share.
    """
    first, count, rate = order["first"], order["count"], order["rate"]
    sent: dict[str, float] = {}
    ends: dict[str, int] = {}
    closed: set[str] = set()
    started = moved = ended = time.monotonic()
    while len(closed) < count and time.monotonic() - moved < STALLED_SECONDS:
        due = count if rate is None else min(count, int((time.monotonic() - started) * rate) + 1)
        while len(sent) < due:
            demand = texts.demand(first + len(sent))
            sent[demand.demand_id] = time.monotonic()
            _send(producer, [submission(demand)])
        wait = gather if rate is None else max(0.0, min(gather, started + len(sent) / rate - time.monotonic()))
        for record in consumer.consume(_TAKE, wait):
            value = record.value()
            if record.error() or not value:
                continue
            outcome = json.loads(value)
            moved = ended = time.monotonic()
            state = outcome.get("state")
            if outcome.get("refused") or state in ("declined", "answered", "in_review"):
                ends[outcome["code"]] = ends.get(outcome["code"], 0) + 1
            if state == "closed" and outcome.get("demand_id") in sent:
                closed.add(outcome["demand_id"])
    return {"sent": sent, "closed": len(closed), "astray": ends, "started": started, "ended": ended}


def departments(settings: Mapping[str, Any], orders: Orders) -> None:
    """Do all work there is; the order `{"report": true}` is answered with the moments of first sight."""
    producer = _producer(settings)
    consumer = _consumer(settings, "bench-departments", "work.")
    gather = _gather_ms(settings) / 1000
    folder = Path(settings["keys"])
    staff = Departments(lambda unit: keys.current(folder, unit), clock.now)
    seen: dict[str, float] = {}
    problems: list[str] = []
    consumer.consume(_TAKE, 1.0)
    say(ready=True)
    while not orders.ended:
        if orders.next(0.0):
            say(seen=seen, problems=problems[:5])
            seen.clear()
        for record in consumer.consume(_TAKE, gather):
            if record.error():
                continue
            try:
                done = staff.react(record.value())
            except (UnplayableError, keys.SigningKeyError) as problem:
                problems.append(str(problem))
                continue
            if done is not None:
                seen.setdefault(done[0], time.monotonic())
                _send(producer, done[1])
        producer.poll(0)
    consumer.close()


def main(role: str) -> int:
    """Play a role until standard input ends."""
    orders = Orders()
    settings = None
    while settings is None and not orders.ended:
        settings = orders.next(1.0)
    if settings is None:
        return 2
    try:
        {"channels": channels, "departments": departments}[role](settings, orders)
    except KafkaException as error:
        sys.stderr.write(f"the bench's {role} lost the broker: {error}\n")
        return 3
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
