"""The classifier of a cold start: the taxonomy's words, the longest first, weighed by rarity.

A word counts once a text. Its weight is its length, shared among the categories that list it, so a
word of four characters says more than one of two, and a word of two categories half as much for
each. A word inside a longer known word is not counted: `漏气报警器响` hides the `报警` in it, and
that is also why words of emergencies and of categories are looked for together, and why the names
of places are known here: `永安公园` says where it is, not that it is about a park.

The confidence is a margin, not a probability: it grows with the weight found and with its share of
what the two best categories found together, and nothing calibrates it. It orders texts by how far
they may be trusted to the machine; the city's policy says where that ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, log
from typing import NamedTuple

from routers.city import City, frozen_map, place_names
from routers.demand import Classification, DemandKind, Urgency
from routers.phrases import Phrases, pairs_of, plain

_FULL = 1.8
"""Weight at which a text says about two thirds of what words can say."""

_URGENT = 1.5
"""A category of danger counts for so much more where a word of danger stands: `电梯坏了` with `被困`."""

_NAME_SPLIT = re.compile("[与和、及的]")
_HAN = re.compile("[\u4e00-\u9fff]{2}")
_TOP = 3


class Match(NamedTuple):
    """A category, or a matter out of scope, with the weight of its words in the text."""

    code: str
    score: float
    words: tuple[str, ...]


class _Meaning(NamedTuple):
    """What a word stands for: a category, a matter out of scope (`scope`), or a place (no code)."""

    code: str
    weight: float
    scope: bool = False


_PLACE = _Meaning("", 0.0)


@dataclass(frozen=True, slots=True)
class Reading:
    """What the lexicon finds in one text."""

    classification: Classification
    top: tuple[Match, ...]
    """The best categories, at most three."""
    words: tuple[Match, ...]
    """The best by the taxonomy's words alone, whatever else has read the text."""
    out_of_scope: tuple[Match, ...]
    """Matters out of scope whose words stand there, the strongest first."""
    complains: bool
    """Some cue of a complaint or a report stands there, whatever the kind."""
    unclear: bool = False
    """There is nothing to classify: no words, or so many that nobody says what is wanted; people read it."""


class Lexicon:
    """The words of a city, ready to be looked for; immutable, so threads may share it."""

    def __init__(self, city: City) -> None:
        self.model = f"lexicon-{city.version}"
        self._city = city
        self._words: Phrases[_Meaning] = Phrases(_weighed(city))
        self._cues: Phrases[DemandKind] = Phrases((cue, kind) for kind, cues in city.kinds.items() for cue in cues)
        self._unless: Mapping[str, tuple[str, ...]] = frozen_map(
            {matter.code: tuple(map(plain, matter.unless)) for matter in city.out_of_scope.values()}
        )
        self._pairs = frozen_map(_rare_pairs(city))
        self._safety: Phrases[None] = Phrases((word, None) for word in city.policies.safety_words)

    def read(self, text: str, title: str | None = None, kind: DemandKind | None = None) -> Reading:
        """Classify one text.

        Args:
            text: as the citizen wrote it.
            title: likewise.
            kind: as the sender declares it; none: guessed from cues.
        """
        whole = plain(f"{title}\n{text}" if title else text)
        categories: dict[str, list[tuple[str, float]]] = {}
        matters: dict[str, list[tuple[str, float]]] = {}
        for word, meaning in dict.fromkeys((hit.word, hit.meaning) for hit in self._words.longest(whole)):
            if meaning is not _PLACE:
                into = matters if meaning.scope else categories
                into.setdefault(meaning.code, []).append((word, meaning.weight))
        danger = tuple(hit.word for hit in self._safety.longest(whole))
        # the scores stay what they are: an emergency is weighed against what the words say, not against our worry
        strength = {
            code: sum(weight for _, weight in words) * self._worry(code, danger) for code, words in categories.items()
        }
        top = tuple(sorted(_ranked(categories), key=lambda match: -strength[match.code])[:_TOP])
        out = tuple(match for match in _ranked(matters) if not any(word in whole for word in self._unless[match.code]))
        kinds = self._kinds(whole)
        complains = DemandKind.COMPLAINT in kinds or DemandKind.REPORT in kinds
        confidence = _confidence([strength[match.code] for match in top])
        return Reading(self._classify(top, danger, kind or _heaviest(kinds), confidence), top, top, out, complains)

    def danger(self, text: str) -> tuple[str, ...]:
        """Return the words of danger that stand in a text."""
        return tuple(dict.fromkeys(hit.word for hit in self._safety.longest(plain(text))))

    def near(self, whole: str) -> tuple[Match, ...]:
        """Return the categories whose words are half there, the likeliest first: `变压器又坏` for `变压器坏了`.

        Pairs of characters, weighed by rarity, point to far more than they prove: only people see these.

        Args:
            whole: the text as `plain` gives it.
        """
        found: dict[str, list[tuple[str, float]]] = {}
        for pair in sorted(pairs_of(whole) & self._pairs.keys()):
            codes, weight = self._pairs[pair]
            for code in codes:
                found.setdefault(code, []).append((pair, weight))
        return tuple(_ranked(found)[:_TOP])

    def _classify(
        self, top: tuple[Match, ...], safety: tuple[str, ...], kind: DemandKind | None, confidence: float
    ) -> Classification:
        category = self._city.categories[top[0].code] if top else None
        urgency = category.urgency if category else Urgency.NORMAL
        if safety and urgency in (Urgency.NORMAL, Urgency.LOW):
            urgency = Urgency.HIGH
        why = [*(top[0].words if top else ()), *(word for word in safety if not top or word not in top[0].words)]
        return Classification(
            category=category.code if category else None,
            kind=kind,
            urgency=urgency,
            safety=bool(safety) or (category is not None and "safety" in category.flags),
            confidence=confidence,
            why=tuple(dict.fromkeys(why)),
            model=self.model,
        )

    def _worry(self, code: str, danger: tuple[str, ...]) -> float:
        """Return by how much more a category counts where words of danger stand."""
        return _URGENT if danger and "safety" in self._city.categories[code].flags else 1.0

    def _kinds(self, whole: str) -> dict[DemandKind, int]:
        """Return the kinds of demand whose cues stand in the text, with their weights."""
        scores: dict[DemandKind, int] = {}
        for word, kind in dict.fromkeys((hit.word, hit.meaning) for hit in self._cues.longest(whole)):
            scores[kind] = scores.get(kind, 0) + len(word)
        return scores


def _heaviest(kinds: Mapping[DemandKind, int]) -> DemandKind | None:
    """Return the kind whose cues weigh most, an enquiry where two weigh the same; none without a cue."""
    return max(DemandKind, key=lambda kind: kinds.get(kind, 0)) if kinds else None


def _weighed(city: City) -> Iterable[tuple[str, _Meaning]]:
    """Return every word with what it stands for and how much it says."""
    owners: dict[str, set[str]] = {}
    for category in city.categories.values():
        names = [part for part in _NAME_SPLIT.split(category.zh) if len(part) > 2]
        for word in (*category.keywords, *names):
            owners.setdefault(plain(word), set()).add(category.code)
    for word, codes in owners.items():
        for code in sorted(codes):
            yield word, _Meaning(code, len(word) / len(codes))
    for matter in city.out_of_scope.values():
        for word in matter.keywords:
            yield word, _Meaning(matter.code, float(len(word)), scope=True)
    for name in place_names(city.places):
        if plain(name) not in owners:
            yield name, _PLACE


def _rare_pairs(city: City) -> Mapping[str, tuple[tuple[str, ...], float]]:
    """Return the pairs of Chinese characters in words and names of categories, with those and the pair's rarity."""
    owners: dict[str, dict[str, None]] = {}
    for category in city.categories.values():
        for word in (*category.keywords, category.zh):
            for pair in sorted(pairs_of(plain(word))):
                if _HAN.fullmatch(pair):
                    owners.setdefault(pair, {})[category.code] = None
    return {pair: (tuple(codes), log(len(city.categories) / len(codes))) for pair, codes in owners.items()}


def _ranked(found: Mapping[str, list[tuple[str, float]]]) -> list[Match]:
    matches = [
        Match(code, sum(weight for _, weight in words), tuple(word for word, _ in words))
        for code, words in found.items()
    ]
    return sorted(matches, key=lambda match: (-match.score, match.code))


def _confidence(strengths: Sequence[float]) -> float:
    """Return the margin of the first of some strengths, in their order, over the second."""
    if not strengths:
        return 0.0
    best, rest = strengths[0], sum(strengths[1:2])
    return round(best / (best + rest) * (1 - exp(-best / _FULL)), 4)
