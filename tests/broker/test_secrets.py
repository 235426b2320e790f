"""What a citizen tells in confidence stands on intake and in the sealed vault, and nowhere else that a run leaves.

The same run has an emergency: it is handed on within a second, and still a case.
"""

import time
from collections.abc import Iterator, Mapping
from statistics import median
from urllib.request import urlopen

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from typer.testing import CliRunner

from streams import cli
from streams.clock import new_id
from streams.topics import REPLIES, intake
from tests.installation import DESK, LAMPS, SECONDS, Installation, installation, until

pytestmark = [pytest.mark.broker, pytest.mark.timeout(240)]

SECRETS = {
    "name": "欧阳秀英",
    "room": "3号楼2单元501室",
    "mobile": "13912345678",
    "landline": "88776655",
    "identity": "11010519491231002X",
    "card": "6222021234567890128",
    "mail": "xiuying.ouyang@example.com",
    "plate": "浙A8K2M6",
    "account": "ouyang_xy88",
    "contact's name": "上官婉清",
    "contact's phone": "18666554433",
    "contact's note": "晚上七点后再打",
    "supplemented": "17788990011",
    "broken": "15544332211",
    "reporter": "司马建国",
}
"""What the citizens of this test say, by what it is."""

NOTED = "13700112233"
"""What a unit writes into a note; its own words stand on `replies` as it signed them, and nowhere else."""

TEXT = (
    "我叫{name}，家住{room}，楼下路灯不亮。手机{mobile}，座机0571-{landline}，身份证{identity}，"
    "银行卡{card}，邮箱{mail}，车牌{plate}，微信号{account}"
)

EMERGENCY = "云桥街道虹桥社区解放路有人持刀抢劫，快来人"
TRIES = 5


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation in which all of that is said, worked on and answered."""
    with installation(tmp_path_factory.mktemp("secrets") / "town") as town:
        _live(town)
        town.sound()
        yield town


def _live(town: Installation) -> None:
    contact = {name: SECRETS[f"contact's {name}"] for name in ("name", "phone", "note")}
    with town.channel() as channel, town.units(LAMPS, DESK) as units:
        lamp = channel.submit(TEXT.format(**SECRETS), title=f"{SECRETS['mobile']}来电", contact=contact)
        hidden = channel.submit(f"我叫{SECRETS['reporter']}，举报云桥街道虹桥社区解放路一家饭店占道经营", kind="REPORT")
        told = channel.wait_for([lamp, hidden], SECONDS)
        assert {each.code for each in told.values()} == {"accepted"}
        supplemented = channel.supplement(lamp, f"换号了，请打{SECRETS['supplemented']}")
        assert channel.wait_for([supplemented], SECONDS)[supplemented].code == "follow_up"
        producer = Producer({"bootstrap.servers": town.bootstrap, "log_level": 0})
        producer.produce(intake("app"), f'{{"text": "请打{SECRETS["broken"]}"'.encode(), new_id().encode())
        assert producer.flush(SECONDS) == 0

        until(
            lambda: lamp in {each.case_id for each in units.open_items().values()},
            SECONDS,
            "the desk has it, for want of a place",
        )
        replies = [
            units.dispatch(lamp, LAMPS, reason="电话核实了地点", unit=DESK),
            units.accept(lamp, unit=LAMPS),
            units.reveal(lamp, "contact", unit=LAMPS, by="周工"),
            units.contact(lamp, "已电话联系", unit=LAMPS),
            units.note(lamp, f"住户另一号码{NOTED}", unit=LAMPS),
            units.answer(lamp, "已更换灯泡", unit=LAMPS),
        ]
        assert {each.code for each in units.result_of(replies, SECONDS).values()} == {"applied"}
        opened = units.contact_of(replies[2])
        assert opened is not None
        assert opened.phone == SECRETS["contact's phone"], "who holds the case can call"
        called = units.call_back(lamp, solved=True, satisfied=True, unit=DESK)
        assert units.result_of([called], SECONDS)[called].code == "applied"
    letters = until(lambda: town.told("deadletters"), SECONDS, "the broken one is put aside")
    assert len(letters) == 1


def _left(town: Installation) -> Iterator[tuple[str, str, bytes]]:
    """Yield all that the run leaves for anybody to read: kind, place and bytes."""
    names = AdminClient({"bootstrap.servers": town.bootstrap, "log_level": 0}).list_topics(timeout=SECONDS).topics
    for told in town.told(*(name for name in names if not name.startswith(("intake.", "__")))):
        headers = b"".join(name.encode() + b"=" + (value or b"") for name, value in told.headers)
        yield "topic", told.topic, b"\n".join((told.key or b"", told.value or b"", headers))
    for file in town.data.rglob("*"):
        kind = "log" if file.suffix == ".log" else "database"
        if file.is_file() and town.data / "kafka" not in file.parents:
            yield kind, str(file.relative_to(town.data)), file.read_bytes()
    for target in town.metrics():
        yield "metrics", target, urlopen(f"http://{target}/metrics", timeout=10).read()
    for (case_id,) in town.rows('SELECT case_id FROM "case"'):
        shown = CliRunner().invoke(cli.app, ["case", "show", case_id, "--json", "--data", str(town.data)])
        assert shown.exit_code == 0, shown.output
        yield "output", case_id, shown.output.encode()


def test_no_secret_of_a_citizen_is_left_anywhere_but_on_intake_and_sealed(town: Installation) -> None:
    left = list(_left(town))
    kinds: Mapping[str, int] = {kind: sum(kind == each for each, _place, _data in left) for kind, _p, _d in left}
    assert kinds.keys() == {"topic", "log", "database", "metrics", "output"}
    assert kinds["topic"] > 10
    found = [
        (what, kind, place)
        for kind, place, data in left
        for what, secret in SECRETS.items()
        if secret.encode() in data or secret.encode("unicode-escape") in data
    ]
    assert found == []
    assert {place for kind, place, data in left if NOTED.encode() in data} == {REPLIES}
    assert any("路灯不亮".encode() in data for kind, _place, data in left if kind == "topic"), "the rest is readable"


def test_what_was_planted_was_really_said(town: Installation) -> None:
    """Or the test above would find nothing because there is nothing."""
    said = b"".join(each.value or b"" for each in town.told(intake("app"))).decode()
    assert [what for what, secret in SECRETS.items() if secret not in said] == []


def test_an_emergency_is_handed_on_within_a_second_and_is_a_case(town: Installation) -> None:
    waited = []
    with town.channel() as channel:
        for _ in range(TRIES):
            before = time.monotonic()
            demand = channel.submit(EMERGENCY)
            outcome = channel.wait_for([demand], SECONDS)[demand]
            waited.append(time.monotonic() - before)
            assert (outcome.code, outcome.state) == ("accepted", "declined")
            assert "请立即拨打 110，热线已同步转接" in outcome.text
            assert town.rows('SELECT state FROM "case" WHERE case_id = :case', case=demand) == [("declined",)]
    assert median(waited) < 1.0, waited
