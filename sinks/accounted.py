"""Which offsets of an intake log the ledger has a row for; asked in windows, never from the beginning."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import ColumnElement, Connection, func, select

from sinks.ledger import Partition
from sinks.tables import METADATA

INPUT = METADATA.tables["input"]

WINDOW = 1_024
"""Offsets looked at one by one; larger windows are only counted, in the index."""


def count(moment: Connection, of: Partition, low: int, high: int) -> int:
    """Return how many offsets from `low` to below `high` have a row."""
    statement = select(func.count()).select_from(INPUT).where(*_within(of, low, high))
    return int(moment.execute(statement).scalar_one())


def offsets(moment: Connection, of: Partition, low: int, high: int) -> set[int]:
    """Return the offsets from `low` to below `high` that have a row."""
    return set(moment.execute(select(INPUT.c.origin_offset).where(*_within(of, low, high))).scalars())


def among(moment: Connection, of: Partition, wanted: Collection[int]) -> set[int]:
    """Return those of the offsets that have a row."""
    if not wanted:
        return set()
    statement = select(INPUT.c.origin_offset).where(*_of(of), INPUT.c.origin_offset.in_(wanted))
    return set(moment.execute(statement).scalars())


def last(moment: Connection, of: Partition, below: int) -> int | None:
    """Return the highest offset below `below` that has a row; one step in the index."""
    newest = INPUT.c.origin_offset.desc()
    statement = select(INPUT.c.origin_offset).where(*_of(of), INPUT.c.origin_offset < below).order_by(newest).limit(1)
    found = moment.execute(statement).scalar_one_or_none()
    return None if found is None else int(found)


def first_gap(moment: Connection, of: Partition, low: int, end: int) -> int | None:
    """Return the lowest offset from `low` to below `end` without a row, None when each has one.

    Windows that double are counted until one is not full, and that one is halved: what it costs grows with
    the distance to the gap, and not with what lies below `low` or beyond the gap.
    """
    width = WINDOW
    while low < end:
        high = min(low + width, end)
        if count(moment, of, low, high) == high - low:
            low, width = high, width * 2
            continue
        while high - low > WINDOW:
            middle = (low + high) // 2
            if count(moment, of, low, middle) == middle - low:
                low = middle
            else:
                high = middle
        there = offsets(moment, of, low, high)
        return next(each for each in range(low, high) if each not in there)
    return None


def _of(of: Partition) -> tuple[ColumnElement[bool], ...]:
    return INPUT.c.origin_topic == of.topic, INPUT.c.origin_partition == of.partition


def _within(of: Partition, low: int, high: int) -> tuple[ColumnElement[bool], ...]:
    return *_of(of), INPUT.c.origin_offset >= low, INPUT.c.origin_offset < high
