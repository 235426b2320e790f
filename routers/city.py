"""A city as values: its units, limits, categories, catalogue, places, knowledge, policies and texts.

Loaded from one folder of YAML by `streams.cityfile`; nothing here names a city. Every object is
frozen and every mapping read-only, so a city can be shared by all threads of a worker, and its
version (a hash over the files) names exactly what was decided by.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeVar

from routers.demand import DemandKind, Urgency

K = TypeVar("K")
V = TypeVar("V")

Ring = tuple[tuple[float, float], ...]
"""An outline: (longitude, latitude) in degrees WGS-84, not closed."""

LocationNeed = Literal["required", "optional", "none"]
"""Whether a category needs a place before it can be dispatched."""

GEOGRAPHY = "geography"
OPERATOR = "operator"
VIRTUAL = "virtual"


def frozen_map(values: Mapping[K, V]) -> Mapping[K, V]:
    """Return a read-only copy, in the same order."""
    return MappingProxyType(dict(values))


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit (承办单位): a bureau, enterprise, street or hub, or a virtual one that is resolved when dispatching."""

    code: str
    zh: str
    short: str
    en: str
    kind: str
    """hub, bureau, sub_unit, vertical, party, mass, utility, street, town or virtual."""
    level: str = ""
    hours: str = "office"
    """`24x7`, `office` or `on_call`: whether work is accepted out of hours."""
    duties: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    dispatchable: bool = True
    """False: the dispatch catalogue may not name it as the handling unit."""
    resolve: str | None = None
    """Virtual units only: `geography` (the street of the place) or `operator` (the company named)."""
    choices: tuple[str, ...] = ()
    """Units an operator-resolved virtual unit can stand for."""

    @property
    def virtual(self) -> bool:
        """Tell whether it only stands for another unit."""
        return self.kind == VIRTUAL


@dataclass(frozen=True, slots=True)
class Tier:
    """A class of limits (时限): durations count from registration; warnings are shares of `close`."""

    code: str
    zh: str
    clock: Literal["natural", "working"]
    accept: timedelta
    first_contact: timedelta
    close: timedelta
    extensions: int = 0
    extension_max: timedelta = timedelta(0)
    warn_yellow: float = 0.7
    warn_red: float = 0.9


@dataclass(frozen=True, slots=True)
class Category:
    """A second-level category (诉求类别)."""

    code: str
    parent: str
    zh: str
    en: str
    keywords: tuple[str, ...]
    lead: str
    """Default lead unit; the dispatch catalogue decides."""
    co: tuple[str, ...]
    urgency: Urgency
    tier: str
    location: LocationNeed
    flags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class OutOfScope:
    """What is not accepted here, and where to turn to (不予受理、告知渠道)."""

    code: str
    zh: str
    action: str
    """`live_transfer`, `inform`, `restricted_transfer`, `transfer_area`, `hold_then_close` or `decline`."""
    to: str
    keywords: tuple[str, ...] = ()
    """Hints, never enough alone: an ordinary category that fits better wins."""
    unless: tuple[str, ...] = ()
    """Words next to which a keyword means something else."""

    @property
    def emergency(self) -> bool:
        """Tell whether a life may hang on it (110, 119, 120, 122)."""
        return self.action == "live_transfer"


@dataclass(frozen=True, slots=True)
class CatalogueRule:
    """One line of the dispatch catalogue (派单目录): category and place to units, for a time."""

    id: str
    category: str
    place: str | None
    """Code of a street or town; None: everywhere without a rule of its own."""
    unit: str
    co: tuple[str, ...]
    effective: date
    expires: date | None = None
    """Last day in force; None: until further notice."""

    def in_force(self, day: date) -> bool:
        """Tell whether the rule holds on a day."""
        return self.effective <= day and (self.expires is None or day <= self.expires)


@dataclass(frozen=True, slots=True)
class KnowledgeEntry:
    """An answer the machine may give by itself, while it is approved and in force."""

    id: str
    title: str
    patterns: tuple[tuple[str, ...], ...]
    """It matches when all words of any one of them occur."""
    answer: str
    category: str
    owner: str
    effective: date
    expires: date
    approved: bool

    def in_force(self, day: date) -> bool:
        """Tell whether the machine may use it on a day."""
        return self.approved and self.effective <= day <= self.expires


class NumberRange(NamedTuple):
    """Numbers of houses on a road (门牌号), or of buildings in an estate (楼栋号), both ends included."""

    first: int
    last: int
    step: int = 1
    """2: only every second one, the odd or the even side of a road."""

    def __contains__(self, number: object) -> bool:
        return (
            isinstance(number, int)
            and self.first <= number <= self.last
            and (self.step == 1 or (number - self.first) % self.step == 0)
        )


@dataclass(frozen=True, slots=True)
class Grid:
    """A grid (网格), the smallest place."""

    code: str
    zh: str
    aliases: tuple[str, ...]
    outline: Ring
    old_names: tuple[str, ...] = ()
    """Names it had before, which people go on using."""
    numbers: Mapping[str, tuple[NumberRange, ...]] = field(default_factory=lambda: frozen_map({}))
    """Roads and estates of which it holds a part, with the numbers of that part."""


@dataclass(frozen=True, slots=True)
class Community:
    """A community or village (社区、村)."""

    code: str
    zh: str
    aliases: tuple[str, ...]
    outline: Ring
    grids: tuple[Grid, ...]
    old_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Street:
    """A street or town (街道、镇); its code is also the code of its unit."""

    code: str
    zh: str
    aliases: tuple[str, ...]
    outline: Ring
    communities: tuple[Community, ...]
    old_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Places:
    """The whole area, and what lies around it by name."""

    outline: Ring
    streets: tuple[Street, ...]
    outside: tuple[str, ...] = ()
    """Names of other areas that citizens mention."""


def names_of(place: Street | Community | Grid) -> Iterator[str]:
    """Return the names that lead to a place: its own, what people say for it, and what it was called before."""
    yield place.zh
    yield from place.aliases
    yield from place.old_names


def place_names(places: Places) -> Iterator[str]:
    """Return every name of every street, community and grid, and of roads and estates that span several."""
    for street in places.streets:
        yield from names_of(street)
        for community in street.communities:
            yield from names_of(community)
            for grid in community.grids:
                yield from names_of(grid)
                yield from grid.numbers


@dataclass(frozen=True, slots=True)
class ReturnReason:
    """A coded reason to return a case (退单), and what it must come with."""

    code: str
    zh: str
    needs_basis: bool = False
    needs_proposal: bool = False


@dataclass(frozen=True, slots=True)
class Policies:
    """What the city has settled about how cases are run."""

    desk: str
    """Unit that reviews, rules on returns and calls back."""
    rulings: str
    """Unit whose ruling ends a dispute between units."""
    supervisor: str
    """Unit to which overdue cases climb."""
    default_tier: str
    """Limits of a demand nobody could classify."""
    fallback_units: tuple[str, ...]
    """Shown to the desk where nothing better is known."""
    dispatch_confidence: float
    """Least confidence for a dispatch by the taxonomy's words alone, 0 to 1; a model brings thresholds of its own.

    Outcomes can ask for more (`routers.trust`).
    """
    promise: float
    """Precision that dispatches by machine shall have, 0 to 1."""
    promises: Mapping[str, float]
    """The same by category, where another is promised."""
    max_returns: int
    max_redo: int
    call_back_tries: int
    max_queue: int
    """Open cases in one unit's queue above which the desk is warned."""
    text_limits: Mapping[str, int]
    """Longest texts in characters: `demand`, `reply`, `note`."""
    return_reasons: Mapping[str, ReturnReason]
    contact_exemptions: Mapping[str, str]
    """Codes that stand for a missing contact record (I6), with their Chinese names."""
    close_exemptions: Mapping[str, str]
    """Codes that close a case although it is not known to be solved (I7)."""
    decline_codes: Mapping[str, str]
    """Codes for declining: those of the taxonomy and the city's own."""
    reveal_purposes: Mapping[str, str] = field(default_factory=lambda: frozen_map({}))
    """Codes for which an original or a contact is shown, with their Chinese names; for any other nobody sees it."""
    erase_purposes: Mapping[str, str] = field(default_factory=lambda: frozen_map({}))
    """Codes for which a demand is erased."""
    safety_words: tuple[str, ...] = ()
    """Words that tell of danger to life, whatever the category."""


@dataclass(frozen=True, slots=True)
class Channel:
    """An intake channel."""

    name: str
    zh: str
    kind: Literal["hotline", "app", "grid", "sensor"]


@dataclass(frozen=True, slots=True)
class City:
    """Everything a decision needs to know of one city."""

    code: str
    zh: str
    version: str
    """First 12 hex digits of a SHA-256 over all files of the city."""
    channels: Mapping[str, Channel]
    units: Mapping[str, Unit]
    tiers: Mapping[str, Tier]
    categories: Mapping[str, Category]
    kinds: Mapping[DemandKind, tuple[str, ...]]
    """Words by which a kind of demand is guessed."""
    out_of_scope: Mapping[str, OutOfScope]
    catalogue: tuple[CatalogueRule, ...]
    knowledge: Mapping[str, KnowledgeEntry]
    places: Places
    policies: Policies
    texts: Mapping[str, str]
    """Templates for `str.format` with the named fields of `TEXTS`."""
    parents: Mapping[str, str] = field(default_factory=lambda: frozen_map({}))
    """First-level categories: code to Chinese name."""

    def unit(self, code: str) -> Unit:
        """Return a unit.

        Raises:
            KeyError: no such unit.
        """
        return self.units[code]

    def category(self, code: str) -> Category:
        """Return a category.

        Raises:
            KeyError: no such category.
        """
        return self.categories[code]

    def tier_of(self, category: str | None) -> Tier:
        """Return the limits of a category; those of the policy where it is not known."""
        known = self.categories.get(category) if category is not None else None
        return self.tiers[known.tier if known else self.policies.default_tier]

    def text(self, key: str, **fields: str) -> str:
        """Return a text with its fields filled in; fields the template does not use are ignored.

        Raises:
            KeyError: no such text, or a field it needs is not given.
        """
        return self.texts[key].format(**fields)
