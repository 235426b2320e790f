"""`yiwang vault`: the originals; whoever looks, erases or tries to is written down."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from routers.receipt import parse_receipt
from sinks.cases import find_case, parent_of, parts_of
from sinks.queries import snapshot
from sinks.vault import Asked, ErasedError, RefusedError, Vault
from streams.cityfile import load_city
from streams.cli.common import Data, Installation, Json, find, progress, settings_of, show
from streams.cli.databases import opened_ledger, opened_vault
from streams.cli.errors import NO, WRONG, Stop
from streams.clock import now
from streams.decoding import is_demand_id
from streams.envelope import rfc3339

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="The originals of what citizens said; whoever looks is written down.",
)

Case = Annotated[str, typer.Argument(help="Case id, or receipt number.")]
Purpose = Annotated[str, typer.Option("--purpose", help="Why: a code of the city's policies; it is written down.")]
Who = Annotated[str | None, typer.Option("--who", help="Who does it.", show_default="the user")]


@app.callback()
def _vault() -> None:
    """The originals of what citizens said; whoever looks is written down."""


@app.command(epilog="Example: yiwang vault reveal QE79-5SKF-AEA52 --purpose call_back")
def reveal(case: Case, purpose: Purpose = "", who: Who = None, data: Data = None, *, as_json: Json = False) -> None:
    """Show the originals of a demand, after writing down who looks and why; of a part, also those of its demand."""
    installation = find(settings_of(data=data))
    purposes = load_city(installation.city).policies.reveal_purposes
    with permitted(installation, purpose, purposes, "reveal_purposes") as vault:
        case_id = _case_id(installation, case)
        parent, _parts = _linked(installation, case_id)
        asked = asked_by(who, purpose)
        found = [*(vault.reveal(parent, asked, purposes) if parent else ()), *vault.reveal(case_id, asked, purposes)]
    document = {"case_id": case_id, "purpose": purpose, "originals": found}
    if not found:
        raise Stop(NO, f"the vault holds nothing of {case_id}; that you looked is written down")
    show(document, as_json, lambda console: _tell(console, found))


@app.command(epilog="Example: yiwang vault erase QE79-5SKF-AEA52 --purpose requested")
def erase(case: Case, purpose: Purpose = "", who: Who = None, data: Data = None, *, as_json: Json = False) -> None:
    """Erase the originals of a demand and of its parts for ever, by destroying their keys."""
    installation = find(settings_of(data=data))
    purposes = load_city(installation.city).policies.erase_purposes
    with permitted(installation, purpose, purposes, "erase_purposes") as vault:
        case_id = _case_id(installation, case)
        parent, parts = _linked(installation, case_id)
        if parent is not None:
            raise Stop(NO, f"{case_id} is a part of {parent} and shares its originals; erase that one")
        count = sum(vault.erase(each, asked_by(who, purpose), purposes) for each in (case_id, *parts))
    document = {"case_id": case_id, "purpose": purpose, "erased": count}
    told = f"{case_id}: {count} originals erased; nothing of this demand will be kept again"
    show(document, as_json, lambda console: console.print(told))


@app.command(epilog="Example: yiwang vault erasures --json > erasures.json")
def erasures(
    again: Annotated[Path | None, typer.Option("--again", help="A list of before: erase what it names.")] = None,
    purpose: Purpose = "",
    who: Who = None,
    data: Data = None,
    *,
    as_json: Json = False,
) -> None:
    """List what was erased; with --again erase it once more, after vault and keys came from one old backup."""
    installation = find(settings_of(data=data))
    purposes = load_city(installation.city).policies.erase_purposes
    if again is not None:
        listed = _listed(again)
        with permitted(installation, purpose, purposes, "erase_purposes") as vault:
            known = vault.erased()
            missing = [each for each in listed if each not in known]
            for case_id in missing:
                vault.erase(case_id, asked_by(who, purpose), purposes)
    with opened_vault(installation) as vault:
        found = [{"case_id": case_id, "at": rfc3339(at)} for case_id, at in vault.erased().items()]
    lines = "\n".join(f"{each['case_id']} {each['at']}" for each in found)
    show({"erased": found}, as_json, lambda console: console.print(lines))


@app.command(epilog="Example: yiwang vault rotate")
def rotate(data: Data = None, *, as_json: Json = False) -> None:
    """Put a new master key in force and wrap every case's key with it; call it again if it was broken off."""
    installation = find(settings_of(data=data))
    done = 0
    with opened_vault(installation) as vault, progress("wrapping keys") as bar:
        task = bar.add_task("", total=None)
        for done, total in vault.rotate():
            bar.update(task, completed=done, total=total)
    file = installation.master_key_file
    document = {"rewrapped": done, "file": str(file)}
    told = f"{done} keys are wrapped by the new master key in {file}; back it up, apart from the databases"
    show(document, as_json, lambda console: console.print(told))


@contextmanager
def permitted(installation: Installation, purpose: str, purposes: Mapping[str, str], key: str) -> Iterator[Vault]:
    """Open the vault for who says why; refusals become sentences.

    Args:
        installation: whose vault.
        purpose: as given.
        purposes: the city's codes.
        key: under which its policies have them.

    Raises:
        Stop: the purpose is none of them, or the demand was erased.
    """
    known = "; ".join(f"{code} ({zh})" for code, zh in purposes.items()) or f"its policies.yaml has no `{key}`"
    sentence = f"say why by a code of the city: --purpose; {known}"
    try:
        with opened_vault(installation) as vault:
            yield vault
    except RefusedError:
        raise Stop(WRONG, sentence) from None
    except ErasedError as error:
        raise Stop(NO, str(error)) from None
    except Stop:
        if not purpose.strip():
            raise Stop(WRONG, sentence) from None
        raise


def asked_by(who: str | None, purpose: str) -> Asked:
    """Return who asks, for what, now."""
    return Asked(who or getpass.getuser(), purpose.strip(), now())


def _listed(file: Path) -> list[str]:
    """Read a list that `erasures --json` has written.

    Raises:
        Stop: it is none.
    """
    try:
        listed = [each["case_id"] for each in json.loads(file.read_text(encoding="utf-8"))["erased"]]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise Stop(WRONG, f"{file} is no list of `yiwang vault erasures --json`: {error}") from None
    wrong = next((each for each in listed if not is_demand_id(each)), None)
    if wrong is not None:
        raise Stop(WRONG, f"{file} names {wrong}, which is no case id")
    return listed


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


def _linked(installation: Installation, case_id: str) -> tuple[str | None, list[str]]:
    """Return the demand of which a case is a part, and the parts into which it was split itself."""
    with opened_ledger(installation) as engine, snapshot(engine) as moment:
        return parent_of(moment, case_id), parts_of(moment, case_id)


def _tell(console: Console, found: list[dict[str, Any]]) -> None:
    for original in found:
        for name, value in original.items():
            console.print(f"{name}: {escape(str(value))}")
        console.print()
