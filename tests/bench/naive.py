"""The naive topology: a Faust agent and a topic a stage, `topic.send` an event, a transaction an event.

It is the opponent of `yiwang bench`: what one writes first. Nothing in it is slow on purpose: uvloop, raw bytes,
prepared SQL, no wait for a single acknowledgement, and no checks, masking or outbox. Each stage is durable by itself,
because that is what an acknowledged event promises.

    intake -> validated -> classified -> routed -> work        (the chain)
    accept, contact, answer -> desk, outcome; call_back -> outcome   (the reply stages)
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faust
import psutil
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from mode.loop import use as use_loop

from streams import clock, envelope, kafka_child, signatures
from streams import messages as wire

PARTITIONS = 4
STAGES = ("intake", "validated", "classified", "routed", "work")
REPLIES = ("accept", "contact", "answer", "call_back")
TOPICS = (*STAGES, *REPLIES, "desk", "outcome")
READY = "ready"
SECRET = b"the one key of the naive topology"
START_SECONDS = 60.0
WARM_UP = 50
"""Demands before the measurement."""

STALLED_SECONDS = 60.0
"""Seconds without any progress after which a run is given up."""

_TABLES = """
CREATE TABLE demand (id TEXT PRIMARY KEY, stage TEXT, category TEXT, unit TEXT, body TEXT);
CREATE TABLE event (id TEXT, seq INTEGER, kind TEXT, at TEXT, body TEXT, PRIMARY KEY (id, seq));
"""


# ---- the worker -------------------------------------------------------------------------------------


class Store:
    """The naive ledger: every stage writes its row and commits; with `durable=False` it writes nothing."""

    def __init__(self, file: Path, *, durable: bool) -> None:
        self._durable = durable
        self._connection = sqlite3.connect(file, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.executescript(_TABLES)

    def write(self, *statements: tuple[str, tuple[Any, ...]]) -> None:
        """Write one event's rows in one transaction."""
        if not self._durable:
            return
        self._connection.execute("BEGIN IMMEDIATE")
        for statement, parameters in statements:
            self._connection.execute(statement, parameters)
        self._connection.execute("COMMIT")


_EVENT = "INSERT INTO event VALUES (?, ?, ?, ?, ?)"


def _at() -> str:
    return envelope.rfc3339(clock.now())


def make_app(bootstrap: str, prefix: str, store: Store, folder: Path) -> faust.App:
    """Build the app: eight agents, a topic each."""
    use_loop("uvloop")
    app = faust.App(
        f"{prefix}naive",
        broker=f"kafka://{bootstrap}",
        autodiscover=False,
        consumer_auto_offset_reset="earliest",
        datadir=str(folder / f"{prefix}faust"),
        store="memory://",
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        worker_redirect_stdouts=False,
    )
    topic = {
        name: app.topic(prefix + name, key_type=bytes, key_serializer="raw", value_type=bytes, value_serializer="raw")
        for name in TOPICS
    }

    _add_chain(app, topic, store)
    for seq, (name, state) in enumerate(zip(REPLIES, ("accepted", "contacted", "done", "closed"), strict=True), 2):
        _add_reply_stage(app, topic, store, (seq, name, state))

    @app.on_rebalance_complete.connect
    async def _on_ready(*_arguments: Any, **_settings: Any) -> None:
        sys.stdout.write(f"{READY}\n")
        sys.stdout.flush()

    return app


def _add_chain(app: faust.App, topic: Mapping[str, Any], store: Store) -> None:
    """Add the stages from intake to the department."""

    @app.agent(topic["intake"])
    async def validate(stream: Any) -> None:
        async for key, value in stream.items():
            demand = wire.INTAKE.validate_json(value)
            body = demand.model_dump(mode="json", exclude_none=True)
            case_id = key.decode()
            store.write(("INSERT INTO demand VALUES (?, 'validated', NULL, NULL, ?)", (case_id, value.decode())))
            await topic["validated"].send(key=key, value=json.dumps(body).encode())

    @app.agent(topic["validated"])
    async def classify(stream: Any) -> None:
        async for key, value in stream.items():
            body = json.loads(value) | {"category": "0101", "tier": "normal"}
            store.write(
                ("UPDATE demand SET stage = 'classified', category = ? WHERE id = ?", (body["category"], key.decode()))
            )
            await topic["classified"].send(key=key, value=json.dumps(body).encode())

    @app.agent(topic["classified"])
    async def route(stream: Any) -> None:
        async for key, value in stream.items():
            body = json.loads(value) | {"unit": "S01", "why": "rule"}
            store.write(("UPDATE demand SET stage = 'routed', unit = ? WHERE id = ?", (body["unit"], key.decode())))
            await topic["routed"].send(key=key, value=json.dumps(body).encode())

    @app.agent(topic["routed"])
    async def dispatch(stream: Any) -> None:
        async for key, value in stream.items():
            store.write(
                ("UPDATE demand SET stage = 'dispatched' WHERE id = ?", (key.decode(),)),
                (_EVENT, (key.decode(), 1, "dispatched", _at(), "{}")),
            )
            await topic["work"].send(key=key, value=value)
            await topic["outcome"].send(key=key, value=b'{"state":"dispatched"}')


def _add_reply_stage(app: faust.App, topic: Mapping[str, Any], store: Store, reply_kind: tuple[int, str, str]) -> None:
    """Add the stage that takes one kind of reply: its number, its name, and the state it leads to."""
    seq, name, state = reply_kind

    @app.agent(topic[name], name=f"{app.conf.id}.{name}")
    async def reply_stage(stream: Any) -> None:
        async for event in stream.events():
            key, value = event.key, event.value
            reply = wire.REPLY.validate_json(value)
            signature = dict(event.headers)[envelope.SIGNATURE_HEADER].decode()
            if not signatures.signature_holds(SECRET, reply.reply_id, value, signature):
                continue
            store.write(
                ("UPDATE demand SET stage = ? WHERE id = ?", (state, key.decode())),
                (_EVENT, (key.decode(), seq, name, _at(), value.decode())),
            )
            if name == "answer":
                await topic["desk"].send(key=key, value=value)
            await topic["outcome"].send(key=key, value=b'{"state":"%s"}' % state.encode())


def _run_worker(bootstrap: str, prefix: str, folder: Path, *, durable: bool) -> None:
    app = make_app(bootstrap, prefix, Store(folder / f"{prefix}db", durable=durable), folder)
    faust.Worker(app, loglevel="ERROR", redirect_stdouts=False, quiet=True).execute_from_commandline()


# ---- the clients and the clock ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the topology."""

    count: int
    chains_s: float
    """Seconds until the last chain had reached its department."""
    closed_s: float | None
    """Seconds until the last case was closed; None when nobody replied."""
    worker_cpu_s: float
    """Processor seconds of the worker."""


def measure(
    bootstrap: str, folder: Path, demands: list[tuple[str, bytes]], *, chains: int, lifecycles: int
) -> dict[str, Any]:
    """Run the topology without and with its transactions.

    Args:
        bootstrap: address of a Kafka.
        folder: for its databases; on the disk that is measured.
        demands: (id, encoded demand), `WARM_UP` more than the larger number.
        chains: demands of the run that only goes from intake to the department, without transactions.
        lifecycles: demands of the runs until every case is closed.

    Raises:
        RuntimeError: the worker does not start, or stands still.
    """
    folder.mkdir(parents=True, exist_ok=True)
    chain = _play(bootstrap, folder, "naive1.", demands[: WARM_UP + chains], durable=False, replies=False)
    loose = _play(bootstrap, folder, "naive2.", demands[: WARM_UP + lifecycles], durable=False, replies=True)
    durable = _play(bootstrap, folder, "naive3.", demands[: WARM_UP + lifecycles], durable=True, replies=True)
    assert loose.closed_s is not None
    assert durable.closed_s is not None
    return {
        "chains": chain.count,
        "chains_per_s_without_transactions": round(chain.count / chain.chains_s, 1),
        "worker_cpu_ms_per_chain": round(chain.worker_cpu_s / chain.count * 1000, 2),
        "lifecycles": durable.count,
        "lifecycles_per_s_without_transactions": round(loose.count / loose.closed_s, 1),
        "lifecycles_per_s": round(durable.count / durable.closed_s, 1),
        "seconds": round(durable.closed_s, 3),
    }


def _play(
    bootstrap: str, folder: Path, prefix: str, demands: list[tuple[str, bytes]], *, durable: bool, replies: bool
) -> Run:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    wanted = [NewTopic(prefix + name, num_partitions=PARTITIONS, replication_factor=1) for name in TOPICS]
    for future in admin.create_topics(wanted).values():
        future.result()
    with _worker(bootstrap, prefix, folder, durable=durable) as worker:
        _drive(bootstrap, prefix, demands[:WARM_UP], worker, replies=replies)
        return _drive(bootstrap, prefix, demands[WARM_UP:], worker, replies=replies)


@contextlib.contextmanager
def _worker(bootstrap: str, prefix: str, folder: Path, *, durable: bool) -> Iterator[psutil.Process]:
    arguments = [str(Path(__file__).resolve()), bootstrap, prefix, str(folder), "durable" if durable else "loose"]
    command = [sys.executable, kafka_child.__file__, str(os.getpid()), sys.executable, *arguments]
    root = Path(kafka_child.__file__).resolve().parent.parent
    log = folder / f"{prefix}log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, env={**os.environ, "PYTHONPATH": str(root)}
        )
    try:
        assert process.stdout is not None
        if READY.encode() not in process.stdout.readline():
            process.wait(20.0)
            words = log.read_text(errors="replace").strip().splitlines()
            raise RuntimeError(f"the naive worker did not start: {words[-1] if words else 'it said nothing'}")
        yield psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _drive(
    bootstrap: str, prefix: str, demands: list[tuple[str, bytes]], worker: psutil.Process, *, replies: bool
) -> Run:
    """Submit all demands at once, play the departments and the desk, and wait for the end."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": f"{prefix}clients", "enable.auto.commit": False})
    consumer.assign(
        [TopicPartition(prefix + name, part, 0) for name in ("work", "desk", "outcome") for part in range(PARTITIONS)]
    )
    producer = Producer(
        {"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 20, "partitioner": "murmur2_random"}
    )
    cpu = _cpu_s(worker)
    started = time.monotonic()
    for demand_id, value in demands:
        producer.produce(f"{prefix}intake", value, demand_id.encode())
        producer.poll(0)
    own = {demand_id for demand_id, _value in demands}
    arrived = closed = 0
    chains_s = 0.0
    moved = started
    try:
        while arrived < len(demands) or (replies and closed < len(demands)):
            records = consumer.consume(2_000, 0.02)
            now = time.monotonic()
            if now - moved > STALLED_SECONDS:
                raise RuntimeError(f"the naive topology stands still at {arrived} dispatched, {closed} closed")
            for record in records:
                case_id = (record.key() or b"").decode()
                if case_id not in own:
                    continue  # of the warm-up
                moved = now
                name = (record.topic() or "").removeprefix(prefix)
                if name == "outcome":
                    closed += b"closed" in (record.value() or b"")
                    continue
                arrived += name == "work"
                if replies:
                    _reply(producer, prefix, case_id, name)
            producer.poll(0)
            chains_s = chains_s or (now - started if arrived >= len(demands) else 0.0)
        return Run(len(demands), chains_s, time.monotonic() - started if replies else None, _cpu_s(worker) - cpu)
    finally:
        consumer.close()
        producer.flush(10)


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _reply(producer: Producer, prefix: str, case_id: str, queue: str) -> None:
    at = clock.now()
    if queue == "desk":
        back = wire.CallBack(reply_id=f"{case_id}-4", unit="H-HOTLINE", case_id=case_id, at=at, solved=True)
        _send(producer, prefix, back)
        return
    _send(producer, prefix, wire.Accept(reply_id=f"{case_id}-1", unit="S01", case_id=case_id, at=at))
    _send(
        producer, prefix, wire.ContactNote(reply_id=f"{case_id}-2", unit="S01", case_id=case_id, at=at, text="已联系")
    )
    _send(
        producer, prefix, wire.Answer(reply_id=f"{case_id}-3", unit="S01", case_id=case_id, at=at, text="已处理完毕。")
    )


def _send(producer: Producer, prefix: str, reply: wire.AnyReply) -> None:
    value = reply.encode()
    headers: list[tuple[str, str | bytes | None]] = [
        (envelope.SIGNATURE_HEADER, signatures.sign(SECRET, reply.reply_id, value))
    ]
    producer.produce(prefix + reply.action, value, reply.case_id.encode(), headers=headers)


if __name__ == "__main__":
    _run_worker(sys.argv[1], sys.argv[2], Path(sys.argv[3]), durable=sys.argv[4] == "durable")
