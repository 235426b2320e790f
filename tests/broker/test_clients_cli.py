"""A morning at the command line of a running installation: a file comes in, a lamp is mended, all is accounted for."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from routers.demand import Contact, DemandKind
from streams import cli
from tests.installation import DESK, LAMPS, STREETLIGHT, Installation, installation
from tests.kafka_fixture import CHOICE

pytestmark = [pytest.mark.broker, pytest.mark.timeout(240)]

PHONE = "13812345678"


def yiwang(*arguments: str | Path, status: int = 0) -> Any:
    result = CliRunner().invoke(cli.app, [*map(str, arguments), "--json"])
    assert result.exit_code == status, result.output
    return json.loads(result.stdout)


def test_a_morning_at_the_command_line(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("YIWANG_") and name != CHOICE]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    own = os.environ.get(CHOICE, "embedded") in {"", "embedded"}
    settings = {} if own else {"kafka": request.getfixturevalue("kafka").bootstrap}
    lines = ["no,words,when,mobile", f"1,{STREETLIGHT},2026-11-23 08:00,{PHONE}", "2,,2026-11-23 08:01,"]
    lines += [f"{number},{STREETLIGHT}第{number}盏,2026/11/23 8:{number},{PHONE}" for number in range(10, 50)]
    Path("calls.csv").write_text("\n".join(lines), encoding="gb18030")
    pairs = ("--map=id=no", "--map=text=words", "--map=created_at=when", "--map=phone=mobile")
    submit = ("submit", "--channel", "hotline", "--file", "calls.csv", *pairs)

    with installation(tmp_path / "town", partitions="4", **settings) as town:
        here = ("--data", town.data)

        first = yiwang(*submit, *here)
        again = yiwang(*submit, *here)
        assert [first[name] for name in ("read", "accepted", "duplicates", "rejected")] == [42, 41, 0, 1]
        assert [again[name] for name in ("read", "accepted", "duplicates", "rejected")] == [42, 0, 41, 1]
        assert "no_text" in Path(first["rejects_file"]).read_text(encoding="utf-8")

        one = yiwang("submit", "--channel", "app", "--text", STREETLIGHT, "--phone", PHONE, *here)
        assert (one["outcome"], one["unit"]) == ("accepted", LAMPS)
        queue = yiwang("department", LAMPS, "work", *here)["items"]
        assert one["receipt"] in {item["receipt"] for item in queue}

        asks = _reach(town, one)

        for words in (["accept"], ["contact", "--text", "已联系"], ["answer", "--text", "已修复"]):
            verb, *rest = words
            done = yiwang("department", LAMPS, verb, one["receipt"], *rest, "--by", "李工", *here)
            assert done["result"] == "applied"
        closing = ("call-back", one["receipt"], "--solved", "--satisfied")
        refused = yiwang("department", LAMPS, *closing[:1], one["demand_id"], "--solved", *here, status=1)
        assert refused["result"] != "applied"
        assert yiwang("department", DESK, *closing, *here)["result"] == "applied"

        case = yiwang("case", "show", "--receipt", one["receipt"], *here)
        assert (case["state"], case["unit"]) == ("closed", LAMPS)
        assert [each["kind"] for each in case["events"]][-1] == "case.closed"
        assert PHONE not in json.dumps(case)
        assert [each["decision"] for each in case["decisions"] if "clerk" in each] == ["contact_revealed"]
        _erase(town, one, asks)
        listed = yiwang("case", "list", "--unit", LAMPS, "--state", "dispatched", *here)["cases"]
        assert len(listed) == 42

        report = yiwang("audit", "--wait", "30", *here)
        assert report["unaccounted"] == 0
        status = yiwang("status", *here)
        assert (status["ready"], status["unaccounted"]) == (True, 0)
        assert {worker["role"] for worker in status["workers"]} == {"triage", "casework"}

    stopped = CliRunner().invoke(cli.app, ["status", "--data", str(tmp_path / "town")])
    assert stopped.exit_code == 3
    assert yiwang("case", "show", one["demand_id"], "--data", tmp_path / "town")["state"] == "closed"


def _reach(town: Installation, one: Any) -> tuple[str, ...]:
    """Reach the citizen of a case; of another, who reported a wrong, only by a message. Returns how to ask for that."""
    here = ("--data", str(town.data))
    unit = ("department", LAMPS)
    shown = yiwang(*unit, "reveal", one["receipt"], "--purpose", "contact", "--by", "李工", *here)
    assert (shown["result"], shown["contact"]) == ("applied", {"phone": PHONE})
    assert yiwang(*unit, "reveal", one["demand_id"], "--purpose", "x", *here, status=1)["result"] == "unknown_purpose"
    with town.channel() as app:
        hidden = app.submit(STREETLIGHT, kind=DemandKind.REPORT, contact=Contact(phone=PHONE))
        assert app.wait_for([hidden], 60)[hidden].code == "accepted"
    asks = (*unit, "reveal", hidden, "--purpose", "contact")
    assert yiwang(*asks, *here, status=1)["result"] == "confidential"
    relayed = yiwang(*asks, "--message", "请补充灯杆编号", *here)
    assert relayed["result"] == "relayed"
    assert "contact" not in relayed
    assert "请补充灯杆编号" in town.outcomes("app")[hidden][-1].text
    return asks


def _erase(town: Installation, one: Any, asks: tuple[str, ...]) -> None:
    """Look into the vault, change its master key, erase a demand, and find the number nowhere."""
    here = ("--data", str(town.data))
    held = yiwang("vault", "reveal", one["receipt"], "--purpose", "call_back", *here)["originals"]
    assert held[0]["contact"]["phone"] == PHONE
    assert yiwang("vault", "rotate", *here)["rewrapped"] >= 42
    assert yiwang("vault", "erase", one["receipt"], "--purpose", "requested", *here)["erased"] == 1
    refused = CliRunner().invoke(cli.app, ["vault", "reveal", one["receipt"], "--purpose", "看看", *here])
    assert refused.exit_code == 2
    assert "call_back (回访诉求人)" in refused.stderr
    gone = CliRunner().invoke(cli.app, ["vault", "reveal", one["receipt"], "--purpose", "verify", *here])
    assert gone.exit_code == 1
    assert "was erased" in gone.stderr
    assert [each["case_id"] for each in yiwang("vault", "erasures", *here)["erased"]] == [one["demand_id"]]
    assert yiwang(*asks, "--message", "谢谢", *here)["result"] == "relayed"
    spread = town.told("demands", "replies", "commands", "deadletters", f"work.{LAMPS}", "outcome.app")
    assert spread
    assert not [each for each in spread if PHONE.encode() in repr(each).encode()]
    files = [*(town.data / "logs").iterdir(), *town.data.glob("ledger.db*"), *town.data.glob("vault*")]
    assert not [file for file in files if PHONE.encode() in file.read_bytes()]
