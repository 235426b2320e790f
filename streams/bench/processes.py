"""The processes of a bench: the product as an operator starts it, the clients beside it, and their processor time."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil

from streams import kafka_child
from streams.settings import Settings

STOP_SECONDS = 40.0
"""Seconds an installation has to stop in order: its workers end their batch first, its broker last."""

_OWN = ("YIWANG_KAFKA", "YIWANG_LEDGER", "YIWANG_VAULT", "YIWANG_VAULT_KEYS", "YIWANG_MASTER_KEY", "YIWANG_DATA")
"""Variables that point at somebody's real installation: a bench never touches one."""


class BenchError(Exception):
    """The bench cannot measure; one sentence that says why."""


def _start(arguments: list[str], environment: Mapping[str, str], errors: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a Python program of this project that dies with this one."""
    command = [sys.executable, kafka_child.__file__, str(os.getpid()), sys.executable, *arguments]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=dict(environment)
    )


def _stop(process: subprocess.Popen[bytes], seconds: float) -> None:
    with contextlib.suppress(OSError):
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()


def _last_words(log: Path) -> str:
    words = log.read_text(errors="replace").strip().splitlines()
    return words[-1] if words else "it said nothing"


@dataclass(frozen=True, slots=True)
class Product:
    """An installation that runs."""

    bootstrap: str
    pids: Mapping[str, int]
    """Part (`triage`, `casework`, `broker`) to process."""


@contextlib.contextmanager
def product(settings: Settings) -> Iterator[Product]:
    """Run `yiwang up` on the settings' data folder.

    Raises:
        BenchError: it does not start.
    """
    environment = {name: text for name, text in os.environ.items() if name not in _OWN} | settings.environment()
    settings.data.mkdir(parents=True, exist_ok=True)
    log = settings.data / "up.log"
    with log.open("wb") as errors:
        process = _start(["-m", "streams.up"], environment, errors)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise BenchError(f"the installation did not start: {_last_words(log)}")
        ready = json.loads(line)
        pids = {each["role"]: each["pid"] for each in ready["workers"]}
        pids["broker"] = int((settings.data / "kafka" / "broker.pid").read_text(encoding="ascii"))
        try:
            yield Product(ready["kafka"], pids)
        except (BenchError, psutil.NoSuchProcess) as error:
            raise BenchError(f"{error}; the installation says: {_last_words(log)}") from error
    finally:
        _stop(process, STOP_SECONDS)


class Party:
    """A client process; see `streams.bench.party`."""

    def __init__(self, role: str, settings: Mapping[str, Any], log: Path) -> None:
        """Start it and wait until it is ready.

        Raises:
            BenchError: it ends at once.
        """
        self._role = role
        self._log = log
        with log.open("wb") as errors:
            self._process = _start(["-m", "streams.bench.party", role], os.environ, errors)
        self.greeting = self.ask(settings)

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._process.pid

    def ask(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Give an order and wait for the answer.

        Raises:
            BenchError: it has ended instead.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = b""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        if not line:
            raise BenchError(f"the bench's {self._role} ended: {_last_words(self._log)}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End it."""
        _stop(self._process, 5.0)


def cpu_seconds(pids: Mapping[str, int]) -> dict[str, float]:
    """Return the processor time of each part so far."""
    return {part: sum(psutil.Process(pid).cpu_times()[:2]) for part, pid in pids.items()}


def disk_of(folder: Path) -> str:
    """Return the kind of file system a folder is on: on `tmpfs` durability is free, and the figures mean little."""
    mounts = sorted(psutil.disk_partitions(all=True), key=lambda each: len(each.mountpoint), reverse=True)
    resolved = folder.resolve()
    return next((each.fstype for each in mounts if resolved.is_relative_to(each.mountpoint)), "unknown")
