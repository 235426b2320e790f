"""The unit lane keeps the cyclic collector off what lives as long as the lane: modules, models, collected tests."""

from __future__ import annotations

import gc

import pytest

gc.set_threshold(50_000, 20, 20)  # importing makes much and frees nothing


def pytest_collection_finish(session: pytest.Session) -> None:
    """Leave alone what has been imported and collected."""
    _ = session
    gc.collect()
    gc.freeze()
