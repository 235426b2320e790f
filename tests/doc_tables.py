"""The parts of the documents that are made from code.

A part stands between `<!-- made: NAME -->` and `<!-- end -->`. After a change of the code
`python -m tests.doc_tables` writes all of them anew; `tests/unit/test_docs.py` tells when that is due.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from routers.case import TABLE
from routers.demand import Demand, Ruling
from routers.fold import fold
from routers.life import ENDED, OPEN, WITH_DESK, WITH_UNIT, Case, CaseState, Custody, Event
from routers.triage import Triage, Triaged
from streams.play import DAY
from streams.topics import PARTITIONS, REGISTRY
from tests.cities import qinglan, qinglan_model

ROOT = Path(__file__).parents[1]
PART = re.compile(r"(<!-- made: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

MONDAY = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)

Row = Iterable[object]


def table(head: Row, rows: Iterable[Row]) -> str:
    """Lay out a Markdown table."""
    names = [str(each) for each in head]
    lines = [names, ["---"] * len(names), *([str(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


# ---- the life of a case -----------------------------------------------------------------------------

_GROUPS = {
    frozenset({*OPEN, *ENDED}): "any but new",
    OPEN: "any open",
    WITH_UNIT: "dispatched, in_progress",
    frozenset({CaseState.IN_PROGRESS, CaseState.CALL_BACK, *ENDED}): "in_progress, call_back, any ended",
}


def _states(states: frozenset[CaseState]) -> str:
    return _GROUPS.get(states) or ", ".join(each for each in CaseState if each in states)


def moves() -> str:
    """Return `routers.case.TABLE` for people."""
    rows = (
        (
            _states(row.states),
            f"`{row.given.__name__}`",
            ", ".join(str(role) for role in type(next(iter(row.roles))) if role in row.roles),
            ", ".join(name.removeprefix("case.") for name in row.events) or "nothing: it had its effect before",
        )
        for row in TABLE
    )
    return table(("in state", "input", "from", "may give"), rows)


_ANY_EVENT: Mapping[str, Any] = {
    **dict.fromkeys(("tier", "unit", "desk", "text", "by", "code", "reason", "why", "result", "id", "channel"), "X"),
    **dict.fromkeys(("due_at", "accept_by", "said_at"), MONDAY),
    "co": (),
    "returnable": True,
    "upheld": False,
    "reached": True,
    "clock": "due",
    "held": "urge",
    "parts": (),
}
"""A value for every field that an event may carry."""

_FATES = ("case.review_requested", "case.dispatched", "case.answered", "case.declined")


def _after(state: CaseState, kind: str) -> CaseState:
    case = Case("X", state=state, lead="X", custodian="X", custody=(Custody("X", MONDAY),))
    return fold(case, Event(kind, MONDAY, "X", _ANY_EVENT)).state


def _edges() -> Iterator[tuple[CaseState, CaseState, str]]:
    for row in TABLE:
        for state in CaseState:
            if state in row.states:
                kinds = _FATES if state is CaseState.NEW else row.events
                yield from ((state, after, kind) for kind in kinds if (after := _after(state, kind)) is not state)


def diagram() -> str:
    """Return the states and what leads from one to another, by folding every event the table allows."""
    labels: dict[tuple[CaseState, CaseState], list[str]] = {}
    for state, after, kind in _edges():
        known = labels.setdefault((state, after), [])
        if kind not in known:
            known.append(kind)
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> new"]
    for (state, after), kinds in labels.items():
        lines.append(f"    {state} --> {after}: {', '.join(kind.removeprefix('case.') for kind in kinds)}")
    lines += [f"    {state} --> [*]" for state in CaseState if state in ENDED]
    return "\n".join([*lines, "```", ""])


def custody() -> str:
    """Return who holds a case, by its state."""
    rows = (
        ("the lead unit (主办)", _states(WITH_UNIT)),
        ("the desk (受理中心)", _states(WITH_DESK)),
        ("nobody: it has ended", _states(ENDED)),
    )
    return table(("custodian", "states"), rows)


# ---- topics -------------------------------------------------------------------------------------------


def topics() -> str:
    """Return what every topic is."""
    rows = (
        (
            f"`{kind.pattern}`",
            kind.title,
            kind.key,
            PARTITIONS if kind.keyed else 1,
            f"{kind.retention.days} days" if kind.retention and "delete" in kind.cleanup else "newest of each key",
            f"{kind.max_bytes // 1024} KiB",
            f"{kind.writers} → {kind.readers}",
        )
        for kind in REGISTRY
    )
    return table(("topic", "holds", "key", "partitions", "kept", "largest record", "from → to"), rows)


def delivery() -> str:
    """Return what becomes of a record in each case."""
    rows = ((f"`{kind.pattern}`", kind.on_success, kind.on_poison, kind.on_sink_down) for kind in REGISTRY)
    return table(("topic", "on success", "on poison", "when what lies behind is down"), rows)


# ---- limits -------------------------------------------------------------------------------------------


def _span(time: timedelta) -> str:
    hours, minutes = time.total_seconds() / 3600, time.total_seconds() / 60
    if hours < 1:
        return f"{minutes:.0f} min"
    return f"{hours:.0f} h" if hours <= 48 else f"{hours / 24:.0f} days"


def tiers() -> str:
    """Return the limits of the district that ships with the project, as they are run today."""
    rows = ((f"`{each.code}`", each.zh, _span(each.accept), _span(each.close)) for each in qinglan().tiers.values())
    return table(("tier", "时限", "accept (签收)", "due (办结)"), rows)


# ---- triage on the seeded day ---------------------------------------------------------------------------


def _read(line: Mapping[str, Any]) -> Demand:
    sent = {name: line[name] for name in ("channel", "title", "text", "place", "answered_by", "answer") if name in line}
    if line.get("self_handled"):
        sent["self_handled"] = {"note": line["note"], "at": MONDAY}
    return Demand(demand_id="01ARZ3NDEKTSV4RRFFQ69G5FAV", created_at=MONDAY, received_at=MONDAY, **sent)


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({100 * part / whole:.0f} %)"


def _right(sent: Sequence[tuple[Mapping[str, Any], Triaged]]) -> str:
    return _share(sum(line["unit"] == each.verdict.unit for line, each in sent), len(sent))


def quality() -> str:
    """Return how triage does on the day that the demo plays."""
    triage = Triage(qinglan(), qinglan_model())
    lines = [json.loads(text) for text in DAY.read_text().splitlines()]
    demands = list(map(_read, lines))
    found: list[tuple[Mapping[str, Any], Triaged]] = [
        (line, triage.decide(demand, date(2026, 11, 23), seen))
        for line, demand, seen in zip(lines, demands, triage.see(demands), strict=True)
    ]
    ways = Counter((line["expect"], str(each.verdict.ruling)) for line, each in found)
    sent = [(line, each) for line, each in found if each.verdict.ruling is Ruling.DISPATCH]
    urgent = [(line, each) for line, each in sent if each.verdict.watch]
    sure = [(line, each) for line, each in sent if not each.verdict.watch]
    known = [(line, each.classification.category) for line, each in found if line["category"]]
    right_category = sum(line["category"] == category for line, category in known)
    at_desk = [(line, each) for line, each in found if each.verdict.ruling is Ruling.DESK and line["unit"]]
    offered = sum(line["unit"] in [each.unit for each in decided.verdict.candidates] for line, decided in at_desk)
    rows: list[Row] = [
        ("the category is the right one", _share(right_category, len(known))),
        ("dispatched by machine", _share(len(sent), len(found))),
        ("... because the machine is sure; of these to the right unit", _right(sure)),
        ("... because it is urgent, while the desk looks on; of these to the right unit", _right(urgent)),
        ("sent to the desk though a unit is known", _share(len(at_desk), len(found))),
        ("... of these with the right unit among three candidates", _share(offered, len(at_desk))),
    ]
    expects = [
        each for each in ("dispatch", "desk", "answer", "decline", "answered") if any(w[0] == each for w in ways)
    ]
    matrix = ((f"`{expect}`", *(ways[expect, str(ruling)] for ruling in Ruling)) for expect in expects)
    head = ("right way out", *(f"machine: `{ruling}`" for ruling in Ruling))
    return table((f"of {len(found)} demands", "triage"), rows) + "\n" + table(head, matrix)


PARTS: Mapping[str, Callable[[], str]] = {
    "diagram": diagram,
    "moves": moves,
    "custody": custody,
    "topics": topics,
    "delivery": delivery,
    "tiers": tiers,
    "quality": quality,
}


def documents() -> list[Path]:
    """Return every document for people."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]


def parts_of(document: Path) -> dict[str, str]:
    """Return the made parts of a document as they stand."""
    return {
        match[2]: match[0].removeprefix(match[1]).removesuffix(match[3])
        for match in PART.finditer(document.read_text(encoding="utf-8"))
    }


def main() -> int:
    """Write all made parts anew."""
    for document in documents():
        before = document.read_text(encoding="utf-8")
        after = PART.sub(lambda match: f"{match[1]}{PARTS[match[2]]()}{match[3]}", before)
        if after != before:
            document.write_text(after, encoding="utf-8")
            sys.stdout.write(f"{document.relative_to(ROOT)} written\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
