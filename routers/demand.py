"""What a citizen hands in (诉求), in the words every ring shares.

Values only: pydantic models, frozen, that check themselves when they are made. The
wire formats of `streams.messages` are composed of them; decisions read them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

TEXT_LIMIT = 20_000
"""Longest free text that is told on, in characters; a longer answer or follow-up is refused with `text_too_long`."""

DEMAND_LIMIT = 102_400
"""Longest text of a demand, in characters. Of one beyond `TEXT_LIMIT` people are shown the beginning, the vault keeps
all; one beyond this is refused with `text_too_long`."""

YEARS = (1990, 2100)
"""A time outside these years is a typing error or an attack, never a demand (`time_out_of_range`)."""


def _clean_text(text: str) -> str:
    """Refuse what no database and no screen can hold.

    Raises:
        ValueError: NUL bytes or lone surrogates.
    """
    if "\x00" in text:
        raise ValueError("text holds a NUL byte")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("text holds a lone surrogate") from error
    return text


def _sane_time(at: datetime) -> datetime:
    """Refuse times that no demand can carry, and store the rest in UTC.

    Raises:
        ValueError: a year outside `YEARS`.
    """
    if not YEARS[0] <= at.year <= YEARS[1]:
        raise ValueError(f"year {at.year} is outside {YEARS[0]} to {YEARS[1]}")
    return at.astimezone(UTC)


Text = Annotated[str, AfterValidator(_clean_text)]
"""A string that can be stored anywhere: no NUL byte, no lone surrogate."""

Instant = Annotated[AwareDatetime, AfterValidator(_sane_time)]
"""A moment with a zone, held in UTC, in a year that makes sense."""

DemandId = Annotated[str, Field(pattern=r"^[0-7][0-9A-HJKMNP-TV-Z]{25}$")]
"""A ULID (github.com/ulid/spec): 26 characters of Crockford's base 32. It is also the case id and the Kafka key."""

ChannelName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
"""The name of an intake channel, as in `intake.<channel>`."""

UnitCode = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9-]{1,31}$")]
"""The code of a unit (承办单位), as in `work.<unit>`."""


class Value(BaseModel):
    """Base of all shared values: frozen; fields a later version added are ignored; JSON has no infinity."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, allow_inf_nan=False)


class DemandKind(StrEnum):
    """What the citizen wants (诉求类型), independent of the category."""

    CONSULT = "CONSULT"
    HELP = "HELP"
    COMPLAINT = "COMPLAINT"
    REPORT = "REPORT"
    SUGGEST = "SUGGEST"
    PRAISE = "PRAISE"


class CoordinateSystem(StrEnum):
    """Coordinate systems a sender may declare; an undeclared one is refused (GCJ-02 lies 500 m off)."""

    WGS84 = "WGS-84"
    CGCS2000 = "CGCS2000"
    GCJ02 = "GCJ-02"
    BD09 = "BD-09"


class Coordinates(Value):
    """A point in degrees, in the system its sender names."""

    lon: float = Field(ge=-180, le=180, allow_inf_nan=False)
    lat: float = Field(ge=-90, le=90, allow_inf_nan=False)
    crs: CoordinateSystem


class DeclaredPlace(Value):
    """Where it is, as the sender says: any of a community code, an address and a point."""

    community: Text | None = Field(None, max_length=64)
    address: Text | None = Field(None, max_length=500)
    coordinates: Coordinates | None = None


class Contact(Value):
    """How to reach the citizen. Goes to the vault; nothing else ever holds it."""

    name: Text | None = Field(None, max_length=100)
    phone: Text | None = Field(None, max_length=32)
    email: Text | None = Field(None, max_length=254)
    note: Text | None = Field(None, max_length=500)


class Attachment(Value):
    """A file by reference: the pipeline carries the address and the sum, never the bytes."""

    uri: Text = Field(max_length=2000)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    media_type: str = Field(pattern=r"^[\w.+-]+/[\w.+-]+$", max_length=127)
    size: int = Field(ge=0)
    """Bytes."""


class SelfHandled(Value):
    """A grid worker (网格员) solved it on the spot (自处置); it is recorded all the same."""

    note: Text = Field(max_length=2000)
    at: Instant


class Device(Value):
    """A machine that reports: a camera, a drone, a sensor."""

    id: Text = Field(max_length=64)
    confidence: float = Field(ge=0, le=1)
    clip: Text | None = Field(None, max_length=2000)
    """Reference to the recording, never the recording."""


class Demand(Value):
    """One demand as its channel submits it, before triage has looked at it."""

    demand_id: DemandId
    channel: ChannelName
    client_seq: int | None = Field(None, ge=0, le=2**63 - 1)
    """The channel's own running number, to find gaps on its side."""
    created_at: Instant
    """When the citizen said it (original time)."""
    received_at: Instant
    """When the channel took it in."""
    kind: DemandKind | None = None
    title: Text | None = Field(None, max_length=500)
    text: Text = Field(max_length=DEMAND_LIMIT)
    """May be empty: a photograph says something too."""
    contact: Contact | None = None
    confidential: bool = False
    place: DeclaredPlace | None = None
    attachments: tuple[Attachment, ...] = Field((), max_length=50)
    answered_by: Text | None = Field(None, max_length=64)
    """The hotline's agent who answered at once; `answer` is then required."""
    answer: Text | None = Field(None, max_length=TEXT_LIMIT)
    self_handled: SelfHandled | None = None
    device: Device | None = None

    def model_post_init(self, _context: Any) -> None:
        """Hold the one rule between fields.

        Raises:
            ValueError: `answered_by` without `answer` or the other way round.
        """
        if (self.answered_by is None) != (self.answer is None):
            raise ValueError("answered_by and answer belong together")


class Urgency(StrEnum):
    """How fast it hurts."""

    CRITICAL = "critical"
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


class Neighbour(Value):
    """Another grid within 50 m of the point, or the one around it where a community elsewhere is declared."""

    grid: str
    """Code of the grid; of the community or street where no grids are drawn."""
    street: str
    """Code of its street or town, which may be another one."""
    name: str
    """Its Chinese name."""


class ResolvedPlace(Value):
    """The place triage settled on; codes are those of the city's places file."""

    street: str | None = None
    """Code of the street or town, which is also the code of its unit."""
    community: str | None = None
    grid: str | None = None
    name: str | None = None
    """Chinese name for people, the most exact part known."""
    lon: float | None = None
    lat: float | None = None
    """Degrees, WGS-84."""
    original: Coordinates | None = None
    """The point as its sender gave it, in the system its sender named; `lon` and `lat` are made from it."""
    near: tuple[Neighbour, ...] = ()
    """Other grids within 50 m of the point, the nearest first."""
    found_by: str | None = None
    """`community`, `coordinates`, `text` or `address`."""
    outside: bool = False
    """The place is known and lies outside the city."""


class Candidate(Value):
    """One unit that could act, and why (shown to the desk)."""

    unit: UnitCode
    category: str
    score: float = Field(ge=0)
    why: str


class Part(Value):
    """One of several wishes in a text, as proposed to the desk for a split (拆分)."""

    start: int = Field(ge=0)
    end: int = Field(ge=0)
    """Where it stands in the masked text: characters `start` to before `end`."""
    category: str
    unit: UnitCode | None = None
    """Whose it is by the catalogue, where that is settled."""


class Classification(Value):
    """What triage thinks it is. `confidence` is 0 to 1; `why` names the evidence."""

    category: str | None = None
    kind: DemandKind | None = None
    urgency: Urgency = Urgency.NORMAL
    safety: bool = False
    confidence: float = Field(0.0, ge=0, le=1)
    why: tuple[str, ...] = ()
    model: str


class Ruling(StrEnum):
    """The ways out of triage."""

    DISPATCH = "dispatch"
    ANSWER = "answer"
    ANSWERED = "answered"
    DECLINE = "decline"
    DESK = "desk"


class Verdict(Value):
    """What triage decides about one demand."""

    ruling: Ruling
    reason: str
    """Machine code: why this ruling (`catalogue`, `knowledge`, `out_of_scope`, `unclear`, `no_category`, ...)."""
    unit: UnitCode | None = None
    """The lead (主办) when dispatched; the place to turn to may be a unit when declined."""
    co: tuple[UnitCode, ...] = ()
    rule: str | None = None
    """Id of the catalogue rule, knowledge entry or out-of-scope rule that decided."""
    text: str | None = None
    """Chinese text for the citizen when answered or declined."""
    candidates: tuple[Candidate, ...] = Field((), max_length=3)
    watch: bool = False
    """Dispatched at once because it is urgent, though the machine is not sure: the desk is told and may move it."""
    parts: tuple[Part, ...] = ()
    """Several wishes, in the order of the text; empty where there is one. The desk splits the case, or does not."""
