"""What is learned from labelled texts, and how sure the result says it is."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.svm import LinearSVC

from routers.classifier import CATEGORY, KIND, Classifier
from routers.ngrams import View, count
from streams.training.fit import BITS, Recipe, TooFewError, fit
from streams.training.measure import cross_validate, figures, judge
from tests.letters import letters

LETTERS = letters(120)
OTHERS = letters(60, seed=2)


def test_texts_it_has_not_seen_are_told_apart() -> None:
    found = figures(judge(LETTERS, OTHERS))
    assert found["accuracy"] > 0.95
    assert found["rows"] == {"train": 120, "test": 60}


def test_the_scores_are_those_of_the_support_vectors_but_for_the_rounding_to_bytes() -> None:
    view = View(400, (2,))
    model = fit(LETTERS.texts, {CATEGORY: LETTERS.labels}, recipe=Recipe(views=(view,)))
    rows = model.rows[0]
    parts = [count([text], view.sizes, BITS) for text in LETTERS.texts]
    values, columns, ends = [], [], [0]
    for part in parts:
        weights = (1 + np.log(part.counts)) * model.rarity[rows[part.buckets]]
        values.append(weights / np.linalg.norm(weights))
        columns.append(rows[part.buckets] - 1)
        ends.append(ends[-1] + len(part.buckets))
    matrix = sparse.csr_matrix(
        (np.concatenate(values), np.concatenate(columns), ends), shape=(len(parts), len(model.rarity) - 1)
    )
    machine = LinearSVC(C=1.0, class_weight="balanced", random_state=1).fit(matrix, np.array(LETTERS.labels))
    ours = Classifier(model).read(LETTERS.texts).scores
    assert np.abs(ours - machine.decision_function(matrix)).max() < 0.05
    assert (ours.argmax(axis=1) == machine.decision_function(matrix).argmax(axis=1)).all()


def test_the_same_texts_make_the_same_version_and_others_another() -> None:
    first, again = (fit(LETTERS.texts, {CATEGORY: LETTERS.labels}) for _ in range(2))
    assert first.version == again.version
    assert fit(OTHERS.texts, {CATEGORY: OTHERS.labels}).version != first.version


def test_a_second_question_is_answered_where_a_text_has_a_label_for_it() -> None:
    kinds = ["CONSULT" if "问" in text else "HELP" if number % 2 else "" for number, text in enumerate(LETTERS.texts)]
    model = fit(LETTERS.texts, {CATEGORY: LETTERS.labels, KIND: kinds})
    asked = Classifier(model).read(["麻烦问一下，想问水费怎么交", "垃圾桶满了发臭，急！"])
    category, kind = (model.head(name) for name in (CATEGORY, KIND))
    assert category is not None
    assert kind is not None
    assert [each.labels[0] for each in asked.answers(category)] == ["12", "21"]
    assert [each.labels[0] for each in asked.answers(kind)] == ["CONSULT", "HELP"]


def test_near_duplicates_never_stand_on_both_sides_of_a_fold() -> None:
    """Twins with a label that their words do not tell are right only for who has seen one of them."""
    data = letters(60)
    texts = tuple(f"无字天书第{number // 2}卷" for number in range(60))
    labels = tuple(str(number // 2 % 3) for number in range(60))
    alike = type(data)(texts, labels, tuple(f"g{number // 2}" for number in range(60)), {})
    apart = type(data)(texts, labels, tuple(f"r{number}" for number in range(60)), {})
    assert figures(cross_validate(alike, 3))["accuracy"] < figures(cross_validate(apart, 3))["accuracy"]


def test_confidence_is_how_often_such_an_answer_was_right() -> None:
    mixed = letters(240)
    labels = tuple("21" if number % 5 == 0 else label for number, label in enumerate(mixed.labels))  # a fifth is wrong
    found = figures(cross_validate(type(mixed)(mixed.texts, labels, mixed.groups, {}), 4))
    promised = sum(band["promised"] * band["texts"] for band in found["reliability"]) / 240
    assert abs(promised - found["accuracy"]) < 0.08


@pytest.mark.parametrize("labels", [["11"] * 4, ["", "", "11", ""]])
def test_one_label_is_nothing_to_learn(labels: list[str]) -> None:
    with pytest.raises(TooFewError, match="two labels at least"):
        fit(LETTERS.texts[:4], {CATEGORY: labels})
