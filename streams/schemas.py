"""JSON Schemas of every message, for whoever writes a channel or a department in another language.

`python -m streams.schemas` writes them anew after a change of a model; `--check` only tells whether they are
still true.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from streams.messages import CE_NOUNS, Message, ReplyBase
from streams.settings import DEPLOY

FOLDER = DEPLOY / "schemas"
EXAMPLES = FOLDER / "examples"

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def file_name(message: type[Message]) -> str:
    """Return the name of a message's schema and of its example: `<noun>.v<schema>.json`."""
    return message.ce_type().removeprefix("cn.yiwang.") + ".json"


def schema_of(message: type[Message]) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a message as its sender must write it."""
    given = message.model_json_schema(by_alias=True)
    # The tag has a default in Python; on the wire it is what tells the message from its siblings.
    tag = "action" if issubclass(message, ReplyBase) else "type"
    required = [tag, *(name for name in given.get("required", ()) if name != tag)]
    return {"$schema": _DIALECT, "$id": f"urn:{message.ce_type().replace('.', ':')}", **given, "required": required}


@cache
def schema_texts() -> Mapping[str, str]:
    """Return the text of every schema file, by file name."""
    return MappingProxyType({file_name(message): _text(schema_of(message)) for message in CE_NOUNS})


def example_text(message: Message) -> str:
    """Return a message as an example file holds it: its wire form, laid out to be read."""
    return _text(json.loads(message.encode()))


def outdated(folder: Path = FOLDER) -> list[str]:
    """Return the names of the schema files that are missing, differ from the models or have none; sorted."""
    wanted = schema_texts()
    there = {file.name: file.read_text(encoding="utf-8") for file in folder.glob("*.json")}
    return sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))


def export_schemas(folder: Path = FOLDER) -> list[str]:
    """Write the schema of every message, remove those of messages that are no more.

    Returns:
        The names of the files that changed, sorted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = schema_texts()
    changed = outdated(folder)
    for name in changed:
        if name in wanted:
            (folder / name).write_text(wanted[name], encoding="utf-8")
        else:
            (folder / name).unlink()
    return changed


def main(arguments: Sequence[str] | None = None) -> int:
    """Export or check; returns the exit status: 1 when `--check` finds a file that is not true."""
    parser = argparse.ArgumentParser(prog="python -m streams.schemas", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; status 1 when a file is not true")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the schemas are (%(default)s)")
    options = parser.parse_args(arguments)
    changed = outdated(options.folder) if options.check else export_schemas(options.folder)
    for name in changed:
        sys.stdout.write(f"{name}\n")
    if options.check and changed:
        sys.stderr.write("These schemas differ from the models; write them anew with: python -m streams.schemas\n")
        return 1
    return 0


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
