"""The registry: what every topic is called, how large and how lasting it is, and that its description is whole."""

import json
from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from streams import decoding, envelope, topics
from streams import messages as wire
from streams.topics import REGISTRY, Topic, topics_of
from tests.cities import qinglan

DAY = 24 * 3600 * 1000
WEEK = 7 * DAY


def kind_of(pattern: str) -> topics.TopicKind:
    return next(kind for kind in REGISTRY if kind.pattern == pattern)


def of(pattern: str, **settings: int) -> list[Topic]:
    return [topic for topic in topics_of(qinglan(), **settings) if topic.kind.pattern == pattern]


def only(pattern: str) -> Topic:
    (topic,) = of(pattern)
    return topic


def test_the_registry_has_each_kind_once() -> None:
    assert [kind.pattern for kind in REGISTRY] == [
        "intake.{channel}",
        "demands",
        "commands",
        "replies",
        "work.{unit}",
        "outcome.{channel}",
        "deadletters",
    ]


@pytest.mark.parametrize("kind", REGISTRY, ids=lambda kind: kind.pattern)
def test_every_kind_says_who_and_what_happens(kind: topics.TopicKind) -> None:
    said = (kind.title, kind.key, kind.writers, kind.readers, kind.on_success, kind.on_poison, kind.on_sink_down)
    assert all(each.strip() for each in said)
    assert (kind.retention is not None) or kind.cleanup == "compact"


def test_names_are_made_and_read_in_one_place() -> None:
    assert [topics.intake("app"), topics.outcome("app"), topics.work("U-LIGHT")] == [
        "intake.app",
        "outcome.app",
        "work.U-LIGHT",
    ]
    assert topics.channel_of("intake.app") == "app"
    assert [topics.channel_of(each) for each in ("outcome.app", "intake", "demands", "work.U-LIGHT")] == [None] * 4


def test_a_city_has_every_topic_once() -> None:
    names = Counter(topic.name for topic in topics_of(qinglan()))
    assert set(names.values()) == {1}
    fixed = {topics.DEMANDS, topics.COMMANDS, topics.REPLIES, topics.DEADLETTERS}
    channels = {name(each) for each in qinglan().channels for name in (topics.intake, topics.outcome)}
    assert names.keys() == fixed | channels | {topic.name for topic in of("work.{unit}")}


def test_every_unit_has_a_queue_and_one_that_only_stands_for_others_has_none() -> None:
    queues = {topic.name for topic in of("work.{unit}")}
    virtual = {unit.code for unit in qinglan().units.values() if unit.virtual}
    assert virtual
    assert queues == {topics.work(code) for code in qinglan().units if code not in virtual}
    assert len(queues) > 90


def test_desk_and_supervisor_are_units_like_others() -> None:
    policies = qinglan().policies
    queues = {topic.name for topic in of("work.{unit}")}
    assert {topics.work(each) for each in (policies.desk, policies.supervisor, policies.rulings)} <= queues


@pytest.mark.parametrize("partitions", [1, 4, 12])
def test_what_is_keyed_by_case_has_equally_many_partitions(partitions: int) -> None:
    made = topics_of(qinglan(), partitions)
    assert {topic.partitions for topic in made if topic.kind.keyed} == {partitions}
    assert {topic.partitions for topic in made if not topic.kind.keyed} == {1}
    assert [kind.pattern for kind in REGISTRY if not kind.keyed] == ["work.{unit}"]


def test_kafka_takes_every_name() -> None:
    for topic in topics_of(qinglan()):
        assert len(topic.name) <= 249
        assert topic.name.replace(".", "").replace("-", "").replace("_", "").isalnum()
        assert topic.name.isascii()
    # Kafka's metrics show a dot as an underscore: two names may not differ by that alone.
    names = [topic.name.replace(".", "_") for topic in topics_of(qinglan())]
    assert len(set(names)) == len(names)


# -- limits ---------------------------------------------------------------------------------------


def test_dead_letters_take_all_that_intake_takes_and_as_much_again() -> None:
    taken = [kind for kind in REGISTRY if kind.pattern in {"intake.{channel}", topics.REPLIES, topics.COMMANDS}]
    assert kind_of(topics.DEADLETTERS).max_bytes >= 2 * max(kind.max_bytes for kind in taken)
    assert kind_of(topics.DEADLETTERS).max_bytes >= kind_of(topics.DEMANDS).max_bytes


def test_what_triage_makes_of_the_largest_demand_fits() -> None:
    assert kind_of(topics.DEMANDS).max_bytes > kind_of("intake.{channel}").max_bytes


def test_the_largest_record_of_any_topic_is_read() -> None:
    assert max(kind.max_bytes for kind in REGISTRY) <= decoding.LARGEST


def test_the_longest_demand_fits_even_from_a_client_that_escapes_everything() -> None:
    """Python's json writes a Chinese character as six bytes by default, an emoji as twelve."""
    assert len(json.dumps("灯" * 20_000)) + len(json.dumps("灯" * 20_000)) < topics.INTAKE_BYTES
    assert len(json.dumps("😀" * 20_000)) < topics.INTAKE_BYTES


# -- settings ---------------------------------------------------------------------------------------


def test_a_stream_is_kept_for_its_time_and_then_deleted() -> None:
    assert only(topics.REPLIES).config() == {
        "cleanup.policy": "delete",
        "max.message.bytes": str(topics.INTAKE_BYTES),
        "min.insync.replicas": "1",
        "retention.ms": str(60 * DAY),
    }


def test_a_queue_keeps_what_is_open_and_shows_for_weeks_what_is_finished() -> None:
    settings = of("work.{unit}")[0].config(min_insync=2)
    assert settings["cleanup.policy"] == "compact"
    assert settings["min.insync.replicas"] == "2"
    assert "retention.ms" not in settings
    assert int(settings["delete.retention.ms"]) == 60 * DAY
    assert int(settings["max.compaction.lag.ms"]) == WEEK


def test_a_unit_may_be_away_for_weeks_but_intake_is_short() -> None:
    kept = {topic.kind.pattern: int(topic.config().get("retention.ms", 0)) for topic in topics_of(qinglan())}
    assert kept[topics.REPLIES] >= 4 * WEEK
    assert kept["outcome.{channel}"] >= 4 * WEEK
    assert WEEK <= kept["intake.{channel}"] < kept[topics.REPLIES]


def test_casework_reads_every_topic_whose_readers_it_is() -> None:
    assert set(topics.casework_topics()) == {kind.pattern for kind in REGISTRY if "casework" in kind.readers}


def test_a_topic_is_found_by_its_name() -> None:
    made = topics_of(qinglan())
    found = topics.find(made, "work.U-LIGHT")
    assert found is not None
    assert found.kind.pattern == "work.{unit}"
    assert topics.find(made, "work.U-MOON") is None


# -- AsyncAPI -----------------------------------------------------------------------------------------


@cache
def described() -> dict[str, Any]:
    return topics.asyncapi(qinglan(), "1.2.3", partitions=7)


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, each in value.items():
            if name == "$ref":
                yield each
            elif name == "mapping":
                yield from each.values()
            else:
                yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def resolve(document: dict[str, Any], reference: str) -> Any:
    assert reference.startswith("#/")
    place: Any = document
    for part in reference[2:].split("/"):
        place = place[part.replace("~1", "/").replace("~0", "~")]
    return place


def test_the_description_has_the_shape_of_asyncapi_3() -> None:
    document = described()
    assert document["asyncapi"] == "3.0.0"
    assert document["info"]["version"] == "1.2.3"
    assert qinglan().zh in document["info"]["title"]
    assert document.keys() == {"asyncapi", "info", "defaultContentType", "channels", "operations", "components"}
    assert json.loads(json.dumps(document)) == document


def test_every_reference_in_the_description_leads_somewhere() -> None:
    document = described()
    found = set(references(document))
    assert len(found) > len(REGISTRY)
    for reference in found:
        assert resolve(document, reference)


def test_every_topic_is_described_with_its_messages_and_settings() -> None:
    document = described()
    made = topics_of(qinglan(), 7)
    assert document["channels"].keys() == {topic.name for topic in made}
    for topic in made:
        channel = document["channels"][topic.name]
        binding = channel["bindings"]["kafka"]
        assert (channel["address"], binding["topic"], binding["partitions"]) == (
            topic.name,
            topic.name,
            topic.partitions,
        )
        assert binding["topicConfiguration"]["max.message.bytes"] == topic.kind.max_bytes
        assert binding["topicConfiguration"]["cleanup.policy"] == [topic.kind.cleanup]
        assert resolve(document, channel["messages"]["value"]["$ref"])["payload"]


def test_somebody_writes_and_reads_every_topic_of_the_description() -> None:
    document = described()
    seen = {(each["action"], each["channel"]["$ref"]) for each in document["operations"].values()}
    assert seen == {(action, f"#/channels/{name}") for name in document["channels"] for action in ("send", "receive")}


def test_every_message_is_in_the_description() -> None:
    schemas = described()["components"]["schemas"]
    titles = {each.get("title") for each in schemas.values()}
    assert {message.__name__ for message in wire.CE_NOUNS} <= titles


def test_the_letter_of_a_dead_letter_is_described_where_it_travels() -> None:
    """Its value is sealed bytes; what can be read is in a header."""
    message = described()["components"]["messages"]["deadletters"]
    assert message["contentType"] == "application/octet-stream"
    assert message["headers"]["properties"].keys() == {envelope.LETTER_HEADER}
