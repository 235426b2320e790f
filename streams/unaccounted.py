"""Intake records the ledger has no row for: found from where the last look ended, whatever lies below.

An offset need not hold a record: a writer of transactions leaves marks. So where the ledger has a gap the
broker is asked what lies there, and only records count.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection

from sinks import accounted
from sinks.ledger import Partition
from streams.files import write_whole

MEMORY_FILE = "accounted.json"
"""In the run folder: so that `yiwang status` need not begin where the installation began."""

REMEMBERED = 100
"""Records of one partition that are known one by one; what lies beyond them is counted by offsets."""


class Log(Protocol):
    """The broker's side; see `streams.peek.Peek.records`."""

    def records(self, partition: Partition, low: int, end: int) -> Generator[tuple[int, float | None]]:
        """Tell what lies from `low` to below `end`."""
        ...


@dataclass(slots=True)
class Known:
    """What is known of one partition."""

    below: int = 0
    """Every offset below has a row, holds no record, or is named in `missing`."""
    missing: dict[int, float] = field(default_factory=dict)
    """Records without a row, and when each was written (seconds since the epoch)."""
    last: int | None = None
    """The highest row below `below`: when it is gone this is another ledger, or an older copy of it."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one look has found."""

    records: int
    """Without a row. Beyond the first hundred of a partition marks of transactions count too, until one gets there."""
    oldest: float | None
    """When the oldest of them was written, in seconds since the epoch; None when there is none."""


class Unaccounted:
    """Looks at all partitions, and remembers how far it has come."""

    def __init__(self, log: Log, memory: Path | None = None, *, seconds: float = 3.0) -> None:
        """Remember what an earlier process has found.

        Args:
            log: what the broker holds.
            memory: file to remember in; it may be missing, stale or damaged.
            seconds: all reading of the broker in one look may take; the rest is left to the next.
        """
        self._log = log
        self._memory = memory
        self._seconds = seconds
        self._known = _read(memory)

    def look(
        self, moment: Connection, starts: Mapping[Partition, int], ends: Mapping[Partition, int], now: float
    ) -> Found:
        """Compare ledger and broker.

        Args:
            moment: of the ledger, taken after `ends`.
            starts: the first offset each intake log still holds.
            ends: the offset each one's next record will have.
            now: seconds since the epoch.
        """
        until = time.monotonic() + self._seconds
        before = _text(self._known)
        number = 0
        written: list[float] = []
        for each, end in ends.items():
            known = self._known.setdefault(each, Known())
            self._follow(moment, _Look(each, starts.get(each, 0), end, now), known, until)
            beyond = end - known.below - accounted.count(moment, each, known.below, end)
            number += len(known.missing) + max(0, beyond)
            written += known.missing.values()
        self._write(before)
        return Found(number, min(written, default=None))

    def _follow(self, moment: Connection, look: _Look, known: Known, until: float) -> None:
        """Bring what is known of a partition up to date, as far as there is time and room."""
        gone = known.last is not None and not accounted.among(moment, look.of, [known.last])
        if gone or known.below > look.end:
            known.below, known.missing = 0, {}
        for offset in accounted.among(moment, look.of, known.missing):
            del known.missing[offset]
        while len(known.missing) < REMEMBERED and time.monotonic() < until:
            gap = accounted.first_gap(moment, look.of, known.below, look.end)
            known.below = look.end if gap is None else gap
            if gap is None:
                break
            there = accounted.offsets(moment, look.of, gap, gap + accounted.WINDOW)
            if gap < look.start:
                self._expired(look, known, there)
            elif not self._ask(look, known, there):
                break
        known.last = accounted.last(moment, look.of, known.below)

    def _ask(self, look: _Look, known: Known, there: set[int]) -> bool:
        """Go through a window of the log, from a gap in the rows; tell whether the broker said anything."""
        window = known.below + accounted.WINDOW
        answered = False
        with contextlib.closing(self._log.records(look.of, known.below, look.end)) as records:
            for offset, written in records:
                answered = True
                known.below = offset
                if written is None or offset >= window or len(known.missing) >= REMEMBERED:
                    break
                known.below = offset + 1
                if offset not in there:
                    known.missing[offset] = written
        return answered

    def _expired(self, look: _Look, known: Known, there: set[int]) -> None:
        """Name what expired before it had a row: there the ledger is the only proof, and it has none."""
        with contextlib.closing(self._log.records(look.of, look.start, look.end)) as records:
            written = next((written for _offset, written in records), None)
        for offset in range(known.below, min(look.start, known.below + accounted.WINDOW)):
            if len(known.missing) >= REMEMBERED:
                break
            if offset not in there:
                known.missing[offset] = look.now if written is None else written  # at least so old
            known.below = offset + 1

    def _write(self, before: str) -> None:
        text = _text(self._known)
        if self._memory is not None and text != before:
            with contextlib.suppress(OSError):
                write_whole(self._memory, text.encode())


@dataclass(frozen=True, slots=True)
class _Look:
    """One partition at one moment."""

    of: Partition
    start: int
    end: int
    now: float


def _text(known: Mapping[Partition, Known]) -> str:
    return json.dumps({f"{of.topic}/{of.partition}": asdict(each) for of, each in known.items()})


def _read(memory: Path | None) -> dict[Partition, Known]:
    """Return what an earlier process wrote; nothing where it cannot be read: it saves time, and proves nothing."""
    known: dict[Partition, Known] = {}
    try:
        said = json.loads(memory.read_text()) if memory is not None else {}
        for name, each in said.items():
            topic, _slash, partition = name.rpartition("/")
            missing = {int(offset): float(written) for offset, written in each["missing"].items()}
            last = None if each["last"] is None else int(each["last"])
            known[Partition(topic, int(partition))] = Known(int(each["below"]), missing, last)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    return known
