"""Taking a partition: what the outbox still holds is published, and reading starts where the ledger says."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sinks.ledger import Ledger, Output, Partition
from sinks.vault import Vault
from streams.casework import Casework, RefusedError
from streams.cluster import Cluster, ClusterError
from streams.lag import TRIAGE_GROUP

PUBLISH_SECONDS = 30.0
"""For what a dead worker left in the outbox; longer than a batch's budget, since it may be several batches."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Takeover:
    """Done at every assignment, before the first record is read, in the thread that settles batches."""

    casework: Casework
    ledger: Ledger
    cluster: Cluster

    def take(self, partitions: list[Partition]) -> dict[Partition, int]:
        """Publish what is left over, check the logs against the ledger, return where to start.

        The ledger's offset wins over the group's, in both directions: a group's offset can be
        lost, expired or moved, the ledger's is written with the decisions it stands for. Where the
        ledger has none, nothing is decided yet: reading starts where the log does.

        Raises:
            ClusterError: the log is not the one the ledger has read.
            HaltError: the broker does not take what is left in time.
        """
        while left := self.ledger.outbox(partitions):
            self._publish(left)
        return self.check(partitions)

    def _publish(self, left: Sequence[Output]) -> None:
        """Publish in order; what the broker refuses for good is parked, so that nobody halts on it for ever.

        A refusal may hit others of the same batch, so the batch is halved until one stands alone. Each half is
        said again from its beginning: what comes last under a key is then still the newest.
        """
        try:
            self.casework.publisher.publish(left, PUBLISH_SECONDS)()
        except RefusedError as error:
            if len(left) > 1:
                middle = len(left) // 2
                self._publish(left[:middle])
                self._publish(left[middle:])
                return
            _log.error("the broker refuses a message for good, it is put aside in the outbox: %s", error)
            self.ledger.park(left[0].message_id, str(error))
        else:
            self.ledger.forget_published([output.message_id for output in left])

    def check(self, partitions: list[Partition]) -> dict[Partition, int]:
        """Hold the logs against the ledger; see `take`."""
        progress = self.ledger.progress()
        known = {each: progress[each] for each in partitions if each in progress}
        self._check_ids(known)
        ends, starts = self.cluster.ends(known), self.cluster.starts(partitions)
        self.casework.log_starts = {**self.casework.log_starts, **starts}
        for each, (next_offset, _topic_id) in known.items():
            if ends[each] < next_offset:
                raise ClusterError(
                    f"{each.topic}[{each.partition}] ends at {ends[each]}, before {next_offset} which the ledger has "
                    "decided: the log was cut; restore the broker's data, or start with a new ledger"
                )
            if starts[each] > next_offset:
                _log.error(
                    "%s[%d]: offsets %d to %d expired before they were read; yiwang audit names what is missing",
                    each.topic,
                    each.partition,
                    next_offset,
                    starts[each] - 1,
                )
        return starts | {each: max(next_offset, starts[each]) for each, (next_offset, _topic_id) in known.items()}

    def behind(self, partitions: list[Partition]) -> int:
        """Return how many records of these partitions the ledger has not decided.

        Raises:
            ClusterError: the cluster does not answer.
            LedgerUnavailableError: the ledger does not answer.
        """
        progress = self.ledger.progress()
        ends, starts = self.cluster.ends(partitions), self.cluster.starts(partitions)
        decided = {each: progress[each][0] if each in progress else 0 for each in partitions}
        return sum(max(0, ends[each] - max(starts[each], decided[each])) for each in partitions)

    def _check_ids(self, known: Mapping[Partition, tuple[int, str]]) -> None:
        for each, (_next_offset, topic_id) in known.items():
            now = self.casework.topic_ids.get(each.topic)
            if topic_id and now and topic_id != now:
                raise ClusterError(
                    f"topic {each.topic} was made anew since the ledger read it; "
                    "restore the broker's data, or start with a new ledger"
                )


@dataclass(slots=True)
class Resume:
    """Where triage starts: at its group's offset, but never past what the vault has kept.

    Triage holds no offsets of its own. A group's offset that was moved ahead would step over
    demands; the vault knows how far each partition was really read. What it keeps nothing of (dead
    letters, follow-ups without words) may be triaged again by this, which changes nothing.
    """

    vault: Vault
    cluster: Cluster

    def check(self, partitions: list[Partition]) -> dict[Partition, int]:
        """Return the partitions whose group's offset lies past what was read, and where to start there.

        Raises:
            ClusterError: the cluster does not answer.
            VaultUnavailableError: the vault does not answer.
        """
        committed = self.cluster.committed(TRIAGE_GROUP, partitions)
        kept = {
            Partition(topic, number): offset
            for (topic, number), offset in self.vault.reached({each.topic for each in committed}).items()
        }
        past = {each: kept.get(each, 0) for each, offset in committed.items() if offset > kept.get(each, 0)}
        starts = self.cluster.starts(past)
        return {each: min(committed[each], max(offset, starts[each])) for each, offset in past.items()}
