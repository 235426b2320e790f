"""The receipt number a citizen reads out on the phone."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routers.receipt import parse_receipt, receipt

LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
DEMANDS = [f"01JD0000000000000000{number:06d}" for number in range(25)]
demand_ids = st.text(alphabet=LETTERS, min_size=25, max_size=25).map("0".__add__)


@pytest.mark.parametrize("demand_id", DEMANDS)
def test_every_single_wrong_character_is_noticed(demand_id: str) -> None:
    right = receipt(demand_id).replace("-", "")

    for position, written in enumerate(right):
        for wrong in LETTERS.replace(written, ""):
            with pytest.raises(ValueError, match="wrong"):
                parse_receipt(right[:position] + wrong + right[position + 1 :])


@pytest.mark.parametrize("demand_id", DEMANDS)
def test_every_swap_of_neighbours_is_noticed(demand_id: str) -> None:
    right = receipt(demand_id).replace("-", "")

    for position, (one, other) in enumerate(pairwise(right)):
        if one != other:
            with pytest.raises(ValueError, match="wrong"):
                parse_receipt(right[:position] + other + one + right[position + 2 :])


@given(demand_ids)
@settings(max_examples=60, deadline=None)
def test_a_demand_always_has_the_same_number_and_people_may_type_it_their_way(demand_id: str) -> None:
    number = receipt(demand_id)

    assert receipt(demand_id) == number
    assert [len(part) for part in number.split("-")] == [4, 4, 5]
    assert set(number) <= set(LETTERS + "-")
    assert parse_receipt(number) == number
    assert parse_receipt(number.lower()) == number
    assert parse_receipt(f"  {number.replace('-', '')} ") == number
    assert parse_receipt(number.replace("-", " ")) == number
    assert parse_receipt(number.replace("0", "O").replace("1", "I")) == number
    assert parse_receipt(number.replace("0", "o").replace("1", "l")) == number


@pytest.mark.parametrize("typed", ["", "12345", "没有编号", "U" * 13, "0" * 12, "0" * 14, "受" * 13, "\x00" * 13])
def test_what_cannot_be_a_number_is_refused_with_a_sentence(typed: str) -> None:
    with pytest.raises(ValueError, match="is not a receipt number: it has 13 letters"):
        parse_receipt(typed)


def test_the_numbers_of_a_busy_day_differ() -> None:
    numbers = {receipt(f"01JD000000000000000000{number:04d}") for number in range(3000)}

    assert len(numbers) == 3000
