"""The receipt number (受理编号) people see: short, derived from the demand's id, with a check character.

60 bits of SHA-256 over the id as 12 characters of Crockford's base 32, and a thirteenth that
detects every single wrong character and every swap of neighbours: ISO/IEC 7064 MOD 37-2.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from itertools import count

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_MODULUS = 37
_BASE = 2
_LENGTH = 12
_LOOKALIKES = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})


@lru_cache(maxsize=65_536)
def receipt(demand_id: str) -> str:
    """Return the receipt number of a demand: `XXXX-XXXX-XXXXX`."""
    for attempt in count():
        digest = hashlib.sha256(f"{demand_id}/{attempt}".encode()).digest()
        bits = int.from_bytes(digest[:8], "big") >> 4
        body = "".join(_ALPHABET[bits >> shift & 31] for shift in range(55, -1, -5))
        check = _check(body)
        if check < len(_ALPHABET):  # 5 of the 37 have no letter a person could read out
            return _printed(body + _ALPHABET[check])
    raise AssertionError("unreachable")


def parse_receipt(text: str) -> str:
    """Return a receipt number as printed, from what a person typed.

    Lower case, missing dashes and the usual misreadings (O for 0, I or L for 1) are understood.

    Raises:
        ValueError: it is no receipt number, or a character is wrong.
    """
    typed = text.strip().upper().translate(_LOOKALIKES)
    body, check = typed[:_LENGTH], typed[_LENGTH:]
    if len(check) != 1 or any(each not in _ALPHABET for each in body) or check not in _ALPHABET:
        raise ValueError(f"{text!r} is not a receipt number: it has 13 letters and digits, as in XXXX-XXXX-XXXXX")
    if _ALPHABET.index(check) != _check(body):
        raise ValueError(f"{text!r} is not a receipt number: one of its characters is wrong")
    return _printed(typed)


def _check(body: str) -> int:
    """Return the check value: the sum of values weighted by powers of 2, made 1 modulo 37."""
    total = 0
    for each in body:
        total = (total + _ALPHABET.index(each)) * _BASE % _MODULUS
    return (1 - total) % _MODULUS


def _printed(thirteen: str) -> str:
    return f"{thirteen[:4]}-{thirteen[4:8]}-{thirteen[8:]}"
