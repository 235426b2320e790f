"""Casework: the one transaction in which cases live.

Plain records go in, next offsets come out; what stands in front (Faust) and behind (the
producer) can change without a word here. Nothing raises out of an agent: what cannot be
overcome ends as `HaltError`, on which the process dies and is started again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from routers.case import decide
from routers.city import City
from routers.fold import fold
from routers.inputs import Register
from routers.life import Case, Decision, Event, Refusal
from sinks.ledger import (
    Batch,
    ConflictError,
    InputRecord,
    KnownInput,
    Ledger,
    LedgerUnavailableError,
    Loaded,
    Output,
    Partition,
    StoredEvent,
)
from streams import originals
from streams.arrivals import Arrival, Problem, UnknownSchemaError, read
from streams.cluster import ClusterError
from streams.contacts import REVEALED, Brought, never_brought
from streams.keys import KeyRing
from streams.outputs import Teller
from streams.records import Record

BUDGET = 10.0
"""Seconds for steps 2 to 7 together: below the group's session timeout, so that a worker that
cannot go on is gone before its partitions are given away."""

OWN_FAILURES = 20
"""So many inputs in a row that fail alone are our bug, not theirs: stop before a topic is drained."""

_PAUSE = 0.2
"""Seconds between tries while the ledger is away."""


class HaltError(Exception):
    """This worker cannot go on; the process ends with status 70 and is started again."""


class RefusedError(HaltError):
    """The broker will never take one of these messages: not for want of time, but for what it is."""


Arrived = Callable[[], None]
"""Waits until the broker has what was handed over.

Raises:
    HaltError: not all is acknowledged in time.
    RefusedError: one of the messages never will be.
"""


def arrived() -> None:
    """Wait for nothing: there is nothing under way."""


class Publisher(Protocol):
    """The producer: takes outputs in order; the order holds from one call to the next."""

    def publish(self, outputs: Sequence[Output], timeout: float) -> Arrived:
        """Hand over in order; what comes back waits, `timeout` seconds from now at most.

        Raises:
            HaltError: the producer cannot take them.
        """


class Observer(Protocol):
    """What is counted (see `sinks.metrics`)."""

    def batch(self, size: int, seconds: float) -> None:
        """A batch of so many records was settled in so many seconds."""

    def decided(self, kind: str, disposition: str, code: str | None) -> None:
        """An input met its fate."""

    def conflict(self) -> None:
        """The ledger refused a batch that somebody else had overtaken."""

    def queued(self, seconds: float) -> None:
        """A demand reached its first work queue so long after its channel took it in."""


@dataclass(slots=True)
class Draft:
    """What a batch has come to so far, in memory."""

    loaded: Loaded
    now: datetime
    cases: dict[str, Case]
    known: dict[str, KnownInput]
    origins: set[tuple[str, int, int]]
    next_offsets: dict[Partition, int]
    batch: Batch = field(default_factory=Batch)


@dataclass(slots=True)
class Casework:
    """The transaction, with all it needs; one instance a worker, called from one thread."""

    ledger: Ledger
    city: City
    keys: KeyRing
    publisher: Publisher
    seal: Callable[[bytes, bytes], bytes]
    """Encrypts the bytes of a dead letter; the second argument is its context."""
    now: Callable[[], datetime]
    observer: Observer
    topic_ids: Mapping[str, str] = field(default_factory=dict)
    log_starts: dict[Partition, int] = field(default_factory=dict)
    """First offset each partition still holds."""
    existing: Callable[[Partition, int, int], Container[int]] = lambda _partition, start, stop: range(start, stop)
    """Asked which offsets from the second up to the third argument hold records, when some did not come."""
    fault: Callable[[str], None] = lambda _step: None
    """Called at each step; a fault test dies there."""
    bring: Callable[[str, str, str, str], Brought | Refusal] = never_brought
    """Opens the vault: case, unit, reply, and the demand whose contact it is; sealed for the unit."""
    budget: float = BUDGET
    published: list[str] = field(default_factory=list)
    """Acknowledged by the broker, not yet deleted from the outbox."""
    own_failures: int = 0

    def transact(self, records: Sequence[Record]) -> dict[Partition, int]:
        """Decide a batch, make it last and wait until it is told; see `begin`."""
        return self.begin(records)()

    def begin(self, records: Sequence[Record]) -> Callable[[], dict[Partition, int]]:
        """Decide a batch, make it last and start to tell it; the next may begin before this one has ended.

        Args:
            records: all that waits, in the order of each partition.

        Returns:
            What ends the batch: waits for the broker and returns the next offset of each partition; only then may
            the records be acknowledged. Batches end in the order in which they began.

        Raises:
            HaltError: the budget is spent, or the failure is ours; nothing is lost, the batch comes again. What ends
                the batch raises it as well.
        """
        started = time.monotonic()
        deadline = started + self.budget
        told: list[tuple[Draft, Arrived]] = []

        # 1 take: what cannot be read becomes a dead letter, never an exception
        waiting = [[self._take(record) for record in records]]
        self.fault("take")
        doubted: list[Arrival] = []
        while waiting:
            part = waiting.pop()
            try:
                doubted = self._publish_doubted(doubted, deadline)
                # 2 load: what the ledger knows; drop what it has passed
                draft = self._load(part)
                self.fault("load")
                for arrival in self._not_passed(part, draft):
                    # 3 decide, in order, folding as it goes
                    decision = self._decide(arrival, draft)
                    # 4 derive: outputs from events
                    self._derive(arrival, decision, draft)
                self.fault("decide")
                self.fault("derive")
                # 5 write, in one transaction
                self._write(draft)
                self._count_failures(draft)
                self.fault("write")
            except ConflictError:
                self.observer.conflict()
                self._still_time(deadline, "the ledger kept changing under this batch")
                waiting.append(part)
                continue
            except LedgerUnavailableError as error:
                self._still_time(deadline, f"the ledger is not available: {error}")
                time.sleep(_PAUSE)
                doubted = part
                waiting.append(part)
                continue
            except HaltError:
                raise
            except Exception as error:  # noqa: BLE001 - a decided fate: bisect until the one stands alone
                waiting += self._bisect(part, error)
                self._still_time(deadline, f"a batch could not be decided: {error!r}")
                continue
            # 6 publish this batch's outbox
            told.append((draft, self._publish(draft.batch.outputs, deadline)))
        return lambda: self._end(told, len(records), started)

    def _end(self, told: Sequence[tuple[Draft, Arrived]], size: int, started: float) -> dict[Partition, int]:
        next_offsets: dict[Partition, int] = {}
        for draft, all_arrived in told:
            # still 6: wait for the broker
            all_arrived()
            self.published += [output.message_id for output in draft.batch.outputs]
            self.fault("publish")
            next_offsets |= draft.next_offsets
            self._observe(draft)
        # 7 ack, in order: the caller's, with these offsets
        self.fault("ack")
        self.observer.batch(size, time.monotonic() - started)
        return next_offsets

    # -- 1 take -------------------------------------------------------------------------------

    def _take(self, record: Record) -> Arrival:
        try:
            return read(record, self.keys)
        except UnknownSchemaError as error:
            raise HaltError(f"{error}; upgrade this worker") from error

    # -- 2 load -------------------------------------------------------------------------------

    def _load(self, part: Sequence[Arrival]) -> Draft:
        loaded = self.ledger.load(
            (arrival.case_id for arrival in part if arrival.case_id),
            (arrival.input_id for arrival in part),
            (arrival.origin for arrival in part if arrival.origin),
            {arrival.record.source for arrival in part},
        )
        return Draft(
            loaded,
            self.now(),
            dict(loaded.cases),
            dict(loaded.inputs),
            set(loaded.origins),
            {each: offset for each, (offset, _id) in loaded.progress.items()},
            Batch(published=tuple(self.published)),
        )

    def _not_passed(self, part: Sequence[Arrival], draft: Draft) -> list[Arrival]:
        """Return the arrivals the ledger has not decided yet; a redelivery is never decided again."""
        fresh = []
        holes: dict[Partition, list[range]] = {}
        for arrival in part:
            record = arrival.record
            expected = draft.next_offsets.get(record.source)
            if expected is None:  # nothing of it is decided: what the log still holds comes first
                expected = min(record.offset, self.log_starts.get(record.source, 0))
            if record.offset < expected:
                continue
            if record.offset > expected:
                holes.setdefault(record.source, []).append(range(expected, record.offset))
            draft.next_offsets[record.source] = record.next_offset
            fresh.append(arrival)
        for source, left_out in holes.items():
            self._check_holes(source, left_out)
        for source, after in draft.next_offsets.items():
            before = draft.loaded.progress.get(source)
            if before is None or before[0] != after:
                topic_id = before[1] if before else self.topic_ids.get(source.topic, "")
                draft.batch.progress[source] = (before[0] if before else None, after, topic_id)
        return fresh

    def _check_holes(self, source: Partition, holes: Sequence[range]) -> None:
        """Refuse to step over records: only what has expired, or a foreign transaction's marks, may be missing.

        Raises:
            HaltError: there are records that did not come, or the broker does not tell.
        """
        start = self.log_starts.get(source, 0)
        held = [hole for each in holes if (hole := range(max(each.start, start), each.stop))]
        if not held:
            return
        try:
            there = self.existing(source, held[0].start, held[-1].stop)
        except ClusterError as error:
            raise HaltError(str(error)) from error
        for hole in held:
            if any(offset in there for offset in hole):
                name = f"{source.topic}[{source.partition}]"
                raise HaltError(f"{name}: offset {hole.start} was expected, {hole.stop} came; reading again")

    # -- 3 decide -----------------------------------------------------------------------------

    def _decide(self, arrival: Arrival, draft: Draft) -> Decision | KnownInput | Problem | None:
        """Return events, a refusal, an earlier result, a problem, or None for a dead letter to account for."""
        if arrival.letter is not None:
            return None
        if arrival.problem is not None:
            return arrival.problem
        known = draft.known.get(arrival.input_id)
        if known is not None:
            return known
        assert arrival.given is not None
        assert arrival.case_id is not None
        case = draft.cases.get(arrival.case_id)
        if case is None:
            case = Case(arrival.case_id) if arrival.origin else None
        return decide(case, arrival.given, draft.now, self.city)

    # -- 4 derive -----------------------------------------------------------------------------

    def _derive(self, arrival: Arrival, decision: Decision | KnownInput | Problem | None, draft: Draft) -> None:
        """Fold the events, and derive from them what is written and what is told."""
        teller = Teller(self.city, arrival, draft.now)
        before = draft.cases.get(arrival.case_id) if arrival.case_id else None
        if isinstance(decision, tuple) and decision and decision[-1].kind == REVEALED:
            decision = self._brought(arrival, before, decision[-1], teller)
        code: str | None = None
        first = arrival.origin is not None and arrival.origin not in draft.origins
        match decision:
            case None:
                disposition = "dead_lettered" if first else "repeat"
                if arrival.letter is not None:
                    code = arrival.letter.code
                    if first:
                        teller.letter_told(arrival.letter)
            case Problem():
                disposition, code = "dead_lettered", decision.code
                teller.dead_letter(decision, self._sealed(arrival.record))
            case KnownInput():
                disposition, code = (
                    ("duplicate", decision.code) if first or arrival.origin is None else ("repeat", None)
                )
                if disposition == "duplicate":
                    changed = arrival.digest is not None and arrival.digest != decision.digest
                    teller.repeated(before, decision.code, changed=changed)
            case Refusal():
                disposition, code = ("follow_up" if arrival.origin else "refused"), decision.code
                teller.refused(before, decision.code)
            case events:
                after = self._fold(arrival, before, events, draft)
                disposition = _disposition(arrival, events)
                teller.applied(before, after, events)
        draft.batch.outputs += teller.outputs
        self._record(arrival, disposition, code, draft, first=first)

    def _brought(self, arrival: Arrival, case: Case | None, event: Event, teller: Teller) -> Decision:
        """Bring the contact that a unit may see. The event is the record of that: stored before anything is sent.

        A vault that is away must not stop the cases of a whole city: the unit is told so and asks again.
        """
        case_id = arrival.case_id or ""
        kept_under = (case.parent if case else None) or case_id
        brought = self.bring(case_id, event.actor, arrival.about or "", kept_under)
        if isinstance(brought, Refusal):
            return brought
        teller.contact = brought.header
        return (replace(event, data={**event.data, "fields": list(brought.fields)}),)

    def _fold(self, arrival: Arrival, before: Case | None, events: Sequence[Event], draft: Draft) -> Case:
        assert arrival.case_id is not None
        facts = arrival.given.facts if isinstance(arrival.given, Register) else None
        case = before or Case(arrival.case_id)
        for event in events:
            case = fold(case, event, facts=facts if event.kind == "case.registered" else None)
            draft.batch.events.append(StoredEvent(case.case_id, case.seq, arrival.input_id, event))
        if events:
            draft.cases[case.case_id] = case
            draft.batch.cases[case.case_id] = (draft.loaded.cases.get(case.case_id), case)
        return case

    def _record(self, arrival: Arrival, disposition: str, code: str | None, draft: Draft, *, first: bool) -> None:
        record = arrival.record
        draft.batch.inputs.append(
            InputRecord(
                record.topic,
                record.partition,
                record.offset,
                arrival.input_id,
                arrival.kind,
                arrival.actor,
                disposition,
                draft.now,
                arrival.case_id,
                code,
                arrival.digest,
                arrival.origin if first else None,
            )
        )
        if arrival.origin is not None:
            draft.origins.add(arrival.origin)
        if disposition != "repeat" and arrival.problem is None:
            draft.known.setdefault(arrival.input_id, KnownInput(disposition, code, arrival.digest))

    def _sealed(self, record: Record) -> bytes:
        return self.seal(originals.letter_bytes(record.value), record.place.encode())

    # -- 5 write ------------------------------------------------------------------------------

    def _write(self, draft: Draft) -> None:
        if not draft.batch.progress:
            return
        self.ledger.write(draft.batch)
        del self.published[: len(draft.batch.published)]

    def _bisect(self, part: Sequence[Arrival], error: Exception) -> list[list[Arrival]]:
        """Halve a batch that fails; the one that fails alone becomes a dead letter, the others go on.

        Returns:
            The parts still to settle, last first.

        Raises:
            HaltError: too many in a row failed alone, or one fails even as a dead letter.
        """
        if len(part) > 1:
            middle = len(part) // 2
            return [list(part[middle:]), list(part[:middle])]
        (alone,) = part
        self.own_failures += 1
        if alone.problem is not None or self.own_failures >= OWN_FAILURES:
            raise HaltError(f"{alone.record.topic}@{alone.record.offset} cannot be decided: {error!r}") from error
        problem = Problem("undecidable", f"{type(error).__name__} while deciding")
        return [[replace(alone, given=None, letter=None, problem=problem)]]

    # -- 6 publish ----------------------------------------------------------------------------

    def _publish(self, outputs: Sequence[Output], deadline: float) -> Arrived:
        """Publish while this worker's session lasts; later, a successor may have said something newer.

        Raises:
            HaltError: the time is over; the outbox has them for whoever takes over.
        """
        if not outputs:
            return arrived
        self._still_time(deadline, "the time for this batch is over before it could be published")
        return self.publisher.publish(outputs, deadline - time.monotonic())

    def _publish_doubted(self, part: Sequence[Arrival], deadline: float) -> list[Arrival]:
        """Publish what was committed though its answer was lost: when it is loaded again, it is passed already.

        Args:
            part: what was in hand when the ledger did not answer; empty when there is no doubt.
            deadline: of the batch (monotonic).

        Returns:
            Nothing that is still in doubt.

        Raises:
            LedgerUnavailableError: the ledger still does not answer.
        """
        if part:
            places = {each.record.place for each in part}
            left = self.ledger.outbox({each.record.source for each in part}, limit=None)
            doubted = [each for each in left if each.message_id.rpartition("/")[0] in places]
            self._publish(doubted, deadline)()
            self.published += [output.message_id for output in doubted]
        return []

    def _still_time(self, deadline: float, problem: str) -> None:
        if time.monotonic() >= deadline:
            raise HaltError(problem)

    def _count_failures(self, draft: Draft) -> None:
        if all(each.code != "undecidable" for each in draft.batch.inputs):
            self.own_failures = 0

    def _observe(self, draft: Draft) -> None:
        for each in draft.batch.inputs:
            self.observer.decided(each.kind, each.disposition, each.code)
        for before, after in draft.batch.cases.values():
            if after.first_dispatched_at and after.facts and not (before and before.first_dispatched_at):
                self.observer.queued((self.now() - after.facts.received_at).total_seconds())


_FIRST_FATE = {
    "case.dispatched": "opened",
    "case.answered": "answered",
    "case.declined": "declined",
    "case.review_requested": "in_review",
}


def _disposition(arrival: Arrival, events: Sequence[Event]) -> str:
    """Return what the audit counts an input as; for a demand, the first fate of its case."""
    if arrival.kind == "clock" and not events:
        return "repeat"
    if arrival.kind != "demand":
        return "follow_up" if arrival.origin else "applied"
    return next(_FIRST_FATE[event.kind] for event in events if event.kind in _FIRST_FATE)
