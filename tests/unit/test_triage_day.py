"""Triage on paper: the demo's seeded day, demand by demand."""

import json
from collections import Counter
from functools import cache
from itertools import repeat
from typing import Any

from routers.demand import Ruling
from routers.triage import Triage, Triaged
from streams.settings import DEPLOY
from tests.cities import qinglan_model
from tests.triaged import CITY, NOW, TODAY, demand


@cache
def seeded_day() -> list[tuple[dict[str, Any], Triaged]]:
    """The demo's day, as the model that ships with the city reads it."""
    triage = Triage(CITY, qinglan_model())
    rows = [json.loads(line) for line in (DEPLOY / "demo" / "demands.jsonl").read_text().splitlines()]
    demands = []
    for row in rows:
        fields = {key: row[key] for key in ("channel", "title", "place", "answered_by", "answer") if key in row}
        if row.get("self_handled"):
            fields["self_handled"] = {"note": row["note"], "at": NOW}
        demands.append(demand(row["text"], **fields))
    found = map(triage.decide, demands, repeat(TODAY), triage.see(demands))
    return list(zip(rows, found, strict=True))


def test_on_the_seeded_day_nearly_all_that_is_dispatched_is_dispatched_rightly() -> None:
    rulings = Counter((row["expect"], str(found.verdict.ruling)) for row, found in seeded_day())
    wanted = sum(count for (expect, _), count in rulings.items() if expect == "dispatch")
    sent = [(row, found.verdict) for row, found in seeded_day() if found.verdict.ruling is Ruling.DISPATCH]
    sure = [verdict.unit == row["unit"] for row, verdict in sent if not verdict.watch]
    urgent = [verdict.unit == row["unit"] for row, verdict in sent if verdict.watch]
    assert sum(sure) / len(sure) > 0.985
    assert len(sure) / wanted > 0.6
    assert sum(urgent) / len(urgent) > 0.85  # these do not wait until somebody is sure
    # what the machine does not send, people see: it is neither declined nor answered
    assert rulings["dispatch", "decline"] == rulings["dispatch", "answer"] == 0


def test_on_the_seeded_day_every_emergency_is_told_where_to_turn() -> None:
    codes = [
        (found.verdict.rule, row["tags"])
        for row, found in seeded_day()
        if row["expect"] == "decline" and "emergency" in row["tags"]
    ]
    assert codes
    assert all(code in tags for code, tags in codes)


def test_on_the_seeded_day_the_machine_answers_by_the_right_entry_only() -> None:
    answers = [(row, found) for row, found in seeded_day() if found.verdict.ruling is Ruling.ANSWER]
    assert answers
    assert all(f"entry:{found.verdict.rule}" in row.get("tags", []) for row, found in answers)


def test_on_the_seeded_day_nothing_vague_is_dispatched() -> None:
    vague = [found for row, found in seeded_day() if {"vague", "nonsense", "no-place"} & set(row.get("tags", []))]
    assert vague
    assert {found.verdict.ruling for found in vague} == {Ruling.DESK}
