"""The one transaction, on a real ledger and a broker that is a list."""

from datetime import timedelta
from functools import partial

import pytest

from routers.life import CaseState
from sinks.ledger import Partition
from sinks.tables import utc_text
from streams import messages as wire
from streams import topics
from tests.office import LAMPS, NINE, STEPS, Killed, Office, takeover

# ---- killed at any step ---------------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS)
def test_a_worker_that_dies_at_a_step_leaves_its_work_to_the_next(office: Office, step: str) -> None:
    case_ids = [office.case_id() for _ in range(3)]
    records = [office.demand(each) for each in case_ids] + [office.accept(case_ids[0])]

    def die(reached: str) -> None:
        if reached == step:
            raise Killed

    with pytest.raises(Killed):
        office.worker(die).transact(records)

    successor = office.worker()
    takeover(office, successor).take([Partition(topics.DEMANDS, 0), Partition(topics.REPLIES, 0)])
    assert successor.transact(records) == {Partition(topics.DEMANDS, 0): 3, Partition(topics.REPLIES, 0): 1}

    opened = ["registered", "dispatched"]
    assert office.fates() == {case_ids[0]: [*opened, "accepted"], case_ids[1]: opened, case_ids[2]: opened}
    assert [each.code for each in office.broker.outcomes()] == ["accepted"] * 3 + ["state"]
    assert len(office.broker.on(topics.work(LAMPS))) == 4
    assert office.dispositions() == ["opened"] * 3 + ["applied"]


# ---- clocks ---------------------------------------------------------------------------------------


def test_a_clock_that_a_slower_machine_hears_early_has_run_out_all_the_same(office: Office) -> None:
    """The machine of the ticker is 300 ms ahead of the one that decides."""
    case_id = office.case_id()
    worker = office.worker()
    worker.transact([office.demand(case_id)])
    due_at, generation = office.clocks()["due"]
    worker.now = lambda: due_at - timedelta(milliseconds=300)
    worker.transact([office.fires(case_id, "due")])
    assert office.fates() == {case_id: ["registered", "dispatched", "escalated"]}
    assert office.rows("SELECT at FROM event WHERE kind = 'case.escalated'") == [(utc_text(due_at),)]
    assert "due" not in office.clocks()
    assert generation == 1


def test_a_clock_that_came_to_nothing_once_is_heard_the_next_time(office: Office) -> None:
    case_id = office.case_id()
    worker = office.worker()
    worker.transact([office.demand(case_id)])
    due_at, _generation = office.clocks()["due"]
    early = office.fires(case_id, "due", due_at=due_at - timedelta(minutes=5))
    worker.transact([early])
    worker.now = lambda: due_at
    worker.transact([office.fires(case_id, "due"), office.fires(case_id, "due")])
    worker.transact([office.fires(case_id, "due", due_at=due_at)])
    assert office.fates() == {case_id: ["registered", "dispatched", "escalated"]}
    assert office.dispositions() == ["repeat", "applied", "repeat", "repeat", "opened"]


def test_what_is_held_again_after_it_lapsed_lapses_again(office: Office) -> None:
    case_id = office.case_id()
    worker = office.worker()
    for generation in (1, 2):
        worker.transact([office.withdrawal(case_id, follow_up=f"w{generation}")])
        due_at, number = office.clocks()["orphan"]
        assert number == generation
        worker.now = partial(max, due_at, NINE)
        worker.transact([office.fires(case_id, "orphan")])
        assert office.clocks() == {}
    assert office.fates() == {case_id: ["follow_up_held", "follow_up_lapsed"] * 2}


# ---- repeats and order ----------------------------------------------------------------------------


def test_a_citizens_number_in_a_units_note_reaches_neither_the_ledger_nor_a_queue(office: Office) -> None:
    case_id, worker = office.case_id(), office.worker()
    words = "已致电13812345678，身份证11010519491231002X"
    note = wire.Note(reply_id="n1", unit=LAMPS, case_id=case_id, at=NINE, text=words)
    worker.transact([office.demand(case_id), office.reply(note)])
    (told,) = office.rows("SELECT data FROM event WHERE kind = 'case.progress_noted'")
    item = office.broker.on(topics.work(LAMPS))[-1].value
    for each in (told[0], (item or b"").decode()):
        assert "已致电〔手机1〕" in each
        assert "13812345678" not in each
        assert "11010519491231002X" not in each


def test_a_resubmission_with_a_changed_address_is_a_duplicate_of_the_one_case(office: Office) -> None:
    case_id = office.case_id()
    worker = office.worker()
    worker.transact([office.demand(case_id, address="解放路1号")])
    worker.transact([office.demand(case_id, address="解放路2号"), office.demand(case_id, address="解放路1号")])
    assert office.fates() == {case_id: ["registered", "dispatched"]}
    assert office.dispositions() == ["opened", "duplicate", "duplicate"]
    accepted, changed, repeated = office.broker.outcomes()
    assert (accepted.code, changed.code, repeated.code) == ("accepted", "duplicate", "duplicate")
    assert accepted.receipt == changed.receipt == repeated.receipt
    assert changed.text != repeated.text
    assert len(office.broker.on(topics.work(LAMPS))) == 1


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "a batch later"])
def test_a_withdrawal_a_millisecond_after_its_demand_withdraws_it(office: Office, *, together: bool) -> None:
    case_id = office.case_id()
    records = [office.demand(case_id), office.withdrawal(case_id)]
    worker = office.worker()
    for part in [records] if together else [[each] for each in records]:
        worker.transact(part)
    assert office.fates() == {case_id: ["registered", "dispatched", "withdrawn"]}
    assert state(office, case_id) is CaseState.WITHDRAWN
    assert office.broker.on(topics.work(LAMPS))[-1].value is None
    assert [each.code for each in office.broker.outcomes()] == ["accepted", "state", "follow_up"]


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "a batch earlier"])
def test_a_withdrawal_that_overtakes_its_demand_through_another_partition_withdraws_it(
    office: Office, *, together: bool
) -> None:
    case_id = office.case_id()
    records = [office.withdrawal(case_id, partition=1), office.demand(case_id, partition=0)]
    worker = office.worker()
    for part in [records] if together else [[each] for each in records]:
        worker.transact(part)
    assert office.fates() == {case_id: ["follow_up_held", "registered", "dispatched", "withdrawn"]}
    assert state(office, case_id) is CaseState.WITHDRAWN
    assert sorted(office.dispositions()) == ["follow_up", "opened"]


def state(office: Office, case_id: str) -> CaseState:
    return CaseState(office.rows(f"SELECT state FROM \"case\" WHERE case_id = '{case_id}'")[0][0])


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "a batch later"])
def test_a_follow_up_that_was_refused_is_refused_again_when_it_is_sent_again(office: Office, *, together: bool) -> None:
    case_id = office.case_id()
    worker = office.worker()
    worker.transact([office.demand(case_id), office.withdrawal(case_id)])
    twice = [office.withdrawal(case_id, follow_up="w2"), office.withdrawal(case_id, follow_up="w2")]
    for part in [twice] if together else [[each] for each in twice]:
        worker.transact(part)
    told = [(each.code, each.refused, each.text) for each in office.broker.outcomes() if each.about == "w2"]
    assert [each[:2] for each in told] == [("case_ended", True)] * 2
    assert told[0] == told[1]
    assert office.dispositions() == ["opened", "follow_up", "follow_up", "duplicate"]


def test_a_redelivery_is_dropped_even_when_only_a_part_of_it_is_new(office: Office) -> None:
    records = [office.demand(office.case_id()) for _ in range(5)]
    worker = office.worker()
    worker.transact(records[:3])
    published = len(office.broker.log)
    assert worker.transact(records[:3]) == {records[0].source: 3}
    assert len(office.broker.log) == published
    worker.transact(records[1:])
    assert office.dispositions() == ["opened"] * 5
    assert office.progress() == {(topics.DEMANDS, 0): 5}
