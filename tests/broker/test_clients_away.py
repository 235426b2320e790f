"""The clients when their broker goes away and comes back."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka.net.inet import KafkaNetSocket

from streams import keys, topics
from streams.broker import EmbeddedKafka
from streams.channel import ChannelClient
from streams.client import ClientError
from streams.department import DepartmentClient
from tests.town import WAIT, Town

pytestmark = pytest.mark.broker


@pytest.fixture
def tidy_sockets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close what kafka-python leaves to the garbage collector: each connection that was refused."""
    made: list[socket.socket] = []
    plain = KafkaNetSocket.socket

    def remembered(self: KafkaNetSocket, *arguments: Any) -> socket.socket:
        made.append(plain(self, *arguments))
        return made[-1]

    monkeypatch.setattr(KafkaNetSocket, "socket", remembered)
    yield
    for each in made:
        each.close()


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[EmbeddedKafka]:
    broker = EmbeddedKafka(tmp_path / "own")
    broker.start()
    yield broker
    broker.stop()


def in_background(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.mark.usefixtures("tidy_sockets")
def test_clients_live_through_a_restart_of_the_broker(own_kafka: EmbeddedKafka, tmp_path: Path) -> None:
    town = Town(own_kafka.bootstrap, "restart")
    keys.ensure(tmp_path / "keys", [town.unit])
    with (
        ChannelClient(town.bootstrap, town.channel) as app,
        DepartmentClient(town.bootstrap, town.unit, tmp_path / "keys") as unit,
    ):
        before = app.submit_many({"text": f"之前{number}"} for number in range(50))
        assert unit.open_items() == {}
        own_kafka.kill()
        during = [app.submit(f"期间{number}") for number in range(50)]
        reply = unit.accept(during[0])
        starter = in_background(own_kafka.start)
        app.flush()
        unit.flush()
        starter.join()
        after = app.submit("之后")
        app.flush()
        town.tell(demand_id=after, code="state", seq=1, state="dispatched")
        town.queue(town.unit, after, 1, reply=reply)

        assert next(app.outcomes(timeout=WAIT)).demand_id == after
        assert unit.result_of([reply], timeout=WAIT)[reply].applied
        assert next(iter(unit.open_items().values())).case_id == after

    for demand_id in [*before[:2], *during[:2], after]:
        (record,) = town.read(topics.intake(town.channel), demand_id)
        assert json.loads(record.value())["demand_id"] == demand_id


def test_a_broker_that_is_not_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.client.CONNECT_SECONDS", 1.0)
    with pytest.raises(ClientError, match=r"no Kafka broker answers at 127\.0\.0\.1:1") as refused:
        ChannelClient("127.0.0.1:1", "app")
    assert refused.value.code == "unreachable"
