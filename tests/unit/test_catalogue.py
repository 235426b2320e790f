"""The dispatch catalogue: by category, place and day to one lead and its co-handlers."""

from dataclasses import replace
from datetime import date

from routers.catalogue import NO_OPERATOR, NO_OWNER, NO_PLACE, Catalogue, Resolved
from routers.city import CatalogueRule
from tests.cities import qinglan

TODAY = date(2026, 11, 23)
CITY = qinglan()
CATALOGUE = Catalogue(CITY)


def with_rules(*rules: CatalogueRule) -> Catalogue:
    return Catalogue(replace(CITY, catalogue=rules))


def rule(name: str, unit: str, *, place: str | None = None, since: date = date(2026, 1, 1)) -> CatalogueRule:
    return CatalogueRule(name, "0101", place, unit, (), since)


def test_every_category_has_an_owner_everywhere() -> None:
    streets = [street.code for street in CITY.places.streets]
    for category in CITY.categories:
        for street in (None, *streets):
            assert CATALOGUE.rule(category, street, TODAY) is not None


def test_a_lead_comes_with_its_co_handlers_and_the_rule() -> None:
    found = CATALOGUE.resolve("0101", "S01", "", TODAY)
    assert found == Resolved("U-WATER", ("D-WATER", "S01"), "R0101")


def test_without_a_street_a_local_co_handler_is_left_out() -> None:
    found = CATALOGUE.resolve("0606", None, "", TODAY)
    assert found == Resolved("U-BUS", ("D-TRANS",), "R0606")


def test_a_street_goes_by_its_own_rule_first() -> None:
    village = CATALOGUE.resolve("0102", "T01", "", TODAY)
    town = CATALOGUE.resolve("0102", "S01", "", TODAY)
    assert isinstance(village, Resolved)
    assert isinstance(town, Resolved)
    assert (village.unit, village.rule) == ("D-WATER", "R0102-T01")
    assert (town.unit, town.rule) == ("U-WATER", "R0102")


def test_what_is_local_goes_to_the_street_of_the_place() -> None:
    found = CATALOGUE.resolve("0407", "T02", "", TODAY)
    assert isinstance(found, Resolved)
    assert found.unit == "T02"
    assert "T02" not in found.co
    assert CATALOGUE.resolve("0407", None, "", TODAY) == NO_PLACE


def test_a_telecom_matter_goes_to_the_operator_named() -> None:
    found = CATALOGUE.resolve("0301", "S01", "联通的宽带断网两天了", TODAY)
    assert isinstance(found, Resolved)
    assert found.unit == "U-CUNI"


def test_no_operator_or_two_of_them_is_a_question_for_people() -> None:
    assert CATALOGUE.resolve("0301", "S01", "宽带断网两天了", TODAY) == NO_OPERATOR
    assert CATALOGUE.resolve("0301", "S01", "从移动换成电信以后断网", TODAY) == NO_OPERATOR
    assert CATALOGUE.owners("0301", "S01", "从移动换成电信以后断网", TODAY) == ("U-CMOB", "U-CTEL")


def test_rules_hold_from_their_first_to_their_last_day() -> None:
    old = replace(rule("OLD", "U-WATER"), expires=date(2026, 6, 30))
    new = rule("NEW", "D-WATER", since=date(2026, 7, 1))
    catalogue = with_rules(old, new)
    days = [date(2025, 12, 31), date(2026, 1, 1), date(2026, 6, 30), date(2026, 7, 1), date(2036, 1, 1)]
    found = [catalogue.rule("0101", None, day) for day in days]
    assert [each.id if each else None for each in found] == [None, "OLD", "OLD", "NEW", "NEW"]
    assert catalogue.resolve("0101", None, "", days[0]) == NO_OWNER
    assert catalogue.owners("0101", None, "", days[0]) == ()
    assert catalogue.helpers("0101", None, "", days[0]) == ()


def test_a_local_rule_that_has_ended_gives_way_to_the_general_one() -> None:
    local = replace(rule("LOCAL", "D-WATER", place="S01"), expires=date(2026, 6, 30))
    catalogue = with_rules(rule("ALL", "U-WATER"), local)
    found = catalogue.rule("0101", "S01", TODAY)
    assert found is not None
    assert found.id == "ALL"
