"""The cities tests play in."""

from __future__ import annotations

from functools import cache

from routers.city import City
from routers.classifier import Model
from streams.cityfile import load_city
from streams.modelfile import of_city
from streams.settings import QINGLAN


@cache
def qinglan() -> City:
    """Return the district that ships with the project, loaded once."""
    return load_city(QINGLAN)


@cache
def qinglan_model() -> Model:
    """Return the model that ships with it."""
    model, missing = of_city(QINGLAN, qinglan())
    assert model is not None, missing
    return model
