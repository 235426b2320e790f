"""A case of Qinglan's played without a ledger: what is said to it, and what became of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count

from routers.case import decide
from routers.city import City
from routers.demand import Candidate, Classification, ResolvedPlace, Ruling, Verdict
from routers.fold import fold
from routers.inputs import (
    Accept,
    Answer,
    Contact,
    Input,
    Register,
)
from routers.life import Case, Event, Facts, Refusal
from tests.cities import qinglan

T0 = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)


CITY: City = qinglan()


DESK, SUPERVISOR = CITY.policies.desk, CITY.policies.supervisor


WATER, ROADS, STREET = "U-WATER", "U-ROAD", "S01"


FACTS = Facts(
    channel="hotline",
    created_at=T0,
    received_at=T0,
    text="楼下水管爆了,水漫到马路上",
    place=ResolvedPlace(street="S01"),
    classification=Classification(category="0101", model="test"),
)


class Story:
    """A case as its inputs come in, one minute after the other."""

    def __init__(self, facts: Facts = FACTS) -> None:
        self.case = Case("01ARZ3NDEKTSV4RRFFQ69G5FAV")
        self.events: list[Event] = []
        self.facts = facts
        self.now = T0
        self._numbers = count(1)

    def says(self, actor: str, kind: type[Input], **fields: object) -> tuple[str, ...] | str:
        """Let somebody say something; returns the kinds of events, or the refusal's code."""
        return self.given(kind(id=f"i{next(self._numbers)}", at=self.now, actor=actor, **fields))

    def given(self, said: Input) -> tuple[str, ...] | str:
        self.now += timedelta(minutes=1)
        decision = decide(self.case, said, self.now, CITY)
        if isinstance(decision, Refusal):
            return decision.code
        for event in decision:
            registers = event.kind == "case.registered"
            self.case = fold(self.case, event, facts=self.facts if registers else None)
            self.events.append(event)
        return tuple(event.kind.removeprefix("case.") for event in decision)

    def registered(self, ruling: Ruling = Ruling.DISPATCH, unit: str | None = WATER, **verdict: object) -> Story:
        text = "您的问题答复如下" if ruling is not Ruling.DISPATCH else None
        said = Verdict(ruling=ruling, reason="test", unit=unit, text=text, **verdict)
        self.says("pipeline", Register, facts=self.facts, verdict=said, tier="U24H")
        return self

    def answered(self, unit: str = WATER) -> Story:
        self.says(unit, Accept)
        self.says(unit, Contact, text="已电话联系")
        self.says(unit, Answer, text="已修好")
        return self


OWNERS = (
    Candidate(unit=WATER, category="0101", score=1.4, why="供水：停水"),
    Candidate(unit=STREET, category="0101", score=0, why="供水：协办"),
)


UNSURE = FACTS.model_copy(update={"candidates": OWNERS})
