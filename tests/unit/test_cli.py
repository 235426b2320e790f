"""The command line as scripts see it: documents on standard output, sentences on standard error, exit statuses."""

import csv
import json
import os
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Self

import pytest
import typer
from typer.testing import CliRunner, Result

from routers.receipt import receipt
from streams import cli, up
from streams.channel import DemandRow, Told
from streams.cli import COMMANDS
from streams.cli.common import STATE_FILE
from streams.client import ClientError
from streams.department import ReplyResult
from streams.messages import Outcome
from streams.settings import QINGLAN
from tests.cities import qinglan

CASE = "01M85EF7HFNE0PMKRZB1BGPKB2"


@pytest.fixture(autouse=True)
def bare_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, and no settings from outside."""
    for name in [name for name in os.environ if name.startswith("YIWANG_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The city of these tests is read from its files once."""
    for name in ("unit", "topics", "classify", "vault"):
        monkeypatch.setattr(f"streams.cli.{name}.load_city", lambda _folder: qinglan())


def yiwang(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli.app, [str(each) for each in arguments])


def document(result: Result) -> Any:
    """The one JSON document on standard output."""
    assert len(result.stdout.splitlines()) == 1
    return json.loads(result.stdout)


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


# ---- submitting -----------------------------------------------------------------------------------


class Counter:
    """A channel whose pipeline answers at once: ids seen twice are duplicates, some words are refused, some hang."""

    sent: list[DemandRow]
    seen: set[str]

    def __init__(self, _access: object, channel: str) -> None:
        self.channel = channel
        self.answers: deque[Told] = deque()
        self.untold = 0
        self.sent = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def submit(self, text: str, **fields: Any) -> str:
        if len(text) > 50:
            raise ClientError("text_too_long", "the text is too long")
        demand_id = str(fields.get("demand_id", CASE))
        self.untold += 1
        if text != "石沉大海":
            code = "duplicate" if demand_id in self.seen else ("wrong_key" if text == "坏" else "accepted")
            self.seen.add(demand_id)
            self.answers.append(Told(demand_id, self.outcome(demand_id, code)))
        return demand_id

    def outcome(self, demand_id: str, code: str) -> Outcome:
        return Outcome(
            outcome_id="o",
            demand_id=demand_id,
            about=demand_id,
            channel=self.channel,
            seq=1,
            code=code,
            refused=code == "wrong_key",
            receipt=receipt(demand_id),
            text="您的诉求已受理",
            at=datetime(2026, 11, 23, tzinfo=UTC),
        )

    def flush(self) -> None:
        pass

    def receipts(self, timeout: float) -> Iterator[Told]:
        assert timeout < 1
        while self.answers:
            self.untold -= 1
            yield self.answers.popleft()

    def wait_for(self, ids: list[str], timeout: float) -> dict[str, Outcome]:
        assert timeout
        return {told.about: told.outcome for told in self.answers if told.about in ids}


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Counter, "seen", set(), raising=False)
    monkeypatch.setattr("streams.cli.submit.ChannelClient", Counter)
    monkeypatch.setattr("streams.cli.submit_file.ChannelClient", Counter)


SUBMIT = ("submit", "--channel", "app", "--kafka", "127.0.0.1:1", "--json")


@pytest.mark.usefixtures("counter")
def test_one_demand_comes_back_with_its_receipt_and_outcome() -> None:
    result = yiwang(*SUBMIT, "--text", "路灯不亮")
    found = document(result)
    assert result.exit_code == 0
    assert (found["demand_id"], found["receipt"], found["outcome"]) == (CASE, receipt(CASE), "accepted")


@pytest.mark.usefixtures("counter")
def test_one_demand_under_an_own_id_is_a_duplicate_the_second_time() -> None:
    first, second = (document(yiwang(*SUBMIT, "--text", "路灯不亮", "--id", "7")) for _ in range(2))
    assert (first["outcome"], second["outcome"]) == ("accepted", "duplicate")
    assert first["demand_id"] == second["demand_id"]


@pytest.mark.usefixtures("counter")
@pytest.mark.parametrize(("text", "code"), [("坏", "wrong_key"), ("长" * 60, "text_too_long")])
def test_a_refused_demand_is_status_1_with_its_code(text: str, code: str) -> None:
    result = yiwang(*SUBMIT, "--text", text)
    assert result.exit_code == 1
    assert document(result)["outcome"] == code


@pytest.mark.usefixtures("counter")
def test_a_demand_nobody_answers_is_status_3_and_names_it() -> None:
    result = yiwang(*SUBMIT, "--text", "石沉大海", "--timeout", "0.01")
    assert result.exit_code == 3
    assert CASE in result.stderr


@pytest.mark.usefixtures("counter")
def test_a_file_is_counted_and_its_rejects_are_put_aside_with_reasons() -> None:
    lines = [
        "no,words,when",
        "1,路灯不亮,2026-11-23 08:00",
        "2,,2026-11-23",
        "3,积水,昨天",
        "1,路灯不亮,2026-11-23 08:00",
    ]
    lines += ["5,坏,2026-11-23", f"6,{'长' * 60},2026-11-23", "7,噪音,2026-11-23,多一格"]
    Path("a.csv").write_text("\n".join(lines), encoding="utf-8")
    arguments = ("--file", "a.csv", "--map", "id=no", "--map", "text=words", "--map", "created_at=when")

    result = yiwang(*SUBMIT, *arguments)

    assert result.exit_code == 0
    assert document(result) == {
        "read": 7,
        "accepted": 1,
        "duplicates": 1,
        "rejected": 5,
        "untold": 0,
        "rejects_file": "a.csv.rejects.csv",
    }
    with Path("a.csv.rejects.csv").open(encoding="utf-8-sig") as stream:
        rejects = {int(row["row"]): (row["id"], row["code"]) for row in csv.DictReader(stream)}
    assert rejects == {
        2: ("2", "no_text"),
        3: ("3", "bad_time"),
        5: ("5", "wrong_key"),
        6: ("6", "text_too_long"),
        7: ("", "wrong_columns"),
    }


@pytest.mark.usefixtures("counter")
def test_a_clean_file_leaves_no_rejects_file() -> None:
    Path("a.jsonl").write_text('{"text": "路灯不亮"}\n{"text": "积水"}\n', encoding="utf-8")
    assert document(yiwang(*SUBMIT, "--file", "a.jsonl"))["rejects_file"] is None
    assert document(yiwang(*SUBMIT, "--file", "a.jsonl"))["duplicates"] == 2
    assert [each.name for each in Path.cwd().iterdir()] == ["a.jsonl"]


@pytest.mark.usefixtures("counter")
def test_a_file_whose_demands_are_not_all_answered_is_status_3_with_their_number() -> None:
    Path("a.jsonl").write_text('{"text": "石沉大海"}\n{"text": "积水"}\n', encoding="utf-8")
    result = yiwang(*SUBMIT, "--file", "a.jsonl", "--timeout", "0.05")
    assert result.exit_code == 3
    assert document(result)["untold"] == 1
    assert result.stderr.startswith("1 submitted demands")


@pytest.mark.usefixtures("counter")
def test_a_file_of_nothing_but_rejects_is_status_1() -> None:
    Path("a.csv").write_text("text,created_at\n积水,昨天\n", encoding="utf-8")
    assert yiwang(*SUBMIT, "--file", "a.csv").exit_code == 1


@pytest.mark.usefixtures("counter")
def test_a_file_in_gb18030_is_read_with_a_remark() -> None:
    Path("a.csv").write_bytes("text\n路灯不亮\n".encode("gb18030"))
    result = yiwang(*SUBMIT, "--file", "a.csv")
    assert document(result)["accepted"] == 1
    assert "GB18030" in result.stderr


# ---- departments ----------------------------------------------------------------------------------


class Office:
    """A unit whose replies meet the fate their text names."""

    def __init__(self, _access: object, unit: str, keys: Path) -> None:
        self.unit, self.keys = unit, keys

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def open_items(self) -> dict[tuple[str, str], Any]:
        return {}

    def note(self, case: str, text: str, **fields: str) -> str:
        self.said = (case, text, fields)
        return "r1"

    def result_of(self, ids: list[str], timeout: float) -> dict[str, ReplyResult]:
        assert timeout
        case, text, fields = self.said
        return {} if text == "silence" else {each: ReplyResult(text, f"{self.unit} {fields}", case) for each in ids}


@pytest.mark.parametrize(("said", "status"), [("applied", 0), ("not_yours", 1), ("silence", 3)])
def test_a_reply_tells_what_the_pipeline_made_of_it(monkeypatch: pytest.MonkeyPatch, said: str, status: int) -> None:
    monkeypatch.setattr("streams.cli.department.DepartmentClient", Office)
    arguments = ("--text", said, "--by", "李工", "--json")
    result = yiwang("department", "--kafka", "127.0.0.1:1", "U-LIGHT", "note", CASE, *arguments)
    assert result.exit_code == status
    if status == 3:
        assert "--reply-id r1" in result.stderr
    else:
        assert document(result) == {
            "result": said,
            "text": "U-LIGHT {'by': '李工'}",
            "case_id": CASE,
            "reply_id": "r1",
        }


def test_a_receipt_that_is_not_in_the_queue_is_status_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.cli.department.DepartmentClient", Office)
    arguments = ("department", "--kafka", "127.0.0.1:1", "U-LIGHT", "note")
    assert yiwang(*arguments, "QE79-5SKF-AEA52", "--text", "x").exit_code == 1
    assert yiwang(*arguments, "QE79-5SKF-AEA53", "--text", "x").exit_code == 2
