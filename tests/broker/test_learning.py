"""What the desk rules comes back to triage: a category that went wrong is kept from the machine, the desk is told."""

import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from typer.testing import CliRunner

from routers.life import Role
from streams import cli
from streams.channel import ChannelClient
from streams.department import DepartmentClient
from tests.installation import DESK, GROUPS, LAMPS, SECONDS, STREETLIGHT, Installation, installation, until

pytestmark = [pytest.mark.broker, pytest.mark.timeout(240)]

NO_WATER = "云桥街道虹桥社区小区停水两天了，什么时候恢复供水"
WATER, URBAN, ROADS = "U-WATER", "D-URBAN", "U-ROAD"
BASIS = "区职责清单"


def sent(channel: ChannelClient, *texts: str) -> list[str]:
    """Hand in demands, and wait for their receipts."""
    ids = channel.submit_many({"text": each} for each in texts)
    assert {each.code for each in channel.wait_for(ids, SECONDS).values()} == {"accepted"}
    return ids


def applied(units: DepartmentClient, replies: Sequence[str]) -> None:
    assert {each.code for each in units.result_of(replies, SECONDS).values()} == {"applied"}


def restarted(town: Installation, name: str) -> None:
    """End a worker; the one that is started in its place looks at the ledger at once, not in a minute."""
    before = town.worker(name)["restarts"]
    os.kill(town.pid(name), signal.SIGKILL)
    until(lambda: town.worker(name)["restarts"] > before, SECONDS, f"{name} is started again")
    town.bury(GROUPS["triage"])


def metrics(town: Installation, role: str) -> str:
    """What the workers of a role tell Prometheus."""
    return "".join(urlopen(f"http://{each}/metrics", timeout=10).read().decode() for each in town.metrics(role))


def queue(town: Installation) -> dict[str, Any]:
    """What the desk sees at the command line."""
    result = CliRunner().invoke(cli.app, ["department", DESK, "work", "--json", "--data", str(town.data)])
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_what_is_returned_and_ruled_away_is_kept_from_the_machine_but_what_is_urgent_goes_on(tmp_path: Path) -> None:
    with (
        installation(tmp_path / "town") as town,
        town.channel() as channel,
        town.units(LAMPS, WATER, URBAN, ROADS, DESK) as units,
    ):
        lamps = sent(channel, *[STREETLIGHT] * 3)
        pipes = sent(channel, *[NO_WATER] * 3)
        wrong = [(case_id, LAMPS, URBAN) for case_id in lamps] + [(case_id, WATER, ROADS) for case_id in pipes]
        applied(units, [units.return_(case, "R2", basis=BASIS, propose=to, unit=who) for case, who, to in wrong])
        applied(units, [units.dispatch(case, to, reason="职责在该单位", unit=DESK) for case, _, to in wrong])
        assert town.rows("SELECT category, right_unit, count(*) FROM judgement GROUP BY 1, 2 ORDER BY 1") == [
            ("0101", 0, 3),
            ("0505", 0, 3),
        ]

        restarted(town, "triage-0")
        (lamp,) = sent(channel, STREETLIGHT)
        (pipe,) = sent(channel, NO_WATER)

        kind = {each["case_id"]: (each["role"], each["task"]) for each in queue(town)["items"]}
        assert kind[lamp] == (Role.DESK, "rule"), "it waits for a person"
        assert kind[pipe] == (Role.DESK, "watch"), "it does not"
        found = {each.case_id: each for each in units.open_items().values() if each.unit != DESK}
        assert found[pipe].unit == WATER
        assert "urgent" in found[pipe].why

        notices = until(lambda: queue(town)["notices"], SECONDS, "the desk is told")
        assert {(each["code"], each["category"]) for each in notices} == {
            ("dispatch_withheld", "0101"),
            ("dispatch_withheld", "0505"),
        }
        assert all("3 件中有 3 件派错" in each["text"] for each in notices)
        told = metrics(town, "triage")
        assert 'yiwang_dispatch_withheld{category="0505"} 1.0' in told

        applied(units, [units.accept(pipe, unit=WATER), units.dispatch(pipe, ROADS, reason="路面", unit=DESK)])
        until(  # the desk's answer and the new unit's item come on topics of their own, in either order
            lambda: {each.unit for each in units.open_items().values() if each.case_id == pipe} == {ROADS},
            SECONDS,
            "the case stands on its new unit's queue alone",
        )
        assert town.rows("SELECT right_unit FROM judgement WHERE case_id = :case", case=pipe) == [(0,)]
        town.sound()
