"""`yiwang audit`: the proof, from Kafka's offsets and the ledger."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sinks.audit import COUNTED, AuditReport
from sinks.audit import audit as prove
from streams.cli.common import Data, Installation, Json, Kafka, find, notes, settings_of, show
from streams.cli.databases import opened_ledger
from streams.cli.errors import DONE, NO
from streams.intake_log import intake_logs

app = typer.Typer(add_completion=False)

_AGAIN = 1.0


@app.command(epilog="Example: yiwang audit --wait 60 --json")
def audit(
    data: Data = None,
    kafka: Kafka = None,
    ledger: Annotated[str | None, typer.Option("--ledger", help="SQLAlchemy URL of the ledger.")] = None,
    *,
    wait: Annotated[float, typer.Option("--wait", min=0, help="Seconds to give what is still on its way.")] = 0.0,
    as_json: Json = False,
) -> None:
    """Prove that every intake record is accounted for, once; status 1 and its offset if one is not."""
    installation = find(settings_of(data=data, kafka=kafka, ledger=ledger))
    deadline = time.monotonic() + wait
    report = _proof(installation)
    while not report.ok and time.monotonic() < deadline:
        time.sleep(_AGAIN)
        report = _proof(installation)
    show(report.document(), as_json, lambda console: _tell(console, report))
    for line in report.lines():
        notes.print(escape(line))
    raise typer.Exit(DONE if report.ok else NO)


def _proof(installation: Installation) -> AuditReport:
    with opened_ledger(installation) as engine:
        return prove(engine, intake_logs(installation.access.librdkafka()))


def _tell(console: Console, report: AuditReport) -> None:
    table = Table("channel", "partition", "read", *COUNTED, "missing", box=None)
    for each in report.channels:
        counts = (str(each.counted.get(name, 0)) for name in COUNTED)
        table.add_row(each.channel, str(each.partition), str(each.read), *counts, str(each.missing))
    console.print(table)
    console.print(f"unaccounted: {report.unaccounted}")
