"""Several wishes in one text: seen where they are, proposed in order, and never in what wants one thing."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routers.demand import DeclaredPlace, Demand, Ruling
from routers.reader import Reader
from routers.triage import SEVERAL, URGENT, Triage, Triaged
from routers.wishes import says_several
from streams.play import DAY
from tests.cities import qinglan, qinglan_model
from tests.wishes import lines_of, propose

MONDAY = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)

LAMPS, BINS = "解放路的路灯坏了六盏，晚上漆黑一片", "小区门口的垃圾桶满了好几天没人清运，臭得很"
TWO = f"你好，我要反映两个问题。一是{LAMPS}；二是{BINS}。请分别处理。"


@cache
def reader() -> Reader:
    return Reader(qinglan(), qinglan_model())


@cache
def triage() -> Triage:
    return Triage(qinglan(), qinglan_model())


def decide(text: str, machine: Triage | None = None) -> Triaged:
    demand = Demand(
        demand_id="01ARZ3NDEKTSV4RRFFQ69G5FAV",
        channel="app",
        created_at=MONDAY,
        received_at=MONDAY,
        text=text,
        place=DeclaredPlace(community="S0101"),
    )
    return (machine or triage()).decide(demand, MONDAY.date())


def test_two_wishes_are_two_parts_in_the_order_of_the_text() -> None:
    found = reader().wishes(TWO)
    assert [each.category for each in found] == ["0505", "0401"]
    lamps, bins = (TWO[each.start : each.end] for each in found)
    assert "路灯坏了六盏" in lamps
    assert "垃圾桶满了" in bins
    assert "垃圾" not in lamps


@pytest.mark.parametrize(
    "text",
    [
        "解放路的路灯坏了六盏。",
        "解放路的路灯坏了六盏，晚上漆黑一片，老人孩子出门都害怕，已经报修两次，一直没有人来，请尽快修好。",
        "谢谢！",
        "，，，。。。！！！",
        "",
        "😀" * 300,
    ],
)
def test_one_wish_is_no_proposal(text: str) -> None:
    assert reader().wishes(text) == ()


def test_somebody_who_says_there_is_but_one_matter_is_believed_sooner() -> None:
    told = "其余的事今天都不谈，我只有一个请求：" + TWO.removeprefix("你好，我要反映两个问题。").removesuffix(
        "请分别处理。"
    )
    assert reader().wishes(TWO)
    assert not reader().wishes(told)


def test_numbers_and_counts_hint_at_several_matters() -> None:
    assert says_several("一是路灯坏了；二是井盖碎了")
    assert says_several("想说三件事。")
    assert not says_several("路灯坏了，请修一下")


def test_the_desk_gets_the_parts_with_whose_they_are() -> None:
    found = decide(TWO)
    assert (found.verdict.ruling, len(found.verdict.parts)) == (Ruling.DESK, 2)
    assert [each.unit for each in found.verdict.parts] == [
        qinglan().category(each.category).lead for each in found.verdict.parts
    ]
    assert all(0 <= each.start < each.end <= len(found.text) for each in found.verdict.parts)


def test_parts_are_places_of_the_masked_text() -> None:
    found = decide(TWO.replace("你好，", "你好，我叫王秀英，电话13800138000，"))
    assert "13800138000" not in found.text
    first = found.verdict.parts[0]
    assert "路灯坏了六盏" in found.text[first.start : first.end]


def test_what_is_urgent_goes_out_at_once_though_it_holds_another_wish() -> None:
    found = decide(f"反映两件事：一是楼下电线杆上的电线掉下来了，冒火花，有人触电受伤；二是{BINS}。请分别处理。")
    assert len(found.verdict.parts) >= 2
    assert (found.verdict.ruling, found.verdict.reason, found.verdict.watch) == (Ruling.DISPATCH, URGENT, True)


def test_a_sure_machine_gives_several_wishes_to_people() -> None:
    """Each by itself would be dispatched: together they are for the desk, which splits them."""
    city = replace(qinglan(), policies=replace(qinglan().policies, promise=0.5))
    sure = Triage(city, qinglan_model())
    for alone in (f"{LAMPS}。", f"{BINS}。"):
        assert decide(alone, sure).verdict.ruling is Ruling.DISPATCH
    assert (decide(TWO, sure).verdict.ruling, decide(TWO, sure).verdict.reason) == (Ruling.DESK, SEVERAL)


def test_it_is_as_good_as_the_documents_say() -> None:
    """Floors, over rows that were not developed on; `python -m tests.wishes` has the figures."""
    many = propose(lines_of("multi.jsonl")[1::2], reader())
    one = propose(lines_of("single.jsonl")[1::2], reader())
    day = propose(lines_of(DAY), reader())
    seen = [each for each in many if each.wishes]
    wrongly = [each for each in one if each.wishes]
    assert len(seen) / len(many) > 0.6
    assert len(seen) / (len(seen) + len(wrongly)) > 0.85
    right = sum(len(each.wanted & each.proposed) for each in seen)
    assert right / sum(len(each.proposed) for each in seen) > 0.7
    assert right / sum(len(each.wanted) for each in seen) > 0.8
    assert sum(bool(each.wishes) for each in day) / len(day) < 0.03


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="路灯坏了井盖没水一二是。；，\n！？ 1、另外还有abc〔手机1〕😀", max_size=300))
def test_parts_never_overlap_and_lie_in_the_text(text: str) -> None:
    found = reader().wishes(text)
    assert len(found) != 1
    places = [place for each in found for place in (each.start, each.end)]
    assert places == sorted(places)
    assert all(text[each.start : each.end].strip() for each in found)
    assert not places or places[-1] <= len(text)
