"""From the coordinate systems people's maps use to WGS-84, the only one stored.

- CGCS2000, the national frame, is WGS-84 to within centimetres.
- GCJ-02, of most maps sold in mainland China, is WGS-84 moved by a smooth offset of 100 to 700 m on
  Krasovsky's ellipsoid. The formula was never published; the one here is that of the open-source
  `eviltransform` (github.com/googollee/eviltransform), which many map programs share.
- BD-09, of Baidu's maps, turns and shifts GCJ-02 once more; formula from the same source.

Neither has an inverse in closed form: both are inverted by iteration, which converges to
well under a metre because the offsets change slowly.
"""

from __future__ import annotations

from collections.abc import Callable
from math import atan2, cos, pi, radians, sin, sqrt

from routers.demand import Coordinates, CoordinateSystem

Point = tuple[float, float]
"""Longitude and latitude in degrees."""

_AXIS = 6_378_245.0
"""Krasovsky's semi-major axis, in metres."""

_ECCENTRICITY = 0.00669342162296594323
"""Squared first eccentricity of the same ellipsoid."""

_CLOSE = 1e-8
"""Degrees, about a millimetre: where the iteration stops."""

_ROUNDS = 24

_MAINLAND = (
    (73.0, 35.0, 96.5, 49.3),
    (78.0, 26.5, 97.5, 35.0),
    (96.5, 38.0, 124.5, 50.0),
    (97.4, 21.0, 123.5, 38.0),
    (118.5, 38.0, 135.2, 53.7),
    (108.3, 18.0, 111.5, 21.0),
)
"""Boxes (west, south, east, north) that cover the mainland coarsely."""

_WITHOUT_OFFSET = (
    (119.95, 21.7, 122.3, 25.4),
    (113.82, 22.13, 114.51, 22.5),
    (113.52, 22.10, 113.62, 22.215),
)
"""Taiwan, Hong Kong and Macao, where maps show WGS-84."""


def to_wgs84(at: Coordinates) -> Point:
    """Return (longitude, latitude) in degrees WGS-84; right to less than a metre."""
    point = (at.lon, at.lat)
    if at.crs is CoordinateSystem.GCJ02:
        return gcj02_to_wgs84(point)
    if at.crs is CoordinateSystem.BD09:
        return gcj02_to_wgs84(bd09_to_gcj02(point))
    return point


def in_mainland(point: Point) -> bool:
    """Tell whether maps show the offset there; coarse near the borders."""
    return _in_any(point, _MAINLAND) and not _in_any(point, _WITHOUT_OFFSET)


def wgs84_to_gcj02(point: Point) -> Point:
    """Return where a GCJ-02 map shows a WGS-84 point; the same point outside the mainland."""
    if not in_mainland(point):
        return point
    lon, lat = point
    x, y = lon - 105.0, lat - 35.0
    both = (20.0 * sin(6.0 * x * pi) + 20.0 * sin(2.0 * x * pi)) * 2.0 / 3.0
    east = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * sqrt(abs(x)) + both + _waves(x, 150.0, 300.0)
    north = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * sqrt(abs(x)) + both + _waves(y, 160.0, 320.0)
    flat = 1.0 - _ECCENTRICITY * sin(radians(lat)) ** 2
    north = north * 180.0 / (_AXIS * (1.0 - _ECCENTRICITY) / (flat * sqrt(flat)) * pi)
    east = east * 180.0 / (_AXIS / sqrt(flat) * cos(radians(lat)) * pi)
    return lon + east, lat + north


def gcj02_to_wgs84(point: Point) -> Point:
    """Return the WGS-84 point a GCJ-02 map shows at this place; the same point outside the mainland."""
    return _inverse(wgs84_to_gcj02, point) if in_mainland(point) else point


def gcj02_to_bd09(point: Point) -> Point:
    """Return where Baidu's map shows a GCJ-02 point."""
    x, y = point
    far = sqrt(x * x + y * y) + 0.00002 * sin(y * pi * 3000.0 / 180.0)
    angle = atan2(y, x) + 0.000003 * cos(x * pi * 3000.0 / 180.0)
    return far * cos(angle) + 0.0065, far * sin(angle) + 0.006


def bd09_to_gcj02(point: Point) -> Point:
    """Return the GCJ-02 point Baidu's map shows at this place."""
    return _inverse(gcj02_to_bd09, point)


def _waves(x: float, middle: float, long: float) -> float:
    """Return the offset's waves along one axis, in metres, with the heights of the two longest."""
    short = 20.0 * sin(x * pi) + 40.0 * sin(x / 3.0 * pi)
    return (short + middle * sin(x / 12.0 * pi) + long * sin(x / 30.0 * pi)) * 2.0 / 3.0


def _inverse(forward: Callable[[Point], Point], shown: Point) -> Point:
    """Find the point that `forward` moves to `shown`: guess, and correct by what is missed."""
    lon, lat = shown
    for _ in range(_ROUNDS):
        there = forward((lon, lat))
        east, north = shown[0] - there[0], shown[1] - there[1]
        lon, lat = lon + east, lat + north
        if abs(east) < _CLOSE and abs(north) < _CLOSE:
            break
    return lon, lat


def _in_any(point: Point, boxes: tuple[tuple[float, float, float, float], ...]) -> bool:
    lon, lat = point
    return any(west <= lon <= east and south <= lat <= north for west, south, east, north in boxes)
