"""The command line without a process of its own: what is typed, and what comes back."""

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from streams import cli

CASE = "01M85EF7HFNE0PMKRZB1BGPKB2"


def yiwang(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli.app, [str(each) for each in arguments])


def document(result: Result) -> Any:
    """The one JSON document on standard output."""
    assert len(result.stdout.splitlines()) == 1
    return json.loads(result.stdout)
