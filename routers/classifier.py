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
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from routers.ngrams import MOST_TEXTS, Counted, count, grams_of
from routers.tiers import Evidence

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int32]

TOP = 3
CATEGORY, KIND, URGENCY = "category", "kind", "urgency"
"""The heads a city's model may have."""

_BATCH = 256
"""Texts counted at once: few enough to stay in the processor's cache."""

_WHY = 4
"""N-grams named as reasons."""

_LISTEN = 24
"""Loudest n-grams from which the reasons are taken: many overlap."""


class View(NamedTuple):
    """One way of reading a text: its first `reach` characters, in n-grams of these sizes."""

    reach: int
    sizes: tuple[int, ...]


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

    def head(self, name: str) -> Head | None:
        """Return a head by its name."""
        return next((head for head in self.heads if head.name == name), None)


class Answer(NamedTuple):
    """The likeliest labels of one text for one head, with the probability that the first is right."""

    labels: tuple[str, ...]
    confidence: float
    shares: tuple[float, ...]
    """How likely each label is beside the others: they add up to at most 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """What a model makes of a batch: scores by text and column."""

    model: Model
    scores: Floats

    def answers(self, head: Head) -> list[Answer]:
        """Return an answer for each text, the likeliest labels first."""
        scores = self.scores[:, head.start : head.start + len(head.labels)]
        order = np.argsort(-scores, axis=1, kind="stable")[:, :TOP]
        best = np.take_along_axis(scores, order, axis=1)
        confidences = confidence(head.link, best)
        # softmax over all labels with the slope of the link, so that one scale serves both figures
        spread = np.exp((scores - best[:, :1]) * max(head.link.margin, 1.0))
        shares = np.take_along_axis(spread, order, axis=1) / spread.sum(axis=1, keepdims=True)
        return [
            Answer(tuple(head.labels[i] for i in row), float(sure), tuple(map(float, share)))
            for row, sure, share in zip(order, confidences, shares, strict=True)
        ]


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
        width = len(self.model.bias)
        return Read(self.model, np.concatenate(parts) if parts else np.zeros((0, width), np.float32))

    def why(self, text: str, head: Head, labels: Sequence[str]) -> list[tuple[str, ...]]:
        """Return, for each of some labels, the n-grams that spoke more for it than for the others, the loudest first.

        Args:
            text: as it was read.
            head: the question.
            labels: its likeliest answers.
        """
        model = self.model
        columns = [head.start + head.labels.index(label) for label in labels]
        found = [
            (start, size, rows[buckets])
            for view, rows in zip(model.views, model.rows, strict=True)
            for start, size, buckets in grams_of(text[: view.reach], view.sizes, model.bits)
        ]
        if not found:
            return [() for _ in labels]
        starts, sizes, rows = (np.concatenate(part) for part in zip(*found, strict=True))
        spoken = model.weights[rows][:, columns] * model.scale[columns] * model.rarity[rows, None]
        said = []
        for at in range(len(labels)):
            others = [column for column in range(len(labels)) if column != at]
            more = spoken[:, at] - spoken[:, others].mean(axis=1) if others else spoken[:, at]
            loudest = np.argsort(-more, kind="stable")[:_LISTEN]
            grams = (
                text[starts[i] : starts[i] + sizes[i]] for i in loudest if more[i] > 0 and rows[i] and sizes[i] > 1
            )
            said.append(_different(grams))
        return said

    def _scores(self, texts: Sequence[str]) -> Floats:
        model = self.model
        scores = np.tile(model.bias, (len(texts), 1))
        for view, rows in zip(model.views, model.rows, strict=True):
            counted = count([text[: view.reach] for text in texts], view.sizes, model.bits)
            _add(scores, counted, rows, model)
        return scores


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
    """Return the tf-idf weight of each counted n-gram, of length 1 by text.

    Args:
        counted: a batch.
        rarity: idf of each of its n-grams.
    """
    weights = (1.0 + np.log(counted.counts)) * rarity
    owners = np.repeat(np.arange(len(counted.starts) - 1), np.diff(counted.starts))
    lengths = np.sqrt(np.bincount(owners, weights * weights, minlength=len(counted.starts) - 1))
    result: Floats = (weights / np.maximum(lengths, 1e-12)[owners]).astype(np.float32)
    return result


def _add(scores: Floats, counted: Counted, rows: Rows, model: Model) -> None:
    """Add to the scores what a view sees."""
    found = rows[counted.buckets]
    weights = weigh(counted, model.rarity[found])
    known = found > 0
    before = np.concatenate(([0], np.cumsum(known)))[counted.starts].tolist()
    found, weights = found[known], weights[known]
    for at in range(len(scores)):
        start, end = before[at], before[at + 1]
        if start < end:
            scores[at] += (weights[start:end] @ model.weights.take(found[start:end], axis=0)) * model.scale


assert _BATCH <= MOST_TEXTS
