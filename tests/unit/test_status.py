"""What `yiwang status` makes of what it finds: ready means that every part works now."""

import json
import os
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner, Result

from streams import cli
from streams.cli.common import STATE_FILE
from streams.learning import MEMORY_FILE as LEARNED_FILE


def yiwang(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli.app, [str(each) for each in arguments])


@pytest.fixture
def standing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder in which all is well, as far as `status` can see: one worker, which is this process."""
    monkeypatch.setattr("streams.cli.status.broker_version", lambda _access: "4.3")
    monkeypatch.setattr("streams.cli.status._backlog", lambda _installation, _engine: {"lag": 0, "unaccounted": 0})
    for name in [name for name in os.environ if name.startswith("YIWANG_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr("streams.cli.status.opened_ledger", lambda _installation: nullcontext())
    monkeypatch.setattr("streams.cli.status._classifier", lambda _installation: {"model": None, "problem": "none"})
    monkeypatch.setattr("streams.cli.status.schema_version", lambda _engine: "1")
    (tmp_path / "run").mkdir()
    me = os.getpid()
    workers = [{"name": "casework-0", "role": "casework", "pid": me, "restarts": 3}]
    state = {"ready": True, "pid": me, "kafka": "127.0.0.1:1", "workers": workers}
    (tmp_path / "run" / STATE_FILE).write_text(json.dumps(state))
    (tmp_path / "run" / "casework-0.ready").write_text(f"{me} 9100\n")
    return tmp_path


def test_status_is_ready_when_every_worker_is(standing: Path) -> None:
    result = yiwang("status", "--data", standing, "--json")
    assert (result.exit_code, json.loads(result.stdout)["ready"]) == (0, True)


@pytest.mark.parametrize("ready_file", [None, "", "1 9100\n", "casework"])
def test_status_is_3_while_a_worker_keeps_dying_whatever_was_written_down(
    standing: Path, ready_file: str | None
) -> None:
    file = standing / "run" / "casework-0.ready"
    file.unlink() if ready_file is None else file.write_text(ready_file)
    result = yiwang("status", "--data", standing, "--json")
    assert (result.exit_code, json.loads(result.stdout)["ready"]) == (3, False)
    assert "worker casework-0 is not ready (3 restarts)" in result.stderr
    assert "casework-0.log" in result.stderr


def test_status_is_3_when_a_workers_process_is_gone(standing: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    gone = psutil.Process(child.pid)
    while gone.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    file = standing / "run" / STATE_FILE
    state = json.loads(file.read_text())
    state["workers"][0]["pid"] = child.pid
    file.write_text(json.dumps(state))
    (standing / "run" / "casework-0.ready").write_text(f"{child.pid} 9100\n")
    try:
        assert yiwang("status", "--data", standing).exit_code == 3
    finally:
        child.wait()
    assert yiwang("status", "--data", standing).exit_code == 3


def test_status_tells_what_classifies_and_what_is_withheld_from_it(
    standing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "classifier  lexicon: none" in yiwang("status", "--data", standing).stdout
    monkeypatch.setattr("streams.cli.status._classifier", lambda _installation: {"model": "abc", "problem": None})
    (standing / "run" / LEARNED_FILE).write_text('["0505", "0101"]')
    told = yiwang("status", "--data", standing).stdout
    assert "classifier  abc\n" in told
    assert "withheld    0101, 0505: the desk rules" in told
    document = json.loads(yiwang("status", "--data", standing, "--json").stdout)
    assert document["withheld"] == ["0101", "0505"]
    assert document["classifier"] == {"model": "abc", "problem": None}
