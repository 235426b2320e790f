"""What casework writes is what it, or the next worker, reads."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from routers.fold import replay
from routers.life import Case, CaseState, Event
from sinks import queries
from sinks.ledger import Batch, KnownInput, Ledger, Partition, StoredEvent, event_of
from sinks.rows import EVENT, INPUT
from tests.filled_ledger import NINE, case_id, facts, minutes, registered
from tests.ledger.stories import (
    DEMANDS,
    HANDLING,
    REPLIES,
    TABLES,
    case_now,
    content,
    happens,
    later,
    message,
    opening,
    record,
)

AWKWARD = "路灯🏮不亮了𠮷𡈽 'x' \"y\" %s %(a)s :name ? \\ \t\n" + "很长" * 9_000


_SANE = (datetime(1990, 1, 1), datetime(2100, 12, 31))  # noqa: DTZ001 - Hypothesis takes bounds without a zone


def stored(ledger: Ledger, name: str) -> list[Event]:
    with ledger.engine.begin() as connection:
        wanted = select(EVENT).where(EVENT.c.case_id == name).order_by(EVENT.c.seq)
        return [event_of(row) for row in connection.execute(wanted)]


def test_a_case_comes_back_whole_for_another_worker(ledger: Ledger, other: Ledger) -> None:
    batch = opening(1, 0)
    ledger.write(batch)
    loaded = other.load([case_id(1), case_id(2)], [case_id(1), "unknown"], [("intake.app", 0, 1)], [DEMANDS, REPLIES])
    assert dict(loaded.cases) == {case_id(1): batch.cases[case_id(1)][1]}
    assert loaded.cases[case_id(1)].facts == facts("app", NINE)
    assert dict(loaded.inputs) == {case_id(1): KnownInput("opened", None, "d")}
    assert loaded.origins == {("intake.app", 0, 1)}
    assert dict(loaded.progress) == {DEMANDS: (1, "topic-id")}
    assert other.progress() == {DEMANDS: (1, "topic-id")}
    assert other.outbox() == batch.outputs
    assert stored(other, case_id(1)) == [
        Event(each.event.kind, each.event.at, each.event.actor, as_stored(each.event.data)) for each in batch.events
    ]


def as_stored(data: Any) -> dict[str, Any]:
    return {
        name: f"{value:%Y-%m-%dT%H:%M:%SZ}" if isinstance(value, datetime) else value for name, value in data.items()
    }


def test_a_case_moves_on_and_every_worker_sees_it(ledger: Ledger, other: Ledger) -> None:
    ledger.write(opening(1, 0))
    assert case_now(other, 1).state is CaseState.DISPATCHED
    ledger.write(later(case_now(ledger, 1), 0, None, HANDLING))
    assert case_now(other, 1) == case_now(ledger, 1)
    assert case_now(other, 1).state is CaseState.CALL_BACK
    assert len(stored(other, case_id(1))) == 5


def test_facts_that_come_after_a_held_follow_up_are_kept(ledger: Ledger, other: Ledger) -> None:
    name = case_id(1)
    held = Event(
        "case.follow_up_held", NINE, "citizen", {"held": "urge", "id": "f1", "channel": "app", "said_at": NINE}
    )
    first = Batch()
    happens(first, None, name, held)
    ledger.write(first)
    waiting = case_now(other, 1)
    assert (waiting.facts, len(waiting.held)) == (None, 1)
    second = Batch()
    after = happens(second, waiting, name, registered())
    other.write(second)
    assert case_now(ledger, 1) == after
    assert case_now(ledger, 1).facts == facts("app", NINE)
    with ledger.engine.begin() as connection:
        row = connection.execute(text('SELECT channel, street, registered_at FROM "case"')).one()
    assert tuple(row) == ("app", "S-01", "2026-03-02T01:00:00.000000Z")


def test_the_first_record_of_an_input_speaks_for_it(ledger: Ledger) -> None:
    name = case_id(1)
    ledger.write(opening(1, 0))
    again = record(1, name, disposition="duplicate", digest="another", origin=("intake.app", 0, 8))
    repeated = record(2, name, disposition="repeat")
    ledger.write(Batch(inputs=[again, repeated], progress={DEMANDS: (1, 3, "topic-id")}))
    assert ledger.load([], [name], [], []).inputs[name] == KnownInput("opened", None, "d")


def test_a_refused_input_is_recorded_with_its_code_and_without_a_case(ledger: Ledger) -> None:
    refused = record(0, "U-9:r1", source=REPLIES, disposition="refused", code="unknown_case", kind="accept")
    ledger.write(Batch(inputs=[refused], progress={REPLIES: (None, 1, "topic-id")}))
    assert ledger.load([], ["U-9:r1"], [], []).inputs["U-9:r1"] == KnownInput("refused", "unknown_case", None)
    assert content(ledger.engine).count() == dict.fromkeys(TABLES, 0) | {"input": 1, "progress": 1}


def test_texts_of_any_kind_come_back_as_they_went(ledger: Ledger, other: Ledger) -> None:
    name = case_id(1)
    batch = Batch(
        inputs=[record(0, AWKWARD, case_id=name, code=AWKWARD, digest=AWKWARD, actor=AWKWARD)],
        outputs=[message(0, headers=(("ce_text", AWKWARD.encode()),), value=AWKWARD.encode())],
        progress={DEMANDS: (None, 1, AWKWARD)},
    )
    note = Event("case.progress_noted", NINE, AWKWARD, {"text": AWKWARD})
    after = happens(batch, None, name, registered(), note)
    ledger.write(batch)
    loaded = other.load([name], [AWKWARD], [], [DEMANDS])
    assert loaded.cases[name] == after
    assert loaded.cases[name].notes == (AWKWARD,)
    assert loaded.inputs[AWKWARD] == KnownInput("opened", AWKWARD, AWKWARD)
    assert loaded.progress[DEMANDS] == (1, AWKWARD)
    assert other.outbox() == batch.outputs
    assert stored(other, name)[1] == note


def test_more_keys_than_one_statement_takes_are_all_found(ledger: Ledger, other: Ledger) -> None:
    batch = Batch(progress={DEMANDS: (None, 1_200, "topic-id")})
    for number in range(1_200):
        happens(batch, None, case_id(number), registered())
        batch.inputs.append(record(number, case_id(number), origin=("intake.app", 0, number)))
    ledger.write(batch)
    names = [case_id(number) for number in range(1_300)]
    loaded = other.load(names, names, [("intake.app", 0, number) for number in range(1_300)], [DEMANDS])
    assert (len(loaded.cases), len(loaded.inputs), len(loaded.origins)) == (1_200, 1_200, 1_200)


def test_nothing_to_write_is_no_error(ledger: Ledger) -> None:
    before = content(ledger.engine)
    ledger.write(Batch())
    ledger.forget_published([])
    assert ledger.outbox([]) == []
    assert content(ledger.engine) == before


# ---- times ----------------------------------------------------------------------------------------


def test_a_time_of_any_zone_is_stored_as_utc_text_of_one_width(ledger: Ledger) -> None:
    shanghai = datetime(2026, 3, 2, 9, 0, 0, 7, tzinfo=timezone(timedelta(hours=8)))
    batch = Batch(inputs=[record(0, "i", decided_at=shanghai)])
    happens(batch, None, case_id(1), registered(shanghai))
    ledger.write(batch)
    with ledger.engine.begin() as connection:
        texts = {
            *connection.execute(text("SELECT decided_at FROM input")).scalars(),
            *connection.execute(text("SELECT at FROM event")).scalars(),
            *connection.execute(text('SELECT registered_at FROM "case"')).scalars(),
        }
    assert texts == {"2026-03-02T01:00:00.000007Z"}
    assert stored(ledger, case_id(1))[0].at == shanghai


def test_a_time_without_a_zone_never_reaches_the_ledger(ledger: Ledger) -> None:
    batch = opening(1, 0)
    batch.inputs.append(record(1, "naive", decided_at=NINE.replace(tzinfo=None)))
    with pytest.raises(ValueError, match="naive"):
        ledger.write(batch)
    assert content(ledger.engine).count() == dict.fromkeys(TABLES, 0)


@given(st.lists(st.datetimes(*_SANE), min_size=2, max_size=30, unique=True))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_stored_times_sort_and_compare_as_they_follow_each_other(ledger: Ledger, naive: list[datetime]) -> None:
    moments = [each.replace(tzinfo=UTC) for each in naive]
    with ledger.engine.begin() as connection:
        connection.execute(INPUT.delete())
    ledger.write(Batch(inputs=[record(number, "i", decided_at=at) for number, at in enumerate(moments)]))
    decided = INPUT.c.decided_at
    with ledger.engine.begin() as connection:
        assert connection.execute(select(decided).order_by(decided)).scalars().all() == sorted(moments)
        until = connection.execute(select(decided).where(decided <= moments[0])).scalars().all()
        assert set(until) == {each for each in moments if each <= moments[0]}


# ---- anything an event or a message may hold --------------------------------------------------------

_COUNT = count(1)
_TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=40)
_NUMBER = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
_VALUES = st.recursive(
    st.none() | st.booleans() | _NUMBER | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=8,
)
_BYTES = st.none() | st.binary(max_size=200)
_MESSAGES = st.fixed_dictionaries(
    {
        "key": _BYTES,
        "value": _BYTES,
        "headers": st.lists(st.tuples(_TEXTS, _TEXTS.map(str.encode)), max_size=3).map(tuple),
    }
)


@given(st.dictionaries(_TEXTS, _VALUES, max_size=4), _TEXTS, _MESSAGES)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_events_and_messages_hold_anything(
    ledger: Ledger, data: dict[str, Any], actor: str, told: dict[str, Any]
) -> None:
    number = next(_COUNT)
    event = Event("case.progress_noted", minutes(number), actor, data)
    sent = message(number, **told)
    ledger.write(Batch(events=[StoredEvent(case_id(number), 1, "i", event)], outputs=[sent]))
    assert stored(ledger, case_id(number)) == [event]
    assert ledger.outbox() == [sent]
    ledger.forget_published([sent.message_id])


# ---- the outbox -------------------------------------------------------------------------------------


def test_the_outbox_keeps_the_order_of_decision(ledger: Ledger, other: Ledger) -> None:
    first = [message(0, number, seq=3) for number in range(12)]
    second = [message(1, number, seq=1, source=REPLIES) for number in range(3)]
    ledger.write(Batch(outputs=first))
    ledger.write(Batch(outputs=second))
    assert other.outbox() == first + second
    assert other.outbox(limit=5) == first[:5]
    assert other.outbox([REPLIES]) == second
    assert other.outbox([DEMANDS, REPLIES]) == first + second
    assert other.outbox([Partition("demands", 1)]) == []


def test_what_the_broker_has_leaves_the_outbox_with_the_next_batch(ledger: Ledger) -> None:
    ledger.write(opening(1, 0))
    published = [each.message_id for each in ledger.outbox()]
    following = opening(2, 1, 1)
    following.published = published
    ledger.write(following)
    assert ledger.outbox() == following.outputs


def test_what_the_broker_has_leaves_the_outbox_when_nothing_else_is_written(ledger: Ledger) -> None:
    ledger.write(opening(1, 0))
    first, second = ledger.outbox()
    ledger.forget_published([first.message_id, "never/heard/of/it"])
    assert ledger.outbox() == [second]
    ledger.forget_published([first.message_id, second.message_id])
    assert ledger.outbox() == []


def test_what_the_broker_refused_for_good_is_kept_and_not_tried_again(ledger: Ledger, other: Ledger) -> None:
    ledger.write(opening(1, 0))
    first, second = ledger.outbox()
    ledger.park(first.message_id, "too large")
    assert other.outbox() == [second]
    with queries.snapshot(ledger.engine) as moment:
        assert (queries.outbox(moment), queries.refused_by_broker(moment)) == (1, 1)


# ---- invariant I10 on small things; whole histories are in test_replay ---------------------------------


def test_the_stored_events_make_the_stored_case(ledger: Ledger, other: Ledger) -> None:
    ledger.write(opening(1, 0))
    ledger.write(later(case_now(ledger, 1), 0, None, HANDLING))
    found: Case = case_now(other, 1)
    assert replay(case_id(1), stored(other, case_id(1)), found.facts) == found
