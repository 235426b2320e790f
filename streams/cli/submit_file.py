"""A file of demands on its way: rows out, outcomes in, rejects aside."""

from __future__ import annotations

import csv
import time
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self

from streams.channel import ChannelClient
from streams.cli.common import notes, progress
from streams.cli.errors import UNREACHABLE, WRONG, Stop
from streams.client import ClientError
from streams.kafka_access import KafkaAccess
from streams.submission import Row, RowError, demand_of, encoding_of, read_rows

AHEAD = 20_000
"""Demands handed in and not told yet at most: what this side keeps in mind, and the pipeline has before it."""

CHUNK = 1_000
"""Rows handed in between two looks at the outcomes."""

_GLANCE = 0.02
_LOOK = 0.5

_TROUBLE = frozenset({"unreachable", "no_topic", "forbidden", "not_sent", "unknown_schema"})


@dataclass(frozen=True, slots=True)
class FileOrder:
    """What is to be submitted."""

    file: Path
    channel: str
    mapping: Mapping[str, Sequence[str]]
    rejects: Path | None
    """None: beside where the command is called, named after the file."""
    patience: float | None
    """Seconds without any outcome; None: do not wait for outcomes."""


@dataclass(slots=True)
class Counts:
    """How the rows of a file fared."""

    read: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    untold: int = 0
    """Handed in, and the channel has not been told yet."""
    rejects_file: str | None = None

    def document(self) -> dict[str, Any]:
        """Return the document of `yiwang submit --file --json`."""
        return {
            "read": self.read,
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "rejected": self.rejected,
            "untold": self.untold,
            "rejects_file": self.rejects_file,
        }


def submit_file(access: KafkaAccess, order: FileOrder) -> Counts:
    """Submit a file, and count what became of each row.

    Raises:
        ClientError: the cluster does not answer.
        FileError: the file cannot be read to its end.
    """
    encoding = encoding_of(order.file)
    if encoding != "utf-8":
        notes.print(f"{order.file} is not UTF-8; it is read as {encoding.upper()}")
    path = order.rejects or Path(f"{order.file.name}.rejects.csv")
    if path.exists() and path.resolve() == order.file.resolve():
        raise Stop(WRONG, f"the rejects would overwrite {order.file}; choose another file with --rejects")
    with _Rejects(path) as rejects, ChannelClient(access, order.channel) as client:
        return _Sending(order, client, rejects).run(encoding)


@dataclass(slots=True)
class _Sending:
    order: FileOrder
    client: ChannelClient
    rejects: _Rejects
    counts: Counts = field(default_factory=Counts)
    rows: dict[str, deque[Row]] = field(default_factory=lambda: defaultdict(deque))
    """Demand id to the rows that were submitted under it and are not told yet, oldest first."""
    quiet_since: float = 0.0

    def run(self, encoding: str) -> Counts:
        counts = self.counts
        with progress(self.order.file.name) as bar:
            task = bar.add_task("", total=None)
            for row in read_rows(self.order.file, self.order.mapping, encoding):
                counts.read += 1
                self._submit(row)
                if counts.read % CHUNK == 0:
                    self._hear(_GLANCE)
                    self._fall_behind()
                    bar.update(task, completed=self._settled(), description=f"{counts.read} read")
            self.client.flush()
            self.quiet_since = time.monotonic()
            bar.update(task, total=counts.read)
            while self.client.untold and self._patient():
                self._hear(_LOOK)
                bar.update(task, completed=self._settled(), description=f"{counts.rejected} rejected")
        counts.untold = sum(len(rows) for rows in self.rows.values())
        counts.rejects_file = self.rejects.name
        return counts

    def _submit(self, row: Row) -> None:
        try:
            self.rows[self.client.submit(**demand_of(row, self.order.channel))].append(row)
        except RowError as error:
            self._reject(row, error.code, str(error))
        except ClientError as error:
            if error.code in _TROUBLE:
                raise
            self._reject(row, error.code, str(error))

    def _hear(self, seconds: float) -> None:
        """Take in the outcomes there are."""
        if self.order.patience is None:
            self.client.flush()
            return
        for told in self.client.receipts(timeout=seconds):
            self.quiet_since = time.monotonic()
            waiting = self.rows[told.about]
            row = waiting.popleft()
            if not waiting:
                del self.rows[told.about]
            if told.outcome.refused:
                self._reject(row, told.outcome.code, told.outcome.text)
            elif told.outcome.code == "duplicate":
                self.counts.duplicates += 1
            else:
                self.counts.accepted += 1

    def _fall_behind(self) -> None:
        """Wait while the pipeline is far behind.

        Raises:
            Stop: it does not move.
        """
        self.quiet_since = time.monotonic()
        while self.order.patience is not None and self.client.untold > AHEAD:
            self._hear(_LOOK)
            if not self._patient():
                sentence = f"nothing came out of the pipeline for {self.order.patience:.0f} s"
                raise Stop(
                    UNREACHABLE, f"{sentence}; see `yiwang status`, then submit the file again: nothing opens twice"
                )

    def _patient(self) -> bool:
        patience = self.order.patience
        return patience is not None and time.monotonic() - self.quiet_since < patience

    def _settled(self) -> int:
        return self.counts.accepted + self.counts.duplicates + self.counts.rejected

    def _reject(self, row: Row, code: str, reason: str) -> None:
        self.counts.rejected += 1
        self.rejects.add(row, code, reason)


class _Rejects:
    """A CSV file that is there only when there is something in it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream: IO[str] | None = None

    @property
    def name(self) -> str | None:
        """Return the file's name, None when nothing was rejected."""
        return str(self._path) if self._stream is not None else None

    def add(self, row: Row, code: str, reason: str) -> None:
        """Add a row: its number, its own id, why."""
        if self._stream is None:
            try:
                # With a mark, so that spreadsheets read the Chinese.
                self._stream = self._path.open("w", encoding="utf-8-sig", errors="backslashreplace", newline="")
            except OSError as error:
                raise Stop(WRONG, f"{self._path} cannot be written ({error}); choose another with --rejects") from error
            csv.writer(self._stream).writerow(("row", "id", "code", "reason"))
        csv.writer(self._stream).writerow((row.number, row.values.get("id", ""), code, reason))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._stream is not None:
            self._stream.close()
