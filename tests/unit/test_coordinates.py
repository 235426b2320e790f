"""Points from other people's maps."""

from __future__ import annotations

from math import cos, hypot, radians

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routers.coordinates import Point, gcj02_to_bd09, in_mainland, to_wgs84, wgs84_to_gcj02
from routers.demand import Coordinates, CoordinateSystem

DEGREE = 111_320.0
"""Metres in a degree of latitude."""

BORDER = 0.02
"""Degrees, more than any offset: nearer to the edge of the mainland a shifted point may lie beyond it."""


def metres(one: Point, other: Point) -> float:
    return hypot((one[0] - other[0]) * cos(radians(one[1])), one[1] - other[1]) * DEGREE


def given_in(system: CoordinateSystem, point: Point) -> Coordinates:
    return Coordinates(lon=point[0], lat=point[1], crs=system)


well_inside = (
    st.tuples(st.floats(75, 134), st.floats(19, 53))
    .filter(in_mainland)
    .filter(lambda at: all(in_mainland((at[0] + x, at[1] + y)) for x in (-BORDER, BORDER) for y in (-BORDER, BORDER)))
)


@given(well_inside)
@settings(max_examples=60, deadline=None)
def test_a_point_of_any_map_comes_back_to_less_than_a_metre(at: Point) -> None:
    shown = wgs84_to_gcj02(at)
    on_baidu = gcj02_to_bd09(shown)

    assert 10 < metres(at, shown) < 1000
    assert metres(to_wgs84(given_in(CoordinateSystem.GCJ02, shown)), at) < 1
    assert metres(to_wgs84(given_in(CoordinateSystem.BD09, on_baidu)), at) < 1


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
@given(at=st.tuples(st.floats(-180, 180), st.floats(-90, 90)))
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


@given(st.tuples(st.floats(-180, 180), st.floats(-90, 90)), st.sampled_from(CoordinateSystem))
@settings(max_examples=60, deadline=None)
def test_any_point_on_earth_in_any_system_gives_a_point(at: Point, system: CoordinateSystem) -> None:
    lon, lat = to_wgs84(given_in(system, at))

    assert abs(lon - at[0]) < 0.1
    assert abs(lat - at[1]) < 0.1
