"""Where a demand is: Qinglan's streets, communities and grids."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import Point, Polygon

from routers.coordinates import gcj02_to_bd09, wgs84_to_gcj02
from routers.demand import Coordinates, CoordinateSystem, DeclaredPlace, ResolvedPlace
from routers.places import AMBIGUOUS_PLACE, NO_PLACE, UNKNOWN_PLACE, Gazetteer, Located
from tests.cities import qinglan


def storable(size: int) -> st.SearchStrategy[str]:
    """Return any text a demand may hold."""
    return st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=size)


@cache
def gazetteer() -> Gazetteer:
    return Gazetteer(qinglan())


def told(text: str, *, community: str | None = None, address: str | None = None) -> Located:
    declared = None if community is None and address is None else DeclaredPlace(community=community, address=address)
    return gazetteer().locate(declared, text)


def pinned(lon: float, lat: float, crs: CoordinateSystem = CoordinateSystem.WGS84) -> ResolvedPlace:
    return gazetteer().at(Coordinates(lon=lon, lat=lat, crs=crs))


@cache
def grids() -> dict[str, Polygon]:
    places = qinglan().places
    return {
        grid.code: Polygon(grid.outline)
        for street in places.streets
        for community in street.communities
        for grid in community.grids
    }


@pytest.mark.parametrize("declared", ["S0104", "民主路社区", " S0104 "])
def test_a_declared_community_is_believed(declared: str) -> None:
    located = told("路灯不亮", community=declared)

    assert located.problem is None
    assert located.place == ResolvedPlace(street="S01", community="S0104", name="民主路社区", found_by="community")


def test_a_community_nobody_knows_is_left_to_people_with_the_street_of_the_text_as_a_hint() -> None:
    located = told("文庙小区垃圾满溢", community="Q0101")

    assert located.problem == UNKNOWN_PLACE
    assert located.place.street is None
    assert located.hints == ("S01",)


@pytest.mark.parametrize(
    ("text", "street", "community", "grid", "name"),
    [
        ("机械厂家属院3栋没水", "S01", "S0105", "S010502", "金水第二网格"),
        ("永安公园的灯", "S01", "S0106", None, "永安社区"),
        ("云桥街道办事处门口", "S01", None, None, "云桥街道"),
        ("我住文庙小区，就在文庙街旁边", "S01", "S0102", "S010202", "钟鼓第二网格"),
        ("从文庙小区到钟鼓楼小区这一路", "S01", "S0102", None, "钟鼓社区"),
        ("从文庙小区到永安小区", "S01", None, None, "云桥街道"),
        ("新民一组的水渠", "T04", "T0407", "T040701", "新民村第一网格"),
    ],
)
def test_a_name_in_the_text_leads_as_far_down_as_it_says(
    text: str, street: str, community: str | None, grid: str | None, name: str
) -> None:
    located = told(text)

    assert located.problem is None
    assert located.place == ResolvedPlace(street=street, community=community, grid=grid, name=name, found_by="text")


def test_the_address_goes_before_the_text() -> None:
    located = told("我家在金水花园，但是坏的路灯在另一头", address="墨香花园南门")

    assert (located.place.grid, located.place.found_by) == ("S020302", "address")


def test_the_text_helps_where_the_address_is_unknown() -> None:
    assert told("就在金水花园", address="三号楼下").place.grid == "S010501"
    assert told("就在楼下", address="三号楼下").problem == UNKNOWN_PLACE


def test_two_streets_are_a_question_for_people() -> None:
    located = told("从金水花园到墨香花园都停水")

    assert located.problem == AMBIGUOUS_PLACE
    assert located.place == ResolvedPlace()
    assert located.hints == ("S01", "S02")


def test_no_name_no_place() -> None:
    assert told("路灯不亮").problem == NO_PLACE


def test_an_address_in_another_area_is_outside() -> None:
    place = told("路灯坏了", address="临江市河东区建设路88号").place

    assert place.outside
    assert place.street is None


def test_an_area_only_mentioned_in_passing_is_not_the_place() -> None:
    assert told("我在河东区，路灯坏了一排").place.outside
    assert not told("医保关系想从河东区转过来，怎么办").place.outside
    assert told("从河东区搬来金水花园，一直没有水").place.street == "S01"


@pytest.mark.parametrize("crs", list(CoordinateSystem))
def test_every_map_leads_to_the_same_grid(crs: CoordinateSystem) -> None:
    for code, outline in list(grids().items())[::9]:
        at = outline.representative_point()
        shown = (at.x, at.y)
        if crs in (CoordinateSystem.GCJ02, CoordinateSystem.BD09):
            shown = wgs84_to_gcj02(shown)
        if crs is CoordinateSystem.BD09:
            shown = gcj02_to_bd09(shown)

        place = pinned(*shown, crs)

        assert (place.grid, place.found_by, place.outside) == (code, "coordinates", False)
        assert place.lon == pytest.approx(at.x, abs=1e-6)
        assert place.lat == pytest.approx(at.y, abs=1e-6)


@given(st.floats(104.0, 104.25), st.floats(30.23, 30.48))
@settings(max_examples=120, deadline=None)
def test_every_point_of_the_district_lies_in_exactly_one_grid(lon: float, lat: float) -> None:
    point = Point(lon, lat)
    inside = Polygon(qinglan().places.outline).contains(point)

    place = pinned(lon, lat)

    assert place.outside is not inside
    if inside:
        assert place.grid is not None
        assert grids()[place.grid].distance(point) < 1e-5
        assert place.grid.startswith(place.community or "?")
        assert (place.community or "").startswith(place.street or "?")
        assert sum(outline.contains(point) for outline in grids().values()) <= 1
    else:
        assert (place.street, place.grid) == (None, None)


def test_a_point_on_a_shared_border_has_one_grid_too() -> None:
    for outline in list(grids().values())[::7]:
        for lon, lat in list(outline.exterior.coords)[:3]:
            place = pinned(lon, lat)

            assert place.grid is not None
            assert pinned(lon, lat) == place


def test_far_away_is_outside_and_remembered_where() -> None:
    place = pinned(121.49, 31.24)

    assert place.outside
    assert (place.lon, place.lat) == (121.49, 31.24)


@given(storable(80), st.none() | storable(30), st.none() | storable(20))
@settings(max_examples=100, deadline=None)
def test_no_text_can_upset_the_search(text: str, address: str | None, community: str | None) -> None:
    located = told(text, address=address, community=community)

    assert (located.problem is None) == (located.place.street is not None or located.place.outside)
