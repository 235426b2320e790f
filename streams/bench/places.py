"""How fast places are found: points among many grids, in a batch and one by one, and names in texts."""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from routers.city import City, Community, Grid, NumberRange, Places, Ring, Street, frozen_map
from routers.coordinates import all_to_wgs84, gcj02_to_bd09, wgs84_to_gcj02
from routers.demand import Coordinates, CoordinateSystem, ResolvedPlace
from routers.outlines import Outlines
from routers.places import Gazetteer

DEFAULT_GRIDS = 10_000
DEFAULT_POINTS = 10_000

_WEST, _SOUTH = 104.0, 30.0
_SIDE = 0.003
"""Degrees: a grid of about 300 m."""

_ROW = 20
"""Grids of a community, side by side."""

_BORDER_POINTS = 3
"""Corners of an outline between two of its four, so that borders are as crooked as drawn ones."""

_ALONE = 500
"""Points that are also placed one by one, and texts."""

_RUNS = 5


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures, and whether they can be trusted."""

    figures: dict[str, Any]
    good: bool
    """A point in a batch and alone leads to the same place, and every point to one."""


def measure(city: City, grids: int = DEFAULT_GRIDS, points: int = DEFAULT_POINTS, seed: int = 1) -> Measured:
    """Measure processor time, in turn, so that a busy moment of the machine hits all alike.

    Args:
        city: gives all but the places.
        grids: of the generated city; rounded up to whole streets of square shape.
        points: in one batch, of all coordinate systems in equal parts.
        seed: of city, points and texts.
    """
    chance = random.Random(seed)  # noqa: S311 - seeded on purpose
    side = max(_ROW, -(-int(grids**0.5) // _ROW) * _ROW)
    started = time.perf_counter()
    places = generated(side, chance)
    gazetteer = Gazetteer(replace(city, places=places))
    built = time.perf_counter() - started
    asked = _points(side, points, chance)
    outlines = Outlines(places)
    lon, lat = all_to_wgs84(asked)
    alone = asked[:: max(1, len(asked) // _ALONE)]
    texts = [_text(places, chance) for _ in range(_ALONE)]
    batch: list[float] = []
    search: list[float] = []
    single: list[float] = []
    told: list[float] = []
    placed: list[ResolvedPlace] = []
    each: list[ResolvedPlace] = []
    for _ in range(_RUNS):
        placed = _timed(batch, len(asked), lambda: gazetteer.at_all(asked))
        _timed(search, len(asked), lambda: outlines.around(lon, lat))
        each = _timed(single, len(alone), lambda: [gazetteer.at(point) for point in alone])
        _timed(told, len(texts), lambda: [gazetteer.locate(None, text) for text in texts])
    by_point = dict(zip(map(id, asked), placed, strict=True))
    same = all(by_point[id(point)].grid == place.grid for point, place in zip(alone, each, strict=True))
    figures = {
        "grids": side * side,
        "points": len(asked),
        "built_s": round(built, 2),
        "batch_us": _median(batch),
        "search_us": _median(search),
        "one_by_one_us": _median(single),
        "ratio": round(_median(single) / _median(batch), 1),
        "text_us": _median(told),
        "near_a_border": sum(bool(place.near) for place in placed),
        "agree": same,
    }
    return Measured(figures, same and all(place.grid is not None for place in placed))


def generated(side: int, chance: random.Random) -> Places:
    """Return a city of `side` times `side` grids with crooked borders and roads with numbers."""
    corner = [[_corner(x, y, side, chance) for x in range(side + 1)] for y in range(side + 1)]
    across = [[_line(row[x], row[x + 1], chance) for x in range(side)] for row in corner]
    along = [[_line(corner[y][x], corner[y + 1][x], chance) for x in range(side + 1)] for y in range(side)]

    def outline(x: int, y: int) -> Ring:
        east, north = along[y][x + 1], across[y + 1][x]
        return (*across[y][x][:-1], *east[:-1], *north[:0:-1], *along[y][x][:0:-1])

    def hull(x: int, y: int, width: int, height: int) -> Ring:
        south = [point for column in range(x, x + width) for point in across[y][column][:-1]]
        east = [point for row in range(y, y + height) for point in along[row][x + width][:-1]]
        north = [point for column in reversed(range(x, x + width)) for point in across[y + height][column][:0:-1]]
        west = [point for row in reversed(range(y, y + height)) for point in along[row][x][:0:-1]]
        return (*south, *east, *north, *west)

    def community(x: int, y: int) -> Community:
        code = f"C{y:03d}{x:03d}"
        grids = tuple(
            Grid(
                f"G{y:03d}{x + number:03d}",
                f"{y:03d}{x + number:03d}网格",
                (f"{_han(y)}{_han(x + number)}小区",),
                outline(x + number, y),
                numbers=frozen_map({f"{_han(y)}{_han(x)}路": (NumberRange(number * 20 + 1, number * 20 + 20),)}),
            )
            for number in range(_ROW)
        )
        return Community(code, f"{code}社区", (), hull(x, y, _ROW, 1), grids)

    def street(y: int) -> Street:
        communities = tuple(community(x, row) for row in range(y, y + _ROW) for x in range(0, side, _ROW))
        return Street(f"S{y:03d}", f"第{y}街道", (), hull(0, y, side, _ROW), communities)

    return Places(hull(0, 0, side, side), tuple(street(y) for y in range(0, side, _ROW)))


def _corner(x: int, y: int, side: int, chance: random.Random) -> tuple[float, float]:
    shift = 0.0 if x in (0, side) or y in (0, side) else 0.25
    return (
        round(_WEST + (x + chance.uniform(-shift, shift)) * _SIDE, 6),
        round(_SOUTH + (y + chance.uniform(-shift, shift)) * _SIDE, 6),
    )


def _line(start: tuple[float, float], end: tuple[float, float], chance: random.Random) -> Ring:
    """Return a crooked line from corner to corner."""
    (west, south), (east, north) = start, end
    bend = _SIDE * 0.03
    between = tuple(
        (
            round(west + (east - west) * part + chance.uniform(-bend, bend), 6),
            round(south + (north - south) * part + chance.uniform(-bend, bend), 6),
        )
        for part in (number / (_BORDER_POINTS + 1) for number in range(1, _BORDER_POINTS + 1))
    )
    return (start, *between, end)


def _points(side: int, count: int, chance: random.Random) -> list[Coordinates]:
    """Return points well inside, in all systems."""
    systems = list(CoordinateSystem)
    found = []
    for number in range(count):
        shown = (
            _WEST + chance.uniform(0.1, side - 0.1) * _SIDE,
            _SOUTH + chance.uniform(0.1, side - 0.1) * _SIDE,
        )
        crs = systems[number % len(systems)]
        if crs in (CoordinateSystem.GCJ02, CoordinateSystem.BD09):
            shown = wgs84_to_gcj02(shown)
        if crs is CoordinateSystem.BD09:
            shown = gcj02_to_bd09(shown)
        found.append(Coordinates(lon=shown[0], lat=shown[1], crs=crs))
    return found


def _text(places: Places, chance: random.Random) -> str:
    grid = chance.choice(chance.choice(chance.choice(places.streets).communities).grids)
    road = next(iter(grid.numbers))
    number = chance.randint(1, _ROW * 20)
    return f"您好，{grid.aliases[0]}楼道灯不亮，{road}{number}号门口的井盖也响了几天，请派人来看看，谢谢。"


def _han(number: int) -> str:
    """Return a number as two Chinese characters, another pair for each below 10,000."""
    return chr(0x4E00 + number // 100) + chr(0x5000 + number % 100)


def _timed(into: list[float], count: int, work: Callable[[], list[Any]]) -> list[Any]:
    """Note the processor time of one, in microseconds, without the collector, which a worker keeps off its city too."""
    gc.disable()
    try:
        started = time.process_time()
        found = work()
        into.append((time.process_time() - started) / count * 1e6)
    finally:
        gc.enable()
    return found


def _median(values: Sequence[float]) -> float:
    return round(statistics.median(values), 2)
