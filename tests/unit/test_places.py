"""Where a demand is: Qinglan's streets, communities and grids."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from math import cos, radians, sin, sqrt
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import Point, Polygon

from routers.city import Community, Grid, NumberRange, Places, Ring, Street
from routers.coordinates import gcj02_to_bd09, wgs84_to_gcj02
from routers.demand import Coordinates, CoordinateSystem, DeclaredPlace, ResolvedPlace
from routers.phrases import plain
from routers.placenames import number_behind
from routers.places import AMBIGUOUS_PLACE, NO_PLACE, UNKNOWN_PLACE, Gazetteer, Located
from streams.cityfile import load_city
from tests.cities import qinglan
from tests.tiny_city import build_tiny_city


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
        assert place.original == Coordinates(lon=shown[0], lat=shown[1], crs=crs), "as it was given, to the last digit"


@given(st.floats(104.0, 104.25), st.floats(30.23, 30.48))
@settings(max_examples=60, deadline=None)
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


# ---- numbers, old names, other characters ------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("解放路18号路灯不亮", "S010101"),
        ("解放路81号旁的井盖", "S010102"),
        ("解放路路灯不亮", "S0101"),
        ("解放路300号", "S0101"),
        ("虹苑小区3栋没水", "S010101"),
        ("虹苑小区十五号楼漏水", "S010102"),
        ("虹苑小区（16幢）漏水", "S010102"),
        ("虹苑小区18号晚上停水", "S0101"),
        ("虹苑小区3天没水", "S0101"),
        ("从虹苑小区3栋到虹苑小区15栋都停水", "S0101"),
        ("解放路这边虹苑小区15栋", "S010102"),
        ("城关镇的老房子", "S01"),
        ("建设新村停水", "S020203"),
        ("解放路這邊的虹苑小區3棟沒水", "S010101"),
        ("虹苑小区１５号楼漏水", "S010102"),
    ],
)
def test_a_number_an_old_name_and_other_characters_lead_to_the_place(text: str, found: str) -> None:
    place = told(text).place

    assert (place.grid or place.community or place.street) == found


@pytest.mark.parametrize(
    ("behind", "number"),
    [
        ("18号", 18),
        ("第3栋2单元", 3),
        (" 3号楼", 3),
        ("18-3号", 18),
        ("二十三幢", 23),
        ("一百零八号", 108),
        ("一八号院", 18),
        ("两栋", 2),
        ("18号线", None),
        ("18号之前", None),
        ("18号下午", None),
        ("18楼", None),
        ("的18号", None),
        ("", None),
    ],
)
def test_a_number_is_read_as_people_write_it(behind: str, number: int | None) -> None:
    assert number_behind("解放路" + plain(behind), 3) == number


def test_a_road_through_two_streets_is_a_question_unless_something_tells_which() -> None:
    open_question = told("环城北路路灯不亮")

    assert open_question.problem == AMBIGUOUS_PLACE
    assert open_question.place == ResolvedPlace()
    assert open_question.hints == ("S01", "S02")
    assert told("环城北路12号路灯不亮").place.grid == "S010201"
    assert told("环城北路13号路灯不亮").place.grid == "S020603"
    assert told("丹桂社区这段环城北路路灯不亮").place.grid == "S020603"
    assert told("云桥街道环城北路路灯不亮").place.grid == "S010201"
    assert told("我在文澜街道", address="环城北路").place.grid == "S020603"
    assert told("也许是东屏街道", address="环城北路").problem == AMBIGUOUS_PLACE


# ---- a city drawn for the test -------------------------------------------------------------------------


def box(west: float, south: float, east: float, north: float) -> Ring:
    return ((west, south), (east, south), (east, north), (west, north))


def twin_streets(lat: float = 30.0) -> Gazetteer:
    """Return two streets side by side that meet at 101 degrees, with a community and an estate of one name in both."""

    def street(code: str, west: float) -> Street:
        around = box(west, lat, west + 1, lat + 1)
        grid = Grid(f"{code}11", f"{code}网格", ("幸福小区",), around)
        other = Community(f"{code}2", f"{code}社区", (), around, ())
        return Street(code, f"{code}街道", (), around, (Community(f"{code}1", "新村社区", (), around, (grid,)), other))

    places = Places(box(100, lat, 102, lat + 1), (street("甲", 100), street("乙", 101)))
    return Gazetteer(replace(qinglan(), places=places))


def test_two_estates_of_one_name_are_told_apart_by_their_street_or_community() -> None:
    found = twin_streets()

    assert found.locate(None, "幸福小区停水").problem == AMBIGUOUS_PLACE
    assert found.locate(None, "幸福小区停水").hints == ("甲", "乙")
    assert found.locate(None, "乙街道幸福小区停水").place.grid == "乙11"
    assert found.locate(None, "幸福小区停水，我们属于甲社区").place.street == "甲"


def test_a_declared_community_of_which_there_are_two_is_a_question_too() -> None:
    found, declared = twin_streets(), DeclaredPlace(community="新村社区")

    assert found.locate(declared, "停水").problem == AMBIGUOUS_PLACE
    assert found.locate(declared, "停水").hints == ("甲", "乙")
    assert found.locate(declared, "乙街道停水").place.community == "乙1"


def east_of_the_border(metres: float, lat: float) -> Coordinates:
    """Return a point so far east of 101 degrees, on the ellipsoid of WGS-84."""
    radius = 6_378_137.0 / sqrt(1 - 0.00669437999 * sin(radians(lat)) ** 2) * cos(radians(lat))
    return Coordinates(lon=101 + metres / radius * 180 / 3.141592653589793, lat=lat, crs=CoordinateSystem.WGS84)


@pytest.mark.parametrize("lat", [18.0, 30.0, 53.0])
def test_within_50_metres_of_a_border_both_grids_are_carried_across_streets_too(lat: float) -> None:
    found = twin_streets(lat - 0.5)

    close, far = found.at_all([east_of_the_border(49.7, lat), east_of_the_border(50.3, lat)])

    assert (close.street, close.grid, far.grid) == ("乙", "乙11", "乙11")
    assert ("甲11", "甲", "甲网格") in [(near.grid, near.street, near.name) for near in close.near]
    assert [near for near in far.near if near.street == "甲"] == []


def test_a_point_where_no_grid_is_drawn_is_in_the_community_or_street(tmp_path: Path) -> None:
    found = Gazetteer(load_city(build_tiny_city(tmp_path)))

    in_town, in_street, in_grid = found.at_all(
        [
            Coordinates(lon=lon, lat=lat, crs=CoordinateSystem.CGCS2000)
            for lon, lat in ((100.5, 30.5), (101.5, 30.8), (101.2, 30.2))
        ]
    )

    assert (in_town.street, in_town.community, in_town.grid) == ("WEST", None, None)
    assert (in_street.street, in_street.community, in_street.grid) == ("EAST", None, None)
    assert (in_grid.street, in_grid.community, in_grid.grid) == ("EAST", "EAST1", "EAST11")


def test_a_point_of_the_area_that_no_street_has_is_unknown_and_not_guessed() -> None:
    places = Places(box(100, 30, 102, 31), (Street("甲", "甲街道", (), box(100, 30, 101, 31), ()),))
    found = Gazetteer(replace(qinglan(), places=places))
    point = Coordinates(lon=101.5, lat=30.5, crs=CoordinateSystem.WGS84)

    located = found.locate(DeclaredPlace(coordinates=point), "停水")

    assert (located.problem, located.place.street, located.place.outside) == (UNKNOWN_PLACE, None, False)
    assert located.place.original == point


def test_numbers_of_one_side_of_a_road() -> None:
    odd, even = NumberRange(1, 39, 2), NumberRange(2, 40, 2)

    assert [number for number in range(45) if number in odd] == list(range(1, 40, 2))
    assert [number for number in range(45) if number in even] == list(range(2, 41, 2))


# ---- points ----------------------------------------------------------------------------------------------


def metres_to(outline: Polygon, lon: float, lat: float) -> float:
    """Measure in a plane laid at the point, by the ellipsoid's two radii there."""
    flat = 1 - 0.00669437999 * sin(radians(lat)) ** 2
    north = radians(6_378_137.0 * (1 - 0.00669437999) / flat**1.5)
    east = radians(6_378_137.0 / sqrt(flat) * cos(radians(lat)))
    laid = Polygon([((x - lon) * east, (y - lat) * north) for x, y in outline.exterior.coords])
    return float(laid.distance(Point(0, 0)))


@given(st.sampled_from(sorted(grids())), st.data())
@settings(max_examples=15, deadline=None)
def test_the_grids_close_by_are_those_within_50_metres_and_no_other(code: str, data: st.DataObject) -> None:
    corner = data.draw(st.sampled_from(list(grids()[code].exterior.coords)))
    lon, lat = (at + data.draw(st.floats(-6e-4, 6e-4)) for at in corner)

    place = pinned(lon, lat)

    around = {other: outline for other, outline in grids().items() if outline.distance(Point(lon, lat)) < 0.01}
    far = {other: metres_to(outline, lon, lat) for other, outline in around.items() if other != place.grid}
    assert {near.grid for near in place.near} >= {other for other, metres in far.items() if metres < 49.9}
    assert all(far[near.grid] < 50.1 for near in place.near)
    told = [far[near.grid] for near in place.near]
    assert told == pytest.approx(sorted(told), abs=0.1), "the nearest first"


@given(
    st.lists(
        st.tuples(st.floats(104.0, 104.25), st.floats(30.23, 30.48), st.sampled_from(CoordinateSystem)), max_size=3
    )
)
@settings(max_examples=20, deadline=None)
def test_a_batch_of_points_is_placed_as_each_alone(points: list[tuple[float, float, CoordinateSystem]]) -> None:
    asked = [Coordinates(lon=lon, lat=lat, crs=crs) for lon, lat, crs in points]

    placed = gazetteer().at_all(asked * 8)

    for place, one in zip(placed, asked * 8, strict=True):
        alone = gazetteer().at(one)
        assert (place.lon, place.lat) == pytest.approx((alone.lon, alone.lat), abs=2e-7)
        assert place == alone.model_copy(update={"lon": place.lon, "lat": place.lat})


def test_a_batch_of_demands_is_placed_as_each_alone() -> None:
    point = Coordinates(lon=104.0956, lat=30.3615, crs=CoordinateSystem.WGS84)
    asked = [
        (None, "解放路18号"),
        (DeclaredPlace(coordinates=point), "路灯不亮"),
        (DeclaredPlace(community="S0104"), "路灯不亮"),
        (DeclaredPlace(community="S0101", coordinates=point), "路灯不亮"),
        (DeclaredPlace(address="墨香花园"), "路灯不亮"),
        (None, "路灯不亮"),
    ]

    placed = gazetteer().locate_all(asked)

    assert placed == [gazetteer().locate(declared, text) for declared, text in asked]
    assert [each.place.found_by for each in placed] == [
        "text",
        "coordinates",
        "community",
        "community",
        "address",
        None,
    ]


def test_a_declared_community_and_a_point_in_it_tell_the_grid() -> None:
    point = Coordinates(lon=104.0956, lat=30.3615, crs=CoordinateSystem.WGS84)

    place = gazetteer().locate(DeclaredPlace(community="S0101", coordinates=point), "路灯不亮").place

    assert (place.grid, place.found_by, place.original) == ("S010101", "community", point)
    assert [near.grid for near in place.near] == ["S010102"]


def test_a_declared_community_is_believed_against_its_point_and_the_grid_there_is_named() -> None:
    point = Coordinates(lon=104.0956, lat=30.3615, crs=CoordinateSystem.WGS84)

    believed = gazetteer().locate(DeclaredPlace(community="S0104", coordinates=point), "路灯不亮").place
    unknown = gazetteer().locate(DeclaredPlace(community="Q0101", coordinates=point), "路灯不亮")

    assert (believed.community, believed.grid, believed.original) == ("S0104", None, point)
    assert [near.grid for near in believed.near] == ["S010101", "S010102"]
    assert (unknown.problem, unknown.hints, unknown.place.original) == (UNKNOWN_PLACE, ("S01",), point)


@given(storable(80), st.none() | storable(30), st.none() | storable(20))
@settings(max_examples=100, deadline=None)
def test_no_text_can_upset_the_search(text: str, address: str | None, community: str | None) -> None:
    located = told(text, address=address, community=community)

    assert (located.problem is None) == (located.place.street is not None or located.place.outside)
