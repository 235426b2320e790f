"""Dead letters as they lie on their topic: what is known of each, and the way back to intake.

Their original bytes are sealed; only the vault opens them, and writes down for whom.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from streams import decoding, envelope
from streams import messages as wire
from streams.client import ClientError, Reader, Sender
from streams.kafka_access import KafkaAccess
from streams.topics import DEADLETTERS, channel_of

_POLL = 0.2
_READ_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter."""

    about: wire.DeadLetter
    sealed: bytes

    @property
    def context(self) -> bytes:
        """Return what its bytes are bound to: the place where the original lies."""
        origin = self.about.origin
        return f"{origin.topic}/{origin.partition}/{origin.offset}".encode()


def letters(access: KafkaAccess) -> Iterator[Letter]:
    """Read all dead letters that the topic still holds, each once.

    Raises:
        ClientError: the cluster does not answer.
    """
    seen: set[str] = set()
    reader = Reader(access, "yiwang-deadletters", [DEADLETTERS])
    try:
        ends = reader.ends()
        reader.seek(reader.starts())
        deadline = time.monotonic() + _READ_SECONDS
        while any(offset < ends[partition] for partition, offset in reader.position().items()):
            if time.monotonic() > deadline:
                raise ClientError("unreachable", f"the dead letters could not be read in {_READ_SECONDS:.0f} s")
            for record in reader.poll(_POLL):
                text = envelope.header(record.headers, envelope.LETTER_HEADER)
                try:
                    about = decoding.decode(wire.DEADLETTER, text.encode() if text else None)
                except decoding.UndecodableError:
                    continue  # nobody but the pipeline writes here; what is no letter of ours is not shown as one
                if about.letter_id not in seen:  # a worker that takes over says it again
                    seen.add(about.letter_id)
                    yield Letter(about, record.value or b"")
    finally:
        reader.close()


def find(access: KafkaAccess, name: str) -> Letter | None:
    """Return the letter of this id, or of the original at this place (`topic/partition/offset`)."""
    wanted = name if name.startswith("letter/") else f"letter/{name}"
    return next((letter for letter in letters(access) if letter.about.letter_id == wanted), None)


def why_not_replayed(letter: Letter) -> str | None:
    """Tell why a letter cannot be handed in again, None for one that can."""
    if channel_of(letter.about.origin.topic) is None:
        return f"it came from {letter.about.origin.topic}; its sender must send it again, signed anew"
    if letter.about.size is not None:
        return "it was too large to be kept whole"
    return None


def replay(access: KafkaAccess, letter: Letter, original: bytes) -> wire.Origin:
    """Hand the original in again, as a new record of its channel; triage decides on it as on any other.

    Args:
        access: how to reach the cluster.
        letter: one that `why_not_replayed` has nothing against.
        original: its bytes, as the vault opened them.

    Returns:
        Where it lies on intake now.

    Raises:
        ClientError: it still cannot be decided on (`again`), or the cluster does not take it.
    """
    try:
        message = decoding.decode(wire.INTAKE, original)
    except decoding.UndecodableError as error:
        raise ClientError("again", f"it would become a dead letter again: {error.code}") from None
    headers = envelope.ce_headers(type(message), letter.about.letter_id, subject=message.demand_id)
    sender = Sender(access, "yiwang-deadletters", letter.about.origin.topic)
    try:
        sender.send(message.demand_id, original, headers, letter.about.letter_id)
        ((_about, place, offset),) = sender.flush()
    finally:
        sender.close()
    return wire.Origin(topic=place.topic, partition=place.partition, offset=offset)
