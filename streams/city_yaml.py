"""YAML with line numbers: typed getters that note every mistake and go on.

One `Notes` collects what is wrong with all files of a city; one `Item` is one mapping of a file.
A getter that finds a mistake notes it with file and line and returns a harmless value, so that
one run tells all mistakes at once.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

_TAG = "tag:yaml.org,2002:"
_DURATION = re.compile(r"(\d{1,5})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_NOTHING = object()


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong, and where."""

    file: str
    line: int
    """From 1; 0 when the file as a whole is meant."""
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


@dataclass(slots=True)
class Notes:
    """All mistakes of a city so far."""

    errors: list[Mistake] = field(default_factory=list)
    warnings: list[Mistake] = field(default_factory=list)


@dataclass(slots=True)
class Item:
    """A mapping in a file."""

    file: str
    line: int
    notes: Notes
    fields: dict[str, Any]
    lines: dict[str, int]
    asked: set[str] = field(default_factory=set)
    absent: bool = False
    """Stands for a mapping that is missing, which is noted already: nothing more is said about it."""

    # -- notes ------------------------------------------------------------------------------

    def error(self, message: str, key: str | None = None) -> None:
        """Note a mistake at this mapping, or at one of its keys."""
        self.notes.errors.append(Mistake(self.file, self.lines.get(key or "", self.line), message))

    def warn(self, message: str, key: str | None = None) -> None:
        """Note what loads but looks wrong."""
        self.notes.warnings.append(Mistake(self.file, self.lines.get(key or "", self.line), message))

    def finish(self) -> None:
        """Warn of keys nobody asked for: most are misspelt."""
        for key in self.fields.keys() - self.asked:
            self.warn(f"{key} is not a key known here", key)

    # -- getters ----------------------------------------------------------------------------

    def has(self, key: str) -> bool:
        """Tell whether the key is there."""
        return key in self.fields

    def text(self, key: str, default: Any = _NOTHING, pattern: str | None = None) -> str:
        """Return a text; numbers in quotes are texts, bare numbers are not."""
        node = self._get(key, default)
        if node is None:
            return "" if default is _NOTHING else str(default)
        value = _string(node)
        if value is None or not value.strip():
            self.error(f"{key} must be a text", key)
            return ""
        if pattern is not None and not re.fullmatch(pattern, value):
            self.error(f"{key} {value!r} does not look like {pattern}", key)
        return value

    def choice(self, key: str, allowed: Iterable[str], default: Any = _NOTHING) -> str:
        """Return one of some words; the first of them where it is none."""
        value = self.text(key, default)
        known = list(allowed)
        if value in known:
            return value
        if value or default is _NOTHING:
            if value:
                self.error(f"{key} {value!r} must be one of {', '.join(known)}", key)
            return known[0]
        return value

    def integer(self, key: str, low: int, high: int, default: Any = _NOTHING) -> int:
        """Return a whole number between two others, both included."""
        return int(self.number(key, low, high, default, whole=True))

    def number(self, key: str, low: float, high: float, default: Any = _NOTHING, *, whole: bool = False) -> float:
        """Return a number between two others, both included."""
        node = self._get(key, default)
        if node is None:
            return low if default is _NOTHING else float(default)
        value = _number(node)
        if value is None or not low <= value <= high or (whole and value != int(value)):
            self.error(f"{key} must be a {'whole ' if whole else ''}number from {low} to {high}", key)
            return low
        return value

    def flag(self, key: str, default: Any = _NOTHING) -> bool:
        """Return true or false."""
        node = self._get(key, default)
        if node is None:
            return bool(default) if default is not _NOTHING else False
        if not isinstance(node, ScalarNode) or node.tag != _TAG + "bool":
            self.error(f"{key} must be true or false", key)
            return False
        return str(node.value).lower() == "true"

    def day(self, key: str, default: Any = _NOTHING) -> date | None:
        """Return a day (`2026-01-31`)."""
        node = self._get(key, default)
        if node is None:
            return None
        try:
            return date.fromisoformat(node.value if isinstance(node, ScalarNode) else "")
        except ValueError:
            self.error(f"{key} must be a day such as 2026-01-31", key)
            return None

    def duration(self, key: str, default: Any = _NOTHING) -> timedelta:
        """Return a length of time (`15m`, `4h`, `7d`)."""
        node = self._get(key, default)
        if node is None:
            return timedelta(0)
        match = _DURATION.fullmatch(str(node.value)) if isinstance(node, ScalarNode) else None
        if match is None or int(match[1]) == 0:
            self.error(f"{key} must be a length of time such as 15m, 4h or 7d", key)
            return timedelta(0)
        return timedelta(**{_UNITS[match[2]]: int(match[1])})

    def words(self, key: str, default: Any = _NOTHING) -> tuple[str, ...]:
        """Return a list of different texts."""
        node = self._get(key, default)
        if node is None:
            return ()
        if not isinstance(node, SequenceNode):
            self.error(f"{key} must be a list of texts", key)
            return ()
        found: dict[str, None] = {}
        for each in node.value:
            word = _string(each)
            line = each.start_mark.line + 1
            if word is None or not word.strip():
                self.notes.errors.append(Mistake(self.file, line, f"{key} holds something that is not a text"))
            elif word in found:
                self.notes.errors.append(Mistake(self.file, line, f"{key} holds {word} twice"))
            else:
                found[word] = None
        return tuple(found)

    def word_lists(self, key: str) -> tuple[tuple[str, ...], ...]:
        """Return a list of lists of texts."""
        node = self._get(key, _NOTHING)
        rows = node.value if isinstance(node, SequenceNode) else []
        found = tuple(
            tuple(filter(None, map(_string, row.value))) for row in rows if isinstance(row, SequenceNode) and row.value
        )
        if node is not None and (not found or len(found) != len(rows)):
            self.error(f"{key} must be a list of lists of texts", key)
        return found

    def points(self, key: str) -> tuple[tuple[float, float], ...]:
        """Return a list of `[longitude, latitude]` in degrees."""
        node = self._get(key, _NOTHING)
        if node is None:
            return ()
        found = []
        for pair in node.value if isinstance(node, SequenceNode) else ():
            two = isinstance(pair, SequenceNode) and len(pair.value) == 2
            lon, lat = map(_number, pair.value) if two else (None, None)
            if lon is None or lat is None or not (-180 <= lon <= 180 and -90 <= lat <= 90):
                line = pair.start_mark.line + 1
                self.notes.errors.append(Mistake(self.file, line, f"{key} must hold pairs [longitude, latitude]"))
                return ()
            found.append((lon, lat))
        return tuple(found)

    def items(self, key: str, default: Any = _NOTHING) -> list[Item]:
        """Return a list of mappings."""
        node = self._get(key, default)
        if node is None:
            return []
        if not isinstance(node, SequenceNode):
            self.error(f"{key} must be a list", key)
            return []
        return [item for each in node.value if (item := _item(each, self.file, self.notes)) is not None]

    def entries(self, key: str) -> Iterator[tuple[str, Item]]:
        """Return the mappings under a mapping, with their names."""
        block = self.block(key)
        for name in block.fields:
            block.asked.add(name)
            item = _item(block.fields[name], self.file, self.notes)
            if item is not None:
                item.line = block.lines[name]
                yield name, item

    def block(self, key: str) -> Item:
        """Return the mapping under a key; an empty one where there is none."""
        node = self._get(key, _NOTHING)
        item = _item(node, self.file, self.notes) if node is not None else None
        return item or Item(self.file, self.line, self.notes, {}, {}, absent=True)

    def _get(self, key: str, default: Any) -> Any:
        self.asked.add(key)
        node = self.fields.get(key)
        if node is None and default is _NOTHING and not self.absent:
            self.error(f"{key} is missing")
        return node


def read_yaml(path: Path, notes: Notes) -> Item | None:
    """Read one file; None when it cannot be read at all, which is noted.

    Args:
        path: the file; its name stands in the notes.
        notes: where mistakes go.
    """
    name = path.name
    try:
        raw = path.read_bytes()
    except OSError as error:
        notes.errors.append(Mistake(name, 0, f"the file cannot be read: {error.strerror}"))
        return None
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        notes.errors.append(Mistake(name, line, "the file is not UTF-8"))
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            node = YAML(typ="safe", pure=True).compose(text)
    except (YAMLError, Warning, RecursionError) as error:
        notes.errors.append(_syntax(name, text, error))
        return None
    if node is None:
        notes.errors.append(Mistake(name, 0, "the file is empty"))
        return None
    item = _item(node, name, notes)
    if item is not None and item.integer("version", 1, 1_000_000) != 1:
        item.error("this version of the file is not known; 1 is", "version")
    return item


def _syntax(name: str, text: str, error: BaseException) -> Mistake:
    mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
    position = getattr(error, "position", None)
    line = mark.line + 1 if mark is not None else 0
    if isinstance(position, int):
        line = text.count("\n", 0, position) + 1
    reason = getattr(error, "problem", None) or getattr(error, "reason", None) or type(error).__name__
    return Mistake(name, line, f"not valid YAML: {reason}")


def _item(node: Any, file: str, notes: Notes) -> Item | None:
    line = node.start_mark.line + 1
    if not isinstance(node, MappingNode):
        notes.errors.append(Mistake(file, line, "names and values are expected here"))
        return None
    item = Item(file, line, notes, {}, {})
    for key, value in node.value:
        name = str(key.value)
        where = key.start_mark.line + 1
        if name in item.fields:
            notes.errors.append(Mistake(file, where, f"{name} stands here twice"))
        item.fields[name] = value
        item.lines[name] = where
    return item


def _string(node: Any) -> str | None:
    return str(node.value) if isinstance(node, ScalarNode) and node.tag == _TAG + "str" else None


def _number(node: Any) -> float | None:
    if not isinstance(node, ScalarNode) or node.tag not in (_TAG + "int", _TAG + "float"):
        return None
    try:
        value = float(node.value)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
