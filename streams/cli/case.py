"""`yiwang case`: look up cases in the ledger; works while nothing runs."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from routers.life import CaseState
from routers.receipt import parse_receipt
from sinks.cases import CaseLine, case_file, case_list
from sinks.queries import snapshot
from streams.cli.common import Data, Json, find, settings_of, show
from streams.cli.databases import opened_ledger
from streams.cli.errors import NO, WRONG, Stop
from streams.clock import for_people
from streams.submission import RowError, parse_time

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Look up cases in the ledger.")

Ledger = Annotated[str | None, typer.Option("--ledger", help="SQLAlchemy URL; default: the installation's.")]


@app.command("show", epilog="Example: yiwang case show --receipt QE79-5SKF-AEA52")
def show_case(
    case_id: Annotated[str | None, typer.Argument(help="The case id, which is the demand id.")] = None,
    receipt: Annotated[str | None, typer.Option("--receipt", help="The receipt number instead.")] = None,
    data: Data = None,
    ledger: Ledger = None,
    as_json: Json = False,
) -> None:
    """Tell the whole life of a case; personal data are masked."""
    if (case_id is None) == (receipt is None):
        raise Stop(WRONG, "name one case: by its id, or by --receipt")
    try:
        name = parse_receipt(receipt) if receipt is not None else str(case_id)
    except ValueError as error:
        raise Stop(WRONG, f"{error}; compare it with the citizen's") from None
    with opened_ledger(find(settings_of(data=data, ledger=ledger))) as engine, snapshot(engine) as moment:
        found = case_file(moment, name)
    if found is None:
        raise Stop(NO, f"the ledger has no case {name}; has it been triaged? see: yiwang status")
    show(found, as_json, lambda console: _tell(console, found))


@app.command("list", epilog="Example: yiwang case list --unit D-URBAN --due-before '2026-11-24 18:00' --limit 20")
def list_cases(
    *,
    unit: Annotated[str | None, typer.Option("--unit", help="Held by this unit, or handled before it ended.")] = None,
    state: Annotated[CaseState | None, typer.Option("--state", help="In this state.")] = None,
    due_before: Annotated[
        str | None, typer.Option("--due-before", metavar="TIME", help="Open, and due before this time.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="Cases at most.")] = 100,
    data: Data = None,
    ledger: Ledger = None,
    as_json: Json = False,
) -> None:
    """List cases, the most urgent first."""
    before = _time(due_before)
    with opened_ledger(find(settings_of(data=data, ledger=ledger))) as engine, snapshot(engine) as moment:
        lines = case_list(moment, unit=unit, state=state.value if state else None, due_before=before, limit=limit)
    show({"cases": [asdict(line) for line in lines]}, as_json, lambda console: console.print(_table(lines)))


def _time(text: str | None) -> datetime | None:
    try:
        return None if text is None else parse_time(text)
    except RowError as error:
        raise Stop(WRONG, str(error)) from None


def _table(lines: list[CaseLine]) -> Table:
    table = Table("receipt", "state", "unit", "category", "due", "channel", box=None)
    for line in lines:
        due = for_people(line.due_at) if line.due_at else ""
        table.add_row(line.receipt, line.state, line.unit, line.category, due, line.channel)
    return table


def _tell(console: Console, found: dict[str, Any]) -> None:
    console.print(f"{found['receipt']}  {found['state']}  {found['unit'] or ''}  {found['category'] or ''}")
    console.print(escape(f"{found['title'] or ''}\n{found['text'] or ''}".strip()))
    if found["parent"]:
        console.print(f"a part of {found['parent']}")
    for part in found["children"]:
        line = " ".join(str(part[name] or "") for name in ("receipt", "state", "unit", "category", "answer"))
        console.print(f"part {escape(line)}")
    for event in found["events"]:
        at = for_people(datetime.fromisoformat(event["at"]))
        told = {name: value for name, value in event["data"].items() if value not in (None, "", [], ())}
        console.print(f"{at}  {event['seq']:>3} {event['kind']:<24} {event['actor']:<12} {escape(str(told))}")
    for clock in found["clocks"]:
        console.print(f"{for_people(datetime.fromisoformat(clock['due_at']))}  clock {clock['clock']}")
    if found["answer"]:
        console.print(escape(str(found["answer"])))
