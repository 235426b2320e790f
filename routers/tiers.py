"""How sure the machine must be to dispatch by itself: thresholds that hold a promise.

A model brings evidence: what it answered to texts that were left out, how sure it was, and whether
it was right. A city promises a precision (such as 99.5 %). The threshold is the lowest confidence
at and above which the evidence keeps the promise; a category that does worse than the others there
gets a higher one of its own, or none that it could reach.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

NEVER = 2.0
"""A threshold that no confidence reaches: all of it goes to the desk."""

_TRUST = 10.0
"""Texts by which a category is first believed to be like all others."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a model answered to texts it had not learned from.

    Attributes:
        said: the category it answered, one a text.
        confidence: how sure it was, 0 to 1.
        right: whether that was so.
    """

    said: tuple[str, ...]
    confidence: npt.NDArray[np.float32]
    right: npt.NDArray[np.bool_]


def thresholds(evidence: Evidence, promise: float, promises: Mapping[str, float]) -> Mapping[str, float]:
    """Return the least confidence for a dispatch by machine, for each category the evidence tells of.

    Args:
        evidence: of the model in use.
        promise: precision that every category shall have.
        promises: by category, where another is promised.
    """
    said = np.array(evidence.said)
    common = {each: _lowest(evidence.confidence, evidence.right, each) for each in {promise, *promises.values()}}
    found = {}
    for category in dict.fromkeys(evidence.said):
        wanted = promises.get(category, promise)
        own = said == category
        found[category] = _own(evidence.confidence[own], evidence.right[own], wanted, common[wanted])
    return MappingProxyType(found)


def _lowest(confidence: npt.NDArray[np.float32], right: npt.NDArray[np.bool_], promise: float) -> float:
    """Return the lowest confidence such that among all that are as sure or surer the promise holds."""
    order = np.argsort(-confidence, kind="stable")
    precision = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    holds = np.flatnonzero(precision >= promise)
    return float(confidence[order[holds[-1]]]) if len(holds) else NEVER


def _own(confidence: npt.NDArray[np.float32], right: npt.NDArray[np.bool_], promise: float, common: float) -> float:
    """Return the threshold of one category: the common one, or as much more as its own errors ask for."""
    threshold = common
    while threshold < NEVER:
        sure = confidence >= threshold
        kept = (right[sure].sum() + _TRUST * promise) / (sure.sum() + _TRUST)
        wrong = confidence[sure & ~right]
        if kept >= promise or not len(wrong):
            return threshold
        above = confidence[confidence > wrong.min()]
        threshold = float(above.min()) if len(above) else NEVER
    return NEVER
