"""How many texts a second one core classifies, beside scikit-learn's own pipeline in the same run.

The opponent is what one writes first: `TfidfVectorizer` over single characters and pairs, `LinearSVC` behind it. It
gets the same texts, cut to what our model reads. Both sides are timed in turn, in processor time of one thread.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from routers.classifier import CATEGORY, Classifier, Model

REPEATS = 7
"""Turns of each side; the median of them counts."""

BATCH = 256
"""Texts handed over at once, as triage hands over what waits."""


def measure(
    model: Model,
    texts: Sequence[str],
    labels: Sequence[str],
    repeats: int = REPEATS,
    done: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Let both sides read the same texts.

    Args:
        model: ours, fitted.
        texts: to read; the opponent learns from them as well, which costs or saves it nothing in reading.
        labels: one a text, for the opponent.
        repeats: turns of each side.
        done: called after each turn.
    """
    question = model.head(CATEGORY)
    assert question is not None
    reach = max(view.reach for view in model.views)
    cut = [text[:reach] for text in texts]
    reader = Classifier(model)

    def ours() -> None:
        for at in range(0, len(texts), BATCH):
            reader.read(texts[at : at + BATCH]).answers(question)

    theirs = _opponent(cut, labels)
    with threadpool_limits(1):
        mine, others = [], []
        for _ in range(repeats):
            mine.append(_rate(ours, len(texts)))
            others.append(_rate(lambda: theirs.predict(cut), len(texts)))
            done()
    return {
        "texts": len(texts),
        "labels": len(question.labels),
        "reads_characters": reach,
        "mean_characters_read": round(statistics.mean(map(len, cut)), 1),
        "texts_per_s": round(statistics.median(mine)),
        "sklearn_texts_per_s": round(statistics.median(others)),
        "ratio": round(statistics.median(a / b for a, b in zip(mine, others, strict=True)), 2),
        "turns": [[round(a), round(b)] for a, b in zip(mine, others, strict=True)],
    }


def _opponent(texts: Sequence[str], labels: Sequence[str]) -> Pipeline:
    """Fit the usual pipeline."""
    pipeline = make_pipeline(
        TfidfVectorizer(analyzer="char", ngram_range=(1, 2), sublinear_tf=True), LinearSVC(random_state=1)
    )
    pipeline.fit(texts, labels)
    return pipeline


def _rate(work: Callable[[], None], texts: int) -> float:
    started = time.thread_time()
    work()
    return texts / (time.thread_time() - started)
