"""What every command shares: options, how an installation is found, how results are shown."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from streams.cli.errors import UNREACHABLE, WRONG, Stop
from streams.kafka_access import KafkaAccess
from streams.settings import SETTINGS_FILE, Settings

Data = Annotated[Path | None, typer.Option("--data", help="Folder of the installation.", show_default="yiwang-data")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
Kafka = Annotated[
    str | None, typer.Option("--kafka", metavar="HOST:PORT", help="Broker; default: that of the running installation.")
]

STATE_FILE = "up.json"
"""What `streams.up` writes about itself; its module would bring all that a worker needs."""

notes = Console(stderr=True, highlight=False, soft_wrap=True)
"""For progress and remarks: standard error, so that standard output is the result alone."""


def settings_of(**flags: Any) -> Settings:
    """Read the settings; flags that were not given do not count.

    Raises:
        Stop: one of them has no meaning.
    """
    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        what = f"the setting {first['loc'][0]} is wrong" if first["loc"] else "the settings contradict each other"
        reason = first["msg"].removeprefix("Value error, ")
        raise Stop(WRONG, f"{what}: {reason}; they come from flags, YIWANG_* variables and {SETTINGS_FILE}") from None
    except (OSError, ValueError) as error:
        raise Stop(WRONG, f"the settings cannot be read: {error}") from error


# ---- finding an installation ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Installation:
    """What `up` wrote down about itself, and the settings given here."""

    settings: Settings
    state: Mapping[str, Any] | None
    """None: nothing runs in the data folder."""

    @property
    def bootstrap(self) -> str:
        """Return the broker's address.

        Raises:
            Stop: none is named and none runs.
        """
        found = self.settings.kafka or (self.state or {}).get("kafka")
        if not found:
            raise self.not_running()
        return str(found)

    @property
    def access(self) -> KafkaAccess:
        """Return how to reach the broker."""
        return self.settings.access(self.bootstrap)

    @property
    def ledger_url(self) -> str:
        """Return where the ledger is: as given here, as the running installation has it, or in the data folder."""
        return str(self.settings.ledger or (self.state or {}).get("ledger") or self.settings.ledger_url)

    @property
    def vault_url(self) -> str:
        """Return where the vault is."""
        return str(self.settings.vault or (self.state or {}).get("vault") or self.settings.vault_url)

    @property
    def vault_keys_url(self) -> str:
        """Return where the vault's key database is."""
        return str(self.settings.vault_keys or (self.state or {}).get("vault_keys") or self.settings.vault_keys_url)

    @property
    def master_key_file(self) -> Path:
        """Return where the vault's master key is."""
        return Path(self.settings.master_key or (self.state or {}).get("master_key") or self.settings.master_key_file)

    @property
    def city(self) -> Path:
        """Return the folder of the city in force."""
        given = "city" in self.settings.model_fields_set or self.state is None
        return self.settings.city if given else Path(self.state["city"]) if self.state else self.settings.city

    def not_running(self) -> Stop:
        """Return what to say where an installation must run and none does."""
        data = self.settings.data
        return Stop(UNREACHABLE, f"no installation is running in {data}; start it with: yiwang up --data {data}")


def find(settings: Settings) -> Installation:
    """Look whether an installation runs in the data folder."""
    try:
        state = json.loads((settings.run / STATE_FILE).read_text())
        alive = psutil.pid_exists(int(state["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Installation(settings, None)
    return Installation(settings, state if alive else None)


# ---- showing results ----------------------------------------------------------------------------------


def show(document: Any, as_json: bool, people: Callable[[Console], None]) -> None:
    """Print a result.

    Args:
        document: for `--json`.
        as_json: print that.
        people: print it for people otherwise.
    """
    if as_json:
        sys.stdout.write(json.dumps(document, ensure_ascii=False, default=_plain) + "\n")
    else:
        # A pipe gets whole lines: cutting them at 80 columns would lose what somebody greps for.
        console = Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=10_000)
        people(console)
    sys.stdout.flush()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return str(value)


@contextmanager
def progress(title: str) -> Iterator[Progress]:
    """Show a bar on a terminal, and nothing in a pipe."""
    with Progress(
        SpinnerColumn(),
        TextColumn(title),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=notes,
        disable=not sys.stderr.isatty() or bool(os.environ.get("NO_PROGRESS")),
        transient=True,
    ) as bar:
        yield bar
