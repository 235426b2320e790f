"""Triage learns from outcomes: every minute it weighs anew how sure it must be of each category.

What it learned is its own; the ledger is only read. A category that its outcomes withhold from the
machine, or give back, is told to the desk once: what was told is remembered in a file, and a notice
has an id by category and day, so that neither a restart nor a second worker tells it again.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, Protocol

from routers.city import City
from routers.reader import Reader
from routers.tiers import NOTHING, Evidence
from routers.trust import Standing, Trust
from sinks.ledger import Output, Partition
from streams import envelope, topics
from streams import messages as wire
from streams.casework import HaltError, Publisher
from streams.clock import PEOPLE
from streams.cluster import ClusterError
from streams.files import write_whole
from streams.outputs import fitting

WINDOW = timedelta(days=90)
"""How long an outcome counts."""

MOST = 20_000
"""Outcomes that count, the newest; asking for them takes a tenth or two of a second."""

PAUSE = 60.0
"""Seconds between two looks."""

PUBLISH_SECONDS = 8.0
"""For notices; one that could not be told is told a minute later."""

MEMORY_FILE = "withheld.json"
"""In the run folder: the categories of which the desk knows that they are withheld."""

_log = logging.getLogger(__name__)


class Observer(Protocol):
    """What is counted (see `sinks.metrics`)."""

    def weighed(self, outcomes: int, withheld: Collection[str]) -> None:
        """So many outcomes were weighed; of these categories the machine dispatches less than it would, or nothing."""


@dataclass(slots=True)
class Learner:
    """The part of a triage worker that learns; called from its settling thread, which never waits for the ledger."""

    city: City
    reader: Reader
    outcomes: Callable[[str], Evidence]
    """Asks the ledger what became of what this version of a model said; may raise anything, and take its time."""
    publisher: Publisher
    observer: Observer
    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    memory: Path | None = None
    _next: float = float("-inf")
    _asking: threading.Thread | None = None
    _found: Evidence | Exception = NOTHING
    _away: bool = False
    _told: set[str] = field(init=False)

    def __post_init__(self) -> None:
        """Remember what an earlier process has told."""
        self._told = told_of(self.memory)

    @property
    def asking(self) -> bool:
        """Tell whether the ledger was asked and its answer is not weighed yet."""
        return self._asking is not None

    def turn(self) -> None:
        """Ask if it is time, weigh what has come, and tell the desk what has changed; never raises."""
        if self._asking is None:
            at = self.monotonic()
            if at < self._next:
                return
            self._next = at + PAUSE
            self._asking = threading.Thread(target=self._ask, name="learning", daemon=True)
            self._asking.start()
        if self._asking.is_alive():
            return
        self._asking = None
        learned = self._weigh()
        if learned is not None:
            self._tell(learned)

    def learn(self) -> None:
        """Ask and weigh now: before the first batch, so that what is withheld stays so over a restart."""
        self._ask()
        self._weigh()

    def _ask(self) -> None:
        try:
            self._found = self.outcomes(self.reader.model)
        except Exception as error:  # noqa: BLE001 - whatever it was: triage goes on with what it knows
            self._found = error

    def _weigh(self) -> Trust | None:
        """Weigh the outcomes; None where the ledger did not tell them: what was learned before holds on."""
        found = self._found
        if isinstance(found, Exception):
            if not self._away:
                _log.warning("no outcomes are weighed, the ledger does not tell them: %s", found)
            self._away = True
            return None
        self._away = False
        learned = self.reader.learn(found)
        self.observer.weighed(learned.outcomes, learned.withheld)
        return learned

    def _tell(self, learned: Trust) -> None:
        now = self.now()
        news = [
            (learned.standings[each], each in learned.withheld)
            for each in sorted(learned.withheld ^ self._told)
            if each in learned.standings  # a category that the taxonomy no longer has is nobody's news
        ]
        notices = [
            notice(self.city, standing, learned.model, now, withheld=withheld)
            for standing, withheld in news
            if withheld or not standing.stopped
        ]
        if not notices:
            return
        try:
            self.publisher.publish([_output(each) for each in notices], PUBLISH_SECONDS)()
        except (HaltError, ClusterError) as error:
            _log.warning("the desk is not told yet: %s", error)
            return
        for each in notices:
            _log.warning("%s: %s", each.code, each.text)
        back = {each.category for each in notices if each.code == "dispatch_given_back"}
        self._told = (self._told | learned.withheld) - back
        _write(self.memory, self._told)


def notice(city: City, standing: Standing, model: str, now: datetime, *, withheld: bool) -> wire.DeskNotice:
    """Return what the desk is told about a category.

    Args:
        city: whose desk; its texts.
        standing: of the category.
        model: version of what classifies.
        now: the moment (UTC).
        withheld: it is withheld from the machine, or else given back.
    """
    category = city.category(standing.category)
    code: Literal["dispatch_withheld", "dispatch_given_back"] = (
        "dispatch_withheld" if withheld else "dispatch_given_back"
    )
    return wire.DeskNotice(
        notice_id=f"notice/{category.code}/{code}/{now.astimezone(PEOPLE):%Y-%m-%d}",
        unit=city.policies.desk,
        code=code,
        category=category.code,
        category_name=category.zh,
        model=model,
        threshold=None if standing.stopped else standing.threshold,
        judged=standing.judged,
        wrong=standing.wrong,
        promise=standing.promise,
        text=city.text(
            "notice.dispatch_stopped" if standing.stopped else f"notice.{code}",
            category=category.zh,
            judged=str(standing.judged),
            wrong=str(standing.wrong),
            promise=f"{100 * standing.promise:.4g}%",
            threshold=f"{100 * standing.threshold:.4g}%",
        ),
        at=now,
    )


def _output(told: wire.DeskNotice) -> Output:
    topic = topics.work(told.unit)
    headers = envelope.ce_headers(wire.DeskNotice, told.notice_id, subject=told.category, at=told.at)
    key = f"notice/{told.category}".encode()
    return fitting(Output(Partition(topic, 0), told.notice_id, topic, key, told.encode(), tuple(headers)))


def told_of(memory: Path | None) -> set[str]:
    """Return the categories of which the desk was told that they are withheld.

    Args:
        memory: the file of that; one that is missing or damaged knows of nothing.
    """
    try:
        found = json.loads(memory.read_text(encoding="utf-8")) if memory is not None else []
    except (OSError, ValueError):
        return set()
    return {each for each in found if isinstance(each, str)} if isinstance(found, list) else set()


def _write(memory: Path | None, told: Collection[str]) -> None:
    if memory is None:
        return
    try:
        write_whole(memory, json.dumps(sorted(told)).encode())
    except OSError as error:
        _log.warning("what the desk was told cannot be remembered: %s", error)
