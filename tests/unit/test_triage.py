"""Triage on paper: each way out of it, in the words citizens use, and never an exception."""

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import cache
from itertools import chain, repeat
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routers.city import place_names
from routers.demand import (
    TEXT_LIMIT,
    Coordinates,
    CoordinateSystem,
    DeclaredPlace,
    Demand,
    DemandKind,
    Ruling,
    SelfHandled,
    Urgency,
)
from routers.triage import Triage, Triaged
from streams.settings import DEPLOY
from tests.cities import qinglan, qinglan_model

TODAY = date(2026, 11, 23)
NOW = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
CITY = qinglan()
TRIAGE = Triage(CITY)
CITY_RULE = {rule.category: rule.id for rule in CITY.catalogue}
PHONE = "13800138000"


def demand(text: str, **fields: Any) -> Demand:
    known = {
        "demand_id": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "channel": "app",
        "created_at": NOW,
        "received_at": NOW,
        "text": text,
    }
    return Demand(**(known | fields))


def decide(text: str, **fields: Any) -> Triaged:
    return TRIAGE.decide(demand(text, **fields), TODAY)


def at(code: str) -> DeclaredPlace:
    return DeclaredPlace(community=code)


# ---- dispatch -----------------------------------------------------------------------------------------


def test_a_clear_matter_at_a_known_place_is_dispatched_by_the_catalogue() -> None:
    found = decide("小区停水两天了，什么时候恢复供水", place=at("S0101"))
    assert found.verdict.ruling is Ruling.DISPATCH
    assert (found.verdict.unit, found.verdict.rule, found.verdict.reason) == ("U-WATER", "R0101", "catalogue")
    assert found.verdict.co == (), "the machine names a lead; who helps is for the desk to say"
    assert found.tier == "U24H"
    assert found.place.community == "S0101"


def test_the_place_may_stand_in_the_text() -> None:
    found = decide("虹苑小区楼道堆物，卫生死角没人管")
    assert (found.verdict.ruling, found.verdict.unit) == (Ruling.DISPATCH, "S01")
    assert found.place.street == "S01"


def test_what_needs_no_place_is_dispatched_without_one() -> None:
    found = decide("老板拖欠工资半年了，农民工工资一分没有")
    assert (found.verdict.ruling, found.verdict.unit) == (Ruling.DISPATCH, "D-LABOR")


def test_an_ambulance_that_cannot_get_through_is_a_parking_matter() -> None:
    found = decide("医院后街两边违停乱停车，救护车都进不来")
    assert (found.verdict.ruling, found.verdict.unit) == (Ruling.DISPATCH, "D-TRAFPOL")


# ---- the desk -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ("你们管不管？？？", None, "no_category"),
        ("公厕旁边的违停", at("S0101"), "uncertain"),
        ("路灯不亮，出门全靠摸", None, "no_place"),
        ("路灯不亮，出门全靠摸", at("S0999"), "unknown_place"),
        ("停水两天了，云锦三组", DeclaredPlace(address="云锦社区3组"), "unknown_place"),
        ("宽带故障，断网三天", at("S0101"), "no_operator"),
    ],
)
def test_what_is_not_settled_goes_to_the_desk_with_three_candidates(
    text: str, place: DeclaredPlace | None, reason: str
) -> None:
    verdict = decide(text, place=place).verdict
    assert (verdict.ruling, verdict.reason) == (Ruling.DESK, reason)
    assert verdict.unit is None
    units = [candidate.unit for candidate in verdict.candidates]
    assert len(set(units)) == 3
    assert all(CITY.units[unit].dispatchable and not CITY.units[unit].virtual for unit in units)
    assert all(candidate.why for candidate in verdict.candidates)


def test_candidates_come_from_the_likeliest_categories_first() -> None:
    verdict = decide("公厕旁边的违停", place=at("S0101")).verdict
    assert [candidate.unit for candidate in verdict.candidates[:2]] == ["U-SANIT", "D-TRAFPOL"]
    assert verdict.candidates[0].category == "0404"


def test_where_no_word_is_known_half_of_one_still_helps_the_desk() -> None:
    verdict = decide("变压器又坏，家里灯光直闪", place=at("S0101")).verdict
    assert (verdict.ruling, verdict.reason) == (Ruling.DESK, "no_category")
    assert "U-POWER" in {candidate.unit for candidate in verdict.candidates}
    assert any("近似" in candidate.why for candidate in verdict.candidates)


def test_a_telecom_matter_without_a_name_offers_the_operators() -> None:
    verdict = decide("宽带故障，断网三天", place=at("S0101")).verdict
    assert {candidate.unit for candidate in verdict.candidates} <= set(CITY.units["X-TELECOM"].choices)


def test_a_unit_the_citizen_names_is_a_candidate() -> None:
    verdict = decide("我就找市场监管局，事情电话里说").verdict
    assert verdict.candidates[0].unit == "D-MARKET"


# ---- what is urgent ------------------------------------------------------------------------------------


def test_urgent_work_does_not_wait_until_the_machine_is_sure() -> None:
    triage = Triage(replace(CITY, policies=replace(CITY.policies, dispatch_confidence=1.0)))
    found = triage.decide(demand("楼下闻到煤气味，像是漏气", place=at("S0101")), TODAY)
    verdict = found.verdict
    assert (verdict.ruling, verdict.unit, verdict.reason) == (Ruling.DISPATCH, "U-GAS", "urgent")
    assert verdict.watch, "the desk is told"
    assert verdict.rule == CITY_RULE[found.classification.category or ""], "by the catalogue, as everything"
    assert len(verdict.candidates) == 3, "who else it might be is shown to the desk"
    waits = triage.decide(demand("路灯不亮，出门全靠摸", place=at("S0101")), TODAY).verdict
    assert (waits.ruling, waits.reason, waits.watch) == (Ruling.DESK, "uncertain", False)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("有人受伤流血", "no_category"),
        ("这里要塌陷了", "no_place"),
        ("煤气味漏气，我已经起诉过一次", "perhaps_out_of_scope"),
    ],
)
def test_urgent_work_that_nobody_can_be_named_for_goes_to_the_desk_before_all_else(text: str, reason: str) -> None:
    found = decide(text)
    assert (found.verdict.ruling, found.verdict.reason) == (Ruling.DESK, reason)
    assert found.classification.urgency is Urgency.CRITICAL
    assert len(found.verdict.candidates) == 3


def test_what_the_machine_is_sure_of_the_desk_does_not_watch() -> None:
    verdict = decide("小区停水两天了，什么时候恢复供水", place=at("S0101")).verdict
    assert (verdict.reason, verdict.watch, verdict.candidates) == ("catalogue", False, ())


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


# ---- privacy ----------------------------------------------------------------------------------------------


def test_a_phone_number_gets_nowhere() -> None:
    found = decide(
        f"路灯不亮，联系{PHONE}",
        title=f"回电{PHONE}",
        place=DeclaredPlace(address=f"虹苑小区3栋，打 {PHONE}"),
    )
    shown = [found.title, found.text, found.address, found.place.model_dump_json(), found.verdict.model_dump_json()]
    assert all("138" not in (part or "") for part in shown)
    # one number, one placeholder
    assert found.title is not None
    assert found.title.removeprefix("回电") == found.text.removeprefix("路灯不亮，联系")
    assert TRIAGE.mask(f"打 {PHONE}") == "打 〔手机1〕"


# ---- always -----------------------------------------------------------------------------------------------

WORDS = sorted(
    {
        *chain.from_iterable(category.keywords for category in CITY.categories.values()),
        *chain.from_iterable(matter.keywords for matter in CITY.out_of_scope.values()),
        *chain.from_iterable(CITY.kinds.values()),
        *place_names(CITY.places),
        *CITY.places.outside,
    }
)
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=80)
SAID = st.lists(st.sampled_from(WORDS) | ANY_TEXT, min_size=1, max_size=6).map("".join)
COORDINATES = st.builds(
    Coordinates,
    lon=st.floats(-180, 180) | st.floats(104.0, 104.3),
    lat=st.floats(-90, 90) | st.floats(30.2, 30.5),
    crs=st.sampled_from(CoordinateSystem),
)
PLACES = st.builds(
    DeclaredPlace,
    community=st.none() | st.sampled_from(["S0101", "虹桥社区", "S9999"]),
    address=st.none() | SAID.map(lambda text: text[:500]),
    coordinates=st.none() | COORDINATES,
)


@settings(max_examples=80, deadline=None)
@given(
    text=SAID,
    title=st.none() | SAID,
    place=st.none() | PLACES,
    kind=st.none() | st.sampled_from(DemandKind),
    today=st.dates(),
)
def test_every_valid_demand_finds_its_way_out(
    text: str, title: str | None, place: DeclaredPlace | None, kind: DemandKind | None, today: date
) -> None:
    given_ = demand(text, title=title[:500] if title else None, place=place, kind=kind)
    found = TRIAGE.decide(given_, today)
    verdict = found.verdict
    assert found.tier in CITY.tiers
    assert found == TRIAGE.decide(given_, today)
    urgent = found.classification.safety or found.classification.urgency in {Urgency.HIGH, Urgency.CRITICAL}
    if verdict.ruling is Ruling.DESK and urgent:
        assert found.classification.urgency is Urgency.CRITICAL
    assert verdict.watch == (verdict.reason == "urgent")
    assert not verdict.watch or urgent
    if verdict.ruling is Ruling.DISPATCH:
        assert verdict.unit is not None
        assert CITY.units[verdict.unit].dispatchable
        assert not CITY.units[verdict.unit].virtual
        assert verdict.unit not in verdict.co
        assert not any(CITY.units[unit].virtual for unit in verdict.co)
        assert verdict.rule
    elif verdict.ruling is Ruling.DESK:
        assert len({candidate.unit for candidate in verdict.candidates}) == 3
    else:
        assert verdict.text
        assert verdict.rule
    if verdict.ruling is Ruling.ANSWER:
        assert found.classification.kind is DemandKind.CONSULT


def test_the_longest_text_is_triaged_too() -> None:
    found = decide(("停水" * TEXT_LIMIT)[:TEXT_LIMIT], place=at("S0101"))
    assert found.verdict.unit == "U-WATER"


# ---- the seeded day -----------------------------------------------------------------------------------------


@cache
def seeded_day() -> list[tuple[dict[str, Any], Triaged]]:
    """The demo's day, as the model that ships with the city reads it."""
    triage = Triage(CITY, qinglan_model())
    rows = [json.loads(line) for line in (DEPLOY / "demo" / "demands.jsonl").read_text().splitlines()]
    demands = []
    for row in rows:
        fields = {key: row[key] for key in ("channel", "title", "place", "answered_by", "answer") if key in row}
        if row.get("self_handled"):
            fields["self_handled"] = {"note": row["note"], "at": NOW}
        demands.append(demand(row["text"], **fields))
    found = map(triage.decide, demands, repeat(TODAY), triage.see(demands))
    return list(zip(rows, found, strict=True))


def test_on_the_seeded_day_nearly_all_that_is_dispatched_is_dispatched_rightly() -> None:
    rulings = Counter((row["expect"], str(found.verdict.ruling)) for row, found in seeded_day())
    wanted = sum(count for (expect, _), count in rulings.items() if expect == "dispatch")
    sent = [(row, found.verdict) for row, found in seeded_day() if found.verdict.ruling is Ruling.DISPATCH]
    sure = [verdict.unit == row["unit"] for row, verdict in sent if not verdict.watch]
    urgent = [verdict.unit == row["unit"] for row, verdict in sent if verdict.watch]
    assert sum(sure) / len(sure) > 0.985
    assert len(sure) / wanted > 0.6
    assert sum(urgent) / len(urgent) > 0.85  # these do not wait until somebody is sure
    # what the machine does not send, people see: it is neither declined nor answered
    assert rulings["dispatch", "decline"] == rulings["dispatch", "answer"] == 0


def test_on_the_seeded_day_every_emergency_is_told_where_to_turn() -> None:
    codes = [
        (found.verdict.rule, row["tags"])
        for row, found in seeded_day()
        if row["expect"] == "decline" and "emergency" in row["tags"]
    ]
    assert codes
    assert all(code in tags for code, tags in codes)


def test_on_the_seeded_day_the_machine_answers_by_the_right_entry_only() -> None:
    answers = [(row, found) for row, found in seeded_day() if found.verdict.ruling is Ruling.ANSWER]
    assert answers
    assert all(f"entry:{found.verdict.rule}" in row.get("tags", []) for row, found in answers)


def test_on_the_seeded_day_nothing_vague_is_dispatched() -> None:
    vague = [found for row, found in seeded_day() if {"vague", "nonsense", "no-place"} & set(row.get("tags", []))]
    assert vague
    assert {found.verdict.ruling for found in vague} == {Ruling.DESK}


# ---- who may know the sender --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "hidden"),
    [
        ({}, False),
        ({"kind": DemandKind.COMPLAINT}, False),
        ({"kind": DemandKind.REPORT}, True),
        ({"confidential": True}, True),
        ({"kind": DemandKind.COMPLAINT, "confidential": True}, True),
    ],
)
def test_a_report_hides_its_sender_without_being_asked_to(fields: dict[str, Any], *, hidden: bool) -> None:
    assert decide("小区停水两天了", place=at("S0101"), **fields).confidential is hidden


def test_what_the_taxonomy_flags_hides_its_sender_whatever_it_is_called() -> None:
    flagged = next(each for each in CITY.categories.values() if "confidential" in each.flags and each.keywords)
    found = decide(f"{flagged.keywords[0]}，{flagged.zh}", kind=DemandKind.COMPLAINT)
    assert found.classification.category == flagged.code
    assert found.confidential
