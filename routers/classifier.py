"""What a text is about, by a linear model over hashed character n-grams.

A model reads a text through a few views (its beginning, all of it), weighs the n-grams of each by
rarity (sublinear tf-idf, Salton and Buckley 1988) and adds up one weight a label. One matrix
answers several questions, its heads: the category, the kind of demand, the urgency. Numpy only:
a batch of texts is counted at once, then each takes one gather and one product.

The confidence of an answer is a probability: how often, on texts the model had not been fitted to,
an answer by such a margin was right (Platt's logistic link). A text that holds little the model
knows has no confident answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from routers.ngrams import MOST_TEXTS, Counted, View, count_views, grams_of
from routers.tiers import Evidence

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int32]

TOP = 3
CATEGORY, KIND, URGENCY = "category", "kind", "urgency"
"""The heads a city's model may have."""

_BATCH = 128
"""Texts counted at once: few enough to stay in the processor's cache."""

_FEW = 32
"""Columns up to which the rows of a whole batch fit into the processor's cache together."""

_WHY = 4
"""N-grams named as reasons."""

_LISTEN = 24
"""Loudest n-grams from which the reasons are taken: many overlap. Single characters are no reasons."""


class Link(NamedTuple):
    """From margin (best less second score) and best score to a probability: 1 / (1 + exp(-(a margin + b best + c)))."""

    margin: float
    best: float
    constant: float


class Head(NamedTuple):
    """One question: its labels, in the order of its columns from `start`, and how its scores become a probability."""

    name: str
    labels: tuple[str, ...]
    start: int
    link: Link


@dataclass(frozen=True, eq=False)
class Model:
    """A fitted model; immutable, so threads may share it.

    Attributes:
        version: names exactly these weights.
        views: how texts are read.
        heads: what is answered.
        rows: one array a view, of 2^bits: the row of each bucket in `weights`; 0 stands for n-grams never met.
        rarity: idf of each row; row 0 has the rarity of what was never met, so that unknown text dilutes the known.
        weights: rows x columns of all heads, as numbers of 8 bits, to be multiplied by `scale` of the column.
        scale: see `weights`.
        bias: one a column.
        taxonomy: code to Chinese name of the categories it was made for; empty where the labels belong to no city.
        evidence: how right its categories were on texts that were left out.
    """

    version: str
    views: tuple[View, ...]
    heads: tuple[Head, ...]
    rows: tuple[Rows, ...]
    rarity: Floats
    weights: npt.NDArray[np.int8]
    scale: Floats
    bias: Floats
    taxonomy: Mapping[str, str] = field(default_factory=dict)
    evidence: Evidence | None = None

    @cached_property
    def bits(self) -> int:
        """Bits of a bucket."""
        return len(self.rows[0]).bit_length() - 1

    @cached_property
    def all_rows(self) -> Rows:
        """The rows of all views, one after the other, as `count_views` numbers their buckets."""
        return np.concatenate(self.rows)

    def head(self, name: str) -> Head | None:
        """Return a head by its name."""
        return next((head for head in self.heads if head.name == name), None)


class Answer(NamedTuple):
    """The likeliest labels of one text for one head, with the probability that the first is right."""

    labels: tuple[str, ...]
    confidence: float
    shares: tuple[float, ...]
    """How likely each label is beside the others: they add up to at most 1."""
    known: bool = True
    """The model knows some n-gram of the text; else the order of the labels means nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """What a model makes of a batch: scores by text and column."""

    model: Model
    scores: Floats
    known: npt.NDArray[np.bool_]
    """One a text: whether the model knows some of its n-grams."""

    def answers(self, head: Head) -> list[Answer]:
        """Return an answer for each text, the likeliest labels first."""
        scores = self.scores[:, head.start : head.start + len(head.labels)]
        order = np.argsort(-scores, axis=1, kind="stable")[:, :TOP]
        best = np.take_along_axis(scores, order, axis=1)
        confidences = confidence(head.link, best)
        # softmax over all labels with the slope of the link, so that one scale serves both figures
        spread = np.exp((scores - best[:, :1]) * max(head.link.margin, 1.0))
        shares = np.take_along_axis(spread, order, axis=1) / spread.sum(axis=1, keepdims=True)
        name = head.labels.__getitem__
        return [
            Answer(tuple(map(name, row)), sure, tuple(share), known)
            for row, sure, share, known in zip(
                order.tolist(), confidences.tolist(), shares.tolist(), self.known.tolist(), strict=True
            )
        ]

    def nats(self, head: Head) -> Floats:
        """Return, by text and label, the log of how much likelier a label is than by chance."""
        scores = self.scores[:, head.start : head.start + len(head.labels)] * max(head.link.margin, 1.0)
        scores = scores - scores.max(axis=1, keepdims=True)
        drawn: Floats = scores - np.log(np.exp(scores).mean(axis=1, keepdims=True))
        return drawn


def confidence(link: Link, best: Floats) -> Floats:
    """Return the probability that the first label is right.

    Args:
        link: of the head.
        best: scores of the likeliest labels, falling, one row a text; a single column for a head of one label.
    """
    margin = best[:, 0] - best[:, 1] if best.shape[1] > 1 else best[:, 0]
    drawn = link.margin * margin + link.best * best[:, 0] + link.constant
    result: Floats = (1.0 / (1.0 + np.exp(-drawn))).astype(np.float32)
    return result


class Classifier:
    """Reads texts with one model."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def read(self, texts: Sequence[str]) -> Read:
        """Score texts, any number of them."""
        parts = [self._scores(texts[at : at + _BATCH]) for at in range(0, len(texts), _BATCH)]
        if not parts:
            return Read(self.model, np.zeros((0, len(self.model.bias)), np.float32), np.zeros(0, np.bool_))
        scores, known = (np.concatenate(each) for each in zip(*parts, strict=True))
        return Read(self.model, scores, known)

    def why(self, text: str, head: Head, labels: Sequence[str]) -> list[tuple[str, ...]]:
        """Return, for each of some labels, the n-grams that spoke more for it than for the others, the loudest first.

        Args:
            text: as it was read.
            head: the question.
            labels: its likeliest answers.
        """
        model = self.model
        columns = [head.start + head.labels.index(label) for label in labels]
        text = text[: max(view.reach for view in model.views)]
        sizes = sorted({size for view in model.views for size in view.sizes if size > 1})
        grams = {int(size[0]): (start, size, buckets) for start, size, buckets in grams_of(text, sizes, model.bits)}
        found = [
            (start[:ends], size[:ends], rows[buckets[:ends]])
            for view, rows in zip(model.views, model.rows, strict=True)
            for start, size, buckets in (grams[each] for each in view.sizes if each in grams)
            if (ends := min(len(text), view.reach) - int(size[0]) + 1) > 0
        ]
        if not found:
            return [() for _ in labels]
        starts, lengths, rows = (np.concatenate(part) for part in zip(*found, strict=True))
        known = np.flatnonzero(rows)
        starts, lengths, rows = starts[known], lengths[known], rows[known]
        spoken = model.weights[rows[:, None], columns] * model.scale[columns] * model.rarity[rows, None]
        if len(labels) > 1:  # beside the mean of the others
            spoken -= (spoken.sum(axis=1, keepdims=True) - spoken) / (len(labels) - 1)
        return [
            _different(text[starts[i] : starts[i] + lengths[i]] for i in _loudest(more))
            for more in np.ascontiguousarray(spoken.T)
        ]

    def _scores(self, texts: Sequence[str]) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Return the scores of each text, and whether anything of it is known."""
        model = self.model
        counted = count_views(texts, model.views, model.bits)
        found = model.all_rows[counted.buckets]
        weights = weigh(counted, model.rarity[found])
        met = np.flatnonzero(found)
        bounds = counted.starts[:: len(model.views)]
        known = np.searchsorted(met, bounds)
        few = len(model.bias) <= _FEW
        if not few:  # what was never met weighs nothing, and leaving it out is cheaper than adding it
            found, weights, bounds = found[met], weights[met], known
        rows = model.weights.take(found, axis=0).astype(np.float32) if few else None
        scores = np.zeros((len(texts), len(model.bias)), np.float32)
        for at, (start, end) in enumerate(pairwise(bounds.tolist())):
            if start < end:
                part = model.weights.take(found[start:end], axis=0) if rows is None else rows[start:end]
                scores[at] = weights[start:end] @ part
        return scores * model.scale + model.bias, np.diff(known) > 0


def _loudest(more: Floats) -> list[int]:
    """Return the places of the few that speak most for something, the loudest first, the first of equals."""
    some = np.flatnonzero(more > 0)
    if len(some) > _LISTEN:
        some = some[more[some] >= np.partition(more[some], -_LISTEN)[-_LISTEN]]
    loudest: list[int] = some[np.argsort(-more[some], kind="stable")[:_LISTEN]].tolist()
    return loudest


def _different(grams: Iterable[str]) -> tuple[str, ...]:
    """Return the first few that are not part of one another."""
    kept: list[str] = []
    for gram in grams:
        shown = gram.strip()
        if len(shown) > 1 and not any(shown in other or other in shown for other in kept):
            kept.append(shown)
        if len(kept) == _WHY:
            break
    return tuple(kept)


def weigh(counted: Counted, rarity: Floats) -> Floats:
    """Return the tf-idf weight of each counted n-gram, of length 1 by row.

    Args:
        counted: a batch.
        rarity: idf of each of its n-grams.
    """
    weights = (1.0 + np.log(counted.counts)) * rarity
    sums = np.concatenate(([0.0], np.cumsum(weights * weights, dtype=np.float64)))[counted.starts]
    lengths = np.sqrt(np.maximum(np.diff(sums), 1e-24))
    result: Floats = (weights / np.repeat(lengths, np.diff(counted.starts))).astype(np.float32)
    return result


assert 4 * _BATCH <= MOST_TEXTS, "a model may have four views"
