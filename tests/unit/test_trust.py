"""How sure the machine must be: the promise that evidence keeps, and what outcomes take and give back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routers.reader import Reader
from routers.tiers import NEVER, NOTHING, Evidence, evidence_of, lowest, thresholds
from routers.trust import Trust, trust
from tests.cities import qinglan

CITY = replace(qinglan(), policies=replace(qinglan().policies, promise=0.9, promises={}, dispatch_confidence=0.5))
LAMPS, WATER, NOISE = "0505", "0101", "0701"
Row = tuple[str, float, bool]


def outcomes(category: str, confidence: float, right: bool, times: int = 1) -> list[Row]:  # noqa: FBT001 - as told
    return [(category, confidence, right)] * times


HELD_OUT = [(code, 0.5 + number / 200, number > 20) for code in (LAMPS, WATER) for number in range(100)]
"""A model that errs below a confidence of 0.6 and never above."""


def by_model(*rows: Iterable[Row]) -> Trust:
    return trust(CITY, "model-1", evidence_of(HELD_OUT), evidence_of([row for each in rows for row in each]))


def by_words(*rows: Iterable[Row]) -> Trust:
    return trust(CITY, "lexicon-1", None, evidence_of([row for each in rows for row in each]))


def test_every_category_has_a_threshold_and_one_that_nothing_is_told_of_is_like_all_others() -> None:
    standings = by_model().standings
    assert standings.keys() == CITY.categories.keys()
    assert 0.5 < standings[NOISE].threshold <= standings[LAMPS].threshold < 0.6
    assert len({each.threshold for code, each in standings.items() if code not in {LAMPS, WATER}}) == 1
    assert not by_model().withheld


def test_a_model_without_evidence_dispatches_nothing_and_words_what_the_city_has_settled() -> None:
    assert {each.threshold for each in trust(CITY, "model-1", NOTHING).standings.values()} == {NEVER}
    learned = trust(CITY, "model-1", NOTHING, evidence_of(outcomes(LAMPS, 0.9, right=True, times=9)))
    assert learned.standings[LAMPS].threshold == pytest.approx(0.9), "until its outcomes say something"
    assert {each.threshold for each in by_words().standings.values()} == {0.5}


def test_rulings_against_the_machine_withhold_that_category_and_no_other() -> None:
    found = by_model(outcomes(LAMPS, 0.999, right=False, times=20))
    before = by_model()
    assert found.withheld == {LAMPS}
    standing = found.standings[LAMPS]
    assert (standing.judged, standing.wrong, standing.promise) == (20, 20, 0.9)
    assert standing.stopped
    others = CITY.categories.keys() - {LAMPS}
    assert all(found.standings[each] == before.standings[each] for each in others), "one must not stop all others"


def test_a_category_is_dispatched_again_above_what_was_wrong() -> None:
    found = by_model(outcomes(LAMPS, 0.8, right=False, times=20))
    standing = found.standings[LAMPS]
    assert found.withheld == {LAMPS}
    assert 0.8 < standing.threshold < 1
    assert not standing.stopped


def test_words_too_lose_a_category_and_get_it_back_when_outcomes_keep_the_promise_again() -> None:
    wrong = outcomes(LAMPS, 0.7, right=False, times=3)
    assert by_words(wrong).withheld == {LAMPS}
    assert by_words(wrong).standings[LAMPS].stopped
    assert by_words(wrong).standings[WATER].threshold == 0.5
    surer = by_words(wrong, outcomes(LAMPS, 0.8, right=True, times=2))
    assert surer.standings[LAMPS].threshold == pytest.approx(0.8), "what is surer than the errors goes out again"
    again = by_words(wrong, outcomes(LAMPS, 0.7, right=True, times=40))
    assert again.standings[LAMPS].threshold == 0.5
    assert not again.withheld


def test_a_few_errors_within_the_promise_withhold_nothing() -> None:
    assert not by_words(outcomes(LAMPS, 0.9, right=True, times=40), outcomes(LAMPS, 0.9, right=False, times=3)).withheld


def test_a_category_with_a_promise_of_its_own_is_held_to_it() -> None:
    strict = replace(CITY, policies=replace(CITY.policies, promises={LAMPS: 0.999}))
    rows = [row for code in (LAMPS, WATER) for row in [(code, 0.9, True)] * 40 + [(code, 0.9, False)] * 2]
    assert trust(strict, "lexicon-1", None, evidence_of(rows)).withheld == {LAMPS}


def test_what_a_category_lacks_by_its_making_is_not_withheld_by_outcomes() -> None:
    bad = [*HELD_OUT, *outcomes(NOISE, 0.95, right=False, times=30)]
    found = trust(CITY, "model-1", evidence_of(bad), evidence_of(outcomes(NOISE, 0.97, right=True)))
    assert found.standings[NOISE].threshold > found.standings[LAMPS].threshold
    assert not found.withheld


def test_outcomes_of_a_category_that_the_taxonomy_no_longer_has_are_passed_over() -> None:
    found = by_words(outcomes("9999", 0.9, right=False, times=9))
    assert not found.withheld
    assert "9999" not in found.standings


def test_a_reader_forgets_what_it_learned_before_when_it_learns_anew() -> None:
    reader = Reader(CITY)
    assert reader.threshold(LAMPS) == 0.5
    reader.learn(evidence_of(outcomes(LAMPS, 0.9, right=False, times=9)))
    assert reader.threshold(LAMPS) == NEVER
    reader.learn(NOTHING)
    assert reader.threshold(LAMPS) == 0.5


_ROWS = st.lists(
    st.tuples(
        st.sampled_from([LAMPS, WATER, NOISE]), st.integers(0, 100).map(lambda percent: percent / 100), st.booleans()
    ),
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(rows=_ROWS, promise=st.sampled_from([0.5, 0.9, 0.995]), settled=st.sampled_from([None, 0.5]))
def test_at_and_above_its_threshold_a_category_keeps_its_promise(
    rows: Sequence[Row], promise: float, settled: float | None
) -> None:
    known = evidence_of(rows)
    common = round(settled if settled is not None else lowest(known, promise), 4)
    found = thresholds(known, promise, {}, CITY.categories, {promise: common})
    for category, (confidence, right) in known.by_category().items():
        sure = confidence.round(4) >= np.float32(found[category])
        wrong = int((sure & ~right).sum())
        # ten texts of the promised kind speak for a category beforehand
        assert not wrong or (right[sure].sum() + 10 * promise) / (sure.sum() + 10) >= promise - 1e-6
        assert found[category] >= common
    assert {found[code] for code in CITY.categories.keys() - set(known.said)} == {common}


def test_evidence_is_told_apart_by_category_and_added_in_order() -> None:
    both: Evidence = evidence_of(outcomes(WATER, 0.5, right=True)) + evidence_of(outcomes(LAMPS, 0.25, right=False))
    assert both.said == (WATER, LAMPS)
    assert {code: (c.tolist(), r.tolist()) for code, (c, r) in both.by_category().items()} == {
        WATER: ([0.5], [True]),
        LAMPS: ([0.25], [False]),
    }
    assert NOTHING.by_category() == {}
