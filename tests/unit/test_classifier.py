"""What a text is about, how sure that is, and why."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routers.classifier import CATEGORY, Classifier, Head, Link, confidence
from routers.ngrams import View, count
from tests.small_model import BITS, small_model

MODEL = small_model({"路灯不亮": "灯", "拖欠工资": "薪", "下水道堵塞": "水"})
HEAD = MODEL.heads[0]


def read(*texts: str) -> list[tuple[str, float]]:
    answers = Classifier(MODEL).read(texts).answers(HEAD)
    return [(answer.labels[0], answer.confidence) for answer in answers]


def test_each_text_gets_the_label_its_words_speak_for() -> None:
    said = read("解放路的路灯不亮了", "老板拖欠工资三个月", "门口下水道堵塞返水")
    assert [label for label, _sure in said] == ["灯", "薪", "水"]


def test_a_text_that_says_one_thing_is_surer_than_one_that_says_two() -> None:
    (_one, clear), (_two, mixed) = read("路灯不亮", "路灯不亮，下水道堵塞")
    assert clear > 0.9 > mixed


def test_unknown_words_dilute_what_is_known() -> None:
    (_first, short), (_second, long) = read("路灯不亮", "路灯不亮" + "这里的事情说来话长请听我慢慢道来" * 3)
    assert long < short


def test_nothing_is_said_surely_of_a_text_the_model_knows_nothing_of() -> None:
    for _label, sure in read("", "😀😀😀", "天地玄黄宇宙洪荒", "the quick brown fox"):
        assert sure < 0.5


def test_the_reasons_are_the_words_that_spoke_for_a_label() -> None:
    text = "路灯不亮，老板还拖欠工资"
    lights, wages = Classifier(MODEL).why(text, HEAD, ["灯", "薪"])
    assert lights
    assert all(word in "路灯不亮" for word in lights)
    assert wages
    assert all(word in "拖欠工资" for word in wages)
    assert Classifier(MODEL).why("", HEAD, ["灯"]) == [()]


@given(st.lists(st.text("路灯不亮拖欠工资下水道堵塞，啊 x😀", max_size=30), min_size=1, max_size=300))
@settings(max_examples=25, deadline=None)
def test_a_batch_says_of_each_text_what_is_said_of_it_alone(texts: list[str]) -> None:
    together = Classifier(MODEL).read(texts)
    for at in (0, len(texts) // 2, len(texts) - 1):
        assert np.allclose(together.scores[at], Classifier(MODEL).read([texts[at]]).scores[0], atol=1e-5)


@given(st.lists(st.text("路灯不亮拖欠工资", max_size=20), min_size=1, max_size=5))
@settings(max_examples=25, deadline=None)
def test_confidence_is_a_probability_and_shares_never_pass_one(texts: list[str]) -> None:
    for answer in Classifier(MODEL).read(texts).answers(HEAD):
        assert 0 <= answer.confidence <= 1
        assert list(answer.shares) == sorted(answer.shares, reverse=True)
        assert sum(answer.shares) <= 1 + 1e-6


def test_more_margin_is_more_confidence() -> None:
    sure = confidence(Link(2.0, 0.0, 0.0), np.array([[1.0, 0.9], [1.0, 0.5], [1.0, -1.0]], np.float32))
    assert list(sure) == sorted(sure)
    assert sure[0] == pytest.approx(1 / (1 + np.exp(-0.2)), abs=1e-5)


def test_a_head_of_one_label_has_an_answer_too() -> None:
    only = small_model({"路灯": "灯"})
    assert Classifier(only).read(["路灯"]).answers(only.heads[0])[0].labels == ("灯",)


def test_a_model_of_two_questions_answers_each() -> None:
    both = small_model({"路灯": "灯", "着急": "急"})
    first, second = Head(CATEGORY, both.heads[0].labels[:1], 0, Link(1, 0, 0)), Head("u", ("灯",), 1, Link(1, 0, 0))
    found = Classifier(both).read(["路灯"])
    assert found.answers(first)[0].labels == both.heads[0].labels[:1]
    assert found.answers(second)[0].labels == ("灯",)


def test_no_texts_no_answers() -> None:
    assert Classifier(MODEL).read([]).answers(HEAD) == []


@given(st.lists(st.text(st.sampled_from("路灯不亮欠薪工资1 a"), max_size=12), max_size=6))
@settings(max_examples=60, deadline=None)
def test_scores_are_the_sums_of_what_each_view_says(texts: list[str]) -> None:
    """The same by a loop over views, texts and n-grams, one after the other."""
    views = (View(9, (1, 2)), View(4, (2,)))
    rows = np.arange(1, 1 << BITS, 7, dtype=np.int32)
    tables = np.zeros((2, 1 << BITS), np.int32)
    tables[0][rows], tables[1][rows] = np.arange(1, len(rows) + 1), np.arange(len(rows) + 1, 2 * len(rows) + 1)
    chance = np.random.default_rng(7)
    model = replace(
        MODEL,
        views=views,
        rows=tuple(tables),
        rarity=chance.uniform(1, 5, 2 * len(rows) + 1).astype(np.float32),
        weights=chance.integers(-127, 128, (2 * len(rows) + 1, len(MODEL.bias))).astype(np.int8),
        bias=chance.normal(size=len(MODEL.bias)).astype(np.float32),
    )
    model.weights[0] = 0
    for text, scores in zip(texts, Classifier(model).read(texts).scores, strict=True):
        wanted = model.bias.astype(float)
        for view, table in zip(views, tables, strict=True):
            counted = count([text[: view.reach]], view.sizes, BITS)
            said = [
                (1 + math.log(number)) * float(model.rarity[table[bucket]])
                for bucket, number in zip(counted.buckets, counted.counts, strict=True)
            ]
            length = math.hypot(*said) or 1.0
            for bucket, weight in zip(counted.buckets, said, strict=True):
                wanted = wanted + weight / length * model.weights[table[bucket]] * model.scale
        assert np.allclose(scores, wanted, atol=1e-5)
