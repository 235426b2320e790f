"""The groups' offsets are lost, moved ahead, moved back: the ledger and the vault know better."""

from collections.abc import Callable, Iterator

import pytest
from kafka import KafkaAdminClient, TopicPartition
from kafka.structs import OffsetAndMetadata

from streams import topics
from streams.broker import EmbeddedKafka
from streams.lag import CASEWORK_GROUP, TRIAGE_GROUP
from tests.installation import LAMPS, SECONDS, STREETLIGHT, Installation

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]

PARTITIONS = (0, 1)
READ = {
    TRIAGE_GROUP: [topics.intake("app")],
    CASEWORK_GROUP: [topics.DEMANDS, topics.REPLIES],
}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Kafka that goes on while the workers are down."""
    with EmbeddedKafka(tmp_path_factory.mktemp("offsets-kafka")) as kafka:
        yield kafka.bootstrap


@pytest.fixture(scope="module")
def town(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with Installation(tmp_path_factory.mktemp("offsets") / "town", {"kafka": broker}) as running:
        yield running


def delete(admin: KafkaAdminClient, group: str) -> None:
    admin.delete_groups([group])


def move(admin: KafkaAdminClient, group: str, *, to_the_end: bool) -> None:
    partitions = [TopicPartition(topic, number) for topic in READ[group] for number in PARTITIONS]
    places = admin.list_partition_offsets(dict.fromkeys(partitions, -1 if to_the_end else -2))
    admin.alter_group_offsets(group, {each: OffsetAndMetadata(places[each].offset, "", -1) for each in partitions})


MISFORTUNES: dict[str, Callable[[KafkaAdminClient, str], None]] = {
    "deleted": delete,
    "moved ahead": lambda admin, group: move(admin, group, to_the_end=True),
    "moved back": lambda admin, group: move(admin, group, to_the_end=False),
}


@pytest.mark.parametrize("misfortune", MISFORTUNES)
def test_offsets_that_change_while_the_workers_are_down_lose_and_double_nothing(
    broker: str, town: Installation, misfortune: str
) -> None:
    with town.channel() as channel, town.units(LAMPS) as unit:
        before = channel.submit_many({"text": STREETLIGHT} for _ in range(10))
        assert len(channel.wait_for(before, SECONDS)) == len(before)

        town.stop()
        meanwhile = channel.submit_many({"text": STREETLIGHT} for _ in range(10))
        replies = [unit.accept(case_id) for case_id in before]
        unit.flush()
        admin = KafkaAdminClient(bootstrap_servers=broker)
        try:
            for group in READ:
                MISFORTUNES[misfortune](admin, group)
        finally:
            admin.close()
        town.start()

        receipts = channel.wait_for(meanwhile, SECONDS)
        assert [receipts[each].code for each in meanwhile] == ["accepted"] * len(meanwhile)
        results = unit.result_of(replies, SECONDS)
        assert [results[each].code for each in replies] == ["applied"] * len(replies)
    town.check_once()
    opened = ["registered", "dispatched"]
    assert town.fates(before) == {each: [*opened, "accepted"] for each in before}
    assert town.fates(meanwhile) == dict.fromkeys(meanwhile, opened)
