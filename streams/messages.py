"""Every message on the wire, in one place: pydantic models, JSON in UTF-8, CloudEvents 1.0 headers.

Binary content mode (CloudEvents Kafka binding 1.0): the value is the data, the attributes
are headers `ce_<name>`. Readers ignore unknown fields; an unknown `schema` number is an error
the reader decides on: a dead letter when it came from outside, a halt when it is our own.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Literal, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from routers.demand import (
    TEXT_LIMIT,
    Candidate,
    ChannelName,
    Classification,
    Demand,
    DemandId,
    DemandKind,
    Instant,
    ResolvedPlace,
    Text,
    UnitCode,
    Value,
    Verdict,
)
from routers.life import CaseState, Role

M = TypeVar("M")

Headers = Sequence[tuple[str, bytes]]
"""Kafka headers as every client library gives them."""

SOURCE = "/yiwang"
"""CloudEvents source of everything the pipeline itself says."""

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

    def encode(self) -> bytes:
        """Return the value bytes: JSON, absent fields left out."""
        return self.model_dump_json(by_alias=True, exclude_none=True).encode()


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

# ---- commands (clock ticker -> casework) ----------------------------------------------------------


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


COMMAND: TypeAdapter[ClockDue] = TypeAdapter(ClockDue)

# ---- replies (units -> casework) ----------------------------------------------------------------


class ReplyBase(Message):
    """What a unit says about one case; signed (`sign`)."""

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
    Accept | ContactNote | Note | Reveal | Answer | Return | Dispatch | Decline | CallBack,
    Field(discriminator="action"),
]
AnyReply = Accept | ContactNote | Note | Reveal | Answer | Return | Dispatch | Decline | CallBack
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

SEQUENCE_HEADER = "ce_sequence"
REPLY_HEADER = "ce_replyid"
RESULT_HEADER = "ce_result"
RESULT_TEXT_HEADER = "ce_resulttext"
"""A record on a work queue that answers a reply says so in these headers: which reply, its
result (`applied`, `relayed`, or a refusal's code) and the clerk's text. Its value is what the unit
now has open of that case, or nothing."""

CONTACT_HEADER = "yw_contact"
"""On the record that answers a `reveal`: the contact as a `SealedContact` in JSON."""


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
    Accept: "reply.accept",
    ContactNote: "reply.contact",
    Note: "reply.note",
    Reveal: "reply.reveal",
    Answer: "reply.answer",
    Return: "reply.return",
    Dispatch: "reply.dispatch",
    Decline: "reply.decline",
    CallBack: "reply.call_back",
    WorkItem: "work.item",
    DeskNotice: "desk.notice",
    Outcome: "demand.outcome",
    DeadLetter: "deadletter",
}
"""Message to CloudEvents noun; the list of every message there is."""


_FIXED_HEADERS = {
    message: (
        ("content-type", b"application/json"),
        ("ce_specversion", b"1.0"),
        ("ce_type", message.ce_type().encode()),
    )
    for message in CE_NOUNS
}


def ce_headers(
    message_type: type[Message],
    event_id: str,
    *,
    subject: str | None = None,
    at: datetime | None = None,
    source: str = SOURCE,
    **extensions: str,
) -> list[tuple[str, bytes]]:
    """Return the CloudEvents 1.0 attributes of a message as Kafka headers (binary mode).

    Args:
        message_type: gives `ce_type`.
        event_id: unique within `source`.
        subject: the case id, usually.
        at: `ce_time`.
        source: who says it: a channel, a unit or the pipeline.
        extensions: further attributes; names lower-case letters and digits only.
    """
    pairs = [*_FIXED_HEADERS[message_type], ("ce_id", event_id.encode()), ("ce_source", source.encode())]
    if subject is not None:
        pairs.append(("ce_subject", subject.encode()))
    if at is not None:
        pairs.append(("ce_time", rfc3339(at).encode()))
    pairs += [(f"ce_{name}", value.encode()) for name, value in extensions.items()]
    return pairs


@lru_cache(maxsize=256)
def rfc3339(at: datetime) -> str:
    """Return a moment as RFC 3339 in UTC with microseconds and `Z`."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def header(headers: Headers | None, name: str) -> str | None:
    """Return the last header of that name as text, or None; undecodable bytes count as absent."""
    for key, value in reversed(headers or ()):
        if key == name and value is not None:
            try:
                return bytes(value).decode()
            except UnicodeDecodeError:
                return None
    return None


def letter_bytes(value: bytes | None) -> bytes:
    """Return what a dead letter keeps of an original."""
    return (value or b"")[:LETTER_BYTES]


def letter_size(value: bytes | None) -> int | None:
    """Return the size of an original that is not kept whole, None for one that is."""
    return len(value) if value is not None and len(value) > LETTER_BYTES else None


def letter_key(key: bytes | None, letter_id: str) -> bytes:
    """Return the key of a dead letter: its original's, or the letter's own where that is none or could be no id."""
    return key if key and len(key) <= IDENTIFIER_BYTES else letter_id.encode()


def text_of(raw: bytes | None) -> str | None:
    """Return bytes as text, None when there are none or they are not UTF-8."""
    try:
        return raw.decode() if raw is not None else None
    except UnicodeDecodeError:
        return None


_DEMAND_ID: TypeAdapter[str] = TypeAdapter(DemandId)
_IDENTIFIER: TypeAdapter[str] = TypeAdapter(Identifier)


def is_demand_id(text: str) -> bool:
    """Tell whether a text has the form of a demand id."""
    return _fits(_DEMAND_ID, text)


def is_identifier(text: str) -> bool:
    """Tell whether a text has the form of an id that senders make."""
    return _fits(_IDENTIFIER, text)


def _fits(form: TypeAdapter[str], text: str) -> bool:
    try:
        form.validate_python(text)
    except ValidationError:
        return False
    return True


# ---- signatures -----------------------------------------------------------------------------------

LETTER_BYTES = 1_048_588
"""What a dead letter keeps of its original at most; a compressed record can unfold to far more."""

LETTER_HEADER = "yw_letter"
"""A dead letter's `DeadLetter` as JSON; its value is the sealed original."""

KEY_HEADER = "yw_key"
SIGNATURE_HEADER = "yw_signature"


def sign(secret: bytes, reply_id: str, value: bytes) -> str:
    """Return the signature of a reply: hex HMAC-SHA256 (RFC 2104) over its id, a line feed and its bytes."""
    return hmac.new(secret, reply_id.encode() + b"\n" + value, hashlib.sha256).hexdigest()


def signature_holds(secret: bytes, reply_id: str, value: bytes, signature: str) -> bool:
    """Tell in constant time whether `sign` gives this signature."""
    return hmac.compare_digest(sign(secret, reply_id, value).encode(), signature.encode())


# ---- decoding -------------------------------------------------------------------------------------


class UndecodableError(Exception):
    """A message that cannot be read; `code` is for machines, the text for people."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


_FIRST_MISTAKE: Iterable[tuple[tuple[str, ...], str, str, str]] = (
    # kinds of mistake in pydantic's words, field, words of the message, code
    (("json_invalid",), "", "hex escape", "lone_surrogate"),  # an escape that UTF-8 cannot hold
    (("json_invalid",), "", "", "not_json"),
    (("missing",), "crs", "", "coordinates_without_system"),
    (("string_too_long", "too_long"), "text", "", "text_too_long"),
    (("string_too_long", "too_long"), "answer", "", "text_too_long"),
    (("union_tag_invalid",), "", "", "unknown_type"),
    (("value_error",), "", "NUL byte", "nul_byte"),
    (("value_error",), "", "surrogate", "lone_surrogate"),
    (("value_error", "datetime_parsing", "datetime_from_date_parsing"), "", "is outside", "time_out_of_range"),
    (("datetime_parsing", "datetime_from_date_parsing"), "", "after 9999", "time_out_of_range"),
)


LARGEST = 2 * 1_048_588
"""Bytes of the largest value any topic takes. A compressed record may hide more, and is not even parsed."""

_MANY_MISTAKES = 1000
"""Listing pydantic's mistakes costs 7 µs each, and a list of a megabyte can hold half a million of them."""


def decode(adapter: TypeAdapter[M], value: bytes | None) -> M:
    """Read one message.

    Args:
        adapter: one of the module's adapters (`INTAKE`, `TRIAGED`, `REPLY`, ...).
        value: the record's bytes.

    Raises:
        UndecodableError: with a coded reason; nothing else.
    """
    if value is None:
        raise UndecodableError("empty", "the record has no value")
    if len(value) > LARGEST:
        raise UndecodableError("text_too_long", f"the record has {len(value)} bytes, {LARGEST} at most are read")
    try:
        return adapter.validate_json(value)
    except ValidationError as error:
        raise _reading_error(error) from error
    except (ValueError, RecursionError) as error:
        raise UndecodableError("invalid", str(error)[:500]) from error


def _reading_error(error: ValidationError) -> UndecodableError:
    """Turn pydantic's list of mistakes into one code and one short text without any of the data.

    The first mistake names it, unless the schema is unknown: then all others follow from that.
    """
    if error.error_count() > _MANY_MISTAKES:
        return UndecodableError("invalid", f"{error.error_count()} mistakes")
    mistakes = error.errors(include_url=False, include_input=False, include_context=False)
    newer = [each for each in mistakes if each["type"] == "literal_error" and each["loc"][-1:] == ("schema",)]
    first = (newer or mistakes)[0]
    where = ".".join(str(part) for part in first["loc"])
    message = (f"{where}: {first['msg']}" if where else first["msg"])[:500]
    if newer:
        return UndecodableError("unknown_schema", message)
    for kinds, field, words, code in _FIRST_MISTAKE:
        if first["type"] in kinds and words in first["msg"] and field in ("", *first["loc"][-1:]):
            return UndecodableError(code, message)
    return UndecodableError("invalid", message)
