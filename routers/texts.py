"""Which texts a city must bring, and which fields each may use.

The table is what the pipeline fills in; a template with any other field would fail when a
citizen waits for it, so a city that has one does not load.
"""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter

from routers.city import frozen_map
from routers.life import CaseState

_CASE = frozenset({"receipt", "unit", "due", "answer"})
_WITH_UNIT = frozenset({"receipt", "unit", "due"})
_WAITING = frozenset({"receipt", "due"})
_ENDED = frozenset({"receipt", "answer"})
_PLAIN: frozenset[str] = frozenset()

_ACCEPTED = {
    CaseState.IN_REVIEW: _WAITING,
    CaseState.DISPATCHED: _WITH_UNIT,
    CaseState.IN_PROGRESS: _WITH_UNIT,
    CaseState.RETURN_PENDING: _WAITING,
    CaseState.CALL_BACK: _CASE,
    CaseState.CLOSED: _ENDED,
    CaseState.ANSWERED: _ENDED,
    CaseState.DECLINED: _ENDED,
    CaseState.WITHDRAWN: frozenset({"receipt"}),
    CaseState.SPLIT: frozenset({"receipt"}),
}

TEXTS: Mapping[str, frozenset[str]] = frozen_map(
    {f"accepted.{state}": fields for state, fields in _ACCEPTED.items()}
    | {
        "state.dispatched": _WITH_UNIT,
        "state.in_progress": _WITH_UNIT,
        "state.answered": _ENDED,
        "state.declined": _ENDED,
        "state.call_back": _CASE,
        "state.redo": _WITH_UNIT,
        "state.closed": _CASE,
        "state.withdrawn": frozenset({"receipt"}),
        "state.split": frozenset({"receipt", "parts"}),
        "part.dispatched": frozenset({"receipt", "unit", "due", "parent"}),
        "part.in_review": frozenset({"receipt", "due", "parent"}),
        "follow_up.urge": frozenset({"receipt"}),
        "follow_up.supplement": frozenset({"receipt"}),
        "follow_up.withdraw": frozenset({"receipt"}),
        "follow_up.rate": frozenset({"receipt"}),
        "follow_up.held": frozenset({"receipt"}),
        "relayed": frozenset({"receipt", "unit", "message"}),
        "duplicate": _PLAIN,
        "duplicate_changed": _PLAIN,
        "refused.other": _PLAIN,
        "reply.other": frozenset({"code"}),
        "reply.applied": _PLAIN,
        "notice.dispatch_withheld": frozenset({"category", "judged", "wrong", "promise", "threshold"}),
        "notice.dispatch_stopped": frozenset({"category", "judged", "wrong", "promise"}),
        "notice.dispatch_given_back": frozenset({"category", "judged", "wrong", "promise", "threshold"}),
        "answered.knowledge": frozenset({"answer", "entry", "owner"}),
        "answered.self_handled": frozenset({"answer"}),
    }
)
"""Every text a city must bring, and the fields it may use."""

GROUPS: Mapping[str, frozenset[str]] = frozen_map(
    {"refused.": _PLAIN, "reply.": frozenset({"code"}), "declined.": _PLAIN}
)
"""Families of texts by code; a city may bring any number of them."""


def allowed_fields(key: str) -> frozenset[str] | None:
    """Return the fields a text may use; None for a text nobody asks for."""
    if key in TEXTS:
        return TEXTS[key]
    return next((fields for prefix, fields in GROUPS.items() if key.startswith(prefix)), None)


def fields_of(template: str) -> frozenset[str]:
    """Return the fields a template uses.

    Raises:
        ValueError: braces that do not pair, or a field that is more than a plain name.
    """
    found = set()
    for _literal, name, spec, conversion in Formatter().parse(template):
        if name is None:
            continue
        if spec or conversion or not name.isidentifier():
            raise ValueError(f"{{{name}}} is not a plain name in braces")
        found.add(name)
    return frozenset(found)
