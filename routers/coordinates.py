"""From the coordinate systems people's maps use to WGS-84, the only one stored.

- CGCS2000, the national frame, is WGS-84 to within centimetres.
- GCJ-02, of most maps sold in mainland China, is WGS-84 moved by a smooth offset of 100 to 700 m on
  Krasovsky's ellipsoid. The formula was never published; the one here is that of the open-source
  `eviltransform` (github.com/googollee/eviltransform), which many map programs share.
- BD-09, of Baidu's maps, turns and shifts GCJ-02 once more; formula from the same source.

Neither has an inverse in closed form: both are inverted by iteration, which converges to
well under a metre because the offsets change slowly. Each formula stands here once and takes
single numbers with `math` or arrays with `numpy`.

The offset ends at the rim of the mainland, which is drawn coarsely here. A map therefore shows two
places at one point just outside the rim: the moved one from inside and the unmoved one. The mainland's is
taken, since cities that declare GCJ-02 lie there; so every place of the mainland comes back exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from math import pi
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from routers.demand import Coordinates, CoordinateSystem

Point = tuple[float, float]
"""Longitude and latitude in degrees."""

Degrees = NDArray[np.float64]
"""Many longitudes or many latitudes."""

N = TypeVar("N", float, Degrees)

_AXIS = 6_378_245.0
"""Krasovsky's semi-major axis, in metres."""

_ECCENTRICITY = 0.00669342162296594323
"""Squared first eccentricity of the same ellipsoid."""

_GCJ_ROUNDS = 4
"""The offset changes by less than 0.006 of the way: each round leaves so much of the error, four far below 1 mm."""

_BD_ROUNDS = 6
"""Baidu's turn changes by less than 0.02 of the way: six rounds leave less than 1 mm too."""

_FEW = 16
"""Points below which arrays cost more than they save."""

_CLOSE = 1e-7
"""Degrees, about a centimetre: a place on the very rim comes back so near to it, on either side."""

_REACH = 0.01
"""Degrees, more than any offset: so far outside the rim a map may show a place that lies inside."""

_MAINLAND = (
    (73.0, 35.0, 97.5, 49.3),
    (78.0, 26.5, 97.5, 35.0),
    (96.5, 38.0, 124.5, 50.0),
    (97.4, 21.0, 123.5, 38.0),
    (118.5, 38.0, 135.2, 53.7),
    (108.3, 18.0, 111.5, 21.0),
)
"""Boxes (west, south, east, north) that cover the mainland coarsely."""

_WITHOUT_OFFSET = (
    (119.95, 21.7, 122.3, 25.4),
    (113.82, 22.13, 114.51, 22.44),
    (113.97, 22.44, 114.51, 22.5),
    (113.528, 22.175, 113.565, 22.215),
    (113.55, 22.1, 113.62, 22.175),
)
"""Taiwan, Hong Kong and Macao, where maps show WGS-84; Shekou and Hengqin, next to them, are mainland."""


def to_wgs84(at: Coordinates) -> Point:
    """Return (longitude, latitude) in degrees WGS-84; right to less than a metre."""
    point = (at.lon, at.lat)
    if at.crs is CoordinateSystem.GCJ02:
        return gcj02_to_wgs84(point)
    if at.crs is CoordinateSystem.BD09:
        return gcj02_to_wgs84(bd09_to_gcj02(point))
    return point


def all_to_wgs84(points: Sequence[Coordinates]) -> tuple[Degrees, Degrees]:
    """Return the longitudes and the latitudes of many points at once, as `to_wgs84` would."""
    if len(points) < _FEW:
        moved_points = np.array([to_wgs84(at) for at in points], dtype=np.float64).reshape(-1, 2)
        return moved_points[:, 0], moved_points[:, 1]
    lon = np.array([at.lon for at in points], dtype=np.float64)
    lat = np.array([at.lat for at in points], dtype=np.float64)
    baidu = np.array([at.crs is CoordinateSystem.BD09 for at in points], dtype=bool)
    if baidu.any():
        lon[baidu], lat[baidu] = _inverse(_baidu(np), lon[baidu], lat[baidu], _BD_ROUNDS)
    moved = baidu | np.array([at.crs is CoordinateSystem.GCJ02 for at in points], dtype=bool)
    moved &= _in_any(lon, lat, _MAINLAND, _REACH)
    if moved.any():
        east, north = lon[moved], lat[moved]
        back_east, back_north = _inverse(_offset(np), east, north, _GCJ_ROUNDS)
        inside = _mainland(back_east, back_north, _CLOSE) | _mainland(east, north)
        lon[moved] = np.where(inside, back_east, east)
        lat[moved] = np.where(inside, back_north, north)
    return lon, lat


def in_mainland(point: Point) -> bool:
    """Tell whether maps show the offset there; coarse near the borders."""
    return bool(_mainland(*point))


def wgs84_to_gcj02(point: Point) -> Point:
    """Return where a GCJ-02 map shows a WGS-84 point; the same point outside the mainland."""
    return _offset(math)(*point) if in_mainland(point) else point


def gcj02_to_wgs84(point: Point) -> Point:
    """Return the WGS-84 point a GCJ-02 map shows at this place; the same point outside the mainland."""
    if not _in_any(*point, _MAINLAND, _REACH):
        return point
    back = _inverse(_offset(math), *point, _GCJ_ROUNDS)
    return back if _mainland(*back, _CLOSE) or in_mainland(point) else point


def gcj02_to_bd09(point: Point) -> Point:
    """Return where Baidu's map shows a GCJ-02 point."""
    return _baidu(math)(*point)


def bd09_to_gcj02(point: Point) -> Point:
    """Return the GCJ-02 point Baidu's map shows at this place."""
    return _inverse(_baidu(math), *point, _BD_ROUNDS)


def _offset(maths: Any) -> Callable[[N, N], tuple[N, N]]:
    """Return the move from WGS-84 to GCJ-02, in degrees.

    Args:
        maths: `math` for single numbers, `numpy` for arrays.
    """
    sin, sqrt = maths.sin, maths.sqrt

    def waves(x: N, middle: float, long: float) -> N:
        """Return the waves along one axis, in metres, with the heights of the two longest."""
        short = 20.0 * sin(x * pi) + 40.0 * sin(x / 3.0 * pi)
        return (short + middle * sin(x / 12.0 * pi) + long * sin(x / 30.0 * pi)) * 2.0 / 3.0  # type: ignore[no-any-return]

    def move(lon: N, lat: N) -> tuple[N, N]:
        x, y = lon - 105.0, lat - 35.0
        both = (20.0 * sin(6.0 * x * pi) + 20.0 * sin(2.0 * x * pi)) * 2.0 / 3.0
        east = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * sqrt(abs(x)) + both + waves(x, 150.0, 300.0)
        north = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * sqrt(abs(x)) + both
        north = north + waves(y, 160.0, 320.0)
        flat = 1.0 - _ECCENTRICITY * sin(maths.radians(lat)) ** 2
        north = north * 180.0 / (_AXIS * (1.0 - _ECCENTRICITY) / (flat * sqrt(flat)) * pi)
        east = east * 180.0 / (_AXIS / sqrt(flat) * maths.cos(maths.radians(lat)) * pi)
        return lon + east, lat + north

    return move


def _baidu(maths: Any) -> Callable[[N, N], tuple[N, N]]:
    """Return the move from GCJ-02 to BD-09, in degrees; `maths` as for `_offset`."""
    sin, cos, atan2, sqrt = maths.sin, maths.cos, maths.atan2, maths.sqrt

    def move(x: N, y: N) -> tuple[N, N]:
        far = sqrt(x * x + y * y) + 0.00002 * sin(y * pi * 3000.0 / 180.0)
        angle = atan2(y, x) + 0.000003 * cos(x * pi * 3000.0 / 180.0)
        return far * cos(angle) + 0.0065, far * sin(angle) + 0.006

    return move


def _inverse(forward: Callable[[N, N], tuple[N, N]], lon: N, lat: N, rounds: int) -> tuple[N, N]:
    """Find the point that `forward` moves to this one: guess, and correct by what is missed."""
    east, north = lon, lat
    for _ in range(rounds):
        there_east, there_north = forward(east, north)
        east, north = east + (lon - there_east), north + (lat - there_north)
    return east, north


def _mainland(lon: N, lat: N, margin: float = 0.0) -> Any:
    without = np.asarray(_in_any(lon, lat, _WITHOUT_OFFSET, -margin), dtype=bool)
    return _in_any(lon, lat, _MAINLAND, margin) & ~without


def _in_any(lon: N, lat: N, boxes: tuple[tuple[float, float, float, float], ...], margin: float = 0.0) -> Any:
    """Tell for one point or for each of many whether it lies in a box, or within a margin of it in degrees."""
    found: Any = False
    for west, south, east, north in boxes:
        within = (west - margin <= lon) & (lon <= east + margin) & (south - margin <= lat) & (lat <= north + margin)
        found = found | within
    return found
