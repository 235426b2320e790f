"""Demands on paper, and what triage makes of them in Qinglan by its words alone."""

from datetime import UTC, date, datetime
from typing import Any

from routers.demand import DeclaredPlace, Demand
from routers.triage import Triage, Triaged
from tests.cities import qinglan

TODAY = date(2026, 11, 23)
NOW = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
CITY = qinglan()
TRIAGE = Triage(CITY)
PHONE = "13800138000"


def demand(text: str, **fields: Any) -> Demand:
    known = {
        "demand_id": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "channel": "app",
        "created_at": NOW,
        "received_at": NOW,
        "text": text,
    }
    return Demand(**(known | fields))


def decide(text: str, **fields: Any) -> Triaged:
    return TRIAGE.decide(demand(text, **fields), TODAY)


def at(code: str) -> DeclaredPlace:
    return DeclaredPlace(community=code)
