"""What a split leaves in the ledger, on both databases."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from routers.life import Event
from routers.split import part_id
from sinks.audit import PartitionLog, audit
from sinks.cases import case_file, parent_of, parts_of
from sinks.database import open_engine
from sinks.queries import snapshot, states
from sinks.schema import migrate, newest
from tests.databases import Database
from tests.filled_ledger import DESK, NINE, FilledLedger, case_id, dispatched, happened, minutes, registered

UNITS = ("U-LAMPS", "U-ROADS")


def split(whole: str) -> Event:
    parts = [
        {
            "number": number,
            "case_id": part_id(whole, number),
            "unit": unit,
            "co": [],
            "category": "0701",
            "text": "噪声",
        }
        for number, unit in enumerate(UNITS, 1)
    ]
    return happened("split", minutes(1), DESK, parts=parts)


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    engine = open_engine(database.url)
    ledger = FilledLedger(engine)
    reviewed = happened("review_requested", NINE, reason="several_wishes")
    ledger.case(1, registered(), reviewed, split(case_id(1)), disposition="in_review")
    ledger.case(2, registered(), dispatched("U-ROADS", NINE))
    yield engine
    engine.dispose()


def test_a_split_writes_the_links_with_the_case(engine: Engine) -> None:
    whole = case_id(1)
    with snapshot(engine) as moment:
        assert parts_of(moment, whole) == [part_id(whole, 1), part_id(whole, 2)]
        assert parts_of(moment, case_id(2)) == []
        assert [parent_of(moment, each) for each in (part_id(whole, 2), whole, case_id(2))] == [whole, None, None]
        assert states(moment)["split"] == 1
        told = case_file(moment, whole)
    assert told is not None
    assert [(each["case_id"], each["state"]) for each in told["children"]] == [
        (part_id(whole, 1), None),
        (part_id(whole, 2), None),
    ]


def test_the_audit_names_the_parts_that_were_never_opened(engine: Engine) -> None:
    log = PartitionLog("app", "intake.app", 0, 0, 2)
    report = audit(engine, [log])
    assert (report.unaccounted, report.ok) == (0, False)
    reason = "its parent was split and it was never opened"
    assert dict(report.broken) == {part_id(case_id(1), number): reason for number in (1, 2)}


def test_a_part_is_ordered_once(engine: Engine) -> None:
    whole = case_id(1)
    for case, number in ((part_id(whole, 1), 3), (part_id(whole, 3), 1)):
        with pytest.raises(IntegrityError), engine.begin() as connection:
            connection.execute(text(f"INSERT INTO part VALUES ('{case}', '{whole}', {number})"))


def test_a_ledger_of_before_gets_room_for_parts_and_keeps_its_cases(empty_database: Database) -> None:
    engine = open_engine(empty_database.url)
    migrate(engine, revision="0003")
    with engine.begin() as connection:
        columns = "case_id, version, state, receipt, escalated, life"
        values = {"case": case_id(7), "escalated": False}
        connection.execute(
            text(f"INSERT INTO \"case\" ({columns}) VALUES (:case, 1, 'new', 'R', :escalated, '{{}}')"), values
        )
    assert migrate(engine) == newest()
    with snapshot(engine) as moment:
        assert states(moment)["new"] == 1
        assert parts_of(moment, case_id(7)) == []
    engine.dispose()
