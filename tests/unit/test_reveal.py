"""How the unit that holds a case gets its citizen's contact through casework."""

import itertools
import json
from typing import Any

import pytest

from streams import envelope, topics
from streams import messages as wire
from streams.casework import HaltError
from streams.contacts import Brought
from streams.records import Record
from tests.office import LAMPS, NINE, ROADS, Office, takeover


def brings(_case_id: str, unit: str, reply_id: str, _kept_under: str) -> Brought:
    return Brought(f'{{"sealed":"for {unit} {reply_id}"}}'.encode(), ("name", "phone"))


def reveal(office: Office, case_id: str, reply_id: str = "r1", **said: Any) -> Record:
    fields = {"unit": LAMPS, "purpose": "contact", "by": "周工"} | said
    return office.reply(wire.Reveal(reply_id=reply_id, case_id=case_id, at=NINE, **fields))


def contacts_told(office: Office, unit: str = LAMPS) -> list[str]:
    told = [envelope.header(each.headers, envelope.CONTACT_HEADER) for each in office.broker.on(topics.work(unit))]
    return [each for each in told if each is not None]


def test_a_contact_goes_sealed_to_who_holds_the_case_and_the_ledger_knows_who_asked_why(office: Office) -> None:
    case_id = office.case_id()
    worker = office.worker(bring=brings)
    worker.transact([office.demand(case_id), reveal(office, case_id)])
    assert contacts_told(office) == ['{"sealed":"for U-LIGHT r1"}']
    assert office.broker.results(LAMPS) == {"r1": "applied"}
    ((actor, data),) = office.rows("SELECT actor, data FROM event WHERE kind = 'case.contact_revealed'")
    assert actor == LAMPS
    assert json.loads(data) == {"purpose": "contact", "clerk": "周工", "fields": ["name", "phone"]}
    assert [each.code for each in office.broker.outcomes()] == ["accepted"]

    worker.transact([reveal(office, case_id), reveal(office, case_id, "r2", unit=ROADS)])
    assert contacts_told(office) == ['{"sealed":"for U-LIGHT r1"}'], "the same reply brings nothing twice"
    assert office.broker.results(ROADS) == {"r2": "not_your_case"}
    assert not contacts_told(office, ROADS)


def test_the_vault_is_opened_only_for_who_may_see(office: Office) -> None:
    opened: list[str] = []

    def spy(case_id: str, unit: str, reply_id: str, kept_under: str) -> Brought:
        opened.append(reply_id)
        return brings(case_id, unit, reply_id, kept_under)

    case_id = office.case_id()
    refused = [
        reveal(office, case_id, "r1", unit=ROADS),
        reveal(office, case_id, "r2", purpose="?"),
        reveal(office, "01KJ9999999999999999999999", "r3"),
    ]
    office.worker(bring=spy).transact([office.demand(case_id), *refused, reveal(office, case_id, "r4")])
    assert opened == ["r4"]


def test_a_vault_that_is_away_is_told_to_the_unit_and_stops_no_case(office: Office) -> None:
    case_id = office.case_id()
    away = office.worker()  # it has no vault
    away.transact([office.demand(case_id), reveal(office, case_id), office.accept(case_id)])
    assert office.broker.results(LAMPS) == {"r1": "vault_unavailable", f"accept-{case_id}": "applied"}
    assert office.fates() == {case_id: ["registered", "dispatched", "accepted"]}
    office.worker(bring=brings).transact([reveal(office, case_id, "r2")])
    assert contacts_told(office) == ['{"sealed":"for U-LIGHT r2"}']


def test_a_contact_decided_but_not_sent_is_sent_by_the_next_worker_as_it_was_sealed(office: Office) -> None:
    case_id = office.case_id()
    numbers = itertools.count()

    def sealed_anew(*_asked: str) -> Brought:
        return Brought(f'{{"sealed":"{next(numbers)}"}}'.encode(), ("phone",))

    office.broker.away = True
    records = [office.demand(case_id), reveal(office, case_id)]
    with pytest.raises(HaltError):
        office.worker(bring=sealed_anew).transact(records)
    office.broker.away = False
    successor = office.worker(bring=sealed_anew)
    takeover(office, successor).take([record.source for record in records])
    successor.transact(records)
    assert contacts_told(office) == ['{"sealed":"0"}']


def test_a_hidden_sender_gets_the_message_and_the_unit_no_contact(office: Office) -> None:
    case_id = office.case_id()
    records = [office.demand(case_id, confidential=True), reveal(office, case_id, "r0")]
    records.append(reveal(office, case_id, message="请补充灯杆编号"))
    office.worker(bring=brings).transact(records)
    assert office.broker.results(LAMPS) == {"r0": "confidential", "r1": "relayed"}
    assert not contacts_told(office)
    relayed = office.broker.outcomes()[-1]
    assert (relayed.code, relayed.demand_id) == ("relayed", case_id)
    assert "请补充灯杆编号" in relayed.text
