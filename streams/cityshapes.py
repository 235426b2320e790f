"""The shape of each file of a city: which keys, of which kind. What they mean to each other is checked elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict, StringConstraints

from routers.city import LocationNeed, NumberRange
from routers.demand import ChannelName, DemandKind, UnitCode, Urgency

_DURATION = re.compile(r"([1-9][0-9]{0,3})(m|h|d)", re.ASCII)
_NUMBERS = re.compile(r"([1-9][0-9]{0,4})(?:-([1-9][0-9]{0,4}))?(?: (odd|even))?", re.ASCII)
_FOLDED = re.compile(r"(?<=[\u3000-\u9fff\uff00-\uffef]) (?=[\u3000-\u9fff\uff00-\uffef])")
_STEPS: dict[str, Callable[[int], timedelta]] = {
    "m": lambda count: timedelta(minutes=count),
    "h": lambda count: timedelta(hours=count),
    "d": lambda count: timedelta(days=count),
}


def _duration(value: object) -> timedelta:
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("must be a number with m, h or d, as in 15m, 4h or 7d")
    return _STEPS[found[2]](int(found[1]))


def _numbers(value: object) -> NumberRange:
    found = None if isinstance(value, bool) else _NUMBERS.fullmatch(str(value))
    if found is None:
        raise ValueError(f"{value!r} is not written as 18, 1-39, 1-39 odd or 2-40 even")
    first, last, side = int(found[1]), int(found[2] or found[1]), found[3]
    step = 1 if side is None else 2
    if side is not None and first % 2 != (side == "odd"):
        first += 1
    if first > last:
        raise ValueError(f"{value} holds no number")
    return NumberRange(first, last, step)


def _day(value: object) -> date:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError as error:
            raise ValueError(f"{value!r} is not a date like 2026-01-31") from error
    if not isinstance(value, date):
        raise ValueError("must be a date like 2026-01-31")  # noqa: TRY004 - pydantic wants a ValueError
    return value


def _unique(values: tuple[str, ...]) -> tuple[str, ...]:
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise ValueError(f"{'、'.join(twice)} stands twice")
    return values


def _joined(text: str) -> str:
    """Take out the spaces that folding lines puts between Chinese characters, where no space belongs."""
    return _FOLDED.sub("", text)


Name = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Code = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$")]
Names = Annotated[tuple[Name, ...], AfterValidator(_unique)]
Duration = Annotated[timedelta, BeforeValidator(_duration)]
Numbers = Annotated[NumberRange, BeforeValidator(_numbers)]
Day = Annotated[date, BeforeValidator(_day)]
Count = Annotated[int, Strict(), Field(ge=0)]
Share = Annotated[float, Strict(), Field(ge=0, le=1)]
Flag = Annotated[bool, Strict()]
Longitude = Annotated[float, Strict(), Field(ge=-180, le=180, allow_inf_nan=False)]
Latitude = Annotated[float, Strict(), Field(ge=-90, le=90, allow_inf_nan=False)]
Outline = Annotated[tuple[tuple[Longitude, Latitude], ...], Field(min_length=3)]


class Shape(BaseModel):
    """Base: frozen, and no key but the named ones, so that a typing error is seen."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ChannelShape(Shape):
    """A channel of `city.yaml`."""

    zh: Name
    kind: Literal["hotline", "app", "grid", "sensor"]


class CityShape(Shape):
    """`city.yaml`."""

    version: Any = None
    code: Code
    zh: Name
    en: str = ""
    channels: Annotated[dict[ChannelName, ChannelShape], Field(min_length=1)]
    outside: Names = ()


class UnitShape(Shape):
    """A unit of `units.yaml`."""

    code: UnitCode
    num: Annotated[str, Field(pattern=r"^[0-9]{1,8}$")] = ""
    zh: Name
    short: Name
    en: str = ""
    kind: Literal["hub", "bureau", "sub_unit", "vertical", "party", "mass", "utility", "street", "town", "virtual"]
    level: Literal["district", "municipal", "street", "enterprise"] = "district"
    hours: Literal["24x7", "office", "on_call"] = "office"
    duties: Names = ()
    aliases: Names = ()
    dispatchable: Flag = True
    resolve: Literal["geography", "operator"] | None = None
    choices: Names = ()


class AlternativeShape(Shape):
    """A second reading of a limit that a city may report by."""

    clock: Literal["natural", "working"]
    close: Duration


class TierShape(Shape):
    """A class of limits of `taxonomy.yaml`."""

    zh: Name
    en: str = ""
    clock: Literal["natural", "working"]
    alternative: AlternativeShape | None = None
    accept: Duration
    first_contact: Duration
    close: Duration
    extensions: Count = 0
    extension_max: Duration | None = None
    warn_yellow: Share = 0.7
    warn_red: Share = 0.9


class KindShape(Shape):
    """A kind of demand of `taxonomy.yaml`."""

    code: DemandKind
    zh: Name
    en: str = ""
    cues: Names = ()


class OutOfScopeShape(Shape):
    """A matter the city does not handle, of `taxonomy.yaml`."""

    code: Code
    zh: Name
    en: str = ""
    action: Literal["live_transfer", "inform", "restricted_transfer", "transfer_area", "hold_then_close", "decline"]
    to: str = ""
    kw: Names = ()
    unless: Names = ()


class CategoryShape(Shape):
    """A second-level category of `taxonomy.yaml`."""

    code: Code
    zh: Name
    en: str = ""
    kw: Names = ()
    lead: UnitCode
    co: Names = ()
    urgency: Urgency
    tier: Code
    location: LocationNeed
    flags: Annotated[
        tuple[
            Literal[
                "direct",
                "safety",
                "call_first",
                "confidential",
                "group",
                "legacy",
                "sensitive",
                "knowledge",
                "suggestion",
            ],
            ...,
        ],
        AfterValidator(_unique),
    ] = ()
    season: Literal["summer", "winter", "rain"] | None = None


class RuleShape(Shape):
    """A rule of `catalogue.yaml`."""

    id: Code
    category: Code
    place: Code | None = None
    unit: UnitCode
    co: Names = ()
    effective: Day
    expires: Day | None = None


class PlaceShape(Shape):
    """What every place of `places.yaml` has."""

    code: Code
    zh: Name
    aliases: Names = ()
    old_names: Names = ()
    outline: Outline


class GridShape(PlaceShape):
    """A grid of `places.yaml`."""

    numbers: dict[Name, Annotated[tuple[Numbers, ...], Field(min_length=1)]] = Field(default_factory=dict)


class CommunityShape(PlaceShape):
    """A community or village of `places.yaml`."""

    grids: tuple[GridShape, ...] = ()


class StreetShape(PlaceShape):
    """A street or town of `places.yaml`."""

    communities: tuple[CommunityShape, ...] = ()


class DistrictShape(Shape):
    """The whole area of `places.yaml`."""

    code: Code
    zh: Name
    outline: Outline


class EntryShape(Shape):
    """An answer of `knowledge.yaml`."""

    id: Code
    title: Name
    patterns: Annotated[tuple[Annotated[Names, Field(min_length=1)], ...], Field(min_length=1)]
    answer: Annotated[Name, AfterValidator(_joined)]
    category: Code
    owner: UnitCode
    effective: Day
    expires: Day
    approved: Flag


class ReasonShape(Shape):
    """A return reason of `policies.yaml`."""

    zh: Name
    needs_basis: Flag = False
    needs_proposal: Flag = False


class LimitsShape(Shape):
    """Longest texts, in characters."""

    demand: Annotated[Count, Field(ge=1)]
    reply: Annotated[Count, Field(ge=1)]
    note: Annotated[Count, Field(ge=1)]


class PoliciesShape(Shape):
    """`policies.yaml`."""

    version: Any = None
    desk: UnitCode
    rulings: UnitCode
    supervisor: UnitCode
    default_tier: Code
    fallback_units: Names = ()
    dispatch_confidence: Share
    promise: Share = 0.995
    promises: dict[Code, Share] = Field(default_factory=dict)
    max_returns: Count
    max_redo: Count
    call_back_tries: Annotated[Count, Field(ge=1)]
    max_queue: Annotated[Count, Field(ge=1)]
    text_limits: LimitsShape
    return_reasons: Annotated[dict[Code, ReasonShape], Field(min_length=1)]
    contact_exemptions: dict[Code, Name]
    close_exemptions: dict[Code, Name]
    decline_codes: dict[Code, Name] = Field(default_factory=dict)
    reveal_purposes: dict[Code, Name] = Field(default_factory=dict)
    erase_purposes: dict[Code, Name] = Field(default_factory=dict)
    safety_words: Names = ()
