"""The audit names every intake record that is not accounted for, and every row that proves nothing."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from sinks.audit import PartitionLog, audit
from sinks.database import open_engine, sqlite_url
from tests.filled_ledger import NINE, FilledLedger, case_id, dispatched, registered

SIX = tuple(case_id(number) for number in range(6))


@pytest.fixture
def engine(ledger_file: Path) -> Iterator[Engine]:
    engine = open_engine(sqlite_url(ledger_file))
    yield engine
    engine.dispose()


@pytest.fixture
def ledger(engine: Engine) -> FilledLedger:
    """Six demands of the app: offsets 0 to 5 of its partition 0, each dispatched."""
    ledger = FilledLedger(engine)
    for number in range(6):
        ledger.case(number, registered(), dispatched("U-ROADS", NINE))
    return ledger


@pytest.fixture
def log(ledger: FilledLedger) -> PartitionLog:
    """What Kafka holds of the same six."""
    assert ledger
    return PartitionLog("app", "intake.app", 0, 0, 6, dict(enumerate(SIX)))


def run(engine: Engine, statement: str, **values: object) -> None:
    with engine.begin() as connection:
        assert connection.execute(text(statement), values).rowcount > 0


def test_a_whole_ledger_is_proven(engine: Engine, ledger: FilledLedger, log: PartitionLog) -> None:
    ledger.counted("duplicate", SIX[0])
    ledger.counted("follow_up", SIX[1], kind="urge")
    ledger.dead_letter("not_json")
    keys = {**dict(enumerate(SIX)), 6: SIX[0], 7: SIX[1], 8: None}
    report = audit(engine, [replace(log, end=9, keys=keys)])
    assert report.ok
    assert report.document() == {
        "ok": True,
        "channels": [
            {
                "channel": "app",
                "partition": 0,
                "read": 9,
                "opened": 6,
                "linked": 0,
                "answered": 0,
                "declined": 0,
                "in_review": 0,
                "duplicate": 1,
                "follow_up": 1,
                "dead_lettered": 1,
                "missing": [],
            }
        ],
        "unaccounted": 0,
        "forged": [],
        "broken": [],
        "cases": 6,
        "events": 12,
        "outbox": 0,
    }
    assert list(report.lines()) == []


def test_a_deleted_row_is_named(engine: Engine, log: PartitionLog) -> None:
    run(engine, "DELETE FROM input WHERE origin_offset = 3")
    report = audit(engine, [log])
    assert not report.ok
    assert report.unaccounted == 1
    assert report.document()["channels"][0]["missing"] == [3]
    assert "intake.app[0]: 1 not accounted for: 3" in list(report.lines())


def test_offsets_nobody_has_read_yet_are_named_as_one_range(engine: Engine, log: PartitionLog) -> None:
    keys = {offset: case_id(offset) for offset in range(1_000)}
    report = audit(engine, [replace(log, end=1_000, keys=keys)])
    assert report.unaccounted == 994
    assert report.channels[0].gaps == (range(6, 1_000),)
    assert list(report.lines()) == ["intake.app[0]: 994 not accounted for: 6-999"]


def test_the_same_gaps_are_found_without_reading_the_records(engine: Engine, log: PartitionLog) -> None:
    run(engine, "DELETE FROM input WHERE origin_offset IN (0, 2, 3)")
    report = audit(engine, [replace(log, end=8, keys=None)])
    assert report.channels[0].gaps == (range(1), range(2, 4), range(6, 8))


def test_a_skipped_offset_is_named(engine: Engine, log: PartitionLog) -> None:
    """The row of offset 5 claims 6: one record is missing and one row has no record."""
    run(engine, "UPDATE input SET origin_offset = 6 WHERE origin_offset = 5")
    report = audit(engine, [log])
    assert report.channels[0].document()["missing"] == [5]
    assert [(each.offset, each.reason) for each in report.forged] == [(6, "beyond_end")]
    assert report.unaccounted == 2


def test_a_row_in_the_name_of_another_case_is_forged(engine: Engine, log: PartitionLog) -> None:
    run(engine, "UPDATE input SET case_id = :other WHERE origin_offset = 4", other=SIX[1])
    report = audit(engine, [log])
    (forged,) = report.forged
    assert (forged.offset, forged.reason, forged.case_id, forged.expected) == (4, "wrong_case", SIX[1], SIX[4])
    assert report.unaccounted == 1
    assert report.channels[0].counted == {"opened": 5}


def test_a_row_of_a_partition_that_is_not_there_is_forged(
    engine: Engine, ledger: FilledLedger, log: PartitionLog
) -> None:
    ledger.counted("duplicate", SIX[0], channel="drone", partition=3)
    report = audit(engine, [log])
    assert [(each.channel, each.partition, each.reason) for each in report.forged] == [
        ("drone", 3, "no_such_partition")
    ]
    assert report.document()["unaccounted"] == 1


def test_a_fate_that_does_not_exist_counts_for_nothing(engine: Engine, log: PartitionLog) -> None:
    run(engine, "UPDATE input SET disposition = 'forgotten' WHERE origin_offset = 2")
    report = audit(engine, [log])
    assert [(each.offset, each.reason) for each in report.forged] == [(2, "unknown_disposition")]


def test_an_offset_that_is_counted_twice_is_named(engine: Engine, log: PartitionLog) -> None:
    with engine.begin() as connection:
        connection.execute(text("DROP INDEX input_origin"))
    run(engine, "UPDATE input SET origin_offset = 1 WHERE origin_offset = 2")
    report = audit(engine, [log])
    assert ("counted_twice", 1) in [(each.reason, each.offset) for each in report.forged]
    assert report.channels[0].document()["missing"] == [2]


def test_what_has_expired_is_proven_by_the_ledger_alone(engine: Engine, log: PartitionLog) -> None:
    truncated = replace(log, start=4, keys={4: SIX[4], 5: SIX[5]})
    assert audit(engine, [truncated]).ok
    run(engine, "DELETE FROM input WHERE origin_offset = 1")
    report = audit(engine, [truncated])
    assert report.channels[0].document()["missing"] == [1]
    assert audit(engine, [replace(log, start=6, keys={})]).channels[0].document()["missing"] == [1]


def test_marks_of_a_transaction_are_no_records(engine: Engine, log: PartitionLog) -> None:
    """A channel that writes in transactions leaves marks: offsets that no reader ever gets."""
    keys = dict(enumerate(SIX)) | {7: case_id(7)}
    report = audit(engine, [replace(log, end=9, keys=keys)])
    assert report.channels[0].document()["missing"] == [7]


def test_a_row_where_kafka_holds_no_record_is_forged(engine: Engine, log: PartitionLog) -> None:
    keys = {offset: case_id(offset) for offset in (0, 1, 2, 4, 5)}
    report = audit(engine, [replace(log, keys=keys)])
    assert [(each.offset, each.reason) for each in report.forged] == [(3, "no_record")]


def test_a_dead_letter_may_name_whom_it_likes(engine: Engine, ledger: FilledLedger, log: PartitionLog) -> None:
    """A record under the wrong key is put aside; its key proves nothing."""
    ledger.dead_letter("wrong_key")
    assert audit(engine, [replace(log, end=7, keys={**dict(enumerate(SIX)), 6: SIX[2]})]).ok


def test_a_case_with_a_hole_in_its_history_is_broken(engine: Engine, log: PartitionLog) -> None:
    run(engine, "DELETE FROM event WHERE case_id = :case AND seq = 2", case=SIX[2])
    report = audit(engine, [log])
    assert report.unaccounted == 0
    assert not report.ok
    assert report.broken == ((SIX[2], "its events are not numbered 1 to its version without a gap"),)


def test_events_that_changed_places_are_noticed(engine: Engine, log: PartitionLog) -> None:
    run(engine, "UPDATE event SET seq = 7 WHERE case_id = :case AND seq = 2", case=SIX[2])
    assert [case for case, _reason in audit(engine, [log]).broken] == [SIX[2]]


def test_a_case_that_was_counted_and_never_registered_is_broken(engine: Engine, log: PartitionLog) -> None:
    run(engine, "UPDATE event SET kind = 'case.urged' WHERE case_id = :case AND seq = 1", case=SIX[5])
    assert audit(engine, [log]).broken == ((SIX[5], "it was accounted for as a case and never registered"),)


def test_a_case_out_of_nowhere_is_broken(engine: Engine, ledger: FilledLedger, log: PartitionLog) -> None:
    ledger.case(9, registered(), dispatched("U-ROADS", NINE))
    run(
        engine,
        "UPDATE input SET origin_topic = NULL, origin_partition = NULL, origin_offset = NULL WHERE origin_offset = 6",
    )
    assert audit(engine, [log]).broken == ((case_id(9), "it was registered and no intake record asked for it"),)


def test_events_without_their_case_are_broken(engine: Engine, log: PartitionLog) -> None:
    run(engine, 'DELETE FROM "case" WHERE case_id = :case', case=SIX[0])
    assert audit(engine, [log]).broken == ((SIX[0], "it has events and no case"),)


def test_what_waits_to_be_published_is_late_and_not_lost(
    engine: Engine, ledger: FilledLedger, log: PartitionLog
) -> None:
    ledger.waiting(2)
    report = audit(engine, [log])
    assert report.ok
    assert report.outbox == 2


def test_what_arrives_while_the_audit_runs_does_not_look_forged(engine: Engine, ledger: FilledLedger) -> None:
    """The ledger's moment is fixed before Kafka is asked, and Kafka is asked as the audit goes on."""
    reader = open_engine(str(engine.url), read_only=True)

    def asked_late() -> Iterator[PartitionLog]:
        yield PartitionLog("app", "intake.app", 0, 0, 6, dict(enumerate(SIX)))
        ledger.counted("duplicate", SIX[0])
        ledger.case(7, registered(), partition=1)
        yield PartitionLog("app", "intake.app", 1, 0, 1, {0: case_id(7)})

    report = audit(reader, asked_late())
    assert report.forged == ()
    assert report.channels[1].document()["missing"] == [0]
    reader.dispose()


def test_partitions_are_told_in_order(engine: Engine, log: PartitionLog) -> None:
    logs = [PartitionLog("hotline", "intake.hotline", 1, 0, 0), PartitionLog("hotline", "intake.hotline", 0, 0, 0), log]
    told = [(each.channel, each.partition) for each in audit(engine, logs).channels]
    assert all(one < other for one, other in pairwise(told))
    assert len(told) == 3
