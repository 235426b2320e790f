"""The channel client: what an intake channel needs to hand demands in and to hear of them.

    with ChannelClient("127.0.0.1:9092", "app") as channel:
        demand_id = channel.submit("滨河路口路灯不亮", contact={"phone": "13800000000"})
        receipt = channel.wait_for([demand_id], timeout=10)[demand_id]
        print(receipt.code, receipt.receipt, receipt.text)
        for outcome in channel.outcomes(timeout=60):
            print(outcome.demand_id, outcome.code, outcome.text)

Submitting twice under one id opens nothing twice, so whoever is not sure sends again. Results come
from the channel's own outcome topic. A client is for one thread; make one for each.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple, NotRequired, TypedDict, TypeVar, Unpack

from kafka import TopicPartition
from pydantic import ValidationError

from routers.demand import Attachment, Contact, DeclaredPlace, DemandKind, Device, SelfHandled
from streams import decoding, envelope, topics
from streams import messages as wire
from streams.client import MOST_BYTES, ClientError, Closing, Reader, Recent, Sender, access_of
from streams.clock import new_id, now
from streams.kafka_access import KafkaAccess
from streams.messages import Outcome

M = TypeVar("M")

REMEMBERED = 100_000
"""Submissions whose answers nobody asked for, and outcomes to tell repeats by, at most."""

_POLL = 0.2

Position = Mapping[int, int]
"""Partition of the outcome topic to the offset to read next; a partition that is not named is read from its start."""


class DemandFields(TypedDict, total=False):
    """What a demand may carry besides its text; see `routers.demand.Demand`. Mappings are read as their models."""

    demand_id: str
    """The channel's own ULID, kept for a resubmission; made where it is missing."""
    created_at: datetime
    """When the citizen said it; now where it is missing."""
    received_at: datetime
    client_seq: int
    kind: DemandKind | str
    title: str
    contact: Contact | Mapping[str, Any]
    confidential: bool
    place: DeclaredPlace | Mapping[str, Any]
    attachments: Iterable[Attachment | Mapping[str, Any]]
    answered_by: str
    answer: str
    self_handled: SelfHandled | Mapping[str, Any]
    device: Device | Mapping[str, Any]


class DemandRow(DemandFields):
    """A demand as `submit_many` takes it."""

    text: str


class FollowUpFields(TypedDict):
    """What every follow-up may carry."""

    follow_up_id: NotRequired[str]
    """The channel's own id, kept for a resubmission; made where it is missing."""
    created_at: NotRequired[datetime]


class Told(NamedTuple):
    """The answer to one submission."""

    about: str
    """Id of the demand or follow-up that was submitted."""
    outcome: Outcome


class ChannelClient(Closing):
    """One channel's way in and its way to hear."""

    def __init__(self, access: KafkaAccess | str, channel: str, *, delivery_seconds: float = 120.0) -> None:
        """Connect; outcomes are heard from this moment on.

        Args:
            access: how to reach the cluster; `HOST:PORT` where it asks for no security.
            channel: the channel's name, as in `intake.<channel>`.
            delivery_seconds: how long a message is tried again before it counts as not sent.

        Raises:
            ClientError: no broker answers, or the cluster has no such channel.
        """
        reach = access_of(access)
        self.channel = channel
        self._intake = topics.intake(channel)
        self._source = f"/channel/{channel}"
        self._reader = Reader(reach, f"yiwang-channel-{channel}", [topics.outcome(channel)])
        try:
            # Where the log ends before anything is submitted: no answer of ours can lie before it.
            self._heard = self._reader.ends()
            self._sender = Sender(reach, f"yiwang-channel-{channel}", self._intake, delivery_seconds=delivery_seconds)
        except BaseException:
            self._reader.close()
            raise
        self._listened = dict(self._heard)
        self._reading: dict[TopicPartition, int] | None = None
        self._places: Recent[tuple[int, int], str] = Recent(REMEMBERED)
        self._placeless: Recent[str, None] = Recent(REMEMBERED)
        self._told: Recent[str, Told] = Recent(REMEMBERED)
        self._seqs: Recent[str, int] = Recent(REMEMBERED)
        self._outcome_ids: Recent[str, None] = Recent(REMEMBERED)

    def close(self, *, hurry: bool = False) -> None:
        """Send what is waiting, and disconnect.

        Args:
            hurry: give what is waiting a moment only.

        Raises:
            ClientError: some of it could not be sent.
        """
        try:
            self._sender.close(hurry=hurry)
        finally:
            self._reader.close()

    # -- submitting -----------------------------------------------------------------------------

    def submit(self, text: str, **fields: Unpack[DemandFields]) -> str:
        """Hand in a demand.

        Args:
            text: what the citizen says.
            fields: the rest, see `DemandFields`.

        Returns:
            The demand id, at once: the demand is on its way, and safe after `flush` or `wait_for`.

        Raises:
            ClientError: it would be refused (the code says why), or the cluster does not answer.
        """
        moment = now()
        given: dict[str, Any] = {
            "created_at": moment,
            "received_at": moment,
            **fields,
            "demand_id": fields.get("demand_id") or new_id(),
            "text": text,
            "channel": self.channel,
        }
        message = _made(wire.NewDemand, given)
        return self._send(message, message.demand_id, message.demand_id, message.received_at)

    def submit_many(self, demands: Iterable[DemandRow]) -> list[str]:
        """Hand in many demands, and wait until the broker has them.

        Returns:
            The demand ids, in order.

        Raises:
            ClientError: one would be refused, or some could not be sent; those before it are sent.
        """
        ids = []
        try:
            for demand in demands:
                ids.append(self.submit(**demand))  # noqa: PERF401 - those before a bad one are flushed
        finally:
            self.flush()
        return ids

    def urge(self, demand_id: str, text: str | None = None, **fields: Unpack[FollowUpFields]) -> str:
        """催办: ask to hurry. Returns the follow-up's id."""
        return self._follow_up(wire.Urge, demand_id, {**fields, "text": text})

    def supplement(self, demand_id: str, text: str, **fields: Unpack[FollowUpFields]) -> str:
        """补充: add facts. Returns the follow-up's id."""
        return self._follow_up(wire.Supplement, demand_id, {**fields, "text": text})

    def withdraw(self, demand_id: str, text: str | None = None, **fields: Unpack[FollowUpFields]) -> str:
        """撤诉: take the demand back. Returns the follow-up's id."""
        return self._follow_up(wire.Withdraw, demand_id, {**fields, "text": text})

    def rate(
        self,
        demand_id: str,
        *,
        solved: bool,
        satisfied: bool | None = None,
        text: str | None = None,
        **fields: Unpack[FollowUpFields],
    ) -> str:
        """评价: say whether it was solved. Returns the follow-up's id."""
        return self._follow_up(wire.Rate, demand_id, {**fields, "solved": solved, "satisfied": satisfied, "text": text})

    def flush(self) -> None:
        """Wait until the broker has everything on disk.

        Raises:
            ClientError: some of it could not be sent; send those again.
        """
        for about, partition, offset in self._sender.flush():
            if offset >= 0:
                self._places[partition.partition, offset] = about
            else:
                self._placeless[about] = None

    def _follow_up(self, model: type[wire.FollowUpBase], demand_id: str, fields: Mapping[str, Any]) -> str:
        given = {
            "follow_up_id": new_id(),
            "created_at": now(),
            **fields,
            "demand_id": demand_id,
            "channel": self.channel,
        }
        message = _made(model, given)
        return self._send(message, message.demand_id, message.follow_up_id, message.created_at)

    def _send(self, message: wire.Message, demand_id: str, about: str, at: datetime) -> str:
        value = message.encode()
        if len(value) > MOST_BYTES:
            raise ClientError("too_large", f"{about} has {len(value)} bytes; {MOST_BYTES} are taken: shorten it")
        headers = envelope.ce_headers(type(message), about, subject=demand_id, at=at, source=self._source)
        self._sender.send(demand_id, value, headers, about)
        return about

    # -- hearing --------------------------------------------------------------------------------

    @property
    def position(self) -> dict[int, int]:
        """Where `outcomes` goes on: keep it, and pass it as `since` after a restart."""
        return {partition.partition: offset for partition, offset in self._listened.items()}

    @property
    def untold(self) -> int:
        """How many submissions of this client have no answer yet (`flush` first)."""
        return len(self._places) + len(self._placeless)

    def outcomes(self, timeout: float | None = None, since: Position | None = None) -> Iterator[Outcome]:
        """Yield what the channel may tell its citizens, each outcome once, in the order of each case.

        Args:
            timeout: ends after so many seconds in which nothing came; None: never.
            since: where to begin; None: where this client stands, which is at first the moment it
                connected; `{}`: at the beginning of what the topic still holds.

        Raises:
            ClientError: the cluster does not answer.
        """
        if since is not None:
            starts = self._reader.starts()
            self._listened = {each: since.get(each.partition, starts[each]) for each in self._reader.partitions}
        quiet_since = time.monotonic()
        while True:
            for outcome in self._read(self._listened, _left(quiet_since, timeout)):
                quiet_since = time.monotonic()
                if self._is_news(outcome):
                    yield outcome
            if timeout is not None and time.monotonic() - quiet_since >= timeout:
                return

    def receipts(self, timeout: float | None = None) -> Iterator[Told]:
        """Yield the answer to each own submission once: accepted, duplicate, or the code of a refusal.

        Ends when every submission so far has its answer; at most the last 100,000 are kept in mind.

        Args:
            timeout: ends also after so many seconds in which no answer came; None: never.

        Raises:
            ClientError: some submissions could not be sent, or the cluster does not answer.
        """
        self.flush()
        quiet_since = time.monotonic()
        while len(self._told):
            yield self._told.pop_oldest()[1]
        while self.untold:
            for outcome in self._read(self._heard, _left(quiet_since, timeout)):
                told = self._pair(outcome)
                if told is not None:
                    quiet_since = time.monotonic()
                    yield told
            if timeout is not None and time.monotonic() - quiet_since >= timeout:
                return

    def wait_for(self, about_ids: Iterable[str], timeout: float) -> dict[str, Outcome]:
        """Wait for the answers to own submissions.

        Args:
            about_ids: ids that `submit`, `urge`, `supplement`, `withdraw` or `rate` returned.
            timeout: seconds altogether.

        Returns:
            The answers that came in time, by id.

        Raises:
            ClientError: some submissions could not be sent, or the cluster does not answer.
        """
        self.flush()
        wanted = set(about_ids)
        found: dict[str, Outcome] = {}
        passed: list[Told] = []
        while len(self._told):
            told = self._told.pop_oldest()[1]
            if told.about in wanted:
                found[told.about] = told.outcome
            else:
                passed.append(told)
        deadline = time.monotonic() + timeout
        while len(found) < len(wanted):
            for outcome in self._read(self._heard, min(_POLL, max(0.0, deadline - time.monotonic()))):
                answer = self._pair(outcome)
                if answer is None:
                    continue
                if answer.about in wanted:
                    found[answer.about] = outcome
                else:
                    passed.append(answer)
            if time.monotonic() >= deadline:
                break
        for each in passed:  # for who asks for them later
            self._told[each.outcome.outcome_id] = each
        return found

    def _pair(self, outcome: Outcome) -> Told | None:
        """Find the own submission an outcome answers, by the intake record it names."""
        origin = outcome.origin
        if origin is None or outcome.code == "state":
            return None
        about = self._places.pop((origin.partition, origin.offset)) if origin.topic == self._intake else None
        if about is None and outcome.about is not None and outcome.about in self._placeless:
            self._placeless.pop(outcome.about)
            about = outcome.about
        return Told(about, outcome) if about is not None else None

    def _is_news(self, outcome: Outcome) -> bool:
        """Tell a new outcome from one that is published again or overtaken (delivery is at least once)."""
        if outcome.outcome_id in self._outcome_ids:
            return False
        self._outcome_ids[outcome.outcome_id] = None
        if outcome.code != "state" or outcome.demand_id is None:
            return True
        known = self._seqs.get(outcome.demand_id)
        if known is not None and outcome.seq < known:
            return False  # one input may change the state twice: the same number is not old
        self._seqs[outcome.demand_id] = outcome.seq
        return True

    def _read(self, cursor: dict[TopicPartition, int], seconds: float) -> Iterator[Outcome]:
        """Read from a cursor and move it; both cursors share one consumer."""
        if self._reading is not cursor:
            self._reader.seek(cursor)
        self._reading = None  # until all that the poll returned is handed on: the caller may leave in between
        for record in self._reader.poll(seconds):
            partition = TopicPartition(record.topic, record.partition)
            cursor[partition] = record.offset + 1
            try:
                outcome = decoding.decode(wire.OUTCOME, record.value)
            except decoding.UndecodableError as error:
                raise ClientError(
                    "unknown_schema", f"an outcome cannot be read ({error}); upgrade this client"
                ) from error
            yield outcome
        self._reading = cursor


def _left(quiet_since: float, timeout: float | None) -> float:
    if timeout is None:
        return _POLL
    return min(_POLL, max(0.0, timeout - (time.monotonic() - quiet_since)))


def _made(model: type[M], fields: Mapping[str, Any]) -> M:
    """Make a message, or say with the code triage would give why it would be refused.

    Raises:
        ClientError: it would be refused.
    """
    try:
        return model(**fields)
    except ValidationError as error:
        code, reason = "invalid", str(error)
        try:
            decoding.decode(wire.INTAKE, json.dumps({**fields, "type": _type_of(model)}, default=_plain).encode())
        except decoding.UndecodableError as refused:
            # What `json.dumps` wrote is no JSON only where a string has half a character in it.
            code = "lone_surrogate" if refused.code == "not_json" else refused.code
            reason = refused.reason
        raise ClientError(code, reason) from error


def _type_of(model: Any) -> str:
    return str(model.model_fields["type"].default)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value.model_dump(mode="json", exclude_none=True)
