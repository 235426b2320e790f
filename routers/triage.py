"""The way out of triage for one demand: answered, declined, dispatched, or to the desk with candidates.

The order of the questions is the order of `Triage.decide`. The machine answers nothing by itself
but an enquiry that matches an approved entry of the knowledge base, and dispatches nothing that the
catalogue does not settle: everything else goes to people, with a reason and three candidates. What
is urgent does not wait for people: it goes to the unit of its category while the desk looks on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from routers.catalogue import Catalogue, Resolved
from routers.city import City, KnowledgeEntry, OutOfScope
from routers.classifier import Model
from routers.confidential import hides_sender
from routers.demand import (
    TEXT_LIMIT,
    Candidate,
    Classification,
    Demand,
    DemandKind,
    Part,
    ResolvedPlace,
    Ruling,
    Urgency,
    Verdict,
)
from routers.lexicon import Match, Reading
from routers.phrases import Phrases, plain
from routers.places import UNKNOWN_PLACE, Gazetteer, Located
from routers.privacy import Masker
from routers.reader import Guess, Reader, whole_of
from routers.wishes import says_several

CANDIDATES = 3
CLEARLY = 2.0
"""So many times the weight of a matter out of scope, and a category leaves no doubt."""

FAINT = 30
"""Characters of text for each unit of weight, beyond which words of a matter out of scope are only mentioned: who
needs the fire brigade says so at once, who tells of last year's fire takes a page."""

ENQUIRY = 120
"""Characters; a longer text is a story, and no story is answered by machine."""

URGENT = "urgent"
"""Reason of a dispatch that did not wait until the machine was sure."""

SEVERAL = "several_wishes"
"""Reason for which people see a demand: it holds several wishes, and may have to be split."""

AREA = "transfer_area"
"""Action of the matter that stands for all other areas."""


@dataclass(frozen=True, slots=True)
class Triaged:
    """What triage makes of a demand; title, text and address are masked."""

    title: str | None
    text: str
    address: str | None
    place: ResolvedPlace
    classification: Classification
    tier: str
    confidential: bool
    """The handling unit may not know who sent it."""
    verdict: Verdict


class Seen(NamedTuple):
    """What looking at a batch says of one of its demands: together they cost a fraction of one after another."""

    located: Located
    guess: Guess | None


class Triage:
    """Triage for one city; but for what its reader learns immutable once made, so threads may share it."""

    def __init__(self, city: City, model: Model | None = None) -> None:
        self._city = city
        self._gazetteer = Gazetteer(city)
        self.reader = Reader(city, model)
        self._catalogue = Catalogue(city)
        self._entries = tuple(sorted(map(_plain_entry, city.knowledge.values()), key=lambda each: each[0].id))
        self._area = next((each for each in city.out_of_scope.values() if each.action == AREA), None)
        self._units: Phrases[str] = Phrases(
            (name, unit.code)
            for unit in city.units.values()
            if unit.dispatchable and not unit.virtual
            for name in (unit.zh, unit.short, *unit.aliases)
            if len(name) > 2
        )

    @staticmethod
    def mask(text: str) -> str:
        """Return a text without the numbers of persons."""
        return Masker().mask(text)

    def see(self, demands: Sequence[Demand]) -> list[Seen]:
        """Find the places of a batch of demands and let the model read it, in its order."""
        places = self._gazetteer.locate_all((demand.place, whole_of(demand)) for demand in demands)
        return list(map(Seen, places, self.reader.guess(demands)))

    def decide(self, demand: Demand, today: date, seen: Seen | None = None) -> Triaged:
        """Decide about one demand.

        Args:
            demand: valid, as submitted.
            today: the day in the city, by which rules and knowledge are in force.
            seen: what `see` found out about it in a batch; none: it is found out now, alone.
        """
        declared = demand.place
        whole = whole_of(demand)
        located, guess = seen or self.see([demand])[0]
        reading = self.reader.read(demand, guess)
        masker = Masker()
        title = masker.mask(demand.title) if demand.title is not None else None
        text = _shown(masker.mask(demand.text))
        verdict, classification = self._rule(demand, plain(whole), text, located, reading, today, masker)
        return Triaged(
            title=title,
            text=text,
            address=masker.mask(declared.address) if declared is not None and declared.address is not None else None,
            place=located.place,
            classification=classification,
            tier=self._city.tier_of(classification.category).code,
            confidential=hides_sender(
                self._city, asked=demand.confidential, kind=classification.kind, category=classification.category
            ),
            verdict=verdict,
        )

    def _rule(  # noqa: PLR0917 - what is known so far, in the order it became known
        self, demand: Demand, whole: str, masked: str, located: Located, reading: Reading, today: date, masker: Masker
    ) -> tuple[Verdict, Classification]:
        known = reading.classification
        on_arrival = self._answered_on_arrival(demand, masker)
        if on_arrival is not None:
            return on_arrival, known
        matter, doubt = self._out_of_scope(reading, len(whole))
        if matter is not None:
            return self._declined(matter), known
        beyond = located.place.outside
        if beyond and self._area is not None and not located.place.near:
            return self._declined(self._area), known
        if known.kind is DemandKind.CONSULT and len(whole) <= ENQUIRY and (demand.kind or not reading.complains):
            entry = self._known_answer(whole, today)
            if entry is not None:
                return self._answered(entry), _as(known, entry)
        # a point a few metres beyond the border is for people to judge
        parts = self._parts(masked, reading, located, today)
        return self._to_people(whole, reading, located, today, parts, doubt=bool(doubt or beyond))

    def _answered_on_arrival(self, demand: Demand, masker: Masker) -> Verdict | None:
        """Return the answer the demand came with: the hotline's agent's, or the grid worker's."""
        if demand.answer is not None:
            return Verdict(ruling=Ruling.ANSWERED, reason="answered", text=masker.mask_answer(demand.answer))
        if demand.self_handled is not None:
            text = self._city.text("answered.self_handled", answer=masker.mask_answer(demand.self_handled.note))
            return Verdict(ruling=Ruling.ANSWERED, reason="self_handled", text=text)
        return None

    # -- out of scope -----------------------------------------------------------------------------

    def _out_of_scope(self, reading: Reading, length: int) -> tuple[OutOfScope | None, bool]:
        """Weigh the words of matters out of scope against those of the best category.

        Args:
            reading: of the whole text.
            length: of the whole text, in characters.

        Returns:
            The matter the text is clearly about, if any; and whether a person should judge that. An
            emergency wins a tie: nobody dies of being sent to 119 once too often.
        """
        if not reading.out_of_scope:
            return None, False
        first = reading.out_of_scope[0]
        matter = self._city.out_of_scope[first.code]
        ordinary = max((match.score for match in reading.words), default=0.0)
        if first.score * FAINT < length:
            return None, first.score > ordinary
        if first.score > ordinary or (matter.emergency and first.score == ordinary):
            return matter, False
        return None, ordinary < CLEARLY * first.score

    def _declined(self, matter: OutOfScope) -> Verdict:
        return Verdict(
            ruling=Ruling.DECLINE,
            reason="outside" if matter.action == AREA else "out_of_scope",
            unit=matter.to if matter.to in self._city.units else None,
            rule=matter.code,
            text=self._city.text(f"declined.{matter.code}"),
        )

    # -- knowledge ----------------------------------------------------------------------------------

    def _known_answer(self, whole: str, today: date) -> KnowledgeEntry | None:
        """Return the entry in force whose longest pattern occurs; the first by id among equals."""
        best: tuple[int, KnowledgeEntry] | None = None
        for entry, patterns in self._entries:
            if not entry.in_force(today):
                continue
            length = max((sum(map(len, words)) for words in patterns if all(w in whole for w in words)), default=0)
            if length and (best is None or length > best[0]):
                best = (length, entry)
        return best[1] if best else None

    def _answered(self, entry: KnowledgeEntry) -> Verdict:
        owner = self._city.unit(entry.owner)
        text = self._city.text("answered.knowledge", answer=entry.answer, entry=entry.id, owner=owner.zh)
        return Verdict(ruling=Ruling.ANSWER, reason="knowledge", unit=owner.code, rule=entry.id, text=text)

    # -- dispatch -------------------------------------------------------------------------------------

    def _to_people(
        self, whole: str, reading: Reading, located: Located, today: date, parts: tuple[Part, ...], *, doubt: bool
    ) -> tuple[Verdict, Classification]:
        """Give it to the unit whose it is, or to the desk where that is not sure; what is urgent does not wait.

        Args:
            whole: the text as `plain` gives it.
            reading: of it.
            located: its place.
            today: the day by which rules are in force.
            parts: its wishes where there are several: people split it, or do not.
            doubt: perhaps it is no matter of this city's units at all.
        """
        known = reading.classification
        resolved, reason = self._whose(whole, known, located, today)
        if reading.unclear:
            reason = "unclear"
        if known.category is not None and known.confidence < self.reader.threshold(known.category):
            reason = "uncertain"
        if doubt:
            reason = "perhaps_out_of_scope"
        if parts and reason is None:
            reason = SEVERAL
        if resolved is not None and reason is None:
            return (
                Verdict(ruling=Ruling.DISPATCH, reason="catalogue", unit=resolved.unit, rule=resolved.rule),
                known,
            )
        candidates = self._candidates(whole, reading, located, today)
        if resolved is not None and not doubt and _presses(known):
            unit, rule = resolved.unit, resolved.rule
            return (
                Verdict(
                    ruling=Ruling.DISPATCH,
                    reason=URGENT,
                    unit=unit,
                    rule=rule,
                    candidates=candidates,
                    watch=True,
                    parts=parts,
                ),
                known,
            )
        if _presses(known):  # nobody can be named, or perhaps no unit of ours: people look at it before all else
            known = known.model_copy(update={"urgency": Urgency.CRITICAL})
        return Verdict(ruling=Ruling.DESK, reason=reason or "uncertain", candidates=candidates, parts=parts), known

    def _parts(self, masked: str, reading: Reading, located: Located, today: date) -> tuple[Part, ...]:
        """Return the wishes of a masked text where there are several, each with whose it is if that is settled."""
        if reading.unclear or (len(reading.words) < 2 and not says_several(masked)):
            return ()
        street = located.place.street
        parts = []
        for wish in self.reader.wishes(masked):
            resolved = self._catalogue.resolve(wish.category, street, plain(masked[wish.start : wish.end]), today)
            unit = resolved.unit if isinstance(resolved, Resolved) else None
            parts.append(Part(start=wish.start, end=wish.end, category=wish.category, unit=unit))
        return tuple(parts)

    def _whose(
        self, whole: str, known: Classification, located: Located, today: date
    ) -> tuple[Resolved | None, str | None]:
        """Return whose it is if the category is right, or why that cannot be said."""
        if known.category is None:
            return None, "no_category"
        street = located.place.street
        if self._city.category(known.category).location == "required" and street is None:
            return None, UNKNOWN_PLACE if located.problem == UNKNOWN_PLACE else "no_place"
        resolved = self._catalogue.resolve(known.category, street, whole, today)
        if isinstance(resolved, Resolved):
            return resolved, None
        return None, resolved

    # -- the desk -------------------------------------------------------------------------------------

    def _candidates(self, whole: str, reading: Reading, located: Located, today: date) -> tuple[Candidate, ...]:
        """Return three different units that could act, the likeliest first."""
        found: dict[str, Candidate] = {}
        for each in self._likely(whole, reading.top, located, today):
            found.setdefault(each.unit, each)
        return tuple(found.values())[:CANDIDATES]

    def _likely(self, whole: str, top: Iterable[Match], located: Located, today: date) -> Iterable[Candidate]:
        street = located.place.street
        helpers = []
        for match in top:
            category = self._city.category(match.code)
            why = f"{category.zh}：{'、'.join(match.words)}"
            for unit in self._catalogue.owners(match.code, street, whole, today):
                yield Candidate(unit=unit, category=match.code, score=match.score, why=why)
            helpers += [(unit, match) for unit in self._catalogue.helpers(match.code, street, whole, today)]
        for hit in self._units.longest(whole):
            yield Candidate(unit=hit.meaning, category="", score=0, why=f"诉求提到{hit.word}")
        yield from self._streets(located)
        for match in self.reader.lexicon.near(whole):
            why = f"{self._city.category(match.code).zh}（近似）：{'、'.join(match.words[:3])}"
            for unit in self._catalogue.owners(match.code, street, whole, today):
                yield Candidate(unit=unit, category=match.code, score=0, why=why)
        for unit, match in helpers:
            yield Candidate(unit=unit, category=match.code, score=0, why=f"{self._city.category(match.code).zh}：协办")
        for unit in self._city.policies.fallback_units:
            yield Candidate(unit=unit, category="", score=0, why="无法自动判断，请人工研判")

    def _streets(self, located: Located) -> Iterable[Candidate]:
        """Return the streets the place may lie in: the one found or told of, then those across a border close by."""
        street = located.place.street
        for code in [street] if street is not None else located.hints:
            if code in self._city.units:
                yield Candidate(unit=code, category="", score=0, why=f"所在地：{self._city.unit(code).short}")
        for close in located.place.near:
            if close.street != street and close.street in self._city.units:
                yield Candidate(unit=close.street, category="", score=0, why=f"临近{close.name}")


def _plain_entry(entry: KnowledgeEntry) -> tuple[KnowledgeEntry, tuple[tuple[str, ...], ...]]:
    return entry, tuple(tuple(map(plain, words)) for words in entry.patterns)


def _shown(text: str) -> str:
    """Return as much of a masked text as travels: all, or the beginning of a book."""
    return text if len(text) <= TEXT_LIMIT else f"{text[:TEXT_LIMIT]}……"


def _presses(known: Classification) -> bool:
    """Tell whether it cannot wait until the desk has looked at it."""
    return known.safety or known.urgency in {Urgency.HIGH, Urgency.CRITICAL}


def _as(known: Classification, entry: KnowledgeEntry) -> Classification:
    """Return the classification with the entry's category, which its owner has settled."""
    return known.model_copy(update={"category": entry.category})
