"""Every mistake in a city's files is told by file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.cityfile import CityError, check_city, load_city
from tests.changed_city import TODAY, change, told
from tests.tiny_city import FILES

# ---- one mistake ----------------------------------------------------------------------------------


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


# ---- several mistakes -----------------------------------------------------------------------------


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
