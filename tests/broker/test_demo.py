"""The demo, as a newcomer runs it: a small day to its end, and one that is interrupted."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

pytestmark = [pytest.mark.broker, pytest.mark.timeout(300)]

FATES = ("opened", "linked", "answered", "declined", "in_review", "duplicate", "follow_up", "dead_lettered")
SUMMARY = {
    *FATES,
    "received",
    "dispatched",
    "closed",
    "closed_by_exemption",
    "unaccounted",
    "units",
    "lifecycles_per_s",
    "intake_to_queue_ms",
}


def _demo(data: Path) -> list[str]:
    demo = [sys.executable, "-m", "streams.cli", "demo"]
    return [*demo, "--demands", "80", "--seed", "7", "--json", "--data", str(data)]


def _of(data: Path) -> list[psutil.Process]:
    """Return every process that works on this folder: by its arguments or by the variable `up` hands down."""
    found = []
    for process in psutil.process_iter():
        try:
            named = str(data) in " ".join(process.cmdline())
            if named or process.environ().get("YIWANG_DATA") == str(data):
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_a_small_day_ends_with_every_demand_accounted_for_and_all_work_done(tmp_path: Path) -> None:
    done = subprocess.run(_demo(tmp_path), capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert set(summary) >= SUMMARY
    assert summary["unaccounted"] == 0
    assert summary["open"] == 0
    assert summary["received"] >= 80
    assert summary["received"] == sum(summary[fate] for fate in FATES)
    assert summary["closed"] > summary["closed_by_exemption"] > 0
    rulings = {each["decision"]: each for each in summary["rulings"]}
    assert rulings.keys() >= {"dispatched", "review_requested"}
    assert rulings["dispatched"]["unit"]
    assert rulings["dispatched"]["why"], "the n-grams that weighed most"
    assert _of(tmp_path) == []


def test_an_interrupted_day_leaves_no_process_behind(tmp_path: Path) -> None:
    demo = subprocess.Popen(_demo(tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while not (tmp_path / "run" / "up.json").exists():
            assert demo.poll() is None, "the demo ended before it was interrupted"
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert len(_of(tmp_path)) > 3
        demo.send_signal(signal.SIGINT)
        assert demo.wait(90) == 130
    finally:
        demo.kill()
        demo.wait()
    assert _of(tmp_path) == []
