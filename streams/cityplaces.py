"""The places of a city held against each other: outlines are areas, children lie within parents, names lead home.

Coordinates are degrees WGS-84, longitude first; areas are taken in the plane, which is exact
enough to see whether one outline leaves another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from shapely.geometry import Polygon
from shapely.validation import explain_validity

from streams.cityparts import Parts
from streams.cityshapes import CommunityShape, GridShape, StreetShape
from streams.cityyaml import Document, Findings, Loc

TOLERANCE = 1e-4
"""Degrees, about ten metres: outlines are drawn by hand, and neighbours share only most of their points."""

Place = StreetShape | CommunityShape | GridShape


def check_places(document: Document, parts: Parts, findings: Findings) -> None:
    """Check outlines and names.

    Args:
        document: `places.yaml`.
        parts: with the well-shaped streets, and the names of other areas.
        findings: gets the mistakes.
    """
    whole = None
    if parts.district is not None:
        whole = _area(document, ("district",), parts.district.code, parts.district.outline, findings)
    _nest(document, [(item.loc, item.value) for item in parts.streets], whole, "the district", findings)
    _names(document, parts, findings)


def _nest(
    document: Document, places: Sequence[tuple[Loc, Place]], parent: Polygon | None, within: str, findings: Findings
) -> None:
    """Check the outlines of siblings, and those of their children in turn."""
    areas: list[tuple[Loc, Place, Polygon]] = []
    room = parent.buffer(TOLERANCE) if parent is not None else None
    for loc, place in places:
        area = _area(document, loc, place.code, place.outline, findings)
        _nest(document, list(_children(loc, place)), area, place.code, findings)
        if area is None:
            continue
        if room is not None and not room.covers(area):
            findings.error(document, (*loc, "outline"), f"{place.code} ({place.zh}) reaches outside {within}")
        areas.append((loc, place, area))
    for (_, first, one), (loc, second, other) in combinations(areas, 2):
        if one.intersects(other) and not one.intersection(other).buffer(-TOLERANCE).is_empty:
            text = f"{second.code} ({second.zh}) overlaps {first.code} ({first.zh}): a point would lie in both"
            findings.error(document, (*loc, "outline"), text)


def _children(loc: Loc, place: Place) -> Iterator[tuple[Loc, Place]]:
    if isinstance(place, StreetShape):
        for index, community in enumerate(place.communities):
            yield (*loc, "communities", index), community
    elif isinstance(place, CommunityShape):
        for index, grid in enumerate(place.grids):
            yield (*loc, "grids", index), grid


def _area(
    document: Document, loc: Loc, code: str, outline: tuple[tuple[float, float], ...], findings: Findings
) -> Polygon | None:
    area = Polygon(outline)
    if area.is_valid and area.area > 0:
        return area
    why = explain_validity(area) if not area.is_valid else "it has no area"
    findings.error(document, (*loc, "outline"), f"the outline of {code} crosses itself or is no area: {why}")
    return None


def _names(document: Document, parts: Parts, findings: Findings) -> None:
    """Check that names lead home, and tell of those that alone lead to no single street."""
    outside = set(parts.city.outside) if parts.city else set()
    first: dict[str, tuple[str, str]] = {}
    parted: dict[str, list[tuple[Loc, GridShape]]] = {}
    for street in parts.streets:
        for loc, place in _all(street.loc, street.value):
            for key, name in _called(place):
                if name in outside:
                    findings.error(
                        document, (*loc, *key), f"{name} ({place.code}) is also named as outside in city.yaml"
                    )
                if key[0] == "numbers" and isinstance(place, GridShape):
                    parted.setdefault(name, []).append((loc, place))
                    continue
                owner, code = first.setdefault(name, (street.value.code, place.code))
                if owner != street.value.code:
                    text = (
                        f"{name} means {place.code}, and {code} in {owner}: a text that says no more goes to the desk"
                    )
                    findings.warn(document, (*loc, *key), text)
    for name, grids in parted.items():
        _numbers(document, name, grids, first[name][1] if name in first else None, findings)


def _called(place: Place) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield every name of a place and the keys under which it stands."""
    yield ("zh",), place.zh
    for alias in place.aliases:
        yield ("aliases",), alias
    for name in place.old_names:
        yield ("old_names",), name
    if isinstance(place, GridShape):
        for name in place.numbers:
            yield ("numbers", name), name


def _numbers(
    document: Document, name: str, grids: Sequence[tuple[Loc, GridShape]], named: str | None, findings: Findings
) -> None:
    """Check the numbers of a road or estate that several grids share."""
    loc, grid = grids[0]
    if named is not None:
        text = f"{name} is a name of {named} as well: with numbers here, it is the name of no place by itself"
        findings.error(document, (*loc, "numbers", name), text)
    if len(grids) == 1:
        text = f"only {grid.code} has numbers of {name}: is the name written otherwise elsewhere? else make it an alias"
        findings.warn(document, (*loc, "numbers", name), text)
    for (_, one), (there, other) in combinations(grids, 2):
        both = (
            number
            for first in one.numbers[name]
            for second in other.numbers[name]
            for number in range(max(first.first, second.first), min(first.last, second.last) + 1)
            if number in first and number in second
        )
        if (number := next(both, None)) is not None:
            text = f"{name} {number} lies in {other.code} and in {one.code}: a number belongs to one grid"
            findings.error(document, (*there, "numbers", name), text)


def _all(loc: Loc, place: Place) -> Iterator[tuple[Loc, Place]]:
    yield loc, place
    for child_loc, child in _children(loc, place):
        yield from _all(child_loc, child)
