"""Single cases: find one, list some, tell a whole life; personal data were masked before they came here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select

from routers.life import Role
from routers.receipt import receipt
from sinks.ledger import case_of
from sinks.queries import CASE, CLOCK, EVENT, INPUT, OPEN_STATES, PART

_DECISIONS: Mapping[str, tuple[str, ...]] = {
    "case.dispatched": ("unit", "co", "rule", "why", "returnable", "accept_by"),
    "case.confirmed": ("unit", "reason"),
    "case.review_requested": ("reason",),
    "case.answered": ("by", "rule"),
    "case.declined": ("code",),
    "case.return_ruled": ("upheld", "unit", "reason"),
    "case.split": ("parts", "reason"),
    "case.redo_ordered": ("text",),
    "case.closed": ("exemption",),
    "case.contact_revealed": ("purpose", "clerk", "fields"),
    "case.message_relayed": ("purpose", "clerk"),
}
"""The events in which something was ruled, and what of them says by which rule and why."""


@dataclass(frozen=True, slots=True)
class CaseLine:
    """One case in a list."""

    case_id: str
    receipt: str
    state: str
    unit: str | None
    """Who holds it; for an ended case, who handled it."""
    category: str | None
    kind: str | None
    channel: str | None
    registered_at: datetime | None
    due_at: datetime | None
    ended_at: datetime | None
    escalated: bool


def case_list(
    moment: Connection,
    *,
    unit: str | None = None,
    state: str | None = None,
    due_before: datetime | None = None,
    limit: int = 100,
) -> list[CaseLine]:
    """Return cases, the most urgent first.

    Args:
        moment: where to ask.
        unit: only those this unit holds, or handled before they ended.
        state: only those in this state.
        due_before: only open ones whose answer is due before this moment.
        limit: cases at most.
    """
    holder = func.coalesce(CASE.c.custodian, CASE.c.lead)
    wanted: list[ColumnElement[bool]] = [CASE.c.registered_at.is_not(None)]
    if unit is not None:
        wanted.append(or_(CASE.c.custodian == unit, and_(CASE.c.custodian.is_(None), CASE.c.lead == unit)))
    if state is not None:
        wanted.append(CASE.c.state == state)
    if due_before is not None:
        wanted += [CASE.c.due_at < due_before, CASE.c.state.in_(OPEN_STATES)]
    columns = (
        *(CASE.c[name] for name in ("case_id", "receipt", "state")),
        holder,
        *(CASE.c[name] for name in ("category", "kind", "channel", "registered_at", "due_at", "ended_at", "escalated")),
    )
    statement = select(*columns).where(*wanted).order_by(CASE.c.due_at, CASE.c.case_id).limit(limit)
    return [CaseLine(*row) for row in moment.execute(statement)]


def find_case(moment: Connection, name: str) -> str | None:
    """Return the id of the case with this id or receipt number, None where there is none."""
    statement = select(CASE.c.case_id).where(or_(CASE.c.case_id == name, CASE.c.receipt == name)).limit(1)
    found: str | None = moment.execute(statement).scalar()
    return found


def case_file(moment: Connection, name: str) -> dict[str, Any] | None:
    """Return everything the ledger knows of a case, ready for JSON (times as RFC 3339 UTC).

    Args:
        moment: where to ask (`sinks.queries.snapshot`).
        name: case id or receipt number.

    Returns:
        The document of `yiwang case show --json`; None when there is no such case.
    """
    case_id = find_case(moment, name)
    if case_id is None:
        return None
    row = moment.execute(select(CASE).where(CASE.c.case_id == case_id)).one()
    case = case_of(row.life, row.facts)
    facts = case.facts
    events = _events(moment, case_id)
    inputs = _inputs(moment, case_id)
    return {
        "case_id": case_id,
        "receipt": row.receipt,
        "state": row.state,
        "unit": row.custodian or row.lead,
        "lead": case.lead,
        "co": list(case.co),
        "category": row.category,
        "kind": row.kind,
        "channel": row.channel,
        "tier": row.tier,
        "title": facts.title if facts else None,
        "text": facts.text if facts else None,
        "address": facts.address if facts else None,
        "place": facts.place.model_dump(mode="json", exclude_none=True) if facts else None,
        "classification": facts.classification.model_dump(mode="json", exclude_none=True) if facts else None,
        "candidates": [each.model_dump(mode="json") for each in facts.candidates] if facts else [],
        "parts": [each.model_dump(mode="json", exclude_none=True) for each in facts.parts] if facts else [],
        "created_at": _rfc3339(facts.created_at) if facts else None,
        "received_at": _rfc3339(facts.received_at) if facts else None,
        "registered_at": _rfc3339(row.registered_at),
        "due_at": _rfc3339(row.due_at),
        "ended_at": _rfc3339(row.ended_at),
        "escalated": list(case.escalated),
        "exemption": row.exemption,
        "answer": case.answer,
        "result": case.result,
        "origin": next((each["origin"] for each in inputs if each["kind"] == "demand" and each["origin"]), None),
        "events": events,
        "inputs": inputs,
        "clocks": _clocks(moment, case_id),
        "custody": [
            {"unit": each.unit, "since": _rfc3339(each.since), "until": _rfc3339(each.until)} for each in case.custody
        ],
        "decisions": [_decision(each) for each in events if each["kind"] in _DECISIONS],
        "parent": parent_of(moment, case_id),
        "children": _children(moment, case_id),
    }


def parent_of(moment: Connection, case_id: str) -> str | None:
    """Return the case of which this one is a part, opened by a split; None for a demand of its own."""
    return moment.execute(select(PART.c.parent).where(PART.c.case_id == case_id)).scalar_one_or_none()


def parts_of(moment: Connection, case_id: str) -> list[str]:
    """Return the parts of a case that was split, in their order."""
    statement = select(PART.c.case_id).where(PART.c.parent == case_id).order_by(PART.c.number)
    return list(moment.execute(statement).scalars())


def _children(moment: Connection, case_id: str) -> list[dict[str, Any]]:
    """Tell what became of each part; one that is not opened yet has no state."""
    parts = parts_of(moment, case_id)
    found = {row.case_id: row for row in moment.execute(select(CASE).where(CASE.c.case_id.in_(parts)))} if parts else {}
    told = []
    for part in parts:
        row = found.get(part)
        case = case_of(row.life, None) if row is not None else None
        told.append(
            {
                "case_id": part,
                "receipt": receipt(part),
                "state": row.state if row is not None else None,
                "unit": (row.custodian or row.lead) if row is not None else None,
                "category": row.category if row is not None else None,
                "answer": case.answer if case is not None else None,
            }
        )
    return told


def first_rulings(moment: Connection) -> dict[str, dict[str, Any]]:
    """Return, for each way out of triage that was taken, the file of the first case that took it.

    Args:
        moment: where to ask.

    Returns:
        `dispatched`, `review_requested`, `answered`, `declined` to what `case_file` tells.
    """
    ways = ("case.dispatched", "case.review_requested", "case.answered", "case.declined")
    statement = (
        select(EVENT.c.kind, func.min(EVENT.c.case_id))
        .where(EVENT.c.kind.in_(ways), EVENT.c.actor == Role.PIPELINE)
        .group_by(EVENT.c.kind)
    )
    found = {kind.removeprefix("case."): case_file(moment, case_id) for kind, case_id in moment.execute(statement)}
    return {kind: file for kind, file in found.items() if file is not None}


def _events(moment: Connection, case_id: str) -> list[dict[str, Any]]:
    statement = select(EVENT).where(EVENT.c.case_id == case_id).order_by(EVENT.c.seq)
    return [
        {
            "seq": row.seq,
            "kind": row.kind,
            "actor": row.actor,
            "at": _rfc3339(row.at),
            "input_id": row.input_id,
            "data": json.loads(row.data),
        }
        for row in moment.execute(statement)
    ]


def _inputs(moment: Connection, case_id: str) -> list[dict[str, Any]]:
    statement = (
        select(INPUT)
        .where(INPUT.c.case_id == case_id)
        .order_by(INPUT.c.decided_at, INPUT.c.topic, INPUT.c.partition, INPUT.c.offset)
    )
    return [
        {
            "input_id": row.input_id,
            "kind": row.kind,
            "actor": row.actor,
            "disposition": row.disposition,
            "code": row.code,
            "decided_at": _rfc3339(row.decided_at),
            "record": {"topic": row.topic, "partition": row.partition, "offset": row.offset},
            "origin": None
            if row.origin_topic is None
            else {"topic": row.origin_topic, "partition": row.origin_partition, "offset": row.origin_offset},
        }
        for row in moment.execute(statement)
    ]


def _clocks(moment: Connection, case_id: str) -> list[dict[str, Any]]:
    statement = select(CLOCK).where(CLOCK.c.case_id == case_id).order_by(CLOCK.c.due_at)
    return [
        {
            "clock": row.clock,
            "due_at": _rfc3339(row.due_at),
            "generation": row.generation,
            "emitted_at": _rfc3339(row.emitted_at),
        }
        for row in moment.execute(statement)
    ]


def _decision(event: Mapping[str, Any]) -> dict[str, Any]:
    data = event["data"]
    told = {name: data[name] for name in _DECISIONS[event["kind"]] if name in data}
    return {"seq": event["seq"], "decision": event["kind"].removeprefix("case."), "at": event["at"]} | {
        "actor": event["actor"],
        **told,
    }


def _rfc3339(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")
