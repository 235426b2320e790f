"""What became of the machine's answers is kept beside the cases, one row a case, and asked for by triage."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import Engine, text

from routers.life import Event
from sinks import judgements
from sinks.database import LedgerUnavailableError, open_engine, sqlite_url
from sinks.ledger import Batch, Ledger
from sinks.schema import migrate
from tests.databases import Database
from tests.filled_ledger import DESK, NINE, case_id, facts, minutes, registered
from tests.ledger.stories import UNIT, happens

OTHER = "U-WATER"
MODEL = facts("app", NINE).classification.model


def given(unit: str, minute: int, actor: str = "pipeline") -> Event:
    named = {"unit": unit, "co": [], "rule": "R", "why": "", "returnable": True, "accept_by": minutes(minute + 60)}
    return Event("case.dispatched", minutes(minute), actor, named)


def sent(ledger: Ledger, number: int, minute: int = 0) -> None:
    """A demand that the machine has dispatched."""
    batch = Batch()
    happens(batch, None, case_id(number), registered(minutes(minute)), given(UNIT, minute))
    ledger.write(batch)


def ruled(ledger: Ledger, number: int, unit: str, minute: int) -> None:
    """The unit returns the case, and the desk rules."""
    name = case_id(number)
    before = ledger.load([name], [], [], []).cases[name]
    batch = Batch()
    returned = Event("case.return_requested", minutes(minute), UNIT, {"reason": "R1", "desk": DESK})
    happens(batch, before, name, returned, given(unit, minute, DESK))
    ledger.write(batch)


@pytest.fixture
def reader(database: Database) -> Iterator[Engine]:
    engine = open_engine(database.url, read_only=True)
    yield engine
    engine.dispose()


def told(reader: Engine, *, model: str = MODEL, minute: int = 0, limit: int = 10) -> list[bool]:
    return list(map(bool, judgements.newest(reader, model, minutes(minute), limit).right))


def test_nothing_is_known_of_a_case_until_somebody_has_judged(ledger: Ledger, reader: Engine) -> None:
    sent(ledger, 1)
    assert told(reader) == []


def test_a_ruling_is_told_with_what_the_machine_said_and_a_later_one_replaces_it(
    ledger: Ledger, other: Ledger, reader: Engine
) -> None:
    sent(ledger, 1)
    ruled(ledger, 1, OTHER, 5)
    found = judgements.newest(reader, MODEL, NINE, 10)
    said = facts("app", NINE).classification
    assert (found.said, found.right.tolist()) == ((said.category,), [False])
    assert found.confidence.tolist() == pytest.approx([said.confidence])
    ruled(other, 1, UNIT, 9)
    assert told(reader) == [True]
    assert told(reader, minute=6) == [True], "it counts from the later ruling on"


def test_the_newest_of_one_model_and_of_the_last_days_are_told(ledger: Ledger, reader: Engine) -> None:
    for number, unit in enumerate((UNIT, OTHER, OTHER, UNIT)):
        sent(ledger, number, number)
        ruled(ledger, number, unit, 10 + number)
    assert told(reader) == [True, False, False, True]
    assert told(reader, limit=3) == [True, False, False]
    assert told(reader, minute=13) == [True]
    assert told(reader, model="another") == []


def test_a_judgement_holds_nothing_that_the_citizen_said(ledger: Ledger) -> None:
    sent(ledger, 1)
    ruled(ledger, 1, OTHER, 5)
    with ledger.engine.begin() as connection:
        row = connection.execute(text("SELECT * FROM judgement")).one()._mapping
    assert set(row) == {"case_id", "category", "confidence", "model", "right_unit", "judged_at"}
    assert row["judged_at"] == f"{NINE + timedelta(minutes=5):%Y-%m-%dT%H:%M:%S}.000000Z"


def test_a_ledger_that_is_not_there_says_so(tmp_path_factory: pytest.TempPathFactory) -> None:
    engine = open_engine(sqlite_url(tmp_path_factory.mktemp("none") / "ledger.db"), read_only=True)
    with pytest.raises(LedgerUnavailableError):
        judgements.newest(engine, MODEL, NINE, 10)
    engine.dispose()


def test_cases_of_before_are_judged_from_their_next_ruling_on(empty_database: Database) -> None:
    engine = open_engine(empty_database.url)
    migrate(engine, revision="0002")
    migrate(engine)
    ledger = Ledger(engine)
    sent(ledger, 1)
    ruled(ledger, 1, OTHER, 5)
    assert told(engine) == [False]
    engine.dispose()
