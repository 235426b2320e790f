"""How sure the machine must be to dispatch by itself: thresholds that hold a promise.

A model brings evidence: what it answered to texts that were left out, how sure it was, and whether
the unit that follows was the right one. What becomes of cases (`routers.judgement`) is evidence of
the same shape. A city promises a precision (such as 99.5 %). The threshold is the lowest confidence
at and above which the evidence keeps the promise; a category that does worse than the others there
gets a higher one of its own, or none that it could reach.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

NEVER = 2.0
"""A threshold that no confidence reaches: all of it goes to the desk."""

_TRUST = 10.0
"""Texts by which a category is first believed to be like all others."""

_DIGITS = 4
"""Of a threshold: no finer than the confidence that is held against it (`Classification.confidence`)."""

Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Evidence:
    """What was answered, how surely, and whether it was right.

    Attributes:
        said: the category, one a text or case.
        confidence: how sure that was, 0 to 1.
        right: whether the unit that the category leads to was the right one.
    """

    said: tuple[str, ...]
    confidence: Floats
    right: Flags

    def __add__(self, other: Evidence) -> Evidence:
        """Return both together."""
        return Evidence(
            (*self.said, *other.said),
            np.concatenate((self.confidence, other.confidence)),
            np.concatenate((self.right, other.right)),
        )

    def by_category(self) -> dict[str, tuple[Floats, Flags]]:
        """Return confidences and whether they were right, for each category it tells of."""
        if not self.said:
            return {}
        codes, owners = np.unique(np.array(self.said, dtype=np.str_), return_inverse=True)
        order = np.argsort(owners, kind="stable")
        ends = np.cumsum(np.bincount(owners, minlength=len(codes)))[:-1]
        return {
            str(code): (self.confidence[at], self.right[at])
            for code, at in zip(codes, np.split(order, ends), strict=True)
        }


def evidence_of(rows: Iterable[tuple[str, float, bool]]) -> Evidence:
    """Return rows of (category, confidence, right) as evidence."""
    said, confidence, right = zip(*rows, strict=True) if (rows := list(rows)) else ((), (), ())
    return Evidence(said, np.array(confidence, dtype=np.float32), np.array(right, dtype=np.bool_))


NOTHING = evidence_of(())
"""No evidence at all."""


def lowest(evidence: Evidence, promise: float) -> float:
    """Return the lowest confidence such that among all that are as sure or surer the promise holds."""
    order = np.argsort(-evidence.confidence, kind="stable")
    precision = np.cumsum(evidence.right[order]) / np.arange(1, len(order) + 1)
    holds = np.flatnonzero(precision >= promise)
    return float(evidence.confidence[order[holds[-1]]]) if len(holds) else NEVER


def thresholds(
    evidence: Evidence,
    promise: float,
    promises: Mapping[str, float],
    categories: Iterable[str],
    common: Mapping[float, float],
) -> Mapping[str, float]:
    """Return the least confidence for a dispatch by machine, for every category.

    Args:
        evidence: of the model in use; a category it never tells of is believed to be like all others.
        promise: precision that every category shall have.
        promises: by category, where another is promised.
        categories: of the taxonomy.
        common: what all categories together must reach, by promise: `lowest`, or what a city has settled.
    """
    told = evidence.by_category()
    found = {}
    for category in categories:
        wanted = promises.get(category, promise)
        threshold = common[wanted]
        if category in told:
            threshold = _own(*told[category], wanted, threshold)
        found[category] = round(threshold, _DIGITS)
    return MappingProxyType(found)


def _own(confidence: Floats, right: Flags, promise: float, common: float) -> float:
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
