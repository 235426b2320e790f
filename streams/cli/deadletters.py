"""`yiwang deadletters`: what nobody could decide on; opened through the vault only, and that is written down."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from streams.cityfile import load_city
from streams.cli.common import Data, Installation, Json, Kafka, find, settings_of, show
from streams.cli.databases import opened_vault
from streams.cli.errors import NO, Stop
from streams.cli.vault import Purpose, Who, asked_by, permitted
from streams.client import ClientError
from streams.letters import Letter, letters, replay, why_not_replayed
from streams.letters import find as find_letter

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="What nobody could decide on: list, open, hand in again, put aside.",
)

Name = Annotated[str, typer.Argument(metavar="LETTER", help="Its id, or the place of the original: intake.app/0/17.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]


@app.callback()
def _deadletters() -> None:
    """What nobody could decide on: list, open, hand in again, put aside."""


@app.command("list", epilog="Example: yiwang deadletters list --code undecidable")
def list_letters(
    *,
    code: Annotated[str | None, typer.Option("--code", help="Only those put aside for this reason.")] = None,
    topic: Annotated[str | None, typer.Option("--topic", help="Only those from this topic.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Those dealt with too.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="Letters at most, the newest.")] = 100,
    data: Data = None,
    kafka: Kafka = None,
    as_json: Json = False,
) -> None:
    """List dead letters that nobody has dealt with, the newest last."""
    installation = find(settings_of(data=data, kafka=kafka))
    access = installation.access
    with opened_vault(installation) as vault:
        dealt = vault.dealt_with()
    found = [
        _line(letter, dealt.get(letter.about.letter_id))
        for letter in letters(access)
        if code in (None, letter.about.code) and topic in (None, letter.about.origin.topic)
    ]
    found = sorted((each for each in found if everything or each["dealt"] is None), key=lambda each: str(each["at"]))
    found = found[-limit:]
    show({"letters": found}, as_json, lambda console: console.print(_table(found)))


@app.command("show", epilog="Example: yiwang deadletters show intake.app/0/17 --purpose dead_letter")
def show_letter(
    name: Name,
    purpose: Purpose = "",
    who: Who = None,
    data: Data = None,
    kafka: Kafka = None,
    *,
    as_json: Json = False,
) -> None:
    """Show what is known of a dead letter; with --purpose also its original bytes, after writing that down."""
    installation = find(settings_of(data=data, kafka=kafka))
    letter = _found(installation, name)
    document = _line(letter, None)
    del document["dealt"]
    if purpose:
        original = _opened(installation, letter, purpose, who)
        document["original"] = original.decode(errors="backslashreplace")
    show(document, as_json, lambda console: _tell(console, document))


@app.command("replay", epilog="Example: yiwang deadletters replay intake.app/0/17 --purpose dead_letter --dry-run")
def replay_letter(
    name: Name,
    *,
    purpose: Purpose = "",
    who: Who = None,
    dry_run: DryRun = False,
    data: Data = None,
    kafka: Kafka = None,
    as_json: Json = False,
) -> None:
    """Hand a dead letter in again, after what stood in its way is mended."""
    installation = find(settings_of(data=data, kafka=kafka))
    letter = _found(installation, name)
    against = why_not_replayed(letter)
    if against is not None:
        raise Stop(NO, f"{letter.about.letter_id} cannot be handed in again: {against}")
    document: dict[str, Any] = {"letter_id": letter.about.letter_id, "topic": letter.about.origin.topic}
    if dry_run:
        document["replayed"] = None
        told = f"would be handed in again on {letter.about.origin.topic}"
    else:
        original = _opened(installation, letter, purpose, who)
        try:
            place = replay(installation.access, letter, original)
        except ClientError as error:
            if error.code != "again":
                raise
            raise Stop(NO, str(error)) from None
        _deal(installation, letter, purpose, who, "replayed")
        document["replayed"] = place.model_dump()
        told = f"handed in again as {place.topic}/{place.partition}/{place.offset}"
    show(document, as_json, lambda console: console.print(told))


@app.command(epilog="Example: yiwang deadletters park intake.app/0/17 --purpose dead_letter")
def park(
    name: Name,
    *,
    purpose: Purpose = "",
    who: Who = None,
    dry_run: DryRun = False,
    data: Data = None,
    kafka: Kafka = None,
    as_json: Json = False,
) -> None:
    """Put a dead letter aside for good; it keeps its bytes until the topic expires."""
    installation = find(settings_of(data=data, kafka=kafka))
    letter = _found(installation, name)
    if not dry_run:
        _deal(installation, letter, purpose, who, "parked")
    document = {"letter_id": letter.about.letter_id, "parked": not dry_run}
    show(document, as_json, lambda console: console.print("would be parked" if dry_run else "parked"))


def _found(installation: Installation, name: str) -> Letter:
    letter = find_letter(installation.access, name)
    if letter is None:
        raise Stop(NO, f"there is no dead letter {name}; see: yiwang deadletters list --all")
    return letter


def _opened(installation: Installation, letter: Letter, purpose: str, who: str | None) -> bytes:
    purposes = load_city(installation.city).policies.reveal_purposes
    with permitted(installation, purpose, purposes, "reveal_purposes") as vault:
        return vault.open_letter(
            letter.sealed,
            context=letter.context,
            named=letter.about.letter_id,
            asked=asked_by(who, purpose),
            purposes=purposes,
        )


def _deal(
    installation: Installation, letter: Letter, purpose: str, who: str | None, how: Literal["parked", "replayed"]
) -> None:
    purposes = load_city(installation.city).policies.reveal_purposes
    with permitted(installation, purpose, purposes, "reveal_purposes") as vault:
        vault.deal_with(letter.about.letter_id, how, asked_by(who, purpose), purposes)


def _line(letter: Letter, dealt: str | None) -> dict[str, Any]:
    return letter.about.model_dump(mode="json", exclude={"schema_version", "type"}) | {"dealt": dealt}


def _table(found: list[dict[str, Any]]) -> Table:
    table = Table("original", "at", "stage", "code", "reason", "dealt", box=None)
    for each in found:
        place = each["letter_id"].removeprefix("letter/")
        table.add_row(place, each["at"], each["stage"], each["code"], escape(each["reason"]), each["dealt"] or "")
    return table


def _tell(console: Console, document: dict[str, Any]) -> None:
    for name, value in document.items():
        if value is not None:
            console.print(f"{name}: {escape(str(value))}")
