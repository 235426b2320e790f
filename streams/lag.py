"""How far behind: what is on the broker and not yet in the ledger, and how old it is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, Engine, select

from sinks.ledger import Partition
from sinks.ledger_metrics import IntakeState
from sinks.queries import snapshot
from sinks.tables import ProgressRow
from streams.cluster import Cluster
from streams.kafka_access import KafkaAccess
from streams.peek import Peek
from streams.topics import casework_topics, intake
from streams.unaccounted import Unaccounted

TRIAGE_GROUP = "yiwang-triage"
CASEWORK_GROUP = "yiwang-casework"

_PROGRESS = ProgressRow.__table__  # type: ignore[attr-defined]


class Backlog:
    """Compares the broker's offsets with the ledger's, when asked."""

    def __init__(
        self,
        access: KafkaAccess,
        channels: Sequence[str],
        ledger: Engine,
        now: Callable[[], datetime],
        memory: Path | None = None,
    ) -> None:
        """Remember where to ask; nothing is asked yet.

        Args:
            access: how to reach the broker.
            channels: whose intake is looked at.
            ledger: a read-only engine of it.
            now: the clock that ages are measured by.
            memory: file in which to remember what is accounted for.
        """
        self._access = access
        self._channels = channels
        self._ledger = ledger
        self._now = now
        self._peek = Peek(access)
        self._unaccounted = Unaccounted(self._peek, memory)
        self._cluster: Cluster | None = None

    def figures(self) -> IntakeState:
        """Return what is unaccounted, how old the oldest of it is, and the lag by topic.

        Raises:
            ClusterError: the broker does not answer.
        """
        cluster = self._cluster = self._cluster or Cluster(self._access)
        counts = cluster.partitions([*(intake(each) for each in self._channels), *casework_topics()])
        partitions = [Partition(topic, number) for topic, count in counts.items() for number in range(count)]
        entered = [each for each in partitions if each.topic not in casework_topics()]
        starts = cluster.starts(entered)
        ends = cluster.ends(partitions)
        settled = cluster.committed(TRIAGE_GROUP, entered)
        now = self._now().timestamp()
        with snapshot(self._ledger) as moment:
            settled |= _decided(moment)
            found = self._unaccounted.look(moment, starts, {each: ends[each] for each in entered}, now)
        lag = dict.fromkeys(counts, 0)
        for each, end in ends.items():
            lag[each.topic] += self._behind(each, settled.get(each, 0), end)
        age = 0.0 if found.oldest is None else max(0.0, now - found.oldest)
        return IntakeState(found.records, age, lag)

    def close(self) -> None:
        """Let go of the broker."""
        self._peek.close()

    def _behind(self, each: Partition, settled: int, end: int) -> int:
        """Return how far a reader is behind the end: not at all where no record lies between."""
        if settled >= end:
            return 0
        with contextlib.closing(self._peek.records(each, settled, end)) as records:
            first, _written = next(records, (settled, None))
        return end - first


def _decided(moment: Connection) -> dict[Partition, int]:
    return {
        Partition(row.topic, row.partition): row.next_offset
        for row in moment.execute(select(_PROGRESS.c.topic, _PROGRESS.c.partition, _PROGRESS.c.next_offset))
    }
