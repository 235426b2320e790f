"""Points from other people's maps."""

from __future__ import annotations

from math import cos, hypot, radians

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routers.coordinates import Point, all_to_wgs84, gcj02_to_bd09, in_mainland, to_wgs84, wgs84_to_gcj02
from routers.demand import Coordinates, CoordinateSystem

DEGREE = 111_320.0
"""Metres in a degree of latitude."""


def metres(one: Point, other: Point) -> float:
    return hypot((one[0] - other[0]) * cos(radians(one[1])), one[1] - other[1]) * DEGREE


def given_in(system: CoordinateSystem, point: Point) -> Coordinates:
    return Coordinates(lon=point[0], lat=point[1], crs=system)


def shown_in(system: CoordinateSystem, at: Point) -> Point:
    """Return where a map of that system shows a place."""
    if system in (CoordinateSystem.WGS84, CoordinateSystem.CGCS2000):
        return at
    on_gaode = wgs84_to_gcj02(at)
    return gcj02_to_bd09(on_gaode) if system is CoordinateSystem.BD09 else on_gaode


systems = st.sampled_from(CoordinateSystem)
anywhere = st.tuples(st.floats(-180, 180), st.floats(-90, 90))
abroad = st.tuples(st.floats(-179, 179), st.floats(-89, 89)).filter(lambda at: not in_mainland(at))
"""Not where a map would show it beyond the end of the degrees."""
around = st.tuples(st.floats(72, 136), st.floats(17, 54.5))
mainland = around.filter(in_mainland)


@st.composite
def on_the_rim(draw: st.DrawFn, *, within: bool) -> Point:
    """Return a place within a metre of where the offset ends, on either side."""
    inside, outside = draw(mainland), draw(around.filter(lambda at: not in_mainland(at)))
    while metres(inside, outside) > 1:
        middle = ((inside[0] + outside[0]) / 2, (inside[1] + outside[1]) / 2)
        inside, outside = (middle, outside) if in_mainland(middle) else (inside, middle)
    return inside if within else outside


@given(mainland | on_the_rim(within=True), systems)
@settings(max_examples=60, deadline=None)
def test_a_place_of_the_mainland_comes_back_from_any_map_to_less_than_a_metre(
    at: Point, system: CoordinateSystem
) -> None:
    assert metres(to_wgs84(given_in(system, shown_in(system, at))), at) < 1


@given(mainland)
@settings(max_examples=15, deadline=None)
def test_other_maps_show_it_a_few_hundred_metres_off(at: Point) -> None:
    assert 10 < metres(at, wgs84_to_gcj02(at)) < 1000


@given(on_the_rim(within=False) | abroad, systems)
@settings(max_examples=40, deadline=None)
def test_a_place_abroad_comes_back_too_but_in_a_strip_where_the_mainland_is_shown_over_it(
    at: Point, system: CoordinateSystem
) -> None:
    back = to_wgs84(given_in(system, shown_in(system, at)))

    if in_mainland(back):
        assert metres(back, at) < 1000
        assert metres(wgs84_to_gcj02(back), at) < 1, "a map shows both places at this point"
    else:
        assert metres(back, at) < 1


@given(st.lists(st.tuples(mainland | on_the_rim(within=True) | anywhere, systems), max_size=3))
@settings(max_examples=15, deadline=None)
def test_many_points_at_once_are_moved_as_each_alone(points: list[tuple[Point, CoordinateSystem]]) -> None:
    given_points = [given_in(system, at) for at, system in points] * 8

    lon, lat = all_to_wgs84(given_points)

    for x, y, one in zip(lon, lat, given_points, strict=True):
        assert (x, y) == pytest.approx(to_wgs84(one), abs=1e-9)


@pytest.mark.parametrize(
    ("name", "point"),
    [
        ("Delingha", (97.37, 37.37)),
        ("Kashgar", (75.99, 39.47)),
        ("Mohe", (122.54, 52.97)),
        ("Dandong", (124.38, 40.13)),
        ("Sanya", (109.51, 18.25)),
        ("Zhoushan", (122.1, 30.0)),
        ("Xiamen", (118.1, 24.48)),
        ("Shekou, across the bay from Hong Kong", (113.92, 22.48)),
        ("Gongbei, at the gate of Macao", (113.55, 22.22)),
        ("Hengqin, across the water from Macao", (113.52, 22.13)),
    ],
)
def test_the_cities_of_the_mainland_lie_in_it(name: str, point: Point) -> None:
    assert in_mainland(point), name


@pytest.mark.parametrize(
    ("name", "point", "shown"),
    [
        ("Beijing", (116.3912022, 39.9073728), (116.3974386, 39.9087767)),
        ("Shanghai", (121.5, 31.2), (121.5043837, 31.1979612)),
    ],
)
def test_known_places_are_moved_as_maps_show_them(name: str, point: Point, shown: Point) -> None:
    assert metres(wgs84_to_gcj02(point), shown) < 20, name


@pytest.mark.parametrize("system", [CoordinateSystem.WGS84, CoordinateSystem.CGCS2000])
@given(at=anywhere)
@settings(max_examples=30, deadline=None)
def test_satellite_and_surveyors_coordinates_are_taken_as_they_are(system: CoordinateSystem, at: Point) -> None:
    assert to_wgs84(given_in(system, at)) == at


@pytest.mark.parametrize(
    ("name", "point"),
    [
        ("Taipei", (121.56, 25.03)),
        ("Hong Kong", (114.17, 22.28)),
        ("Macao", (113.55, 22.19)),
        ("Tokyo", (139.69, 35.69)),
        ("London", (-0.13, 51.5)),
        ("nowhere", (0.0, 0.0)),
    ],
)
def test_outside_the_mainland_nothing_is_moved(name: str, point: Point) -> None:
    assert to_wgs84(given_in(CoordinateSystem.GCJ02, point)) == point, name


@given(anywhere, systems)
@settings(max_examples=30, deadline=None)
def test_any_point_on_earth_in_any_system_gives_a_point(at: Point, system: CoordinateSystem) -> None:
    lon, lat = to_wgs84(given_in(system, at))

    assert abs(lon - at[0]) < 0.1
    assert abs(lat - at[1]) < 0.1
