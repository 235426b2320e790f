"""The clock ticker: finds clocks that are due and says so to their cases.

Runs in the process that writes the ledger. Firing twice changes nothing: the command's id is
made of case, clock and generation, and a generation that is no longer current is ignored.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sinks.ledger import DueClock, Ledger, Output, Partition
from streams import envelope, topics
from streams import messages as wire

BATCH = 500
"""Clocks fired at once: a storm of deadlines must not bury the day's work."""

AGAIN = timedelta(seconds=60)
"""A clock that was fired and still stands is fired again after this."""

DRIFT = 60.0
"""Seconds wall and monotonic clock may part before firing stops: someone has moved the clock."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Ticker:
    """Fires what is due; `tick` is called now and then from the ledger's thread."""

    ledger: Ledger
    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    lag: Callable[[], int] = lambda: 0
    """How many commands nobody has settled yet; asked only when a clock is due."""
    _wall: datetime | None = None
    _steady: float = 0.0
    stopped: bool = False
    """Whether firing has stopped because the clock jumped; an operator looks at it and restarts."""
    paused: bool = False
    """Whether firing waits for commands that lag: more of them, and the same again each minute, would not help."""

    def tick(self) -> list[Output]:
        """Return the commands of the clocks that are due, leased for a minute.

        Raises:
            LedgerUnavailableError: the ledger does not answer.
            ClusterError: the broker does not say how far commands are.
        """
        now = self.now()
        if self._jumped(now) or not self.ledger.clock_is_due(now, now - AGAIN) or self._lagging():
            return []
        return [_command(clock, now) for clock in self.ledger.lease_due_clocks(now, now - AGAIN, BATCH)]

    def _lagging(self) -> bool:
        waiting = self.lag()
        if waiting >= BATCH and not self.paused:
            _log.warning("%d commands wait: no clock is fired until they go on", waiting)
        self.paused = waiting >= BATCH
        return self.paused

    def _jumped(self, now: datetime) -> bool:
        steady = self.monotonic()
        if self._wall is None:
            self._wall, self._steady = now, steady
        apart = abs((now - self._wall).total_seconds() - (steady - self._steady))
        if apart > DRIFT and not self.stopped:
            self.stopped = True
            _log.error(
                "the wall clock has moved by %.0f s against the steady one; deadlines are not fired until a restart",
                apart,
            )
        return self.stopped


def _command(clock: DueClock, now: datetime) -> Output:
    message = wire.ClockDue(
        command_id=f"{clock.case_id}:{clock.clock}:{clock.generation}",
        case_id=clock.case_id,
        clock=clock.clock,
        generation=clock.generation,
        due_at=clock.due_at,
    )
    headers = envelope.ce_headers(wire.ClockDue, message.command_id, subject=clock.case_id, at=now)
    return Output(
        Partition(topics.COMMANDS, 0),
        message.command_id,
        topics.COMMANDS,
        clock.case_id.encode(),
        message.encode(),
        tuple(headers),
        clock.case_id,
    )
