"""Files of demands as offices keep them: two formats, two encodings, many ways to write a time."""

import gzip
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routers.demand import DemandKind
from streams.decoding import is_demand_id
from streams.submission import (
    FIELDS,
    FileError,
    Row,
    RowError,
    demand_of,
    encoding_of,
    parse_map,
    parse_time,
    read_rows,
)


def rows_of(path: Path, *pairs: str) -> list[Row]:
    return list(read_rows(path, parse_map(pairs), encoding_of(path)))


def demand(**values: str) -> Mapping[str, object]:
    return demand_of(Row(1, values), "app")


def refusal(**values: str) -> str:
    with pytest.raises(RowError) as refused:
        demand_of(Row(1, values), "app")
    return refused.value.code


# ---- files ----------------------------------------------------------------------------------------


def test_columns_are_paired_by_map_and_joined_by_a_line_feed(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("no,head,body,when\n7,路灯,路灯不亮,2019/2/28 11:25\n8,,积水,\n", encoding="utf-8")

    first, second = rows_of(file, "id=no", "text=head+body", "created_at=when")

    assert first.values == {"id": "7", "text": "路灯\n路灯不亮", "created_at": "2019/2/28 11:25"}
    assert second.values == {"id": "8", "text": "积水"}
    assert (first.number, second.number) == (1, 2)


def test_without_a_map_columns_of_our_names_are_taken(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("text,unknown,title\n噪音,x,施工\n", encoding="utf-8")

    assert rows_of(file)[0].values == {"text": "噪音", "title": "施工"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_encodings_and_gzip_make_no_difference(tmp_path: Path, encoding: str, name: str) -> None:
    content = 'id,text\r\n1,第一行\r\n2,"有，逗号,\n和换行"\r\n'.encode(encoding)
    file = tmp_path / name
    file.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)

    assert [row.values for row in rows_of(file)] == [
        {"id": "1", "text": "第一行"},
        {"id": "2", "text": "有，逗号,\n和换行"},
    ]
    assert encoding_of(file) == ("gb18030" if encoding == "gb18030" else "utf-8")


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators_are_seen_in_the_header(tmp_path: Path, separator: str) -> None:
    file = tmp_path / "a.csv"
    file.write_text(f"id{separator}text\n1{separator}积水,很深\n", encoding="utf-8")

    assert rows_of(file)[0].values == {"id": "1", "text": "积水,很深"}


def test_a_field_may_be_longer_than_csv_allows_by_itself(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("text\n" + "长" * 200_000 + "\n", encoding="utf-8")

    assert len(rows_of(file)[0].values["text"]) == 200_000


def test_json_lines_give_numbers_and_nothing_as_text(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"id": 7, "text": "积水", "title": null, "lon": 118.5}\n\n[1]\n{broken\n', encoding="utf-8")

    good, listed, broken = rows_of(file)

    assert good.values == {"id": "7", "text": "积水", "lon": "118.5"}
    assert [each.problem and each.problem.code for each in (listed, broken)] == ["not_json", "not_json"]
    assert broken.number == 4
    with pytest.raises(RowError):
        demand_of(broken, "app")


def test_a_row_with_too_many_cells_is_named_and_the_next_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("id,text\n1,a,b\n2,c\n", encoding="utf-8")

    first, second = rows_of(file)

    assert first.problem is not None
    assert first.problem.code == "wrong_columns"
    assert second.values["text"] == "c"


@pytest.mark.parametrize(
    ("name", "content", "pairs", "sentence"),
    [
        ("a.csv", b"no,body\n1,x\n", ["text=bodi"], "has no column bodi; it has no, body"),
        ("a.csv", b"no,body\n1,x\n", [], "has no column text"),
        ("a.csv", b"", [], "is empty"),
        ("a.csv", b"text\n\xff\xff\xff\n", [], "neither in UTF-8 nor in GB18030"),
        ("a.csv.gz", gzip.compress(b"text\n" + b"x" * 9000, mtime=0)[:-12], [], "cannot be read"),
        ("a.csv.gz", b"\x1f\x8bbroken", [], "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence(
    tmp_path: Path, name: str, content: bytes, pairs: list[str], sentence: str
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(FileError, match=sentence):
        rows_of(file, *pairs)


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="No such file"):
        rows_of(tmp_path / "nowhere.csv")


@pytest.mark.parametrize("pair", ["text", "=body", "text=", "words=body", "text=a text=b"])
def test_a_map_that_means_nothing_is_refused(pair: str) -> None:
    with pytest.raises(FileError, match="--map"):
        parse_map(pair.split())


# ---- times ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2019-02-28 11:25:05", datetime(2019, 2, 28, 3, 25, 5, tzinfo=UTC)),
        ("2019/2/28 11:25", datetime(2019, 2, 28, 3, 25, tzinfo=UTC)),
        ("2019/2/28  1:05:09", datetime(2019, 2, 27, 17, 5, 9, tzinfo=UTC)),
        ("2019年2月28日 11:25", datetime(2019, 2, 28, 3, 25, tzinfo=UTC)),
        ("2019-02-28", datetime(2019, 2, 27, 16, tzinfo=UTC)),
        ("2019-02-28T11:25:05.123Z", datetime(2019, 2, 28, 11, 25, 5, 123000, tzinfo=UTC)),
        ("2019-02-28T11:25:05+08:00", datetime(2019, 2, 28, 3, 25, 5, tzinfo=UTC)),
        ("2019-02-28T11:25:05-0330", datetime(2019, 2, 28, 14, 55, 5, tzinfo=UTC)),
    ],
)
def test_a_time_without_a_zone_is_the_citys(text: str, utc: datetime) -> None:
    assert parse_time(text) == utc


@pytest.mark.parametrize(
    "text", ["", "昨天", "2019-13-01", "2019-02-30 10:00", "28.02.2019", "11:25", "2019-02-28 25:00"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(RowError) as refused:
        parse_time(text)
    assert refused.value.code == "bad_time"


# ---- demands --------------------------------------------------------------------------------------


def test_a_row_becomes_a_demand_with_contact_and_place() -> None:
    made = demand(
        text="积水",
        title="路面",
        created_at="2019-02-28 11:25:05",
        community="S0101",
        address="解放路",
        lon="118.5",
        lat="32.1",
        crs="GCJ-02",
        name="王",
        phone="13800000000",
        kind="投诉",
        confidential="是",
        answered_by="A7",
        answer="已转",
    )

    assert made["contact"] == {"name": "王", "phone": "13800000000"}
    assert made["place"] == {
        "community": "S0101",
        "address": "解放路",
        "coordinates": {"lon": 118.5, "lat": 32.1, "crs": "GCJ-02"},
    }
    assert (made["kind"], made["confidential"], made["answered_by"]) == (DemandKind.COMPLAINT, True, "A7")


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"title": "只有标题"}, "no_text"),
        ({"text": "x", "created_at": "去年"}, "bad_time"),
        ({"text": "x", "created_at": "1969-01-01"}, "time_out_of_range"),
        ({"text": "x", "lon": "118.5", "crs": "WGS-84"}, "bad_coordinates"),
        ({"text": "x", "lon": "东", "lat": "32", "crs": "WGS-84"}, "bad_coordinates"),
        ({"text": "x", "lon": "118.5", "lat": "32"}, "coordinates_without_system"),
        ({"text": "x", "kind": "其他"}, "bad_kind"),
        ({"text": "x", "confidential": "也许"}, "bad_flag"),
    ],
)
def test_a_row_that_cannot_be_a_demand_gets_a_code(values: dict[str, str], code: str) -> None:
    assert refusal(**values) == code


def test_the_id_of_a_row_comes_from_its_own_id_and_its_channel() -> None:
    first = demand_of(Row(1, {"id": "7", "text": "积水", "created_at": "2019-02-28 11:25"}), "app")
    corrected = demand_of(Row(9, {"id": "7", "text": "积水很深", "created_at": "2019-02-28 11:25"}), "app")
    elsewhere = demand_of(Row(1, {"id": "7", "text": "积水", "created_at": "2019-02-28 11:25"}), "grid")

    assert first["demand_id"] == corrected["demand_id"]
    assert first["demand_id"] != elsewhere["demand_id"]
    assert is_demand_id(first["demand_id"])


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).filter(str.strip)


@given(st.dictionaries(st.sampled_from(["title", "address", "name"]), texts), texts, texts)
def test_the_id_of_a_row_without_one_comes_from_all_it_says(rest: dict[str, str], one: str, other: str) -> None:
    first = demand(text=one, **rest)["demand_id"]

    assert first == demand(**dict(reversed(list(rest.items()))), text=one)["demand_id"]
    assert (first == demand(text=other, **rest)["demand_id"]) == (one == other)


@given(st.dictionaries(st.sampled_from(FIELDS), st.text(max_size=40)))
def test_whatever_a_row_holds_it_is_a_demand_or_has_a_code(values: dict[str, str]) -> None:
    row = Row(1, {name: text for name, text in values.items() if text})
    try:
        found = demand_of(row, "app")["demand_id"]
    except RowError as error:
        found = error.code

    assert is_demand_id(found) or found.isidentifier()
