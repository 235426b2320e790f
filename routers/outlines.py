"""Points in outlines: which grid is around a point, and whose border runs close by.

Outlines are straight between their corners in degrees, as GeoJSON has it (RFC 7946), so what contains
a point is asked in degrees. What is near is asked in metres: in Mercator's projection of the WGS-84
ellipsoid, which keeps angles, so that 50 m are a circle there too, only a larger one the further from
the equator (Snyder, Map Projections, USGS PP 1395, pp. 41-44). An edge of 5 km bends by half a metre.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import STRtree

from routers.city import Places
from routers.coordinates import Degrees
from routers.spots import Spot, is_whole, spots_of

NEAR = 50.0
"""Metres: phones, maps and hands err by so much, so both sides of a border must be thought of."""

_AXIS = 6_378_137.0
"""Semi-major axis of WGS-84, in metres."""

_ECCENTRICITY = 0.0818191908426
"""First eccentricity of WGS-84."""

_POLE = 89.0
"""Degrees: Mercator has no pole, and no city is as near to it."""


class Around(NamedTuple):
    """What is around a point."""

    spot: Spot | None
    """The smallest place that contains it; on a border the one that comes first in the places file."""
    near: tuple[Spot, ...]
    """Other smallest places that are no more than `NEAR` metres away, the nearest first."""
    outside: bool
    """It lies outside the whole area."""


class Outlines:
    """The outlines of a city, ready to be searched; immutable, so threads may share it."""

    def __init__(self, places: Places) -> None:
        spots = list(spots_of(places))
        self._smallest = [spot for spot in spots if not is_whole(spot)]
        # a part before its whole, for points that no part contains
        self._wholes = [spot for spot in reversed(spots) if is_whole(spot)]
        rings = [np.array(spot.outline, dtype=np.float64) for spot in self._smallest]
        self._tree = STRtree([shapely.polygons(ring) for ring in rings])
        self._flat = np.array([shapely.polygons(_flat(ring[:, 0], ring[:, 1])[0]) for ring in rings], dtype=object)
        self._flat_tree = STRtree(self._flat)
        self._whole_tree = STRtree([shapely.polygons(spot.outline) for spot in self._wholes])
        self._area = shapely.polygons(places.outline)
        shapely.prepare(self._area)

    def around(self, lon: Degrees, lat: Degrees) -> list[Around]:
        """Return what is around each of many points.

        Args:
            lon: degrees WGS-84.
            lat: likewise, of the same length.
        """
        points = shapely.points(lon, lat)
        found = _first(self._tree, points)
        near = self._near(lon, lat, found)
        around = []
        for number, place in enumerate(found.tolist()):
            close = near[number]
            if place >= 0:
                around.append(Around(self._smallest[place], close, outside=False))
                continue
            whole = int(_first(self._whole_tree, points[number : number + 1])[0])
            inside = bool(shapely.intersects(self._area, points[number]))
            if whole >= 0:
                around.append(Around(self._wholes[whole], close, outside=not inside))
            elif inside and close:
                # a hair's breadth between two outlines: numbers of five decimals do not meet exactly
                around.append(Around(close[0], close[1:], outside=False))
            else:
                around.append(Around(None, close, outside=not inside))
        return around

    def _near(self, lon: Degrees, lat: Degrees, found: NDArray[np.int64]) -> list[tuple[Spot, ...]]:
        """Return the places close to each point, without the one that was found around it."""
        drawn, scale = _flat(lon, lat)
        reach = NEAR * scale
        east, north = drawn[:, 0], drawn[:, 1]
        which, place = self._flat_tree.query(shapely.box(east - reach, north - reach, east + reach, north + reach))
        other = found[which] != place
        which, place = which[other], place[other]
        metres = shapely.distance(shapely.points(drawn)[which], self._flat[place]) / scale[which]
        close = metres <= NEAR
        which, place, metres = which[close], place[close], metres[close]
        order = np.lexsort((place, metres))
        near: list[tuple[Spot, ...]] = [()] * len(lon)
        for point, at in zip(which[order].tolist(), place[order].tolist(), strict=True):
            near[point] = (*near[point], self._smallest[at])
        return near


def _first(tree: STRtree, points: NDArray[np.object_]) -> NDArray[np.int64]:
    """Return for each point the first outline that it lies in or on; -1 where there is none."""
    which, place = tree.query(points, predicate="intersects")
    none = len(tree.geometries)
    found = np.full(len(points), none, dtype=np.int64)
    np.minimum.at(found, which, place)
    found[found == none] = -1
    return found


def _flat(lon: Degrees, lat: Degrees) -> tuple[Degrees, Degrees]:
    """Return points as Mercator draws them, x and y in columns, and how much larger it draws a metre there."""
    angle = np.radians(np.minimum(np.maximum(lat, -_POLE), _POLE))
    sine = np.sin(angle)
    flat = _ECCENTRICITY * sine
    north = np.arctanh(sine) - _ECCENTRICITY * np.arctanh(flat)
    drawn = np.empty((len(lon), 2))
    drawn[:, 0] = np.radians(lon)
    drawn[:, 1] = north
    scale: Degrees = np.sqrt(1.0 - flat * flat) / np.cos(angle)
    return drawn * _AXIS, scale
