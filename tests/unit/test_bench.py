"""The benches measure what they say: real demands, real messages, real rows."""

import json
import random
import sqlite3
from pathlib import Path

import pytest
from shapely.geometry import Polygon

from routers.city import City
from routers.demand import Ruling
from routers.triage import Triage
from streams import clock
from streams import messages as wire
from streams.arrivals import read
from streams.bench import lifecycle, limit, places, run
from streams.bench.parties import Departments, UnplayableError, submission
from streams.bench.sample import Sample, take_sample
from streams.bench.texts import Texts
from streams.keys import KeyRing, current, ensure
from streams.records import Record
from streams.settings import Settings
from tests.cities import qinglan

LIFECYCLES = 12


@pytest.fixture(scope="module")
def city() -> City:
    return qinglan()


@pytest.fixture(scope="module")
def texts(city: City) -> Texts:
    return Texts(city, seed=7)


@pytest.fixture(scope="module")
def sampled(city: City, tmp_path_factory: pytest.TempPathFactory) -> tuple[Sample, Path]:
    folder = tmp_path_factory.mktemp("sample")
    return take_sample(city, folder, LIFECYCLES, seed=7), folder


@pytest.fixture(scope="module")
def keys(city: City, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("issued") / "keys"
    ensure(folder, [code for code, unit in city.units.items() if not unit.virtual])
    return folder


def staff_of(keys: Path) -> Departments:
    return Departments(lambda unit: current(keys, unit), clock.now)


def item(**changes: object) -> bytes:
    fields = {"case_id": clock.new_id(), "unit": "H-HOTLINE", "task": "handle", "why": "catalogue"}
    return json.dumps(fields | changes).encode()


def test_every_demand_is_another_one_and_the_machine_dispatches_it(city: City, texts: Texts) -> None:
    demands = [texts.demand(number) for number in range(400)]
    assert len({each.demand_id for each in demands}) == len({each.text for each in demands}) == 400
    today = clock.now().astimezone(clock.PEOPLE).date()
    decider = Triage(city)
    assert {decider.decide(each, today).verdict.ruling for each in demands} == {Ruling.DISPATCH}
    assert texts.categories > 100


def test_the_same_seed_says_the_same_and_another_seed_something_else(city: City, texts: Texts) -> None:
    again, other = Texts(city, seed=7), Texts(city, seed=8)
    assert [again.demand(n).text for n in range(20)] == [texts.demand(n).text for n in range(20)]
    assert [other.demand(n).text for n in range(20)] != [texts.demand(n).text for n in range(20)]


def test_a_channel_submits_what_triage_can_read(texts: Texts) -> None:
    topic, key, value, _headers = submission(texts.demand(3))
    demand = wire.INTAKE.validate_json(value)
    assert topic == f"intake.{demand.channel}"
    assert key.decode() == demand.demand_id


def test_departments_answer_at_first_sight_with_signatures_that_hold(keys: Path) -> None:
    staff = staff_of(keys)
    work = item()
    done = staff.react(work)
    assert done is not None
    case_id, replies = done
    ring = KeyRing(keys)
    arrivals = [
        read(Record(topic, 0, number, key, value, headers, 0.0), ring)
        for number, (topic, key, value, headers) in enumerate(replies)
    ]
    assert [each.kind for each in arrivals] == ["accept", "contact", "answer"]
    assert {each.case_id for each in arrivals} == {case_id}
    assert all(each.problem is None for each in arrivals)
    assert staff.react(work) is None, "a second sight of the same work changes nothing"


def test_the_desk_calls_back_once_and_helpers_and_tombstones_are_left_alone(keys: Path) -> None:
    staff = staff_of(keys)
    work = item(task="call_back")
    done = staff.react(work)
    assert done is not None
    (reply,) = done[1]
    assert wire.REPLY.validate_json(reply[2]).action == "call_back"
    assert staff.react(work) is None
    assert staff.react(item(task="assist")) is None
    assert staff.react(item(task="watch")) is None
    assert staff.react(None) is None


def test_the_desk_rules_for_the_first_candidate_where_the_machine_is_not_sure(keys: Path) -> None:
    staff = staff_of(keys)
    work = item(task="rule", candidates=[{"unit": "U-LIGHT"}, {"unit": "U-ROAD"}])
    done = staff.react(work)
    assert done is not None
    (reply,) = done[1]
    ruling = wire.REPLY.validate_json(reply[2])
    assert isinstance(ruling, wire.Dispatch)
    assert (ruling.unit, ruling.to) == ("H-HOTLINE", "U-LIGHT")
    assert staff.react(work) is None


def test_work_nobody_plays_is_told(keys: Path) -> None:
    with pytest.raises(UnplayableError, match="supervise"):
        staff_of(keys).react(item(task="supervise"))


def test_a_sample_holds_every_message_of_whole_lifecycles(sampled: tuple[Sample, Path]) -> None:
    sample, folder = sampled
    kinds = [topic.partition(".")[0] for topic, _key, _value, _headers in sample.messages]
    assert kinds.count("intake") == kinds.count("demands") == LIFECYCLES
    assert kinds.count("replies") == 4 * LIFECYCLES
    assert kinds.count("work") >= 5 * LIFECYCLES
    with sqlite3.connect(folder / "ledger.db") as ledger:
        states = ledger.execute('SELECT state, count(*) FROM "case" GROUP BY state').fetchall()
    ledger.close()
    assert states == [("closed", LIFECYCLES)]


def test_the_limit_leaves_the_very_rows_the_ledger_has(sampled: tuple[Sample, Path], tmp_path: Path) -> None:
    sample, folder = sampled
    limit.sql_limit(tmp_path / "limit.db", sample.transactions)
    for table in ("input", "event", "case", "clock", "outbox", "progress"):
        rows = []
        for file in (folder / "ledger.db", tmp_path / "limit.db"):
            connection = sqlite3.connect(file)
            rows.append(sorted(map(repr, connection.execute(f'SELECT * FROM "{table}"'))))
            connection.close()
        assert rows[0] == rows[1], table


def test_a_percentile_is_a_value_that_was_measured() -> None:
    waits = [float(each) for each in range(1, 201)]
    assert lifecycle.percentile(waits, 50) == 100.0
    assert lifecycle.percentile(waits, 99) == 198.0
    assert lifecycle.percentile([3.0], 99) == 3.0


def test_without_the_source_tree_the_naive_bench_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(run, "NAIVE", tmp_path / "nowhere.py")
    assert run.run_bench("naive", Settings(), run.Options()) == 3
    assert "clone of the repository" in capsys.readouterr().err


def test_ratios_compare_one_lifecycle_with_one() -> None:
    document = {
        "lifecycles_per_s": 400.0,
        "limit": {"lifecycles_per_s": 1200.0},
        "naive": {"lifecycles_per_s": 50.0},
    }
    assert run.ratios(document) == {"limit_ratio": 3.0, "naive_ratio": 8.0}


def test_the_bench_of_places_draws_a_city_without_gap_or_overlap_and_finds_every_point(
    city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "_ALONE", 20)
    done = places.measure(city, grids=400, points=60, seed=3)
    drawn = places.generated(20, random.Random(3))
    grids = [Polygon(grid.outline) for grid in drawn.streets[0].communities[0].grids]
    assert done.good
    assert (done.figures["grids"], done.figures["points"]) == (400, 60)
    assert done.figures["near_a_border"] > 0
    assert all(grid.is_valid for grid in grids)
    assert sum(grid.area for grid in grids) == pytest.approx(Polygon(drawn.streets[0].communities[0].outline).area)
