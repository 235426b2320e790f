"""The embedded broker: Apache Kafka in KRaft mode as a child process, with its data on disk.

    with EmbeddedKafka(Path("data")) as kafka:
        print(kafka.bootstrap)

The data survive restarts and power cuts; the child dies with its owner, however that dies.
"""

import contextlib
import logging
import os
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

import psutil
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from streams import kafka_storage
from streams.broker_error import BrokerError
from streams.kafka_config import (
    CONSOLE_LOG,
    HOST,
    LOGGING_FILE,
    SERVER_LOG,
    Ports,
    broker_jvm,
    logging_properties,
    server_properties,
)
from streams.kafka_failure import DISK_FULL, PORT_TAKEN, explain, known_reason, tail
from streams.kafka_ports import free_port, is_free
from streams.kafka_process import KafkaProcess
from streams.kafka_runtime import KafkaRuntime, resolve_runtime

__all__ = ["BrokerError", "EmbeddedKafka"]

GIBIBYTE: Final = 2**30
_PORT_CLASHES: Final = 5
_LEFTOVER_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.05

_log = logging.getLogger(__name__)
_silent = logging.getLogger(f"{__name__}.probe")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False  # librdkafka reports every refused connection of a broker that is still starting


class EmbeddedKafka:
    """One Kafka node for one installation.

    `start`, `stop`, `kill` and `restart` are meant for one owner thread; `is_alive` and `bootstrap` may be read by any.
    """

    def __init__(
        self,
        data: Path,
        *,
        port: int | None = None,
        heap: str = "512m",
        java: str | Path | None = None,
        min_free: int = GIBIBYTE,
        cache: Path | None = None,
    ) -> None:
        """Describe the broker; nothing is touched before `start`.

        Args:
            data: The installation's folder; the broker keeps to `kafka/` below it.
            port: Port of 127.0.0.1 that clients use; by default that of the last run, or a free one.
            heap: Java's largest heap, for example `512m`.
            java: See `streams.kafka_java.find_java`.
            min_free: Bytes that must be free on the disk to start.
            cache: Folder of the downloaded jars; `streams.kafka_jars.default_cache()` by default.
        """
        self.root: Final = data.absolute() / "kafka"
        self._port: Final = port
        self._heap: Final = heap
        self._java: Final = java
        self._min_free: Final = min_free
        self._cache: Final = cache
        self._owner: Final = os.getpid()
        self._lock: IO[str] | None = None
        self._process: KafkaProcess | None = None
        self._ports: Ports | None = None
        self._log_begin = 0

    def start(self, timeout: float = 60.0) -> str:
        """Start the broker and wait until an admin client gets an answer.

        Args:
            timeout: Seconds until the answer must have come, downloads and formatting not counted.

        Returns:
            The bootstrap address, `127.0.0.1:PORT`.

        Raises:
            BrokerError: One sentence for the operator; nothing is left running and the data are unharmed.
        """
        if self.is_alive():
            return self.bootstrap
        try:
            runtime = resolve_runtime(self._java, self._cache)
            kafka_storage.make_folders(self.root)
            if self._lock is None:
                self._lock = kafka_storage.lock(self.root)
            kafka_storage.check_space(self.root, self._min_free)
            self._wait_for_leftover()
            cluster = kafka_storage.ensure_formatted(self.root, runtime)
            self._launch(runtime, cluster, timeout)
        except BaseException as error:
            self._end(grace=0.0)
            self._unlock()
            if isinstance(error, OSError):
                cause = error.strerror or str(error)
                advice = (
                    known_reason(cause, self.root) or f"{cause}; see to that and start again, the data are unharmed"
                )
                raise BrokerError(f"Kafka in {self.root} did not start: {advice}.") from error
            raise
        return self.bootstrap

    def stop(self, timeout: float = 20.0) -> None:
        """Stop the broker in order, by force after so many seconds, and give the folder free. Safe to call again."""
        if os.getpid() != self._owner:
            return  # a forked copy of the owner, which has nothing to stop
        self._end(grace=timeout)
        self._unlock()

    def kill(self) -> None:
        """End the broker as a power cut would (SIGKILL). The folder stays claimed until `stop`."""
        self._end(grace=0.0)

    def restart(self, *, kill: bool = False, timeout: float = 60.0) -> str:
        """Stop (or kill) the broker and start it on the same port, so that running clients reconnect.

        Returns:
            The bootstrap address.
        """
        self._end(grace=0.0 if kill else 20.0)
        return self.start(timeout)

    def is_alive(self) -> bool:
        """Tell whether the child process runs."""
        return self._process is not None and self._process.status is None

    def why_dead(self) -> str:
        """Explain in one sentence, from its logs, why a broker that was running has died."""
        if kafka_storage.is_full(self.root):
            return explain(DISK_FULL, self.root)  # the logs could not be written either
        return explain(self._written(), self.root)

    @property
    def bootstrap(self) -> str:
        """Address for clients, `127.0.0.1:PORT`, known after the first start."""
        if self._ports is None:
            raise BrokerError("The embedded Kafka has no address before it was started; call start() first.")
        return f"{HOST}:{self._ports.clients}"

    @property
    def pid(self) -> int | None:
        """Id of the Java process, or None while none runs."""
        return self._process.pid if self._process is not None and self._process.status is None else None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _launch(self, runtime: KafkaRuntime, cluster: str, timeout: float) -> None:
        (self.root / LOGGING_FILE).write_text(logging_properties(), encoding="ascii")
        for clash in range(_PORT_CLASHES):
            self._ports = self._choose_ports(fresh=clash > 0)
            (self.root / "server.properties").write_text(server_properties(self._ports), encoding="ascii")
            with contextlib.suppress(FileNotFoundError):
                self._log_begin = (self.root / SERVER_LOG).stat().st_size
            self._process = KafkaProcess(
                runtime.command("kafka.Kafka", "server.properties", jvm=broker_jvm(self._heap)),
                cwd=self.root,
                environment=runtime.environment(),
                output=self.root / CONSOLE_LOG,
            )
            self._note_pid(self._process.pid)
            if self._becomes_ready(self._process, cluster, timeout):
                kafka_storage.remember_ports(self.root, self._ports)
                _log.info("Kafka answers at %s, process %d", self.bootstrap, self._process.pid)
                return
            if not PORT_TAKEN.search(self._written()):
                break
        raise BrokerError(f"Kafka in {self.root} did not start: {self.why_dead()}.")

    def _choose_ports(self, *, fresh: bool) -> Ports:
        """Take the port that was asked for, else those of the last run where they are free, else free ones."""
        last = None if fresh else self._ports or kafka_storage.remembered_ports(self.root)
        if self._port is not None:
            if not is_free(self._port):
                raise BrokerError(
                    f"Port {self._port} of {HOST} is taken by another program; "
                    "stop that one, choose another port, or name none to get a free one."
                )
            clients = self._port
        elif last is not None and is_free(last.clients):
            clients = last.clients
        else:
            clients = free_port()
        if last is not None and last.controller != clients and is_free(last.controller):
            return Ports(clients, last.controller)
        while (controller := free_port()) == clients:
            continue
        return Ports(clients, controller)

    def _becomes_ready(self, process: KafkaProcess, cluster: str, timeout: float) -> bool:
        """Wait until an admin client hears this very cluster answer; False where the process ended before."""
        deadline = time.monotonic() + timeout
        admin: AdminClient | None = None
        while not process.wait(_POLL_SECONDS):
            if time.monotonic() > deadline:
                raise BrokerError(
                    f"Kafka in {self.root} gave no answer within {timeout:.0f} s; see {self.root / SERVER_LOG}, "
                    "and start again when the machine is less busy."
                )
            if admin is None:
                if not _is_listening(self.bootstrap):
                    continue
                admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0}, logger=_silent)
            with contextlib.suppress(KafkaException):
                answer = admin.describe_cluster(request_timeout=2.0).result()
                if answer.cluster_id == cluster and answer.nodes:
                    return True
        return False

    def _wait_for_leftover(self) -> None:
        """Wait for the end of a broker whose owner was killed a moment ago; it holds Kafka's lock and its port."""
        with contextlib.suppress(OSError, ValueError, psutil.Error):
            leftover = psutil.Process(int((self.root / "broker.pid").read_text(encoding="ascii")))
            if not any("kafka.Kafka" in word for word in leftover.cmdline()) or Path(leftover.cwd()) != self.root:
                return  # the number belongs to another program now
            try:
                leftover.wait(_LEFTOVER_SECONDS)
            except psutil.TimeoutExpired:
                raise BrokerError(
                    f"A Kafka of an earlier run still uses {self.root}; end it (kill {leftover.pid}) and start again."
                ) from None

    def _note_pid(self, pid: int) -> None:
        (self.root / "broker.pid").write_text(str(pid), encoding="ascii")

    def _written(self) -> str:
        return tail(self.root / CONSOLE_LOG) + tail(self.root / SERVER_LOG, self._log_begin)

    def _end(self, *, grace: float) -> None:
        if self._process is None:
            return
        if grace > 0:
            self._process.terminate(grace)
        else:
            self._process.kill()
        self._process = None

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _is_listening(address: str) -> bool:
    """Tell whether anything accepts connections there: far cheaper to ask than to start an admin client."""
    host, port = address.split(":")
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1.0):
        return True
    return False
