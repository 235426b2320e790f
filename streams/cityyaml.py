"""The files of a city as values that remember where they stand.

YAML 1.2 (yaml.org/spec/1.2.2): only `true` and `false` are truth values, so a key or a word like
`on` stays text. A file is read once into nodes, by libyaml, since every process reads its city when
it starts; values are taken from them, and the line of anything that is wrong is looked up only then.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import ReaderError

Loc = tuple[str | int, ...]
"""The way to a value inside a file: keys and indices."""

_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """Something wrong with a city, and where: `line` counts from 1."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


@dataclass(slots=True)
class Findings:
    """What a check has found so far."""

    errors: list[Mistake] = field(default_factory=list)
    warnings: list[Mistake] = field(default_factory=list)

    def error(self, document: Document, loc: Loc, message: str) -> None:
        """Note a mistake: the city cannot be loaded."""
        self.errors.append(Mistake(document.name, document.line(loc), message))

    def warn(self, document: Document, loc: Loc, message: str) -> None:
        """Note something doubtful that does no harm to loading."""
        self.warnings.append(Mistake(document.name, document.line(loc), message))


@dataclass(frozen=True, slots=True)
class Document:
    """One file: its plain values and its nodes."""

    name: str
    content: Any
    root: Node | None

    def line(self, loc: Loc) -> int:
        """Return the line of a value, or of the nearest thing around it that exists."""
        node, line = self.root, 1
        if node is not None:
            line = node.start_mark.line + 1
        for step in loc:
            if isinstance(node, MappingNode):
                pair = next((pair for pair in node.value if pair[0].value == step), None)
                if pair is None:
                    break
                line, node = pair[0].start_mark.line + 1, pair[1]
            elif isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
                node = node.value[step]
                line = node.start_mark.line + 1
            else:
                break
        return line

    def find(self, path: str) -> Iterator[tuple[Loc, Any]]:
        """Yield every value at a path, with its place.

        Args:
            path: keys joined by `/`; `*` stands for all items of a list or all values of a mapping.
        """
        yield from _walk(self.content, (), tuple(path.split("/")))


def _walk(value: Any, loc: Loc, path: tuple[str, ...]) -> Iterator[tuple[Loc, Any]]:
    if not path:
        yield loc, value
        return
    step, rest = path[0], path[1:]
    if step == "*":
        items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, item in items:
            yield from _walk(item, (*loc, key), rest)
    elif isinstance(value, dict) and step in value:
        yield from _walk(value[step], (*loc, step), rest)


def read(folder: Path, name: str, findings: Findings) -> tuple[Document | None, bytes]:
    """Read one file.

    Args:
        folder: of the city.
        name: of the file.
        findings: gets what is wrong with the file.

    Returns:
        The document, None when nothing of it can be read, and the file's bytes.
    """
    blank = Document(name, None, None)
    try:
        data = (folder / name).read_bytes()
    except FileNotFoundError:
        findings.error(blank, (), "the file is missing")
        return None, b""
    except OSError as error:
        findings.error(blank, (), f"the file cannot be read: {error.strerror}")
        return None, b""
    return parse(name, data, findings), data


def parse(name: str, data: bytes, findings: Findings) -> Document | None:
    """Take one file apart; None when that fails."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        findings.errors.append(
            Mistake(name, line, f"not UTF-8: byte 0x{data[error.start]:02x}; save the file as UTF-8")
        )
        return None
    try:
        root = yaml.compose(text, Loader=_Loader)
        content = _plain(root, Document(name, None, root), (), findings, set()) if root else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = mark.line + 1 if mark else 1
        findings.errors.append(Mistake(name, where, f"not YAML: {error.problem or error.context}"))
        return None
    except ReaderError as error:
        where = text.count("\n", 0, error.position) + 1
        findings.errors.append(Mistake(name, where, f"not YAML: {str(error).splitlines()[0]}"))
        return None
    except RecursionError:
        findings.errors.append(Mistake(name, 1, "not readable: nested too deeply"))
        return None
    document = Document(name, content, root)
    if not isinstance(document.content, dict):
        findings.error(document, (), "the file is empty" if root is None else "the file must be a mapping of keys")
        return None
    return document


def _plain(node: Node, document: Document, loc: Loc, findings: Findings, seen: set[Node]) -> Any:
    """Return the values of a node: text, numbers, truth values, dates, lists and mappings."""
    if node in seen:
        # One value in two places would have two owners, and could even contain itself.
        findings.error(document, loc, "anchors (&name) and aliases (*name) are not read here: write the value out")
        return None
    seen.add(node)
    if isinstance(node, SequenceNode):
        return [_plain(item, document, (*loc, index), findings, seen) for index, item in enumerate(node.value)]
    if isinstance(node, MappingNode):
        values: dict[str, Any] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, ScalarNode):
                findings.errors.append(Mistake(document.name, line, "a key must be a word"))
            elif key.value in values:
                findings.errors.append(Mistake(document.name, line, f"`{key.value}` stands twice"))
            else:
                values[key.value] = _plain(value, document, (*loc, key.value), findings, seen)
        return values
    return _scalar(node, document, loc, findings)


class _Loader(yaml.CSafeLoader):
    """libyaml's parser with the plain values of YAML 1.2: its core schema, and dates."""


_Loader.yaml_implicit_resolvers = {}
_DIGITS = "0123456789"
for _kind, _pattern, _first in (
    ("bool", "true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", "[-+]?[0-9][0-9_]*|0o[0-7]+|0x[0-9a-fA-F]+", "-+" + _DIGITS),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+." + _DIGITS),
    ("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", "-+."),
    ("null", "~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("timestamp", "[0-9]{4}-[0-9]{2}-[0-9]{2}", _DIGITS),
):
    _Loader.add_implicit_resolver(_TAG + _kind, re.compile(f"(?:{_pattern})$"), list(_first))


def _scalar(node: Node, document: Document, loc: Loc, findings: Findings) -> Any:
    kind = str(node.tag).removeprefix(_TAG)
    if kind not in _SCALARS:
        findings.error(document, loc, f"the tag {node.tag} is not read here")
        return None
    return _SCALARS[kind](node.value)


def _number(text: str) -> int | str:
    digits = text.replace("_", "")
    for base in (0, 10):  # 0x1F and the like; then 0101, which is mostly a code that lacks its quotes
        with contextlib.suppress(ValueError):
            return int(digits, base)
    return text


def _fraction(text: str) -> float | str:
    try:
        return float(text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))
    except ValueError:
        return text


def _day(text: str) -> date | str:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return text  # the field that wants a date says so


_SCALARS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "null": lambda _text: None,
    "bool": lambda text: text.lower() == "true",
    "int": _number,
    "float": _fraction,
    "timestamp": _day,
}
"""How plain values are read, by YAML's name of their kind."""
