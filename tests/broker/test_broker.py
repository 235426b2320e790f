"""The embedded broker, told as its owner sees it: real Kafka, real kills, real leftovers."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streams.broker import BrokerError, EmbeddedKafka
from streams.kafka_jars import ensure_jars
from streams.kafka_ports import free_port
from tests.kafka_fixture import KafkaUnderTest

pytestmark = pytest.mark.broker

BrokerOn = Callable[..., EmbeddedKafka]

OWNER = """
import sys, threading
from pathlib import Path
from streams.broker import EmbeddedKafka
kafka = EmbeddedKafka(Path(sys.argv[1]))
starter = threading.Thread(target=kafka.start)
starter.start()
starter.join()  # the thread that started the broker is gone, the broker must not be
print(kafka.pid, kafka.bootstrap, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def broker_on() -> Iterator[BrokerOn]:
    """Make brokers that are stopped at the end of the test, whatever happened to them."""
    made: list[EmbeddedKafka] = []

    def make(data: Path, **options: object) -> EmbeddedKafka:
        made.append(EmbeddedKafka(data, **options))  # type: ignore[arg-type]  # each test names fitting options
        return made[-1]

    yield make
    for broker in made:
        broker.stop()


def create_topic(bootstrap: str, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])[topic].result(30)


def produce(bootstrap: str, topic: str, *values: bytes) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "log_level": 0})
    for value in values:
        producer.produce(topic, value, key=b"case")
    assert producer.flush(30) == 0, "every record must be acknowledged"


def consume(bootstrap: str, topic: str, count: int) -> list[bytes]:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"{topic}.reader",
            "auto.offset.reset": "earliest",
            "session.timeout.ms": 6000,
            "log_level": 0,
        }
    )
    try:
        consumer.subscribe([topic])
        records = consumer.consume(count, timeout=30)
        values = [value for record in records if (value := record.value()) is not None]
        consumer.commit(asynchronous=False)
    finally:
        consumer.close()
    return values


def start_owner(data: Path) -> tuple["subprocess.Popen[str]", psutil.Process, str]:
    """Start a broker in a process of its own; gives that process, the broker's, and its address."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(data)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    pid, bootstrap = owner.stdout.readline().split()
    return owner, psutil.Process(int(pid)), bootstrap


def bury(owner: "subprocess.Popen[str]") -> None:
    owner.kill()
    owner.wait(10)
    for pipe in (owner.stdin, owner.stdout):
        assert pipe is not None
        pipe.close()


def test_listens_on_this_machine_only_and_ends_when_stopped(tmp_path: Path, broker_on: BrokerOn) -> None:
    broker = broker_on(tmp_path)
    bootstrap = broker.start()
    pid = broker.pid
    assert pid is not None
    java = psutil.Process(pid)
    listening = {link.laddr for link in java.net_connections("tcp") if link.status == psutil.CONN_LISTEN}
    assert {address.ip.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}
    assert bootstrap in {f"127.0.0.1:{address.port}" for address in listening}

    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    admin.list_topics("demans", timeout=10)
    assert "demans" not in admin.list_topics(timeout=10).topics, "a mistyped name makes no topic"

    broker.stop()

    assert not java.is_running()
    assert not broker.is_alive()
    assert broker.pid is None
    broker.stop()
    assert "started" not in (tmp_path / "kafka" / "logs" / "console.log").read_text(), "logs go to server.log"
    assert "Kafka Server started" in (tmp_path / "kafka" / "logs" / "server.log").read_text()


def test_data_and_address_survive_a_restart_and_a_power_cut(tmp_path: Path, broker_on: BrokerOn) -> None:
    broker = broker_on(tmp_path / "某区 data, with odd=name")
    bootstrap = broker.start()
    create_topic(bootstrap, "demands")
    produce(bootstrap, "demands", b"first")
    running_client = Producer({"bootstrap.servers": bootstrap, "acks": "all", "log_level": 0})

    assert broker.restart() == bootstrap
    running_client.produce("demands", b"second")
    assert running_client.flush(30) == 0, "a client that was running finds the broker again"
    assert broker.restart(kill=True) == bootstrap
    produce(bootstrap, "demands", b"third")

    assert consume(bootstrap, "demands", 3) == [b"first", b"second", b"third"]


def test_killing_the_owner_leaves_no_java_and_no_obstacle(tmp_path: Path, broker_on: BrokerOn) -> None:
    owner, java, bootstrap = start_owner(tmp_path)
    try:
        create_topic(bootstrap, "demands")
        produce(bootstrap, "demands", b"acknowledged")
        assert java.is_running()
    finally:
        owner.send_signal(signal.SIGKILL)
        bury(owner)
    assert psutil.wait_procs([java], timeout=10)[1] == [], "the broker outlived its owner"
    assert (tmp_path / "kafka" / "broker.lock").read_text() == str(owner.pid), "the stale lock is still there"

    again = broker_on(tmp_path)

    assert again.start() == bootstrap
    assert consume(bootstrap, "demands", 1) == [b"acknowledged"]


def test_a_second_up_on_the_same_data_is_told_who_has_them(tmp_path: Path, broker_on: BrokerOn) -> None:
    owner, java, _bootstrap = start_owner(tmp_path)
    try:
        with pytest.raises(BrokerError, match=rf"in use by process {owner.pid}; stop that one first") as refusal:
            broker_on(tmp_path).start()
        assert "\n" not in str(refusal.value)
        assert java.is_running(), "the first one is not disturbed"
    finally:
        bury(owner)


def test_formatting_that_was_cut_off_is_done_again(tmp_path: Path, broker_on: BrokerOn) -> None:
    log, staging = tmp_path / "kafka" / "log", tmp_path / "kafka" / "log.formatting"
    for folder in (log, staging):
        folder.mkdir(parents=True)
        (folder / "bootstrap.checkpoint").write_bytes(b"half")
    (log / "meta.properties").touch()  # what a power cut leaves of a file that was not synced
    (log / "__cluster_metadata-0").mkdir()

    bootstrap = broker_on(tmp_path).start()

    create_topic(bootstrap, "demands")
    assert not staging.exists()


def test_data_without_their_meta_properties_are_never_formatted_over(tmp_path: Path, broker_on: BrokerOn) -> None:
    segment = tmp_path / "kafka" / "log" / "demands-0" / "00000000000000000000.log"
    segment.parent.mkdir(parents=True)
    segment.write_bytes(b"records")

    with pytest.raises(BrokerError, match=r"holds data \(demands-0/0+\.log\) but no valid meta\.properties"):
        broker_on(tmp_path).start()

    assert segment.read_bytes() == b"records"


def test_a_port_that_was_asked_for_and_is_taken_is_named(tmp_path: Path, broker_on: BrokerOn) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(
            BrokerError, match=rf"Port {port} of 127\.0\.0\.1 is taken by another program; stop that one"
        ):
            broker_on(tmp_path, port=port).start()


def test_a_port_lost_between_choosing_and_listening_is_replaced(
    tmp_path: Path, broker_on: BrokerOn, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        offers = iter([port])
        monkeypatch.setattr("streams.broker.free_port", lambda: next(offers, None) or free_port())

        bootstrap = broker_on(tmp_path).start()

    assert not bootstrap.endswith(f":{port}")
    create_topic(bootstrap, "demands")


def test_a_nearly_full_disk_is_refused_before_anything_is_written(tmp_path: Path, broker_on: BrokerOn) -> None:
    with pytest.raises(BrokerError, match=r"is full: \d+ MiB are free and Kafka needs \d+ MiB to start; free some"):
        broker_on(tmp_path, min_free=2**60).start()

    assert not (tmp_path / "kafka" / "log").exists()


def test_a_disk_that_fills_up_during_the_start_is_told_in_one_sentence(tmp_path: Path, broker_on: BrokerOn) -> None:
    broker = broker_on(tmp_path)
    broker.start()
    broker.stop()
    # Every write to /dev/full fails with the kernel's own "no space left on device".
    blocked = tmp_path / "kafka" / "log" / "__cluster_metadata-0" / "leader-epoch-checkpoint.tmp"
    blocked.symlink_to("/dev/full")

    with pytest.raises(
        BrokerError, match=r"did not start: the disk is full; free some space under .* nothing ack"
    ) as e:
        broker.start()
    assert "\n" not in str(e.value)

    blocked.unlink()
    broker.start()


def test_a_jar_that_was_tampered_with_never_runs(tmp_path: Path, broker_on: BrokerOn) -> None:
    jars = ensure_jars()
    kept = Path(os.path.commonpath(jars))
    cache = tmp_path / "cache"
    for jar in jars:
        copy = cache / kept.name / jar.relative_to(kept)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.symlink_to(jar)
    victim = next(cache.rglob("kafka-clients-*.jar"))
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.unlink()
    victim.write_bytes(content)

    with pytest.raises(
        BrokerError, match=r"kafka-clients-\S+ has the SHA-256 sum .* is pinned, so Kafka is not started"
    ):
        broker_on(tmp_path / "data", cache=cache).start()

    assert not (tmp_path / "data").exists()


def test_kafkas_own_tools_work_on_it(kafka: KafkaUnderTest, make_topic: Callable[..., str]) -> None:
    topic = make_topic("orders", partitions=3)
    produce(kafka.bootstrap, topic, b"one", b"two")

    assert topic in run_tool("kafka-topics", "--bootstrap-server", kafka.bootstrap, "--list").splitlines()
    offsets = run_tool("kafka-get-offsets", "--bootstrap-server", kafka.bootstrap, "--topic", topic)
    assert sum(int(line.rsplit(":", 1)[1]) for line in offsets.splitlines()) == 2


def run_tool(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "streams.kafka_runtime", "tool", *command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_librdkafka_produces_and_consumes_in_a_group(kafka: KafkaUnderTest, make_topic: Callable[..., str]) -> None:
    topic = make_topic("demands")
    large = os.urandom(3 * 1024 * 1024)
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "message.max.bytes": 4 * 1024 * 1024, "log_level": 0})
    producer.produce(topic, large)
    assert producer.flush(30) == 0, "a dead letter of the largest demand fits"
    produce(kafka.bootstrap, topic, b"small")

    assert consume(kafka.bootstrap, topic, 2) == [large, b"small"]


def test_kafka_python_produces_and_consumes_in_a_group(kafka: KafkaUnderTest, make_topic: Callable[..., str]) -> None:
    from kafka import KafkaConsumer, KafkaProducer

    topic = make_topic("replies")
    with KafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:
        producer.send(topic, key=b"case", value="已办结".encode(), headers=[("ce_id", b"1")]).get(timeout=30)
    with KafkaConsumer(
        topic,
        bootstrap_servers=kafka.bootstrap,
        group_id=f"{topic}.unit",
        auto_offset_reset="earliest",
        session_timeout_ms=6000,
        consumer_timeout_ms=30_000,
    ) as consumer:
        record = next(consumer)
        consumer.commit()

    assert (record.key, record.value.decode(), record.headers) == (b"case", "已办结", [("ce_id", b"1")])
