"""What casework does between batches: fire clocks, and sweep the outbox when nobody else will."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from sinks.ledger import LedgerUnavailableError
from streams.casework import Casework
from streams.cluster import ClusterError
from streams.ticker import Ticker

TICK = 1.0
"""Seconds between two looks at the clocks."""

PUBLISH_SECONDS = 8.0
"""For commands; a clock that could not be told is fired again a minute later."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Chores:
    """Called in the ledger's thread; a ledger or broker that is away is left to the next batch to judge."""

    casework: Casework
    ticker: Ticker
    _next_tick: float = 0.0

    def turn(self) -> None:
        """Do what is due."""
        at = self.ticker.monotonic()
        if at < self._next_tick:
            return
        self._next_tick = at + TICK
        try:
            self.casework.publisher.publish(self.ticker.tick(), PUBLISH_SECONDS)()
            swept = list(self.casework.published)
            if swept:
                self.casework.ledger.forget_published(swept)
                del self.casework.published[: len(swept)]
        except LedgerUnavailableError as error:
            _log.warning("the ledger is not available: %s", error)
        except ClusterError as error:
            _log.warning("no clock is fired: %s", error)
