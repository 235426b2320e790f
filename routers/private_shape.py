"""What a run of Chinese characters looks like: a name, how long it is, and what speaks against it."""

from __future__ import annotations

import re

from routers.private_cues import FOLLOW, NOBODY, TITLES
from routers.private_span import any_of
from routers.private_surnames import COMMON, COMPOUND, GIVEN, RARE, SURNAMES, WORDS

_HAN = "\u3400-\u9fff"

FAINT, WEAK, FAIR, STRONG = range(4)
"""What a cue promises: it is the end of many words; may be before anything; is before a person; before a name."""

FOLLOWER, SIGN = 1, 2
"""What ends a name: a word that often follows names; a sign, a number, a title."""

ENOUGH = 3
"""Strength of the cue and of the end together, less the doubt, from which on it is a name."""

FAMILY = SURNAMES | RARE
POLITE = ("先生", "女士")
TITLE = re.compile(any_of(TITLES))
BARE_TITLE = re.compile(
    rf"(?:{TITLES}|[先女小师老阿大经主书局工婆家伯](?![{_HAN}])|[某氏姓姐哥叔姨爷奶婶嫂总董]|家的|老板|队|校|书记)"
)
"""After a family name alone: 王先生, 李某."""

_SIGN_WORD = re.compile(
    any_of("说|称|表示|反映|来电|致电|电话|手机|联系|身份证|证件|座机|家属|住|家住|微信|银行卡|卡号|先生|女士")
    + rf"|[男女](?![{_HAN}])"
)
"""Words that end a name as surely as a sign."""

_RUN = re.compile(rf"[{_HAN}]{{1,10}}")
NEVER = frozenset("的了吗呢吧啊呀哦么这哪谁它我你您他她们啥咋很什怎哟嘛咯")
"""Characters that stand in no given name."""

NICK = frozenset("老小阿大")

PLACE_END = frozenset("村镇乡街路区县市省园苑城院校局所部科处厂店馆站社会委办室班层楼栋号组期队庄屯湾港桥坝湖")


def length_of(run: str, given_at: int, strength: int) -> int | None:
    """Return how many characters of a run are the name, by what ends it."""
    lengths = [length for length in (given_at + 2, given_at + 1) if length <= len(run)]
    ends = {length: _end(run, length) for length in lengths}
    doubt = doubt_about(run, given_at)
    whole = strength == STRONG and len(run) in ends and NEVER.isdisjoint(run) and NOBODY.search(run) is None
    if whole and not (run[0] in RARE and likeness(run[given_at:]) < 0) and run[0] not in NICK:
        return len(run)  # 姓名方便，电话...: whatever it is, it is the name
    for wanted in (SIGN, FOLLOWER):
        for length in lengths:
            given = run[given_at:length]
            if ends[length] < wanted or not NEVER.isdisjoint(given) or NOBODY.search(run, 0, length) is not None:
                continue
            if wanted == FOLLOWER and run[length - 1] in PLACE_END:
                continue
            liked = likeness(given)
            # 项目明, 向前进: one that goes on like a name outweighs half the doubt
            kept = (
                1 < doubt < 4
                and len(given) > 1
                and (liked > 0 or (wanted == SIGN and doubt < 4 and run[0] not in RARE and given[-1] in GIVEN))
            )
            if strength + wanted + liked - doubt + kept >= ENOUGH:
                return length
    given = run[given_at : given_at + 2]
    sound = len(given) == 2 and NEVER.isdisjoint(given) and NOBODY.search(run, given_at, given_at + 3) is None
    if sound and PLACE_END.isdisjoint(run[given_at + 1 : given_at + 3]):
        liked = likeness(given)
        if strength + liked - doubt + (1 < doubt < 4 and liked > 0) >= ENOUGH:
            return given_at + 2
    return None


def likeness(given: str) -> int:
    """Return how much a given name looks like one."""
    known = sum(each in GIVEN for each in given)
    if known == len(given):
        return 1 if len(given) > 1 else 0
    return 0 if known else -2


def doubt_about(run: str, given_at: int) -> int:
    """Return how much speaks against a name: it begins like a word, or with a family name that is mostly a word."""
    if given_at == 2:
        return -1
    return 2 * (run[:2] in COMMON) + (run[0] in WORDS) + 2 * (run[0] in RARE)


def _end(run: str, length: int) -> int:
    if length == len(run) or TITLE.match(run, length) is not None or _SIGN_WORD.match(run, length) is not None:
        return SIGN
    return FOLLOWER if FOLLOW.match(run, length) is not None else 0


def is_han(text: str, at: int) -> bool:
    """Tell whether a Chinese character stands there; nothing stands outside a text."""
    return 0 <= at < len(text) and "\u3400" <= text[at] <= "\u9fff"


def may_stand(run: str) -> bool:
    """Tell whether what stands behind 姓名 and before a sign may be a name though it begins with no family name."""
    sound = 2 <= len(run) <= 3 and NEVER.isdisjoint(run) and NOBODY.search(run) is None
    return sound and GIVEN.issuperset(run[1:]) and run[0] not in NICK


def run_at(text: str, at: int) -> str:
    """Return the Chinese characters from there on, as many as matter."""
    found = _RUN.match(text, at)
    return found.group() if found is not None else ""


def may_be_given(name: str) -> bool:
    """Tell whether characters before a title may be a given name: 李某先生 has none."""
    return all("\u3400" <= each <= "\u9fff" for each in name) and NEVER.isdisjoint(name) and name[0] not in "某姓氏"


def is_whole(run: str) -> bool:
    """Tell whether a run of characters is a name and nothing else."""
    if run[:2] in COMPOUND:
        return len(run) in {3, 4}
    liked = len(run) == 3 and GIVEN.issuperset(run[1:])
    plain = run[0] in SURNAMES and len(run) in {2, 3} and (run[0] not in WORDS or GIVEN.issuperset(run[1:]))
    plain = (plain or (liked and run[0] in FAMILY)) and (run[:2] not in COMMON)
    return plain and NEVER.isdisjoint(run) and BARE_TITLE.match(run, 1) is None and NOBODY.search(run) is None


def is_close(run: str) -> bool:
    """Tell whether the three characters right before a number are a name, whatever stands before them."""
    return run[0] in FAMILY and run[:2] not in COMMON and GIVEN.issuperset(run[1:])
