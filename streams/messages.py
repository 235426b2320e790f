"""Every message on the wire, in one place: pydantic models, JSON in UTF-8.

Their headers are made in `streams.envelope`, their signatures in `streams.signatures`; `streams.decoding` reads
them. Readers ignore unknown fields; an unknown `schema` number is an error the reader decides on: a dead
letter when it came from outside, a halt when it is our own.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Literal, Self

from pydantic import Field, TypeAdapter

from routers.demand import (
    TEXT_LIMIT,
    Candidate,
    ChannelName,
    Classification,
    Demand,
    DemandId,
    DemandKind,
    Instant,
    Part,
    ResolvedPlace,
    Text,
    UnitCode,
    Value,
    Verdict,
)
from routers.life import CaseState, Facts, Role

PARTS_AT_MOST = 10
"""Cases that one split opens, at most."""

IDENTIFIER_BYTES = 128
"""Longest id a sender may make. Kafka itself bounds neither keys nor headers, least of all once they are unfolded."""

Identifier = Annotated[str, Field(min_length=1, max_length=IDENTIFIER_BYTES, pattern=r"^[\x21-\x7e]+$")]
"""An id a sender makes: printable ASCII, no blanks."""


class Message(Value):
    """Base of all wire messages."""

    schema_version: int = Field(1, alias="schema")

    @classmethod
    def ce_type(cls) -> str:
        """Return the CloudEvents type: `cn.yiwang.<noun>.v<schema>`."""
        noun = CE_NOUNS[cls]
        return f"cn.yiwang.{noun}.v1"

    @classmethod
    def of(cls, **fields: Any) -> Self:
        """Return a message of values that need no validation: they come out of our own models.

        A third of the time of `model_construct`, which asks each field for its default: ten are made a lifecycle.

        Args:
            fields: by name; those with a default may be missing.

        Raises:
            TypeError: one without a default is missing, or there is no such field.
        """
        template, required = _form(cls)
        whole = template | fields
        if len(whole) != len(template) or not required <= fields.keys():
            missing, foreign = required - fields.keys(), fields.keys() - template.keys()
            raise TypeError(f"{cls.__name__} is missing {sorted(missing)}, has no {sorted(foreign)}")
        message = cls.__new__(cls)
        put = object.__setattr__  # as pydantic's own `model_construct`: a value is frozen
        put(message, "__dict__", whole)
        put(message, "__pydantic_fields_set__", set(fields))
        put(message, "__pydantic_extra__", None)
        put(message, "__pydantic_private__", None)
        return message

    def encode(self) -> bytes:
        """Return the value bytes: JSON, absent fields left out."""
        return self.__pydantic_serializer__.to_json(self, by_alias=True, exclude_none=True)


@cache
def _form(message: type[Message]) -> tuple[dict[str, Any], frozenset[str]]:
    """Return all fields of a message in their order, with their defaults, and the names of those that have none."""
    fields = message.model_fields
    required = frozenset(name for name, field in fields.items() if field.is_required())
    return {name: None if name in required else field.get_default() for name, field in fields.items()}, required


class Origin(Value):
    """Where on intake a message came from; it is counted there once."""

    topic: str = Field(max_length=249)
    """Kafka takes no longer name."""
    partition: int
    offset: int


# ---- intake.<channel> -------------------------------------------------------------------------


class NewDemand(Message, Demand):
    """A demand, as a channel submits it."""

    schema_version: Literal[1] = Field(1, alias="schema")
    type: Literal["demand"] = "demand"


class FollowUpBase(Message):
    """What a citizen says later about an own demand."""

    schema_version: Literal[1] = Field(1, alias="schema")
    follow_up_id: Identifier
    demand_id: DemandId
    channel: ChannelName
    created_at: Instant


class Urge(FollowUpBase):
    """催办: please hurry."""

    type: Literal["urge"] = "urge"
    text: Text | None = Field(None, max_length=TEXT_LIMIT)


class Supplement(FollowUpBase):
    """补充: more facts."""

    type: Literal["supplement"] = "supplement"
    text: Text = Field(min_length=1, max_length=TEXT_LIMIT)


class Withdraw(FollowUpBase):
    """撤诉: the citizen takes the demand back."""

    type: Literal["withdraw"] = "withdraw"
    text: Text | None = Field(None, max_length=TEXT_LIMIT)


class Rate(FollowUpBase):
    """评价: the citizen says by own hand what the call-back would ask."""

    type: Literal["rate"] = "rate"
    solved: bool
    satisfied: bool | None = None
    text: Text | None = Field(None, max_length=TEXT_LIMIT)


FollowUp = Urge | Supplement | Withdraw | Rate
Intake = Annotated[NewDemand | Urge | Supplement | Withdraw | Rate, Field(discriminator="type")]
INTAKE: TypeAdapter[NewDemand | FollowUp] = TypeAdapter(Intake)

# ---- demands (triage -> casework) ----------------------------------------------------------------


class TriagedDemand(Message):
    """A demand after triage: masked, placed, classified, ruled on."""

    schema_version: Literal[1] = Field(1, alias="schema")
    type: Literal["triaged"] = "triaged"
    origin: Origin
    demand_id: DemandId
    channel: ChannelName
    client_seq: int | None = None
    created_at: datetime
    received_at: datetime
    triaged_at: datetime
    digest: str
    """SHA-256 (first 16 hex digits) of what the citizen said and where: tells an altered resubmission from a repeat."""
    title: str | None = None
    text: str
    address: str | None = None
    """Masked, as are title and text."""
    place: ResolvedPlace
    classification: Classification
    tier: str
    confidential: bool = False
    reachable: bool = True
    """The vault holds a contact; without one nobody can call back."""
    verdict: Verdict
    city_version: str


class TriagedFollowUp(Message):
    """A follow-up after triage: its text masked."""

    schema_version: Literal[1] = Field(1, alias="schema")
    type: Literal["follow_up"] = "follow_up"
    origin: Origin
    follow_up_id: Identifier
    demand_id: DemandId
    channel: ChannelName
    action: Literal["urge", "supplement", "withdraw", "rate"]
    created_at: datetime
    text: str | None = None
    solved: bool | None = None
    satisfied: bool | None = None


Triaged = Annotated[TriagedDemand | TriagedFollowUp, Field(discriminator="type")]
TRIAGED: TypeAdapter[TriagedDemand | TriagedFollowUp] = TypeAdapter(Triaged)

# ---- commands (ticker and casework -> casework) ----------------------------------------------------------


class ClockDue(Message):
    """A clock of a case has run out; ignored when `generation` is no longer current."""

    schema_version: Literal[1] = Field(1, alias="schema")
    type: Literal["clock.due"] = "clock.due"
    command_id: Identifier
    """`<case>:<clock>:<generation>`: firing twice is one command."""
    case_id: DemandId
    clock: Literal["accept", "due", "orphan"]
    generation: int = Field(ge=1)
    due_at: datetime


class OpenPart(Message):
    """A case was split: open this part of it, once."""

    schema_version: Literal[1] = Field(1, alias="schema")
    type: Literal["part.open"] = "part.open"
    command_id: Identifier
    """`<parent>:part:<number>`: told twice, it is one command."""
    case_id: DemandId
    """Made from the parent's id and the number (`routers.split.part_id`)."""
    parent: DemandId
    number: int = Field(ge=1)
    at: datetime
    since: datetime
    """Registration of the parent: the citizen's time goes on."""
    facts: Facts
    verdict: Verdict
    tier: str
    ruled_by: UnitCode


Command = Annotated[ClockDue | OpenPart, Field(discriminator="type")]
COMMAND: TypeAdapter[ClockDue | OpenPart] = TypeAdapter(Command)

# ---- replies (units -> casework) ----------------------------------------------------------------


class ReplyBase(Message):
    """What a unit says about one case; signed (`streams.signatures`)."""

    schema_version: Literal[1] = Field(1, alias="schema")
    reply_id: Identifier
    unit: UnitCode
    case_id: DemandId
    at: Instant
    by: Text | None = Field(None, max_length=64)
    """The clerk, as the unit names its people."""


class Accept(ReplyBase):
    """签收: we take it."""

    action: Literal["accept"] = "accept"


class ContactNote(ReplyBase):
    """先行联系: we have spoken to the citizen."""

    action: Literal["contact"] = "contact"
    text: Text = Field("", max_length=TEXT_LIMIT)


class Note(ReplyBase):
    """办理进展: a note of progress."""

    action: Literal["note"] = "note"
    text: Text = Field(min_length=1, max_length=TEXT_LIMIT)


class Answer(ReplyBase):
    """办结: done, with the answer for the citizen; from the desk: answered at once."""

    action: Literal["answer"] = "answer"
    text: Text = Field(min_length=1, max_length=TEXT_LIMIT)
    result: Literal["solved", "partly", "explained", "unsolvable"] = "solved"
    exemption: Text | None = Field(None, max_length=32)
    """Code that stands for the missing contact record (invariant I6)."""


class Reveal(ReplyBase):
    """查阅联系方式: bring the citizen's contact, sealed for the unit; from whoever holds the case."""

    action: Literal["reveal"] = "reveal"
    purpose: Text = Field(min_length=1, max_length=32)
    """Code of the city's policies (`reveal_purposes`)."""
    message: Text | None = Field(None, max_length=TEXT_LIMIT)
    """For the citizen, where the case is confidential: it is relayed, and no contact comes."""


class Return(ReplyBase):
    """退单: not ours, with the coded reason."""

    action: Literal["return"] = "return"
    reason: str = Field(pattern=r"^R[1-9]$")
    basis: Text | None = Field(None, max_length=2000)
    propose: UnitCode | None = None
    text: Text | None = Field(None, max_length=TEXT_LIMIT)


class Dispatch(ReplyBase):
    """派单 or 改派: the desk rules who handles it."""

    action: Literal["dispatch"] = "dispatch"
    to: UnitCode
    co: tuple[UnitCode, ...] = Field((), max_length=20)
    category: Text | None = Field(None, max_length=32)
    reason: Text = Field("", max_length=2000)
    final: bool = False
    """A ruling that cannot be returned (invariant I5)."""


class SplitPart(Value):
    """One wish of several: what of the text, whose, and about what."""

    text: Text = Field(min_length=1, max_length=TEXT_LIMIT)
    to: UnitCode
    category: Text = Field(max_length=32)
    co: tuple[UnitCode, ...] = Field((), max_length=20)


class Split(ReplyBase):
    """拆分: the desk opens a case for each wish of a text; the one split ends."""

    action: Literal["split"] = "split"
    parts: tuple[SplitPart, ...] = Field(min_length=1, max_length=PARTS_AT_MOST)
    reason: Text = Field("", max_length=2000)


class Decline(ReplyBase):
    """不予受理: the desk declines, with the place to turn to."""

    action: Literal["decline"] = "decline"
    code: Text = Field(max_length=32)
    text: Text = Field(min_length=1, max_length=TEXT_LIMIT)


class CallBack(ReplyBase):
    """回访: what the citizen said."""

    action: Literal["call_back"] = "call_back"
    reached: bool = True
    solved: bool | None = None
    satisfied: bool | None = None
    text: Text | None = Field(None, max_length=TEXT_LIMIT)


Reply = Annotated[
    Accept | ContactNote | Note | Reveal | Answer | Return | Dispatch | Split | Decline | CallBack,
    Field(discriminator="action"),
]
AnyReply = Accept | ContactNote | Note | Reveal | Answer | Return | Dispatch | Split | Decline | CallBack
REPLY: TypeAdapter[AnyReply] = TypeAdapter(Reply)

# ---- work.<unit> (casework -> units) ----------------------------------------------------------------


class WorkItem(Message):
    """One open piece of work in a unit's queue; a finished one is a tombstone under the same key."""

    schema_version: Literal[1] = Field(1, alias="schema")
    type: Literal["item"] = "item"
    case_id: DemandId
    seq: int
    """Sequence number of the case; readers drop anything not newer than what they have."""
    unit: UnitCode
    role: Role
    state: CaseState
    task: Literal["handle", "assist", "rule", "call_back", "supervise", "watch"]
    receipt: str
    parent: DemandId | None = None
    """Case of which it is a part."""
    kind: DemandKind | None = None
    category: str | None = None
    category_name: str | None = None
    urgency: str
    tier: str
    title: str | None = None
    text: str
    place: ResolvedPlace
    address: str | None = None
    created_at: datetime
    registered_at: datetime
    dispatched_at: datetime | None = None
    accept_by: datetime | None = None
    due_at: datetime | None = None
    accepted: bool = False
    contacted: bool = False
    returnable: bool = True
    redo: int = 0
    urged: int = 0
    confidential: bool = False
    reachable: bool = True
    why: str
    """Why it is here: rule and reason."""
    candidates: tuple[Candidate, ...] = ()
    parts: tuple[Part, ...] = ()
    """Several wishes in the text, as the machine sees them: for the desk, which may split the case."""
    notes: tuple[str, ...] = ()
    answer: str | None = None


class DeskNotice(Message):
    """What the desk should know and need not reply to: the machine no longer dispatches a category, or does again.

    The newest about a category is the one that holds; under the same id nothing new is said.
    """

    schema_version: Literal[1] = Field(1, alias="schema")
    type: Literal["notice"] = "notice"
    notice_id: Identifier
    """`notice/<category>/<code>/<day>`, by the day of people: told again on a day, it is a repeat."""
    unit: UnitCode
    code: Literal["dispatch_withheld", "dispatch_given_back"]
    category: str
    category_name: str
    model: str
    """Version of what classifies."""
    threshold: float | None = None
    """So sure the machine must be of this category; absent: nothing of it is dispatched by machine."""
    judged: int
    """Cases of this category whose outcome counts."""
    wrong: int
    """Of these, where another unit was the right one."""
    promise: float
    text: str
    """Chinese, for the dispatchers."""
    at: datetime


Work = Annotated[WorkItem | DeskNotice, Field(discriminator="type")]
WORK: TypeAdapter[WorkItem | DeskNotice] = TypeAdapter(Work)


class SealedContact(Value):
    """How to reach a citizen, for one unit's eyes: a `Contact` in JSON, sealed with HPKE.

    RFC 9180, base mode: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM; no associated data; the info is
    `contact_info`.
    """

    key_id: str
    """Of the unit's key pair: `<unit>.<number>`."""
    sealed: str
    """Base 64: the encapsulated key (32 bytes) and the ciphertext with its tag."""


def contact_info(unit: str, case_id: str, reply_id: str) -> bytes:
    """Return what a sealed contact is bound to: it opens as the answer to this reply only."""
    return f"yiwang contact 1\n{unit}\n{case_id}\n{reply_id}".encode()


# ---- outcome.<channel> (casework -> channels) -------------------------------------------------------


class PartTold(Value):
    """A part of a split case, as its citizen is told of it."""

    demand_id: DemandId
    """Under which its outcomes come, and follow-ups are submitted."""
    receipt: str
    unit: str
    unit_name: str


class Outcome(Message):
    """What a channel may tell its citizen: the receipt, each change of state, the answer."""

    schema_version: Literal[1] = Field(1, alias="schema")
    type: Literal["outcome"] = "outcome"
    outcome_id: str
    demand_id: str | None = None
    """Absent only when the submitted bytes named none."""
    about: str | None = None
    """Id of the submission this answers: the demand's, or the follow-up's."""
    origin: Origin | None = None
    """The intake record this answers, so that a channel can pair even what had no id."""
    channel: ChannelName
    seq: int
    """Sequence number of the case; 0 where there is no case."""
    code: str
    """`accepted`, `duplicate`, `follow_up`, `state`, `relayed` (a unit's message), or the code of a refusal."""
    refused: bool = False
    state: str | None = None
    receipt: str | None = None
    unit: str | None = None
    unit_name: str | None = None
    due_at: datetime | None = None
    text: str
    """Chinese, for the citizen."""
    answer: str | None = None
    parent: str | None = None
    """Demand of which this is a part, opened by a split."""
    parts: tuple[PartTold, ...] | None = None
    """What a demand was split into; with its state `split` only."""
    at: datetime


OUTCOME: TypeAdapter[Outcome] = TypeAdapter(Outcome)

# ---- deadletters ----------------------------------------------------------------------------------


class DeadLetter(Message):
    """What is known of a message that could not be decided on; travels as headers (`yw_*`).

    The value is the original bytes, sealed by the vault.
    """

    schema_version: Literal[1] = Field(1, alias="schema")
    type: Literal["dead_letter"] = "dead_letter"
    letter_id: str = Field(max_length=300)
    origin: Origin
    stage: Literal["triage", "casework"]
    code: str = Field(max_length=64)
    reason: str = Field(max_length=500)
    demand_id: DemandId | None = None
    channel: str | None = Field(None, max_length=32)
    size: int | None = None
    """Bytes of the original, when it was too large to be kept whole: only its beginning is sealed."""
    at: datetime


DEADLETTER: TypeAdapter[DeadLetter] = TypeAdapter(DeadLetter)

CE_NOUNS: Mapping[type[Message], str] = {
    NewDemand: "demand.submitted",
    Urge: "demand.urged",
    Supplement: "demand.supplemented",
    Withdraw: "demand.withdrawn",
    Rate: "demand.rated",
    TriagedDemand: "demand.triaged",
    TriagedFollowUp: "demand.followed_up",
    ClockDue: "clock.due",
    OpenPart: "part.open",
    Accept: "reply.accept",
    ContactNote: "reply.contact",
    Note: "reply.note",
    Reveal: "reply.reveal",
    Answer: "reply.answer",
    Return: "reply.return",
    Dispatch: "reply.dispatch",
    Split: "reply.split",
    Decline: "reply.decline",
    CallBack: "reply.call_back",
    WorkItem: "work.item",
    DeskNotice: "desk.notice",
    Outcome: "demand.outcome",
    DeadLetter: "deadletter",
}
"""Message to CloudEvents noun; the list of every message there is."""
