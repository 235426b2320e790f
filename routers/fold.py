"""How each event changes a case. Folding the stored events again gives the same case (I10)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from routers.judgement import closed, ruled
from routers.life import NOTES_SHOWN, Case, CaseState, Custody, Event, Facts, Filed, Held


def fold(case: Case, event: Event, *, facts: Facts | None = None) -> Case:
    """Apply one event.

    Args:
        case: before; `Case(case_id)` before the first event.
        event: what happened.
        facts: the demand, with `case.registered`.
    """
    folded = _FOLDS[event.kind](case, event, event.data)
    return folded.but(seq=case.seq + 1, updated_at=event.at, facts=facts or case.facts)


def replay(case_id: str, events: Iterable[Event], facts: Facts | None) -> Case:
    """Return the case that these events make (invariant I10)."""
    case = Case(case_id)
    for event in events:
        case = fold(case, event, facts=facts if event.kind == "case.registered" else None)
    return case


def _moment(value: Any) -> datetime:
    """Read a time from event data: a datetime when fresh, RFC 3339 text when stored."""
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)


def _hand_over(case: Case, unit: str | None, at: datetime) -> dict[str, Any]:
    """Move custody without a gap: what ends and what begins share one moment."""
    if unit == case.custodian:
        return {}
    custody = case.custody
    if custody and custody[-1].until is None:
        custody = (*custody[:-1], replace(custody[-1], until=at))
    if unit is not None:
        custody = (*custody, Custody(unit, at))
    return {"custodian": unit, "custody": custody}


def _end(case: Case, event: Event, state: CaseState, **changes: Any) -> Case:
    return case.but(state=state, ended_at=event.at, filed=None, **_hand_over(case, None, event.at), **changes)


def _on_registered(case: Case, event: Event, data: Mapping[str, Any]) -> Case:
    return case.but(
        registered_at=event.at,
        category=data.get("category"),
        tier=data["tier"],
        due_at=_moment(data["due_at"]),
        parent=data.get("parent"),
        number=data.get("number"),
        held=(),
        **_hand_over(case, data["desk"], event.at),
    )


def _on_review_requested(case: Case, _event: Event, data: Mapping[str, Any]) -> Case:
    return case.but(state=CaseState.IN_REVIEW, why=data["reason"])


def _on_answered(case: Case, event: Event, data: Mapping[str, Any]) -> Case:
    return _end(case, event, CaseState.ANSWERED, answer=data["text"], rule=data.get("rule"), why=data["by"])


def _on_declined(case: Case, event: Event, data: Mapping[str, Any]) -> Case:
    return _end(case, event, CaseState.DECLINED, answer=data["text"], rule=data["code"])


def _on_dispatched(case: Case, event: Event, data: Mapping[str, Any]) -> Case:
    return case.but(
        state=CaseState.DISPATCHED,
        lead=data["unit"],
        co=tuple(data["co"]),
        dispatches=case.dispatches + 1,
        first_dispatched_at=case.first_dispatched_at or event.at,
        dispatched_at=event.at,
        rule=data.get("rule"),
        why=data["why"],
        category=data.get("category", case.category),
        returnable=data["returnable"],
        accept_by=_moment(data["accept_by"]),
        accepted=False,
        contacted=False,
        filed=None,
        return_reason=None,
        proposed=None,
        escalated=tuple(clock for clock in case.escalated if clock != "accept"),
        watched=data.get("watched", False),
        **ruled(case, event, data["unit"]),
        **_hand_over(case, data["unit"], event.at),
    )


def _on_confirmed(case: Case, event: Event, data: Mapping[str, Any]) -> Case:
    return case.but(
        watched=False,
        co=tuple(data.get("co", case.co)),
        category=data.get("category", case.category),
        returnable=data.get("returnable", case.returnable),
        **ruled(case, event, data["unit"]),
    )


def _on_accepted(case: Case, _event: Event, _data: Mapping[str, Any]) -> Case:
    rest = tuple(clock for clock in case.escalated if clock != "accept")
    return case.but(state=CaseState.IN_PROGRESS, accepted=True, escalated=rest)


def _on_contacted(case: Case, _event: Event, _data: Mapping[str, Any]) -> Case:
    return case.but(contacted=True)


def _noted(case: Case, data: Mapping[str, Any]) -> tuple[str, ...]:
    text = data.get("text")
    return (*case.notes, text)[-NOTES_SHOWN:] if text else case.notes


def _on_noted(case: Case, _event: Event, data: Mapping[str, Any]) -> Case:
    return case.but(notes=_noted(case, data))


def _on_revealed(case: Case, _event: Event, _data: Mapping[str, Any]) -> Case:
    return case


def _on_answer_filed(case: Case, event: Event, data: Mapping[str, Any]) -> Case:
    return case.but(filed=Filed(data["text"], data["result"], event.actor))


def _on_done(case: Case, event: Event, data: Mapping[str, Any]) -> Case:
    desk = case.custody[0].unit
    return case.but(
        state=CaseState.CALL_BACK,
        answer=data["text"],
        result=data["result"],
        contact_exemption=data.get("exemption", case.contact_exemption),
        filed=None,
        watched=False,
        tries=0,
        **_hand_over(case, desk, event.at),
    )


def _on_return_requested(case: Case, event: Event, data: Mapping[str, Any]) -> Case:
    return case.but(
        state=CaseState.RETURN_PENDING,
        returns=case.returns + 1,
        return_reason=data["reason"],
        proposed=data.get("propose"),
        notes=_noted(case, data),
        **_hand_over(case, data["desk"], event.at),
    )


def _on_return_ruled(case: Case, _event: Event, data: Mapping[str, Any]) -> Case:
    if not data["upheld"]:
        return case
    return case.but(ruled_wrong=(*case.ruled_wrong, data["unit"]))


def _on_called_back(case: Case, _event: Event, data: Mapping[str, Any]) -> Case:
    return case.but(tries=case.tries + (0 if data["reached"] else 1), notes=_noted(case, data))


def _on_redo_ordered(case: Case, event: Event, _data: Mapping[str, Any]) -> Case:
    return case.but(
        state=CaseState.IN_PROGRESS, redo=case.redo + 1, answer=None, **_hand_over(case, case.lead, event.at)
    )


def _on_closed(case: Case, event: Event, data: Mapping[str, Any]) -> Case:
    return _end(case, event, CaseState.CLOSED, exemption=data.get("exemption"), **closed(case, event))


def _on_urged(case: Case, _event: Event, data: Mapping[str, Any]) -> Case:
    return case.but(urged=case.urged + 1, notes=_noted(case, data))


def _on_withdrawn(case: Case, event: Event, _data: Mapping[str, Any]) -> Case:
    return _end(case, event, CaseState.WITHDRAWN)


def _on_split(case: Case, event: Event, data: Mapping[str, Any]) -> Case:
    return _end(case, event, CaseState.SPLIT, children=tuple(part["case_id"] for part in data["parts"]), watched=False)


def _on_escalated(case: Case, _event: Event, data: Mapping[str, Any]) -> Case:
    return case.but(escalated=(*case.escalated, data["clock"]))


def _on_held(case: Case, event: Event, data: Mapping[str, Any]) -> Case:
    held = Held(
        data["held"],
        data["id"],
        _moment(data["said_at"]),
        data["channel"],
        data.get("text"),
        data.get("solved"),
        data.get("satisfied"),
        since=event.at,
    )
    return case.but(held=(*case.held, held))


def _on_lapsed(case: Case, _event: Event, _data: Mapping[str, Any]) -> Case:
    return case.but(held=(), lapses=case.lapses + 1)


_FOLDS: Mapping[str, Callable[[Case, Event, Mapping[str, Any]], Case]] = {
    "case.registered": _on_registered,
    "case.review_requested": _on_review_requested,
    "case.answered": _on_answered,
    "case.declined": _on_declined,
    "case.dispatched": _on_dispatched,
    "case.confirmed": _on_confirmed,
    "case.accepted": _on_accepted,
    "case.contacted": _on_contacted,
    "case.progress_noted": _on_noted,
    "case.contact_revealed": _on_revealed,
    "case.message_relayed": _on_noted,
    "case.supplemented": _on_noted,
    "case.answer_filed": _on_answer_filed,
    "case.done": _on_done,
    "case.return_requested": _on_return_requested,
    "case.return_ruled": _on_return_ruled,
    "case.called_back": _on_called_back,
    "case.redo_ordered": _on_redo_ordered,
    "case.closed": _on_closed,
    "case.urged": _on_urged,
    "case.withdrawn": _on_withdrawn,
    "case.split": _on_split,
    "case.escalated": _on_escalated,
    "case.follow_up_held": _on_held,
    "case.follow_up_lapsed": _on_lapsed,
}
EVENT_KINDS = tuple(_FOLDS)
