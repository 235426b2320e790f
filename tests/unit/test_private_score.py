"""How masking is measured, and what it must reach on texts in which people have marked personal data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from routers.private_score import Marked, Score, needed
from streams.cli import app
from tests.doc_tables import ROOT

NAMES = {"name"}
ADDRESSES = {"address"}


def read(file: Path) -> list[tuple[str, list[Marked]]]:
    rows = map(json.loads, file.read_text(encoding="utf-8").splitlines())
    return [(row["text"], [Marked(*span) for span in row["spans"]]) for row in rows]


@pytest.mark.parametrize("name", ["mask_a", "mask_b"])
def test_masking_holds_its_bars_on_the_labelled_sets(name: str) -> None:
    score = Score()
    for text, marked in read(ROOT / "tests/quality" / f"{name}.jsonl"):
        score.add(text, marked)
    numbers = score.document()["per_kind"].keys() - NAMES - ADDRESSES

    assert score.recall_of(numbers) >= 0.99
    assert score.recall_of(NAMES) >= 0.95
    assert score.recall_of(ADDRESSES) >= 0.95
    assert score.precision >= 0.97


def test_of_an_address_the_numbers_of_the_dwelling_must_be_hidden_and_its_place_may_stay() -> None:
    text = "柳溪镇石桥村4组27号，建设三路15-2号401"

    def hidden(start: int, end: int) -> str:
        return "".join(text[at] for at in sorted(needed(text, Marked(start, end, "address"))))

    assert hidden(0, 11) == "27"
    assert hidden(12, len(text)) == "152401"


def test_a_span_is_hidden_only_as_a_whole_and_a_find_beside_every_mark_is_wrong() -> None:
    score = Score()
    score.add("电话2345678，13800138123", [Marked(0, 9, "tel"), Marked(10, 21, "手机号")])
    score.add("13800138123", [])
    document = score.document()

    assert document["per_kind"] == {
        "tel": {"spans": 1, "hidden": 0, "recall": 0.0},
        "手机号": {"spans": 1, "hidden": 1, "recall": 1.0},
    }
    assert document["recall"] == 0.5
    assert document["per_found_kind"]["landline"]["right"] == 1
    assert document["per_found_kind"]["mobile"] == {"found": 2, "right": 1, "precision": 0.5}


def test_the_command_measures_a_file_and_names_the_line_that_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "gold.jsonl"
    file.write_text('{"text": "电话13800138123", "spans": [[2, 13, "x"]]}\n\n', encoding="utf-8")
    result = CliRunner().invoke(app, ["eval", "mask", "--file", str(file), "--json"])
    document = json.loads(result.stdout)
    assert (document["recall"], document["precision"], list(document["per_kind"])) == (1.0, 1.0, ["x"])

    shown = CliRunner().invoke(app, ["eval", "mask", "--file", str(file), "--mistakes"])
    assert "recall 100.00% of 1 marked spans" in shown.stdout

    file.write_text('{"text": "短", "spans": [[0, 9, "x"]]}', encoding="utf-8")
    assert CliRunner().invoke(app, ["eval", "mask", "--file", str(file)]).exit_code == 2
    file.write_text('{"text": "短"}', encoding="utf-8")
    assert CliRunner().invoke(app, ["eval", "mask", "--file", str(file)]).exit_code == 2
