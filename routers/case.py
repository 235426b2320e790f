"""The life of a case (工单), as one table.

`decide` answers an input with events or with a refusal; `fold` applies one event. Both are
pure: no clock, no disk. Inputs may come in any order between topics; whatever the order,
the invariants of `docs/architecture.md` hold:

* I1 an open case has exactly one custodian; the desk holds it while no unit does;
* I2 its custody intervals tile its life without gap or overlap;
* I3 one lead (主办), any number of co-handlers (协办), nobody both;
* I4 a unit ruled wrong does not get the case back;
* I5 a case ruled finally is not returned, and returns are bounded;
* I6 done needs an answer, a result, and a contact record or a coded exemption;
* I10 folding the stored events again gives the same case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from routers.city import City
from routers.demand import Ruling
from routers.fold import fold
from routers.inputs import (
    Accept,
    Answer,
    CallBack,
    ClockRanOut,
    Contact,
    Decline,
    Input,
    Note,
    Register,
    Return,
    Reveal,
    Rule,
    Split,
    Supplement,
    Urge,
    Withdraw,
)
from routers.life import ENDED, OPEN, WITH_DESK, WITH_UNIT, Case, CaseState, Decision, Event, Held, Refusal, Role
from routers.moves import (
    accept,
    already,
    answer_at_desk,
    call_back,
    can_handle,
    contact,
    contact_late,
    decline,
    dispatched,
    done,
    event,
    hold,
    note,
    ran_out,
    return_,
    reveal,
    rule_,
    supplement,
    urge,
    withdraw,
)
from routers.split import split


def decide(case: Case | None, given: Input, now: datetime, city: City) -> Decision:
    """Answer one input.

    Args:
        case: as folded so far; None when the ledger has none of this id.
        given: the input; its sender is already authenticated.
        now: the moment of decision (UTC).
        city: units, limits and policies.

    Returns:
        The events to store, in order, or why not.
    """
    state = case.state if case else CaseState.NEW
    if case is None and not isinstance(given, Register | Urge | Supplement | Withdraw | CallBack):
        return Refusal("unknown_case")
    current = case or Case(case_id="")
    roles = roles_of(current, given.actor, city)
    allowed = False
    for row in _ROWS.get((state, type(given)), ()):
        allowed = True
        if row.roles & roles:
            at = max(now, current.updated_at) if current.updated_at else now
            return row.decide(current, given, at, city)
    if allowed:
        return Refusal("not_yours" if roles else "not_your_case")
    if state is CaseState.NEW:
        return Refusal("unknown_case")
    if state is CaseState.SPLIT and not isinstance(given, Split):
        return Refusal("case_split")
    return Refusal("case_ended" if state in ENDED else "not_in_this_state")


def roles_of(case: Case, actor: str, city: City) -> frozenset[Role]:
    """Return everything an actor is to this case; empty for a unit that has nothing to do with it."""
    if actor in _OUTSIDE:
        return _OUTSIDE[actor]
    roles = set()
    if actor == case.lead:
        roles.add(Role.LEAD)
    if actor in case.co:
        roles.add(Role.CO_HANDLER)
    if actor == city.policies.desk:
        roles.add(Role.DESK)
    if actor == city.policies.supervisor:
        roles.add(Role.SUPERVISOR)
    return frozenset(roles)


_OUTSIDE = {role.value: frozenset({role}) for role in (Role.CITIZEN, Role.CLOCK, Role.PIPELINE)}


def _register(case: Case, given: Register, at: datetime, city: City) -> Decision:
    tier = given.tier if given.tier in city.tiers else next(iter(city.tiers))
    verdict = given.verdict
    events = [
        event(
            "case.registered",
            at,
            given,
            category=given.facts.classification.category,
            tier=tier,
            desk=city.policies.desk,
            due_at=(given.since or at) + city.tiers[tier].close,
            parent=given.parent,
            number=given.number,
        )
    ]
    match verdict.ruling:
        case Ruling.ANSWER | Ruling.ANSWERED:
            events.append(
                event("case.answered", at, given, text=verdict.text or "", by=verdict.reason, rule=verdict.rule)
            )
        case Ruling.DECLINE:
            events.append(
                event("case.declined", at, given, code=verdict.rule or verdict.reason, text=verdict.text or "")
            )
        case Ruling.DISPATCH if verdict.unit and can_handle(verdict.unit, city):
            why = "; ".join(filter(None, (verdict.rule, verdict.reason, "、".join(given.facts.classification.why))))
            events.append(
                dispatched(
                    at,
                    replace(given, actor=given.ruled_by) if given.ruled_by is not None else given,
                    tier,
                    city,
                    to=verdict.unit,
                    co=verdict.co,
                    rule=verdict.rule,
                    why=why,
                    watched=verdict.watch,
                )
            )
        case _:
            reason = verdict.reason if verdict.ruling is Ruling.DESK else "unknown_unit"
            events.append(event("case.review_requested", at, given, reason=reason))
    return tuple(events) + _release_held(case, given, events, at, city)


def _release_held(case: Case, given: Register, events: Iterable[Event], at: datetime, city: City) -> tuple[Event, ...]:
    """Apply the follow-ups that came before their demand, in the order they came."""
    released: list[Event] = []
    so_far = case
    for first in events:
        so_far = fold(so_far, first, facts=given.facts)
    for held in case.held:
        decision = decide(so_far, _unheld(held), at, city)
        if not isinstance(decision, Refusal):
            for follows in decision:
                so_far = fold(so_far, follows)
            released.extend(decision)
    return tuple(released)


def _unheld(held: Held) -> Input:
    match held.kind:
        case "urge":
            return Urge(held.id, held.at, Role.CITIZEN, held.text, held.channel)
        case "supplement":
            return Supplement(held.id, held.at, Role.CITIZEN, held.text or "", held.channel)
        case "withdraw":
            return Withdraw(held.id, held.at, Role.CITIZEN, held.text, held.channel)
        case _:
            return CallBack(held.id, held.at, Role.CITIZEN, True, held.solved, held.satisfied, held.text, held.channel)


@dataclass(frozen=True, slots=True)
class Row:
    """In these states, this input from these roles can give these events."""

    states: frozenset[CaseState]
    given: type[Input]
    roles: frozenset[Role]
    events: tuple[str, ...]
    decide: Callable[[Case, Any, datetime, City], Decision]


def _row(
    states: Iterable[CaseState] | CaseState,
    given: type[Input],
    roles: Iterable[Role] | Role,
    events: str,
    decide: Callable[[Case, Any, datetime, City], Decision],
) -> Row:
    states = {states} if isinstance(states, CaseState) else states
    roles = {roles} if isinstance(roles, Role) else roles
    return Row(frozenset(states), given, frozenset(roles), tuple(f"case.{name}" for name in events.split()), decide)


_S = CaseState
_R = Role
_RULERS = (_R.DESK, _R.SUPERVISOR)
_STAFF = (_R.LEAD, _R.CO_HANDLER, _R.DESK, _R.SUPERVISOR)
_FOLLOW_UPS = "urged supplemented withdrawn called_back closed redo_ordered"

TABLE: tuple[Row, ...] = (
    # states, input, who, what may happen, decided by
    _row(
        _S.NEW,
        Register,
        _R.PIPELINE,
        f"registered answered declined dispatched review_requested {_FOLLOW_UPS}",
        _register,
    ),
    _row(_S.NEW, Urge, _R.CITIZEN, "follow_up_held", hold),
    _row(_S.NEW, Supplement, _R.CITIZEN, "follow_up_held", hold),
    _row(_S.NEW, Withdraw, _R.CITIZEN, "follow_up_held", hold),
    _row(_S.NEW, CallBack, _R.CITIZEN, "follow_up_held", hold),
    _row(_S.NEW, ClockRanOut, _R.CLOCK, "follow_up_lapsed", ran_out),
    _row(_S.IN_REVIEW, Rule, _RULERS, "dispatched", rule_),
    _row({_S.IN_REVIEW, _S.RETURN_PENDING, *WITH_UNIT}, Split, _R.DESK, "split", split),
    _row(_S.IN_REVIEW, Answer, _R.DESK, "answered", answer_at_desk),
    _row({_S.IN_REVIEW, _S.RETURN_PENDING}, Decline, _RULERS, "declined", decline),
    _row(_S.DISPATCHED, Accept, _R.LEAD, "accepted", accept),
    _row({_S.IN_PROGRESS, _S.CALL_BACK, *ENDED}, Accept, _R.LEAD, "", already),
    _row(WITH_UNIT, Contact, _R.LEAD, "accepted contacted done", contact),
    _row(_S.CALL_BACK, Contact, _R.LEAD, "contacted", contact_late),
    _row(OPEN, Note, _STAFF, "progress_noted", note),
    _row(WITH_UNIT, Reveal, _R.LEAD, "contact_revealed message_relayed", reveal),
    _row(WITH_DESK, Reveal, _R.DESK, "contact_revealed", reveal),
    _row(WITH_UNIT, Answer, _R.LEAD, "accepted done answer_filed", done),
    _row(_S.DISPATCHED, Return, _R.LEAD, "return_requested", return_),
    _row(_S.RETURN_PENDING, Rule, _RULERS, "return_ruled dispatched", rule_),
    _row(WITH_UNIT, Rule, _RULERS, "dispatched confirmed", rule_),
    _row(_S.CALL_BACK, CallBack, (_R.DESK, _R.CITIZEN), "called_back closed redo_ordered", call_back),
    _row(OPEN, Urge, _R.CITIZEN, "urged", urge),
    _row(OPEN, Supplement, _R.CITIZEN, "supplemented", supplement),
    _row(OPEN, Withdraw, _R.CITIZEN, "withdrawn", withdraw),
    _row({*OPEN, *ENDED}, ClockRanOut, _R.CLOCK, "escalated", ran_out),
)
"""Who may do what, when, and what comes of it. What no row allows is refused and recorded."""

_ROWS: dict[tuple[CaseState, type[Input]], list[Row]] = {}
for _each in TABLE:
    for _state in _each.states:
        _ROWS.setdefault((_state, _each.given), []).append(_each)
