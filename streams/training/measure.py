"""How good a classifier is, on texts it has not seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.metrics import f1_score

from routers.classifier import CATEGORY, Classifier, Model
from streams.training.fit import Recipe, fit, folds
from streams.training.table import Labelled

BINS = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
"""Bounds of confidence in a reliability table."""


@dataclass(frozen=True, slots=True)
class Predicted:
    """What was said of texts, beside what is so."""

    gold: tuple[str, ...]
    said: tuple[tuple[str, ...], ...]
    """The likeliest labels of each text, at most three."""
    confidences: tuple[float, ...]
    seconds: float
    """Processor time of reading alone, which one core does."""
    learned: int
    """Texts learned from; in cross-validation, of one fold."""


def predict(model: Model, texts: Sequence[str], gold: Sequence[str], learned: int, head: str = CATEGORY) -> Predicted:
    """Let a model read texts."""
    question = model.head(head)
    assert question is not None
    reader = Classifier(model)
    started = time.thread_time()
    answers = reader.read(texts).answers(question)
    seconds = time.thread_time() - started
    return Predicted(
        tuple(gold),
        tuple(answer.labels for answer in answers),
        tuple(answer.confidence for answer in answers),
        seconds,
        learned,
    )


def cross_validate(
    data: Labelled,
    parts: int,
    recipe: Recipe | None = None,
    done: Callable[[], None] = lambda: None,
) -> Predicted:
    """Predict every text by a model that has seen neither it nor its group.

    Args:
        data: labelled texts.
        parts: folds.
        recipe: how models are made.
        done: called after each fold.
    """
    said: list[Any] = [()] * len(data.texts)
    sure = np.zeros(len(data.texts))
    seconds, learned = 0.0, 0
    for others, own in folds(data.labels, data.groups, parts):
        model = fit(
            [data.texts[i] for i in others],
            {CATEGORY: [data.labels[i] for i in others]},
            groups=[data.groups[i] for i in others],
            recipe=recipe,
        )
        found = predict(model, [data.texts[i] for i in own], [data.labels[i] for i in own], len(others))
        for i, labels, confidence in zip(own, found.said, found.confidences, strict=True):
            said[i], sure[i] = labels, confidence
        seconds += found.seconds
        learned = len(others)
        done()
    return Predicted(data.labels, tuple(said), tuple(map(float, sure)), seconds, learned)


def judge(learn: Labelled, test: Labelled, recipe: Recipe | None = None) -> Predicted:
    """Learn from one set of texts and predict another."""
    model = fit(learn.texts, {CATEGORY: learn.labels}, groups=learn.groups, recipe=recipe)
    return predict(model, test.texts, test.labels, len(learn.texts))


def figures(predicted: Predicted) -> dict[str, Any]:
    """Return the figures of `yiwang eval classify`."""
    gold = np.array(predicted.gold)
    first = np.array([labels[0] for labels in predicted.said])
    right = gold == first
    labels = sorted(set(predicted.gold))
    each = f1_score(gold, first, labels=labels, average=None, zero_division=0.0)
    return {
        "macro_f1": round(float(np.mean(each)), 4),
        "accuracy": round(float(right.mean()), 4),
        "top3": round(
            float(np.mean([want in said for want, said in zip(predicted.gold, predicted.said, strict=True)])), 4
        ),
        "accuracy_top60": round(_among_surest(predicted, right, 0.6), 4),
        "accuracy_top80": round(_among_surest(predicted, right, 0.8), 4),
        "texts_per_s": round(len(gold) / max(predicted.seconds, 1e-9)),
        "per_label": {
            label: {"f1": round(float(f1), 4), "rows": int((gold == label).sum())}
            for label, f1 in zip(labels, each, strict=True)
        },
        "reliability": reliability(predicted),
        "rows": {"train": predicted.learned, "test": len(gold)},
    }


def reliability(predicted: Predicted) -> list[dict[str, float]]:
    """Return, for each band of confidence, how many texts it held, what was promised and what was right."""
    sure = np.array(predicted.confidences)
    right = np.array([labels[0] == want for labels, want in zip(predicted.said, predicted.gold, strict=True)])
    table = []
    for low, high in pairwise(BINS):
        band = (sure >= low) & ((sure < high) if high < 1.0 else True)
        if band.any():
            table.append(
                {
                    "from": low,
                    "to": high,
                    "texts": int(band.sum()),
                    "promised": round(float(sure[band].mean()), 4),
                    "right": round(float(right[band].mean()), 4),
                }
            )
    return table


def _among_surest(predicted: Predicted, right: Any, share: float) -> float:
    order = np.argsort(-np.array(predicted.confidences), kind="stable")
    return float(right[order[: max(1, int(share * len(order)))]].mean())
