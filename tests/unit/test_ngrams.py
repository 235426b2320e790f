"""Texts as counts of hashed n-grams, a batch at a time."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from routers.ngrams import View, count, count_views, grams_of

BITS = 14
TEXTS = st.lists(st.text(max_size=30), max_size=8)


def counts(texts: list[str], *sizes: int) -> list[Counter[int]]:
    counted = count(texts, sizes, BITS)
    return [
        Counter(
            dict(zip(counted.buckets[start:end].tolist(), counted.counts[start:end].astype(int).tolist(), strict=True))
        )
        for start, end in zip(counted.starts[:-1], counted.starts[1:], strict=True)
    ]


@given(TEXTS)
@settings(max_examples=60, deadline=None)
def test_a_batch_counts_each_text_as_if_it_stood_alone(texts: list[str]) -> None:
    assert counts(texts, 1, 2) == [counts([text], 1, 2)[0] for text in texts]


@given(st.text(max_size=40))
@settings(max_examples=60, deadline=None)
def test_every_n_gram_of_a_text_is_counted_and_nothing_else(text: str) -> None:
    found: Counter[int] = Counter()
    for _starts, _lengths, buckets in grams_of(text, (1, 2, 3), BITS):
        found.update(buckets.tolist())
    assert counts([text], 1, 2, 3) == [found]
    assert found.total() == sum(max(0, len(text) - size + 1) for size in (1, 2, 3))


@given(TEXTS)
@settings(max_examples=60, deadline=None)
def test_views_counted_together_are_those_counted_apart(texts: list[str]) -> None:
    views = (View(25, (1, 2)), View(6, (1, 2, 3)), View(12, (2,)))
    together = count_views(texts, views, BITS)
    assert len(together.starts) == 1 + len(texts) * len(views)
    for at, view in enumerate(views):
        apart = count([text[: view.reach] for text in texts], view.sizes, BITS)
        for row in range(len(texts)):
            start, end = together.starts[row * len(views) + at : row * len(views) + at + 2]
            assert (together.buckets[start:end] - (at << BITS)).tolist() == (
                apart.buckets[apart.starts[row] : apart.starts[row + 1]].tolist()
            )
            assert (
                together.counts[start:end].tolist() == apart.counts[apart.starts[row] : apart.starts[row + 1]].tolist()
            )


def test_case_width_digits_and_blanks_make_no_difference() -> None:
    assert counts(["ＡＢ路灯 18号"], 2) == counts(["ab路灯\u300025号"], 2)
    assert counts(["路灯"], 2) != counts(["灯路"], 2)


def test_texts_without_an_n_gram_have_no_counts() -> None:
    counted = count(["", "灯", ""], (2,), BITS)
    assert counted.starts.tolist() == [0, 0, 0, 0]
    assert not len(counted.buckets)
    assert count([], (1,), BITS).starts.tolist() == [0]


def test_lone_surrogates_and_emoji_are_characters_like_others() -> None:
    assert counts(["\ud800x"], 1)[0].total() == 2
    assert counts(["😀"], 1) == counts(["🎉"], 1)


def test_half_a_million_characters_are_counted_at_once() -> None:
    assert np.sum(count(["诉求" * 250_000], (1,), BITS).counts) == 500_000
