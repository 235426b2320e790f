"""The places of a city folder: streets, communities and grids, held against each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import shapely
from shapely.geometry import Polygon
from shapely.validation import explain_validity

from routers.city import Community, Grid, Places, Ring, Street, Unit
from streams.city_yaml import Item

_SLACK = 2e-5
"""Degrees, about two metres: outlines are rounded to one metre."""


def read_places(item: Item, outside: tuple[str, ...], units: Mapping[str, Unit]) -> Places:
    """Return `places.yaml`.

    Args:
        item: the file.
        outside: names of other areas.
        units: all units; empty when they could not be read.
    """
    reader = _Reader(outside)
    district = item.block("district")
    district.text("code")
    district.text("zh")
    outline = district.points("outline")
    whole = reader.polygon(district, "the district", outline)
    streets = [(each, reader.street(each, whole, units)) for each in item.items("streets")]
    reader.apart(streets)
    placed = {street.code for _, street in streets}
    for unit in units.values():
        if unit.kind in ("street", "town") and unit.code not in placed:
            item.error(f"unit {unit.code} ({unit.short}) is a {unit.kind} without a place", "streets")
    district.finish()
    item.finish()
    return Places(outline, tuple(street for _, street in streets), outside)


class _Reader:
    """Remembers every code and name seen so far."""

    def __init__(self, outside: Iterable[str]) -> None:
        self.codes: set[str] = set()
        self.names: dict[str, str] = dict.fromkeys(outside, "another area")

    def street(self, item: Item, whole: Polygon | None, units: Mapping[str, Unit]) -> Street:
        code, zh, aliases, outline = self._named(item)
        if units and code and (code not in units or units[code].kind not in ("street", "town")):
            item.error(f"place {code} is no unit of kind street or town", "code")
        area = self.polygon(item, code, outline)
        self.within(item, code, area, whole)
        communities = [(each, self.community(each, area)) for each in item.items("communities")]
        self.apart(communities)
        item.finish()
        return Street(code, zh, aliases, outline, tuple(each for _, each in communities))

    def community(self, item: Item, parent: Polygon | None) -> Community:
        code, zh, aliases, outline = self._named(item)
        area = self.polygon(item, code, outline)
        self.within(item, code, area, parent)
        grids = [(each, self.grid(each, area)) for each in item.items("grids")]
        self.apart(grids)
        item.finish()
        return Community(code, zh, aliases, outline, tuple(each for _, each in grids))

    def grid(self, item: Item, parent: Polygon | None) -> Grid:
        code, zh, aliases, outline = self._named(item)
        self.within(item, code, self.polygon(item, code, outline), parent)
        item.finish()
        return Grid(code, zh, aliases, outline)

    def _named(self, item: Item) -> tuple[str, str, tuple[str, ...], Ring]:
        code, zh, aliases = item.text("code"), item.text("zh"), item.words("aliases", ())
        if code in self.codes:
            item.error(f"place {code} stands here twice", "code")
        self.codes.add(code)
        for key, name in [("zh", zh), *(("aliases", alias) for alias in aliases)]:
            if name in self.names:
                item.error(f"{name} means both {code} and {self.names[name]}", key)
            elif len(name) == 1:
                item.error(f"{name} is too short to be found in a text", key)
            self.names.setdefault(name, code)
        return code, zh, aliases, item.points("outline")

    def polygon(self, item: Item, code: str, outline: Ring) -> Polygon | None:
        """Return the outline as an area; None when it is none, which is noted."""
        if not outline:
            return None
        if len(outline) < 3:
            item.error(f"the outline of {code} needs three points", "outline")
            return None
        area = Polygon(outline)
        if not area.is_valid:
            item.error(f"the outline of {code} crosses itself: {explain_validity(area)}", "outline")
            return None
        return area

    def within(self, item: Item, code: str, area: Polygon | None, parent: Polygon | None) -> None:
        """Note an area that leaves its parent's."""
        if area is not None and parent is not None and not parent.buffer(_SLACK).covers(area):
            item.error(f"{code} lies partly outside the place it belongs to", "outline")

    def apart(self, siblings: Sequence[tuple[Item, Street | Community | Grid]]) -> None:
        """Note neighbours that cover the same ground: a point there would have two owners."""
        drawn = [(item, place) for item, place in siblings if len(place.outline) >= 3]
        areas = [Polygon(place.outline) for _, place in drawn]
        if not areas or not all(area.is_valid for area in areas):
            return
        inner = [area.buffer(-_SLACK) for area in areas]
        tree = shapely.STRtree(inner)
        for first, second in zip(*tree.query(inner, predicate="intersects"), strict=True):
            if first < second:
                item, place = drawn[second]
                item.error(f"{place.code} and {drawn[first][1].code} overlap", "outline")
