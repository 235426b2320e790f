"""Child processes that are kept alive: started, watched, started again with a growing pause."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

from streams import kafka_child

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
"""Seconds between a death and the next start: doubled each time, up to this."""

READY_FILE = "{name}.ready"
"""What a worker writes into the run folder once it has its partitions: its pid and metrics port."""

RESTARTS = "YIWANG_RESTARTS"
"""Variable that tells a child how often it has been started again."""

STEADY = 60.0
"""A child that lived so many seconds starts again with the first pause."""


def ready_port(run: Path, name: str, pid: int | None) -> int | None:
    """Return where a worker serves its metrics, None until this very process lives and has its partitions.

    Args:
        run: folder of the ready files.
        name: of the worker.
        pid: of the process that runs it now; a ready file of an earlier one does not count.
    """
    try:
        said, port = map(int, (run / READY_FILE.format(name=name)).read_text().split())
        alive = said == pid and psutil.Process(said).status() != psutil.STATUS_ZOMBIE
    except (OSError, ValueError, psutil.Error):
        return None
    return port if alive else None


@dataclass(slots=True)
class Child:
    """One supervised process."""

    name: str
    role: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    restarts: int = 0
    _process: subprocess.Popen[bytes] | None = None
    _started: float = 0.0
    _pause: float = FIRST_PAUSE
    _next_start: float = 0.0
    _stream: IO[bytes] | None = field(default=None, repr=False)

    @property
    def pid(self) -> int | None:
        """Return its process id, None while it is down."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> None:
        """Start it, so that it cannot outlive this thread; its output goes to its log file."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self._stream is None:
            self._stream = self.log.open("ab", buffering=0)
        self._process = subprocess.Popen(
            [sys.executable, kafka_child.__file__, str(os.getpid()), *self.command],
            env={**self.environment, RESTARTS: str(self.restarts)},
            stdin=subprocess.DEVNULL,
            stdout=self._stream,
            stderr=self._stream,
        )
        self._started = time.monotonic()

    def watch(self) -> str | None:
        """Start it again when it has died and its pause is over.

        Returns:
            One line about a death that was just noticed, else None.
        """
        if self._process is None or self._process.poll() is None:
            return None
        now = time.monotonic()
        if self._next_start == 0.0:
            if now - self._started > STEADY:
                self._pause = FIRST_PAUSE
            self._next_start = now + self._pause
            self._pause = min(LONGEST_PAUSE, self._pause * 2)
            return f"{self.name} ended with status {self._process.returncode}; {self.last_words()}"
        if now >= self._next_start:
            self._next_start = 0.0
            self.restarts += 1
            self.start()
        return None

    def last_words(self) -> str:
        """Return the last line of its log."""
        with contextlib.suppress(OSError):
            lines = self.log.read_bytes()[-4000:].decode(errors="replace").strip().splitlines()
            return lines[-1] if lines else "it said nothing"
        return "it said nothing"

    def stop(self, grace: float) -> None:
        """Ask it to end, and end it when it has not after `grace` seconds."""
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(grace)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._stream is not None:
            self._stream.close()
            self._stream = None


def stop_all(children: Sequence[Child], grace: float) -> None:
    """Stop them side by side: all are asked first, then each is waited for."""
    for child in children:
        if child.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGTERM)
    for child in children:
        child.stop(grace)
