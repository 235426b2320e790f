"""Names of persons, after what announces a name (姓名, 联系人, 户主...), before a title, or beside a number.

A family name begins it, and something must end it: a sign, a title, a number, or a word that follows names.
How much is asked depends on the cue. A family name with a title alone (王先生) names nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from routers.private_cues import (
    BEFORE_ANYTHING,
    BEFORE_NAMES,
    BEFORE_PERSONS,
    ENDINGS,
    FOLLOW,
    SYLLABLES,
    TIBETAN,
)
from routers.private_shape import (
    BARE_TITLE,
    FAINT,
    FAIR,
    FAMILY,
    PLACE_END,
    POLITE,
    STRONG,
    TITLE,
    WEAK,
    doubt_about,
    is_close,
    is_han,
    is_whole,
    length_of,
    likeness,
    may_be_given,
    may_stand,
    run_at,
)
from routers.private_span import Kind, Sheet, Span, any_of, take
from routers.private_surnames import COMMON, COMPOUND, GIVEN, RARE, SURNAMES, WORDS

_HAN = "\u3400-\u9fff"

_ANYBODY = frozenset(
    "给有别个客人外路行某家无没让害吓烦气伤坑咬雇请派叫多两几些好坏男女老年本当地工的名任吵为令等大活死生熟"
)
"""Before 人 in words that announce nobody; all other words with it do: 申诉人, 代办人."""

_JOIN = (
    r"(?:[\s|/=、]?(?:的?姓名|的?名字|本人|全名|是个叫|名叫|叫做|叫|写的是|写着|写|登记为|是|为|系|[:：]"
    r"|[（(“\"《【、|/=\s]))"
)
_CUES = f"{ENDINGS}|{BEFORE_ANYTHING}|{BEFORE_PERSONS}|{BEFORE_NAMES}"
_CUE = re.compile(rf"({any_of(_CUES)})({_JOIN}{{0,4}})(?=[{_HAN}])")
_STRENGTH = {
    cue: strength
    for cues, strength in ((ENDINGS, FAINT), (BEFORE_ANYTHING, WEAK), (BEFORE_PERSONS, FAIR), (BEFORE_NAMES, STRONG))
    for cue in cues.split("|")
}
_POINTS = re.compile(r"[:：叫|=]|姓名|名字|全名")
"""What makes a role into an announcement: 司机：, 医生叫."""

_TRANSCRIBED = re.compile(rf"([{_HAN}]{{2,7}})[·•・‧]([{_HAN}]{{2,8}})")
_DOT = re.compile("[·•・‧]")
_BESIDE = re.compile(
    rf"(?:^|[^{_HAN}])([{_HAN}]{{2,4}})[\s，,：:（(、]{{0,2}}"
    r"(?:电话|手机|身份证|号码|证号|证件号?码?|微信|卡号)?(?:号码?)?[\s：:]{0,2}$"
)
_CLOSE = re.compile(rf"([{_HAN}]{{3}})[\s：:（(]{{0,2}}$")
_AFTER = re.compile(rf"[\s，,、（(]{{0,2}}([{_HAN}]{{2,4}})(?=[\s，,。；;、）)]|$)")
_SEX = re.compile(rf"(?:^|[^{_HAN}])([{_HAN}]{{2,4}})[\s，,、（(]{{1,2}}(?:男|女)(?![{_HAN}])")
_ALONE = re.compile(rf"(?<![{_HAN}A-Za-z0-9])([{_HAN}]{{3}})(?![{_HAN}])")
_COMPOUND = re.compile(
    any_of(
        "欧阳|上官|司马|诸葛|尉迟|皇甫|慕容|令狐|司徒|夏侯|闻人|宇文|轩辕|南宫|独孤|端木|公孙|申屠|鲜于|呼延|赫连|澹台|濮阳"
        "|淳于|钟离|长孙"
    )
    + rf"[{_HAN}]{{1,2}}"
)
"""Family names that nothing else begins with: they need no cue."""

_NEIGHBOURS = frozenset(Kind) - {Kind.NAME, Kind.ADDRESS, Kind.PLATE, Kind.EMAIL}


def mark_names(sheet: Sheet) -> None:
    """Mark the names of persons on a sheet on which the numbers are marked."""
    text = sheet.text
    found: list[tuple[int, int]] = []
    for finder in (_foreign, _announced, _titled, _standing):
        found += finder(text)
    if sheet.spans:
        found += _beside(sheet)
    if "男" in text or "女" in text:
        found += _with_sex(text)
    if found:
        sheet.mark([Span(start, end, Kind.NAME, text[start:end]) for start, end in _all_of(text, found)])


def _all_of(text: str, found: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return starts and ends without overlaps, the earlier found first, and the other places of those names."""
    taken = bytearray(len(text))
    kept = [each for each in found if take(taken, *each)]
    for name in dict.fromkeys(text[start:end] for start, end in kept):
        if name[:2] not in COMMON and (len(name) > 2 or (name[0] in SURNAMES and name[0] not in WORDS)):
            at = text.find(name)
            while at >= 0:
                if take(taken, at, at + len(name)):
                    kept.append((at, at + len(name)))
                at = text.find(name, at + len(name))
    return kept


# ---- after a cue -------------------------------------------------------------------------------------


def _announced(text: str) -> Iterator[tuple[int, int]]:
    dotted = _DOT.search(text) is not None
    for cue in _CUE.finditer(text):
        word, join = cue.groups()
        at = cue.end()
        strength = _STRENGTH[word]
        if strength < STRONG and text[at] not in FAMILY and not dotted:
            continue
        if _raised(word, text[cue.start() - 1 : cue.start()]):
            strength = FAIR
        points = join != "" and _POINTS.search(join) is not None
        freely = strength == STRONG and (points or word[-1] == "叫")
        end = _name_at(text, at, min(STRONG, strength + points), freely=freely)
        if end:
            yield at, end


def _raised(word: str, before: str) -> bool:
    """Tell whether the end of a word is a fair cue, by the character before it: 申诉人, 收费员."""
    if word == "人":
        return before not in _ANYBODY
    return word == "员" or (word == "叫" and not "\u3400" <= before <= "\u9fff")


def _name_at(text: str, at: int, strength: int, *, freely: bool) -> int | None:
    """Return the end of the name that begins there, or None.

    Args:
        text: with what was found before blanked out.
        at: behind the cue.
        strength: of the cue.
        freely: the cue leaves nothing but a name, so that it need not begin with a family name.
    """
    run = run_at(text, at)
    dotted = _TRANSCRIBED.match(text, at)
    if dotted is not None:
        return _end_of_dotted(text, dotted)
    compound = run[:2] in COMPOUND
    given_at = 2 if compound else 1
    if len(run) <= given_at or (not compound and run[0] not in SURNAMES and run[0] not in RARE):
        return at + len(run) if freely and may_stand(run) else None
    if BARE_TITLE.match(run, given_at) is not None:
        return None
    length = length_of(run, given_at, strength)
    if length is None:
        return None
    name = run[:length]
    if strength < STRONG and name[-1] in PLACE_END:
        return None
    return at + length


# ---- before a title ------------------------------------------------------------------------------------


def _titled(text: str) -> Iterator[tuple[int, int]]:
    for title in TITLE.finditer(text):
        start = _start_before(text, title.start())
        if start is not None:
            yield start, title.start()


def _start_before(text: str, end: int) -> int | None:
    """Return where the name begins that ends there, or None."""
    for length in (4, 3):
        if (
            end >= length
            and text[end - length : end - length + 2] in COMPOUND
            and may_be_given(text[end - length + 2 : end])
        ):
            return end - length
    for length in (3, 2):
        name = text[max(0, end - length) : end]
        if len(name) < length or name[0] not in FAMILY or not may_be_given(name[1:]) or name[-1] in PLACE_END:
            continue
        before = text[end - length - 1 : end - length]
        clear = before == "的" or not is_han(text, end - length - 1)
        # the family name may be the last of these: 楼下张阿姨, 和王先生
        later = name[-1] in SURNAMES and name[-1] not in GIVEN
        across = not clear and before + name[0] in COMMON
        polite = text.startswith(POLITE, end) and (clear or GIVEN.issuperset(name[1:]))
        liked = likeness(name[1:]) + clear + polite
        if polite and name[-1] in GIVEN:
            liked += 1
        if not later and not across and liked - doubt_about(name, 1) >= (1 if length == 3 else 0):
            return end - length
    return None


# ---- beside a number, and from other languages ---------------------------------------------------------


def _beside(sheet: Sheet) -> Iterator[tuple[int, int]]:
    """Yield names that stand alone before or behind the number of a person, as in a list."""
    text = sheet.text
    for span in sheet.spans:
        if span.kind in _NEIGHBOURS:
            at = max(0, span.start - 14)
            before = _BESIDE.search(text[at : span.start])
            close = _CLOSE.search(text[at : span.start])
            if before is not None and is_whole(before[1]):
                yield at + before.start(1), at + before.end(1)
            elif close is not None and is_close(close[1]):
                yield at + close.start(1), at + close.end(1)
            behind = _AFTER.match(text, span.end)
            if behind is not None and is_whole(behind[1]) and GIVEN.issuperset(behind[1][1:]):
                yield behind.span(1)


def _with_sex(text: str) -> Iterator[tuple[int, int]]:
    """Yield names of lists that tell the sex behind: 戴学良，男."""
    for found in _SEX.finditer(text):
        if is_whole(found[1]):
            yield found.span(1)


def _standing(text: str) -> Iterator[tuple[int, int]]:
    """Yield names that stand alone between two signs, and such as begin with an unmistakable family name."""
    for found in _ALONE.finditer(text):
        run = found[1]
        if (
            run[0] in SURNAMES
            and run[0] not in WORDS
            and run[2] not in PLACE_END
            and is_whole(run)
            and GIVEN.issuperset(run[1:])
        ):
            yield found.span(1)
    for found in _COMPOUND.finditer(text):
        run = run_at(text, found.start())
        length = length_of(run, 2, FAINT) or (3 if run[2] in GIVEN else None)
        if length is not None and BARE_TITLE.match(run, 2) is None:
            yield found.start(), found.start() + length


def _foreign(text: str) -> Iterator[tuple[int, int]]:
    """Yield names of other languages: 古丽娜尔·艾山, 多杰才让."""
    for found in _TRANSCRIBED.finditer(text) if _DOT.search(text) is not None else ():
        first = found[1]
        while first and first[0] not in SYLLABLES:
            first = first[1:]
        known = sum(each in SYLLABLES for each in first)
        if len(first) > 1 and (3 * known >= 2 * len(first) or (found[2][0] in SYLLABLES and 2 * known >= len(first))):
            yield found.end(1) - len(first), _end_of_dotted(text, found)
    for found in TIBETAN.finditer(text):
        yield found.span()


def _end_of_dotted(text: str, found: re.Match[str]) -> int:
    """Return where the second part of a dotted name ends: before a word that follows names."""
    start, end = found.span(2)
    for at in range(start + 2, end):
        if FOLLOW.match(text, at) is not None:
            return at
    return end
