"""Reading a demand: by the city's model where there is one, by the taxonomy's words where there is none.

The words are read in either case: those of danger, of matters out of scope and of complaints are
looked for literally, and where the model is missing or damaged they classify as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from routers.city import City
from routers.classifier import CATEGORY, KIND, URGENCY, Answer, Classifier, Model
from routers.demand import TEXT_LIMIT, Classification, Demand, DemandKind, Urgency
from routers.lexicon import Lexicon, Match, Reading
from routers.tiers import NOTHING, Evidence
from routers.trust import Trust, trust
from routers.wishes import Evidence as Said
from routers.wishes import Wish, wishes

LETTERS = 4
"""Letters or digits a text must have to be about something; fewer, or none but emoji, and it is unclear."""

SURE_OF_KIND = 0.6
"""Least probability of the kind of demand, below which its cues decide."""

SURE_OF_URGENCY = 0.9
"""The same for the urgency, below which the category's own holds: both errors cost."""

SURE_OF_CATEGORY = 0.5
"""The same for the category, below which its urgency and its danger are not believed without a word of danger: a wrong
guess would send a wrong unit out at once."""

_RANK = (Urgency.LOW, Urgency.NORMAL, Urgency.HIGH, Urgency.CRITICAL)


class Guess(NamedTuple):
    """What a model says of one text, for each of its heads that there is."""

    category: Answer
    kind: Answer | None
    urgency: Answer | None


class Reader:
    """Reads the demands of one city; threads may share it: what it learns replaces one immutable value."""

    def __init__(self, city: City, model: Model | None = None) -> None:
        self.lexicon = Lexicon(city)
        self._city = city
        self._classifier = Classifier(model) if model is not None else None
        self._evidence = None if model is None else model.evidence or NOTHING
        self._trust = trust(city, self.model, self._evidence)

    @property
    def model(self) -> str:
        """The version of what classifies."""
        return f"model-{self._classifier.model.version}" if self._classifier is not None else self.lexicon.model

    def threshold(self, category: str) -> float:
        """Return how sure the machine must be to dispatch a category by itself."""
        return self._trust.standings[category].threshold

    def learn(self, outcomes: Evidence) -> Trust:
        """Weigh anew how sure the machine must be, from what became of its cases.

        Args:
            outcomes: all that count now, of this very model; what was learned before is forgotten.
        """
        self._trust = learned = trust(self._city, self.model, self._evidence, outcomes)
        return learned

    def guess(self, demands: Sequence[Demand]) -> list[Guess | None]:
        """Let the model read a batch; None for each demand where there is no model."""
        if self._classifier is None:
            return [None] * len(demands)
        read = self._classifier.read([whole_of(demand) for demand in demands])
        columns = []
        for name in (CATEGORY, KIND, URGENCY):
            head = self._classifier.model.head(name)
            columns.append(read.answers(head) if head is not None else [None] * len(demands))
        return [Guess(category, kind, urgency) for category, kind, urgency in zip(*columns, strict=True)]

    def read(self, demand: Demand, guess: Guess | None = None) -> Reading:
        """Read one demand.

        Args:
            demand: as submitted.
            guess: what `guess` said of it; none: the model reads it now, alone.
        """
        words = self.lexicon.read(demand.text, demand.title, demand.kind)
        whole = whole_of(demand)
        if len(demand.text) > TEXT_LIMIT or not any(map(str.isalnum, whole)):
            return self._unclear(words)
        if self._classifier is None:
            return words
        found = guess or self.guess([demand])[0]
        assert found is not None
        if sum(map(str.isalnum, whole[: self._reach])) < LETTERS or not found.category.known:
            return self._unclear(words)
        head = self._classifier.model.head(CATEGORY)
        assert head is not None
        reasons = self._classifier.why(whole, head, found.category.labels)
        top = tuple(map(Match, found.category.labels, found.category.shares, reasons))
        return replace(words, classification=self._classify(words.classification, found, top, demand), top=top)

    def wishes(self, text: str) -> tuple[Wish, ...]:
        """Return the several wishes of a masked text, if there are several; see `routers.wishes`."""
        return wishes(text, self.say)

    def say(self, clauses: Sequence[str]) -> Said:
        """Tell what clauses say for categories: the model's log-odds against chance, or the weight of their words."""
        if self._classifier is not None and (head := self._classifier.model.head(CATEGORY)) is not None:
            return Said(head.labels, self._classifier.read(clauses).nats(head))
        codes = tuple(self._city.categories)
        column = {code: at for at, code in enumerate(codes)}
        nats = np.zeros((len(clauses), len(codes)), np.float32)
        for row, clause in enumerate(clauses):
            for match in self.lexicon.read(clause).words:
                nats[row, column[match.code]] = match.score
        return Said(codes, nats)

    def _unclear(self, words: Reading) -> Reading:
        known = words.classification
        nothing = known.model_copy(update={"category": None, "confidence": 0.0, "why": (), "model": self.model})
        return replace(words, classification=nothing, top=(), unclear=True)

    def _classify(self, words: Classification, guess: Guess, top: tuple[Match, ...], demand: Demand) -> Classification:
        category = self._city.category(guess.category.labels[0])
        kind = demand.kind or words.kind
        if demand.kind is None and guess.kind is not None and guess.kind.confidence >= SURE_OF_KIND:
            kind = DemandKind(guess.kind.labels[0])
        believed = guess.category.confidence >= SURE_OF_CATEGORY
        urgency = category.urgency if believed else min(category.urgency, Urgency.NORMAL, key=_RANK.index)
        if guess.urgency is not None and guess.urgency.confidence >= SURE_OF_URGENCY:
            urgency = Urgency(guess.urgency.labels[0])
        danger = self.lexicon.danger(whole_of(demand))
        if danger:
            urgency = max(urgency, Urgency.HIGH, key=_RANK.index)
        return Classification(
            category=category.code,
            kind=kind,
            urgency=urgency,
            safety=bool(danger) or (believed and "safety" in category.flags),
            confidence=round(guess.category.confidence, 4),
            why=tuple(dict.fromkeys((*top[0].words, *danger))),
            model=self.model,
        )

    @property
    def _reach(self) -> int:
        assert self._classifier is not None
        return max(view.reach for view in self._classifier.model.views)


def whole_of(demand: Demand) -> str:
    """Return title and text as they are read."""
    return f"{demand.title}\n{demand.text}" if demand.title else demand.text
