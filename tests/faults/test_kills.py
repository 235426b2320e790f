"""Workers die by SIGKILL at every step there is, under work, on one installation that lives through all of it."""

from collections.abc import Iterator

import psutil
import pytest

from tests.installation import DESK, GROUPS, LAMPS, SECONDS, STREETLIGHT, Installation, installation, until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]

AT_ONCE = 6
WHOLE_LIFE = ["registered", "dispatched", "accepted", "contacted", "done", "called_back", "closed"]

STEPS = [
    *(("casework-0", step) for step in ("take", "load", "decide", "derive", "write", "publish", "ack")),
    *(("triage-0", step) for step in ("take", "keep", "publish")),
]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installation(tmp_path_factory.mktemp("kills") / "town") as running:
        yield running


@pytest.mark.parametrize(("worker", "step"), STEPS)
def test_a_worker_killed_at_a_step_loses_nothing_and_does_nothing_twice(
    town: Installation, worker: str, step: str
) -> None:
    before = town.worker(worker)
    with town.channel() as channel, town.units(LAMPS, DESK) as units:
        older = channel.submit_many({"text": STREETLIGHT} for _ in range(AT_ONCE))
        assert {each.code for each in channel.wait_for(older, SECONDS).values()} == {"accepted"}

        town.arm(worker, step)
        replies = [units.accept(case_id, unit=LAMPS) for case_id in older]
        younger = channel.submit_many({"text": STREETLIGHT} for _ in range(AT_ONCE))
        replies += [units.contact(case_id, "已电话联系", unit=LAMPS) for case_id in older]
        town.died()
        town.bury(GROUPS[worker.partition("-")[0]])

        receipts = channel.wait_for(younger, SECONDS)
        assert [receipts[each].code for each in younger] == ["accepted"] * AT_ONCE
        replies += [units.accept(case_id, unit=LAMPS) for case_id in younger]
        replies += [units.contact(case_id, "已电话联系", unit=LAMPS) for case_id in younger]
        replies += [units.answer(case_id, "已修复", unit=LAMPS) for case_id in older + younger]
        assert {each.code for each in units.result_of(replies, SECONDS).values()} == {"applied"}
        calls = [units.call_back(case_id, solved=True, unit=DESK) for case_id in older + younger]
        results = units.result_of(calls, SECONDS)
        assert [results[each].code for each in calls] == ["applied"] * len(calls)

    until(lambda: town.worker(worker)["restarts"] == before["restarts"] + 1, SECONDS, "the death is counted")
    assert town.worker(worker)["pid"] != before["pid"]
    assert town.fates(older + younger) == dict.fromkeys(older + younger, WHOLE_LIFE)
    town.check_once()


def test_a_killed_worker_comes_back_when_kafka_itself_gives_its_partitions_on(town: Installation) -> None:
    """Nobody takes the dead member out of its group: it takes the end of its session."""
    dead = town.pid("casework-0")
    with town.channel() as channel:
        psutil.Process(dead).kill()
        demands = channel.submit_many({"text": STREETLIGHT} for _ in range(AT_ONCE))
        assert len(channel.wait_for(demands, SECONDS)) == AT_ONCE
    assert town.pid("casework-0") != dead
    town.check_once()


def test_a_broker_killed_under_load_loses_nothing(town: Installation) -> None:
    with town.channel() as channel, town.units(LAMPS) as unit:
        demands = channel.submit_many({"text": STREETLIGHT} for _ in range(20))
        receipts = channel.wait_for(demands, SECONDS)
        replies = [unit.accept(case_id) for case_id in receipts]
        demands += [channel.submit(STREETLIGHT) for _ in range(20)]
        dead = town.kafka_pid
        psutil.Process(dead).kill()
        demands += [channel.submit(STREETLIGHT) for _ in range(20)]
        replies += [unit.contact(case_id, "已电话联系") for case_id in demands[:20]]
        receipts |= channel.wait_for(demands[20:], 2 * SECONDS)
        assert {each.code for each in receipts.values()} <= {"accepted", "duplicate"}
        assert len(receipts) == len(demands)
        results = unit.result_of(replies, SECONDS)
        assert [results[each].code for each in replies] == ["applied"] * len(replies)
    assert town.kafka_pid != dead
    town.check_once()
    opened = ["registered", "dispatched"]
    assert town.fates(demands) == {
        each: [*opened, "accepted", "contacted"] if number < 20 else opened for number, each in enumerate(demands)
    }
