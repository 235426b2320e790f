"""Taking a message at once: what a first step ends is over, what waits goes on in a task as if it had begun there."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from streams.eager import Done, first_step
from streams.offsets import OwnOffsetsConsumer

SECONDS = 5.0

Consumer = Callable[..., OwnOffsetsConsumer]


@pytest.fixture
def consumer() -> Consumer:
    """A consumer as far as waiting looks at it: whether it stops, and whether a rebalance holds it up."""

    class Waiting(OwnOffsetsConsumer):
        def __init__(self, *, rebalance: bool = False) -> None:
            self._stopped, self._crashed, self.suspend_flow = asyncio.Event(), asyncio.Event(), asyncio.Event()  # type: ignore[assignment]
            self.loop = asyncio.get_running_loop()
            if rebalance:
                self.suspend_flow.set()

        @property
        def should_stop(self) -> bool:
            return self._stopped.is_set() or self._crashed.is_set()

    return Waiting


def run(story: Callable[[], Awaitable[Any]]) -> Any:
    async def bounded() -> Any:
        async with asyncio.timeout(SECONDS):
            return await story()

    return asyncio.run(bounded())


async def passes_into_a_buffer(log: list[str]) -> str:
    log.append("taken")
    return "delivered"


async def waits_for_room(room: asyncio.Event, log: list[str]) -> str:
    log.append("offered")
    try:
        await asyncio.sleep(0)
        await room.wait()
    except asyncio.CancelledError:
        log.append("given up")
        raise
    log.append("taken")
    return "delivered"


async def fails() -> str:
    raise ValueError("no such stream")


def test_what_never_waits_is_done_in_its_first_step() -> None:
    log: list[str] = []
    assert first_step(passes_into_a_buffer(log)) == Done("delivered")
    assert log == ["taken"]


def test_what_waits_goes_on_where_it_stood_and_does_nothing_twice() -> None:
    async def story() -> list[str]:
        room, log = asyncio.Event(), list[str]()
        step = first_step(waits_for_room(room, log))
        assert not isinstance(step, Done)
        assert log == ["offered"]
        task = asyncio.ensure_future(step)
        await asyncio.sleep(0.01)
        assert not task.done()
        room.set()
        assert await task == "delivered"
        return log

    assert run(story) == ["offered", "taken"]


def test_what_fails_fails_at_once_or_when_it_goes_on() -> None:
    async def fails_later() -> str:
        await asyncio.sleep(0)
        return await fails()

    async def story() -> None:
        step = first_step(fails_later())
        assert not isinstance(step, Done)
        with pytest.raises(ValueError, match="no such stream"):
            await step

    with pytest.raises(ValueError, match="no such stream"):
        first_step(fails())
    run(story)


def test_what_waits_can_be_given_up_and_hears_of_it() -> None:
    async def story() -> list[str]:
        log: list[str] = []
        step = first_step(waits_for_room(asyncio.Event(), log))
        assert isinstance(step, Coroutine)
        task = asyncio.ensure_future(step)
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return log

    assert run(story) == ["offered", "given up"]


def test_what_waits_hears_of_the_failure_of_what_it_waits_for_and_may_recover() -> None:
    async def recovers(answer: "asyncio.Future[str]") -> str:
        try:
            return await answer
        except ConnectionError:
            return "kept for later"

    async def story() -> str:
        answer = asyncio.get_running_loop().create_future()
        step = first_step(recovers(answer))
        assert not isinstance(step, Done)
        asyncio.get_running_loop().call_soon(answer.set_exception, ConnectionError())
        return await step

    assert run(story) == "kept for later"


def test_a_consumer_takes_a_message_at_once_without_a_task(consumer: Consumer) -> None:
    async def story() -> None:
        here = consumer()
        before, log = asyncio.all_tasks(), list[str]()
        delivery = passes_into_a_buffer(log)
        found = await here.wait_first(delivery, here.suspend_flow.wait())
        assert (found.done, found.results, found.stopped) == ([delivery], ["delivered"], False)
        assert asyncio.all_tasks() == before

    run(story)


def test_a_consumer_whose_buffer_is_full_waits_for_room(consumer: Consumer) -> None:
    async def story() -> list[str]:
        here, room, log = consumer(), asyncio.Event(), list[str]()
        waiting = asyncio.ensure_future(here.wait_first(waits_for_room(room, log), here.suspend_flow.wait()))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        room.set()
        found = await waiting
        assert (found.results, found.stopped) == (["delivered"], False)
        return log

    assert run(story) == ["offered", "taken"]


def test_a_rebalance_takes_the_message_that_waits_for_room_from_it(consumer: Consumer) -> None:
    async def story() -> list[str]:
        here, log = consumer(), list[str]()
        waiting = asyncio.ensure_future(here.wait_first(waits_for_room(asyncio.Event(), log), here.suspend_flow.wait()))
        await asyncio.sleep(0.01)
        here.suspend_flow.set()
        assert (await waiting).results == [True]
        await asyncio.sleep(0)
        return log

    assert run(story) == ["offered", "given up"]


@pytest.mark.parametrize("moment", ["a rebalance", "a stop"])
def test_a_consumer_that_rebalances_or_stops_waits_as_faust_does(consumer: Consumer, moment: str) -> None:
    async def story() -> None:
        here = consumer(rebalance=moment == "a rebalance")
        if moment == "a stop":
            here._stopped.set()
        found = await here.wait_first(waits_for_room(asyncio.Event(), []), here.suspend_flow.wait())
        assert found.stopped == (moment == "a stop")
        assert found.results == ([] if found.stopped else [True])

    run(story)


def test_a_delivery_that_fails_is_heard_of_and_leaves_nothing_waiting(consumer: Consumer) -> None:
    async def story() -> None:
        here = consumer()
        with pytest.raises(ValueError, match="no such stream"):
            await here.wait_first(fails(), here.suspend_flow.wait())

    run(story)
