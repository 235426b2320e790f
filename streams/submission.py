"""Files of demands: CSV and JSON Lines, plain or gzipped, read row by row into what a channel submits.

The same row always gives the same demand id, so a file submitted twice opens nothing twice.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import hashlib
import io
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import IO, Any, cast

from routers.demand import DemandKind
from streams.channel import DemandRow
from streams.clock import PEOPLE, content_id

FIELDS = (
    "id",
    "text",
    "title",
    "created_at",
    "community",
    "address",
    "lon",
    "lat",
    "crs",
    "name",
    "phone",
    "kind",
    "confidential",
    "answered_by",
    "answer",
)
"""What a file may say of a demand."""

_FIELD_LIMIT = 2**31 - 1
_CHUNK = 1 << 20
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_TIME = re.compile(
    r"(\d{4})\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})日?"
    r"(?:[T\s]+(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:[.,](\d{1,9}))?)?\s*(Z|[+-]\d{2}:?\d{2})?)?",
    re.IGNORECASE,
)
_YES = frozenset({"1", "true", "yes", "y", "t", "是"})
_NO = frozenset({"", "0", "false", "no", "n", "f", "否"})
_KINDS: Mapping[str, DemandKind] = {
    "咨询": DemandKind.CONSULT,
    "求助": DemandKind.HELP,
    "投诉": DemandKind.COMPLAINT,
    "举报": DemandKind.REPORT,
    "建议": DemandKind.SUGGEST,
    "表扬": DemandKind.PRAISE,
    **{str(kind): kind for kind in DemandKind},
}


class FileError(Exception):
    """A file that cannot be read, or a mapping that does not fit it; the text says what to do."""


class RowError(Exception):
    """A row that is no demand.

    Attributes:
        code: for machines.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file, its columns already paired with our fields."""

    number: int
    """Counts from 1; the header of a CSV file is not counted."""
    values: Mapping[str, str]
    """Our field to its text, without the empty ones."""
    problem: RowError | None = None
    """Why it could not even be read."""


# ---- pairing columns with fields ------------------------------------------------------------------

ColumnMap = Mapping[str, Sequence[str]]


def parse_map(pairs: Iterable[str], fields: Sequence[str] = FIELDS) -> dict[str, tuple[str, ...]]:
    """Read `--map` options: `text=title+body` pairs our `text` with their `title` and `body`, joined by a line feed.

    Args:
        pairs: the options.
        fields: what may be paired.

    Raises:
        FileError: one is not of that form, or names a field there is not.
    """
    mapping: dict[str, tuple[str, ...]] = {}
    for pair in pairs:
        field, equals, columns = pair.partition("=")
        if not equals or not field or not columns:
            raise FileError(f"--map {pair} is not FIELD=COLUMN or FIELD=COLUMN+COLUMN, as in --map text=title+body")
        if field not in fields:
            raise FileError(f"--map {pair}: there is no field {field}; the fields are {', '.join(fields)}")
        if field in mapping:
            raise FileError(f"--map {pair}: {field} is mapped twice; join columns with +")
        mapping[field] = tuple(columns.split("+"))
    return mapping


def read_rows(path: Path, mapping: ColumnMap, encoding: str = "utf-8") -> Iterator[Row]:
    """Read a file row by row.

    Args:
        path: CSV (header; comma, semicolon or tab) or JSON Lines (`.jsonl`, `.ndjson`, `.json`), plain or gzipped.
        mapping: our field to their columns; an empty one pairs equal names.
        encoding: as `encoding_of` found it.

    Raises:
        FileError: the file cannot be read, or has no column of that name.
    """
    lines = _is_json_lines(path)
    try:
        with _opened(path) as raw, io.TextIOWrapper(raw, encoding=encoding, newline=None if lines else "") as stream:
            if stream.read(1) != "\ufeff":
                stream.seek(0)
            yield from _json_rows(stream, mapping) if lines else _csv_rows(path, stream, mapping)
    except (OSError, EOFError, UnicodeDecodeError, zlib.error, csv.Error) as error:
        raise FileError(f"{path} cannot be read: {error}") from error


def encoding_of(path: Path) -> str:
    """Return the encoding of a file: UTF-8 (with or without a mark), else GB18030, as Chinese offices write.

    Raises:
        FileError: it is neither, or cannot be read.
    """
    for encoding in ("utf-8", "gb18030"):
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            with _opened(path) as raw:
                while chunk := raw.read(_CHUNK):
                    decoder.decode(chunk)
                decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        except (OSError, EOFError, zlib.error) as error:
            raise FileError(f"{path} cannot be read: {error}") from error
        return encoding
    raise FileError(f"{path} is text neither in UTF-8 nor in GB18030; save it as UTF-8 and submit it again")


def _opened(path: Path) -> IO[bytes]:
    """Open a file, and unpack it where its first bytes say that it is gzipped."""
    with path.open("rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
    return cast("IO[bytes]", gzip.open(path)) if packed else path.open("rb")


def _is_json_lines(path: Path) -> bool:
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    return bool(suffixes) and suffixes[-1] in {".jsonl", ".ndjson", ".json"}


def _csv_rows(path: Path, stream: IO[str], mapping: ColumnMap) -> Iterator[Row]:
    csv.field_size_limit(_FIELD_LIMIT)
    first = stream.readline()
    delimiter = max(",;\t", key=first.count)
    header = [name.strip() for name in next(csv.reader([first], delimiter=delimiter), [])]
    if not header:
        raise FileError(f"{path} is empty; its first line names the columns")
    columns = _columns(path, header, mapping)
    for number, cells in enumerate(csv.reader(stream, delimiter=delimiter), 1):
        if len(cells) > len(header):
            reason = f"{len(cells)} cells under {len(header)} columns; quote cells that hold the separator"
            yield Row(number, {}, RowError("wrong_columns", reason))
        elif cells:
            yield Row(number, _paired(dict(zip(header, cells, strict=False)), columns))


def _columns(path: Path, header: Sequence[str], mapping: ColumnMap) -> ColumnMap:
    if not mapping:
        found: ColumnMap = {field: (field,) for field in FIELDS if field in header}
        if "text" not in found:
            raise FileError(
                f"{path} has no column text; name the one that holds it: --map text=COLUMN (it has {', '.join(header)})"
            )
        return found
    missing = [column for columns in mapping.values() for column in columns if column not in header]
    if missing:
        raise FileError(f"{path} has no column {', '.join(missing)}; it has {', '.join(header)}")
    return mapping


def _json_rows(stream: IO[str], mapping: ColumnMap) -> Iterator[Row]:
    columns = mapping or {field: (field,) for field in FIELDS}
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield Row(number, {}, RowError("not_json", str(error)[:200]))
            continue
        if isinstance(found, dict):
            yield Row(number, _paired({name: _text(value) for name, value in found.items()}, columns))
        else:
            yield Row(number, {}, RowError("not_json", "a line holds one JSON object"))


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _paired(cells: Mapping[str, str], columns: ColumnMap) -> dict[str, str]:
    joined = (
        (field, "\n".join(part for name in names if (part := cells.get(name, "").strip())))
        for field, names in columns.items()
    )
    return {field: text for field, text in joined if text}


# ---- rows into demands ----------------------------------------------------------------------------


def demand_of(row: Row, channel: str) -> DemandRow:
    """Make of a row what a channel submits.

    Args:
        row: as read.
        channel: goes into the id: two channels may number their demands alike.

    Raises:
        RowError: it cannot be a demand; the coded reason says why.
    """
    if row.problem is not None:
        raise row.problem
    values = row.values
    if "text" not in values:
        raise RowError("no_text", "the row has no text")
    said_at = parse_time(values["created_at"]) if "created_at" in values else None
    demand: dict[str, Any] = {"text": values["text"], "demand_id": _id_of(values, channel, said_at)}
    if said_at is not None:
        demand["created_at"] = said_at
    demand |= {name: values[name] for name in ("title", "answered_by", "answer") if name in values}
    contact = {name: values[name] for name in ("name", "phone") if name in values}
    place = _place(values)
    if contact:
        demand["contact"] = contact
    if place:
        demand["place"] = place
    if "kind" in values:
        demand["kind"] = _kind(values["kind"])
    if "confidential" in values:
        demand["confidential"] = _yes(values["confidential"])
    return cast("DemandRow", demand)


def parse_time(text: str) -> datetime:
    """Read a moment as people and programs write it; one without a zone is the city's (Asia/Shanghai).

    Raises:
        RowError: it is none (`bad_time`).
    """
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise RowError("bad_time", f"{text[:40]!r} is no time; write 2026-11-23 09:30:00 or 2026-11-23T09:30:00+08:00")
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        return datetime(
            int(year),
            int(month),
            int(day),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            int((fraction or "0")[:6].ljust(6, "0")),
            tzinfo=_zone(zone),
        )
    except ValueError as error:
        raise RowError("bad_time", f"{text[:40]!r} is no time: {error}") from error


def _zone(text: str | None) -> Any:
    if text is None:
        return PEOPLE
    if text.upper() == "Z":
        return UTC
    sign = -1 if text[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(text[1:3]), minutes=int(text[-2:])))


def _id_of(values: Mapping[str, str], channel: str, said_at: datetime | None) -> str:
    """Make the id that this row always has: from its own id, or from all it says."""
    own = values.get("id")
    content = f"{channel}\n{own}" if own else json.dumps([channel, dict(values)], sort_keys=True)
    digest = hashlib.sha256(content.encode(errors="surrogatepass")).digest()
    try:
        return content_id(said_at or _EPOCH, digest)
    except (OverflowError, ValueError) as error:
        raise RowError("time_out_of_range", f"the time {said_at} cannot be that of a demand") from error


def _place(values: Mapping[str, str]) -> dict[str, Any]:
    place: dict[str, Any] = {name: values[name] for name in ("community", "address") if name in values}
    if "lon" in values or "lat" in values:
        try:
            point: dict[str, Any] = {"lon": float(values["lon"]), "lat": float(values["lat"])}
        except (KeyError, ValueError):
            raise RowError("bad_coordinates", "lon and lat belong together and are numbers of degrees") from None
        if "crs" not in values:
            raise RowError("coordinates_without_system", "crs names their system: WGS-84, CGCS2000, GCJ-02 or BD-09")
        place["coordinates"] = point | {"crs": values["crs"]}
    return place


def _kind(text: str) -> DemandKind:
    kind = _KINDS.get(text.strip().upper())
    if kind is None:
        raise RowError("bad_kind", f"{text[:40]!r} is no kind of demand; the kinds are {', '.join(_KINDS)}")
    return kind


def _yes(text: str) -> bool:
    word = text.strip().lower()
    if word not in _YES | _NO:
        raise RowError("bad_flag", f"{text[:40]!r} is neither yes nor no")
    return word in _YES
