"""What is said to a case and what the world is told of it, without a broker."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from hypothesis import strategies as st

from routers import inputs
from routers.case import decide
from routers.demand import Candidate, Classification, DemandKind, ResolvedPlace, Ruling, Verdict
from routers.fold import fold
from routers.inputs import Input
from routers.life import Case, Facts, Refusal, Role
from sinks.ledger import Output
from streams import decoding, envelope, topics
from streams import messages as wire
from streams.arrivals import Arrival
from streams.outputs import Teller
from streams.records import Record
from tests.cities import qinglan

CASE = "01KJP0V050DHGPTW3K41GQ8C1H"


LAMPS, ROADS, STREET = "U-LIGHT", "U-ROAD", "S01"


DESK, SUPERVISOR = qinglan().policies.desk, qinglan().policies.supervisor


NINE = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


CANDIDATE = Candidate(unit=LAMPS, category="0505", score=0.4, why="派单目录 R0505")


FACTS = Facts(
    channel="app",
    created_at=NINE,
    received_at=NINE,
    title="路灯不亮",
    text="解放路的路灯三天不亮",
    address="解放路1号",
    place=ResolvedPlace(street=STREET, name="虹桥社区"),
    classification=Classification(category="0505", kind=DemandKind.HELP, confidence=0.9, model="test"),
    candidates=(CANDIDATE,),
)


@dataclass(frozen=True)
class Told:
    """The outputs of one input, read as their readers read them."""

    outputs: Sequence[Output]

    def results(self) -> list[tuple[str, str, str]]:
        """Topic, reply and result of every record that answers a reply."""
        found = []
        for each in self.outputs:
            reply, result = (
                envelope.header(each.headers, name) for name in (envelope.REPLY_HEADER, envelope.RESULT_HEADER)
            )
            if reply is not None and result is not None:
                found.append((each.topic, reply, result))
        return found

    def work(self) -> dict[str, wire.WorkItem | None]:
        """What each unit's queue now shows of the case; None: nothing any more."""
        prefix = topics.work("")
        return {
            each.topic.removeprefix(prefix): each.value and decoding.decode(wire.WORK, each.value)  # type: ignore[misc]  # b"" is never sent
            for each in self.outputs
            if each.topic.startswith(prefix)
        }

    def outcomes(self, channel: str = "app") -> list[wire.Outcome]:
        return [
            decoding.decode(wire.OUTCOME, each.value) for each in self.outputs if each.topic == topics.outcome(channel)
        ]

    def codes(self, channel: str = "app") -> list[tuple[str, str | None]]:
        return [(each.code, each.state) for each in self.outcomes(channel)]


class Talk:
    """A case, and what is told as its inputs come in."""

    def __init__(self, facts: Facts = FACTS) -> None:
        self.case: Case | None = None
        self.facts = facts
        self.now = NINE
        self._offsets = count(10)

    def arrival(self, kind: str, said: Input | None, *, unit: str | None = None, channel: str | None = None) -> Arrival:
        topic = topics.REPLIES if unit else topics.DEMANDS if channel else topics.COMMANDS
        record = Record(topic, 2, next(self._offsets), CASE.encode(), b"{}", (), self.now.timestamp())
        origin = (topics.intake(channel), 1, record.offset) if channel else None
        about = (CASE if kind == "demand" else f"{kind}-{record.offset}") if unit or channel else None
        return Arrival(record, kind, f"i{record.offset}", unit or "citizen", CASE, said, origin, channel, unit, about)

    def hears(self, arrival: Arrival) -> Told:
        """Decide and fold as casework does, and return what is told."""
        self.now += timedelta(minutes=1)
        assert arrival.given is not None
        teller = Teller(qinglan(), arrival, self.now)
        case = self.case or (Case(CASE) if arrival.origin else None)
        decision = decide(case, arrival.given, self.now, qinglan())
        if isinstance(decision, Refusal):
            teller.refused(self.case, decision.code)
        else:
            before, after = self.case, case or Case(CASE)
            for event in decision:
                after = fold(after, event, facts=self.facts if event.kind == "case.registered" else None)
            self.case = after if decision else before
            teller.applied(before, after, decision)
        return Told(teller.outputs)

    def registers(self, ruling: Ruling = Ruling.DISPATCH, unit: str | None = LAMPS, **verdict: Any) -> Told:
        text = None if ruling is Ruling.DISPATCH else "由办理机关依法决定"
        said = Verdict(ruling=ruling, reason="test", unit=unit, text=text, rule="R0505", **verdict)
        given_input = inputs.Register(CASE, self.now, Role.PIPELINE, self.facts, said, "N7D")
        return self.hears(self.arrival("demand", given_input, channel=self.facts.channel))

    def replies(self, unit: str, kind: type[Input], **fields: Any) -> Told:
        return self.hears(self.arrival("reply", kind("i", self.now, unit, **fields), unit=unit))

    def citizen(self, action: str, kind: type[Any], channel: str = "app", **fields: Any) -> Told:
        said = kind("i", self.now, Role.CITIZEN, channel=channel, **fields)
        return self.hears(self.arrival(action, said, channel=channel))

    def runs_out(self, clock: str, generation: int = 1) -> Told:
        said = inputs.ClockRanOut("i", self.now, Role.CLOCK, clock, generation)  # type: ignore[arg-type]  # a name of the test
        return self.hears(self.arrival("clock", said))

    def done(self) -> "Talk":
        """Bring the case to the call-back."""
        self.replies(LAMPS, inputs.Accept)
        self.replies(LAMPS, inputs.Contact, text="已联系")
        self.replies(LAMPS, inputs.Answer, text="六盏灯已恢复")
        return self


def dispatched(**verdict: Any) -> Talk:
    talk = Talk()
    talk.registers(**verdict)
    return talk


_SAID: st.SearchStrategy[tuple[type[Input], dict[str, Any]]] = st.one_of(
    st.tuples(st.just(inputs.Accept), st.just({})),
    st.tuples(st.just(inputs.Contact), st.just({"text": "已联系"})),
    st.tuples(st.just(inputs.Note), st.just({"text": "等配件"})),
    st.tuples(st.just(inputs.Answer), st.just({"text": "已修好"})),
    st.tuples(st.just(inputs.Return), st.fixed_dictionaries({"reason": st.sampled_from(["R1", "R2"])})),
    st.tuples(st.just(inputs.Rule), st.fixed_dictionaries({"to": st.sampled_from([LAMPS, ROADS, STREET, "U-MOON"])})),
    st.tuples(st.just(inputs.Decline), st.just({"code": "IN_HAND", "text": "正在办理"})),
    st.tuples(st.just(inputs.CallBack), st.fixed_dictionaries({"solved": st.sampled_from([True, False, None])})),
)
