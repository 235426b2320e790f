"""The dispatch catalogue (派单目录) ready for use: category, place and day to lead and co-handlers.

A rule for the street goes before the one for everywhere; virtual units become real ones: `X-LOCAL`
the street's own unit, `X-TELECOM` the company the text names.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from routers.city import GEOGRAPHY, CatalogueRule, City, Unit, frozen_map
from routers.phrases import Phrases

NO_OWNER = "no_owner"
NO_PLACE = "no_place"
NO_OPERATOR = "no_operator"


@dataclass(frozen=True, slots=True)
class Resolved:
    """Whose it is, and by which rule."""

    unit: str
    co: tuple[str, ...]
    rule: str


class Catalogue:
    """The rules of a city by category and place; immutable, so threads may share it."""

    def __init__(self, city: City) -> None:
        self._units = city.units
        rules: dict[tuple[str, str | None], list[CatalogueRule]] = {}
        for rule in city.catalogue:
            rules.setdefault((rule.category, rule.place), []).append(rule)
        self._rules = frozen_map({key: tuple(found) for key, found in rules.items()})
        self._operators = frozen_map(
            {
                unit.code: Phrases(
                    (name, choice)
                    for choice in unit.choices
                    for name in (city.units[choice].zh, city.units[choice].short, *city.units[choice].aliases)
                )
                for unit in city.units.values()
                if unit.choices
            }
        )

    def rule(self, category: str, street: str | None, today: date) -> CatalogueRule | None:
        """Return the one rule in force; none where the catalogue has no owner."""
        for place in (street, None) if street is not None else (None,):
            for rule in self._rules.get((category, place), ()):
                if rule.in_force(today):
                    return rule
        return None

    def resolve(self, category: str, street: str | None, text: str, today: date) -> Resolved | str:
        """Return whose it is, or the code of why that cannot be said.

        Args:
            category: code of a category.
            street: code of the street or town, if known.
            text: as `plain` gives it; operators are looked for in it.
            today: the day by which rules are in force.
        """
        rule = self.rule(category, street, today)
        if rule is None:
            return NO_OWNER
        lead = self._real(rule.unit, street, text)
        if len(lead) != 1 or not self._units[lead[0]].dispatchable:
            return NO_PLACE if self._units[rule.unit].resolve == GEOGRAPHY else NO_OPERATOR
        co = [real for code in rule.co for real in self._only(code, street, text)]
        return Resolved(lead[0], tuple(unit for unit in dict.fromkeys(co) if unit != lead[0]), rule.id)

    def owners(self, category: str, street: str | None, text: str, today: date) -> tuple[str, ...]:
        """Return the units that may be the lead: one, or every operator it can be, or none."""
        rule = self.rule(category, street, today)
        if rule is None:
            return ()
        return self._real(rule.unit, street, text) or self._units[rule.unit].choices

    def helpers(self, category: str, street: str | None, text: str, today: date) -> tuple[str, ...]:
        """Return the co-handlers that can be named."""
        rule = self.rule(category, street, today)
        return tuple(real for code in rule.co for real in self._only(code, street, text)) if rule else ()

    def _only(self, code: str, street: str | None, text: str) -> Iterable[str]:
        """Return the real unit behind a code if there is exactly one that can handle a case."""
        real = self._real(code, street, text)
        return [each for each in real if self._units[each].dispatchable] if len(real) == 1 else []

    def _real(self, code: str, street: str | None, text: str) -> tuple[str, ...]:
        """Return the real units a code can stand for here."""
        unit: Unit = self._units[code]
        if not unit.virtual:
            return (code,)
        if unit.resolve == GEOGRAPHY:
            return (street,) if street is not None and street in self._units else ()
        return tuple(dict.fromkeys(hit.meaning for hit in self._operators[code].longest(text)))
