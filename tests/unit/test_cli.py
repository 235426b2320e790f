"""The command line as scripts see it: documents on standard output, sentences on standard error, exit statuses."""

import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer

from streams import up
from streams.cli import COMMANDS
from streams.cli.common import STATE_FILE
from streams.settings import QINGLAN
from tests.command_line import CASE, document, yiwang

pytestmark = pytest.mark.usefixtures("bare_place")


def leaves(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    under = getattr(command, "commands", {})
    if not under:
        yield path, command
    for name, each in under.items():
        yield from leaves(each, (*path, name))


# ---- all commands ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_an_example(name: str) -> None:
    top = typer.main.get_command(import_module(f"streams.cli.{name}").app)
    for path, command in leaves(top, (name,)):
        assert command.help, path
        assert "Example: " in (command.epilog or ""), path
        assert f"yiwang {name} " in f"{command.epilog} ", path


def test_help_lists_every_command_without_importing_them() -> None:
    result = yiwang("--help")
    assert result.exit_code == 0
    for name in COMMANDS:
        assert f" {name} " in result.stdout


@pytest.mark.usefixtures("read_once")
@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["submit", "--channel", "app"],
        ["submit", "--channel", "app", "--text", "x", "--file", "a.csv"],
        ["submit", "--channel", "app", "--file", "a.csv", "--map", "words=body", "--kafka", "127.0.0.1:1"],
        ["case", "show"],
        ["case", "show", "--receipt", "QE79-5SKF-AEA53"],
        ["case", "list", "--due-before", "bald"],
        ["worker", "--role", "cook"],
        ["classify"],
        ["vault", "reveal", CASE, "--purpose", " "],
        ["vault", "erase", CASE],
    ],
)
def test_wrong_use_is_status_2_and_says_why(arguments: list[str]) -> None:
    result = yiwang(*arguments)
    assert result.exit_code == 2
    assert result.stderr.strip()
    assert not result.stdout


@pytest.mark.usefixtures("read_once")
@pytest.mark.parametrize(
    "arguments",
    [
        ["submit", "--channel", "app", "--text", "路灯不亮"],
        ["department", "U-LIGHT", "work"],
        ["department", "U-LIGHT", "accept", CASE],
        ["case", "show", CASE],
        ["case", "list"],
        ["audit"],
        ["topics", "apply"],
        ["vault", "reveal", CASE, "--purpose", "call_back"],
        ["vault", "erase", CASE, "--purpose", "requested"],
        ["vault", "erasures"],
        ["vault", "rotate"],
        ["deadletters", "list"],
        ["deadletters", "show", "intake.app/0/1"],
        ["deadletters", "replay", "intake.app/0/1"],
        ["deadletters", "park", "intake.app/0/1"],
    ],
)
def test_where_nothing_is_installed_status_3_says_how_to_start(arguments: list[str]) -> None:
    result = yiwang(*arguments, "--data", "nothing")
    assert result.exit_code == 3
    assert "yiwang up --data nothing" in result.stderr
    assert not result.stdout
    assert not Path("nothing").exists()


def test_a_mistake_of_the_program_shows_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_folder: Path) -> None:
        raise RuntimeError("bump")

    monkeypatch.setattr("streams.cli.city.check_city", broken)
    result = yiwang("city", "check", "x")
    assert result.exit_code == 70
    assert "RuntimeError: bump" in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.usefixtures("read_once")
def test_a_state_file_of_a_killed_installation_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / STATE_FILE).write_text(json.dumps({"pid": 2**22 + 1, "kafka": "127.0.0.1:1"}))
    assert yiwang("topics", "apply", "--data", tmp_path).exit_code == 3
    assert STATE_FILE == up.UP_FILE


# ---- settings, keys, city, topics -------------------------------------------------------------------


def test_settings_say_which_source_won(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("here").mkdir()
    Path("here/yiwang.toml").write_text("partitions = 7\nheap = '300m'\n")
    monkeypatch.setenv("YIWANG_HEAP", "600m")
    login = {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "PLAIN",
        "sasl_username": "u",
        "sasl_password": "secret",
    }
    for name, value in login.items():
        monkeypatch.setenv(f"YIWANG_KAFKA_{name.upper()}", value)
    result = yiwang("settings", "--data", "here", "--json")
    found = {each["name"]: (each["value"], each["from"]) for each in document(result)["settings"]}
    assert found["data"] == ("here", "flag")
    assert found["heap"] == ("600m", "environment")
    assert found["partitions"] == (7, "here/yiwang.toml")
    assert found["replication"] == (1, "default")
    assert "secret" not in result.output


def test_a_setting_without_meaning_is_status_2_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YIWANG_PARTITIONS", "many")
    result = yiwang("settings")
    assert result.exit_code == 2
    assert result.stderr.startswith("the setting partitions is wrong")


@pytest.mark.usefixtures("read_once")
def test_a_unit_gets_a_key_once_and_another_by_rotation() -> None:
    issued = document(yiwang("unit", "key", "issue", "U-LIGHT", "--json"))
    again = yiwang("unit", "key", "issue", "U-LIGHT")
    rotated = document(yiwang("unit", "key", "rotate", "U-LIGHT", "--json"))
    revoked = document(yiwang("unit", "key", "revoke", "U-LIGHT", "--json"))

    assert issued["key_id"] == "U-LIGHT.1"
    assert Path(issued["file"]).stat().st_mode & 0o777 == 0o600
    assert again.exit_code == 2
    assert "rotate" in again.stderr
    assert rotated["key_id"] == "U-LIGHT.2"
    assert revoked == {"unit": "U-LIGHT", "revoked": 1, "key_id": "U-LIGHT.2"}
    assert yiwang("unit", "key", "issue", "NO-SUCH").exit_code == 2
    assert yiwang("unit", "key", "revoke", "D-WATER").exit_code == 1


def test_a_good_city_is_0_and_a_broken_one_1_with_file_and_line(tmp_path: Path) -> None:
    good = yiwang("city", "check", QINGLAN, "--json")
    assert good.exit_code == 0
    assert document(good).keys() >= {"units", "categories", "rules", "conflicts", "unowned", "errors", "warnings"}

    (tmp_path / "units.yaml").write_text("units:\n  - code: [\n")
    bad = yiwang("city", "check", tmp_path, "--json")
    assert bad.exit_code == 1
    lines = {each["file"]: each["line"] for each in document(bad)["errors"]}
    assert lines["units.yaml"] > 1
    assert lines["taxonomy.yaml"] == 1
    assert "units.yaml:" in yiwang("city", "check", tmp_path).stdout


@pytest.mark.usefixtures("read_once")
def test_topics_come_from_the_one_registry() -> None:
    listed = document(yiwang("topics", "list", "--json"))["topics"]
    described = yiwang("topics", "asyncapi")
    assert {"intake.app", "outcome.app", "demands", "replies", "work.U-LIGHT"} <= {each["name"] for each in listed}
    assert json.loads(described.stdout)["channels"].keys() == {each["name"] for each in listed}


# ---- ledger and triage ------------------------------------------------------------------------------


def test_an_empty_ledger_has_no_cases_and_says_so(ledger_file: Path) -> None:
    data = ledger_file.parent
    assert document(yiwang("case", "list", "--data", data, "--json")) == {"cases": []}
    missing = yiwang("case", "show", CASE, "--data", data, "--json")
    assert missing.exit_code == 1
    assert CASE in missing.stderr
    assert not missing.stdout


@pytest.mark.usefixtures("read_once")
def test_classify_tells_what_triage_would_decide() -> None:
    found = document(yiwang("classify", "--text", "云桥街道虹桥社区解放路路灯不亮", "--json"))
    assert found.keys() >= {"category", "confidence", "top3", "kind", "urgency", "safety", "out_of_scope", "tier"}
    assert (found["ruling"], found["unit"]) == ("dispatch", "U-LIGHT")
    assert found["place"]["street"] == "S01"


@pytest.mark.usefixtures("read_once")
def test_classify_writes_a_line_for_each_row_of_a_file() -> None:
    Path("a.csv").write_text("no,words\n1,路灯不亮\n2,\n3,自来水发黄\n", encoding="utf-8")
    result = yiwang("classify", "--file", "a.csv", "--map", "id=no", "--map", "text=words", "--out", "out.jsonl")
    lines = [json.loads(line) for line in Path("out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert result.exit_code == 0
    assert [each["id"] for each in lines] == ["1", "2", "3"]
    assert lines[1]["error"] == "no_text"
    assert lines[0]["category"]
