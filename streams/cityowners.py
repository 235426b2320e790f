"""Who owns which category where and when: every category has exactly one rule at any place on any day."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from streams.cityparts import Item, Parts
from streams.cityshapes import RuleShape
from streams.cityyaml import Document, Findings

_DAY = timedelta(days=1)

Rule = Item[RuleShape]


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two rules that hold for one category at one place on the same days."""

    category: str
    place: str | None
    rules: tuple[str, str]
    since: date
    until: date | None
    """Last day of the conflict; None: without end."""


def check_owners(
    files: Mapping[str, Document], parts: Parts, streets: Collection[str], findings: Findings, today: date
) -> tuple[tuple[Conflict, ...], tuple[str, ...]]:
    """Find categories with too many owners, and with none.

    Args:
        files: those that could be read.
        parts: the well-shaped items.
        streets: codes of all streets and towns: a category without a general rule needs one for each.
        findings: gets the mistakes.
        today: the day on which every category must have an owner.

    Returns:
        The conflicts, and the categories without an owner.
    """
    catalogue = files.get("catalogue")
    if catalogue is None:
        return (), ()
    by_category: dict[str, list[Rule]] = {}
    for rule in parts.rules:
        by_category.setdefault(rule.value.category, []).append(rule)
        if rule.value.expires is not None and rule.value.expires < rule.value.effective:
            findings.error(catalogue, (*rule.loc, "expires"), f"rule {rule.value.id} ends before it begins")
    conflicts = [each for rules in by_category.values() for each in _conflicts(catalogue, rules, findings)]
    for rules in by_category.values():
        _warn_of_ends(catalogue, rules, findings, today)
    return tuple(conflicts), tuple(_unowned(files, parts, streets, findings, today))


def _conflicts(catalogue: Document, rules: list[Rule], findings: Findings) -> list[Conflict]:
    found = []
    ordered = sorted(rules, key=lambda rule: (rule.value.effective, rule.value.id))
    for index, earlier in enumerate(ordered):
        for later in ordered[index + 1 :]:
            first, second = earlier.value, later.value
            if first.place != second.place or (first.expires is not None and first.expires < second.effective):
                continue
            until = min((end for end in (first.expires, second.expires) if end is not None), default=None)
            found.append(Conflict(first.category, first.place, (first.id, second.id), second.effective, until))
            where = f"at {first.place}" if first.place else "everywhere"
            days = f"from {second.effective}" + (f" to {until}" if until else " on")
            text = f"rules {first.id} and {second.id} both own category {first.category} {where} {days}"
            findings.error(catalogue, later.loc, text)
    return found


def _warn_of_ends(catalogue: Document, rules: list[Rule], findings: Findings, today: date) -> None:
    """Tell of a general rule that will end without another to follow."""
    general = [rule for rule in rules if rule.value.place is None]
    for rule in general:
        end = rule.value.expires
        if end is None or end < today or end == date.max:
            continue
        if not any(_holds(other, end + _DAY) for other in general):
            text = f"rule {rule.value.id} ends on {end}, and no general rule follows for category {rule.value.category}"
            findings.warn(catalogue, (*rule.loc, "expires"), text)


def _unowned(
    files: Mapping[str, Document],
    parts: Parts,
    streets: Collection[str],
    findings: Findings,
    today: date,
) -> list[str]:
    catalogue = files["catalogue"]
    # A rule that is broken itself is told already; its category is not called unowned for it.
    shaped = {rule.loc for rule in parts.rules}
    broken = {
        raw.get("category") for loc, raw in catalogue.find("rules/*") if loc not in shaped and isinstance(raw, dict)
    }
    found = []
    for _parent, item in parts.categories:
        code = item.value.code
        rules = [rule for rule in parts.rules if rule.value.category == code]
        owned = {rule.value.place for rule in rules if _holds(rule, today)}
        if code in broken or None in owned or (owned and not streets) or (streets and owned.issuperset(streets)):
            continue
        found.append(code)
        places = f"at {', '.join(sorted(set(streets) - owned))}" if owned else "anywhere"
        text = f"category {code} ({item.value.zh}) has no owner {places} on {today}: the catalogue needs a rule"
        if rules:
            findings.error(catalogue, rules[-1].loc, text)
        else:
            findings.error(files["taxonomy"], item.loc, text)
    return found


def _holds(rule: Rule, day: date) -> bool:
    return rule.value.effective <= day and (rule.value.expires is None or day <= rule.value.expires)
