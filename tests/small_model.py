"""A classifier's model made by hand: a few words, each of which speaks for one label."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from routers.classifier import CATEGORY, Head, Link, Model
from routers.ngrams import View, count
from routers.tiers import Evidence

BITS = 12
VIEW = View(400, (2,))
LINK = Link(8.0, 0.0, -1.0)


def small_model(
    words: Mapping[str, str],
    taxonomy: Mapping[str, str] | None = None,
    evidence: Evidence | None = None,
    link: Link = LINK,
    labels: tuple[str, ...] = (),
) -> Model:
    """Return a model that knows the pairs of characters of some words.

    Args:
        words: each with the label it speaks for.
        taxonomy: of the city it is for.
        evidence: of how right it was.
        link: how its margins become probabilities.
        labels: further labels, for which nothing speaks.
    """
    names = tuple(sorted({*words.values(), *labels}))
    speaks = {
        int(bucket): names.index(label) for word, label in words.items() for bucket in count([word], (2,), BITS).buckets
    }
    table = np.zeros(1 << BITS, np.int32)
    weights = np.zeros((1 + len(speaks), len(names)), np.int8)
    for row, bucket in enumerate(sorted(speaks), 1):  # in the order in which a file brings them back
        table[bucket] = row
        weights[row, speaks[bucket]] = 127
    return Model(
        version="hand-made",
        views=(VIEW,),
        heads=(Head(CATEGORY, names, 0, link),),
        rows=(table,),
        rarity=np.ones(len(weights), np.float32),
        weights=weights,
        scale=np.full(len(names), 1 / 127, np.float32),
        bias=np.zeros(len(names), np.float32),
        taxonomy=dict(taxonomy or {}),
        evidence=evidence,
    )
