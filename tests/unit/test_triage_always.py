"""Triage on paper: whatever is said, it finds one way out, and never an exception."""

from datetime import date
from itertools import chain

from hypothesis import given, settings
from hypothesis import strategies as st

from routers.city import place_names
from routers.demand import (
    TEXT_LIMIT,
    Coordinates,
    CoordinateSystem,
    DeclaredPlace,
    DemandKind,
    Ruling,
    Urgency,
)
from tests.triaged import CITY, TRIAGE, at, decide, demand

WORDS = sorted(
    {
        *chain.from_iterable(category.keywords for category in CITY.categories.values()),
        *chain.from_iterable(matter.keywords for matter in CITY.out_of_scope.values()),
        *chain.from_iterable(CITY.kinds.values()),
        *place_names(CITY.places),
        *CITY.places.outside,
    }
)
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=80)
SAID = st.lists(st.sampled_from(WORDS) | ANY_TEXT, min_size=1, max_size=6).map("".join)
COORDINATES = st.builds(
    Coordinates,
    lon=st.floats(-180, 180) | st.floats(104.0, 104.3),
    lat=st.floats(-90, 90) | st.floats(30.2, 30.5),
    crs=st.sampled_from(CoordinateSystem),
)
PLACES = st.builds(
    DeclaredPlace,
    community=st.none() | st.sampled_from(["S0101", "虹桥社区", "S9999"]),
    address=st.none() | SAID.map(lambda text: text[:500]),
    coordinates=st.none() | COORDINATES,
)


@settings(max_examples=80, deadline=None)
@given(
    text=SAID,
    title=st.none() | SAID,
    place=st.none() | PLACES,
    kind=st.none() | st.sampled_from(DemandKind),
    today=st.dates(),
)
def test_every_valid_demand_finds_its_way_out(
    text: str, title: str | None, place: DeclaredPlace | None, kind: DemandKind | None, today: date
) -> None:
    given_ = demand(text, title=title[:500] if title else None, place=place, kind=kind)
    found = TRIAGE.decide(given_, today)
    verdict = found.verdict
    assert found.tier in CITY.tiers
    assert found == TRIAGE.decide(given_, today)
    urgent = found.classification.safety or found.classification.urgency in {Urgency.HIGH, Urgency.CRITICAL}
    if verdict.ruling is Ruling.DESK and urgent:
        assert found.classification.urgency is Urgency.CRITICAL
    assert verdict.watch == (verdict.reason == "urgent")
    assert not verdict.watch or urgent
    if verdict.ruling is Ruling.DISPATCH:
        assert verdict.unit is not None
        assert CITY.units[verdict.unit].dispatchable
        assert not CITY.units[verdict.unit].virtual
        assert verdict.unit not in verdict.co
        assert not any(CITY.units[unit].virtual for unit in verdict.co)
        assert verdict.rule
    elif verdict.ruling is Ruling.DESK:
        assert len({candidate.unit for candidate in verdict.candidates}) == 3
    else:
        assert verdict.text
        assert verdict.rule
    if verdict.ruling is Ruling.ANSWER:
        assert found.classification.kind is DemandKind.CONSULT


def test_the_longest_text_is_triaged_too() -> None:
    found = decide(("停水" * TEXT_LIMIT)[:TEXT_LIMIT], place=at("S0101"))
    assert found.verdict.unit == "U-WATER"
