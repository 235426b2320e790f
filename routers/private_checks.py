"""The checks that numbers carry in themselves, each by its standard."""

from __future__ import annotations

import re
from datetime import date

_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECKS = "10X98765432"
_CODE_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_CODE_WEIGHTS = tuple(3**power % 31 for power in range(17))
_CODE = re.compile(r"[1-9ANY][1-9][1-8]\d{5}[0-9A-HJ-NPQRTUWXY]{10}")
_BORN = re.compile(r"[1-9]\d{5}(\d{4})(\d\d)(\d\d)\d{3}[\dX]")
_BORN_OLD = re.compile(r"[1-9]\d{5}(\d\d)(\d\d)(\d\d)\d{3}")


def valid_id(number: str) -> bool:
    """Tell whether 18 characters are a resident identity number: GB 11643's check character (ISO 7064 MOD 11-2)."""
    if len(number) != 18 or not (number[:17].isascii() and number[:17].isdigit()):
        return False
    total = sum(int(digit) * weight for digit, weight in zip(number, _ID_WEIGHTS, strict=False))
    return number[17].upper() == _ID_CHECKS[total % 11]


def birth_date(number: str) -> bool:
    """Tell whether a date of birth stands where an identity number of 18 or 15 characters has it."""
    if (new := _BORN.fullmatch(number)) is not None:
        year, month, day = map(int, new.groups())
        return 1900 <= year < 2100 and _is_date(year, month, day)
    old = _BORN_OLD.fullmatch(number)
    return old is not None and _is_date(1900 + int(old[1]), int(old[2]), int(old[3]))


def valid_card(digits: str) -> bool:
    """Tell whether digits pass the check of ISO/IEC 7812-1 annex B (Luhn), and are not all the same."""
    if len(set(digits)) == 1:
        return False
    odd = sum(int(each) for each in digits[-1::-2])
    even = sum(sum(divmod(2 * int(each), 10)) for each in digits[-2::-2])
    return (odd + even) % 10 == 0


def valid_credit_code(code: str) -> bool:
    """Tell whether 18 characters are a unified social credit code (GB 32100): it names an organisation."""
    if _CODE.fullmatch(code) is None:
        return False
    total = sum(_CODE_ALPHABET.index(each) * weight for each, weight in zip(code, _CODE_WEIGHTS, strict=False))
    return code[17] == _CODE_ALPHABET[(31 - total % 31) % 31]


def _is_date(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True
