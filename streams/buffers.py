"""Faust's buffer in front of ours, bounded by memory too.

Faust bounds its queues by records: 8,192 of a megabyte each are eight gigabytes. A queue that is full holds
the consumer up, which then fetches no more.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import faust
from mode.utils.queues import ThrowableQueue

from streams.batches import size_of

BUFFER_BYTES = 16 * 2**20
"""Bytes of one queue; what is small fills it by number before."""


class SizedQueue(ThrowableQueue[Any]):
    """A queue of events that is full at a number of them or at a number of bytes."""

    def __init__(self, *arguments: Any, most_bytes: int = BUFFER_BYTES, **settings: Any) -> None:
        """Make an empty queue.

        Args:
            *arguments: as the queue of mode takes them.
            most_bytes: at which it is full.
            **settings: as the queue of mode takes them.
        """
        self._most_bytes = most_bytes
        self._held = 0
        self._sizes: deque[int] = deque()
        super().__init__(*arguments, **settings)

    def full(self) -> bool:
        """Tell whether one more must wait."""
        return self._held >= self._most_bytes or super().full()

    def clear(self) -> None:
        """Drop all, as a rebalance does."""
        super().clear()
        self._sizes.clear()
        self._held = 0

    def _put(self, item: Any) -> None:
        super()._put(item)
        size = size_of(item)
        self._sizes.append(size)
        self._held += size

    def _get(self) -> Any:
        item = super()._get()
        self._held -= self._sizes.popleft()
        return item


class App(faust.App):
    """A Faust app whose streams read through such queues."""

    def FlowControlQueue(self, maxsize: int | None = None, *, clear_on_resume: bool = False) -> SizedQueue:  # noqa: N802 - Faust names it so
        """Make the queue of a stream."""
        return SizedQueue(maxsize=maxsize or 0, flow_control=self.flow_control, clear_on_resume=clear_on_resume)
