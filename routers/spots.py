"""A place of a city as decisions use it: a street, and as much below it as is known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from routers.city import Community, Grid, Places, Ring, Street


class Spot(NamedTuple):
    """A street, and as much below it as is known."""

    street: Street
    community: Community | None = None
    grid: Grid | None = None

    @property
    def place(self) -> Street | Community | Grid:
        """The most exact part known."""
        return self.grid or self.community or self.street

    @property
    def code(self) -> str:
        """Its code."""
        return self.place.code

    @property
    def zh(self) -> str:
        """Its name for people."""
        return self.place.zh

    @property
    def outline(self) -> Ring:
        """Its outline."""
        return self.place.outline


def spots_of(places: Places) -> Iterator[Spot]:
    """Return every street, community and grid, each before its parts."""
    for street in places.streets:
        yield Spot(street)
        for community in street.communities:
            yield Spot(street, community)
            for grid in community.grids:
                yield Spot(street, community, grid)


def is_whole(spot: Spot) -> bool:
    """Tell whether smaller places are drawn inside it."""
    if spot.grid is not None:
        return False
    return bool(spot.community.grids if spot.community is not None else spot.street.communities)


def common(spots: list[Spot]) -> Spot:
    """Return what all spots of one street have in common; a name of a part says more than that of the whole."""
    grids = {spot.grid.code: spot for spot in spots if spot.grid is not None}
    communities = {spot.community.code: spot for spot in spots if spot.community is not None}
    if len(grids) == 1 and len(communities) == 1:
        return next(iter(grids.values()))
    if len(communities) == 1:
        return next(iter(communities.values()))._replace(grid=None)
    return Spot(spots[0].street)
