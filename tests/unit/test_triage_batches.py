"""Triage of a batch: places are found for all at once, and one that cannot be placed holds up no other."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from routers.demand import Coordinates, CoordinateSystem, DeclaredPlace, Demand
from routers.places import Gazetteer, Located
from routers.triage import Triage as Decider
from sinks.database import sqlite_url
from sinks.ledger import Output
from sinks.master_key import MasterKey
from sinks.metrics import Metrics
from sinks.vault import Vault
from streams import clock
from streams import messages as wire
from streams.bench.parties import submission
from streams.casework import Arrived, arrived
from streams.records import Record
from streams.triage import Triage
from tests.cities import qinglan

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
DECIDER = Decider(qinglan())
PLACES = (
    DeclaredPlace(coordinates=Coordinates(lon=104.0956, lat=30.3615, crs=CoordinateSystem.WGS84)),
    DeclaredPlace(community="S0104"),
    DeclaredPlace(coordinates=Coordinates(lon=104.0981, lat=30.3589, crs=CoordinateSystem.GCJ02)),
    None,
)


class Published:
    """A broker that only remembers."""

    def __init__(self) -> None:
        self.outputs: list[Output] = []

    def publish(self, outputs: Sequence[Output], timeout: float) -> Arrived:
        _ = timeout
        self.outputs += outputs
        return arrived


def triage(folder: Path, decider: Decider = DECIDER) -> tuple[Triage, Published]:
    published = Published()
    master = MasterKey(folder / "master.key")
    master.make()
    vault = Vault(sqlite_url(folder / "vault.db"), sqlite_url(folder / "keys.db"), master)
    vault.open()
    observer = Metrics(CollectorRegistry()).triage()
    return Triage(qinglan(), decider, vault, published, lambda: NOW, observer), published


def demands() -> list[wire.NewDemand]:
    return [
        wire.NewDemand(
            demand_id=clock.new_id(),
            channel="hotline",
            created_at=NOW,
            received_at=NOW,
            text="解放路18号路灯不亮",
            place=place.model_dump() if place is not None else None,
        )
        for place in PLACES
    ]


def records(said: Iterable[wire.NewDemand]) -> list[Record]:
    found = []
    for number, demand in enumerate(said):
        topic, key, value, headers = submission(demand)
        found.append(Record(topic, 0, number, key, value, headers, 0.0))
    return found


def grids(published: Published) -> list[str | None]:
    return [json.loads(each.value or b"")["place"].get("grid") for each in published.outputs if each.topic == "demands"]


def test_the_places_of_a_batch_are_those_of_each_demand_alone(tmp_path: Path) -> None:
    worker, published = triage(tmp_path)

    worker.settle(records(demands()))

    assert grids(published) == ["S010101", None, "S010101", "S010101"]


def test_one_demand_that_cannot_be_placed_is_a_dead_letter_and_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = Gazetteer._locate

    def trip(self: Gazetteer, declared: DeclaredPlace | None, text: str, point: object) -> Located:
        if declared is not None and declared.community is not None:
            raise ZeroDivisionError
        return find(self, declared, text, point)  # type: ignore[arg-type]

    monkeypatch.setattr(Gazetteer, "_locate", trip)
    worker, published = triage(tmp_path)
    waiting = records(demands())
    broken = Record(waiting[0].topic, 0, len(waiting), None, b"{", (), 0.0)

    worker.settle([*waiting, broken])

    assert grids(published) == ["S010101", "S010101", "S010101"]
    assert [each.topic for each in published.outputs] == ["demands", "deadletters", "demands", "demands", "deadletters"]


def test_places_are_found_for_any_demand_in_a_batch_as_alone() -> None:
    said: list[Demand] = list(demands())

    assert [DECIDER.see([one])[0] for one in said] == DECIDER.see(said)
