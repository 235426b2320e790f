"""The registry of topics: every name, key, message, limit and promise, in one place.

Topics, documents and tests are made from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from routers.city import City
from routers.demand import DEMAND_LIMIT, TEXT_LIMIT
from streams.envelope import LETTER_HEADER
from streams.messages import COMMAND, DEADLETTER, INTAKE, OUTCOME, REPLY, TRIAGED, WORK

Cleanup = Literal["delete", "compact", "compact,delete"]

INTAKE_BYTES = 1_048_588
"""Largest batch of intake records, in bytes: Kafka's own default, which every client's default batch fits.

A record is smaller: a text has at most `DEMAND_LIMIT` characters, an answer `TEXT_LIMIT`, each of four bytes at most.
"""
assert INTAKE_BYTES > 2 * (DEMAND_LIMIT + TEXT_LIMIT) * 4

PARTITIONS = 4
"""Default number of partitions of the keyed topics; fixed at installation."""

DEMANDS = "demands"
COMMANDS = "commands"
REPLIES = "replies"
DEADLETTERS = "deadletters"


def intake(channel: str) -> str:
    """Return the topic a channel writes to."""
    return f"intake.{channel}"


def outcome(channel: str) -> str:
    """Return the topic a channel reads its outcomes from."""
    return f"outcome.{channel}"


def work(unit: str) -> str:
    """Return the topic that is a unit's work queue."""
    return f"work.{unit}"


def channel_of(topic: str) -> str | None:
    """Return the channel of an intake topic, None for any other topic."""
    prefix, dot, channel = topic.partition(".")
    return channel if dot and prefix == "intake" else None


@dataclass(frozen=True, slots=True)
class TopicKind:
    """One kind of topic; `{channel}` and `{unit}` in its pattern stand for every channel or unit of the city."""

    pattern: str
    title: str
    key: str
    messages: Any
    """The pydantic adapter that reads its values."""
    keyed: bool
    """Partition count equals that of the other keyed topics."""
    retention: timedelta | None
    """None: for ever (compacted)."""
    cleanup: Cleanup
    max_bytes: int
    writers: str
    readers: str
    on_success: str
    on_poison: str
    on_sink_down: str


REGISTRY: tuple[TopicKind, ...] = (
    TopicKind(
        pattern="intake.{channel}",
        title="Demands and follow-ups as a channel submits them",
        key="demand_id",
        messages=INTAKE,
        keyed=True,
        retention=timedelta(days=14),
        cleanup="delete",
        max_bytes=INTAKE_BYTES,
        writers="the channel",
        readers="triage",
        on_success="a message on demands",
        on_poison="a dead letter; the channel is told the code on its outcome topic",
        on_sink_down="waits: nothing is acknowledged before vault and broker have it",
    ),
    TopicKind(
        pattern=DEMANDS,
        title="Demands and follow-ups after triage: masked, placed, classified, ruled on",
        key="demand_id",
        messages=TRIAGED,
        keyed=True,
        retention=timedelta(days=14),
        cleanup="delete",
        max_bytes=INTAKE_BYTES * 2,
        writers="triage",
        readers="casework",
        on_success="an input row, events, outputs",
        on_poison="an unknown schema stops the worker; one that fails alone becomes a dead letter",
        on_sink_down="waits: the ledger holds the next offset",
    ),
    TopicKind(
        pattern=COMMANDS,
        title="What the pipeline says to a case: a clock has run out, a split has made it",
        key="case_id",
        messages=COMMAND,
        keyed=True,
        retention=timedelta(days=7),
        cleanup="delete",
        max_bytes=INTAKE_BYTES,
        writers="casework",
        readers="casework",
        on_success="an input row, events, outputs",
        on_poison="an unknown schema stops the worker; one that fails alone becomes a dead letter",
        on_sink_down="waits: the ledger holds the next offset",
    ),
    TopicKind(
        pattern=REPLIES,
        title="What units say about their cases, each signed with its unit's key",
        key="case_id",
        messages=REPLY,
        keyed=True,
        retention=timedelta(days=60),
        cleanup="delete",
        max_bytes=INTAKE_BYTES,
        writers="all units",
        readers="casework",
        on_success="an input row, events, outputs",
        on_poison="a dead letter; a bad signature also counts in a metric and raises an alert",
        on_sink_down="waits: the ledger holds the next offset",
    ),
    TopicKind(
        pattern="work.{unit}",
        title="The work queue of a unit: a stream and, compacted, the view of what is open",
        key="case_id; a refusal has the reply's id, a notice its category",
        messages=WORK,
        keyed=False,
        retention=timedelta(days=60),
        cleanup="compact",
        max_bytes=INTAKE_BYTES * 2,
        writers="casework, triage (notices to the desk)",
        readers="the unit",
        on_success="the unit acts",
        on_poison="cannot be: casework encodes and checks what it sends",
        on_sink_down="waits in the ledger's outbox",
    ),
    TopicKind(
        pattern="outcome.{channel}",
        title="What a channel may tell its citizens: receipts, changes of state, answers, refusals",
        key="demand_id",
        messages=OUTCOME,
        keyed=True,
        retention=timedelta(days=60),
        cleanup="delete",
        max_bytes=INTAKE_BYTES * 2,
        writers="casework",
        readers="the channel",
        on_success="the citizen is told",
        on_poison="cannot be: casework encodes and checks what it sends",
        on_sink_down="waits in the ledger's outbox",
    ),
    TopicKind(
        pattern=DEADLETTERS,
        title="Messages nobody could decide on: original bytes sealed by the vault, the rest in headers",
        key="demand_id where it is known, else the original key",
        messages=DEADLETTER,
        keyed=True,
        retention=timedelta(days=60),
        cleanup="delete",
        max_bytes=INTAKE_BYTES * 2,
        writers="triage, casework",
        readers="casework (accounts for them), operations",
        on_success="an input row; the channel is told",
        on_poison="cannot be: only headers are read",
        on_sink_down="waits: the ledger holds the next offset",
    ),
)


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic of one installation."""

    name: str
    kind: TopicKind
    partitions: int

    def config(self, *, min_insync: int = 1) -> dict[str, str]:
        """Return Kafka's topic settings."""
        kind = self.kind
        settings = {
            "cleanup.policy": kind.cleanup,
            "max.message.bytes": str(kind.max_bytes),
            "min.insync.replicas": str(min_insync),
        }
        if kind.retention is not None and "delete" in kind.cleanup:
            settings["retention.ms"] = str(int(kind.retention.total_seconds() * 1000))
        if "compact" in kind.cleanup:
            settings["delete.retention.ms"] = str(int(timedelta(days=60).total_seconds() * 1000))
            settings["max.compaction.lag.ms"] = str(int(timedelta(days=7).total_seconds() * 1000))
        return settings


def topics_of(city: City, partitions: int = PARTITIONS) -> list[Topic]:
    """Return every topic of a city.

    Args:
        city: names the channels and the units.
        partitions: of the keyed topics; work queues have one, so that a unit reads its work in order.
    """
    return [
        Topic(name, kind, partitions if kind.keyed else 1) for kind in REGISTRY for name in _names(kind.pattern, city)
    ]


def _names(pattern: str, city: City) -> Iterator[str]:
    if "{channel}" in pattern:
        yield from (pattern.format(channel=channel) for channel in city.channels)
    elif "{unit}" in pattern:
        yield from (pattern.format(unit=unit.code) for unit in city.units.values() if unit.kind != "virtual")
    else:
        yield pattern


def casework_topics() -> tuple[str, ...]:
    """Return what casework reads."""
    return (DEMANDS, REPLIES, COMMANDS, DEADLETTERS)


def asyncapi(city: City, version: str, partitions: int = PARTITIONS) -> dict[str, Any]:
    """Return the AsyncAPI 3.0 description of an installation's topics and messages."""
    schemas: dict[str, Any] = {}
    for kind in REGISTRY:
        schema = kind.messages.json_schema(by_alias=True, ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        schemas[f"{kind.pattern.partition('.')[0]}Value"] = schema
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for topic in topics_of(city, partitions):
        name = topic.kind.pattern.partition(".")[0]
        channels[topic.name] = {
            "address": topic.name,
            "title": topic.kind.title,
            "messages": {"value": {"$ref": f"#/components/messages/{name}"}},
            "bindings": {
                "kafka": {
                    "topic": topic.name,
                    "partitions": topic.partitions,
                    "topicConfiguration": _binding(topic),
                    "bindingVersion": "0.5.0",
                }
            },
        }
        for who, action in ((topic.kind.writers, "send"), (topic.kind.readers, "receive")):
            operations[f"{action}.{topic.name}"] = {
                "action": action,
                "summary": who,
                "channel": {"$ref": f"#/channels/{topic.name.replace('/', '~1')}"},
            }
    return {
        "asyncapi": "3.0.0",
        "info": {"title": f"Yiwang: {city.zh}", "version": version, "license": {"name": "Apache-2.0"}},
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": dict(map(_message, REGISTRY)), "schemas": schemas},
    }


def _message(kind: TopicKind) -> tuple[str, dict[str, Any]]:
    """Return the name and the AsyncAPI message of a kind of topic."""
    name = kind.pattern.partition(".")[0]
    value = {"$ref": f"#/components/schemas/{name}Value"}
    if kind.pattern != DEADLETTERS:
        return name, {"name": name, "contentType": "application/json", "payload": value}
    return name, {
        "name": name,
        "contentType": "application/octet-stream",
        "headers": {"type": "object", "properties": {LETTER_HEADER: value}, "required": [LETTER_HEADER]},
        "payload": {"description": "The original bytes, sealed by the vault."},
    }


def _binding(topic: Topic) -> Mapping[str, Any]:
    """Return the topic settings in the types AsyncAPI's Kafka binding asks for."""
    settings = topic.config()
    binding: dict[str, Any] = {"cleanup.policy": settings["cleanup.policy"].split(",")}
    for name in ("retention.ms", "delete.retention.ms", "max.message.bytes"):
        if name in settings:
            binding[name] = int(settings[name])
    return binding


def find(topics: Iterable[Topic], name: str) -> Topic | None:
    """Return the topic of that name."""
    return next((topic for topic in topics if topic.name == name), None)
