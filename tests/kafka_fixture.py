"""A pytest plugin: the one Kafka of a test session, embedded by default, in a container or anywhere by choice.

`YIWANG_TEST_KAFKA` chooses it: `embedded` (the default), `testcontainers`, or `HOST:PORT` of a running broker. The lane
fails where the chosen Kafka does not come up; it never skips and never falls back to another one.
"""

import os
import re
import secrets
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

import pytest

CHOICE = "YIWANG_TEST_KAFKA"
IMAGE = "YIWANG_TEST_KAFKA_IMAGE"

_READY_SECONDS = 60.0
_REACHABLE_SECONDS = 15.0
_ADDRESS = re.compile(r"[\w.-]+:\d{1,5}")


@dataclass(frozen=True)
class KafkaUnderTest:
    """The broker of the session.

    Attributes:
        bootstrap: `HOST:PORT` for clients.
        kind: `embedded`, `testcontainers` or `external`.
    """

    bootstrap: str
    kind: str


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a choice that means nothing before any test runs, and spare every broker the optimising compiler.

    A broker of a test lives for seconds: that compiler would take a third of its processor time and give nothing back.
    """
    _ = config
    _kind(_choice())
    os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")


def pytest_report_header(config: pytest.Config) -> str:
    """Say which Kafka the session uses."""
    _ = config
    return f"kafka: {_choice()} ({CHOICE})"


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaUnderTest]:
    from streams.broker import BrokerError, EmbeddedKafka

    choice = _choice()
    kind = _kind(choice)
    if kind == "embedded":
        broker = EmbeddedKafka(tmp_path_factory.mktemp("kafka"))
        try:
            bootstrap = broker.start()
        except BrokerError as error:
            pytest.fail(str(error), pytrace=False)
        try:
            yield KafkaUnderTest(bootstrap, kind)
        finally:
            broker.stop()
    elif kind == "testcontainers":
        with _container(os.environ.get(IMAGE, "").strip()) as bootstrap:
            yield KafkaUnderTest(bootstrap, kind)
    else:
        _wait_until_it_answers(choice, _REACHABLE_SECONDS, f"start a Kafka there or choose another with {CHOICE}")
        yield KafkaUnderTest(choice, kind)


@pytest.fixture
def topic_prefix() -> str:
    """A beginning of topic and group names that no other test uses, on a broker that outlives the session too."""
    return f"t{secrets.token_hex(5)}."


@pytest.fixture
def make_topic(kafka: KafkaUnderTest, topic_prefix: str) -> Callable[..., str]:
    """Make a topic of this test alone: `make_topic("orders", partitions=4, config={...})` gives its full name."""
    from confluent_kafka.admin import AdminClient
    from confluent_kafka.cimpl import NewTopic

    admin = AdminClient({"bootstrap.servers": kafka.bootstrap, "log_level": 0})

    def make(name: str, *, partitions: int = 1, config: dict[str, str] | None = None) -> str:
        topic = topic_prefix + name
        new = NewTopic(topic, num_partitions=partitions, replication_factor=1, config=config or {})
        admin.create_topics([new])[topic].result(30)
        return topic

    return make


def _choice() -> str:
    return os.environ.get(CHOICE, "").strip() or "embedded"


def _kind(choice: str) -> str:
    if choice in {"embedded", "testcontainers"}:
        return choice
    if _ADDRESS.fullmatch(choice):
        return "external"
    raise pytest.UsageError(
        f'{CHOICE} is "{choice}", but means something only as embedded, testcontainers or HOST:PORT.'
    )


@contextmanager
def _container(image: str) -> Iterator[str]:
    """Run an image that takes its settings from KAFKA_* variables, as `apache/kafka:4.3.0` does, or one made here."""
    from streams.kafka_ports import free_port
    from tests.kafka_image import BASE, build_image

    os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")  # the reaper is one more image to be fetched
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library warns of its own moves
        from docker.errors import DockerException  # type: ignore[import-untyped]  # no types are published
        from testcontainers.core.container import DockerContainer
    port = free_port()
    try:
        image = image or build_image()
        container = DockerContainer(image).with_bind_ports(9092, port)
        for name, value in _container_settings(port).items():
            container.with_env(name, value)
        container.start()
    except (DockerException, OSError) as error:
        cause = " ".join(str(error).split())[:160]
        what = f"of the image {image}" if image else f"on {BASE}"
        _end(f"No Kafka container {what} starts ({cause}): start a container engine that has it, or set {IMAGE}.")
    try:
        bootstrap = f"localhost:{port}"
        _wait_until_it_answers(bootstrap, _READY_SECONDS, f"see what {image} logs")
        yield bootstrap
    finally:
        container.stop()


def _container_settings(port: int) -> dict[str, str]:
    """The embedded broker's settings as variables, with listeners that can be reached from outside the container."""
    from streams.kafka_config import Ports, server_properties

    lines = server_properties(Ports(clients=9092, controller=9093), "/tmp/kafka-logs").splitlines()
    settings = dict(line.split("=", 1) for line in lines)
    settings["listeners"] = "PLAINTEXT://0.0.0.0:9092,CONTROLLER://127.0.0.1:9093"
    settings["advertised.listeners"] = f"PLAINTEXT://localhost:{port}"
    return {"KAFKA_" + name.upper().replace(".", "_"): value for name, value in settings.items()}


def _wait_until_it_answers(bootstrap: str, seconds: float, advice: str) -> None:
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if admin.describe_cluster(request_timeout=3.0).result().nodes:
                return
        except KafkaException:
            continue
    _end(f"No Kafka answers at {bootstrap} within {seconds:.0f} s; {advice}.")


def _end(sentence: str) -> NoReturn:
    """End the whole session: one sentence once, not once for each test."""
    pytest.exit(sentence, returncode=1)
