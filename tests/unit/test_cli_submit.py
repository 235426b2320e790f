"""`yiwang submit` as scripts see it: one demand or a file of them, what became of each, and what was put aside."""

import csv
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pytest

from routers.receipt import receipt
from streams.channel import DemandRow, Told
from streams.client import ClientError
from streams.messages import Outcome
from tests.command_line import CASE, document, yiwang

pytestmark = pytest.mark.usefixtures("bare_place")


class Counter:
    """A channel whose pipeline answers at once: ids seen twice are duplicates, some words are refused, some hang."""

    sent: list[DemandRow]
    seen: set[str]

    def __init__(self, _access: object, channel: str) -> None:
        self.channel = channel
        self.answers: deque[Told] = deque()
        self.untold = 0
        self.sent = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def submit(self, text: str, **fields: Any) -> str:
        if len(text) > 50:
            raise ClientError("text_too_long", "the text is too long")
        demand_id = str(fields.get("demand_id", CASE))
        self.untold += 1
        if text != "石沉大海":
            code = "duplicate" if demand_id in self.seen else ("wrong_key" if text == "坏" else "accepted")
            self.seen.add(demand_id)
            self.answers.append(Told(demand_id, self.outcome(demand_id, code)))
        return demand_id

    def outcome(self, demand_id: str, code: str) -> Outcome:
        return Outcome(
            outcome_id="o",
            demand_id=demand_id,
            about=demand_id,
            channel=self.channel,
            seq=1,
            code=code,
            refused=code == "wrong_key",
            receipt=receipt(demand_id),
            text="您的诉求已受理",
            at=datetime(2026, 11, 23, tzinfo=UTC),
        )

    def flush(self) -> None:
        pass

    def receipts(self, timeout: float) -> Iterator[Told]:
        assert timeout < 1
        while self.answers:
            self.untold -= 1
            yield self.answers.popleft()

    def wait_for(self, ids: list[str], timeout: float) -> dict[str, Outcome]:
        assert timeout
        return {told.about: told.outcome for told in self.answers if told.about in ids}


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Counter, "seen", set(), raising=False)
    monkeypatch.setattr("streams.cli.submit.ChannelClient", Counter)
    monkeypatch.setattr("streams.cli.submit_file.ChannelClient", Counter)


SUBMIT = ("submit", "--channel", "app", "--kafka", "127.0.0.1:1", "--json")


@pytest.mark.usefixtures("counter")
def test_one_demand_comes_back_with_its_receipt_and_outcome() -> None:
    result = yiwang(*SUBMIT, "--text", "路灯不亮")
    found = document(result)
    assert result.exit_code == 0
    assert (found["demand_id"], found["receipt"], found["outcome"]) == (CASE, receipt(CASE), "accepted")


@pytest.mark.usefixtures("counter")
def test_one_demand_under_an_own_id_is_a_duplicate_the_second_time() -> None:
    first, second = (document(yiwang(*SUBMIT, "--text", "路灯不亮", "--id", "7")) for _ in range(2))
    assert (first["outcome"], second["outcome"]) == ("accepted", "duplicate")
    assert first["demand_id"] == second["demand_id"]


@pytest.mark.usefixtures("counter")
@pytest.mark.parametrize(("text", "code"), [("坏", "wrong_key"), ("长" * 60, "text_too_long")])
def test_a_refused_demand_is_status_1_with_its_code(text: str, code: str) -> None:
    result = yiwang(*SUBMIT, "--text", text)
    assert result.exit_code == 1
    assert document(result)["outcome"] == code


@pytest.mark.usefixtures("counter")
def test_a_demand_nobody_answers_is_status_3_and_names_it() -> None:
    result = yiwang(*SUBMIT, "--text", "石沉大海", "--timeout", "0.01")
    assert result.exit_code == 3
    assert CASE in result.stderr


@pytest.mark.usefixtures("counter")
def test_a_file_is_counted_and_its_rejects_are_put_aside_with_reasons() -> None:
    lines = [
        "no,words,when",
        "1,路灯不亮,2026-11-23 08:00",
        "2,,2026-11-23",
        "3,积水,昨天",
        "1,路灯不亮,2026-11-23 08:00",
    ]
    lines += ["5,坏,2026-11-23", f"6,{'长' * 60},2026-11-23", "7,噪音,2026-11-23,多一格"]
    Path("a.csv").write_text("\n".join(lines), encoding="utf-8")
    arguments = ("--file", "a.csv", "--map", "id=no", "--map", "text=words", "--map", "created_at=when")

    result = yiwang(*SUBMIT, *arguments)

    assert result.exit_code == 0
    assert document(result) == {
        "read": 7,
        "accepted": 1,
        "duplicates": 1,
        "rejected": 5,
        "untold": 0,
        "rejects_file": "a.csv.rejects.csv",
    }
    with Path("a.csv.rejects.csv").open(encoding="utf-8-sig") as stream:
        rejects = {int(row["row"]): (row["id"], row["code"]) for row in csv.DictReader(stream)}
    assert rejects == {
        2: ("2", "no_text"),
        3: ("3", "bad_time"),
        5: ("5", "wrong_key"),
        6: ("6", "text_too_long"),
        7: ("", "wrong_columns"),
    }


@pytest.mark.usefixtures("counter")
def test_a_clean_file_leaves_no_rejects_file() -> None:
    Path("a.jsonl").write_text('{"text": "路灯不亮"}\n{"text": "积水"}\n', encoding="utf-8")
    assert document(yiwang(*SUBMIT, "--file", "a.jsonl"))["rejects_file"] is None
    assert document(yiwang(*SUBMIT, "--file", "a.jsonl"))["duplicates"] == 2
    assert [each.name for each in Path.cwd().iterdir()] == ["a.jsonl"]


@pytest.mark.usefixtures("counter")
def test_a_file_whose_demands_are_not_all_answered_is_status_3_with_their_number() -> None:
    Path("a.jsonl").write_text('{"text": "石沉大海"}\n{"text": "积水"}\n', encoding="utf-8")
    result = yiwang(*SUBMIT, "--file", "a.jsonl", "--timeout", "0.05")
    assert result.exit_code == 3
    assert document(result)["untold"] == 1
    assert result.stderr.startswith("1 submitted demands")


@pytest.mark.usefixtures("counter")
def test_a_file_of_nothing_but_rejects_is_status_1() -> None:
    Path("a.csv").write_text("text,created_at\n积水,昨天\n", encoding="utf-8")
    assert yiwang(*SUBMIT, "--file", "a.csv").exit_code == 1


@pytest.mark.usefixtures("counter")
def test_a_file_in_gb18030_is_read_with_a_remark() -> None:
    Path("a.csv").write_bytes("text\n路灯不亮\n".encode("gb18030"))
    result = yiwang(*SUBMIT, "--file", "a.csv")
    assert document(result)["accepted"] == 1
    assert "GB18030" in result.stderr
