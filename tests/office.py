"""An office of one process: casework's topics, a ledger on disk, a broker that is a list, workers that come and go."""

import itertools
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text

from routers.demand import Classification, DemandKind, ResolvedPlace, Ruling, Verdict
from routers.life import ClockName
from sinks.database import open_engine, sqlite_url
from sinks.ledger import DueClock, Ledger, Output, Partition
from streams import decoding, envelope, keys, signatures, topics
from streams import messages as wire
from streams.casework import Arrived, Casework, HaltError, RefusedError, arrived
from streams.records import Record
from streams.takeover import Takeover
from streams.ticker import _command
from tests.cities import qinglan

LAMPS, ROADS, DESK = "U-LIGHT", "U-ROAD", "H-HOTLINE"


NINE = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


TO_LAMPS = Verdict(ruling=Ruling.DISPATCH, reason="catalogue", unit=LAMPS, rule="R")


STEPS = ("take", "load", "decide", "derive", "write", "publish", "ack")


class Killed(BaseException):
    """What SIGKILL is in one process: nothing below the test sees it coming."""


class Broker:
    """Takes outputs; what is published again under its id is the same effect."""

    def __init__(self) -> None:
        self.log: list[Output] = []
        self.away = False
        self.refuses: Callable[[Output], bool] = lambda _output: False

    def publish(self, outputs: Sequence[Output], timeout: float) -> Arrived:
        assert timeout > 0
        if outputs and self.away:
            return self._fail(HaltError("no broker"))
        refused = next(filter(self.refuses, outputs), None)
        if refused is not None:  # what came before it in its batch may be on the broker, what came with it not
            self.log += outputs[: outputs.index(refused) // 2]
            return self._fail(RefusedError(refused.message_id))
        self.log += outputs
        return arrived

    def _fail(self, error: HaltError) -> Arrived:
        """Return what a batch that does not arrive waits for."""

        def _wait() -> None:
            raise error

        return _wait

    @property
    def effects(self) -> dict[str, Output]:
        """Each output once, by its id; one that says two things under one id fails the test."""
        seen: dict[str, Output] = {}
        for each in self.log:
            known = seen.setdefault(each.message_id, each)
            assert (known.topic, known.key, known.value) == (each.topic, each.key, each.value)
        return seen

    def on(self, topic: str) -> list[Output]:
        return [each for each in self.effects.values() if each.topic == topic]

    def outcomes(self, channel: str = "app") -> list[wire.Outcome]:
        return [decoding.decode(wire.OUTCOME, each.value) for each in self.on(topics.outcome(channel))]

    def results(self, unit: str) -> dict[str, str]:
        """What the unit was told of its replies, by their ids."""
        headers = [each.headers for each in self.on(topics.work(unit))]
        named = [
            (envelope.header(each, envelope.REPLY_HEADER), envelope.header(each, envelope.RESULT_HEADER))
            for each in headers
        ]
        return {reply: result for reply, result in named if reply is not None and result is not None}

    def letters(self) -> list[wire.DeadLetter]:
        found = (envelope.header(each.headers, envelope.LETTER_HEADER) for each in self.on(topics.DEADLETTERS))
        return [decoding.decode(wire.DEADLETTER, each.encode()) for each in found if each]


class Counts:
    """Counts as the metrics do."""

    def __init__(self) -> None:
        self.fates: Counter[tuple[str, str, str | None]] = Counter()
        self.conflicts = 0

    def batch(self, size: int, seconds: float) -> None:
        pass

    def decided(self, kind: str, disposition: str, code: str | None) -> None:
        self.fates[kind, disposition, code] += 1

    def conflict(self) -> None:
        self.conflicts += 1

    def queued(self, seconds: float) -> None:
        assert seconds >= 0


class Office:
    """The topics that casework reads, a ledger on disk, and workers that come and go."""

    def __init__(self, folder: Path, laid: Path) -> None:
        shutil.copyfile(laid, folder / "ledger.db")
        self.url = sqlite_url(folder / "ledger.db")
        self.keys = folder / "keys"
        for unit in (LAMPS, ROADS, DESK):
            keys.issue(self.keys, unit)
        self.broker = Broker()
        self.counts = Counts()
        self._ends: Counter[Partition] = Counter()
        self._number = itertools.count(1)
        self._open: list[Ledger] = []

    def worker(self, fault: Callable[[str], None] = lambda _step: None, **changes: Any) -> Casework:
        """A worker that starts with nothing but the ledger."""
        ledger = Ledger(open_engine(self.url))
        self._open.append(ledger)
        return Casework(
            ledger,
            qinglan(),
            keys.KeyRing(self.keys),
            self.broker,
            lambda plain, context: b"sealed " + context + plain[:0],
            lambda: NINE + timedelta(minutes=1),
            self.counts,
            dict.fromkeys(topics.casework_topics(), "topic-1"),
            fault=fault,
            **changes,
        )

    def close(self) -> None:
        for ledger in self._open:
            ledger.close()

    # -- what arrives ---------------------------------------------------------------------------

    def case_id(self) -> str:
        return f"01KJ0000000000000000{next(self._number):06d}"

    def record(
        self, topic: str, key: str, value: bytes | None, headers: envelope.Headers = (), *, partition: int = 0
    ) -> Record:
        place = Partition(topic, partition)
        offset = self._ends[place]
        self._ends[place] += 1
        return Record(topic, partition, offset, key.encode(), value, headers, NINE.timestamp())

    def demand(
        self,
        case_id: str,
        *,
        words: str = "路灯不亮",
        address: str = "解放路1号",
        partition: int = 0,
        verdict: Verdict = TO_LAMPS,
        **said: Any,
    ) -> Record:
        """A demand that triage has dispatched to the lamps, if not otherwise; its digest changes with its address."""
        origin = self._origin(partition)
        message = wire.TriagedDemand(
            origin=origin,
            demand_id=case_id,
            channel="app",
            created_at=NINE,
            received_at=NINE,
            triaged_at=NINE,
            digest=f"digest of {address}",
            text=words,
            address=address,
            place=ResolvedPlace(street="S01"),
            classification=Classification(category="0505", kind=DemandKind.HELP, confidence=0.9, model="test"),
            tier="general",
            verdict=verdict,
            city_version="1",
            **said,
        )
        return self.record(topics.DEMANDS, case_id, message.encode(), partition=partition)

    def withdrawal(self, case_id: str, *, partition: int = 0, follow_up: str = "w1") -> Record:
        message = wire.TriagedFollowUp(
            origin=self._origin(partition),
            follow_up_id=follow_up,
            demand_id=case_id,
            channel="app",
            action="withdraw",
            created_at=NINE + timedelta(milliseconds=1),
        )
        return self.record(topics.DEMANDS, case_id, message.encode(), partition=partition)

    def _origin(self, partition: int) -> wire.Origin:
        place = Partition("intake.app", partition)
        self._ends[place] += 1
        return wire.Origin(topic=place.topic, partition=partition, offset=self._ends[place] - 1)

    def reply(self, message: wire.ReplyBase, *, signer: str | None = None, partition: int = 0, **forged: Any) -> Record:
        """A reply as its unit's client sends it; `signer` and `forged` (secret, key, about) are the liar's."""
        key = keys.current(self.keys, signer or message.unit)
        about = forged.get("about", message.reply_id)
        signature = signatures.sign(forged.get("secret", key.secret), message.reply_id, message.encode())
        headers = [
            *envelope.ce_headers(type(message), about, subject=message.case_id),
            (envelope.KEY_HEADER, forged.get("key", key.key_id).encode()),
            (envelope.SIGNATURE_HEADER, signature.encode()),
        ]
        return self.record(topics.REPLIES, message.case_id, message.encode(), headers, partition=partition)

    def accept(self, case_id: str, *, unit: str = LAMPS, partition: int = 0, **forged: Any) -> Record:
        message = wire.Accept(reply_id=f"accept-{case_id}", unit=unit, case_id=case_id, at=NINE)
        return self.reply(message, partition=partition, **forged)

    def fires(self, case_id: str, clock: ClockName, *, due_at: datetime | None = None) -> Record:
        """A command as the ticker sends it for a clock that stands in the ledger, or stood there."""
        stands = self.clocks().get(clock)
        at, generation = stands or (due_at or NINE, 1)
        output = _command(DueClock(case_id, clock, generation, due_at or at), at)
        return self.record(topics.COMMANDS, case_id, output.value, output.headers)

    # -- what there is --------------------------------------------------------------------------

    def clocks(self) -> dict[str, tuple[datetime, int]]:
        """When each clock of the one case runs out, and its generation."""
        found = self.rows("SELECT clock, due_at, generation FROM clock")
        return {name: (datetime.fromisoformat(due_at), generation) for name, due_at, generation in found}

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with self._open[-1].engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]

    def fates(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for case_id, seq, kind in self.rows("SELECT case_id, seq, kind FROM event ORDER BY case_id, seq"):
            events = found.setdefault(case_id, [])
            events.append(kind.removeprefix("case."))
            assert len(events) == seq
        return found

    def dispositions(self) -> list[str]:
        return [row[0] for row in self.rows('SELECT disposition FROM input ORDER BY topic, "partition", "offset"')]

    def progress(self) -> dict[tuple[str, int], int]:
        return {(row[0], row[1]): row[2] for row in self.rows('SELECT topic, "partition", next_offset FROM progress')}


class Logs:
    """What the cluster says of the logs."""

    def __init__(self, ends: Mapping[Partition, int], starts: Mapping[Partition, int] | None = None) -> None:
        self._ends, self._starts = ends, starts or {}

    def ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        return {each: self._ends[each] for each in partitions}

    def starts(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        return {each: self._starts.get(each, 0) for each in partitions}


def takeover(office: Office, worker: Casework, logs: Logs | None = None) -> Takeover:
    cluster: Any = logs or Logs(office._ends)
    return Takeover(worker, worker.ledger, cluster)


FLOOD = 6 * 2**20
