"""Where a demand is: from a community's code, a point, an address or the text to street, community and grid."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import starmap
from typing import Any

from routers.city import City
from routers.coordinates import all_to_wgs84
from routers.demand import Coordinates, DeclaredPlace, Neighbour, ResolvedPlace
from routers.outlines import Around, Outlines
from routers.phrases import Phrases, plain
from routers.placenames import Mention, PlaceNames, settle
from routers.spots import Spot, common, spots_of

NO_PLACE = "no_place"
UNKNOWN_PLACE = "unknown_place"
AMBIGUOUS_PLACE = "ambiguous_place"

_DECIMALS = 7
"""Of a degree: about a centimetre."""

_NEAR = ("我在", "人在", "住在", "位于", "地址", "地点", "就在")
"""Words after which an outside area's name in the text is the place, not only mentioned."""

_BEFORE = 4
"""Characters before such a name in which the word must stand."""


@dataclass(frozen=True, slots=True)
class Located:
    """What is known of the place, and what is missing."""

    place: ResolvedPlace
    problem: str | None = None
    """`no_place`, `unknown_place` or `ambiguous_place`; None when a street is known or it lies outside."""
    hints: tuple[str, ...] = ()
    """Codes of the streets that a point or names tell of, in the order of mention."""


class Gazetteer:
    """The places of a city, ready to be searched; immutable, so threads may share it."""

    def __init__(self, city: City) -> None:
        self._outlines = Outlines(city.places)
        self._names = PlaceNames(city.places)
        self._outside: Phrases[str] = Phrases((name, name) for name in city.places.outside)
        self._known = {spot.code: _fields(spot) for spot in spots_of(city.places)}
        self._neighbours = {
            spot.code: Neighbour(grid=spot.code, street=spot.street.code, name=spot.zh)
            for spot in spots_of(city.places)
        }
        self._communities: dict[str, Mention] = {}
        for spot in spots_of(city.places):
            if spot.community is not None and spot.grid is None:
                for name in (spot.code, spot.zh):
                    self._communities[name] = (*self._communities.get(name, ()), spot)

    def locate(self, declared: DeclaredPlace | None, text: str) -> Located:
        """Find the place of a demand.

        What its sender declares goes before what the text says: a community, a point, an address, the text.

        Args:
            declared: the place as its sender says, if any.
            text: title and text, as written.
        """
        point = declared.coordinates if declared is not None else None
        return self._locate(declared, text, self.at(point) if point is not None else None)

    def locate_all(self, asked: Iterable[tuple[DeclaredPlace | None, str]]) -> list[Located]:
        """Find the places of many demands, in their order; a batch of points costs a fraction of one after another.

        Args:
            asked: for each demand what `locate` takes.
        """
        asked = list(asked)
        points = [declared.coordinates if declared is not None else None for declared, _ in asked]
        placed = iter(self.at_all([point for point in points if point is not None]))
        return [
            self._locate(declared, text, next(placed) if point is not None else None)
            for (declared, text), point in zip(asked, points, strict=True)
        ]

    def at(self, coordinates: Coordinates) -> ResolvedPlace:
        """Return the grid around a point, and those close by; see `at_all`."""
        return self.at_all([coordinates])[0]

    def at_all(self, points: Sequence[Coordinates]) -> list[ResolvedPlace]:
        """Return the grid around each of many points, and others within 50 m.

        On a border it is the grid that comes first in the places file. A point in the area that lies in no
        street's outline, and near none, has no street.
        """
        if not points:
            return []
        lon, lat = all_to_wgs84(points)
        around = self._outlines.around(lon, lat)
        return list(starmap(self._pinned, zip(points, lon.tolist(), lat.tolist(), around, strict=True)))

    def _pinned(self, point: Coordinates, lon: float, lat: float, around: Around) -> ResolvedPlace:
        spot = around.spot
        known = self._known[spot.code] if spot is not None and not around.outside else {}
        return ResolvedPlace(
            **known,
            lon=round(lon, _DECIMALS),
            lat=round(lat, _DECIMALS),
            original=point,
            near=tuple([self._neighbours[other.code] for other in around.near]) if around.near else (),
            found_by="coordinates",
            outside=around.outside,
        )

    def _locate(self, declared: DeclaredPlace | None, text: str, point: ResolvedPlace | None) -> Located:
        if declared is not None and declared.community is not None:
            return self._in_community(declared.community.strip(), text, point)
        if point is not None:
            known = point.street is not None or point.outside
            hints = tuple(dict.fromkeys(each.street for each in point.near))
            return Located(point, None if known else UNKNOWN_PLACE, () if point.street is not None else hints)
        address = declared.address if declared is not None else None
        if address is None:
            return self._named(plain(text), "text")
        found = self._named(plain(address), "address", plain(text))
        if found.problem != NO_PLACE:
            return found
        told = self._named(plain(text), "text")
        return told if told.problem is None else Located(ResolvedPlace(), UNKNOWN_PLACE, told.hints)

    def _in_community(self, name: str, text: str, point: ResolvedPlace | None) -> Located:
        """Find a declared community; where a point lies in it too, that tells the grid."""
        meant = self._communities.get(name)
        if meant is None:
            told = self._named(plain(text), "text")
            around = (point.street,) if point is not None and point.street is not None else ()
            hints = tuple(dict.fromkeys((*around, *told.hints)))
            return Located(_with_point(ResolvedPlace(), point), UNKNOWN_PLACE, hints)
        spots = settle([meant], self._names.mentions(plain(text))) if len(meant) > 1 else list(meant)
        if len(spots) > 1:
            return Located(
                _with_point(ResolvedPlace(), point), AMBIGUOUS_PLACE, tuple(spot.street.code for spot in spots)
            )
        if point is not None and point.community == spots[0].code:
            return Located(point.model_copy(update={"found_by": "community"}))
        return Located(_with_point(_resolved(spots[0], "community"), point))

    def _named(self, text: str, by: str, besides: str = "") -> Located:
        """Find the place by the names in a text; names with several meanings also by those in another text."""
        mentions = self._names.mentions(text)
        if not mentions:
            area = self._outside_area(text, by)
            if area is not None:
                return Located(ResolvedPlace(name=area, found_by=by, outside=True))
            return Located(ResolvedPlace(), NO_PLACE)
        spots = settle(mentions)
        streets = tuple(dict.fromkeys(spot.street.code for spot in spots))
        if len(streets) > 1 and besides:
            spots = settle(mentions, self._names.mentions(besides))
            streets = tuple(dict.fromkeys(spot.street.code for spot in spots))
        if len(streets) > 1:
            return Located(ResolvedPlace(), AMBIGUOUS_PLACE, streets)
        return Located(_resolved(common(spots), by), hints=streets)

    def _outside_area(self, text: str, by: str) -> str | None:
        for hit in self._outside.longest(text):
            before = text[max(0, hit.start - _BEFORE) : hit.start]
            if by == "address" or not text[: hit.start].strip() or any(word in before for word in _NEAR):
                return hit.meaning
        return None


def _with_point(place: ResolvedPlace, point: ResolvedPlace | None) -> ResolvedPlace:
    """Return a place with the point it was declared with; the grid around that point is named when it is another."""
    if point is None:
        return place
    near = point.near
    if point.street is not None and point.name is not None:
        code = point.grid or point.community or point.street
        near = (Neighbour(grid=code, street=point.street, name=point.name), *near)
    return place.model_copy(update={"lon": point.lon, "lat": point.lat, "original": point.original, "near": near})


def _resolved(spot: Spot, by: str) -> ResolvedPlace:
    return ResolvedPlace(**_fields(spot), found_by=by)


def _fields(spot: Spot) -> dict[str, Any]:
    """Return what a resolved place says of a spot, by the names of its fields."""
    return {
        "street": spot.street.code,
        "community": spot.community.code if spot.community else None,
        "grid": spot.grid.code if spot.grid else None,
        "name": spot.zh,
    }
