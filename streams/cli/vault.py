"""`yiwang vault`: the originals; whoever looks is written down."""

from __future__ import annotations

import getpass
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from routers.receipt import parse_receipt
from sinks.cases import find_case
from sinks.queries import snapshot
from streams.cli.common import Data, Installation, Json, find, settings_of, show
from streams.cli.databases import opened_ledger, opened_vault
from streams.cli.errors import NO, WRONG, Stop
from streams.clock import now
from streams.messages import is_demand_id

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="The originals of what citizens said; whoever looks is written down.",
)


@app.callback()
def _vault() -> None:
    """The originals of what citizens said; whoever looks is written down."""


@app.command(epilog="Example: yiwang vault reveal QE79-5SKF-AEA52 --purpose 回访联系当事人")
def reveal(
    case: Annotated[str, typer.Argument(help="Case id, or receipt number.")],
    purpose: Annotated[str, typer.Option("--purpose", help="Why; it is written down.")],
    who: Annotated[str | None, typer.Option("--who", help="Who looks.", show_default="the user")] = None,
    data: Data = None,
    *,
    as_json: Json = False,
) -> None:
    """Show the originals of a demand, after writing down who looks and why."""
    if not purpose.strip():
        raise Stop(WRONG, "say why you look: --purpose")
    installation = find(settings_of(data=data))
    case_id = _case_id(installation, case)
    with opened_vault(installation) as vault:
        found = vault.reveal(case_id, purpose=purpose, who=who or getpass.getuser(), at=now())
    document = {"case_id": case_id, "purpose": purpose, "originals": found}
    if not found:
        raise Stop(NO, f"the vault holds nothing of {case_id}; that you looked is written down")
    show(document, as_json, lambda console: _tell(console, found))


def _case_id(installation: Installation, case: str) -> str:
    if is_demand_id(case.upper()):
        return case.upper()
    try:
        receipt = parse_receipt(case)
    except ValueError as error:
        raise Stop(WRONG, str(error)) from None
    with opened_ledger(installation) as engine, snapshot(engine) as moment:
        found = find_case(moment, receipt)
    if found is None:
        raise Stop(NO, f"the ledger has no case with the receipt {receipt}")
    return found


def _tell(console: Console, found: list[dict[str, Any]]) -> None:
    for original in found:
        for name, value in original.items():
            console.print(f"{name}: {escape(str(value))}")
        console.print()
