"""Triage: from what a channel submits to what casework decides on.

Holds no state but the vault: the originals are there, encrypted, before anything is published.
The same record gives the same messages, so that doing it twice is harmless.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from routers.city import City
from routers.demand import Demand
from routers.triage import Seen
from routers.triage import Triage as Decider
from sinks.ledger import Output, Partition
from sinks.vault import Kept, Vault
from streams import decoding, envelope, originals, topics
from streams import messages as wire
from streams.arrivals import Problem
from streams.casework import Arrived, HaltError, Publisher
from streams.clock import PEOPLE
from streams.outputs import fitting
from streams.records import Record

OWN_FAILURES = 20
"""So many demands in a row that we cannot decide are our bug: stop before a topic is drained."""

BUDGET = 10.0
"""Seconds for one batch, below the group's session timeout."""


class Observer(Protocol):
    """What is counted (see `sinks.metrics`)."""

    def received(self, channel: str, count: int) -> None:
        """So many records of a channel were taken."""

    def triaged(self, ruling: str) -> None:
        """A demand was ruled on."""

    def dead_letter(self, stage: str, code: str) -> None:
        """A record became a dead letter."""

    def batch(self, size: int, seconds: float) -> None:
        """A batch of so many records was settled in so many seconds."""


@dataclass(slots=True)
class Triage:
    """The triage of one worker; called from one thread."""

    city: City
    decider: Decider
    vault: Vault
    publisher: Publisher
    now: Callable[[], datetime]
    observer: Observer
    fault: Callable[[str], None] = lambda _step: None
    budget: float = BUDGET
    own_failures: int = 0

    def settle(self, records: Sequence[Record]) -> dict[Partition, int]:
        """Triage a batch and wait until the broker has it; see `begin`."""
        return self.begin(records)()

    def begin(self, records: Sequence[Record]) -> Callable[[], dict[Partition, int]]:
        """Triage a batch; the next may begin before this one has ended.

        Args:
            records: of intake topics, in the order of each partition.

        Returns:
            What ends the batch: waits for the broker and returns the next offset of each partition; only then may
            the records be acknowledged.

        Raises:
            HaltError: vault or broker cannot take it, or the failure is ours; nothing is lost. What ends the batch
                raises it as well.
        """
        started = time.monotonic()
        work = Work()
        # 1 take, 2 decide: what cannot be read or decided becomes a dead letter
        taken = [self._read(record) for record in records]
        seen = self._see([message for message in taken if isinstance(message, wire.NewDemand)])
        for record, message in zip(records, taken, strict=True):
            self._triage(record, message, seen.get(id(message)), work)
        self.fault("take")
        # 3 keep the originals, before anything is published
        try:
            self.vault.keep(work.kept)
        except Exception as error:
            raise HaltError(f"the vault cannot keep: {error}") from error
        self.fault("keep")
        # 4 publish
        all_arrived = self.publisher.publish(work.outputs, max(0.1, self.budget - (time.monotonic() - started)))
        return lambda: self._end(records, all_arrived, started)

    def _end(self, records: Sequence[Record], all_arrived: Arrived, started: float) -> dict[Partition, int]:
        # still 4: wait for the broker
        all_arrived()
        self.fault("publish")
        # 5 ack, in order: the caller's, with these offsets
        self.observer.batch(len(records), time.monotonic() - started)
        return {record.source: record.next_offset for record in records}

    def _read(self, record: Record) -> wire.NewDemand | wire.FollowUp | decoding.UndecodableError:
        """Return the message of a record, or why it cannot be read."""
        try:
            return decoding.decode(wire.INTAKE, record.value)
        except decoding.UndecodableError as error:
            return error

    def _see(self, demands: Sequence[wire.NewDemand]) -> dict[int, Seen]:
        """Look at all demands of a batch at once; return what is seen of each, by the identity of its message."""
        try:
            seen = self.decider.see(demands)
        except Exception:  # noqa: BLE001 - our bug in one: each by itself, so that only that one is a dead letter
            return {}
        return {id(demand): each for demand, each in zip(demands, seen, strict=True)}

    def _triage(
        self,
        record: Record,
        taken: wire.NewDemand | wire.FollowUp | decoding.UndecodableError,
        seen: Seen | None,
        work: Work,
    ) -> None:
        channel = topics.channel_of(record.topic) or ""
        self.observer.received(channel, 1)
        if isinstance(taken, decoding.UndecodableError):
            self._put_aside(record, channel, None, Problem(taken.code, taken.reason), work)
            return
        try:
            self._check(taken, record, channel)
            if isinstance(taken, wire.NewDemand):
                self._demand(taken, record, seen, work)
            else:
                self._follow_up(taken, record, work)
        except decoding.UndecodableError as error:
            self._put_aside(record, channel, taken, Problem(error.code, error.reason), work)
        except Exception as error:
            self.own_failures += 1
            if self.own_failures >= OWN_FAILURES:
                raise HaltError(f"{record.topic}@{record.offset} cannot be triaged: {error!r}") from error
            self._put_aside(record, channel, taken, Problem("undecidable", type(error).__name__), work)
        else:
            self.own_failures = 0

    def _check(self, message: wire.NewDemand | wire.FollowUp, record: Record, channel: str) -> None:
        """Hold the message against the topic and key it came under.

        Raises:
            UndecodableError: it belongs elsewhere.
        """
        if message.channel not in self.city.channels:
            raise decoding.UndecodableError("unknown_channel", f"{message.channel} is no channel of this city")
        if message.channel != channel:
            raise decoding.UndecodableError("wrong_channel", f"{message.channel} is not {channel}, whose topic this is")
        if record.key is not None and record.key != message.demand_id.encode():
            raise decoding.UndecodableError("wrong_key", "the Kafka key is not the demand id")

    def _demand(self, message: wire.NewDemand, record: Record, seen: Seen | None, work: Work) -> None:
        now = self.now()
        kept = _kept(message, record)
        decided = self.decider.decide(message, now.astimezone(PEOPLE).date(), seen)
        triaged = wire.TriagedDemand.of(
            schema_version=1,
            origin=_origin(record),
            demand_id=message.demand_id,
            channel=message.channel,
            client_seq=message.client_seq,
            created_at=message.created_at,
            received_at=message.received_at,
            triaged_at=now,
            digest=hashlib.sha256(kept.content).hexdigest()[:16],
            title=decided.title,
            text=decided.text,
            address=decided.address,
            place=decided.place,
            classification=decided.classification,
            tier=decided.tier,
            confidential=decided.confidential,
            reachable=message.contact is not None,
            verdict=decided.verdict,
            city_version=self.city.version,
        )
        work.kept.append(kept)
        headers = envelope.ce_headers(wire.TriagedDemand, record.place, subject=message.demand_id, at=now)
        work.add(record, topics.DEMANDS, message.demand_id.encode(), triaged.encode(), headers)
        self.observer.triaged(str(decided.verdict.ruling))

    def _follow_up(self, message: wire.FollowUp, record: Record, work: Work) -> None:
        text = message.text
        rating = message if isinstance(message, wire.Rate) else None
        triaged = wire.TriagedFollowUp(
            origin=_origin(record),
            follow_up_id=message.follow_up_id,
            demand_id=message.demand_id,
            channel=message.channel,
            action=message.type,
            created_at=message.created_at,
            text=None if text is None else self.decider.mask(text),
            solved=rating.solved if rating else None,
            satisfied=rating.satisfied if rating else None,
        )
        if text is not None:
            work.kept.append(_kept(message, record))
        headers = envelope.ce_headers(wire.TriagedFollowUp, record.place, subject=message.demand_id, at=self.now())
        work.add(record, topics.DEMANDS, message.demand_id.encode(), triaged.encode(), headers)

    def _put_aside(
        self,
        record: Record,
        channel: str,
        message: wire.NewDemand | wire.FollowUp | None,
        problem: Problem,
        work: Work,
    ) -> None:
        key = decoding.text_of(record.key)
        demand_id = (
            message.demand_id if message else (key if key and decoding.is_demand_id(key) else _named(record.value))
        )
        now = self.now()
        letter = wire.DeadLetter(
            letter_id=f"letter/{record.place}",
            origin=_origin(record),
            stage="triage",
            code=problem.code,
            reason=problem.reason[:500],
            demand_id=demand_id,
            channel=channel,
            size=originals.letter_size(record.value),
            at=now,
        )
        headers = envelope.ce_headers(wire.DeadLetter, letter.letter_id, subject=demand_id, at=now)
        headers.append((envelope.LETTER_HEADER, letter.encode()))
        sealed = self.vault.seal(originals.letter_bytes(record.value), context=record.place.encode())
        named = demand_id.encode() if demand_id else record.key
        work.add(record, topics.DEADLETTERS, originals.letter_key(named, letter.letter_id), sealed, headers)
        self.observer.dead_letter("triage", problem.code)


@dataclass(slots=True)
class Work:
    """What a batch has come to so far."""

    outputs: list[Output] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)

    def add(
        self,
        record: Record,
        topic: str,
        key: bytes,
        value: bytes,
        headers: Sequence[tuple[str, bytes]],
    ) -> None:
        """Add a message to publish.

        Raises:
            OversizeError: its topic does not take it.
        """
        self.outputs.append(fitting(Output(record.source, record.place, topic, key, value, tuple(headers))))


def _origin(record: Record) -> wire.Origin:
    return wire.Origin(topic=record.topic, partition=record.partition, offset=record.offset)


def _kept(message: Demand | wire.FollowUp, record: Record) -> Kept:
    """Return what the vault keeps of a submission: all that masking may have changed, and the contact."""
    fields = {"title", "text", "contact", "place", "answer"}
    original = message.model_dump(mode="json", include=fields, exclude_none=True)
    return Kept(record.topic, record.partition, record.offset, message.demand_id, json.dumps(original).encode())


def _named(value: bytes | None) -> str | None:
    """Return the demand id that broken JSON still names, so that its sender can be told."""
    try:
        found = json.loads(value or b"")
    except (ValueError, RecursionError):
        return None
    named = found.get("demand_id") if isinstance(found, dict) else None
    return named if isinstance(named, str) and decoding.is_demand_id(named) else None
