"""What Faust loses and our shape does not, on a real Kafka: a change in either is noticed here.

One partition holds five events. In upstream's usual shapes the group's offset runs past an event that nobody has
handled, so that it is never read again; pinned as it is, since it is why our agents only feed a buffer.
"""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from sinks.ledger import Partition
from streams.cluster import Cluster, ClusterUnavailableError
from streams.kafka_access import KafkaAccess
from tests.installation import SECONDS, bury, until
from tests.kafka_fixture import KafkaUnderTest

pytestmark = [pytest.mark.broker, pytest.mark.timeout(300)]

LOSING = {
    "raising": ("an exception in an agent's body acknowledges its event", "bad"),
    "skipping": ("acknowledging later events passes over one that was not", "bad"),
    "taking": ("an exception after take() acknowledges the whole batch", "bad"),
    "two_at_once": ("with concurrency, later events pass over one in flight", "slow"),
}
"""Shape to what Faust does in it, and the event that it loses."""


class Agent:
    """One shape on a topic of its own, started and killed at will."""

    def __init__(self, bootstrap: str, topic: str, shape: str, folder: Path) -> None:
        self._bootstrap, self._topic, self._shape = bootstrap, topic, shape
        self._file = folder / shape
        self._trouble = folder / f"{shape}.trouble"
        self._trouble.touch()
        self._log = folder / f"{shape}.log"
        self._producer = Producer({"bootstrap.servers": bootstrap, "log_level": 0})

    def feed(self, *values: str) -> None:
        for value in values:
            self._producer.produce(self._topic, value.encode(), b"k", partition=0)
        assert self._producer.flush(SECONDS) == 0

    @contextlib.contextmanager
    def running(self) -> Iterator["subprocess.Popen[bytes]"]:
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.faust_shapes", self._shape, self._bootstrap, self._topic, self._file],
                cwd=Path(__file__).parent.parent.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def buried(self) -> None:
        bury(self._bootstrap, self._topic)

    def get_well(self) -> None:
        """From now on nothing is bad or slow any more."""
        self._trouble.unlink()

    @property
    def handled(self) -> list[str]:
        return self._file.read_text().split() if self._file.exists() else []

    @property
    def committed(self) -> int:
        here = Partition(self._topic, 0)
        with contextlib.suppress(ClusterUnavailableError):  # the group has no coordinator yet
            return Cluster(KafkaAccess(bootstrap=self._bootstrap)).committed(self._topic, [here]).get(here, 0)
        return 0

    def passes(self, offset: int, why: str) -> None:
        until(lambda: self.committed > offset, 2 * SECONDS, f"{self._shape} commits past what it lost: {why}")

    def reaches(self, offset: int) -> None:
        until(lambda: self.committed == offset, SECONDS, f"{self._shape} commits {offset}")


MakeTopic = Callable[..., str]


def test_upstream_loses_events_in_its_usual_shapes(
    kafka: KafkaUnderTest, make_topic: MakeTopic, tmp_path: Path
) -> None:
    with contextlib.ExitStack() as stack:
        agents = {}
        for shape, (_why, lost) in LOSING.items():
            agents[shape] = agent = Agent(kafka.bootstrap, make_topic(shape), shape, tmp_path)
            agent.feed("warm", "m0", lost, "m1", "m2", "m3")
            stack.enter_context(agent.running())
        for shape, agent in agents.items():
            why, lost = LOSING[shape]
            agent.passes(2, why)
            assert lost not in agent.handled


@pytest.fixture
def ours(kafka: KafkaUnderTest, make_topic: MakeTopic, tmp_path: Path) -> Agent:
    return Agent(kafka.bootstrap, make_topic("ours"), "ours", tmp_path)


def test_our_shape_dies_of_what_it_cannot_settle_and_reads_it_again(ours: Agent) -> None:
    ours.feed("warm", "m0")
    with ours.running() as first:
        ours.reaches(2)
        ours.feed("bad", "m1", "m2")
        assert first.wait(SECONDS) == 70
    assert ours.committed == 2
    assert "bad" not in ours.handled

    ours.get_well()
    ours.buried()
    with ours.running() as second:
        ours.reaches(5)
        second.send_signal(signal.SIGTERM)
        assert second.wait(SECONDS) == 0
    assert ours.handled == ["warm", "m0", "bad", "m1", "m2"]


def test_our_shape_commits_nothing_of_a_batch_in_flight_when_it_is_killed(ours: Agent) -> None:
    ours.feed("warm", "m0")
    with ours.running() as first:
        ours.reaches(2)
        ours.feed("m1", "slow", "m2")
        until(lambda: "m1" in ours.handled, SECONDS, "the batch is under way")
        ours.feed("m3")
        first.kill()
        first.wait(SECONDS)
    assert ours.committed == 2

    ours.get_well()
    ours.buried()
    with ours.running():
        ours.reaches(6)
    handled = ours.handled
    assert handled[handled.index("slow") :] == ["slow", "m2", "m3"]
    assert set(handled) == {"warm", "m0", "m1", "slow", "m2", "m3"}


def test_our_shape_ends_its_batch_when_it_is_asked_to_stop(ours: Agent) -> None:
    ours.feed("warm")
    with ours.running() as first:
        ours.reaches(1)
        ours.feed("m0", "slow", "m1")
        until(lambda: "m0" in ours.handled, SECONDS, "the batch is under way")
        first.send_signal(signal.SIGTERM)
        ours.get_well()
        assert first.wait(SECONDS) == 0
    handled = ours.handled
    assert ours.committed == len(handled)
    assert handled == ["warm", "m0", "slow", "m1"][: len(handled)]
