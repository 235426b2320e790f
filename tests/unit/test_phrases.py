"""Known words in running text."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from routers.city import place_names
from routers.phrases import Phrases, plain
from tests.cities import qinglan

letters = st.text(alphabet="停水电梯没信号", max_size=12)


def test_the_longest_word_hides_those_inside_it() -> None:
    known = Phrases([("电梯", "lift"), ("电梯没信号", "phone"), ("信号", "signal"), ("号召", "call")])

    assert [hit.word for hit in known.longest("电梯没信号召人")] == ["电梯没信号", "号召"]
    assert [hit.meaning for hit in known.longest("信号和电梯")] == ["signal", "lift"]


def test_a_word_may_stand_for_several_things() -> None:
    known = Phrases([("路灯", "street"), ("路灯", "village")])

    assert {hit.meaning for hit in known.longest("路灯")} == {"street", "village"}


def test_width_and_case_do_not_matter() -> None:
    known = Phrases([("ETC", 1), ("app打不开", 2)])

    assert [hit.meaning for hit in known.longest(plain("ｅｔｃ扣费，APP打不开"))] == [1, 2]


def test_traditional_characters_are_the_simplified_ones() -> None:
    known = Phrases([("着火", "fire"), ("漏电", "current"), ("噪声", "noise")])

    assert [hit.meaning for hit in known.longest(plain("樓上著火，電線漏電"))] == ["fire", "current"]
    assert [(hit.start, hit.end) for hit in known.longest(plain("晚上的噪聲很大"))] == [(3, 5)]


def test_a_text_in_simplified_characters_is_left_as_it_is() -> None:
    names = "".join(place_names(qinglan().places))

    assert plain(names) == names


def test_without_words_nothing_is_found() -> None:
    assert Phrases[int]([]).longest("停水") == []


@given(st.sets(letters.filter(lambda word: len(word) > 1), max_size=8), letters)
@settings(max_examples=60, deadline=None)
def test_every_occurrence_is_found_and_nothing_else(words: set[str], text: str) -> None:
    known = Phrases((word, word) for word in words)

    found = {(hit.start, hit.word) for hit in known.every(text)}

    assert found == {(at, word) for word in words for at in range(len(text)) if text.startswith(word, at)}
    outer = {
        (at, word)
        for at, word in found
        if not any(
            (start, other) != (at, word) and start <= at and start + len(other) >= at + len(word)
            for start, other in found
        )
    }
    assert {(hit.start, hit.word) for hit in known.longest(text)} == outer


@given(st.text(max_size=50))
@settings(max_examples=40, deadline=None)
def test_plain_text_keeps_every_character_at_its_place(text: str) -> None:
    assert len(plain(text)) == len(text)
    assert plain(plain(text)) == plain(text)
