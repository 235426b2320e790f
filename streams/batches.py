"""From Faust's stream to batches: take all that waits, settle it in one thread, acknowledge in order.

The agent only feeds a buffer, so nothing can raise out of it; one task takes the buffer whole.
A batch is whatever waits, at once when idle: large when it is busy, small when it is not. While the
broker takes what one batch has to tell, the next is decided already; it ends after it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NoReturn

from sinks.ledger import Partition
from streams.offsets import Settled
from streams.records import Record

LARGEST = 4_000
"""Records of one batch at most: bounds the memory and the time of a transaction."""

WAITING = 16_000
"""Records that may wait; beyond, the agent waits and Kafka keeps them."""

LARGEST_BYTES = 16 * 2**20
"""Bytes at which a batch is cut, whatever its number of records."""

WAITING_BYTES = 64 * 2**20
"""Bytes that may wait: a topic takes records of a megabyte, and sixteen thousand of those are no buffer."""

RECORD_BYTES = 1_000
"""What a record costs in memory beside what it holds: event, message and their places in lists."""

IDLE = 0.5
"""Seconds without records after which `idle` is called."""

Ending = Callable[[], dict[Partition, int]]
"""Ends a batch: waits until it is told, and returns the next offset of each partition."""

GATHER = 0.005
"""Seconds to let a burst gather before its first batch: five more milliseconds, many fewer flushes."""

EX_SOFTWARE = 70
"""Exit status of a worker that cannot go on (sysexits.h); its supervisor starts it again."""

_log = logging.getLogger(__name__)


def halt(reason: object) -> NoReturn:
    """End the process at once; what was not acknowledged comes again.

    A graceful stop may commit past the batch that failed, or hang in Faust's shutdown.
    """
    _log.critical("worker stops: %s", reason)
    logging.shutdown()
    sys.stderr.flush()
    os._exit(EX_SOFTWARE)


def record_of(event: Any) -> Record:
    """Return a Faust event's record as plain data."""
    message = event.message
    headers = message.headers
    pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers or ())
    return Record(
        message.topic, message.partition, message.offset, message.key, message.value, pairs, message.timestamp
    )


def size_of(event: Any) -> int:
    """Return about how many bytes of memory a Faust event holds."""
    message = event.message
    headers = message.headers or ()
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    said = sum(len(name) + len(value or b"") for name, value in pairs)
    return RECORD_BYTES + len(message.key or b"") + len(message.value or b"") + said


@dataclass(slots=True)
class Batches:
    """The buffer between a stream and the function that settles batches."""

    begin: Callable[[Sequence[Record]], Ending]
    """Called in the one worker thread; returns what ends the batch. If either raises, the process halts."""
    settled: Settled
    idle: Callable[[], None] = lambda: None
    """Called in the same thread between batches, at least every few hundred milliseconds."""
    progress_at: float = field(default_factory=time.monotonic)
    """When a batch or an idle turn last ended (monotonic); the health check reads it."""
    waiting_bytes: int = 0
    """Memory that what waits holds, about."""
    _underway: tuple[Sequence[Any], Ending] | None = None
    """The batch that has begun and not ended, of the settling thread."""
    _ended: deque[Sequence[Any]] = field(default_factory=deque)
    """Batches to acknowledge, from the settling thread to the loop's."""
    _waiting: deque[tuple[Any, int]] = field(default_factory=deque)
    _filled: asyncio.Event | None = None
    _room: asyncio.Event | None = None
    _thread: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(max_workers=1, thread_name_prefix="settle")
    )

    @property
    def waiting(self) -> int:
        """Return how many records wait."""
        return len(self._waiting)

    async def feed(self, events: AsyncIterator[Any]) -> None:
        """Take a stream's events as they come; the whole body of the agent."""
        filled, room = self._events()
        async for event in events:
            size = size_of(event)
            self._waiting.append((event, size))
            self.waiting_bytes += size
            filled.set()
            if len(self._waiting) >= WAITING or self.waiting_bytes >= WAITING_BYTES:
                room.clear()
                await room.wait()

    async def run(self) -> None:
        """Settle what waits, for ever; never raises: a failure ends the process."""
        filled, room = self._events()
        loop = asyncio.get_running_loop()
        while True:
            try:
                await asyncio.wait_for(filled.wait(), IDLE)
            except TimeoutError:
                await self._in_thread(loop, self.idle)
                continue
            if len(self._waiting) < LARGEST and self.waiting_bytes < LARGEST_BYTES:
                await asyncio.sleep(GATHER)
            batch = self._cut()
            if not self._waiting:
                filled.clear()
            room.set()
            if batch:
                await self._in_thread(loop, self._settle, batch, [record_of(event) for event in batch])
            if not self._waiting:
                await self._in_thread(loop, self._end)
            await self._in_thread(loop, self.idle)

    async def between(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Do something in the settling thread while no batch is under way; its failure ends the process.

        What a batch uses (ledger, producer, vault) is for one thread, and what is published for a
        partition that was just taken must not cross with what a batch still publishes.
        """

        def _after_the_last_batch() -> Any:
            self._end()
            return work(*arguments)

        return await self._in_thread(asyncio.get_running_loop(), _after_the_last_batch)

    def _settle(self, batch: Sequence[Any], records: Sequence[Record]) -> None:
        """Begin a batch, and only then end the one before, which the broker has had the time to take."""
        ending = self.begin(records)
        self._end()
        self._underway = batch, ending

    def _end(self) -> None:
        """End the batch that is under way, if there is one."""
        if self._underway is None:
            return
        (batch, ending), self._underway = self._underway, None
        self.settled.settle(ending())
        self._ended.append(batch)

    def _cut(self) -> list[Any]:
        """Take what waits, up to a batch's bounds; one record at least."""
        batch: list[Any] = []
        held = 0
        while self._waiting and len(batch) < LARGEST:
            event, size = self._waiting[0]
            if batch and held + size > LARGEST_BYTES:
                break
            self._waiting.popleft()
            batch.append(event)
            held += size
        self.waiting_bytes -= held
        return batch

    async def _in_thread(self, loop: asyncio.AbstractEventLoop, work: Callable[..., Any], *arguments: Any) -> Any:
        try:
            done = await loop.run_in_executor(self._thread, work, *arguments)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - a decided fate: the process ends, the batch comes again
            _log.debug("unsettled", exc_info=True)
            halt(repr(error))
        self.progress_at = time.monotonic()
        while self._ended:
            for event in self._ended.popleft():
                event.ack()
        return done

    def _events(self) -> tuple[asyncio.Event, asyncio.Event]:
        if self._filled is None or self._room is None:
            self._filled, self._room = asyncio.Event(), asyncio.Event()
        return self._filled, self._room
