"""The lexicon reads what citizens write: which words speak, which only stand near, how sure it may be."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routers.demand import DemandKind, Urgency
from routers.lexicon import Lexicon
from tests.cities import qinglan

LEXICON = Lexicon(qinglan())


@pytest.mark.parametrize(
    ("text", "category", "word"),
    [
        ("小区停水两天了，什么时候恢复供水", "0101", "停水"),
        ("路灯不亮，晚上一片黑", "0505", "路灯不亮"),
        ("工地夜间施工，混凝土浇筑到凌晨", "0802", "夜间施工"),
        ("老板拖欠工资不给，农民工工资都没结", "1401", "拖欠工资"),
        ("楼下ktv唱歌吵到半夜", "0901", "ktv"),
        ("ＫＴＶ噪音扰民", "0901", "ktv"),
    ],
)
def test_the_words_of_a_category_name_it(text: str, category: str, word: str) -> None:
    found = LEXICON.read(text).classification
    assert found.category == category
    assert word in found.why
    assert found.model == f"lexicon-{qinglan().version}"


def test_a_longer_word_hides_the_shorter_one_inside_it() -> None:
    # 污水井盖 belongs to manhole covers; the 污水 in it must not speak for sewage
    top = LEXICON.read("门口的污水井盖坏了").top
    assert [match.code for match in top] == ["0503"]
    assert top[0].words == ("污水井盖",)


def test_an_alarm_that_rings_is_not_a_call_for_the_police() -> None:
    reading = LEXICON.read("燃气报警器响个不停")
    assert reading.out_of_scope == ()
    assert reading.classification.category == "0204"


def test_a_place_named_after_a_park_is_a_place() -> None:
    assert LEXICON.read("就在永安公园门口").classification.category is None
    assert LEXICON.read("公园的设施坏了").classification.category == "1003"


def test_a_word_of_two_categories_says_half_as_much_for_each() -> None:
    shared = LEXICON.read("旱厕").top
    assert {match.code for match in shared} == {"0404", "1804"}
    assert shared[0].score == shared[1].score == 1.0
    assert LEXICON.read("旱厕").classification.confidence < LEXICON.read("公厕").classification.confidence


def test_a_word_said_often_counts_once() -> None:
    once, often = LEXICON.read("停水"), LEXICON.read("停水停水停水停水")
    assert once.top == often.top


def test_the_title_counts_like_the_text() -> None:
    assert LEXICON.read("请尽快来人", title="燃气泄漏").classification.category == "0204"


def test_words_never_join_over_the_border_of_title_and_text() -> None:
    assert LEXICON.read("水", title="停").top == ()


def test_nothing_known_means_no_category_and_no_confidence() -> None:
    found = LEXICON.read("今天天气真好")
    assert found.classification.category is None
    assert found.classification.confidence == 0.0
    assert found.top == ()


def test_words_that_are_half_there_point_to_a_category_but_prove_nothing() -> None:
    said = "变压器又坏，家里灯光直闪"

    assert LEXICON.read(said).top == ()
    assert LEXICON.near(said)[0].code == "0201"
    assert "变压" in LEXICON.near(said)[0].words
    assert LEXICON.near("abc 123") == ()


def test_more_evidence_is_more_confidence_and_rival_evidence_is_less() -> None:
    one = LEXICON.read("停水").classification.confidence
    two = LEXICON.read("停水了，什么时候恢复供水").classification.confidence
    rivals = LEXICON.read("停水，旁边还有违停").classification.confidence
    assert rivals < one < two


def test_words_of_danger_raise_the_urgency_of_an_ordinary_matter() -> None:
    calm = LEXICON.read("公厕没有厕纸").classification
    danger = LEXICON.read("公厕没有厕纸，还有人被困在里面").classification
    assert (calm.urgency, calm.safety) == (Urgency.NORMAL, False)
    assert (danger.urgency, danger.safety) == (Urgency.HIGH, True)
    assert "被困" in danger.why


def test_where_somebody_is_in_danger_the_matter_of_danger_goes_first() -> None:
    said = "电梯坏了，物业电话打不通"
    assert LEXICON.read(said).classification.category == "2001"

    trapped = LEXICON.read(f"{said}，里面有人被困")

    assert trapped.classification.category == "0704"
    assert trapped.classification.safety
    assert trapped.top[0].score < trapped.top[1].score  # what the words weigh is not bent


def test_a_dangerous_category_keeps_its_own_urgency() -> None:
    assert LEXICON.read("煤气味很重，燃气泄漏").classification.urgency is Urgency.CRITICAL


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("请问社保卡怎么补办？", DemandKind.CONSULT),
        ("我要举报这家黑作坊", DemandKind.REPORT),
        ("建议增加一条公交线路", DemandKind.SUGGEST),
        ("送一面锦旗，表扬社区的网格员", DemandKind.PRAISE),
        ("我要投诉物业不作为", DemandKind.COMPLAINT),
        ("水管爆了，请来抢修", DemandKind.HELP),
    ],
)
def test_the_kind_is_guessed_from_its_cues(text: str, kind: DemandKind) -> None:
    assert LEXICON.read(text).classification.kind is kind


def test_a_declared_kind_is_never_guessed_over() -> None:
    found = LEXICON.read("请问社保卡怎么补办？", kind=DemandKind.COMPLAINT)
    assert found.classification.kind is DemandKind.COMPLAINT


def test_without_a_cue_the_kind_stays_open() -> None:
    assert LEXICON.read("路边有一堆沙子").classification.kind is None


def test_unless_words_cancel_a_matter_out_of_scope() -> None:
    assert [match.code for match in LEXICON.read("路口发生交通事故").out_of_scope] == ["OOS-122"]
    assert LEXICON.read("路口容易发生交通事故").out_of_scope == ()


@settings(max_examples=50, deadline=None)
@given(st.text(alphabet="停水路灯不亮井盖公园着火报警请问建议KTV \n？", max_size=60))
def test_any_text_is_read_within_bounds(text: str) -> None:
    reading = LEXICON.read(text)
    found = reading.classification
    assert 0 <= found.confidence <= 1
    assert len(reading.top) <= 3
    assert [match.score for match in reading.top] == sorted((match.score for match in reading.top), reverse=True)
    assert (found.category is None) == (found.confidence == 0)
    assert reading == LEXICON.read(text)


def test_thousands_of_texts_a_second() -> None:
    texts = [f"{number}号楼停水两天了，路灯不亮，物业不作为，什么时候能修好？已经打了三次电话" for number in range(400)]
    started = time.process_time()
    for text in texts:
        LEXICON.read(text)
    # 5,000 a second is the promise; four times slower is allowed for on a busy machine
    assert time.process_time() - started < len(texts) / 1250
