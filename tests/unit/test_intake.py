"""What triage makes of an intake record that no honest client would send."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from routers.triage import Triage as Decider
from sinks.ledger import Output
from streams import envelope, topics
from streams.casework import Arrived, arrived
from streams.records import Record
from streams.triage import Triage
from tests.cities import qinglan

NINE = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


class Desk:
    """Triage's vault, broker and metrics, all of them lists."""

    def __init__(self) -> None:
        self.log: list[Output] = []
        self.triage = Triage(qinglan(), cast("Decider", None), cast("Any", self), self, lambda: NINE, cast("Any", self))

    def keep(self, kept: object) -> None: ...

    def seal(self, plain: bytes, *, context: bytes) -> bytes:
        return context + plain

    def publish(self, outputs: Sequence[Output], timeout: float) -> Arrived:
        assert timeout > 0
        self.log += outputs
        return arrived

    def received(self, channel: str, count: int) -> None: ...

    def dead_letter(self, stage: str, code: str) -> None: ...

    def batch(self, size: int, seconds: float) -> None: ...


@pytest.mark.parametrize("key", [b"k" * (6 * 2**20), b"", None], ids=["six megabytes", "empty", "none"])
def test_a_dead_letter_without_a_key_that_could_be_an_id_is_named_by_its_place(key: bytes | None) -> None:
    desk = Desk()
    desk.triage.settle([Record(topics.intake("app"), 2, 7, key, b"junk", (), 0.0)])
    (letter,) = desk.log
    assert letter.key == b"letter/intake.app/2/7"


def test_a_dead_letter_keeps_the_short_key_of_its_original() -> None:
    desk = Desk()
    desk.triage.settle([Record(topics.intake("app"), 2, 7, b"\xff2026-0001", b"junk", (), 0.0)])
    (letter,) = desk.log
    assert letter.key == b"\xff2026-0001"
    assert envelope.header(letter.headers, "ce_subject") is None
