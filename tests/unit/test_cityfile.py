"""A city is data: it loads when it is right."""

from __future__ import annotations

import shutil
from dataclasses import FrozenInstanceError
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from routers.demand import DemandKind
from routers.life import CaseState
from streams.cityfile import check_city, load_city
from streams.settings import QINGLAN
from tests.changed_city import TODAY, change, told
from tests.cities import qinglan


def test_qinglan_has_all_its_units_categories_and_rules() -> None:
    city = qinglan()

    assert (city.code, city.zh) == ("QL", "青岚区")
    assert list(city.channels) == ["hotline", "app", "grid", "sensor"]
    assert len(city.units) == 93
    assert len(city.categories) == 150
    assert len(city.places.streets) == 10
    assert city.tiers["E2H"].accept == timedelta(minutes=15)
    assert city.tiers["N7D"].close == timedelta(days=7)
    assert city.category("0101").lead == "U-WATER"
    assert city.parents[city.category("0101").parent] == "供水排水"
    assert city.out_of_scope["OOS-119"].emergency
    assert city.kinds[DemandKind.CONSULT]
    assert city.policies.decline_codes.keys() >= city.out_of_scope.keys()
    assert {code for code, reason in city.policies.return_reasons.items() if reason.needs_proposal} == {
        "R2",
        "R3",
        "R4",
    }


def test_qinglan_is_without_mistakes() -> None:
    report = check_city(QINGLAN, TODAY)

    assert told(report) == []
    assert report.loads
    assert (report.units, report.categories) == (93, 150)
    assert report.rules >= 150
    assert (report.conflicts, report.unowned) == ((), ())
    # One entry of its knowledge base is kept as an example of an answer that nobody renewed.
    assert [str(warning) for warning in report.warnings if "K022" not in warning.message] == []


def test_every_state_a_citizen_may_be_told_of_has_a_receipt_in_chinese() -> None:
    city = qinglan()
    fields = {"receipt": "AB12-CD34", "unit": "云桥街道", "due": "2026-06-08 09:00", "answer": "已修好。"}

    for state in set(CaseState) - {CaseState.NEW}:
        assert "AB12-CD34" in city.text(f"accepted.{state}", **fields)
    assert "云桥街道" in city.text("state.dispatched", **fields)
    assert "已修好。" in city.text("accepted.answered", **fields)


def test_a_second_city_loads_by_data_alone(tiny: Path) -> None:
    city = load_city(tiny, TODAY)

    assert city.zh == "双河县"
    assert list(city.channels) == ["phone", "kiosk"]
    assert city.units["LOCAL"].virtual
    assert [rule.unit for rule in city.catalogue if rule.place == "WEST"] == ["WEST"]
    assert city.places.streets[0].communities[0].grids[1].zh == "鱼市网格"
    assert city.places.outside == ("远山县",)
    assert city.knowledge["E1"].in_force(TODAY)
    assert city.policies.text_limits["note"] == 500
    assert city.tier_of("11").code == "FAST"
    assert city.tier_of(None).code == "SLOW"
    assert check_city(tiny, TODAY).warnings == ()


def test_a_city_cannot_be_changed_once_it_is_loaded() -> None:
    city = qinglan()
    units: Any = city.units
    changed: Any = city

    with pytest.raises(TypeError):
        units["U-NEW"] = city.unit("U-WATER")
    with pytest.raises(FrozenInstanceError):
        changed.zh = "别处"


def test_the_version_names_exactly_these_files(tiny: Path, tmp_path: Path) -> None:
    version = load_city(tiny, TODAY).version
    copy = shutil.copytree(tiny, tmp_path / "elsewhere")
    assert load_city(copy, TODAY).version == version

    change(copy, "policies.yaml", "max_redo: 1", "max_redo: 2")

    other = load_city(copy, TODAY).version
    assert other != version
    assert len(other) == len(version) == 12
    assert int(other, 16) >= 0


def test_folded_lines_leave_no_space_between_chinese_characters(tiny: Path) -> None:
    change(tiny, "knowledge.yaml", "answer: 水厂营业厅 8:00", "answer: >-\n      水厂\n      营业厅 8:00")

    assert load_city(tiny, TODAY).knowledge["E1"].answer == "水厂营业厅 8:00 至 18:00 开放。"
