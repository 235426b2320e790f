"""Taking a message without a task, when nothing holds it up.

Faust 0.15.3 wraps each message in four tasks (the message, a rebalance, two ways of ending) and waits for
the first, though a message nearly always only passes into a buffer with room: a fifth of casework's
processor time under load. Here its first step is taken at once; what is then still waiting waits as in Faust.
"""

from __future__ import annotations

import types
from collections.abc import Coroutine, Generator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """What a coroutine has returned in its first step."""

    result: T


def first_step(coroutine: Coroutine[Any, Any, T]) -> Done[T] | Coroutine[Any, Any, T]:
    """Run a coroutine up to where it first waits.

    What it needs a task of its own for (`asyncio.timeout`, `current_task`) must not come before that.

    Args:
        coroutine: not yet started.

    Returns:
        What it returned, or a coroutine that goes on with it.

    Raises:
        BaseException: whatever it raises.
    """
    try:
        awaited = coroutine.send(None)
    except StopIteration as stop:
        return Done(stop.value)
    return _goes_on(coroutine, awaited)


async def _goes_on(coroutine: Coroutine[Any, Any, T], awaited: Any) -> T:
    return await _rest(coroutine, awaited)


@types.coroutine
def _rest(coroutine: Coroutine[Any, Any, T], awaited: Any) -> Generator[Any, Any, T]:
    """Pass on what a started coroutine waits for, and to it what comes of that."""
    while True:
        try:
            try:
                value = yield awaited
            except BaseException as error:  # noqa: BLE001 - it is the coroutine's to handle
                awaited = coroutine.throw(error)
            else:
                awaited = coroutine.send(value)
        except StopIteration as stop:
            result: T = stop.value
            return result
