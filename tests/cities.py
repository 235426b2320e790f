"""The city of the tests."""

from functools import cache

from routers.city import City
from streams.cityfile import load_city
from streams.settings import QINGLAN


@cache
def qinglan() -> City:
    """Return Qinglan, read once for all tests."""
    return load_city(QINGLAN)
