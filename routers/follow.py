"""What follows from where a case stands: the queues it is in and the clocks that run."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from routers.city import City
from routers.life import ORPHAN_WAIT, WITH_UNIT, Case, CaseState, ClockName, Role

Task = Literal["handle", "assist", "rule", "call_back", "supervise", "watch"]


def queues(case: Case | None, city: City) -> dict[str, tuple[Role, Task]]:
    """Return in whose work queue the case stands, as what and to do what."""
    if case is None or not case.open:
        return {}
    wanted: dict[str, tuple[Role, Task]] = {}
    if case.escalated:
        wanted[city.policies.supervisor] = (Role.SUPERVISOR, "supervise")
    if case.state in WITH_UNIT:
        if case.watched:
            wanted[city.policies.desk] = (Role.DESK, "watch")
        wanted |= dict.fromkeys(case.co, (Role.CO_HANDLER, "assist"))
        wanted[case.lead or ""] = (Role.LEAD, "handle")
    else:
        task: Task = "call_back" if case.state is CaseState.CALL_BACK else "rule"
        wanted[case.custodian or ""] = (Role.DESK, task)
    return wanted


def clocks(case: Case) -> dict[ClockName, tuple[datetime, int]]:
    """Return the clocks that run for a case: absolute due time (UTC) and generation."""
    running: dict[ClockName, tuple[datetime, int]] = {}
    if case.state is CaseState.NEW and case.held:
        first = case.held[0]
        running["orphan"] = ((first.since or first.at) + ORPHAN_WAIT, case.lapses + 1)
    if case.state is CaseState.DISPATCHED and case.accept_by and "accept" not in case.escalated:
        running["accept"] = (case.accept_by, case.dispatches)
    if case.open and case.due_at and "due" not in case.escalated:
        running["due"] = (case.due_at, 1)
    return running
