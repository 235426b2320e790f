"""Who owns what in a city: no two units, and nobody left out without a word."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from routers.city import City
from streams.cityfile import check_city, load_city
from tests.changed_city import TODAY, change, told
from tests.cities import qinglan

# ---- who owns what --------------------------------------------------------------------------------


def test_two_rules_for_one_category_on_the_same_day_are_a_conflict(tiny: Path) -> None:
    rule = '  - {id: C12B, category: "12", unit: DESK, effective: 2026-01-01, expires: 2026-12-31}\n'
    line = change(tiny, "catalogue.yaml", "  - {id: C21-EAST", rule + "  - {id: C21-EAST")

    report = check_city(tiny, TODAY)

    [conflict] = report.conflicts
    assert (conflict.category, conflict.place, conflict.rules) == ("12", None, ("C12", "C12B"))
    assert (conflict.since, conflict.until) == (date(2026, 1, 1), date(2026, 12, 31))
    assert report.errors[0].line == line
    assert report.as_json()["conflicts"][0]["until"] == "2026-12-31"


def test_one_rule_that_follows_another_is_no_conflict(tiny: Path) -> None:
    ended = '{id: C12, category: "12", unit: WATER, effective: 2020-01-01, expires: 2025-12-31}'
    follows = '{id: C12B, category: "12", unit: DESK, effective: 2026-01-01}'
    change(
        tiny,
        "catalogue.yaml",
        '{id: C12, category: "12", unit: WATER, effective: 2020-01-01}',
        f"{ended}\n  - {follows}",
    )

    report = check_city(tiny, TODAY)

    assert (told(report), report.warnings) == ([], ())


def test_a_rule_for_a_place_stands_beside_the_general_one(tiny: Path) -> None:
    rule = '  - {id: C12-EAST, category: "12", place: EAST, unit: EAST, effective: 2020-01-01}\n'
    change(tiny, "catalogue.yaml", "  - {id: C21-EAST", rule + "  - {id: C21-EAST")

    assert told(check_city(tiny, TODAY)) == []


def test_a_category_without_a_rule_has_no_owner(tiny: Path) -> None:
    change(tiny, "catalogue.yaml", '  - {id: C12, category: "12", unit: WATER, effective: 2020-01-01}\n', "")

    report = check_city(tiny, TODAY)

    assert report.unowned == ("12",)
    assert "category 12 (水费) has no owner anywhere" in told(report)[0]


def test_a_category_with_a_rule_for_one_street_only_has_no_owner_in_the_other(tiny: Path) -> None:
    change(
        tiny,
        "catalogue.yaml",
        '  - {id: C21-WEST, category: "21", place: WEST, unit: WEST, effective: 2020-01-01}\n',
        "",
    )

    report = check_city(tiny, TODAY)

    assert report.unowned == ("21",)
    assert "has no owner at WEST on 2026-06-01" in told(report)[0]


def test_a_rule_that_is_over_owns_nothing_and_one_that_will_be_is_warned_of(tiny: Path) -> None:
    line = change(
        tiny,
        "catalogue.yaml",
        'category: "12", unit: WATER, effective: 2020-01-01',
        'category: "12", unit: WATER, effective: 2020-01-01, expires: 2026-06-01',
    )

    today = check_city(tiny, TODAY)
    tomorrow = check_city(tiny, TODAY + timedelta(days=1))

    assert (today.loads, today.unowned) == (True, ())
    assert [(warning.file, warning.line) for warning in today.warnings] == [("catalogue.yaml", line)]
    assert tomorrow.unowned == ("12",)


# ---- warnings -------------------------------------------------------------------------------------


def test_an_answer_past_its_last_day_is_warned_of_and_loads(tiny: Path) -> None:
    line = change(tiny, "knowledge.yaml", "2099-12-31", "2025-12-31")

    report = check_city(tiny, TODAY)

    assert report.loads
    assert [str(warning) for warning in report.warnings] == [
        f"knowledge.yaml:{line}: entry E1 expired on 2025-12-31; ask WATER to renew it"
    ]


def test_a_text_nothing_asks_for_and_a_street_without_an_outline_are_warned_of(tiny: Path) -> None:
    change(tiny, "texts.yaml", "  refused.empty:", "  refusd.empty:")
    change(
        tiny,
        "units.yaml",
        "  - {code: WEST,",
        "  - {code: NORTH, zh: 河北街道, short: 河北, kind: street}\n  - {code: WEST,",
    )

    report = check_city(tiny, TODAY)

    assert report.loads
    assert [warning.file for warning in report.warnings] == ["texts.yaml", "units.yaml"]


def test_a_name_for_two_streets_is_warned_of_since_alone_it_leads_to_the_desk(tiny: Path) -> None:
    line = change(tiny, "places.yaml", "[西岸]", "[西岸, 老码头]")

    report = check_city(tiny, TODAY)

    assert report.loads
    assert [str(warning) for warning in report.warnings] == [
        f"places.yaml:{line}: 老码头 means WEST, and EAST1 in EAST: a text that says no more goes to the desk"
    ]


def test_a_road_with_numbers_in_one_grid_only_is_warned_of(tiny: Path) -> None:
    line = change(tiny, "places.yaml", "{河滨路: [21-40]}", "{河边路: [21-40]}")

    warnings = check_city(tiny, TODAY).warnings

    assert [warning.message.partition(":")[0] for warning in warnings] == [
        "only EAST11 has numbers of 河滨路",
        "only EAST12 has numbers of 河边路",
    ]
    assert warnings[1].line == line


def test_numbers_and_old_names_are_read(tiny: Path) -> None:
    change(tiny, "places.yaml", "[西岸]", "[西岸]\n    old_names: [西关]")
    change(tiny, "places.yaml", "{河滨路: [21-40]}", "{河滨路: [22-40 even, 99]}, old_names: [老鱼市]")

    east, west = load_city(tiny, TODAY).places.streets
    one, other = east.communities[0].grids

    assert (west.old_names, other.old_names) == (("西关",), ("老鱼市",))
    assert 20 in one.numbers["河滨路"][0]
    assert [n for n in (21, 22, 39, 40, 41, 99) if any(n in each for each in other.numbers["河滨路"])] == [22, 40, 99]


def test_the_report_is_plain_values(tiny: Path) -> None:
    change(tiny, "knowledge.yaml", "2099-12-31", "2025-12-31")

    report = check_city(tiny, TODAY).as_json()

    assert set(report) == {"units", "categories", "rules", "conflicts", "unowned", "errors", "warnings"}
    assert set(report["warnings"][0]) == {"file", "line", "message"}


def test_a_city_knows_nothing_it_was_not_told() -> None:
    city: City = replace(qinglan(), texts={})

    with pytest.raises(KeyError):
        city.text("duplicate")
    with pytest.raises(KeyError):
        city.unit("U-WINE")
    with pytest.raises(KeyError):
        city.category("9999")
