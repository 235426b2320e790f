"""The README's channel and department meet: both snippets as they stand, on a running installation."""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.installation import LAMPS, Installation, installation
from tests.kafka_fixture import CHOICE

pytestmark = [pytest.mark.broker, pytest.mark.timeout(200)]

README = Path(__file__).parents[2] / "README.md"
QUIET = 8
"""Seconds of quiet after which the snippets end here; a minute in the README."""


def read(snippet: str, town: Installation) -> list[tuple[Any, ...]]:
    """Run a snippet as somebody who copies it; returns what it prints, in order."""
    for there, here in (
        ('"127.0.0.1:9092"', repr(town.bootstrap)),
        ('"yiwang-data/keys"', repr(str(town.keys))),
        ("timeout=60", f"timeout={QUIET}"),
        ("timeout=10", "timeout=30"),
    ):
        snippet = snippet.replace(there, here)
    said: list[tuple[Any, ...]] = []
    exec(compile(snippet, str(README), "exec"), {"print": lambda *words: said.append(words)})
    return said


def test_a_demand_of_the_readme_is_accepted_worked_on_and_answered(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    own = os.environ.get(CHOICE, "embedded") in {"", "embedded"}
    settings = {} if own else {"kafka": request.getfixturevalue("kafka").bootstrap}
    snippets = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    with installation(tmp_path / "town", partitions="4", **settings) as town, ThreadPoolExecutor() as people:
        channel, department = people.map(lambda snippet: read(snippet, town), snippets)
        (code, receipt, unit, text), *told = channel
        assert (code, unit) == ("accepted", LAMPS)
        assert receipt in text
        assert [state for code, state, _text in told if code == "state"] == ["in_progress", "call_back"]
        assert department == [(receipt, "已生效。")]
        town.sound()
