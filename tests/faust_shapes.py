"""Faust agents in every shape that loses events, and ours: `python -m tests.faust_shapes SHAPE BOOTSTRAP TOPIC FILE`.

Each writes what it has handled into a file, a line an event. `bad` cannot be handled, `slow` takes for ever; both
only while FILE.trouble is there. The group is named like the topic.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import faust
from prometheus_client import CollectorRegistry

from sinks.ledger import Partition
from sinks.metrics import Metrics
from streams.batches import Batches, Ending
from streams.offsets import Settled
from streams.records import Record
from streams.settings import Settings
from streams.worker import Role, _app, _serve

BAD, SLOW = b"bad", b"slow"


class Handler:
    """Handles one event, or cannot."""

    def __init__(self, file: Path) -> None:
        self.folder = file.parent
        self._file = file
        self._trouble = file.with_name(file.name + ".trouble")

    def troubled_by(self, value: bytes, which: bytes) -> bool:
        return value == which and self._trouble.exists()

    def handle(self, value: bytes) -> None:
        if self.troubled_by(value, BAD):
            raise ValueError("bad")
        with self._file.open("ab") as stream:
            stream.write(value + b"\n")


def upstream(bootstrap: str, topic: str, handler: Handler, **agent: Any) -> tuple[faust.App, Any]:
    """An app as Faust's own pages show it, with an agent still to be written."""
    app = faust.App(
        topic,
        broker=f"kafka://{bootstrap}",
        autodiscover=False,
        broker_commit_interval=0.2,
        consumer_auto_offset_reset="earliest",
        store="memory://",
        datadir=str(handler.folder / topic),
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        worker_redirect_stdouts=False,
    )
    source = app.topic(topic, key_type=bytes, key_serializer="raw", value_type=bytes, value_serializer="raw")
    return app, app.agent(source, **agent)


def raising(bootstrap: str, topic: str, handler: Handler) -> faust.App:
    app, agent = upstream(bootstrap, topic, handler)

    @agent  # type: ignore[untyped-decorator]
    async def _handle(stream: Any) -> None:
        async for event in stream.events():
            handler.handle(event.value)

    return app


def skipping(bootstrap: str, topic: str, handler: Handler) -> faust.App:
    app, agent = upstream(bootstrap, topic, handler)

    @agent  # type: ignore[untyped-decorator]
    async def _handle(stream: Any) -> None:
        async for event in stream.noack().events():
            if not handler.troubled_by(event.value, BAD):
                handler.handle(event.value)
                event.ack()

    return app


def taking(bootstrap: str, topic: str, handler: Handler) -> faust.App:
    app, agent = upstream(bootstrap, topic, handler)

    @agent  # type: ignore[untyped-decorator]
    async def _handle(stream: Any) -> None:
        async for values in stream.take(2, within=0.2):
            for value in values:
                handler.handle(value)

    return app


def two_at_once(bootstrap: str, topic: str, handler: Handler) -> faust.App:
    app, agent = upstream(bootstrap, topic, handler, concurrency=2)

    @agent  # type: ignore[untyped-decorator]
    async def _handle(stream: Any) -> None:
        async for event in stream.events():
            if handler.troubled_by(event.value, SLOW):
                await asyncio.Event().wait()
            handler.handle(event.value)

    return app


def ours(bootstrap: str, topic: str, handler: Handler) -> faust.App:
    """The very app of our workers, around a function that settles as it is told."""

    def begin(records: Sequence[Record]) -> Ending:
        settled: dict[Partition, int] = {}
        for record in records:
            while handler.troubled_by(record.value or b"", SLOW):
                time.sleep(0.02)  # a thread has no other way to be held up from outside
            handler.handle(record.value or b"")
            settled[record.source] = record.next_offset
        return lambda: settled

    settings = Settings(kafka=bootstrap, data=handler.folder)
    offsets = Settled()
    registry = CollectorRegistry()
    role = Role(topic, [topic], begin, lambda _partitions: {}, lambda: None, registry, Metrics(registry))
    return _app(role, settings, offsets, Batches(begin, offsets))


SHAPES: Mapping[str, Callable[[str, str, Handler], faust.App]] = {
    "raising": raising,
    "skipping": skipping,
    "taking": taking,
    "two_at_once": two_at_once,
    "ours": ours,
}


if __name__ == "__main__":
    shape, address, name, handled = sys.argv[1:]
    sys.argv = sys.argv[:1]  # Faust looks at it
    sys.exit(_serve(SHAPES[shape](address, name, Handler(Path(handled)))))
