"""What each input does to a case: one function per row of `routers.case.TABLE`.

Every function takes the case, the input, the moment of decision (UTC) and the city,
and returns events or a refusal.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from routers.city import City
from routers.confidential import confidential
from routers.follow import clocks
from routers.inputs import (
    Accept,
    Answer,
    CallBack,
    ClockRanOut,
    Contact,
    Decline,
    Input,
    Note,
    Return,
    Reveal,
    Rule,
    Supplement,
    Urge,
    Withdraw,
)
from routers.life import HELD_AT_MOST, WITH_UNIT, Case, CaseState, Decision, Event, Refusal


def event(kind: str, at: datetime, given: Input, **data: Any) -> Event:
    """Return an event of now; fields without a value are left out."""
    return Event(kind, at, given.actor, {key: value for key, value in data.items() if value is not None})


def hold(case: Case, given: Urge | Supplement | Withdraw | CallBack, at: datetime, _city: City) -> Decision:
    """A follow-up overtook its demand: keep it until the demand comes."""
    if len(case.held) >= HELD_AT_MOST:
        return Refusal("too_many_held")
    kinds = {Urge: "urge", Supplement: "supplement", Withdraw: "withdraw", CallBack: "rate"}
    data: dict[str, Any] = {"held": kinds[type(given)], "id": given.id, "channel": given.channel, "text": given.text}
    if isinstance(given, CallBack):
        data |= {"solved": given.solved, "satisfied": given.satisfied}
    return (event("case.follow_up_held", at, given, said_at=given.at, **data),)


def can_handle(unit: str, city: City) -> bool:
    """Tell whether a unit can be the handling unit: known, dispatchable, not virtual."""
    known = city.units.get(unit)
    return known is not None and known.dispatchable and known.kind != "virtual"


def dispatched(
    at: datetime,
    given: Input,
    tier: str,
    city: City,
    *,
    to: str,
    co: Iterable[str],
    rule: str | None,
    why: str,
    returnable: bool = True,
    category: str | None = None,
    watched: bool = False,
) -> Event:
    """Return the event that gives a case to a unit, with the time by which it must accept."""
    others = [unit for unit in dict.fromkeys(co) if unit != to and can_handle(unit, city)]
    return event(
        "case.dispatched",
        at,
        given,
        unit=to,
        co=others,
        rule=rule,
        why=why,
        returnable=returnable,
        category=category,
        watched=watched or None,
        accept_by=at + city.tiers[tier].accept,
    )


def rule_(case: Case, given: Rule, at: datetime, city: City) -> Decision:
    """派单, 改派, 裁定: a return is upheld when another unit gets the case, rejected when the same does.

    What is with a unit the desk may move only while it watches it; that it may stay there is said by naming the unit.
    """
    if case.state in WITH_UNIT and given.actor != city.policies.supervisor:
        if not case.watched:
            return Refusal("not_yours")
        if given.to == case.lead:
            return _confirmed(case, given, at, city)
    if not can_handle(given.to, city):
        return Refusal("unknown_unit")
    if given.category is not None and given.category not in city.categories:
        return Refusal("unknown_category")
    if given.to in case.ruled_wrong:
        return Refusal("ruled_wrong")
    events = []
    final = given.final or case.returns >= city.policies.max_returns
    wrong = case.ruled_wrong
    if case.state is CaseState.RETURN_PENDING:
        upheld = given.to != case.lead
        final = final or not upheld
        wrong = (*wrong, case.lead) if upheld and case.lead else wrong
        events.append(event("case.return_ruled", at, given, upheld=upheld, unit=case.lead, reason=given.reason))
    why = given.reason or "desk"
    co = [unit for unit in given.co if unit not in wrong]
    events.append(
        dispatched(
            at,
            given,
            case.tier,
            city,
            to=given.to,
            co=co,
            rule="ruling",
            why=why,
            returnable=not final,
            category=given.category,
        )
    )
    return tuple(events)


def _confirmed(case: Case, given: Rule, at: datetime, city: City) -> Decision:
    if given.category is not None and given.category not in city.categories:
        return Refusal("unknown_category")
    others = {case.lead, *case.ruled_wrong}
    helpers = [unit for unit in dict.fromkeys(given.co) if unit not in others and can_handle(unit, city)]
    return (
        event(
            "case.confirmed",
            at,
            given,
            unit=case.lead,
            co=helpers or None,
            category=given.category,
            returnable=False if given.final else None,
            reason=given.reason or None,
        ),
    )


def decline(_case: Case, given: Decline, at: datetime, city: City) -> Decision:
    """不予受理, with the place to turn to."""
    if given.code not in city.policies.decline_codes:
        return Refusal("unknown_decline_code")
    return (event("case.declined", at, given, code=given.code, text=given.text),)


def answer_at_desk(_case: Case, given: Answer, at: datetime, _city: City) -> Decision:
    """直接答复: the desk answers itself."""
    return (event("case.answered", at, given, text=given.text, by="desk"),)


def accept(_case: Case, given: Accept, at: datetime, _city: City) -> Decision:
    """签收."""
    return (event("case.accepted", at, given),)


def already(_case: Case, _given: Input, _at: datetime, _city: City) -> Decision:
    """It had its effect before: nothing to do, nothing to refuse."""
    return ()


def accepted_first(case: Case, given: Input, at: datetime) -> list[Event]:
    """A unit that acts has accepted, even when its acceptance is still on the way."""
    return [] if case.accepted else [event("case.accepted", at, given, implied=True)]


def contact(case: Case, given: Contact, at: datetime, _city: City) -> Decision:
    """先行联系; an answer that waited for it takes effect."""
    events = accepted_first(case, given, at)
    events.append(event("case.contacted", at, given, text=given.text))
    if case.filed:
        filed = case.filed
        events.append(Event("case.done", at, filed.by, {"text": filed.text, "result": filed.result}))
    return tuple(events)


def contact_late(case: Case, given: Contact, at: datetime, _city: City) -> Decision:
    """A contact note that its own answer overtook is still worth keeping."""
    return () if case.contacted else (event("case.contacted", at, given, text=given.text),)


def note(_case: Case, given: Note, at: datetime, _city: City) -> Decision:
    """进展."""
    return (event("case.progress_noted", at, given, text=given.text),)


def reveal(case: Case, given: Reveal, at: datetime, city: City) -> Decision:
    """查阅联系方式: for a purpose of the city's; a hidden sender is not shown to the unit, but may be left a message.

    The desk, which calls back, sees the contact of a hidden sender too: it is the desk that keeps the secret.
    """
    if given.purpose not in city.policies.reveal_purposes:
        return Refusal("unknown_purpose")
    if case.state in WITH_UNIT and confidential(case, city):
        if not given.message.strip():
            return Refusal("confidential")
        data = {"purpose": given.purpose, "clerk": given.clerk}
        return (event("case.message_relayed", at, given, text=given.message, **data),)
    if case.facts is None or not case.facts.reachable:
        return Refusal("no_contact")
    return (event("case.contact_revealed", at, given, purpose=given.purpose, clerk=given.clerk),)


def done(case: Case, given: Answer, at: datetime, city: City) -> Decision:
    """办结: to the desk for call-back, once the citizen was contacted (I6); until then the answer is filed."""
    if not given.text.strip():
        return Refusal("answer_missing")
    if given.exemption is not None and given.exemption not in city.policies.contact_exemptions:
        return Refusal("unknown_exemption")
    events = accepted_first(case, given, at)
    exemption = given.exemption or (None if case.facts is None or case.facts.reachable else "no_contact")
    if case.contacted or exemption:
        events.append(
            event(
                "case.done",
                at,
                given,
                text=given.text,
                result=given.result,
                exemption=None if case.contacted else exemption,
            )
        )
    else:
        events.append(event("case.answer_filed", at, given, text=given.text, result=given.result))
    return tuple(events)


def return_(case: Case, given: Return, at: datetime, city: City) -> Decision:
    """退单: reason, basis and proposal as the policy asks, within the bound (I5)."""
    reason = city.policies.return_reasons.get(given.reason)
    if reason is None:
        return Refusal("unknown_return_reason")
    if not case.returnable or case.returns >= city.policies.max_returns:
        return Refusal("not_returnable")
    if reason.needs_basis and not (given.basis or "").strip():
        return Refusal("basis_missing")
    if reason.needs_proposal and given.propose is None:
        return Refusal("proposal_missing")
    if given.propose is not None and not can_handle(given.propose, city):
        return Refusal("unknown_unit")
    return (
        event(
            "case.return_requested",
            at,
            given,
            reason=given.reason,
            basis=given.basis,
            propose=given.propose,
            text=given.text,
            desk=city.policies.desk,
        ),
    )


def call_back(case: Case, given: CallBack, at: datetime, city: City) -> Decision:  # noqa: PLR0911 - one a case
    """回访 or 评价: solved closes; unsolved orders a redo while one is left; unreachable closes after some tries."""
    called = event(
        "case.called_back",
        at,
        given,
        reached=given.reached,
        solved=given.solved,
        satisfied=given.satisfied,
        text=given.text,
    )
    if not given.reached:
        if case.facts is not None and not case.facts.reachable:
            return (called, event("case.closed", at, given, exemption="no_contact"))
        if case.tries + 1 >= city.policies.call_back_tries:
            return (called, event("case.closed", at, given, exemption="unreachable"))
        return (called,)
    if given.solved is None:
        return Refusal("solved_missing")
    if given.solved:
        return (called, event("case.closed", at, given))
    if case.redo < city.policies.max_redo:
        return (called, event("case.redo_ordered", at, given, text=given.text))
    return (called, event("case.closed", at, given, exemption="redo_used_up"))


def urge(_case: Case, given: Urge, at: datetime, _city: City) -> Decision:
    """催办."""
    return (event("case.urged", at, given, text=given.text),)


def supplement(_case: Case, given: Supplement, at: datetime, _city: City) -> Decision:
    """补充."""
    return (event("case.supplemented", at, given, text=given.text),)


def withdraw(_case: Case, given: Withdraw, at: datetime, _city: City) -> Decision:
    """撤诉."""
    return (event("case.withdrawn", at, given, text=given.text),)


def ran_out(case: Case, given: ClockRanOut, at: datetime, city: City) -> Decision:
    """First rung of the ladder: the case also goes to the supervisor's queue."""
    due_at, generation = clocks(case).get(given.clock, (at, None))
    # The ticker may run on a machine whose time is ahead: what it has seen run out, has.
    if generation != given.generation or max(at, given.at) < due_at:
        return ()
    at = max(at, due_at)
    if given.clock == "orphan":
        return (event("case.follow_up_lapsed", at, given),)
    return (event("case.escalated", at, given, clock=given.clock, to=city.policies.supervisor),)
