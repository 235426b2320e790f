"""What the bench's citizens and clerks say: pure, so that the real run and the sample of its messages share it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from streams import envelope, signatures
from streams import messages as wire
from streams.keys import UnitKey
from streams.topics import REPLIES, intake

Sent = tuple[str, bytes, bytes, list[tuple[str, bytes]]]
"""Topic, key, value and headers of a message."""


class UnplayableError(Exception):
    """A queue holds work the bench has no part for: the city or the pipeline sent a case astray."""


def submission(demand: wire.NewDemand) -> Sent:
    """Return the message with which a channel submits a demand."""
    headers = envelope.ce_headers(
        wire.NewDemand,
        demand.demand_id,
        subject=demand.demand_id,
        at=demand.received_at,
        source=f"/channel/{demand.channel}",
    )
    return intake(demand.channel), demand.demand_id.encode(), demand.encode(), headers


@dataclass(slots=True)
class Departments:
    """All departments and the desk: they do each piece of work at once, when they first see it."""

    key_of: Callable[[str], UnitKey]
    now: Callable[[], datetime]
    handled: set[str] = field(default_factory=set)
    called: set[str] = field(default_factory=set)
    ruled: set[str] = field(default_factory=set)
    """By the desk: the machine is not sure of every one of thousands of texts, however clear."""
    _keys: dict[str, UnitKey] = field(default_factory=dict)

    def react(self, value: bytes | None) -> tuple[str, list[Sent]] | None:
        """Answer one record of a work queue.

        Args:
            value: the work item; None for a tombstone.

        Returns:
            The case that is seen for the first time in this task, with the replies to it; None for the rest.

        Raises:
            UnplayableError: it is neither to be handled nor ruled on nor to be called back.
        """
        if value is None:
            return None
        item = json.loads(value)
        case_id, task = item["case_id"], item["task"]
        if task in {"assist", "watch"}:  # others act, these look on
            return None
        parts: dict[str, tuple[set[str], Callable[[dict[str, Any]], Iterator[Sent]]]] = {
            "handle": (self.handled, self._handle),
            "call_back": (self.called, self._call_back),
            "rule": (self.ruled, self._rule),
        }
        if task not in parts:
            raise UnplayableError(f"{item['unit']} is to {task} {case_id} ({item['why']})")
        seen, play = parts[task]
        if case_id in seen:
            return None
        seen.add(case_id)
        return case_id, list(play(item))

    def _rule(self, item: dict[str, Any]) -> Iterator[Sent]:
        case_id, to = item["case_id"], item["candidates"][0]["unit"]
        yield self._signed(
            wire.Dispatch(
                reply_id=f"{case_id}-rule", unit=item["unit"], case_id=case_id, at=self.now(), to=to, reason="首选单位"
            )
        )

    def _handle(self, item: dict[str, Any]) -> Iterator[Sent]:
        case_id, unit, at = item["case_id"], item["unit"], self.now()
        yield self._signed(wire.Accept(reply_id=f"{case_id}-accept", unit=unit, case_id=case_id, at=at))
        contact = wire.ContactNote(
            reply_id=f"{case_id}-contact", unit=unit, case_id=case_id, at=at, text="已电话联系，约定明日上午到场。"
        )
        yield self._signed(contact)
        answer = wire.Answer(
            reply_id=f"{case_id}-answer",
            unit=unit,
            case_id=case_id,
            at=at,
            text="经到场核实，情况属实，已安排人员处理完毕，并将加强日常巡查。感谢您的反映。",
        )
        yield self._signed(answer)

    def _call_back(self, item: dict[str, Any]) -> Iterator[Sent]:
        case_id = item["case_id"]
        yield self._signed(
            wire.CallBack(
                reply_id=f"{case_id}-back",
                unit=item["unit"],
                case_id=case_id,
                at=self.now(),
                solved=True,
                satisfied=True,
                text="来电人表示满意。",
            )
        )

    def _signed(self, reply: wire.AnyReply) -> Sent:
        key = self._keys.get(reply.unit)
        if key is None:
            key = self._keys[reply.unit] = self.key_of(reply.unit)
        value = reply.encode()
        headers = envelope.ce_headers(
            type(reply), reply.reply_id, subject=reply.case_id, at=reply.at, source=f"/unit/{reply.unit}"
        )
        headers.append((envelope.KEY_HEADER, key.key_id.encode()))
        headers.append((envelope.SIGNATURE_HEADER, signatures.sign(key.secret, reply.reply_id, value).encode()))
        return REPLIES, reply.case_id.encode(), value, headers
