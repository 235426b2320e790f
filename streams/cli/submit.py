"""`yiwang submit`: one demand, or a file of them."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from streams.channel import ChannelClient
from streams.cli.common import Data, Json, Kafka, find, notes, settings_of, show
from streams.cli.errors import DONE, NO, UNREACHABLE, WRONG, Stop
from streams.cli.submit_file import FileOrder, submit_file
from streams.client import ClientError
from streams.messages import Outcome
from streams.submission import Row, RowError, demand_of, parse_map

app = typer.Typer(add_completion=False)


@app.command(
    epilog="Example: yiwang submit --channel app --file demands.csv.gz --map id=no --map text=title+body "
    "--map created_at=time"
)
def submit(
    *,
    channel: Annotated[str, typer.Option("--channel", help="Name of the channel, as in intake.<channel>.")],
    text: Annotated[str | None, typer.Option("--text", help="What the citizen says.")] = None,
    file: Annotated[Path | None, typer.Option("--file", help="CSV or JSON Lines, plain or gzipped.")] = None,
    pairs: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="FIELD=COLUMN[+COLUMN]", help="Our field and their columns; default: by name."),
    ] = None,
    rejects: Annotated[
        Path | None,
        typer.Option("--rejects", help="Where rows that are no demand go.", show_default="FILE.rejects.csv"),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the channel is told.")] = True,
    timeout: Annotated[float, typer.Option("--timeout", min=0, help="Seconds without any outcome to wait.")] = 60.0,
    title: Annotated[str | None, typer.Option("--title", help="With --text: its title.")] = None,
    community: Annotated[str | None, typer.Option("--community", help="With --text: code of the community.")] = None,
    address: Annotated[str | None, typer.Option("--address", help="With --text: where it is.")] = None,
    phone: Annotated[str | None, typer.Option("--phone", help="With --text: how to reach the citizen.")] = None,
    own_id: Annotated[str | None, typer.Option("--id", help="With --text: your own id; the same is a repeat.")] = None,
    data: Data = None,
    kafka: Kafka = None,
    as_json: Json = False,
) -> None:
    """Hand in one demand or a file of them, as a channel does, and tell what became of it.

    Fields of a file: id text title created_at community address lon lat crs name phone kind confidential
    answered_by answer. Times without a zone are the city's. Submitting the same file twice opens nothing twice.
    """
    if (text is None) == (file is None):
        raise Stop(WRONG, "give either --text or --file")
    installation = find(settings_of(data=data, kafka=kafka))
    if file is not None:
        order = FileOrder(file, channel, parse_map(pairs or ()), rejects, timeout if wait else None)
        counts = submit_file(installation.access, order)
        show(counts.document(), as_json, lambda console: _tell_file(console, counts.document()))
        if counts.untold and wait:
            sentence = f"{counts.untold} submitted demands have no outcome after {timeout:.0f} s without any"
            raise Stop(UNREACHABLE, f"{sentence}; see `yiwang status`, then submit the file again: nothing opens twice")
        raise typer.Exit(DONE if counts.accepted + counts.duplicates or not counts.rejected or not wait else NO)
    given = {"id": own_id, "text": text, "title": title, "community": community, "address": address, "phone": phone}
    row = Row(1, {name: value for name, value in given.items() if value})
    document = _submit_one(installation.access, channel, row, timeout if wait else 0.0)
    show(document, as_json, lambda console: _tell_one(console, document))
    if document["outcome"] is None and wait:
        sentence = f"{document['demand_id']} is handed in, but no outcome came in {timeout:.0f} s"
        raise Stop(UNREACHABLE, f"{sentence}; see `yiwang status`, and later: yiwang case show {document['demand_id']}")
    raise typer.Exit(NO if document["refused"] else DONE)


def _submit_one(access: Any, channel: str, row: Row, timeout: float) -> dict[str, Any]:
    with ChannelClient(access, channel) as client:
        try:
            demand = demand_of(row, channel)
            if "id" not in row.values:
                demand.pop("demand_id")  # said by hand: the same words again are another demand
            demand_id = client.submit(**demand)
        except (RowError, ClientError) as error:
            if isinstance(error, ClientError) and error.code in {"unreachable", "no_topic", "forbidden"}:
                raise
            return {"demand_id": None, "receipt": None, "outcome": error.code, "refused": True, "text": str(error)}
        client.flush()
        outcome = client.wait_for([demand_id], timeout).get(demand_id) if timeout else None
        return {"demand_id": demand_id, **_told(outcome)}


def _told(outcome: Outcome | None) -> dict[str, Any]:
    if outcome is None:
        return {"receipt": None, "outcome": None, "refused": False, "text": None}
    return {
        "receipt": outcome.receipt,
        "outcome": outcome.code,
        "refused": outcome.refused,
        "state": outcome.state,
        "unit": outcome.unit,
        "due_at": outcome.due_at,
        "text": outcome.text,
        "answer": outcome.answer,
    }


def _tell_one(console: Console, document: dict[str, Any]) -> None:
    console.print(f"{document['outcome'] or 'handed in'}: {document['receipt'] or document['demand_id'] or ''}")
    with contextlib.suppress(KeyError):
        console.print(document["text"] or "", markup=False)


def _tell_file(console: Console, document: dict[str, Any]) -> None:
    for name in ("read", "accepted", "duplicates", "rejected", "untold"):
        console.print(f"{name:<12}{document[name]:>9}")
    if document["rejects_file"]:
        notes.print(f"rejected rows and reasons: {document['rejects_file']}")
