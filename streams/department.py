"""The department client: what a unit needs to see its work and to reply to it.

    with DepartmentClient("127.0.0.1:9092", "D-URBAN", Path("keys")) as unit:
        for change in unit.follow():
            if change.item is not None and not change.item.accepted:
                reply = unit.accept(change.item)
                print(change.item.receipt, unit.result_of([reply], timeout=10)[reply].text)

What is open is built from the unit's own compacted topic, and so are the results of replies; a
client that starts again sees what is open and goes on. Replies are signed with the unit's key.
A client is for one thread; it may serve several units.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, NotRequired, TypedDict, Unpack

from pydantic import ValidationError

from routers.demand import Contact, Urgency
from streams import contact_keys, decoding, envelope, signatures, topics
from streams import keys as signing
from streams import messages as wire
from streams.client import MOST_BYTES, ClientError, Closing, Reader, Recent, Sender, access_of
from streams.clock import new_id, now
from streams.kafka_access import KafkaAccess
from streams.messages import DeskNotice, WorkItem

REMEMBERED = 100_000
"""Results nobody asked for, and ended cases to tell belated records by, at most."""

_POLL = 0.2
_LOAD_SECONDS = 120.0

Key = tuple[str, str]
"""Unit and case id."""


class ReplyFields(TypedDict):
    """What every reply may carry."""

    unit: NotRequired[str]
    """Who replies; needed only where it is not plain from the client or the item."""
    by: NotRequired[str]
    """The clerk, as the unit names its people."""
    at: NotRequired[datetime]
    reply_id: NotRequired[str]
    """The unit's own id, kept for sending again; made where it is missing."""


class ReplyResult(NamedTuple):
    """What the pipeline made of a reply."""

    code: str
    """`applied`, `relayed`, or the code of a refusal."""
    text: str
    """Chinese, for the clerk."""
    case_id: str | None

    contact: wire.SealedContact | None = None
    """The citizen's contact, when that was asked for; `DepartmentClient.contact_of` opens it."""

    @property
    def applied(self) -> bool:
        """Tell whether it had its effect; a message relayed in place of a contact is one."""
        return self.code in {"applied", "relayed"}


@dataclass(frozen=True, slots=True)
class Change:
    """A unit's open work has changed."""

    unit: str
    case_id: str
    item: WorkItem | None
    """What is open of the case now; None: nothing any more."""
    notice: DeskNotice | None = None
    """What the desk is told; then `case_id` is only its key, and no item comes with it."""


class DepartmentClient(Closing):
    """The work queues of one unit or a few, and the way to reply."""

    def __init__(
        self,
        access: KafkaAccess | str,
        units: str | Sequence[str],
        keys: Path,
        *,
        delivery_seconds: float = 120.0,
    ) -> None:
        """Connect; nothing is read before it is asked for.

        Args:
            access: how to reach the cluster; `HOST:PORT` where it asks for no security.
            units: codes of the units served.
            keys: folder with their signing keys, one file a unit.
            delivery_seconds: how long a reply is tried again before it counts as not sent.

        Raises:
            ClientError: no broker answers, or a unit has no queue.
        """
        self.units = (units,) if isinstance(units, str) else tuple(units)
        self._keys = keys
        self._signers: dict[str, tuple[int, signing.UnitKey]] = {}
        reach = access_of(access)
        name = f"yiwang-unit-{self.units[0]}"
        self._unit_of = {topics.work(unit): unit for unit in self.units}
        self._reader = Reader(reach, name, list(self._unit_of))
        try:
            self._reader.seek(self._reader.starts())
            self._sender = Sender(reach, name, topics.REPLIES, delivery_seconds=delivery_seconds)
        except BaseException:
            self._reader.close()
            raise
        self._open: dict[Key, WorkItem] = {}
        self._notices: dict[Key, DeskNotice] = {}
        self._seqs: dict[Key, int] = {}
        self._ended: Recent[Key, int] = Recent(REMEMBERED)
        self._results: Recent[str, ReplyResult] = Recent(REMEMBERED)
        self._asked: Recent[str, str] = Recent(REMEMBERED)
        self._changed: dict[Key, None] | None = None
        self._loaded = False

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

    # -- seeing ---------------------------------------------------------------------------------

    def open_items(self) -> Mapping[Key, WorkItem]:
        """Return what is open now, by unit and case id: the queue up to its end at this moment.

        Raises:
            ClientError: the cluster does not answer.
        """
        self._read_to_end()
        return MappingProxyType(dict(self._open))

    def notices(self) -> tuple[DeskNotice, ...]:
        """Return the newest notice about each category, the newest last, as far as the queues have been read."""
        return tuple(sorted(self._notices.values(), key=lambda notice: (notice.at, notice.notice_id)))

    def item(self, case_id: str) -> WorkItem | None:
        """Return what is open of a case as far as the queue has been read, None for nothing."""
        return next((self._open[unit, case_id] for unit in self.units if (unit, case_id) in self._open), None)

    def follow(self, timeout: float | None = None) -> Iterator[Change]:
        """Yield each piece of open work, then every change to it, newest state only.

        Several changes to one case that came together are one; a later call goes on where this one ended.

        Args:
            timeout: ends after so many seconds in which nothing came; None: never.

        Raises:
            ClientError: the cluster does not answer.
        """
        if self._changed is None:
            self._read_to_end()
            self._changed = dict.fromkeys([*self._notices, *self._open])
        quiet_since = time.monotonic()
        while True:
            while self._changed:
                key = next(iter(self._changed))
                del self._changed[key]
                yield Change(*key, self._open.get(key), self._notices.get(key))
                quiet_since = time.monotonic()
            left = _POLL if timeout is None else timeout - (time.monotonic() - quiet_since)
            self._poll(max(0.0, min(_POLL, left)))
            if not self._changed and left <= 0:
                return

    def result_of(self, reply_ids: Iterable[str], timeout: float) -> dict[str, ReplyResult]:
        """Wait for what the pipeline makes of replies.

        Args:
            reply_ids: ids that `accept`, `answer` and the others returned.
            timeout: seconds altogether; 0: what is known already.

        Returns:
            The results that came in time, by reply id; the last 100,000 are kept.

        Raises:
            ClientError: a reply could not be sent, or the cluster does not answer.
        """
        wanted = list(reply_ids)
        self.flush()
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0 and not all(each in self._results for each in wanted):
            self._poll(min(_POLL, left))
        return {each: result for each in wanted if (result := self._results.get(each)) is not None}

    def contact_of(self, reply_id: str) -> Contact | None:
        """Open the contact that a `reveal` has brought; None where it brought none.

        Raises:
            ClientError: the unit's private key is not here, or does not fit.
        """
        result = self._results.get(reply_id)
        unit = self._asked.get(reply_id)
        if result is None or result.contact is None or unit is None:
            return None
        info = wire.contact_info(unit, result.case_id or "", reply_id)
        try:
            return contact_keys.unseal(result.contact, self._keys, unit, info)
        except signing.SigningKeyError as error:
            raise ClientError("no_key", str(error)) from error

    def _read_to_end(self) -> None:
        """Read the queues up to where they end now.

        Raises:
            ClientError: they cannot be read in time.
        """
        ends = self._reader.ends()
        deadline = time.monotonic() + _LOAD_SECONDS
        while any(offset < ends[partition] for partition, offset in self._reader.position().items()):
            self._poll(_POLL)
            if time.monotonic() > deadline:
                raise ClientError("unreachable", f"the queue could not be read in {_LOAD_SECONDS:.0f} s; try again")

    def _poll(self, seconds: float) -> None:
        for record in self._reader.poll(seconds):
            self._take(record)

    def _take(self, record: Any) -> None:
        """Bring the view up to a record, unless it is older than what is known."""
        headers = record.headers
        case_id = decoding.text_of(record.key) or ""
        reply_id = envelope.header(headers, envelope.REPLY_HEADER)
        if reply_id is not None:
            self._results[reply_id] = ReplyResult(
                envelope.header(headers, envelope.RESULT_HEADER) or "unknown",
                envelope.header(headers, envelope.RESULT_TEXT_HEADER) or "",
                envelope.header(headers, "ce_subject"),
                _sealed_contact(headers),
            )
            self._asked[reply_id] = self._unit_of[record.topic]
        key = (self._unit_of[record.topic], case_id)
        if envelope.header(headers, "ce_type") == DeskNotice.ce_type():
            self._take_notice(key, _decoded(record.value))
            return
        known = self._seqs.get(key) or self._ended.get(key) or 0
        sequence = envelope.header(headers, envelope.SEQUENCE_HEADER) or "0"
        seq = int(sequence) if sequence.isdecimal() else 0
        if seq <= known:
            return  # published again, overtaken, or the answer to a reply that changed nothing
        if record.value is None:
            self._seqs.pop(key, None)
            self._ended[key] = seq
            changed = self._open.pop(key, None) is not None
        else:
            item = _decoded(record.value)
            assert isinstance(item, WorkItem)
            self._open[key] = item
            self._ended.pop(key)
            self._seqs[key] = seq
            changed = True
        if changed and self._changed is not None:
            self._changed[key] = None

    def _take_notice(self, key: Key, told: WorkItem | DeskNotice) -> None:
        """Keep a notice, unless it is the one that stands, told again by another worker."""
        assert isinstance(told, DeskNotice)
        known = self._notices.get(key)
        if known is not None and known.notice_id == told.notice_id:
            return
        self._notices[key] = told
        if self._changed is not None:
            self._changed[key] = None

    # -- replying -------------------------------------------------------------------------------

    def accept(self, case: str | WorkItem, **fields: Unpack[ReplyFields]) -> str:
        """签收: take it. Returns the reply's id, as all replies do; `result_of` tells what became of it."""
        return self._reply(wire.Accept, case, fields)

    def contact(self, case: str | WorkItem, text: str = "", **fields: Unpack[ReplyFields]) -> str:
        """先行联系: record that the citizen was spoken to."""
        return self._reply(wire.ContactNote, case, fields, text=text)

    def note(self, case: str | WorkItem, text: str, **fields: Unpack[ReplyFields]) -> str:
        """办理进展: note progress."""
        return self._reply(wire.Note, case, fields, text=text)

    def reveal(
        self, case: str | WorkItem, purpose: str, *, message: str | None = None, **fields: Unpack[ReplyFields]
    ) -> str:
        """查阅联系方式: ask how to reach the citizen; `contact_of` opens what comes.

        Args:
            case: one the unit holds now.
            purpose: code of the city's policies; it is written down with the unit's name.
            message: told to the citizen instead, where the case is confidential.
            fields: as of all replies.
        """
        return self._reply(wire.Reveal, case, fields, purpose=purpose, message=message)

    def answer(
        self,
        case: str | WorkItem,
        text: str,
        *,
        result: Literal["solved", "partly", "explained", "unsolvable"] = "solved",
        exemption: str | None = None,
        **fields: Unpack[ReplyFields],
    ) -> str:
        """办结: say it is done, with the answer for the citizen; from the desk: answer at once."""
        return self._reply(wire.Answer, case, fields, text=text, result=result, exemption=exemption)

    def return_(
        self,
        case: str | WorkItem,
        reason: str,
        *,
        basis: str | None = None,
        propose: str | None = None,
        text: str | None = None,
        **fields: Unpack[ReplyFields],
    ) -> str:
        """退单: give it back with the coded reason (`R1` to `R9`), its basis and the unit proposed."""
        return self._reply(wire.Return, case, fields, reason=reason, basis=basis, propose=propose, text=text)

    def dispatch(
        self,
        case: str | WorkItem,
        to: str,
        *,
        co: Iterable[str] = (),
        category: str | None = None,
        reason: str = "",
        final: bool = False,
        **fields: Unpack[ReplyFields],
    ) -> str:
        """派单: rule who handles it (the desk)."""
        return self._reply(
            wire.Dispatch, case, fields, to=to, co=tuple(co), category=category, reason=reason, final=final
        )

    def split(
        self, case: str | WorkItem, parts: Iterable[wire.SplitPart], *, reason: str = "", **fields: Unpack[ReplyFields]
    ) -> str:
        """拆分: open a case for each wish of a text, two at least (the desk).

        Args:
            case: one the desk holds or watches; it ends, and its citizen is told of the parts.
            parts: what of the text, whose and about what; `streams.parts.proposed` gives those the machine proposes.
            reason: why, for the units.
            fields: as of all replies.
        """
        return self._reply(wire.Split, case, fields, parts=tuple(parts), reason=reason)

    def decline(self, case: str | WorkItem, code: str, text: str, **fields: Unpack[ReplyFields]) -> str:
        """不予受理: decline, with the place to turn to (the desk)."""
        return self._reply(wire.Decline, case, fields, code=code, text=text)

    def call_back(
        self,
        case: str | WorkItem,
        *,
        reached: bool = True,
        solved: bool | None = None,
        satisfied: bool | None = None,
        text: str | None = None,
        **fields: Unpack[ReplyFields],
    ) -> str:
        """回访: record what the citizen said (the desk)."""
        return self._reply(wire.CallBack, case, fields, reached=reached, solved=solved, satisfied=satisfied, text=text)

    def flush(self) -> None:
        """Wait until the broker has all replies on disk.

        Raises:
            ClientError: some could not be sent; send them again under their ids.
        """
        self._sender.flush()

    def _reply(self, model: type[wire.ReplyBase], case: str | WorkItem, fields: ReplyFields, **content: Any) -> str:
        case_id = case if isinstance(case, str) else case.case_id
        unit = fields.get("unit") or (self._who(case_id) if isinstance(case, str) else case.unit)
        moment = fields.get("at") or now()
        reply_id = fields.get("reply_id") or new_id()
        try:
            message = model(reply_id=reply_id, unit=unit, case_id=case_id, at=moment, by=fields.get("by"), **content)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ClientError("invalid", f"the reply would be refused: {where}: {first['msg']}") from error
        value = message.encode()
        if len(value) > MOST_BYTES:
            raise ClientError("too_large", f"the reply has {len(value)} bytes, {MOST_BYTES} are taken; shorten it")
        key = self._signer(unit)
        headers = [
            *envelope.ce_headers(model, reply_id, subject=case_id, at=moment, source=f"/unit/{unit}"),
            (envelope.KEY_HEADER, key.key_id.encode()),
            (envelope.SIGNATURE_HEADER, signatures.sign(key.secret, reply_id, value).encode()),
        ]
        self._sender.send(case_id, value, headers, reply_id)
        return reply_id

    def _who(self, case_id: str) -> str:
        """Return which of the units served a reply to a case must come from."""
        if len(self.units) == 1:
            return self.units[0]
        holding = [unit for unit in self.units if (unit, case_id) in self._open]
        if len(holding) != 1:
            raise ClientError(
                "whose", f"{len(holding)} of these units have {case_id} open; say which one replies: unit="
            )
        return holding[0]

    def _signer(self, unit: str) -> signing.UnitKey:
        """Return the key a unit signs with now; a rotated one is found without a restart.

        Raises:
            ClientError: there is none, or others can read it.
        """
        try:
            stamp = (self._keys / f"{unit}.json").stat().st_mtime_ns
            known = self._signers.get(unit)
            if known is None or known[0] != stamp:
                known = (stamp, signing.current(self._keys, unit))
                self._signers[unit] = known
        except FileNotFoundError:
            raise ClientError(
                "no_key", f"{unit} has no signing key in {self._keys}; make one with: yiwang unit key issue {unit}"
            ) from None
        except signing.SigningKeyError as error:
            raise ClientError("no_key", str(error)) from error
        return known[1]


def in_order(items: Iterable[WorkItem]) -> list[WorkItem]:
    """Return work in the order in which it is to be done: what is critical first, then by due time."""
    return sorted(
        items, key=lambda item: (item.urgency != Urgency.CRITICAL, item.due_at is None, item.due_at, item.case_id)
    )


def _decoded(value: bytes | None) -> WorkItem | DeskNotice:
    try:
        return decoding.decode(wire.WORK, value)
    except decoding.UndecodableError as error:
        raise ClientError("unknown_schema", f"a work item cannot be read ({error}); upgrade this client") from error


def _sealed_contact(headers: envelope.Headers) -> wire.SealedContact | None:
    text = envelope.header(headers, envelope.CONTACT_HEADER)
    try:
        return wire.SealedContact.model_validate_json(text) if text else None
    except ValidationError as error:
        raise ClientError("unknown_schema", "a contact cannot be read; upgrade this client") from error
