"""From a stream to batches: what waits is taken whole, and nothing is acknowledged before it is settled."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
from faust.types import TP
from mode.utils.queues import FlowControlEvent

from sinks.ledger import Partition
from streams import batches as module
from streams.batches import Batches, Ending, size_of
from streams.buffers import App, SizedQueue
from streams.offsets import OwnOffsetsConsumer, Settled
from streams.records import Record

SECONDS = 10.0
HERE = Partition("demands", 0)


class HaltedError(BaseException):
    """The process would have ended here."""


@pytest.fixture(autouse=True)
def halted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Why the process would have ended."""
    reasons: list[str] = []

    def halt(reason: object) -> NoReturn:
        reasons.append(str(reason))
        raise HaltedError

    monkeypatch.setattr(module, "halt", halt)
    return reasons


@dataclass
class Event:
    """What Faust hands over, as far as batches look at it."""

    offset: int
    log: list[str]
    value: bytes = b"v"
    message: Any = field(init=False)

    def __post_init__(self) -> None:
        self.message = SimpleNamespace(
            topic=HERE.topic, partition=0, offset=self.offset, key=b"k", value=self.value, headers=None, timestamp=0.0
        )

    def ack(self) -> None:
        self.log.append(f"ack {self.offset}")


class Bench:
    """Batches over a stream of so many events; notes in order what happens to them."""

    def __init__(
        self,
        settle: Callable[[Sequence[Record]], object] = lambda _records: None,
        end: Callable[[Sequence[Record]], object] = lambda _records: None,
    ) -> None:
        self.log: list[str] = []
        self.sizes: list[int] = []
        self.settled = Settled()
        self._also, self._also_at_the_end = settle, end
        self.batches = Batches(self._begin, self.settled, lambda: self.log.append("idle"))

    def _begin(self, records: Sequence[Record]) -> Ending:
        self._also(records)
        self.sizes.append(len(records))
        self.log.append(f"settle {records[0].offset}-{records[-1].offset}")
        return lambda: self._end(records)

    def _end(self, records: Sequence[Record]) -> dict[Partition, int]:
        self._also_at_the_end(records)
        self.log.append(f"end {records[0].offset}-{records[-1].offset}")
        return {HERE: records[-1].next_offset}

    async def stream(self, offsets: Iterable[int], value: bytes = b"v") -> AsyncIterator[Event]:
        for offset in offsets:
            yield Event(offset, self.log, value)

    @property
    def acked(self) -> list[int]:
        return [int(each.split()[1]) for each in self.log if each.startswith("ack")]

    def play(self, story: Callable[[], Awaitable[object]]) -> None:
        """Run the settling task beside a story, until the story ends."""

        async def both() -> None:
            task = asyncio.create_task(self.batches.run())
            try:
                await asyncio.wait_for(story(), SECONDS)
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

        asyncio.run(both())

    async def until(self, fact: Callable[[], object]) -> None:
        while not fact():  # noqa: ASYNC110 - what is waited for is told by nobody
            await asyncio.sleep(0.001)


def test_all_that_waits_is_one_batch_settled_first_and_acknowledged_in_order() -> None:
    bench = Bench()

    async def story() -> None:
        await bench.batches.feed(bench.stream(range(100)))
        await bench.until(lambda: len(bench.acked) == 100)

    bench.play(story)
    assert bench.sizes == [100]
    assert bench.log[0] == "settle 0-99"
    assert bench.acked == list(range(100))
    assert bench.settled.get(TP("demands", 0)) == 100


def test_what_comes_while_a_batch_is_settled_makes_the_next_one() -> None:
    going_on = threading.Event()
    bench = Bench(lambda records: going_on.wait(SECONDS) if records[0].offset == 0 else None)

    async def story() -> None:
        await bench.batches.feed(bench.stream(range(1)))
        await bench.until(lambda: bench.batches.waiting == 0)
        await bench.batches.feed(bench.stream(range(1, 50)))
        assert not bench.acked
        going_on.set()
        await bench.until(lambda: len(bench.acked) == 50)

    bench.play(story)
    assert bench.sizes == [1, 49]
    assert bench.acked == list(range(50))


def test_a_batch_begins_before_the_last_has_ended_and_each_is_acknowledged_at_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "LARGEST", 2)
    bench = Bench()

    async def story() -> None:
        await bench.batches.feed(bench.stream(range(6)))
        await bench.until(lambda: len(bench.acked) == 6)

    bench.play(story)
    assert [each for each in bench.log if each != "idle"] == [
        *("settle 0-1", "settle 2-3", "end 0-1", "ack 0", "ack 1"),
        *("settle 4-5", "end 2-3", "ack 2", "ack 3"),
        *("end 4-5", "ack 4", "ack 5"),
    ]


def test_a_batch_that_cannot_end_ends_the_process_and_nothing_after_it_is_acknowledged(
    monkeypatch: pytest.MonkeyPatch, halted: list[str]
) -> None:
    monkeypatch.setattr(module, "LARGEST", 2)

    def lose(records: Sequence[Record]) -> None:
        if records[0].offset == 2:
            raise OSError("no broker")

    bench = Bench(end=lose)

    async def story() -> None:
        await bench.batches.feed(bench.stream(range(6)))
        await bench.until(lambda: halted)

    bench.play(story)
    assert halted == ["OSError('no broker')"]
    assert bench.acked == [0, 1]
    assert bench.settled.get(TP("demands", 0)) == 2


def test_a_batch_is_bounded_and_the_rest_waits_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST", 10)
    bench = Bench()

    async def story() -> None:
        await bench.batches.feed(bench.stream(range(25)))
        await bench.until(lambda: len(bench.acked) == 25)

    bench.play(story)
    assert bench.sizes == [10, 10, 5]


def test_a_full_buffer_holds_the_stream_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING", 5)
    monkeypatch.setattr(module, "LARGEST", 5)
    going_on = threading.Event()
    bench = Bench(lambda _records: going_on.wait(SECONDS))
    most: list[int] = []

    async def story() -> None:
        feeding = asyncio.create_task(bench.batches.feed(bench.stream(range(100))))
        await bench.until(lambda: bench.batches.waiting == 5)
        most.append(bench.batches.waiting)
        going_on.set()
        await feeding
        await bench.until(lambda: len(bench.acked) == 100)

    bench.play(story)
    assert most == [5]
    assert max(bench.sizes) == 5


def test_large_records_make_small_batches_and_hold_the_stream_up_long_before_there_are_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "WAITING_BYTES", 80_000)
    monkeypatch.setattr(module, "LARGEST_BYTES", 25_000)
    going_on = threading.Event()
    bench = Bench(lambda _records: going_on.wait(SECONDS))
    most: list[int] = []

    async def story() -> None:
        feeding = asyncio.create_task(bench.batches.feed(bench.stream(range(40), b"x" * 9_000)))
        await bench.until(lambda: bench.batches.waiting_bytes >= 80_000)
        for _ in range(50):
            await asyncio.sleep(0)
            most.append(bench.batches.waiting_bytes)
        going_on.set()
        await feeding
        await bench.until(lambda: len(bench.acked) == 40)

    bench.play(story)
    assert max(most) < 80_000 + 10_000  # no more than the one that fills it
    assert max(bench.sizes) == 2
    assert bench.batches.waiting_bytes == 0


def test_one_record_larger_than_a_batch_is_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING_BYTES", 10)
    monkeypatch.setattr(module, "LARGEST_BYTES", 10)
    bench = Bench()

    async def story() -> None:
        await bench.batches.feed(bench.stream(range(3), b"x" * 100))
        await bench.until(lambda: len(bench.acked) == 3)

    bench.play(story)
    assert bench.sizes == [1, 1, 1]


def test_a_records_size_is_all_it_brings() -> None:
    event = Event(0, [], b"x" * 1_000)
    assert size_of(event) >= 1_000 + len(b"k")
    event.message.value = None
    event.message.key = None
    event.message.headers = [("ce_id", b"y" * 1_000), ("none", None)]
    assert 1_000 < size_of(event) < 2_500
    event.message.headers = {"ce_id": b"y" * 1_000}
    assert size_of(event) > 1_000


def test_fausts_own_buffer_is_full_at_a_size_too() -> None:
    async def story() -> None:
        queue = SizedQueue(maxsize=100, most_bytes=20_000, flow_control=FlowControlEvent(initially_suspended=False))
        for offset in range(2):
            await queue.put(Event(offset, [], b"x" * 9_500))
        assert queue.full()
        third = asyncio.create_task(queue.put(Event(2, [], b"x" * 9_500)))
        await asyncio.sleep(0)
        assert not third.done()
        assert (await queue.get()).offset == 0
        await asyncio.wait_for(third, SECONDS)
        assert [(await queue.get()).offset for _ in range(2)] == [1, 2]
        assert not queue.full()

        queue.force_put_nowait(Event(3, [], b"x" * 30_000))
        assert queue.full()
        queue.clear()  # as at a rebalance
        assert not queue.full()

    asyncio.run(story())


def test_a_workers_streams_read_through_such_a_buffer() -> None:
    app = App("sizes", broker="kafka://127.0.0.1:1", stream_buffer_maxsize=7, datadir="sizes", web_enabled=False)
    queue = app.topic("demands").queue
    assert isinstance(queue, SizedQueue)
    assert queue.maxsize == 7


def test_a_failing_batch_ends_the_process_with_nothing_of_it_acknowledged(halted: list[str]) -> None:
    def fail(records: Sequence[Record]) -> None:
        if records[0].offset >= 3:
            raise ZeroDivisionError("poison")

    bench = Bench(fail)

    async def story() -> None:
        await bench.batches.feed(bench.stream(range(3)))
        await bench.until(lambda: len(bench.acked) == 3)
        await bench.batches.feed(bench.stream(range(3, 6)))
        await bench.until(lambda: halted)

    bench.play(story)
    assert halted == ["ZeroDivisionError('poison')"]
    assert bench.acked == [0, 1, 2]
    assert bench.settled.get(TP("demands", 0)) == 3


def test_a_partition_is_taken_between_two_batches_in_the_thread_that_settles_them() -> None:
    going_on = threading.Event()
    threads: list[str] = []

    def settle(_records: Sequence[Record]) -> None:
        going_on.wait(SECONDS)
        threads.append(threading.current_thread().name)

    bench = Bench(settle)

    def take() -> str:
        bench.log.append("take")
        threads.append(threading.current_thread().name)
        return "taken"

    async def story() -> None:
        await bench.batches.feed(bench.stream(range(1)))
        await bench.until(lambda: bench.batches.waiting == 0)
        taking = asyncio.create_task(bench.batches.between(take))
        await asyncio.sleep(0)
        going_on.set()
        assert await taking == "taken"

    bench.play(story)
    assert bench.log.index("settle 0-0") < bench.log.index("take")
    assert len(threads) == 2
    assert len(set(threads)) == 1


def test_a_partition_is_taken_when_no_batch_is_under_way() -> None:
    taken, beginning = threading.Event(), threading.Event()

    def settle(records: Sequence[Record]) -> None:
        if records[0].offset == 0:
            beginning.set()
            taken.wait(SECONDS)  # until the taking and the next records stand in line

    bench = Bench(settle)

    async def story() -> None:
        await bench.batches.feed(bench.stream(range(1)))
        await bench.until(beginning.is_set)
        taking = asyncio.create_task(bench.batches.between(lambda: bench.log.append("take")))
        await asyncio.sleep(0)
        await bench.batches.feed(bench.stream(range(1, 3)))
        taken.set()
        await taking
        await bench.until(lambda: len(bench.acked) == 3)

    bench.play(story)
    assert bench.log.index("end 0-0") < bench.log.index("take") < bench.log.index("settle 1-2")


def test_a_partition_that_cannot_be_taken_ends_the_process(halted: list[str]) -> None:
    bench = Bench()

    def take() -> None:
        raise OSError("no broker")

    async def story() -> None:
        with pytest.raises(HaltedError):
            await bench.batches.between(take)

    bench.play(story)
    assert halted == ["OSError('no broker')"]


def test_a_chore_that_fails_ends_the_process_too(halted: list[str]) -> None:
    bench = Bench()

    def idle() -> None:
        raise OSError("disk full")

    bench.batches.idle = idle

    async def story() -> None:
        await bench.batches.feed(bench.stream(range(1)))
        await bench.until(lambda: halted)

    bench.play(story)
    assert halted == ["OSError('disk full')"]


def test_chores_are_done_when_nothing_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDLE", 0.01)
    bench = Bench()
    bench.play(lambda: bench.until(lambda: bench.log == ["idle"] * 3))
    assert not bench.sizes


def test_a_commit_says_what_was_settled_and_never_what_was_acknowledged() -> None:
    """Faust's own list is made to look as after a rebalance: later events acknowledged, the first in flight."""
    here = TP("demands", 0)
    settled = Settled()

    class Consumer(OwnOffsetsConsumer):
        def __init__(self) -> None:  # only what the decision about offsets looks at
            self._acked = {here: [5, 6, 7]}
            self._acked_index = {here: {5, 6, 7}}
            self._gap: Any = {}

    Consumer.settled = settled
    consumer = Consumer()
    assert consumer._new_offset(here) is None
    settled.settle({HERE: 4})
    assert consumer._new_offset(here) == 4
    settled.forget([here])
    assert consumer._new_offset(here) is None
