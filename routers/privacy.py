"""Take what names or reaches a person out of free text, and leave a typed placeholder: `〔手机1〕`.

Found are mobile numbers, landlines, resident identity numbers (GB 11643), bank cards (ISO/IEC 7812),
e-mail addresses, number plates, and passports and accounts (QQ, 微信) named as such; also with blanks
or dashes between the digits, in full width, in circles (①③⑧) and in Chinese digits (一三八...).
Public numbers (110, 12345, 95598, 400-...) are nobody's and stay.
The same number gets the same placeholder wherever it stands, so that a reader can still follow.
Where it is unclear whether something is a number of a person, it is hidden: the original is in the vault.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

_CHINESE = "〇零一二三四五六七八九幺壹贰叁肆伍陆柒捌玖两"
_VALUES = "0012345678911234567892"
_AS_DIGITS = str.maketrans(
    dict(zip(_CHINESE, _VALUES, strict=True)) | {chr(0xFF10 + each): str(each) for each in range(10)} | {"Ｘ": "X"}
)
_ODD_DIGITS = {
    code: str(value)
    for code in range(0x80, 0x1FC00)
    if (value := unicodedata.digit(chr(code), None)) is not None and not 0xFF10 <= code <= 0xFF19
}
"""Circled, raised, Arabic and all other digits of Unicode; as code points, for `str.translate`."""

_D = "[0-9０-９]"
_ANY = f"[0-9０-９{_CHINESE}]"
_GAP = r"[\s\-–—_.·•/()（）\u200b-\u200f\ufeff]{0,2}"
"""What people put between the digits of a number."""

_ODD = re.compile("[" + "".join(map(chr, _ODD_DIGITS)) + "]")
_ODD_RUN = re.compile(rf"(?:{_ODD.pattern}|{_D})(?:{_GAP}(?:{_ODD.pattern}|{_D})){{6,}}")
"""As long as a number: shorter ones, such as the ① ② of a list, stay as they are."""

_RUN = re.compile(rf"{_D}(?:[，,、]?{_GAP}{_D}){{6}}")
_WIDE_RUN = re.compile(rf"{_ANY}(?:[，,、]?{_GAP}{_ANY}){{10}}")
"""Texts without such runs hold no numbers: a cheap look before the exact ones."""

_EMAIL = re.compile(r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]+[@＠](?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}")
_ID = re.compile(
    rf"(?<!{_D})(?:{_D}{{17}}[0-9０-９XxＸ]"
    rf"|{_D}{{6}}[\s-]{_D}{{8}}[\s-]{_D}{{3}}[0-9０-９XxＸ]"
    rf"|{_D}{{6}}[\s-]{_D}{{4}}[\s-]{_D}{{4}}[\s-]{_D}{{3}}[0-9０-９XxＸ])(?!{_D})"
)
_OLD_ID = re.compile(rf"(?<!{_D}){_D}{{15}}(?!{_D})")
_WIDE_ID = re.compile(rf"(?<!{_ANY}){_ANY}{{17}}[0-9０-９XxＸ{_CHINESE}](?!{_ANY})")
_CARD = re.compile(rf"(?<!{_D})(?:{_D}{{16,19}}|{_D}{{4}}(?:[\s-]{_D}{{4}}){{3}}(?:[\s-]?{_D}{{1,3}})?)(?!{_D})")
_PREFIX = rf"(?:[+＋]{_GAP}|00)?[8８][6６]{_GAP}|[0０]"
_COMMA = "[，,、]"
_MOBILE = re.compile(
    rf"(?<!{_D})(?:{_PREFIX})?[1１](?:{_GAP}[3-9３-９](?:{_GAP}{_D}){{9}}"
    rf"|[3-9３-９]{_D}{_COMMA}{_D}{{4}}{_COMMA}{_D}{{4}})(?!{_D})"
)
_GLUED = re.compile(rf"(?<!{_D})(?:[1１][3-9３-９]{_D}{{9}}){{2,}}(?!{_D})")
_WIDE_FIRST, _WIDE_SECOND = "[1１一幺壹]", "[3-9３-９三四五六七八九叁肆伍陆柒捌玖]"
_WIDE_MOBILE = re.compile(
    rf"(?<!{_D}){_WIDE_FIRST}(?:{_GAP}{_WIDE_SECOND}(?:{_GAP}{_ANY}){{9}}"
    rf"|{_WIDE_SECOND}{_ANY}{_COMMA}{_ANY}{{4}}{_COMMA}{_ANY}{{4}})(?!{_D})"
)
_LANDLINE = re.compile(
    rf"(?<!{_D})(?:[+＋]?86[\s-]?)?[(（]?[0０]{_D}{{2,3}}[)）]?[\s-]{{0,2}}{_D}{{3,4}}[\s-]?{_D}{{4}}(?:[-转]{_D}{{1,5}})?(?!{_D})"
)
_BARE_LANDLINE = re.compile(rf"(?:电话|座机|固话|号码|联系)[^0-9０-９]{{0,6}}?(?<!{_D})({_D}{{7,8}})(?!{_D})")
_PLATE = re.compile(
    r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼]\s?[A-HJ-NP-Za-hj-np-z]\s?[·•・.-]?\s?"
    r"[A-HJ-NP-Za-hj-np-z0-9]{4,5}[A-HJ-NP-Za-hj-np-z0-9挂学警港澳](?![A-Za-z0-9])"
)
_ACCOUNT = re.compile(
    r"(?:[Qq][Qq]|扣扣|微信|[Vv][Xx]|[Ww]ei[Xx]in|[Ww]e[Cc]hat)(?:[号码账帐群是为加：:]|\s){0,5}"
    r"([A-Za-z][A-Za-z0-9_-]{5,19}|[1-9][0-9]{4,11})(?![A-Za-z0-9_]|\s*元)"
)
_PASSPORT = re.compile(r"(?:护照|通行证)(?:[号码是为：:]|\s){0,5}([A-Za-z]{1,2}[0-9]{7,8})(?![A-Za-z0-9])")
_PLACEHOLDER = re.compile(r"〔(手机|身份证|电话|银行卡|邮箱|车牌|账号|证件)(\d{1,6})〕")
_ID_CUE = re.compile(r"身份证|证件号|身份号")

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"

CUE_REACH = 24
"""Characters before a number in which a cue such as 身份证 still speaks of it."""


def mask(text: str) -> str:
    """Return the text with placeholders; masking it again changes nothing."""
    return Masker().mask(text)


def mask_answer(text: str) -> str:
    """Return a text that goes to the citizen with placeholders; landlines stay, they are those of offices."""
    return Masker().mask_answer(text)


def valid_id(number: str) -> bool:
    """Tell whether 18 characters are a resident identity number: GB 11643's check character (ISO 7064 MOD 11-2)."""
    if len(number) != 18 or not (number[:17].isascii() and number[:17].isdigit()):
        return False
    total = sum(int(digit) * weight for digit, weight in zip(number, _WEIGHTS, strict=False))
    return number[17].upper() == _CHECKS[total % 11]


def valid_card(digits: str) -> bool:
    """Tell whether digits pass the check of ISO/IEC 7812-1 annex B (Luhn), and are not all the same."""
    if len(set(digits)) == 1:
        return False
    odd = sum(int(each) for each in digits[-1::-2])
    even = sum(sum(divmod(2 * int(each), 10)) for each in digits[-2::-2])
    return (odd + even) % 10 == 0


class Masker:
    """Masks several texts of one demand: a number found in two of them has one placeholder."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], str] = {}
        self._used: set[str] = set()

    def mask(self, text: str) -> str:
        """Return the text with placeholders."""
        return self._masked(text, landlines=True)

    def mask_answer(self, text: str) -> str:
        """Return a text for the citizen with placeholders; an answer may name the telephone of an office."""
        return self._masked(text, landlines=False)

    def _masked(self, text: str, *, landlines: bool) -> str:
        # numbers that the text already carries as placeholders are not given twice
        if "〔" in text:
            self._used.update(found.group() for found in _PLACEHOLDER.finditer(text))
        while (masked := self._once(text, landlines=landlines)) != text:
            text = masked  # what stood next to a number may now be seen to be one
        return text

    def _once(self, text: str, *, landlines: bool) -> str:
        if not text.isascii() and _ODD.search(text) is not None:
            text = _ODD_RUN.sub(lambda found: found.group().translate(_ODD_DIGITS), text)
        if "@" in text or "＠" in text:
            text = _EMAIL.sub(self._by("邮箱", str.lower), text)
        if _RUN.search(text) is not None:
            text = _ID.sub(self._id, text)
            text = _CARD.sub(self._card, text)
            text = _GLUED.sub(self._glued, text)
            text = _MOBILE.sub(self._by("手机", _mobile), text)
            if landlines:
                text = _LANDLINE.sub(self._by("电话", _digits), text)
                text = _BARE_LANDLINE.sub(self._named("电话"), text)
            text = _OLD_ID.sub(self._old_id, text)
        if _WIDE_RUN.search(text) is not None:
            text = _WIDE_ID.sub(self._id, text)
            text = _WIDE_MOBILE.sub(self._by("手机", _mobile), text)
        text = _PASSPORT.sub(self._named("证件"), text)
        text = _ACCOUNT.sub(self._named("账号"), text)
        return _PLATE.sub(self._by("车牌", _letters), text)

    def _by(self, kind: str, value: Callable[[str], str]) -> Callable[[re.Match[str]], str]:
        return lambda found: self._placeholder(kind, value(found.group()))

    def _placeholder(self, kind: str, value: str) -> str:
        given = self._known.get((kind, value))
        if given is not None:
            return given
        number = 1 + sum(1 for each, _ in self._known if each == kind)
        while (new := f"〔{kind}{number}〕") in self._used:
            number += 1
        self._known[kind, value] = new
        self._used.add(new)
        return new

    def _id(self, found: re.Match[str]) -> str:
        number = _letters(found.group()).translate(_AS_DIGITS)
        if valid_id(number) or _birth_date(number) or _near_id(found):
            return self._placeholder("身份证", number)
        return found.group()

    def _old_id(self, found: re.Match[str]) -> str:
        return self._placeholder("身份证", _digits(found.group())) if _near_id(found) else found.group()

    def _card(self, found: re.Match[str]) -> str:
        digits = _digits(found.group())
        return self._placeholder("银行卡", digits) if valid_card(digits) else found.group()

    def _glued(self, found: re.Match[str]) -> str:
        digits = _digits(found.group())
        return "".join(self._placeholder("手机", digits[at : at + 11]) for at in range(0, len(digits), 11))

    def _named(self, kind: str) -> Callable[[re.Match[str]], str]:
        """Replace the number of a match, and keep the words that name it."""
        return lambda found: (
            found.group()[: found.start(1) - found.start()] + self._placeholder(kind, _letters(found.group(1)))
        )


def _birth_date(number: str) -> bool:
    """Tell whether a date of birth stands where an identity number has it: a mistyped one is still somebody's."""
    return re.fullmatch(r"[1-8]\d{5}(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])\d{3}[\dX]", number) is not None


def _near_id(found: re.Match[str]) -> bool:
    return _ID_CUE.search(found.string, max(0, found.start() - CUE_REACH), found.start()) is not None


def _digits(number: str) -> str:
    return "".join(each for each in number.translate(_AS_DIGITS) if each.isdigit())


def _mobile(number: str) -> str:
    """Return the eleven digits, without +86 or a leading 0."""
    return _digits(number)[-11:]


def _letters(number: str) -> str:
    return "".join(each for each in number.translate(_AS_DIGITS) if each.isalnum()).upper()
