"""Numbers, addresses on the net and number plates that reach or name a person, as people write them.

Blanks or dashes between the digits, full width, circles (①③⑧), Chinese digits (一三八...) and mixtures are read.
Every pattern is linear: what may repeat is bounded, so that no text holds up a worker.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from routers.private_checks import birth_date, valid_card, valid_credit_code, valid_id
from routers.private_span import Kind, Sheet, Span

_CHINESE = "〇零一二三四五六七八九幺壹贰叁肆伍陆柒捌玖两"
_VALUES = "0012345678911234567892"
_AS_DIGITS = str.maketrans(_CHINESE, _VALUES)

_HALF_WIDTH = {0xFF01 + each: 0x21 + each for each in range(0x5E) if chr(0x21 + each).isalnum()} | {
    ord(wide): narrow for wide, narrow in zip("＠＋－．＿＃", "@+-._#", strict=True)
}
_WIDE = re.compile("[０-９Ａ-Ｚａ-ｚ＠＋－．＿＃]")

_ODD_DIGITS = {
    code: str(value)
    for code in range(0x80, 0x1FC00)
    if (value := unicodedata.digit(chr(code), None)) is not None and not 0xFF10 <= code <= 0xFF19
}
"""Circled, raised, Arabic and all other digits of Unicode; as code points, for `str.translate`."""

_MAYBE_ODD = re.compile("[\u00b2-\u00b9\u0660-\u1fff\u2070-\u24ff\u2776-\u2793\ua620-\uabff\U00010000-\U0001fc00]")
"""Where these are: few ranges, since a set of them all is searched a hundred times slower."""

_GAP = r"[\s\-–—_.·•/()（）\u200b-\u200f\ufeff]{0,3}"
"""What people put between the digits of a number."""

_ODD_RUN = re.compile(rf"(?:{_MAYBE_ODD.pattern}|[0-9])(?:{_GAP}(?:{_MAYBE_ODD.pattern}|[0-9])){{6,}}")
"""As long as a number: shorter ones, such as the ① ② of a list, stay as they are."""

_D = "[0-9]"
_ANY = f"[0-9{_CHINESE}]"
_COMMA = "[，,、]"
_RUN = re.compile(rf"{_D}(?:{_COMMA}?{_GAP}{_D}){{6}}")
_WIDE_RUN = re.compile(rf"{_ANY}(?:{_COMMA}?{_GAP}{_ANY}){{6}}")
"""Texts without such runs hold no numbers: a cheap look before the exact ones."""

_EMAIL = re.compile(r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,5}[A-Za-z]{2,}")
_CODE = re.compile(r"(?<![A-Za-z0-9])[0-9A-Ya-y]{18}(?![A-Za-z0-9])")
_CARD_IN_CODE = re.compile(f"{_D}{{16,18}}")
_SERVICE = re.compile(rf"(?<![\d-])[48]00(?:[-—\s]?{_D}{{3,4}}){{2}}(?![\d-])")
"""400 and 800 numbers: whoever they belong to wants to be called."""

_ID = re.compile(rf"(?<!{_D}){_D}(?:{_GAP}{_D}){{16}}{_GAP}[0-9Xx](?!{_D})")
_WIDE_ID = re.compile(rf"(?<!{_ANY}){_ANY}(?:{_GAP}{_ANY}){{16}}{_GAP}[Xx{_CHINESE}0-9](?!{_ANY})")
_NEAR_ID = re.compile(rf"(?<!{_D}){_D}(?:[\s-]?{_D}){{13,17}}[\s-]?[0-9Xx](?![0-9A-Za-z])")
_ID_CUE = re.compile(r"身份证|身份号|证件号|居民证")
_CARD = re.compile(rf"(?<![\d.]){_D}(?:[\s\-.]?{_D}){{15,18}}(?![\s-]?{_D})")
_WIDE_CARD = re.compile(rf"(?<!{_ANY}){_ANY}(?:[\s-]?{_ANY}){{15,18}}(?!{_ANY})")
_CARD_CUE = re.compile(
    r"(?<![水电气饭卡员])(?:银行|储蓄|信用|工资|医保|社保)卡|(?<![水电气饭交员])卡号|账号|帐号|账户|帐户"
)

_PREFIX = rf"(?:[(（]?[+＋]{_GAP}|00)?86{_GAP}|0"
_MOBILE = re.compile(
    rf"(?<!{_D})(?:{_PREFIX})?1(?:{_GAP}[3-9](?:{_GAP}{_D}){{9}}|[3-9]{_D}{_COMMA}{_D}{{4}}{_COMMA}{_D}{{4}})(?!{_D})"
)
_GLUED = re.compile(rf"(?<!{_D})(?:1[3-9]{_D}{{9}}){{2,}}(?!{_D})")
_WIDE_SECOND = "[3-9三四五六七八九叁肆伍陆柒捌玖]"
_WIDE_MOBILE = re.compile(
    rf"(?<!{_D})[1一幺壹](?:{_GAP}{_WIDE_SECOND}(?:{_GAP}{_ANY}){{9}}"
    rf"|{_WIDE_SECOND}{_ANY}{_COMMA}{_ANY}{{4}}{_COMMA}{_ANY}{{4}})(?!{_D})"
)

_EXTENSION = r"(?:\s?(?:转|[-—]|分机)\s?(?:分机)?[:：]?\d{1,5})?"
_LANDLINE = re.compile(
    rf"(?<![\d.])(?<!代码)(?<!单号)(?<!编号)(?:(?:[+＋]|00)?86[\s-]?[(（]?0?[1-9]{_D}{{1,2}}|[(（]?0[1-9]{_D}{{1,2}})"
    rf"[)）]?[\s\-—]{{0,2}}{_D}{{3,4}}[\s\-—]?{_D}{{4}}(?!{_D}){_EXTENSION}(?!{_D})"
)
_LOCAL = rf"[2-9]{_D}{{2,3}}[\s\-—]?{_D}{{4}}(?!{_D}|\s?[元块度吨年方公千米万]|\.\d){_EXTENSION}(?!{_D})"
_LOCAL_CUE = (
    r"(?:电话|座机|固话|(?<![据票单车牌证照户型编批箱件])号码|联系|热线|传真|值班室|办公室|[电座]机|打|拨|致电|电联)"
    r"[^0-9，。；！？\n]{0,8}(?:[：:，,]\s?)?"
)
_BARE_LANDLINE = re.compile(rf"{_LOCAL_CUE}(?<![\d\-.])({_LOCAL})")
_NEXT_LANDLINE = re.compile(rf"\ue000\s?[、/和或跟及,，]\s?({_LOCAL})")
_WIDE_LANDLINE = re.compile(
    rf"(?:(?<!{_ANY})(?=[0-9\s-]{{0,12}}[{_CHINESE}])[0零〇][1-9一二三四五六七八九幺]{_ANY}{{1,2}}[\s\-—]?{_ANY}{{7,8}}"
    rf"|(?:电话|座机|固话|号码)[^0-9，。；！？\n]{{0,4}}?[：:]?(?<!{_ANY})([二三四五六七八九2-9](?=[0-9]{{0,7}}[{_CHINESE}]){_ANY}{{6,7}}))(?!{_ANY}|[元块楼])"
)
_DATE = re.compile(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])")

_PLATE = re.compile(
    r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼使领]\s?[A-HJ-NP-Za-hj-np-z]\s?[·•・.\-—]?\s?"
    r"(?=[A-Za-z\s·-]{0,8}[0-9])[A-HJ-NP-Za-hj-np-z0-9](?:[\s·.-]?[A-HJ-NP-Za-hj-np-z0-9]){3,4}"
    r"[A-HJ-NP-Za-hj-np-z0-9挂学警港澳领](?![A-Za-z0-9])"
)
_BARE_PLATE = re.compile(
    r"(?:车牌号?码?|车号|牌号)[是为：:\s]{0,3}([A-HJ-NP-Za-hj-np-z]\s?[·•・.-]?\s?(?=[A-Za-z]{0,5}\d)[A-Za-z0-9]{5,6})(?![A-Za-z0-9])"
)
_ACCOUNT = re.compile(
    r"(?:(?<![A-Za-z])(?:[Qq][Qq]|[Vv][Xx信]|[Ww][Xx]|[Ww]ei[Xx]in|[Ww]e[Cc]hat|[Aa]lipay)|扣扣|企鹅|[微威薇][信Xx]|支付宝)"
    r"((?:号码|账号|帐号|账户|帐户|收款|同号|昵称|加我|[搜扫号群名是为叫加的都在和、：:，,（(“\"\s]|ID|id){0,6})"
    rf"([A-Za-z][A-Za-z0-9_.-]{{4,29}}|[1-9]{_D}{{4,11}}|(?<!{_ANY}){_ANY}{{5,11}})"
    r"(?![A-Za-z0-9_]|\s*[元块万人个笔步年月分天岁群楼])"
)
_ACCOUNT_LOOKS = re.compile("[QqVvWwAa扣企微威薇支][QqXxEeLl信鹅扣付]")
_SAID_ACCOUNT = re.compile(r"[号名是为：:户]|ID|id")
_PERMIT = re.compile(
    rf"(?<![A-Za-z0-9])(?:[A-Za-z]{{1,2}}\s?{_D}(?:\s?{_D}){{5,9}}[A-Za-z]?|{_D}{{8}}(?:{_D}{{2}})?)(?![A-Za-z0-9])"
)
_PERMIT_CUE = re.compile(r"护照|通行证|台胞证|回乡证|签注|居住证")
_PERMIT_OF_DIGITS = re.compile(r"(?:台胞证|通行证|回乡证|居住证|护照)[^0-9。；！？\n]{0,8}$")

_CUE_REACH = 24
"""Characters before a number in which a cue such as 身份证 still speaks of it."""

_PERMIT_REACH = 40


def same_width(text: str) -> str:
    """Return a text of the same length with plain digits and letters for the wide, circled and raised ones."""
    if text.isascii():
        return text
    if _WIDE.search(text) is not None:
        text = text.translate(_HALF_WIDTH)
    if _MAYBE_ODD.search(text) is not None:
        text = _ODD_RUN.sub(_even, text)
    return text


def _even(found: re.Match[str]) -> str:
    """Translate a run of odd digits; one or two at the end of a plain number are the marks of a list."""
    run = found.group()
    return run.translate(_ODD_DIGITS) if len(_MAYBE_ODD.findall(run)) > 3 else run


def mark_numbers(sheet: Sheet) -> None:
    """Mark all that is found on a sheet of `same_width` text."""
    text = sheet.text
    if "@" in text:
        sheet.take(_EMAIL, Kind.EMAIL, lambda found: found.group().lower())
    _permits(sheet)
    sheet.take(_PLATE, Kind.PLATE, lambda found: _letters(found.group()))
    sheet.take(_BARE_PLATE, Kind.PLATE, lambda found: _letters(found.group(1)))
    if _RUN.search(text) is not None:
        _plain(sheet)
    if _WIDE_RUN.search(text) is not None:
        sheet.take(_WIDE_ID, Kind.ID, _id)
        sheet.take(_WIDE_CARD, Kind.BANK_CARD, _card)
        sheet.take(_WIDE_MOBILE, Kind.MOBILE, _mobile)
        _wide_landlines(sheet)
    _accounts(sheet)


def _plain(sheet: Sheet) -> None:
    """Mark numbers in plain digits."""
    sheet.take(_CODE, None, _credit_code)
    sheet.take(_ID, Kind.ID, _id)
    sheet.take(_CARD, Kind.BANK_CARD, _card)
    sheet.take(_SERVICE, None, _service)
    _glued(sheet)
    sheet.take(_MOBILE, Kind.MOBILE, _mobile)
    sheet.take(_LANDLINE, Kind.LANDLINE, lambda found: _digits(found.group()))
    sheet.take(_BARE_LANDLINE, Kind.LANDLINE, _local)
    sheet.take(_NEXT_LANDLINE, Kind.LANDLINE, _next_local(sheet))
    sheet.take(_NEAR_ID, Kind.ID, lambda found: _letters(found.group()) if _near(_ID_CUE, found, _CUE_REACH) else None)


def _near(cue: re.Pattern[str], found: re.Match[str], reach: int) -> bool:
    return cue.search(found.string, max(0, found.start() - reach), found.start()) is not None


def _credit_code(found: re.Match[str]) -> str | None:
    code = found.group().upper()
    # In doubt it is a card's number, perhaps with a letter before or behind it, for that is a person's.
    unclear = birth_date(code) or any(map(valid_card, _CARD_IN_CODE.findall(code)))
    return code if valid_credit_code(code) and not unclear else None


def _service(found: re.Match[str]) -> str | None:
    return found.group() if len(_digits(found.group())) == 10 else None


def _id(found: re.Match[str]) -> str | None:
    number = _letters(found.group())
    if len(number) != 18:
        return None
    # a mistyped one is still somebody's
    if birth_date(number) or _near(_ID_CUE, found, 8):
        return number
    return number if valid_id(number) and not valid_card(number) else None


def _card(found: re.Match[str]) -> str | None:
    digits = _digits(found.group())
    near = _near(_CARD_CUE, found, 12)
    if near and digits[0] != "0" and not (len(digits) == 18 and _near(_ID_CUE, found, 8)):
        return digits  # a mistyped one is still somebody's
    return digits if digits[0] in "34569" and valid_card(digits) else None


def _glued(sheet: Sheet) -> None:
    """Mark mobile numbers that follow each other without anything between."""
    spans = []
    for found in _GLUED.finditer(sheet.text):
        starts = range(found.start(), found.end(), 11)
        spans += [Span(at, at + 11, Kind.MOBILE, sheet.text[at : at + 11]) for at in starts]
    sheet.mark(spans)


def _mobile(found: re.Match[str]) -> str:
    """Return the eleven digits, without +86 or a leading 0."""
    return _digits(found.group())[-11:]


def _local(found: re.Match[str]) -> str | None:
    digits = _digits(found.group(1))
    direct = not found.group()[: found.start(1) - found.start()].startswith(("打", "拨", "联系"))
    return None if _DATE.fullmatch(digits) and not direct else digits


def _next_local(sheet: Sheet) -> Callable[[re.Match[str]], str | None]:
    ends = {span.end for span in sheet.spans if span.kind in {Kind.LANDLINE, Kind.MOBILE}}
    return lambda found: _digits(found.group(1)) if found.start() + 1 in ends else None


def _wide_landlines(sheet: Sheet) -> None:
    spans = []
    for found in _WIDE_LANDLINE.finditer(sheet.text):
        start, end = found.span(1 if found.group(1) else 0)
        spans.append(Span(start, end, Kind.LANDLINE, _digits(sheet.text[start:end])))
    sheet.mark(spans)


def _accounts(sheet: Sheet) -> None:
    if _ACCOUNT_LOOKS.search(sheet.text) is None:
        return
    spans = []
    for found in _ACCOUNT.finditer(sheet.text):
        between, name = found.groups()
        word = name.isascii() and name.isalpha()
        if word and not _SAID_ACCOUNT.search(between):
            continue  # 微信Android版
        spans.append(Span(*found.span(2), Kind.ACCOUNT, _letters(name)))
    sheet.mark(spans)


def _permits(sheet: Sheet) -> None:
    """Mark passports and permits: they carry no check, so what names them must stand before."""
    if _PERMIT_CUE.search(sheet.text) is None:
        return
    spans = []
    for found in _PERMIT.finditer(sheet.text):
        number = found.group()
        if number[0].isdigit():
            named = _PERMIT_OF_DIGITS.search(sheet.text, max(0, found.start() - 14), found.start()) is not None
        else:
            named = _near(_PERMIT_CUE, found, _PERMIT_REACH)
        if named:
            spans.append(Span(*found.span(), Kind.PASSPORT, _letters(number)))
    sheet.mark(spans)


def _digits(number: str) -> str:
    return "".join(each for each in number.translate(_AS_DIGITS) if each.isdigit())


def _letters(number: str) -> str:
    return "".join(each for each in number.translate(_AS_DIGITS) if each.isalnum()).upper()
