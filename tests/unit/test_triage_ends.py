"""Triage on paper: what ends with it, declined with where to turn to, or answered."""

from dataclasses import replace
from datetime import date

import pytest

from routers.demand import Coordinates, CoordinateSystem, DeclaredPlace, DemandKind, Ruling, SelfHandled
from routers.triage import Triage
from tests.triaged import CITY, NOW, PHONE, TODAY, TRIAGE, at, decide, demand

# ---- declined --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code", "turn_to"),
    [
        ("着火了着火了，六楼窗户往外冒火", "OOS-119", "119"),
        ("有人持刀在超市门口追人", "OOS-110", "110"),
        ("我爸突然昏迷，快叫救护车", "OOS-120", "120"),
        ("刚刚被车撞了，对方肇事逃逸", "OOS-122", "122"),
        ("法院判决下来一年多了，执行案件没有动静", "OOS-LIT", "12348"),
        ("已经上访三次，信访事项答复我不认可", "OOS-PET", "信访局"),
        ("我要举报科长受贿", "OOS-DISC", "12388"),
    ],
)
def test_what_is_out_of_scope_is_declined_with_the_place_to_turn_to(text: str, code: str, turn_to: str) -> None:
    verdict = decide(text).verdict
    assert (verdict.ruling, verdict.reason, verdict.rule) == (Ruling.DECLINE, "out_of_scope", code)
    assert turn_to in (verdict.text or "")


def test_a_lawyers_fee_is_not_a_lawsuit() -> None:
    assert decide("律师收费两万，开庭就来了十分钟").verdict.unit == "D-JUSTICE"


def test_when_it_might_be_out_of_scope_a_person_judges() -> None:
    verdict = decide("下水道堵塞返水，我已经起诉过一次", place=at("S0101")).verdict
    assert verdict.ruling is Ruling.DESK
    assert verdict.reason == "perhaps_out_of_scope"


def test_a_long_story_that_mentions_an_accident_is_not_sent_to_122() -> None:
    story = "这条路修了三年还没通车，我们上下班都要绕行半个钟头，小孩上学也不方便。" * 4
    short, long = "门口发生交通事故", story + "门口还发生过交通事故"
    assert decide(short).verdict.rule == "OOS-122"
    assert decide(long, place=at("S0101")).verdict.ruling in (Ruling.DESK, Ruling.DISPATCH)


@pytest.mark.parametrize(
    "place",
    [
        DeclaredPlace(coordinates=Coordinates(lon=121.49, lat=31.24, crs=CoordinateSystem.BD09)),
        DeclaredPlace(coordinates=Coordinates(lon=125.4, lat=28.9, crs=CoordinateSystem.WGS84)),
        DeclaredPlace(address="临江市河东区建设路88号"),
    ],
    ids=["another city", "the sea", "another city's address"],
)
def test_what_lies_outside_is_declined_with_where_to_turn(place: DeclaredPlace) -> None:
    found = decide("路灯不亮，请修理", place=place)
    assert (found.verdict.ruling, found.verdict.reason, found.verdict.rule) == (Ruling.DECLINE, "outside", "OOS-AREA")
    assert found.place.outside


def test_a_point_just_beyond_the_border_is_not_declined_by_machine() -> None:
    west, south = min(CITY.places.outline)
    point = Coordinates(lon=west - 0.0002, lat=south, crs=CoordinateSystem.WGS84)

    found = decide("路灯不亮，请修理", place=DeclaredPlace(coordinates=point))

    assert found.place.outside
    assert (found.verdict.ruling, found.verdict.reason) == (Ruling.DESK, "perhaps_out_of_scope")
    assert found.place.near[0].street in {candidate.unit for candidate in found.verdict.candidates}


def test_the_street_across_a_border_close_by_is_a_candidate() -> None:
    point = Coordinates(lon=104.0926, lat=30.3505, crs=CoordinateSystem.WGS84)

    found = decide("这里的事情没人管", place=DeclaredPlace(coordinates=point))

    assert found.place.street == "S01"
    assert [candidate.unit for candidate in found.verdict.candidates][:2] == ["S01", "S02"]


def test_an_emergency_is_told_so_wherever_it_is() -> None:
    far = DeclaredPlace(coordinates=Coordinates(lon=0, lat=0, crs=CoordinateSystem.WGS84))
    assert decide("着火了，快来人", place=far).verdict.rule == "OOS-119"


# ---- answered --------------------------------------------------------------------------------------------


def test_an_enquiry_that_the_knowledge_base_answers_names_its_entry_and_owner() -> None:
    found = decide("请问社保卡丢了怎么补办？")
    verdict = found.verdict
    assert (verdict.ruling, verdict.reason, verdict.rule) == (Ruling.ANSWER, "knowledge", "K001")
    assert "K001" in (verdict.text or "")
    assert CITY.units["D-HR"].zh in (verdict.text or "")
    assert found.classification.category == "1403"


def test_a_complaint_is_never_answered_by_the_machine() -> None:
    verdict = decide("投诉：社保卡补办拖着三个月没人管，态度太差").verdict
    assert verdict.ruling is not Ruling.ANSWER
    declared = decide("请问社保卡丢了怎么补办？", kind=DemandKind.COMPLAINT).verdict
    assert declared.ruling is not Ruling.ANSWER


def test_a_story_is_never_answered_by_the_machine() -> None:
    story = "请问社保卡丢了怎么补办？" + "我去年就来问过一次，窗口的人让我去银行，银行又让我回来。" * 5
    assert decide(story).verdict.ruling is not Ruling.ANSWER


@pytest.mark.parametrize("text", ["请问取暖费怎么减免？", "请问加装电梯补贴有多少？"], ids=["expired", "not approved"])
def test_an_entry_out_of_force_answers_nothing(text: str) -> None:
    assert decide(text).verdict.ruling is not Ruling.ANSWER


def test_an_entry_answers_on_its_last_day_and_not_after() -> None:
    entry = CITY.knowledge["K001"]
    asked = demand("请问社保卡丢了怎么补办？")
    assert TRIAGE.decide(asked, entry.expires).verdict.ruling is Ruling.ANSWER
    assert TRIAGE.decide(asked, date(entry.expires.year + 1, 1, 1)).verdict.ruling is not Ruling.ANSWER


def test_the_most_exact_entry_answers() -> None:
    exact = replace(CITY.knowledge["K001"], id="K999", patterns=(("社保卡丢了", "怎么补办"),))
    triage = Triage(replace(CITY, knowledge=dict(CITY.knowledge) | {"K999": exact}))
    assert triage.decide(demand("请问社保卡丢了怎么补办？"), TODAY).verdict.rule == "K999"


def test_what_the_hotlines_agent_answered_stays_answered() -> None:
    found = decide("着火了怎么办", answered_by="王芳", answer=f"已转 119，回拨 {PHONE}")
    assert (found.verdict.ruling, found.verdict.reason) == (Ruling.ANSWERED, "answered")
    assert "119" in (found.verdict.text or "")
    assert PHONE not in (found.verdict.text or "")


def test_what_the_grid_worker_settled_is_recorded_as_settled() -> None:
    found = decide("垃圾满溢", channel="grid", self_handled=SelfHandled(note="已当场清运", at=NOW), place=at("S0101"))
    assert (found.verdict.ruling, found.verdict.reason) == (Ruling.ANSWERED, "self_handled")
    assert "已当场清运" in (found.verdict.text or "")
    assert found.classification.category == "0401"
