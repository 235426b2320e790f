"""The limit: the same messages through raw aiokafka and the same rows through raw SQL, with no logic at all.

This is the 1.0 of the ratio. Kafka's part writes every message once and reads it once, in one process on uvloop,
with the durable settings of the installation; the other part runs the ledger's own statements by `executemany` in
the ledger's own transactions. The two are done one after the other, and their times are added.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from sinks.ledger import sqlite_url
from sinks.schema import migrate
from streams.bench.parties import Sent
from streams.bench.sample import Sample, Statement

SMALL_EVENT = 330
"""Bytes of the events by which the limit is held against what is known of aiokafka on a machine."""

SMALL_EVENTS = 50_000

_WARM_UP = 4_000
_IN_FLIGHT = 20_000
"""Messages handed over before the writer waits for their acknowledgements."""

_LINGER_MS = 200
"""Long, for large batches: nobody waits for a single message here, and each batch costs the broker a flush."""

_BATCH_BYTES = 2**18
"""Largest batch: below the smallest `max.message.bytes` of the topics, which counts whole batches."""

_FETCH_BYTES = 8 * 2**20
_LEAST_FETCH = 500_000
_FETCH_WAIT_MS = 100
"""Few, large fetches, for the same reason."""


def kafka_limit(bootstrap: str, messages: Sequence[Sent]) -> float:
    """Write these messages and read all of them, side by side.

    Args:
        bootstrap: address of a Kafka that has their topics, empty.
        messages: in the order in which the product published them.

    Returns:
        Seconds.
    """
    return uvloop.run(_write_and_read(bootstrap, messages))


async def _write_and_read(bootstrap: str, messages: Sequence[Sent]) -> float:
    topics = sorted({topic for topic, _key, _value, _headers in messages})
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        enable_idempotence=True,
        acks="all",
        linger_ms=_LINGER_MS,
        max_batch_size=_BATCH_BYTES,
        max_request_size=_BATCH_BYTES * 16,
    )
    consumer = AIOKafkaConsumer(
        *topics,
        bootstrap_servers=bootstrap,
        group_id=None,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=_FETCH_BYTES,
        fetch_max_bytes=_FETCH_BYTES * 8,
        fetch_min_bytes=_LEAST_FETCH,
        fetch_max_wait_ms=_FETCH_WAIT_MS,
    )
    await producer.start()
    await consumer.start()
    try:
        warm = messages[: min(_WARM_UP, len(messages) // 10)]
        await asyncio.gather(_write(producer, warm), _read(consumer, len(warm)))
        started = time.perf_counter()
        await asyncio.gather(_write(producer, messages), _read(consumer, len(messages)))
        return time.perf_counter() - started
    finally:
        await producer.stop()
        await consumer.stop()


async def _write(producer: Any, messages: Sequence[Sent]) -> None:
    waiting = []
    for topic, key, value, headers in messages:
        waiting.append(await producer.send(topic, value, key=key, headers=headers))
        if len(waiting) >= _IN_FLIGHT:
            await asyncio.gather(*waiting)
            waiting.clear()
    await asyncio.gather(*waiting)


async def _read(consumer: Any, count: int) -> None:
    read = 0
    while read < count:
        taken = await consumer.getmany(timeout_ms=1_000)
        read += sum(len(records) for records in taken.values())


def sql_limit(file: Path, transactions: Sequence[Sequence[Statement]]) -> float:
    """Run the ledger's statements, transaction by transaction, on a new SQLite file.

    Args:
        file: on the disk that is measured.
        transactions: as the ledger ran them.

    Returns:
        Seconds.
    """
    migrate(sqlite_url(file))
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    started = time.perf_counter()
    for statements in transactions:
        connection.execute("BEGIN IMMEDIATE")
        for sql, rows in statements:
            connection.executemany(sql, rows)
        connection.execute("COMMIT")
    seconds = time.perf_counter() - started
    connection.close()
    return seconds


def small_events(topics: Sequence[str], count: int = SMALL_EVENTS) -> list[Sent]:
    """Return events of `SMALL_EVENT` bytes, spread over these topics."""
    value = b"x" * SMALL_EVENT
    return [(topics[number % len(topics)], b"%026d" % number, value, []) for number in range(count)]


def figures(sample: Sample, repeats: int, kafka_s: float, sql_s: float, small_s: float) -> dict[str, Any]:
    """Return what is reported of the limit.

    Args:
        sample: what was moved.
        repeats: how often.
        kafka_s: seconds of all its messages.
        sql_s: seconds of all its rows.
        small_s: seconds of `small_events`.
    """
    lifecycles, messages, rows = (each * repeats for each in (sample.lifecycles, len(sample.messages), sample.rows))
    return {
        "lifecycles": lifecycles,
        "messages": messages,
        "bytes_per_message": round(sample.bytes / len(sample.messages)),
        "rows": rows,
        "transactions": len(sample.transactions) * repeats,
        "kafka_s": round(kafka_s, 3),
        "sql_s": round(sql_s, 3),
        "seconds": round(kafka_s + sql_s, 3),
        "kafka_events_per_s": round(messages / kafka_s),
        "kafka_small_events_per_s": round(SMALL_EVENTS / small_s),
        "sql_rows_per_s": round(rows / sql_s),
        "lifecycles_per_s": round(lifecycles / (kafka_s + sql_s), 1),
    }
