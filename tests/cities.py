"""The cities tests play in."""

from __future__ import annotations

from functools import cache

from routers.city import City
from streams.cityfile import load_city
from streams.settings import QINGLAN


@cache
def qinglan() -> City:
    """Return the district that ships with the project, loaded once."""
    return load_city(QINGLAN)
