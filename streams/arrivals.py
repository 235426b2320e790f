"""What arrives at casework: records read into inputs, or into the reason why not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from routers import inputs
from routers.life import Facts, Role
from routers.privacy import mask, mask_answer
from streams import decoding, envelope, signatures
from streams import messages as wire
from streams.keys import KeyRing
from streams.records import Record
from streams.topics import COMMANDS, DEADLETTERS, DEMANDS, REPLIES


class UnknownSchemaError(Exception):
    """One of our own messages is newer than this worker: it must stop (readers are upgraded first)."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a record cannot be decided on."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """One record, read."""

    record: Record
    kind: str
    input_id: str
    actor: str
    case_id: str | None = None
    given: inputs.Input | None = None
    origin: tuple[str, int, int] | None = None
    """Where on intake it entered."""
    channel: str | None = None
    unit: str | None = None
    about: str | None = None
    """The sender's own id of this submission."""
    digest: str | None = None
    problem: Problem | None = None
    letter: wire.DeadLetter | None = None


def read(record: Record, keys: KeyRing) -> Arrival:
    """Read a record of one of casework's topics; whatever it holds, an arrival comes back.

    Raises:
        UnknownSchemaError: one of the pipeline's own messages has a version this code does not know.
    """
    try:
        return _READERS[record.topic](record, keys)
    except decoding.UndecodableError as error:
        if error.code == "unknown_schema" and record.topic in (DEMANDS, COMMANDS):
            raise UnknownSchemaError(f"{record.topic}[{record.partition}]@{record.offset}: {error.reason}") from error
        return _broken(record, Problem(error.code, error.reason))


def _broken(record: Record, problem: Problem, *, unit: str | None = None, about: str | None = None) -> Arrival:
    key = decoding.text_of(record.key)
    case_id = key if key and decoding.is_demand_id(key) else None
    # What is echoed to a sender is his own id, or nothing: a header may unfold to megabytes.
    about = about if about and decoding.is_identifier(about) else None
    return Arrival(record, "broken", record.place, unit or "unknown", case_id, unit=unit, about=about, problem=problem)


def _read_demand(record: Record, _keys: KeyRing) -> Arrival:
    message = decoding.decode(wire.TRIAGED, record.value)
    origin = (message.origin.topic, message.origin.partition, message.origin.offset)
    if isinstance(message, wire.TriagedFollowUp):
        input_id = f"{message.channel}:{message.follow_up_id}"
        return Arrival(
            record,
            message.action,
            input_id,
            Role.CITIZEN,
            message.demand_id,
            _FOLLOW_UPS[message.action](input_id, message),
            origin,
            message.channel,
            about=message.follow_up_id,
        )
    facts = Facts(
        channel=message.channel,
        created_at=message.created_at,
        received_at=message.received_at,
        title=message.title,
        text=message.text,
        address=message.address,
        place=message.place,
        classification=message.classification,
        candidates=message.verdict.candidates,
        parts=message.verdict.parts,
        confidential=message.confidential,
        reachable=message.reachable,
        digest=message.digest,
        city_version=message.city_version,
    )
    given = inputs.Register(message.demand_id, message.received_at, Role.PIPELINE, facts, message.verdict, message.tier)
    return Arrival(
        record,
        "demand",
        message.demand_id,
        Role.CITIZEN,
        message.demand_id,
        given,
        origin,
        message.channel,
        about=message.demand_id,
        digest=message.digest,
    )


_FOLLOW_UPS: Mapping[str, Callable[[str, wire.TriagedFollowUp], inputs.Input]] = {
    "urge": lambda id_, m: inputs.Urge(id_, m.created_at, Role.CITIZEN, m.text, m.channel),
    "supplement": lambda id_, m: inputs.Supplement(id_, m.created_at, Role.CITIZEN, m.text or "", m.channel),
    "withdraw": lambda id_, m: inputs.Withdraw(id_, m.created_at, Role.CITIZEN, m.text, m.channel),
    "rate": lambda id_, m: inputs.CallBack(
        id_, m.created_at, Role.CITIZEN, True, m.solved, m.satisfied, m.text, m.channel
    ),
}


def _read_reply(record: Record, keys: KeyRing) -> Arrival:
    value = record.value or b""
    key_id = envelope.header(record.headers, envelope.KEY_HEADER)
    reply_id = envelope.header(record.headers, "ce_id")
    signature = envelope.header(record.headers, envelope.SIGNATURE_HEADER)
    if not key_id or not reply_id or not signature:
        return _broken(record, Problem("unsigned", "the reply has no key id, no id or no signature"))
    key = keys.get(key_id)
    if key is None:
        return _broken(record, Problem("unknown_key", f"no unit holds the key {key_id[:64]}"))
    if not signatures.signature_holds(key.secret, reply_id, value, signature):
        return _broken(record, Problem("bad_signature", f"not signed by {key.unit}"), unit=key.unit, about=reply_id)
    try:
        reply = decoding.decode(wire.REPLY, value)
    except decoding.UndecodableError as error:
        return _broken(record, Problem(error.code, error.reason), unit=key.unit, about=reply_id)
    if reply.unit != key.unit or reply.reply_id != reply_id:
        problem = Problem("bad_signature", f"{key.unit} signed in the name of {reply.unit} or under another id")
        return _broken(record, problem, unit=key.unit, about=reply_id)
    input_id = f"{reply.unit}:{reply.reply_id}"
    return Arrival(
        record,
        reply.action,
        input_id,
        reply.unit,
        reply.case_id,
        _REPLIES[type(reply)](input_id, reply),
        unit=reply.unit,
        about=reply.reply_id,
    )


def _masked(text: str | None) -> str | None:
    return None if text is None else mask(text)


# A unit may write a citizen's number into any text. Co-handlers, desk and supervisor read these, and the
# ledger keeps them: what reaches a person stops here. What goes to the citizen may name an office (`mask_answer`).
_REPLIES: Mapping[type[wire.ReplyBase], Callable[[str, Any], inputs.Input]] = {
    wire.Accept: lambda id_, m: inputs.Accept(id_, m.at, m.unit),
    wire.ContactNote: lambda id_, m: inputs.Contact(id_, m.at, m.unit, mask(m.text)),
    wire.Note: lambda id_, m: inputs.Note(id_, m.at, m.unit, mask(m.text)),
    wire.Reveal: lambda id_, m: inputs.Reveal(id_, m.at, m.unit, m.purpose, mask_answer(m.message or ""), m.by),
    wire.Answer: lambda id_, m: inputs.Answer(id_, m.at, m.unit, mask_answer(m.text), m.result, m.exemption),
    wire.Return: lambda id_, m: inputs.Return(
        id_, m.at, m.unit, m.reason, _masked(m.basis), m.propose, _masked(m.text)
    ),
    wire.Dispatch: lambda id_, m: inputs.Rule(id_, m.at, m.unit, m.to, m.co, m.category, mask(m.reason), m.final),
    wire.Split: lambda id_, m: inputs.Split(
        id_,
        m.at,
        m.unit,
        tuple(inputs.Piece(mask(each.text), each.to, each.category, each.co) for each in m.parts),
        mask(m.reason),
    ),
    wire.Decline: lambda id_, m: inputs.Decline(id_, m.at, m.unit, m.code, mask_answer(m.text)),
    wire.CallBack: lambda id_, m: inputs.CallBack(id_, m.at, m.unit, m.reached, m.solved, m.satisfied, _masked(m.text)),
}


def _read_command(record: Record, _keys: KeyRing) -> Arrival:
    message = decoding.decode(wire.COMMAND, record.value)
    if isinstance(message, wire.OpenPart):
        return _open_part(record, message)
    given = inputs.ClockRanOut(message.command_id, message.due_at, Role.CLOCK, message.clock, message.generation)
    # Each firing is an input of its own: its generation says whether it still counts, and one that came to
    # nothing must not make a repeat of the next.
    return Arrival(record, "clock", record.place, Role.CLOCK, message.case_id, given)


def _open_part(record: Record, message: wire.OpenPart) -> Arrival:
    given = inputs.Register(
        message.command_id,
        message.at,
        Role.PIPELINE,
        message.facts,
        message.verdict,
        message.tier,
        message.parent,
        message.number,
        message.since,
        message.ruled_by,
    )
    return Arrival(record, "part", message.command_id, Role.PIPELINE, message.case_id, given)


def _read_letter(record: Record, _keys: KeyRing) -> Arrival:
    text = envelope.header(record.headers, envelope.LETTER_HEADER)
    letter = decoding.decode(wire.DEADLETTER, text.encode() if text else None)
    origin = letter.origin
    return Arrival(
        record,
        "dead_letter",
        letter.letter_id,
        "unknown",
        letter.demand_id,
        origin=(origin.topic, origin.partition, origin.offset),
        channel=letter.channel,
        about=letter.demand_id,
        letter=letter,
    )


_READERS: Mapping[str, Callable[[Record, KeyRing], Arrival]] = {
    DEMANDS: _read_demand,
    REPLIES: _read_reply,
    COMMANDS: _read_command,
    DEADLETTERS: _read_letter,
}
