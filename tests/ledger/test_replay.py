"""Invariant I10: folding the stored events again gives the stored case, whatever happened to it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from routers.case import decide
from routers.demand import Candidate, Ruling, Verdict
from routers.fold import replay
from routers.follow import clocks
from routers.inputs import (
    Accept,
    Answer,
    CallBack,
    ClockRanOut,
    Contact,
    Input,
    Note,
    Register,
    Return,
    Rule,
    Supplement,
    Urge,
    Withdraw,
)
from routers.judgement import judgement
from routers.life import Case, Facts, Refusal
from sinks.ledger import Batch, Ledger, event_of
from sinks.rows import CLOCK, EVENT, JUDGEMENT
from tests.cities import qinglan
from tests.filled_ledger import NINE, case_id, facts
from tests.ledger.stories import happens

CITY = qinglan()
DESK, SUPERVISOR = CITY.policies.desk, CITY.policies.supervisor
UNITS = ("U-WATER", "U-ROAD", "S01")
_NUMBERS = count(1)
_TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)
_STAFF = st.sampled_from((*UNITS, *UNITS, DESK, SUPERVISOR))
_MOMENTS = st.integers(0, 60 * 24 * 9).map(lambda minutes: NINE + timedelta(minutes=minutes))
_YES_NO = st.sampled_from((True, False, None))


def said(kind: type[Input], actors: st.SearchStrategy[str], **fields: Any) -> st.SearchStrategy[Input]:
    """One thing somebody may say, at some time."""
    return st.builds(kind, id=st.integers(0, 10**9).map(str), at=_MOMENTS, actor=actors, **fields)


_CITIZEN = st.just("citizen")
_RETURN_REASONS = st.sampled_from(sorted(CITY.policies.return_reasons))
_TIERS = st.sampled_from(sorted(CITY.tiers))


def _facts(at: datetime, *, reachable: bool) -> Facts:
    said = facts("app", at)
    owner = Candidate(unit=UNITS[0], category=said.classification.category or "", score=1, why="")
    return said.model_copy(update={"reachable": reachable, "candidates": (owner,)})


_REGISTERS = st.builds(
    lambda at, verdict, tier, reachable: Register(
        "demand", at, "pipeline", _facts(at, reachable=reachable), verdict, tier
    ),
    _MOMENTS,
    st.builds(
        Verdict,
        ruling=st.sampled_from(Ruling),
        reason=st.just("test"),
        unit=st.sampled_from(UNITS),
        text=_TEXTS,
        watch=st.booleans(),
    ),
    _TIERS,
    st.booleans(),
)
_INPUTS = st.one_of(
    said(Urge, _CITIZEN, text=_TEXTS),
    said(Supplement, _CITIZEN, text=_TEXTS),
    said(Withdraw, _CITIZEN),
    said(Accept, _STAFF),
    said(Contact, _STAFF, text=_TEXTS),
    said(Note, _STAFF, text=_TEXTS),
    said(Answer, _STAFF, text=_TEXTS, result=st.just("solved")),
    said(Return, _STAFF, reason=_RETURN_REASONS, basis=_TEXTS, propose=st.sampled_from(UNITS)),
    said(Rule, _STAFF, to=st.sampled_from(UNITS), final=st.booleans(), reason=_TEXTS),
    said(CallBack, st.sampled_from((DESK, "citizen")), reached=st.booleans(), solved=_YES_NO, text=_TEXTS),
    said(
        ClockRanOut, st.just("clock"), clock=st.sampled_from(("accept", "due", "orphan")), generation=st.integers(0, 3)
    ),
)


@given(st.lists(_INPUTS, max_size=3), _REGISTERS, st.lists(st.lists(_INPUTS, max_size=6), max_size=6))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_the_stored_events_of_any_history_make_the_stored_case(
    ledger: Ledger, other: Ledger, early: Sequence[Input], register: Register, batches: Sequence[Sequence[Input]]
) -> None:
    name = case_id(next(_NUMBERS))
    now = NINE
    for number, part in enumerate([[*early, register], *batches]):
        writer = (ledger, other)[number % 2]  # who writes has never what the other one remembers
        before = writer.load([name], [], [], []).cases.get(name)
        case = before or Case(name)
        batch = Batch()
        for given_ in part:
            now = max(now, given_.at)
            decision = decide(case, given_, now, CITY)
            if not isinstance(decision, Refusal) and decision:
                known = given_.facts if isinstance(given_, Register) else None
                case = happens(batch, case, name, *decision, input_id=given_.id, known=known)
        if batch.events:
            batch.cases[name] = (before, case)
            writer.write(batch)
    fresh = Ledger(ledger.engine)
    stored = fresh.load([name], [], [], []).cases[name]
    assert stored == case == ledger.load([name], [], [], []).cases[name]
    with ledger.engine.begin() as connection:
        rows = connection.execute(select(EVENT).where(EVENT.c.case_id == name).order_by(EVENT.c.seq)).all()
        running = connection.execute(select(CLOCK).where(CLOCK.c.case_id == name)).all()
        judged = connection.execute(select(JUDGEMENT).where(JUDGEMENT.c.case_id == name)).all()
    assert [row.seq for row in rows] == list(range(1, stored.seq + 1))
    assert replay(name, map(event_of, rows), stored.facts) == stored
    assert {row.clock: (row.due_at, row.generation) for row in running} == clocks(stored)
    right = judgement(stored)
    assert [(row.category, row.right_unit, row.judged_at) for row in judged] == (
        [(right.category, right.right, right.at)] if right else []
    )
