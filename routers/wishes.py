"""Several wishes in one text (一事多诉): where one ends and the next begins.

A text is read clause by clause, and the clauses are shared out among categories so that what they say
for them is most, less a price for each change of subject (Viterbi's algorithm); a new number or a new
sentence makes a change cheaper, and a clause that speaks for nothing belongs to no part. Citizens also
say how many matters they have, or that they have but one, and a long story touches much and wants one
thing: these weigh too. Only people split a case, so this proposes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from routers.phrases import plain

Floats = npt.NDArray[np.float32]

LEAST_CLAUSES = 4
"""Two wishes are hardly said in fewer; short texts, which are most, are not looked at."""

MOST_CLAUSES = 80
"""What stands behind is not read: a text of more is read by people anyway."""

MOST_PARTS = 8
"""Parts proposed at most, the first of the text."""

_CHANGE, _NUMBERED, _SENTENCE = 3.0, 0.5, 0.85
"""Price of a change of subject in nats; the share of it at a new number, and at a new sentence."""

_NOTHING = 0.5
"""What a clause must say for a category, in nats beyond chance, to belong to a part."""

_HEARD = 3.0
"""What a part must say for its category, in nats, to be proposed."""

_GAIN, _SECOND, _NUMBERS, _MANY, _ONE, _LONG, _LEAST = 0.55, 0.25, 0.4, 1.3, 0.9, 0.7, 1.4
"""How much each sign weighs; fitted by logistic regression on half of the texts that `tests.wishes` measures with."""

_CLAUSE = re.compile(r"[^，。；;！？!?,\n…]+[，。；;！？!?,\n…]*")
_ENDS_SENTENCE = "。；;！？!?\n"
_NUMBER = re.compile(
    r"(?:^|(?<=[，。；;：:、\s“]))(?:[一二三四五六]是|[一二三四五六]、|第[一二三四五六](?!次|天|年|个月|名|人|回|张|期|批)"
    r"|[(（]?[1-6][)）、．.](?!\d)|[①-⑥]|首先|其次|再次|再者|再有|再就是|再一[个件]|最后|另外|此外|还有|还[想要]|顺[便带]"
    r"|另一[件个样桩]|另有|接着|也请|同时|头一[件个桩]|其[一二三四])"
)
_SAYS_MANY = re.compile(
    r"[两二三四五几俩仨]\s*(?:个|件|点|样|桩|条|项|处)(?:小?(?:问题|事|请求|诉求|建议|意见|想法|情况|咨询|麻烦)|烦心|都|一起)"
    r"|分别|分头|各[自管办]|逐[条一项]|一并|一起|每样|一样一样|一桩桩|同时处理|都[管处]|(?:问题|事|事情)(?:多|太多|一大堆)"
)
_SAYS_ONE = re.compile(
    r"只(?:有一|[想求要说问盼谈请为]|希望|反映)|唯独|唯一|不[谈提]|不说了|就[说问这]一|另外一回事"
    r"|一个(?:请求|诉求|要求|愿望|问题|心愿)|一件事|其余|其他的?[都不]|别的|不追究|不是[要来为]|不想"
)


class Wish(NamedTuple):
    """One wish of a text: where it stands, in characters, and the category its words speak for."""

    start: int
    end: int
    category: str


class Evidence(NamedTuple):
    """What clauses say for categories."""

    categories: Sequence[str]
    nats: Floats
    """Clauses x categories: log of how much likelier than by chance."""


def wishes(text: str, read: Callable[[Sequence[str]], Evidence]) -> tuple[Wish, ...]:
    """Return the wishes of a text in their order, without overlap; none where there is one, or none is clear.

    Args:
        text: masked; placeholders are words like others.
        read: what clauses say for categories.
    """
    clauses = [match.span() for match in _CLAUSE.finditer(text)][:MOST_CLAUSES]
    if len(clauses) < LEAST_CLAUSES:
        return ()
    shown = plain(text)
    categories, nats = read([text[start:end] for start, end in clauses])
    prices = np.array([_price(shown, start, end) for start, end in clauses]) * _CHANGE
    path, total = _shared_out(nats, prices)
    chosen = set(path.tolist()) - {len(categories)}
    said = {each: float((nats[path == each, each] - _NOTHING).sum()) for each in chosen}
    path = np.where(np.isin(path, [each for each in chosen if said[each] >= _HEARD]), path, len(categories))
    found = tuple(_parts(path, clauses, text, categories))[:MOST_PARTS]
    if len({wish.category for wish in found}) < 2:
        return ()
    gain = total - (float(np.maximum(nats, _NOTHING).sum(axis=0).max()) - _CHANGE)
    weight = (
        _GAIN * gain
        + _SECOND * sorted(said.values())[-2]
        + _NUMBERS * min(4, int((prices == _CHANGE * _NUMBERED).sum()))
        + _MANY * min(2, len(_SAYS_MANY.findall(shown)))
        - _ONE * min(3, len(_SAYS_ONE.findall(shown)))
        - _LONG * len(text) / 100
    )
    return found if weight > _LEAST else ()


def says_several(text: str) -> bool:
    """Tell whether a text numbers its matters or says that there are several: cheap, and of itself no proof."""
    shown = plain(text)
    return bool(_SAYS_MANY.search(shown) or _NUMBER.search(shown))


def _price(shown: str, start: int, end: int) -> float:
    """Return the share of the full price that a change of subject costs at a clause."""
    if _NUMBER.match(shown, start, end):
        return _NUMBERED
    return _SENTENCE if start and shown[start - 1] in _ENDS_SENTENCE else 1.0


def _shared_out(nats: Floats, prices: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.int64], float]:
    """Give each clause to the category for which all of them together say most; the last column is no category."""
    count, categories = nats.shape
    every = np.concatenate((nats, np.full((count, 1), _NOTHING, np.float32)), axis=1)
    best = np.append(every[0, :-1] - _CHANGE, _NOTHING)
    came_from = np.zeros((count, categories + 1), np.int64)
    stay = np.arange(categories + 1)
    for at in range(1, count):
        leader = int(best.argmax())
        changed = np.full(categories + 1, best[leader] - prices[at])
        changed[-1] = best[leader]
        stays = best >= changed
        came_from[at] = np.where(stays, stay, leader)
        best = np.where(stays, best, changed) + every[at]
    path = np.zeros(count, np.int64)
    path[-1] = best.argmax()
    for at in range(count - 1, 0, -1):
        path[at - 1] = came_from[at, path[at]]
    return path, float(best.max())


def _parts(
    path: npt.NDArray[np.int64], clauses: Sequence[tuple[int, int]], text: str, categories: Sequence[str]
) -> Iterator[Wish]:
    """Yield runs of clauses of one category, without the marks and blanks at their ends.

    What speaks for nothing goes with its sentence's part, and with the part that goes on behind it.
    """
    runs: list[tuple[int, int, int]] = []
    for at, (start, end) in enumerate(clauses):
        category = int(path[at])
        last = runs[-1] if runs else None
        if category == len(categories):
            if last is not None and last[2] == start and text[start - 1] not in _ENDS_SENTENCE:
                runs[-1] = (last[0], last[1], end)
        elif last is not None and last[0] == category:
            runs[-1] = (category, last[1], end)
        else:
            runs.append((category, start, end))
    for category, start, end in runs:
        whole = text[start:end]
        yield Wish(
            start + len(whole) - len(whole.lstrip()),
            start + len(whole.strip().rstrip("，。；;,")),
            categories[category],
        )
