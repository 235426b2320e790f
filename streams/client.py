"""What both clients stand on: one connection to the cluster, with errors that say what to do next.

Synchronous, on kafka-python, for one thread: the pace of people and offices, not of agents.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import time
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, Self, TypeVar

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import AuthorizationError, KafkaError, KafkaTimeoutError

from streams.kafka_access import KafkaAccess
from streams.topics import INTAKE_BYTES, REGISTRY

K = TypeVar("K")
V = TypeVar("V")

CONNECT_SECONDS = 15.0
"""How long to look for a broker before giving up with a sentence."""

DELIVERY_SECONDS = 120.0
"""How long a message is tried again, through a restart of the broker, before it counts as not sent."""

_RETRY = 0.2

_MARGIN = 2.0
"""Seconds more than a delivery may take, for its failure to be told."""

LINGER_MS = 5
BATCH_BYTES = 256 * 1024

FLUSH_EVERY = 1_000
"""Messages on their way at most: kafka-python itself bounds nothing."""

MOST_BYTES = INTAKE_BYTES - 4 * 1024
"""Bytes a value may have: the topic's limit counts key and headers too."""

_LARGEST = max(kind.max_bytes for kind in REGISTRY) + 64 * 1024
"""Bytes of the largest record and its headers."""

logging.getLogger("kafka").addHandler(logging.NullHandler())
"""Every reconnection is a warning there; a program that wants to see them adds a handler."""


class ClientError(Exception):
    """What a client was asked to do cannot be done; the text says what to do next.

    Attributes:
        code: for machines: `unreachable`, `no_topic`, `forbidden`, `not_sent`, `no_key`,
            or the code of a message that would be refused.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def access_of(access: KafkaAccess | str) -> KafkaAccess:
    """Return how to reach a cluster; a bare `HOST:PORT` is one without security."""
    return KafkaAccess(bootstrap=access) if isinstance(access, str) else access


@contextlib.contextmanager
def plain_errors(bootstrap: str) -> Iterator[None]:
    """Give the library's errors our name and a sentence.

    Raises:
        ClientError: instead of any `KafkaError`.
    """
    try:
        yield
    except AuthorizationError as error:
        raise ClientError(
            "forbidden", f"the cluster at {bootstrap} forbids this ({error}); ask its operator for the rights"
        ) from error
    except (KafkaError, OSError) as error:
        raise ClientError(
            "unreachable",
            f"no Kafka broker at {bootstrap} answers as it should ({_short(error)}); see that it runs, and try again",
        ) from error


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".strip(" :")[:200]


def await_listener(access: KafkaAccess) -> None:
    """Wait until anything listens at one of the addresses.

    kafka-python leaves a thread behind for each client that never met a broker; none is made before this.

    Raises:
        ClientError: nothing does, within `CONNECT_SECONDS`.
    """
    deadline = time.monotonic() + CONNECT_SECONDS
    while True:
        for address in access.bootstrap.split(","):
            host, _, port = address.strip().rpartition(":")
            with contextlib.suppress(OSError, ValueError), socket.create_connection((host.strip("[]"), int(port)), 2.0):
                return
        if time.monotonic() >= deadline:
            raise ClientError(
                "unreachable",
                f"no Kafka broker answers at {access.bootstrap}; see that it runs and that this is its address",
            )
        time.sleep(_RETRY)


def _no_topic(topic: str, bootstrap: str) -> ClientError:
    return ClientError("no_topic", f"there is no topic {topic} at {bootstrap}; see `yiwang topics list`")


def broker_version(access: KafkaAccess) -> str:
    """Return the version of the cluster, as far as its protocol tells it: `4.3`.

    Raises:
        ClientError: no broker answers.
    """
    reader = Reader(access, "yiwang-status", ())
    try:
        return reader.version
    finally:
        reader.close()


class Sender:
    """An idempotent producer that knows where on the log each message came to rest."""

    def __init__(
        self, access: KafkaAccess, client_id: str, topic: str, *, delivery_seconds: float = DELIVERY_SECONDS
    ) -> None:
        """Connect, and learn the topic's partitions, so that a broker that goes away later holds up nobody.

        Raises:
            ClientError: no broker answers, or the topic is not there.
        """
        await_listener(access)
        self._topic = topic
        self._bootstrap = access.bootstrap
        self._patience = delivery_seconds
        self._waiting: deque[tuple[str, Any]] = deque()
        self._settled: list[tuple[str, TopicPartition, int]] = []
        self._failed: list[tuple[str, BaseException]] = []
        with plain_errors(access.bootstrap):
            self._producer = KafkaProducer(
                **access.kafka_python(
                    acks="all",
                    allow_auto_create_topics=False,
                    batch_size=BATCH_BYTES,
                    bootstrap_timeout_ms=int(CONNECT_SECONDS * 1000),
                    client_id=client_id,
                    delivery_timeout_ms=int(delivery_seconds * 1000),
                    enable_idempotence=True,
                    linger_ms=LINGER_MS,
                    max_block_ms=int(CONNECT_SECONDS * 1000),
                    max_request_size=_LARGEST,
                    metrics_enabled=False,
                    reconnect_backoff_max_ms=2_000,
                    request_timeout_ms=min(10_000, int(delivery_seconds * 1000) - LINGER_MS),
                )
            )
        try:
            with plain_errors(access.bootstrap):
                self._look_up(topic)
        except BaseException:
            self._producer.close(timeout=0)
            raise

    def _look_up(self, topic: str) -> None:
        try:
            found = self._producer.partitions_for(topic)
        except KafkaTimeoutError:  # a broker has answered before: it does not know the topic
            found = None
        if not found:
            raise _no_topic(topic, self._bootstrap)

    def send(self, key: str, value: bytes, headers: list[tuple[str, bytes]], about: str) -> None:
        """Put a message on its way; `flush` tells whether it arrived.

        Args:
            key: chooses the partition, by murmur2 as in Java.
            value: the bytes.
            headers: with the CloudEvents attributes.
            about: the sender's own name for this message, for `flush`.

        Raises:
            ClientError: the cluster does not answer, or the topic is not there.
        """
        if len(self._waiting) >= FLUSH_EVERY:
            self._await(self._patience)
        with plain_errors(self._bootstrap):
            self._waiting.append((about, self._producer.send(self._topic, value, key.encode(), headers)))

    def flush(self) -> list[tuple[str, TopicPartition, int]]:
        """Wait until the broker has all of it on disk.

        Returns:
            For each message settled since the last call: its name, its partition, its offset (-1: not told).

        Raises:
            ClientError: some did not arrive; they are named in the text.
        """
        self._await(self._patience)
        settled, self._settled = self._settled, []
        failed, self._failed = self._failed, []
        if failed:
            names = ", ".join(about for about, _error in failed[:3])
            more = f" and {len(failed) - 3} more" if len(failed) > 3 else ""
            self._settled = settled
            raise ClientError("not_sent", f"not sent: {names}{more} ({_short(failed[0][1])}); send them again")
        return settled

    def _await(self, patience: float) -> None:
        if not self._waiting:
            return
        with contextlib.suppress(KafkaTimeoutError):  # each message knows whether it arrived
            self._producer.flush(timeout=patience + _MARGIN)
        while self._waiting:
            about, future = self._waiting.popleft()
            if future.succeeded():
                self._settled.append((about, future.value.topic_partition, future.value.offset))
            else:
                self._failed.append((about, future.exception or TimeoutError("no answer in time")))

    def close(self, *, hurry: bool = False) -> None:
        """Send what is waiting, and disconnect.

        Args:
            hurry: give what is waiting a moment only; something has failed already.

        Raises:
            ClientError: some of it could not be sent.
        """
        try:
            if hurry:
                self._await(0.0)
            else:
                self.flush()
        finally:
            with contextlib.suppress(KafkaError):
                self._producer.close(timeout=0 if self._failed else CONNECT_SECONDS)


class Reader:
    """A consumer without a group: it reads partitions it names, from offsets it keeps itself."""

    def __init__(self, access: KafkaAccess, client_id: str, topics: Sequence[str]) -> None:
        """Connect and look the topics up.

        Raises:
            ClientError: no broker answers, or a topic is not there.
        """
        await_listener(access)
        self._bootstrap = access.bootstrap
        with plain_errors(access.bootstrap):
            self._consumer = KafkaConsumer(
                **access.kafka_python(
                    allow_auto_create_topics=False,
                    auto_offset_reset="earliest",
                    bootstrap_timeout_ms=int(CONNECT_SECONDS * 1000),
                    client_id=client_id,
                    enable_auto_commit=False,
                    fetch_max_wait_ms=200,
                    group_id=None,
                    max_partition_fetch_bytes=4 * 2**20,
                    max_poll_records=2_000,
                    metrics_enabled=False,
                    reconnect_backoff_max_ms=2_000,
                )
            )
        try:
            with plain_errors(access.bootstrap):
                self.partitions = [
                    TopicPartition(topic, number) for topic in topics for number in self._numbers_of(topic)
                ]
                self._consumer.assign(self.partitions)
        except BaseException:
            self._consumer.close()
            raise

    @property
    def version(self) -> str:
        """Return the version of the cluster, as far as its protocol tells it."""
        return ".".join(str(part) for part in self._consumer.config["api_version"] or ())

    def _numbers_of(self, topic: str) -> list[int]:
        numbers = self._consumer.partitions_for_topic(topic)
        if not numbers:
            raise ClientError(
                "no_topic",
                f"there is no topic {topic} at {self._bootstrap}; see `yiwang topics list`",
            )
        return sorted(numbers)

    def ends(self) -> dict[TopicPartition, int]:
        """Return for each partition the offset its next record will have."""
        with plain_errors(self._bootstrap):
            return dict(self._consumer.end_offsets(self.partitions))

    def starts(self) -> dict[TopicPartition, int]:
        """Return the first offset each partition still holds."""
        with plain_errors(self._bootstrap):
            return dict(self._consumer.beginning_offsets(self.partitions))

    def seek(self, position: Mapping[TopicPartition, int]) -> None:
        """Go on from these offsets."""
        with plain_errors(self._bootstrap):
            for partition, offset in position.items():
                self._consumer.seek(partition, offset)

    def position(self) -> dict[TopicPartition, int]:
        """Return the offset of the next record of each partition."""
        with plain_errors(self._bootstrap):
            return {each: self._consumer.position(each, timeout_ms=10_000) for each in self.partitions}

    def poll(self, seconds: float) -> Iterable[Any]:
        """Return what comes within so many seconds, as soon as anything comes."""
        with plain_errors(self._bootstrap):
            batches = self._consumer.poll(timeout_ms=max(0, int(seconds * 1000)))
        return [record for records in batches.values() for record in records]

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()


class Recent(Generic[K, V]):
    """A mapping that keeps the entries set last, and forgets the oldest beyond a bound."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._entries: OrderedDict[K, V] = OrderedDict()

    def __setitem__(self, key: K, value: V) -> None:
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._bound:
            self._entries.popitem(last=False)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        """Return an entry, None where there is none (any more)."""
        return self._entries.get(key)

    def pop(self, key: K) -> V | None:
        """Take an entry out, None where there is none (any more)."""
        return self._entries.pop(key, None)

    def pop_oldest(self) -> tuple[K, V]:
        """Take out the entry set first.

        Raises:
            KeyError: there is none.
        """
        return self._entries.popitem(last=False)


class Closing:
    """Base of what is used in a `with` and closed at its end."""

    def close(self, *, hurry: bool = False) -> None:
        """Let go of everything.

        Args:
            hurry: do not wait for what is not yet sent; something has failed already.
        """
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        self.close(hurry=kind is not None)
