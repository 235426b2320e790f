"""A child process of Java that dies with this process."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

_CHILD = Path(__file__).with_name("kafka_child.py")


def tied(command: Sequence[str]) -> list[str]:
    """Give the command line of a program that the kernel kills when the thread that starts it ends."""
    return [sys.executable, "-I", "-S", str(_CHILD), str(os.getpid()), *command]


class KafkaProcess:
    """A running program of Kafka, owned by one thread.

    The kernel ends the program when the thread that started it ends (see `kafka_child`). So a thread of its own starts
    it and waits for it: whichever thread asked for the program may come and go.
    """

    def __init__(self, command: Sequence[str], *, cwd: Path, environment: dict[str, str], output: Path) -> None:
        """Start the program.

        Args:
            command: Absolute path of the program and its arguments.
            cwd: Folder it runs in.
            environment: Its whole environment.
            output: File that takes its standard output and error, emptied first.

        Raises:
            OSError: It could not be started.
        """
        self._command = tied(command)
        self._started = threading.Event()
        self._ended = threading.Event()
        self._failure: OSError | None = None
        self._process: subprocess.Popen[bytes] | None = None
        keeper = threading.Thread(target=self._keep, args=(cwd, environment, output), name="kafka-keeper", daemon=True)
        keeper.start()
        self._started.wait()
        if self._failure is not None:
            raise self._failure

    def _keep(self, cwd: Path, environment: dict[str, str], output: Path) -> None:
        try:
            with output.open("wb") as console:
                self._process = subprocess.Popen(
                    self._command,
                    cwd=cwd,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=console,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C goes to the owner alone, which stops the broker last
                )
        except OSError as error:
            self._failure = error
            self._ended.set()
            self._started.set()
            return
        self._started.set()
        self._process.wait()
        self._ended.set()

    @property
    def pid(self) -> int:
        """Id of the Java process."""
        return self._running().pid

    @property
    def status(self) -> int | None:
        """Exit status (negative: the signal), or None while it runs."""
        return self._running().returncode if self._ended.is_set() else None

    def wait(self, seconds: float) -> bool:
        """Wait for its end and tell whether it came."""
        return self._ended.wait(seconds)

    def terminate(self, seconds: float) -> None:
        """Ask it to stop, and end it by force after so many seconds."""
        self._signal(signal.SIGTERM)
        if not self.wait(seconds):
            self.kill()

    def kill(self) -> None:
        """End it at once (SIGKILL) and wait until it is gone."""
        self._signal(signal.SIGKILL)
        self._ended.wait()

    def _signal(self, number: signal.Signals) -> None:
        if not self._ended.is_set():
            self._running().send_signal(number)

    def _running(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None, "the constructor raises where no process was started"
        return self._process
