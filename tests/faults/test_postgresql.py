"""Two casework workers on one PostgreSQL: one sleeps through the loss of its partitions; the database goes away."""

import os
import signal
import time
from collections.abc import Iterator

import pytest

from tests.databases import PostgreSQL
from tests.installation import GROUPS, LAMPS, SECONDS, STREETLIGHT, Installation, installation

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]

OPENED = ["registered", "dispatched"]
AWAY = 5.0
"""Seconds for which the database is stopped."""


@pytest.fixture(scope="module")
def town(postgresql: PostgreSQL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    postgresql.run("CREATE DATABASE town")
    data = tmp_path_factory.mktemp("postgresql") / "town"
    with installation(data, ledger=postgresql.url("town"), casework_workers="2") as running:
        yield running
    postgresql.run("DROP DATABASE town WITH (FORCE)")


@pytest.mark.parametrize("step", ["derive", "write"])
def test_a_worker_that_wakes_after_another_took_its_partitions_changes_nothing(town: Installation, step: str) -> None:
    """It fell asleep just before its transaction, or just after it and before it published."""
    sleeper = town.pid("casework-0")
    with town.channel() as channel:
        town.arm("casework-0", step, "STOP")
        demands = channel.submit_many({"text": STREETLIGHT} for _ in range(20))
        town.died()
        town.bury(GROUPS["casework"])  # as when its session ends; the one that is awake joins again by itself
        receipts = channel.wait_for(demands, SECONDS)
        assert [receipts[each].code for each in demands] == ["accepted"] * len(demands)

        os.kill(sleeper, signal.SIGCONT)
        more = channel.submit_many({"text": STREETLIGHT} for _ in range(20))
        assert len(channel.wait_for(more, SECONDS)) == len(more)
    town.check_once()
    assert town.fates(demands + more) == dict.fromkeys(demands + more, OPENED)


def test_a_database_that_is_gone_for_a_while_loses_nothing(town: Installation, postgresql: PostgreSQL) -> None:
    with town.channel() as channel, town.units(LAMPS) as unit:
        before = channel.submit_many({"text": STREETLIGHT} for _ in range(10))
        assert len(channel.wait_for(before, SECONDS)) == len(before)
        with postgresql.away():
            back_at = time.monotonic() + AWAY
            meanwhile = channel.submit_many({"text": STREETLIGHT} for _ in range(10))
            replies = [unit.accept(case_id) for case_id in before]
            unit.flush()
            for told in channel.receipts(timeout=max(0.0, back_at - time.monotonic())):
                raise AssertionError(f"a receipt without a ledger: {told}")
        receipts = channel.wait_for(meanwhile, SECONDS)
        assert [receipts[each].code for each in meanwhile] == ["accepted"] * len(meanwhile)
        results = unit.result_of(replies, SECONDS)
        assert [results[each].code for each in replies] == ["applied"] * len(replies)
    town.check_once()
    assert town.fates(before) == {each: [*OPENED, "accepted"] for each in before}
    assert town.fates(meanwhile) == dict.fromkeys(meanwhile, OPENED)
