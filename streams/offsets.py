"""Offsets are ours: a Faust consumer that commits only what a batch has settled.

Faust 0.15.3 commits from its list of acked offsets, which can run past an event in flight
(its `_new_offset` takes what is acked out of order after a rebalance, when events of an older
generation are skipped and acked). Here a commit says exactly what `Settled` says, and a
partition starts where its owner says, not where the group's offset is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode.services import WaitResults

from sinks.ledger import Partition
from streams.eager import Done, first_step

Starts = Callable[[Iterable[Partition]], Awaitable[Mapping[Partition, int]]]
"""Asked at every assignment: where to start; a partition that is missing starts at the group's offset."""


_MESSAGE_AND_REBALANCE = 2


class Settled:
    """The next offset of each partition, as far as batches have settled them."""

    def __init__(self) -> None:
        self._next: dict[TP, int] = {}

    def settle(self, next_offsets: Mapping[Partition, int]) -> None:
        """Take over what a batch has settled."""
        self._next |= {TP(each.topic, each.partition): offset for each, offset in next_offsets.items()}

    def get(self, tp: TP) -> int | None:
        """Return the next offset of a partition, None when no batch of it has settled."""
        return self._next.get(tp)

    def forget(self, tps: Iterable[TP]) -> None:
        """Drop partitions that are no longer ours."""
        for tp in tps:
            self._next.pop(tp, None)


class OwnOffsetsConsumer(driver.Consumer):
    """Faust's consumer, with the two decisions about offsets taken out of its hands."""

    settled: Settled
    starts: Starts

    def _new_offset(self, tp: TP) -> int | None:
        """Return what may be committed; Faust's own list is only emptied."""
        self._acked[tp].clear()
        self._acked_index[tp].clear()
        self._gap.pop(tp, None)
        return self.settled.get(tp)

    async def wait_first(self, *coros: Any, **settings: Any) -> WaitResults:
        """Take a message at once where nothing holds it up, else wait as Faust does.

        Args:
            *coros: of a message, its delivery to the streams and the wait for a rebalance; of anything else, one.
            **settings: `timeout`, in seconds.
        """
        if len(coros) == _MESSAGE_AND_REBALANCE and not (self.should_stop or self.suspend_flow.is_set()):
            delivery, rebalance = coros
            try:
                step = first_step(delivery)
            except BaseException:
                rebalance.close()
                raise
            if isinstance(step, Done):
                rebalance.close()
                return WaitResults([delivery], [step.result], stopped=False)
            coros = (step, rebalance)
        return await super().wait_first(*coros, **settings)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Forget what was settled of partitions that go."""
        await super().on_partitions_revoked(revoked)
        self.settled.forget(revoked)

    async def perform_seek(self) -> None:
        """Start each partition where its owner says."""
        await super().perform_seek()
        assigned = [Partition(tp.topic, tp.partition) for tp in self.assignment()]
        for each, offset in (await self.starts(assigned)).items():
            tp = TP(each.topic, each.partition)
            await self.seek_wait({tp: offset})
            # Faust drops what it reads below this, and it has the group's offset there.
            self._read_offset[tp] = offset or None
            self._committed_offset[tp] = offset or None


def own_offsets_transport(settled: Settled, starts: Starts) -> type[driver.Transport]:
    """Return a Faust transport whose consumer commits what `settled` says."""

    class Consumer(OwnOffsetsConsumer):
        pass

    Consumer.settled = settled
    Consumer.starts = staticmethod(starts)

    class Transport(driver.Transport):
        pass

    Transport.Consumer = Consumer
    return Transport
