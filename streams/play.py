"""The plan of the demo's day: who says what when, and what would have been right."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from streams.clock import content_id, secret_token
from streams.settings import DEPLOY

DAY = DEPLOY / "demo" / "demands.jsonl"

RESUBMITTED, URGED, SUPPLEMENTED, WITHDRAWN = 0.02, 0.03, 0.02, 0.01
"""Shares of the demands that are submitted twice, urged, supplemented and withdrawn."""

_SENT = (
    "title",
    "text",
    "contact",
    "confidential",
    "place",
    "answered_by",
    "answer",
)


@dataclass(frozen=True, slots=True)
class Plan:
    """A day: `said` in order of time (`at`, 0 to 1), and the right answer of each demand."""

    said: Sequence[Mapping[str, Any]]
    right: Sequence[Mapping[str, Any]]

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write both parts as JSON Lines; returns their files."""
        folder.mkdir(parents=True, exist_ok=True)
        files = folder / "said.jsonl", folder / "right.jsonl"
        for file, lines in zip(files, (self.said, self.right), strict=True):
            file.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
        return files


def make_plan(demands: int, seed: int, at: datetime, day: Path = DAY) -> Plan:
    """Plan a day.

    Args:
        demands: how many demands; beyond the day's own texts, other citizens say the same again.
        seed: of everything that chance decides.
        at: when the day begins; goes into the ids.
        day: JSON Lines of demands.
    """
    lines = [json.loads(line) for line in day.read_text().splitlines()]
    chance = random.Random(seed)  # noqa: S311 - a play, not a secret
    run = secret_token(6)
    said: list[Mapping[str, Any]] = []
    right = []
    for number in range(demands):
        line = lines[number % len(lines)]
        demand_id = content_id(at, run + number.to_bytes(4, "big"))
        moment = min(0.99, max(0.0, (number + chance.uniform(-5, 5)) / demands))
        said += _said(line, demand_id, moment, chance)
        right.append(
            {name: line.get(name) for name in ("unit", "category", "expect", "tags")} | {"demand_id": demand_id}
        )
    said.sort(key=lambda each: each["at"])
    return Plan(said, right)


def _said(line: Mapping[str, Any], demand_id: str, moment: float, chance: random.Random) -> Iterator[Mapping[str, Any]]:
    """Yield a demand and what its citizen says later."""
    fields = {name: line[name] for name in _SENT if line.get(name) is not None} | {"demand_id": demand_id}
    if line.get("self_handled"):
        fields["self_handled"] = line.get("note") or "已现场处置"

    def _later(action: str, **more: Any) -> Mapping[str, Any]:
        at = min(1.0, moment + chance.uniform(0.0, 0.05))
        return {"at": at, "channel": line["channel"], "action": action, "fields": {"demand_id": demand_id, **more}}

    yield {"at": moment, "channel": line["channel"], "action": "submit", "fields": fields}
    if chance.random() < RESUBMITTED:
        yield _later("submit", **{name: value for name, value in fields.items() if name != "demand_id"})
    if line.get("expect") != "dispatch":
        return
    if chance.random() < URGED:
        yield _later("urge", text="请尽快处理，已经等了很久了")
    if chance.random() < SUPPLEMENTED:
        yield _later("supplement", text="补充一下，情况比昨天更严重了")
    if chance.random() < WITHDRAWN:
        yield _later("withdraw")
