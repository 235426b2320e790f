"""A city is data: it loads when it is right, and tells every mistake by file and line when it is not."""

from __future__ import annotations

import shutil
from dataclasses import FrozenInstanceError, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from routers.city import City
from routers.demand import DemandKind
from routers.life import CaseState
from streams.citycheck import CityReport
from streams.cityfile import CityError, check_city, load_city
from streams.settings import QINGLAN
from tests.cities import qinglan
from tests.tiny_city import FILES, build_tiny_city

TODAY = date(2026, 6, 1)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return build_tiny_city(tmp_path / "shuanghe")


def change(folder: Path, file: str, old: str, new: str) -> int:
    """Replace something that stands once in a file, and return the line it stands on."""
    path = folder / file
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file}"
    path.write_text(text.replace(old, new), encoding="utf-8")
    return text.count("\n", 0, text.index(old)) + 1


def told(report: CityReport) -> list[str]:
    return [str(mistake) for mistake in report.errors]


# ---- what loads -------------------------------------------------------------------------------------


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


# ---- one mistake ------------------------------------------------------------------------------------

MISTAKES = {
    # references
    "a unit nobody knows in a rule": ("catalogue.yaml", "unit: WEST,", "unit: WESST,", "no unit WESST; is it WEST?"),
    "an unknown helper": ("taxonomy.yaml", "co: [LOCAL]", "co: [LOKAL]", "no unit LOKAL"),
    "an unknown lead": ("taxonomy.yaml", "lead: LOCAL", "lead: NOBODY", "no unit NOBODY"),
    "an unknown desk": ("policies.yaml", "desk: DESK", "desk: DESKS", "no unit DESKS"),
    "an unknown fallback": ("policies.yaml", "[WATER]", "[WATERS]", "no unit WATERS"),
    "an unknown category in a rule": ("catalogue.yaml", 'C12, category: "12"', 'C12, category: "99"', "no category 99"),
    "an unknown place in a rule": ("catalogue.yaml", "place: WEST", "place: NORTH", "no street NORTH"),
    "an unknown owner": ("knowledge.yaml", "owner: WATER", "owner: FIRE", "no unit FIRE"),
    "an unknown category of an answer": ("knowledge.yaml", 'category: "12"', 'category: "77"', "no category 77"),
    "an unknown tier": ("taxonomy.yaml", "tier: FAST", "tier: FASTER", "no tier FASTER; is it FAST?"),
    "an unknown default tier": ("policies.yaml", "default_tier: SLOW", "default_tier: NEVER", "no tier NEVER"),
    # codes
    "a unit code twice": ("units.yaml", "code: WATER", "code: DESK", "the unit DESK stands twice; first on line 3"),
    "a unit number twice": ("units.yaml", 'num: "3"', 'num: "1"', "unit number 1 stands twice"),
    "a category twice": ("taxonomy.yaml", 'code: "12"', 'code: "11"', "the category 11 stands twice"),
    "a rule id twice": ("catalogue.yaml", "id: C12", "id: C11", "the rule C11 stands twice"),
    "a place twice": ("places.yaml", "code: EAST12", "code: EAST11", "the place EAST11 stands twice"),
    "a key twice": ("policies.yaml", "max_redo: 1", "desk: DESK", "`desk` stands twice"),
    # shapes
    "a number where a code belongs": ("taxonomy.yaml", 'code: "11"', "code: 11", "`code` must be text"),
    "a code that lost its quotes": ("catalogue.yaml", 'category: "11"', "category: 011", "`category` must be text"),
    "a bad duration": ("taxonomy.yaml", "accept: 15m", "accept: 15 minutes", "must be a number with m, h or d"),
    "a duration without a unit": ("taxonomy.yaml", "close: 4h", "close: 4", "must be a number with m, h or d"),
    "an endless duration": ("taxonomy.yaml", "close: 4h", "close: 0h", "must be a number with m, h or d"),
    "a misspelt key": ("policies.yaml", "safety_words:", "saftey_words:", "`saftey_words` is no key of this file"),
    "a word for a number": ("policies.yaml", "max_queue: 50", "max_queue: many", "`max_queue`"),
    "a share above one": ("policies.yaml", "confidence: 0.5", "confidence: 50", "`dispatch_confidence`"),
    "a truth that is a word": ("knowledge.yaml", "approved: true", 'approved: "yes"', "`approved`"),
    "an unknown urgency": ("taxonomy.yaml", "urgency: high", "urgency: soon", "`urgency` must be"),
    "an impossible day": ("knowledge.yaml", "2020-01-01", "2020-02-30", "not a date"),
    "an unknown kind of channel": ("city.yaml", "kind: app", "kind: fax", "`kind` must be"),
    "a channel no topic can be named after": ("city.yaml", "kiosk:", "Kiosk 1:", "is not written as"),
    "a keyword twice": ("taxonomy.yaml", "kw: [停水, 没水]", "kw: [停水, 停水]", "停水 stands twice"),
    "a list that is none": ("taxonomy.yaml", "kw: [垃圾]", "kw: 垃圾", "`kw` must be a list"),
    "a text that is none": ("texts.yaml", "duplicate: 双河提醒您", "duplicate: 7", "`duplicate` must be a text"),
    "a format of tomorrow": ("units.yaml", "version: 1", "version: 2", "this program reads version 1"),
    "a tag": ("city.yaml", "zh: 双河县", "zh: !!python/name:os.system 双河县", "is not read here"),
    "an alias": (
        "policies.yaml",
        "fallback_units: [WATER]",
        "fallback_units: [&one WATER, *one]",
        "write the value out",
    ),
    # meaning
    "a lead that helps itself": ("catalogue.yaml", "co: [LOCAL]", "co: [WATER]", "WATER leads and helps at once"),
    "a unit that cannot act": ("catalogue.yaml", "unit: WEST,", "unit: SUPV,", "cannot be the handling unit"),
    "a desk that is nobody": ("policies.yaml", "desk: DESK", "desk: LOCAL", "only stands for other units"),
    "a virtual unit without a way": ("units.yaml", ", resolve: geography", "", "a virtual unit, and only it"),
    "an operator without choices": ("units.yaml", "resolve: geography", "resolve: operator", "has `choices`"),
    "a tier that accepts after it closes": ("taxonomy.yaml", "accept: 15m", "accept: 9h", "comes after `close`"),
    "red before yellow": ("taxonomy.yaml", "close: 4h", "close: 4h, warn_red: 0.1", "red warning comes before"),
    "a rule that ends before it begins": (
        "catalogue.yaml",
        "unit: LOCAL, effective: 2020-01-01",
        "unit: LOCAL, effective: 2020-01-01, expires: 2019-01-01",
        "C21-EAST ends before it begins",
    ),
    "an answer that ends before it begins": ("knowledge.yaml", "2099-12-31", "2019-12-31", "E1 ends before"),
    "an exemption the program gives": ("policies.yaml", "unreachable: 联系不上, ", "", "needs the code unreachable"),
    "a decline code taken twice": ("policies.yaml", "ENDED: 已办结", "OOS-FIRE: 火警", "belongs to out_of_scope"),
    # places
    "an outline that crosses itself": (
        "places.yaml",
        "[[100, 30], [101, 30], [101, 31], [100, 31]]",
        "[[100, 30], [101, 31], [101, 30], [100, 31]]",
        "the outline of WEST crosses itself",
    ),
    "an outline of two points": (
        "places.yaml",
        "[[101.5, 30], [102, 30], [102, 30.5], [101.5, 30.5]]",
        "[[101.5, 30], [102, 30]]",
        "`outline` needs at least 3",
    ),
    "latitude before longitude": ("places.yaml", "[[100, 30], [101", "[[30, 100], [101", "less than or equal to 90"),
    "a grid outside its community": (
        "places.yaml",
        "[102, 30.5], [101.5",
        "[102, 30.9], [101.5",
        "reaches outside EAST1",
    ),
    "a street outside its district": ("places.yaml", "[[100, 30], [101,", "[[99, 30], [101,", "outside the district"),
    "grids that overlap": (
        "places.yaml",
        "[[101.5, 30], [102",
        "[[101.2, 30], [102",
        "EAST12 (鱼市网格) overlaps EAST11",
    ),
    "a name that lies outside": ("places.yaml", "[西岸]", "[远山县]", "also named as outside"),
    "an old name that lies outside": ("places.yaml", "aliases: [西岸]", "old_names: [远山县]", "named as outside"),
    "a number in two grids": ("places.yaml", "[21-40]", "[21-39 odd, 20]", "河滨路 20 lies in EAST12"),
    "numbers of no form": ("places.yaml", "[21-40]", "[21 to 40]", "'21 to 40' is not written"),
    "numbers that hold none": ("places.yaml", "[21-40]", "[22 odd]", "22 odd holds no number"),
    "numbers without any": ("places.yaml", "[21-40]", "[]", "`河滨路` needs at least 1"),
    "numbers of what is a name by itself": (
        "places.yaml",
        "{河滨路: [21-40]}",
        "{老码头: [21-40]}",
        "老码头 is a name of EAST1 as well",
    ),
    "numbers of a road outside": ("places.yaml", "{河滨路: [21-40]}", "{远山县: [21-40]}", "also named as outside"),
    # texts
    "a field a text cannot have": (
        "texts.yaml",
        "accepted.closed: 双河提醒您",
        "accepted.closed: 编号 {recepit}",
        "has no field {recepit}",
    ),
    "a brace left open": ("texts.yaml", "duplicate: 双河提醒您", 'duplicate: "双河{"', "cannot be filled in"),
    "a field with inner life": (
        "texts.yaml",
        "state.closed: 双河提醒您",
        "state.closed: 双河{receipt.__class__}",
        "cannot be filled in",
    ),
}


@pytest.mark.parametrize(("file", "old", "new", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_told_by_file_and_line(tiny: Path, file: str, old: str, new: str, message: str) -> None:
    line = change(tiny, file, old, new)

    report = check_city(tiny, TODAY)

    assert not report.loads
    here = [mistake.message for mistake in report.errors if (mistake.file, mistake.line) == (file, line)]
    assert any(message in each for each in here), told(report)


def test_a_key_that_is_missing_is_told_where_its_item_stands(tiny: Path) -> None:
    line = change(tiny, "units.yaml", "zh: 双河自来水厂, ", "")

    assert told(check_city(tiny, TODAY)) == [f"units.yaml:{line}: `zh` is missing"]


def test_a_text_that_is_missing_is_told(tiny: Path) -> None:
    change(tiny, "texts.yaml", "  follow_up.held: 双河提醒您\n", "")
    change(tiny, "texts.yaml", "  declined.OOS-FIRE: 请拨打 119。\n", "")

    assert told(check_city(tiny, TODAY)) == [
        "texts.yaml:2: the text declined.OOS-FIRE is missing",
        "texts.yaml:2: the text follow_up.held is missing",
    ]


def test_a_file_that_is_missing_is_told_once_and_hides_nothing_else(tiny: Path) -> None:
    (tiny / "units.yaml").unlink()
    line = change(tiny, "taxonomy.yaml", "tier: FAST", "tier: NEVER")

    assert told(check_city(tiny, TODAY)) == [
        f"taxonomy.yaml:{line}: there is no tier NEVER",
        "units.yaml:1: the file is missing",
    ]


def test_a_file_that_is_not_yaml_is_told_with_its_line(tiny: Path) -> None:
    line = change(tiny, "policies.yaml", "fallback_units: [WATER]", "fallback_units: [WATER")

    [mistake] = check_city(tiny, TODAY).errors

    assert (mistake.file, mistake.message.partition(":")[0]) == ("policies.yaml", "not YAML")
    assert mistake.line in {line, line + 1}


def test_a_file_in_another_encoding_is_told_with_its_line(tiny: Path) -> None:
    (tiny / "city.yaml").write_bytes(FILES["city.yaml"].encode("gb18030"))

    [mistake] = check_city(tiny, TODAY).errors

    assert (mistake.file, mistake.line) == ("city.yaml", 3)
    assert "not UTF-8" in mistake.message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"- a\n- b\n", "must be a mapping"),
        (b"version: 1\n\x00", "not YAML"),
        (b"a: 1\n---\nb: 2\n", "not YAML"),
        (b"[" * 5000 + b"]" * 5000, "not readable: nested too deeply"),
        (b"a: &a [*a]\n", "write the value out"),
    ],
)
def test_a_file_with_something_else_in_it_is_told(tiny: Path, content: bytes, message: str) -> None:
    (tiny / "knowledge.yaml").write_bytes(content)

    assert any(message in mistake for mistake in told(check_city(tiny, TODAY)))


def test_a_folder_in_place_of_a_file_is_told(tiny: Path) -> None:
    (tiny / "texts.yaml").unlink()
    (tiny / "texts.yaml").mkdir()

    [mistake] = check_city(tiny, TODAY).errors

    assert mistake.file == "texts.yaml"
    assert "cannot be read" in mistake.message


def test_a_folder_that_does_not_exist_is_told(tmp_path: Path) -> None:
    with pytest.raises(CityError, match="there is no such folder"):
        load_city(tmp_path / "nowhere")


# ---- several mistakes -------------------------------------------------------------------------------


def test_two_mistakes_in_two_files_are_told_together_and_keep_the_city_from_loading(tiny: Path) -> None:
    first = change(tiny, "catalogue.yaml", "unit: WEST,", "unit: WINE,")
    second = change(tiny, "policies.yaml", "max_returns: 1", "max_returns: two")

    with pytest.raises(CityError) as caught:
        load_city(tiny, TODAY)

    assert [(mistake.file, mistake.line) for mistake in caught.value.mistakes] == [
        ("catalogue.yaml", first),
        ("policies.yaml", second),
    ]
    head, *lines = str(caught.value).splitlines()
    assert head.endswith("has 2 mistakes; correct the lines named here:")
    assert lines[0] == f"  catalogue.yaml:{first}: there is no unit WINE"


def test_a_broken_item_hides_neither_its_own_second_mistake_nor_calls_its_category_unowned(tiny: Path) -> None:
    line = change(tiny, "catalogue.yaml", "unit: WATER, effective", "unit: WINE, efective")

    assert told(check_city(tiny, TODAY)) == [
        f"catalogue.yaml:{line}: `efective` is no key of this file",
        f"catalogue.yaml:{line}: `effective` is missing",
        f"catalogue.yaml:{line}: there is no unit WINE",
    ]


# ---- who owns what ----------------------------------------------------------------------------------


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


# ---- warnings ---------------------------------------------------------------------------------------


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
