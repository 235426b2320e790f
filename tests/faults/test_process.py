"""A child that dies is started again: at once at first, later and later when it keeps dying."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from streams import process
from streams.process import FIRST_PAUSE, LONGEST_PAUSE, RESTARTS, STEADY, Child
from tests.installation import until

SECONDS = 20.0


class Watch:
    """A clock that a test moves by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    watch = Watch()
    monkeypatch.setattr(process, "time", SimpleNamespace(monotonic=watch.monotonic))
    return watch


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Child]:
    """A worker that waits to be killed."""
    script = f"import os, time; print('started', os.environ['{RESTARTS}'], flush=True); time.sleep({SECONDS * 10})"
    child = Child("casework-0", "casework", [sys.executable, "-c", script], dict(os.environ), tmp_path / "log")
    child.start()
    yield child
    child.stop(0.1)


def die(child: Child) -> str:
    """Kill the child and return what its supervisor says."""
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    return until(child.watch, SECONDS, "the death is noticed")


def pause(child: Child, watch: Watch) -> float:
    """Seconds until the child is started again."""
    died, restarts = watch.now, child.restarts
    while child.restarts == restarts:
        watch.now += FIRST_PAUSE / 4
        assert child.watch() is None
    return watch.now - died


def test_each_death_of_a_child_that_keeps_dying_is_followed_by_a_longer_pause(child: Child, watch: Watch) -> None:
    pauses = []
    for _ in range(8):
        die(child)
        pauses.append(pause(child, watch))
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, LONGEST_PAUSE, LONGEST_PAUSE]
    assert child.restarts == 8


def test_a_child_that_lived_long_starts_again_soon(child: Child, watch: Watch) -> None:
    for _ in range(3):
        die(child)
        pause(child, watch)
    watch.now += STEADY + 1
    die(child)
    assert pause(child, watch) == FIRST_PAUSE


def test_a_death_is_told_once_and_a_down_child_has_no_pid(child: Child, watch: Watch) -> None:
    told = die(child)
    assert told.startswith("casework-0 ended with status -9")
    assert child.watch() is None
    assert child.pid is None
    pause(child, watch)
    assert child.pid is not None


def test_a_child_knows_how_often_it_was_started_again(child: Child, watch: Watch) -> None:
    die(child)
    pause(child, watch)
    until(lambda: "started 1" in child.log.read_text(), SECONDS, "it says so")
    assert child.last_words() == "started 1"


def test_a_child_does_not_outlive_the_supervisor_that_was_killed(tmp_path: Path) -> None:
    script = (
        "import pathlib, sys, time\n"
        "from streams.process import Child\n"
        f"child = Child('w', 'w', ['/bin/sleep', '600'], {{}}, pathlib.Path({str(tmp_path / 'log')!r}))\n"
        "child.start()\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    supervisor = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert supervisor.stdout is not None
    pid = int(supervisor.stdout.readline())
    supervisor.kill()
    supervisor.wait()
    supervisor.stdout.close()
    until(lambda: not Path(f"/proc/{pid}").exists(), SECONDS, "the child is gone")


def test_a_child_that_will_not_end_is_ended(tmp_path: Path) -> None:
    script = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True)"
    child = Child("w", "w", [sys.executable, "-c", script + "; time.sleep(600)"], dict(os.environ), tmp_path / "log")
    child.start()
    until(lambda: child.last_words() == "deaf", SECONDS, "it is deaf")
    started = time.monotonic()
    child.stop(0.1)
    assert child.pid is None
    assert time.monotonic() - started < SECONDS
