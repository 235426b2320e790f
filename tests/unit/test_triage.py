"""Triage on paper: what goes to a unit and what to the desk, in the words citizens use, and who may know the sender."""

from dataclasses import replace
from typing import Any

import pytest

from routers.demand import DeclaredPlace, DemandKind, Ruling, Urgency
from routers.triage import Triage
from tests.triaged import CITY, PHONE, TODAY, TRIAGE, at, decide, demand

CITY_RULE = {rule.category: rule.id for rule in CITY.catalogue}


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
