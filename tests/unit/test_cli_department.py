"""`yiwang department` as scripts see it: what the pipeline made of a reply."""

from pathlib import Path
from typing import Any, Self

import pytest

from streams.department import ReplyResult
from tests.command_line import CASE, document, yiwang

pytestmark = pytest.mark.usefixtures("bare_place")


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
