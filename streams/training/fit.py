"""Fit a classifier: linear support vectors over the n-grams that `routers.ngrams` counts.

One-vs-rest with squared hinge loss (Fan et al., LIBLINEAR, JMLR 2008), labels weighed by rarity so
that small categories count. The confidence is fitted on scores of texts that were left out (Platt
1999), never on those the weights have seen.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.svm import LinearSVC

from routers.classifier import Floats, Head, Link, Model, weigh
from routers.ngrams import MOST_TEXTS, Counted, View, count

VIEWS = (View(400, (1, 2)), View(60, (1, 2, 3)))
"""All that is read, in single characters and pairs, and the beginning once more and finer: titles and first sentences
say what it is about."""

BITS = 18
_PART = min(1024, MOST_TEXTS)
_SEED = 1


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a model is made; the defaults are what cross-validation kept."""

    views: tuple[View, ...] = VIEWS
    bits: int = BITS
    least: int = 1
    """Texts an n-gram must stand in to be learned."""
    strength: float = 1.0
    """C of the support vectors: more fits closer."""
    calibration_folds: int = 3


class TooFewError(ValueError):
    """There is too little to learn from."""


def fit(
    texts: Sequence[str],
    labels: Mapping[str, Sequence[str]],
    *,
    groups: Sequence[str] | None = None,
    spoken: Sequence[bool] | None = None,
    taxonomy: Mapping[str, str] | None = None,
    recipe: Recipe | None = None,
) -> Model:
    """Fit a model.

    Args:
        texts: what citizens wrote; a title stands before its text.
        labels: for each head by name, one label a text; an empty label leaves the text out for that head.
        groups: one a text; texts of a group, such as near duplicates, are never told apart in calibration.
        spoken: whether somebody said this; what nobody did, such as a word of the lexicon, is learned from but says
            nothing about how sure to be. None: all were said.
        taxonomy: code to name of the categories, which a city's model must match.
        recipe: how.

    Raises:
        TooFewError: fewer than two labels, or a label that stands alone throughout.
    """
    recipe = recipe or Recipe()
    counted = [_counted(texts, view, recipe.bits) for view in recipe.views]
    rows, rarity = _vocabulary(counted, recipe)
    matrix = _matrix(counted, rows, rarity)
    heads: list[Head] = []
    coefficients: list[Floats] = []
    biases: list[Floats] = []
    for name, given in labels.items():
        kept = np.flatnonzero([bool(each) for each in given])
        wanted = np.array(list(given), dtype=str)[kept]
        if len(set(wanted)) < 2:
            raise TooFewError(f"{name}: two labels at least are needed, there is {len(set(wanted))}")
        used = matrix[kept]
        weights, bias, names = _vectors(used, wanted, recipe)
        grouped = np.array(groups, dtype=str)[kept] if groups is not None else np.arange(len(kept)).astype(str)
        said = np.array(spoken)[kept] if spoken is not None else np.ones(len(kept), bool)
        link = _link(used, wanted, grouped, said, recipe)
        heads.append(Head(name, names, sum(len(head.labels) for head in heads), link))
        coefficients.append(weights)
        biases.append(bias)
    dense = np.concatenate([np.zeros((1, sum(map(len, biases))), np.float32), np.concatenate(coefficients, axis=1)])
    scale = np.maximum(np.abs(dense).max(axis=0), 1e-9) / 127.0
    model = Model(
        version="",
        views=recipe.views,
        heads=tuple(heads),
        rows=rows,
        rarity=rarity,
        weights=np.round(dense / scale).astype(np.int8),
        scale=scale.astype(np.float32),
        bias=np.concatenate(biases).astype(np.float32),
        taxonomy=dict(taxonomy or {}),
    )
    return replace(model, version=version_of(model))


def version_of(model: Model) -> str:
    """Return the name of these weights: the first 12 hex digits of a SHA-256 over all that decides."""
    digest = hashlib.sha256(repr((model.views, model.heads, sorted(model.taxonomy.items()))).encode())
    for array in (*model.rows, model.rarity, model.weights, model.scale, model.bias):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:12]


def _counted(texts: Sequence[str], view: View, bits: int) -> Counted:
    parts = [
        count([text[: view.reach] for text in texts[at : at + _PART]], view.sizes, bits)
        for at in range(0, len(texts), _PART)
    ]
    offsets = np.cumsum([0, *(len(part.buckets) for part in parts)])
    starts = [part.starts[:-1] + offset for part, offset in zip(parts, offsets, strict=False)]
    return Counted(
        np.concatenate([*starts, offsets[-1:]]),
        np.concatenate([part.buckets for part in parts]),
        np.concatenate([part.counts for part in parts]),
    )


def _vocabulary(counted: Sequence[Counted], recipe: Recipe) -> tuple[tuple[npt.NDArray[np.int32], ...], Floats]:
    """Give each n-gram that stands in enough texts a row, from 1, and its rarity."""
    texts = len(counted[0].starts) - 1
    rows, rarity, used = [], [np.array([np.log(1.0 + texts) + 1.0])], 1
    for each in counted:
        spread = np.bincount(each.buckets, minlength=1 << recipe.bits)
        kept = np.flatnonzero(spread >= recipe.least)
        table = np.zeros(1 << recipe.bits, np.int32)
        table[kept] = np.arange(used, used + len(kept))
        rows.append(table)
        rarity.append(np.log((1.0 + texts) / (1.0 + spread[kept])) + 1.0)
        used += len(kept)
    return tuple(rows), np.concatenate(rarity).astype(np.float32)


def _matrix(counted: Sequence[Counted], rows: Sequence[npt.NDArray[np.int32]], rarity: Floats) -> Any:
    """Return texts x n-grams (row r of the model is column r - 1), as `routers.classifier` weighs them."""
    whole = None
    for each, table in zip(counted, rows, strict=True):
        found = table[each.buckets]
        values = weigh(each, rarity[found])
        part = sparse.csr_matrix((values, found, each.starts), shape=(len(each.starts) - 1, len(rarity)))
        whole = part if whole is None else whole + part
    assert whole is not None
    return whole[:, 1:].tocsr()


def _vectors(matrix: Any, wanted: npt.NDArray[Any], recipe: Recipe) -> tuple[Floats, Floats, tuple[str, ...]]:
    """Return coefficients (n-grams x labels), biases and labels."""
    machine = LinearSVC(C=recipe.strength, class_weight="balanced", random_state=_SEED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a few thousand rounds more change no decision
        machine.fit(matrix, wanted)
    coefficients, biases = machine.coef_, machine.intercept_
    if len(machine.classes_) == 2:  # the library gives one plane for two labels
        coefficients, biases = np.concatenate([-coefficients, coefficients]), np.concatenate([-biases, biases])
    return coefficients.T.astype(np.float32), biases.astype(np.float32), tuple(map(str, machine.classes_))


def folds(labels: Sequence[str], groups: Sequence[str], parts: int) -> list[tuple[Any, Any]]:
    """Cut texts into parts with all labels in each where that can be, and no group in two.

    Returns:
        For each part, the indices of all other texts and of its own.
    """
    cutter = StratifiedGroupKFold(parts, shuffle=True, random_state=_SEED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a label with fewer texts than parts is not in each
        return list(cutter.split(np.zeros(len(labels)), np.array(labels), np.array(groups)))


def _link(
    matrix: Any, wanted: npt.NDArray[Any], groups: npt.NDArray[Any], said: npt.NDArray[np.bool_], recipe: Recipe
) -> Link:
    """Fit the probability that an answer is right on texts that were left out."""
    margins, bests, right = [], [], []
    for learned, others in folds(list(wanted), list(groups), recipe.calibration_folds):
        left = others[said[others]]
        if len(set(wanted[learned])) < 2 or not len(left):
            continue
        weights, bias, names = _vectors(matrix[learned], wanted[learned], recipe)
        scores = matrix[left] @ weights + bias
        ranked = np.sort(scores, axis=1)
        margins.append(ranked[:, -1] - ranked[:, -2])
        bests.append(ranked[:, -1])
        right.append(np.array(names)[scores.argmax(axis=1)] == wanted[left])
    drawn, hit = np.stack([np.concatenate(margins), np.concatenate(bests)], axis=1), np.concatenate(right)
    if hit.all() or not hit.any():
        return Link(1.0, 0.0, 3.0 if hit.all() else -3.0)
    line = LogisticRegression(C=1e3, max_iter=1000).fit(drawn, hit)
    (margin, best), constant = line.coef_[0], line.intercept_[0]
    return Link(float(margin), float(best), float(constant))
