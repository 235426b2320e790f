"""What the world is told: work items, outcomes and dead letters, derived from events.

Pure but for encoding: the same events give the same bytes, and every message has an id made
from its input's place, so that publishing twice is harmless.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from routers.city import City
from routers.confidential import confidential
from routers.follow import queues
from routers.life import Case, Event
from routers.receipt import receipt
from routers.split import SPLIT, openings
from sinks.ledger import Output
from streams import envelope, originals, topics
from streams import messages as wire
from streams.arrivals import Arrival, Problem
from streams.clock import for_people

APPLIED = "applied"
RELAYED = "relayed"
_RELAY = "case.message_relayed"

_TOLD = {
    "case.dispatched": "dispatched",
    "case.accepted": "in_progress",
    "case.answered": "answered",
    "case.declined": "declined",
    "case.done": "call_back",
    "case.redo_ordered": "redo",
    "case.closed": "closed",
    "case.withdrawn": "withdrawn",
    SPLIT: "split",
}
"""Events a citizen may know of, and the text that tells them."""

_FIRST = ("case.registered", "case.review_requested", "case.dispatched", "case.answered", "case.declined")
"""The events of a registration, which one receipt tells together."""


class OversizeError(Exception):
    """An output is larger than its topic takes."""


@dataclass(slots=True)
class Teller:
    """Derives the outputs of one input."""

    city: City
    arrival: Arrival
    now: datetime
    outputs: list[Output] = field(default_factory=list)
    contact: bytes | None = None
    """Sealed for the unit that may see it; goes with the answer to its reply, and nowhere else."""
    _parts: list[wire.PartTold] = field(default_factory=list)
    """What the case was split into by this input."""

    # -- what is told -------------------------------------------------------------------------

    def applied(self, before: Case | None, after: Case, events: Sequence[Event]) -> None:
        """Tell everybody concerned what an input did."""
        if events:
            self._work(before, after, RELAYED if events[-1].kind == _RELAY else APPLIED)
        elif self.arrival.unit is not None:
            self._result(after, APPLIED)
        if events and events[-1].kind == SPLIT:
            self._open_parts(after, events[-1])
        channel = after.facts.channel if after.facts else self.arrival.channel
        if channel is not None:
            self._tell_citizen(channel, after, events)

    def _tell_citizen(self, channel: str, after: Case, events: Sequence[Event]) -> None:
        told = list(events)
        if told and told[0].kind == "case.registered":
            while told and told[0].kind in _FIRST:
                told.pop(0)
            self._outcome(channel, after, "accepted", self._receipt_text(after), about=self.arrival.about)
        for event in told:
            if event.kind == _RELAY:
                self._outcome(channel, after, RELAYED, self.text("relayed", after, message=event.data["text"]))
            elif event.kind in _TOLD:
                self._outcome(channel, after, "state", self.text(f"state.{_TOLD[event.kind]}", after))
        if self.arrival.kind in ("urge", "supplement", "withdraw", "rate"):
            key = "held" if events and events[-1].kind == "case.follow_up_held" else self.arrival.kind
            self._follow_up(after, self.text(f"follow_up.{key}", after))

    def refused(self, case: Case | None, code: str) -> None:
        """Tell the sender why not."""
        if self.arrival.unit is not None:
            self._result(case, code)
        elif self.arrival.channel is not None:
            self._outcome(
                self.arrival.channel, case, code, self._refusal_text(code, case), about=self.arrival.about, refused=True
            )

    def repeated(self, case: Case | None, code: str | None, *, changed: bool) -> None:
        """Tell the sender of a resubmission its earlier result again."""
        if code is not None:
            self.refused(case, code)
        elif self.arrival.unit is not None:
            self._result(case, APPLIED)
        elif self.arrival.channel is not None and self.arrival.kind == "demand":
            own = case if case and case.facts and case.facts.channel == self.arrival.channel else None
            text = self.text("duplicate_changed" if changed else "duplicate", own)
            self._outcome(self.arrival.channel, own, "duplicate", text, about=self.arrival.about)
        elif self.arrival.channel is not None:
            self._outcome(
                self.arrival.channel, case, "duplicate", self.text("duplicate", case), about=self.arrival.about
            )

    def letter_told(self, letter: wire.DeadLetter) -> None:
        """Tell the channel whose message became a dead letter."""
        if letter.channel is not None and letter.channel in self.city.channels:
            self._outcome(
                letter.channel,
                None,
                letter.code,
                self._refusal_text(letter.code, None),
                about=letter.demand_id,
                refused=True,
                origin=letter.origin,
            )

    def dead_letter(self, problem: Problem, sealed: bytes) -> None:
        """Put a record aside, sealed, with what is known of it; its sender is told where one is known.

        The channel is told here and not when the letter is read: only here it is known which intake
        record the answer is about.
        """
        record = self.arrival.record
        place = record.place
        letter = wire.DeadLetter(
            letter_id=f"letter/{place}",
            origin=wire.Origin(topic=record.topic, partition=record.partition, offset=record.offset),
            stage="casework",
            code=problem.code,
            reason=problem.reason[:500],
            demand_id=self.arrival.case_id,
            size=originals.letter_size(record.value),
            at=self.now,
        )
        headers = envelope.ce_headers(wire.DeadLetter, letter.letter_id, subject=self.arrival.case_id, at=self.now)
        headers.append((envelope.LETTER_HEADER, letter.encode()))
        self._add(topics.DEADLETTERS, originals.letter_key(record.key, letter.letter_id), sealed, headers, None, 0)
        self.refused(None, problem.code)

    # -- texts --------------------------------------------------------------------------------

    def text(self, key: str, case: Case | None, *, message: str = "") -> str:
        """Return a text for the citizen, in Chinese, from the city."""
        unit = self.city.units.get(case.lead) if case and case.lead else None
        return self.city.text(
            key,
            receipt=receipt(case.case_id) if case else "",
            unit=unit.zh if unit else "",
            due=for_people(case.due_at) if case and case.due_at else "",
            answer=(case.answer or "") if case else "",
            message=message,
            parent=receipt(case.parent) if case and case.parent else "",
            parts="、".join(f"{each.receipt}（{each.unit_name}）" for each in self._parts),
        )

    def _receipt_text(self, case: Case) -> str:
        part = f"part.{case.state}"
        return self.text(part if case.parent and part in self.city.texts else f"accepted.{case.state}", case)

    def _refusal_text(self, code: str, case: Case | None) -> str:
        key = f"refused.{code}"
        return self.text(key if key in self.city.texts else "refused.other", case)

    # -- the parts of a split case ------------------------------------------------------------

    def _open_parts(self, case: Case, split: Event) -> None:
        """Tell ourselves to open each part: under its own key, so that it is decided where its replies are."""
        for number, opening in enumerate(openings(case, split, self.city)):
            unit = self.city.unit(opening.verdict.unit or "")
            part = case.children[number]
            self._parts.append(wire.PartTold(demand_id=part, receipt=receipt(part), unit=unit.code, unit_name=unit.zh))
            message = wire.OpenPart(
                command_id=opening.id,
                case_id=part,
                parent=case.case_id,
                number=number + 1,
                at=opening.at,
                since=opening.since or opening.at,
                facts=opening.facts,
                verdict=opening.verdict,
                tier=opening.tier,
                ruled_by=opening.ruled_by or split.actor,
            )
            headers = envelope.ce_headers(wire.OpenPart, message.command_id, subject=part, at=self.now)
            self._add(topics.COMMANDS, part.encode(), message.encode(), headers, case.case_id, case.seq)

    # -- the messages -------------------------------------------------------------------------

    def _work(self, before: Case | None, after: Case, result: str) -> None:
        """Bring the queues from where the case stood to where it stands."""
        stood, stands = queues(before, self.city), queues(after, self.city)
        sender = self.arrival.unit
        moved = before is None or before.state is not after.state
        for unit in [*(unit for unit in stood if unit not in stands), *stands]:
            _role, task = stands.get(unit) or stood[unit]
            stays = unit != sender and stood.get(unit) == stands.get(unit)
            if stays and (task == "assist" or (task in {"supervise", "watch"} and not moved)):
                continue  # they follow the case, not every word
            answers = self._answering(result) if unit == sender else []
            self._record_on_queue(unit, after, answers)
        if sender is not None and sender not in stood and sender not in stands:
            self._record_on_queue(sender, after, self._answering(result))

    def _result(self, case: Case | None, code: str) -> None:
        """Tell a unit the result of a reply that changed nothing."""
        if self.arrival.unit in self.city.units:
            self._record_on_queue(self.arrival.unit or "", case, self._answering(code))

    def _answering(self, code: str) -> list[tuple[str, bytes]]:
        key = f"reply.{code}"
        text = self.city.text(key if key in self.city.texts else "reply.other", code=code)
        about = self.arrival.about
        answers = [
            *([(envelope.REPLY_HEADER, about.encode())] if about else []),
            (envelope.RESULT_HEADER, code.encode()),
            (envelope.RESULT_TEXT_HEADER, text.encode()),
        ]
        return answers if self.contact is None else [*answers, (envelope.CONTACT_HEADER, self.contact)]

    def _record_on_queue(self, unit: str, case: Case | None, answers: Iterable[tuple[str, bytes]]) -> None:
        case_id = case.case_id if case else self.arrival.case_id
        item = work_item(case, unit, self.city) if case else None
        headers = envelope.ce_headers(
            wire.WorkItem,
            self._next_id(),
            subject=case_id,
            at=self.now,
            sequence=str(case.seq if case else 0),
        )
        headers += answers
        # Without its case a result must not stand under a case's key: compaction would take the open item with it.
        key = (case.case_id if case else self.arrival.input_id).encode()
        self._add(topics.work(unit), key, item.encode() if item else None, headers, case_id, case.seq if case else 0)

    def _follow_up(self, case: Case, text: str) -> None:
        if self.arrival.channel is not None:
            self._outcome(self.arrival.channel, case, "follow_up", text, about=self.arrival.about)

    def _outcome(
        self,
        channel: str,
        case: Case | None,
        code: str,
        text: str,
        *,
        about: str | None = None,
        refused: bool = False,
        origin: wire.Origin | None = None,
    ) -> None:
        if channel not in self.city.channels:
            return
        known = case if case and case.facts else None
        unit = self.city.units.get(known.lead) if known and known.lead else None
        demand_id = case.case_id if case else self.arrival.case_id
        place = self.arrival.origin
        if origin is None and about is not None and place is not None:
            origin = wire.Origin(topic=place[0], partition=place[1], offset=place[2])
        outcome_id = self._next_id()
        message = wire.Outcome.of(
            outcome_id=outcome_id,
            demand_id=demand_id,
            about=about,
            origin=origin,
            channel=channel,
            seq=case.seq if case else 0,
            code=code,
            refused=refused,
            state=str(case.state) if known and case else None,
            receipt=receipt(case.case_id) if known and case else None,
            unit=unit.code if unit else None,
            unit_name=unit.zh if unit else None,
            due_at=known.due_at if known and known.open else None,
            text=text,
            answer=known.answer if known else None,
            parent=known.parent if known else None,
            parts=tuple(self._parts) or None,
            at=self.now,
        )
        headers = envelope.ce_headers(wire.Outcome, message.outcome_id, subject=demand_id, at=self.now)
        key = (demand_id or self.arrival.input_id).encode()
        self._add(topics.outcome(channel), key, message.encode(), headers, demand_id, message.seq)

    def _next_id(self) -> str:
        """Return an id that is the same whenever this input is decided again."""
        record = self.arrival.record
        return f"{record.place}/{len(self.outputs)}"

    def _add(  # noqa: PLR0917 - the fields of a message, in order
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]],
        case_id: str | None,
        seq: int,
    ) -> None:
        output = Output(self.arrival.record.source, self._next_id(), topic, key, value, tuple(headers), case_id, seq)
        self.outputs.append(fitting(output))


_LIMITS = {kind.pattern.partition(".")[0]: kind.max_bytes for kind in topics.REGISTRY}

_FRAME = 256
"""Bytes that Kafka puts around a single record: 61 for its batch, and the lengths of a dozen headers."""


def fitting(output: Output) -> Output:
    """Return an output as it is.

    Raises:
        OversizeError: with its key and headers it is larger than its topic takes.
    """
    size = len(output.value or b"") + len(output.key or b"") + _FRAME
    for name, value in output.headers:  # not a sum over a generator: twenty thousand times a second
        size += len(name) + len(value)
    if size > _LIMITS[output.topic.partition(".")[0]]:
        raise OversizeError(f"{size} bytes for {output.topic}")
    return output


def work_item(case: Case, unit: str, city: City) -> wire.WorkItem | None:
    """Return what a unit has open of a case, None for nothing."""
    place = queues(case, city).get(unit)
    facts = case.facts
    if place is None or facts is None or case.registered_at is None:
        return None
    role, task = place
    category = city.categories.get(case.category) if case.category else None
    return wire.WorkItem.of(
        case_id=case.case_id,
        seq=case.seq,
        unit=unit,
        role=role,
        state=case.state,
        task=task,
        receipt=receipt(case.case_id),
        parent=case.parent,
        kind=facts.kind,
        category=case.category,
        category_name=category.zh if category else None,
        urgency=str(facts.classification.urgency),
        tier=case.tier,
        title=facts.title,
        text=facts.text,
        place=facts.place,
        address=facts.address,
        created_at=facts.created_at,
        registered_at=case.registered_at,
        dispatched_at=case.dispatched_at,
        accept_by=case.accept_by,
        due_at=case.due_at,
        accepted=case.accepted,
        contacted=case.contacted,
        returnable=case.returnable,
        redo=case.redo,
        urged=case.urged,
        confidential=confidential(case, city),
        reachable=facts.reachable,
        why=case.why,
        candidates=facts.candidates if task in {"rule", "watch"} else (),
        parts=facts.parts if task in {"rule", "watch"} else (),
        notes=case.notes,
        answer=case.answer,
    )
