"""`yiwang department UNIT`: work as a unit does, through its own queue and the replies topic."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from routers.receipt import parse_receipt
from streams import parts
from streams.cli.common import Data, Json, Kafka, find, settings_of, show
from streams.cli.errors import DONE, NO, UNREACHABLE, WRONG, Stop
from streams.clock import for_people, now
from streams.decoding import is_demand_id
from streams.department import Change, DepartmentClient, in_order
from streams.messages import DeskNotice, WorkItem

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Work as a unit: see its queue, reply to cases.",
    epilog="Example: yiwang department D-URBAN accept QE79-5SKF-AEA52",
)

_RESULT_SECONDS = 30.0

_WITHHELD = "dispatch_withheld"
_NEWS = timedelta(days=1)
"""How long it is shown that a category was given back; one that is withheld is shown as long as it is."""

Case = Annotated[str, typer.Argument(help="Case id, or the receipt number of a case in the queue.")]
Clerk = Annotated[str | None, typer.Option("--by", help="The clerk, as the unit names its people.")]
ReplyId = Annotated[str | None, typer.Option("--reply-id", help="Your own id of this reply; the same is a repeat.")]


@dataclass(frozen=True, slots=True)
class Desk:
    """Whose work it is, and how to get at it."""

    unit: str
    data: Path | None
    kafka: str | None
    keys: Path | None

    def open(self) -> DepartmentClient:
        """Connect."""
        installation = find(settings_of(data=self.data, kafka=self.kafka))
        return DepartmentClient(installation.access, self.unit, self.keys or installation.settings.keys)


@app.callback()
def department(
    context: typer.Context,
    unit: Annotated[str, typer.Argument(help="Code of the unit.")],
    data: Data = None,
    kafka: Kafka = None,
    keys: Annotated[Path | None, typer.Option("--keys", help="Folder with the unit's signing key.")] = None,
) -> None:
    """Work as a unit: see its queue, reply to cases."""
    context.obj = Desk(unit, data, kafka, keys)


@app.command(epilog="Example: yiwang department D-URBAN work --follow")
def work(
    context: typer.Context,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what changes, until Ctrl-C.")] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show what the unit has open; with --follow and --json each change is one line."""
    with _desk(context, data).open() as client:
        if follow:
            for change in client.follow():
                _tell_change(change, as_json)
            return
        items = in_order(client.open_items().values())
        notices = [each for each in client.notices() if each.code == _WITHHELD or now() - each.at < _NEWS]
    document = {
        "items": [item.model_dump(mode="json", by_alias=True) for item in items],
        "notices": [notice.model_dump(mode="json", by_alias=True) for notice in notices],
    }
    told = [_line(notice) for notice in notices]
    show(document, as_json, lambda console: console.print(*told, _table(items), sep="\n"))


@app.command(epilog="Example: yiwang department D-URBAN accept QE79-5SKF-AEA52")
def accept(
    context: typer.Context,
    case: Case,
    *,
    by: Clerk = None,
    reply_id: ReplyId = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """签收: take a case."""
    _reply(context, case, data, as_json, lambda client, item: client.accept(item, **_who(by, reply_id)))


@app.command(epilog="Example: yiwang department D-URBAN contact QE79-5SKF-AEA52 --text 已电话联系")
def contact(
    context: typer.Context,
    case: Case,
    *,
    text: Annotated[str, typer.Option("--text", help="What was said.")] = "",
    by: Clerk = None,
    reply_id: ReplyId = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """先行联系: record that the citizen was spoken to."""
    _reply(context, case, data, as_json, lambda client, item: client.contact(item, text, **_who(by, reply_id)))


@app.command(epilog="Example: yiwang department D-URBAN note QE79-5SKF-AEA52 --text 已派维修队")
def note(
    context: typer.Context,
    case: Case,
    *,
    text: Annotated[str, typer.Option("--text", help="The progress.")],
    by: Clerk = None,
    reply_id: ReplyId = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """办理进展: note progress."""
    _reply(context, case, data, as_json, lambda client, item: client.note(item, text, **_who(by, reply_id)))


@app.command(epilog="Example: yiwang department D-URBAN reveal QE79-5SKF-AEA52 --purpose contact")
def reveal(
    context: typer.Context,
    case: Case,
    *,
    purpose: Annotated[str, typer.Option("--purpose", help="Why: a code of the city's policies; it is written down.")],
    message: Annotated[str | None, typer.Option("--message", help="Told instead, if the case is confidential.")] = None,
    by: Clerk = None,
    reply_id: ReplyId = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """查阅联系方式: show how to reach the citizen; it is written down."""
    _reply(
        context,
        case,
        data,
        as_json,
        lambda client, item: client.reveal(item, purpose, message=message, **_who(by, reply_id)),
    )


class Result(StrEnum):
    """How a case was done."""

    SOLVED = "solved"
    PARTLY = "partly"
    EXPLAINED = "explained"
    UNSOLVABLE = "unsolvable"


@app.command(epilog="Example: yiwang department D-URBAN answer QE79-5SKF-AEA52 --text 路灯已修复")
def answer(
    context: typer.Context,
    case: Case,
    *,
    text: Annotated[str, typer.Option("--text", help="For the citizen.")],
    result: Annotated[Result, typer.Option("--result", help="How it was done.")] = Result.SOLVED,
    exemption: Annotated[str | None, typer.Option("--exemption", help="Code in place of a contact.")] = None,
    by: Clerk = None,
    reply_id: ReplyId = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """办结: say it is done; from the desk: answer at once."""
    _reply(
        context,
        case,
        data,
        as_json,
        lambda client, item: client.answer(item, text, result=result.value, exemption=exemption, **_who(by, reply_id)),
    )


@app.command("return", epilog="Example: yiwang department D-URBAN return QE79-5SKF-AEA52 --reason R1 --propose D-WATER")
def return_(
    context: typer.Context,
    case: Case,
    *,
    reason: Annotated[str, typer.Option("--reason", help="R1 to R9.")],
    basis: Annotated[str | None, typer.Option("--basis", help="The rule or duty it rests on.")] = None,
    propose: Annotated[str | None, typer.Option("--propose", help="Code of the unit whose it is.")] = None,
    text: Annotated[str | None, typer.Option("--text", help="More.")] = None,
    by: Clerk = None,
    reply_id: ReplyId = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """退单: give a case back that is not the unit's."""
    _reply(
        context,
        case,
        data,
        as_json,
        lambda client, item: client.return_(
            item, reason, basis=basis, propose=propose, text=text, **_who(by, reply_id)
        ),
    )


@app.command(epilog="Example: yiwang department H-HOTLINE dispatch QE79-5SKF-AEA52 --to D-URBAN --reason 市容管理职责")
def dispatch(
    context: typer.Context,
    case: Case,
    *,
    to: Annotated[str, typer.Option("--to", help="Code of the lead.")],
    co: Annotated[list[str] | None, typer.Option("--co", help="Code of a co-handler; may be given again.")] = None,
    category: Annotated[str | None, typer.Option("--category", help="The right category.")] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why.")] = "",
    final: Annotated[bool, typer.Option("--final", help="It cannot be returned.")] = False,
    by: Clerk = None,
    reply_id: ReplyId = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """派单: rule who handles a case (the desk)."""
    _reply(
        context,
        case,
        data,
        as_json,
        lambda client, item: client.dispatch(
            item, to, co=co or (), category=category, reason=reason, final=final, **_who(by, reply_id)
        ),
    )


@app.command(epilog="Example: yiwang department H-HOTLINE split QE79-5SKF-AEA52 --proposed")
def split(
    context: typer.Context,
    case: Case,
    *,
    part: Annotated[
        list[str] | None, typer.Option("--part", help="UNIT:CATEGORY:TEXT, as in U-LIGHT:0505:路灯不亮; one a wish.")
    ] = None,
    proposed: Annotated[bool, typer.Option("--proposed", help="The parts that the machine proposes.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="Why.")] = "",
    by: Clerk = None,
    reply_id: ReplyId = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """拆分: open a case for each wish of a text (the desk)."""
    if proposed == bool(part):
        raise Stop(WRONG, "name each part with --part UNIT:CATEGORY:TEXT, or take the machine's with --proposed")

    def send(client: DepartmentClient, case_id: str) -> str:
        item = client.item(case_id)
        if proposed and item is None:
            raise Stop(NO, "the unit has no such open case; see its queue: work")
        pieces = parts.proposed(item) if proposed and item else [parts.typed(each) for each in part or ()]
        return client.split(case_id, pieces, reason=reason, **_who(by, reply_id))

    _reply(context, case, data, as_json, send)


@app.command(epilog="Example: yiwang department H-HOTLINE decline QE79-5SKF-AEA52 --code COURT --text 请向法院提起诉讼")
def decline(
    context: typer.Context,
    case: Case,
    *,
    code: Annotated[str, typer.Option("--code", help="Coded reason.")],
    text: Annotated[str, typer.Option("--text", help="For the citizen, with the place to turn to.")],
    by: Clerk = None,
    reply_id: ReplyId = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """不予受理: decline a case (the desk)."""
    _reply(context, case, data, as_json, lambda client, item: client.decline(item, code, text, **_who(by, reply_id)))


@app.command("call-back", epilog="Example: yiwang department H-HOTLINE call-back QE79-5SKF-AEA52 --solved --satisfied")
def call_back(
    context: typer.Context,
    case: Case,
    *,
    reached: Annotated[bool, typer.Option("--reached/--not-reached", help="Was the citizen reached?")] = True,
    solved: Annotated[bool | None, typer.Option("--solved/--not-solved", help="Is it solved?")] = None,
    satisfied: Annotated[bool | None, typer.Option("--satisfied/--not-satisfied", help="Is the citizen?")] = None,
    text: Annotated[str | None, typer.Option("--text", help="What was said.")] = None,
    by: Clerk = None,
    reply_id: ReplyId = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """回访: record what the citizen said (the desk)."""
    _reply(
        context,
        case,
        data,
        as_json,
        lambda client, item: client.call_back(
            item, reached=reached, solved=solved, satisfied=satisfied, text=text, **_who(by, reply_id)
        ),
    )


def _desk(context: typer.Context, data: Path | None) -> Desk:
    """Return the desk; `--data` may stand before or after the command."""
    desk = cast("Desk", context.obj)
    return desk if data is None else Desk(desk.unit, data, desk.kafka, desk.keys)


def _who(by: str | None, reply_id: str | None) -> Any:
    return {name: value for name, value in (("by", by), ("reply_id", reply_id)) if value is not None}


def _reply(
    context: typer.Context,
    case: str,
    data: Path | None,
    as_json: bool,
    send: Callable[[DepartmentClient, str], str],
) -> None:
    """Send a reply, and wait on the unit's own queue for what the pipeline makes of it."""
    with _desk(context, data).open() as client:
        case_id = _case_id(client, case)
        reply_id = send(client, case_id)
        found = client.result_of([reply_id], _RESULT_SECONDS).get(reply_id)
        contact = client.contact_of(reply_id) if found is not None and found.contact is not None else None
    if found is None:
        sentence = f"the reply {reply_id} is handed in, but no result came in {_RESULT_SECONDS:.0f} s"
        raise Stop(UNREACHABLE, f"{sentence}; see `yiwang status`, then send it again with --reply-id {reply_id}")
    document: dict[str, Any] = {
        "result": found.code,
        "text": found.text,
        "case_id": case_id,
        "reply_id": reply_id,
    }
    told = [f"{found.code}: {escape(found.text)}"]
    if contact is not None:
        document["contact"] = contact.model_dump(exclude_none=True)
        told += [f"{name}: {escape(value)}" for name, value in document["contact"].items()]
    show(document, as_json, lambda console: console.print("\n".join(told)))
    raise typer.Exit(DONE if found.applied else NO)


def _case_id(client: DepartmentClient, case: str) -> str:
    """Return the id of a case named by id or receipt; a receipt is looked up in the unit's own queue."""
    items = client.open_items()  # and so that only new results are waited for
    if is_demand_id(case.upper()):
        return case.upper()
    try:
        receipt = parse_receipt(case)
    except ValueError:
        raise Stop(WRONG, f"{case} is neither a case id nor a receipt number; see the unit's queue: work") from None
    for item in items.values():
        if item.receipt == receipt:
            return item.case_id
    raise Stop(NO, f"the unit has no open case with the receipt {receipt}; see its queue: work")


def _table(items: list[WorkItem]) -> Table:
    table = Table("receipt", "task", "due", "category", "place", "text", box=None)
    for item in items:
        due = for_people(item.due_at) if item.due_at else ""
        category = item.category_name or item.category
        place = "、".join(filter(None, [item.place.name, *(f"临近{each.name}" for each in item.place.near)]))
        table.add_row(item.receipt, item.task, due, category, place, escape((item.title or item.text)[:60]))
    return table


def _line(notice: DeskNotice) -> str:
    return f"{for_people(notice.at)} {escape(notice.text)}"


def _tell_change(change: Change, as_json: bool) -> None:
    item, notice = change.item, change.notice
    if as_json:
        found: dict[str, Any] = {"unit": change.unit, "case_id": change.case_id, "item": None}
        if notice is not None:
            found = {"unit": change.unit, "notice": notice.model_dump(mode="json", by_alias=True)}
        elif item is not None:
            found["item"] = item.model_dump(mode="json", by_alias=True)
        sys.stdout.write(json.dumps(found, ensure_ascii=False) + "\n")
        sys.stdout.flush()
        return
    if notice is not None:
        Console(highlight=False).print(_line(notice))
        return
    text = f"{item.receipt} {item.task} {item.state} {(item.title or item.text)[:60]}" if item else "done"
    Console(highlight=False).print(f"{change.case_id} {escape(text)}")
