"""What can be said to a case. Every input has an id, which makes it idempotent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from routers.demand import Verdict
from routers.life import ClockName, Facts


@dataclass(frozen=True, slots=True)
class Input:
    """Base of all inputs: its id makes it idempotent."""

    id: str
    at: datetime
    """When its sender says it happened."""
    actor: str
    """Unit code, `citizen`, `clock` or `pipeline`."""


@dataclass(frozen=True, slots=True)
class Register(Input):
    """Triage hands over a demand."""

    facts: Facts
    verdict: Verdict
    tier: str
    parent: str | None = None
    """Case of which this is a part, opened by its split (拆分)."""
    number: int | None = None
    """Of the part, from 1."""
    since: datetime | None = None
    """From when the citizen waits; now, where it is a demand of its own."""
    ruled_by: str | None = None
    """Unit that said whose the part is."""


@dataclass(frozen=True, slots=True)
class Urge(Input):
    """催办."""

    text: str | None = None
    channel: str = ""


@dataclass(frozen=True, slots=True)
class Supplement(Input):
    """补充."""

    text: str = ""
    channel: str = ""


@dataclass(frozen=True, slots=True)
class Withdraw(Input):
    """撤诉."""

    text: str | None = None
    channel: str = ""


@dataclass(frozen=True, slots=True)
class Accept(Input):
    """签收."""


@dataclass(frozen=True, slots=True)
class Contact(Input):
    """先行联系."""

    text: str = ""


@dataclass(frozen=True, slots=True)
class Note(Input):
    """进展."""

    text: str = ""


@dataclass(frozen=True, slots=True)
class Answer(Input):
    """办结 by the lead; 直接答复 by the desk."""

    text: str = ""
    result: str = "solved"
    exemption: str | None = None


@dataclass(frozen=True, slots=True)
class Reveal(Input):
    """查阅联系方式: whoever holds the case must reach its citizen."""

    purpose: str = ""
    """Code of the city's policies."""
    message: str = ""
    """Told to the citizen where the contact may not be shown."""
    clerk: str | None = None


@dataclass(frozen=True, slots=True)
class Return(Input):
    """退单."""

    reason: str = ""
    basis: str | None = None
    propose: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Rule(Input):
    """派单, 改派, 裁定: who handles it."""

    to: str = ""
    co: tuple[str, ...] = ()
    category: str | None = None
    reason: str = ""
    final: bool = False


@dataclass(frozen=True, slots=True)
class Piece:
    """One wish of several: what of the text, whose, and about what."""

    text: str
    to: str
    category: str
    co: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Split(Input):
    """拆分: a case for each wish."""

    parts: tuple[Piece, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Decline(Input):
    """不予受理."""

    code: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class CallBack(Input):
    """回访 by the desk, 评价 by the citizen."""

    reached: bool = True
    solved: bool | None = None
    satisfied: bool | None = None
    text: str | None = None
    channel: str = ""


@dataclass(frozen=True, slots=True)
class ClockRanOut(Input):
    """A clock of this generation is due."""

    clock: ClockName = "due"
    generation: int = 0
