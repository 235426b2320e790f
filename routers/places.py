"""Where a demand is: from a community's code, a point, an address or the text to street, community and grid."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from shapely import STRtree
from shapely.geometry import Point, Polygon

from routers.city import City, Community, Grid, Street
from routers.coordinates import to_wgs84
from routers.demand import Coordinates, DeclaredPlace, ResolvedPlace
from routers.phrases import Phrases, plain

NO_PLACE = "no_place"
UNKNOWN_PLACE = "unknown_place"
AMBIGUOUS_PLACE = "ambiguous_place"

_NEAR = ("我在", "人在", "住在", "位于", "地址", "地点", "就在")
"""Words after which an outside area's name in the text is the place, not only mentioned."""

_BEFORE = 4
"""Characters before such a name in which the word must stand."""


class Spot(NamedTuple):
    """A street, and as much below it as is known."""

    street: Street
    community: Community | None = None
    grid: Grid | None = None

    @property
    def zh(self) -> str:
        """The name for people, the most exact part known."""
        return (self.grid or self.community or self.street).zh


@dataclass(frozen=True, slots=True)
class Located:
    """What is known of the place, and what is missing."""

    place: ResolvedPlace
    problem: str | None = None
    """`no_place`, `unknown_place` or `ambiguous_place`; None when a street is known or it lies outside."""
    hints: tuple[str, ...] = ()
    """Codes of the streets that names tell of, in the order of mention."""


class Gazetteer:
    """The places of a city, ready to be searched; immutable, so threads may share it."""

    def __init__(self, city: City) -> None:
        places = city.places
        self._spots = [
            Spot(street, community, grid)
            for street in places.streets
            for community in street.communities
            for grid in community.grids
        ]
        self._tree = STRtree([Polygon(spot.grid.outline) for spot in self._spots if spot.grid])
        self._outline = Polygon(places.outline)
        self._communities = {
            name: Spot(street, community)
            for street in places.streets
            for community in street.communities
            for name in (community.zh, community.code)
        }
        self._names: Phrases[Spot] = Phrases(_names(places.streets))
        self._outside: Phrases[str] = Phrases((name, name) for name in places.outside)

    def locate(self, declared: DeclaredPlace | None, text: str) -> Located:
        """Find the place of a demand.

        What its sender declares goes before what the text says: a community, a point, an address, the text.

        Args:
            declared: the place as its sender says, if any.
            text: title and text, as written.
        """
        if declared is not None and declared.community is not None:
            spot = self._communities.get(declared.community.strip())
            if spot is not None:
                return Located(_resolved(spot, "community"))
            return Located(ResolvedPlace(), UNKNOWN_PLACE, self._named(plain(text), "text").hints)
        if declared is not None and declared.coordinates is not None:
            return Located(self.at(declared.coordinates))
        address = declared.address if declared is not None else None
        if address is None:
            return self._named(plain(text), "text")
        found = self._named(plain(address), "address")
        if found.problem != NO_PLACE:
            return found
        told = self._named(plain(text), "text")
        return told if told.problem is None else Located(ResolvedPlace(), UNKNOWN_PLACE, told.hints)

    def at(self, coordinates: Coordinates) -> ResolvedPlace:
        """Return the grid around a point; on a border the one that comes first in the places file."""
        lon, lat = to_wgs84(coordinates)
        point = Point(lon, lat)
        around = self._tree.query(point, predicate="intersects")
        if len(around):
            return _resolved(self._spots[int(min(around))], "coordinates", lon, lat)
        if self._outline.intersects(point):
            # a hair's breadth between two outlines: numbers of five decimals do not meet exactly
            return _resolved(self._spots[int(self._tree.nearest(point))], "coordinates", lon, lat)
        return ResolvedPlace(lon=lon, lat=lat, found_by="coordinates", outside=True)

    def _named(self, text: str, by: str) -> Located:
        """Find the place by the names in a text."""
        spots = [hit.meaning for hit in self._names.longest(text)]
        if not spots:
            area = self._outside_area(text, by)
            if area is not None:
                return Located(ResolvedPlace(name=area, found_by=by, outside=True))
            return Located(ResolvedPlace(), NO_PLACE)
        streets = tuple(dict.fromkeys(spot.street.code for spot in spots))
        if len(streets) > 1:
            return Located(ResolvedPlace(), AMBIGUOUS_PLACE, streets)
        return Located(_resolved(_common(spots), by), hints=streets)

    def _outside_area(self, text: str, by: str) -> str | None:
        for hit in self._outside.longest(text):
            before = text[max(0, hit.start - _BEFORE) : hit.start]
            if by == "address" or not text[: hit.start].strip() or any(word in before for word in _NEAR):
                return hit.meaning
        return None


def _names(streets: Iterable[Street]) -> Iterable[tuple[str, Spot]]:
    for street in streets:
        for name in (street.zh, *street.aliases):
            yield name, Spot(street)
        for community in street.communities:
            for name in (community.zh, *community.aliases):
                yield name, Spot(street, community)
            for grid in community.grids:
                for name in (grid.zh, *grid.aliases):
                    yield name, Spot(street, community, grid)


def _common(spots: Sequence[Spot]) -> Spot:
    """Return what all spots of one street have in common; a name of a part says more than that of the whole."""
    grids = {spot.grid.code: spot for spot in spots if spot.grid is not None}
    communities = {spot.community.code: spot for spot in spots if spot.community is not None}
    if len(grids) == 1 and len(communities) == 1:
        return next(iter(grids.values()))
    if len(communities) == 1:
        return next(iter(communities.values()))._replace(grid=None)
    return Spot(spots[0].street)


def _resolved(spot: Spot, by: str, lon: float | None = None, lat: float | None = None) -> ResolvedPlace:
    return ResolvedPlace(
        street=spot.street.code,
        community=spot.community.code if spot.community else None,
        grid=spot.grid.code if spot.grid else None,
        name=spot.zh,
        lon=lon,
        lat=lat,
        found_by=by,
    )
