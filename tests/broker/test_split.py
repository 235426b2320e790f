"""Two wishes in one call: the desk sees the parts, splits the case, and each unit answers its own."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from routers.receipt import receipt
from routers.split import part_id
from streams import cli
from streams.clock import new_id
from streams.department import DepartmentClient
from streams.messages import WorkItem
from streams.parts import proposed
from tests.installation import DESK, SECONDS, Installation, installation, until

pytestmark = [pytest.mark.broker, pytest.mark.timeout(240)]

PHONE = "13812345678"
LAMPS, BINS = "解放路的路灯坏了六盏，晚上漆黑一片", "小区门口的垃圾桶满了好几天没人清运，臭得很"
TWO = f"你好，我要反映两个问题。一是{LAMPS}；二是{BINS}。请分别处理。"
LIGHT, SANITATION = "U-LIGHT", "U-SANIT"


def yiwang(*arguments: str | Path, status: int = 0) -> Any:
    result = CliRunner().invoke(cli.app, [*map(str, arguments), "--json"])
    assert result.exit_code == status, result.output
    return json.loads(result.stdout)


def test_a_call_with_two_wishes_gets_two_answers(tmp_path: Path) -> None:
    with installation(tmp_path / "town") as town:
        here = ("--data", town.data)
        with town.channel() as app, town.units(LIGHT, SANITATION, DESK) as units:
            call = app.submit(TWO, contact={"phone": PHONE}, place={"community": "S0101"})
            assert app.wait_for([call], SECONDS)[call].state == "in_review"
            item = until(lambda: _open(units, DESK, call), SECONDS, "the desk has it")
            assert [
                item.text[each.start : each.end].count(words)
                for each, words in zip(item.parts, (LAMPS, BINS), strict=True)
            ] == [1, 1]
            assert [each.unit for each in item.parts] == [LIGHT, SANITATION]

            refused = yiwang("department", DESK, "split", call, "--part", f"{LIGHT}:0505:{LAMPS}", *here, status=1)
            assert refused["result"] == "one_part"
            told = new_id()
            split = ("department", DESK, "split", call, "--proposed", "--reason", "两家的事", "--reply-id", told)
            assert yiwang(*split, *here)["result"] == "applied"
            _again(units, item, told)

            parts = [part_id(call, number) for number in (1, 2)]
            for part, unit in zip(parts, (LIGHT, SANITATION), strict=True):
                _arrives(units, unit, part, call)
            supplement = app.supplement(parts[0], f"新号码{PHONE}")
            assert app.wait_for([supplement], SECONDS)[supplement].code == "follow_up"
            for part, unit in zip(parts, (LIGHT, SANITATION), strict=True):
                _mend(units, unit, part)
            late = app.urge(call)
            assert app.wait_for([late], SECONDS)[late].code == "case_split"

        whole = yiwang("case", "show", "--receipt", receipt(call), *here)
        assert whole["state"] == "split"
        assert [(each["case_id"], each["state"], each["answer"]) for each in whole["children"]] == [
            (parts[0], "closed", f"{LIGHT}已办妥"),
            (parts[1], "closed", f"{SANITATION}已办妥"),
        ]
        assert [yiwang("case", "show", each, *here)["parent"] for each in parts] == [call, call]
        _told(town, call, parts)
        _erased(town, call, parts)
        town.sound()
        report = yiwang("audit", "--wait", "30", *here)
        assert (report["ok"], report["unaccounted"], report["cases"]) == (True, 0, 3)
        assert sum(each["in_review"] for each in report["channels"]) == 1
        assert sum(each["opened"] for each in report["channels"]) == 0, "parts are no demands that came in"


def _open(units: DepartmentClient, unit: str, case_id: str) -> WorkItem | None:
    return units.open_items().get((unit, case_id))


def _arrives(units: DepartmentClient, unit: str, part: str, call: str) -> None:
    """A part reaches its unit's queue, and says what it is a part of."""
    work = until(lambda: _open(units, unit, part), SECONDS, f"{unit} has its part")
    assert work.parent == call


def _again(units: DepartmentClient, item: WorkItem, reply_id: str) -> None:
    """The desk's network lost the answer: it sends the same reply again, and nothing happens twice."""
    units.split(item, proposed(item), reason="两家的事", reply_id=reply_id)
    units.flush()


def _mend(units: DepartmentClient, unit: str, part: str) -> None:
    """A unit calls the citizen whose contact lies under the whole, does its part and answers; the desk calls back."""
    replies = [
        units.accept(part, unit=unit),
        units.reveal(part, "contact", unit=unit, by="周工"),
        units.contact(part, "已电话联系", unit=unit),
        units.answer(part, f"{unit}已办妥", unit=unit),
    ]
    assert {each.code for each in units.result_of(replies, SECONDS).values()} == {"applied"}
    contact = units.contact_of(replies[1])
    assert contact is not None
    assert contact.phone == PHONE
    closed = units.call_back(part, solved=True, unit=DESK)
    assert units.result_of([closed], SECONDS)[closed].code == "applied"


def _told(town: Installation, call: str, parts: list[str]) -> None:
    """What the channel heard: a receipt of the whole, the split with both receipts, then the life of each part."""
    heard = town.outcomes("app")
    split = next(each for each in heard[call] if each.state == "split" and each.code == "state")
    assert split.parts is not None
    assert [each.demand_id for each in split.parts] == parts
    assert all(receipt(part) in split.text for part in parts)
    for part in parts:
        first, last = heard[part][0], [each for each in heard[part] if each.code == "state"][-1]
        assert (first.code, first.parent, first.receipt) == ("accepted", call, receipt(part))
        assert (last.state, last.answer) == ("closed", heard[part][-1].answer)
        assert sum(each.code == "accepted" for each in heard[part]) == 1


def _erased(town: Installation, call: str, parts: list[str]) -> None:
    """Erasing the whole erases what was kept under its parts; a part alone is not erased."""
    here = ("--data", town.data)
    shown = yiwang("vault", "reveal", parts[0], "--purpose", "call_back", *here)["originals"]
    assert [each.get("text") for each in shown] == [TWO, f"新号码{PHONE}"]
    refused = CliRunner().invoke(
        cli.app, ["vault", "erase", parts[0], "--purpose", "requested", "--data", str(town.data)]
    )
    assert refused.exit_code == 1
    assert call in refused.stderr
    assert yiwang("vault", "erase", call, "--purpose", "requested", *here)["erased"] == 2, "the call and the supplement"
    assert {each["case_id"] for each in yiwang("vault", "erasures", *here)["erased"]} == {call, *parts}
