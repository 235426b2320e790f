"""A city as data: units, taxonomy, catalogue, places, knowledge, policies and texts, typed and immutable.

Loaded from a folder of YAML by `streams.cityfile`. The code names no city, unit or category.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

Outline = tuple[tuple[float, float], ...]
"""A ring of (longitude, latitude) in degrees, WGS-84, not closed."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit that can hold a case (承办单位)."""

    code: str
    zh: str
    short: str
    en: str
    kind: str
    level: str
    hours: str
    duties: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    dispatchable: bool = True
    resolve: str | None = None
    """Only for `kind == "virtual"`: `geography` or `operator`."""


@dataclass(frozen=True, slots=True)
class Tier:
    """A service tier: how long what may take."""

    code: str
    zh: str
    en: str
    clock: str
    accept: timedelta
    first_contact: timedelta
    close: timedelta
    extensions: int = 0
    warn_yellow: float = 0.7
    warn_red: float = 0.9


@dataclass(frozen=True, slots=True)
class Category:
    """A second-level demand category (诉求分类)."""

    code: str
    parent: str
    zh: str
    en: str
    keywords: tuple[str, ...]
    lead: str
    co: tuple[str, ...]
    urgency: str
    tier: str
    location: str
    """`required`, `optional` or `none`."""
    flags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class OutOfScope:
    """What the city does not handle (不予受理), and where to turn."""

    code: str
    zh: str
    en: str
    action: str
    to: str
    keywords: tuple[str, ...]
    text: str
    """What the citizen is told."""


@dataclass(frozen=True, slots=True)
class CatalogueRule:
    """A line of the dispatch catalogue (派单目录)."""

    id: str
    category: str
    unit: str
    co: tuple[str, ...]
    effective: date
    place: str | None = None
    """Street code; None for everywhere."""
    expires: date | None = None

    def in_force(self, on: date) -> bool:
        """Tell whether the rule holds on a day."""
        return self.effective <= on and (self.expires is None or on <= self.expires)


@dataclass(frozen=True, slots=True)
class KnowledgeEntry:
    """An approved answer (知识库)."""

    id: str
    title: str
    patterns: tuple[tuple[str, ...], ...]
    """It matches when all words of any of these occur."""
    answer: str
    category: str
    owner: str
    effective: date
    expires: date
    approved: bool

    def in_force(self, on: date) -> bool:
        """Tell whether the entry may answer on a day."""
        return self.approved and self.effective <= on <= self.expires


@dataclass(frozen=True, slots=True)
class Area:
    """A street or town, a community, or a grid."""

    code: str
    zh: str
    aliases: tuple[str, ...]
    outline: Outline
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class ReturnReason:
    """Why a unit may return a case (退单理由)."""

    code: str
    zh: str
    needs_basis: bool
    needs_proposal: bool


@dataclass(frozen=True, slots=True)
class Policies:
    """The rules of the house."""

    desk: str
    """The unit that holds what no unit does: dispatchers and call-back."""
    supervisor: str
    max_returns: int
    max_redo: int
    call_back_tries: int
    dispatch_confidence: float
    """Confidence, 0 to 1, from which the machine dispatches by itself."""
    return_reasons: Mapping[str, ReturnReason]
    contact_exemptions: Mapping[str, str]
    close_exemptions: Mapping[str, str]
    decline_codes: Mapping[str, str]
    default_tier: str


@dataclass(frozen=True, slots=True)
class Channel:
    """An intake channel."""

    name: str
    zh: str
    kind: str
    """`hotline`, `app`, `grid` or `sensor`."""


@dataclass(frozen=True, slots=True)
class City:
    """One city, whole."""

    code: str
    zh: str
    en: str
    version: str
    """First 12 hex digits of the SHA-256 of its files."""
    units: Mapping[str, Unit]
    tiers: Mapping[str, Tier]
    categories: Mapping[str, Category]
    out_of_scope: Mapping[str, OutOfScope]
    catalogue: tuple[CatalogueRule, ...]
    knowledge: tuple[KnowledgeEntry, ...]
    outline: Outline
    streets: Mapping[str, Area]
    communities: Mapping[str, Area]
    grids: Mapping[str, Area]
    policies: Policies
    texts: Mapping[str, str]
    channels: Mapping[str, Channel]

    def text(self, key: str, **fields: str) -> str:
        """Return a text for people; `{names}` in it are filled in.

        Raises:
            KeyError: the city has no such text (the loader has checked all there must be).
        """
        return self.texts[key].format_map(fields)
