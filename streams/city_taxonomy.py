"""What a demand is and whose it is: taxonomy, dispatch catalogue and knowledge base."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from routers.city import (
    CatalogueRule,
    Category,
    KnowledgeEntry,
    OutOfScope,
    Tier,
    Unit,
    frozen_map,
)
from routers.demand import DemandKind, Urgency
from streams.city_units import known_units
from streams.city_yaml import Item

_FLAGS = frozenset(
    "direct safety call_first confidential group legacy sensitive knowledge suggestion".split()  # noqa: SIM905
)
_ACTIONS = ("inform", "live_transfer", "restricted_transfer", "transfer_area", "hold_then_close", "decline")
_LOCATIONS = ("required", "optional", "none")
_CODE = r"[A-Z0-9][A-Z0-9-]{0,31}"
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """What `taxonomy.yaml` holds."""

    tiers: Mapping[str, Tier]
    kinds: Mapping[DemandKind, tuple[str, ...]]
    out_of_scope: Mapping[str, OutOfScope]
    categories: Mapping[str, Category]
    parents: Mapping[str, str]


def read_taxonomy(item: Item, units: Mapping[str, Unit]) -> Taxonomy:
    """Return `taxonomy.yaml`.

    Args:
        item: the file.
        units: all units; empty when they could not be read.
    """
    tiers = _tiers(item)
    categories: dict[str, Category] = {}
    parents: dict[str, str] = {}
    for group in item.items("categories"):
        parent = group.text("code", pattern=_CODE)
        group.text("en", "")
        if parent in parents:
            group.error(f"category {parent} stands here twice", "code")
        parents[parent] = group.text("zh")
        for each in group.items("children"):
            category = _category(each, parent, tiers, units)
            if category.code in categories:
                each.error(f"category {category.code} stands here twice", "code")
            categories.setdefault(category.code, category)
        group.finish()
    kinds = _kinds(item)
    out_of_scope = _out_of_scope(item)
    item.finish()
    return Taxonomy(tiers, kinds, out_of_scope, frozen_map(categories), frozen_map(parents))


def _tiers(item: Item) -> Mapping[str, Tier]:
    found = {}
    for code, each in item.entries("sla_tiers"):
        each.text("en", "")
        if each.has("alternative"):
            other = each.block("alternative")
            other.choice("clock", ("natural", "working"))
            other.duration("close")
            other.finish()
        clock: Any = each.choice("clock", ("natural", "working"))
        tier = Tier(
            code,
            each.text("zh"),
            clock,
            accept=each.duration("accept"),
            first_contact=each.duration("first_contact"),
            close=each.duration("close"),
            extensions=each.integer("extensions", 0, 20, 0),
            extension_max=each.duration("extension_max", None),
            warn_yellow=each.number("warn_yellow", 0, 1, 0.7),
            warn_red=each.number("warn_red", 0, 1, 0.9),
        )
        each.finish()
        if tier.close and tier.accept > tier.close:
            each.error(f"tier {code} accepts later than it closes", "accept")
        if tier.warn_yellow > tier.warn_red:
            each.error(f"tier {code} warns red before yellow", "warn_red")
        found[code] = tier
    return frozen_map(found)


def _category(item: Item, parent: str, tiers: Mapping[str, Tier], units: Mapping[str, Unit]) -> Category:
    location: Any = item.choice("location", _LOCATIONS)
    category = Category(
        code=item.text("code", pattern=_CODE),
        parent=parent,
        zh=item.text("zh"),
        en=item.text("en", ""),
        keywords=item.words("kw"),
        lead=item.text("lead"),
        co=item.words("co", ()),
        urgency=Urgency(item.choice("urgency", [each.value for each in Urgency])),
        tier=item.text("tier"),
        location=location,
        flags=frozenset(item.words("flags", ())),
    )
    item.text("season", "")
    item.finish()
    if not category.code.startswith(parent):
        item.error(f"category {category.code} does not begin with its parent's code {parent}", "code")
    if tiers and category.tier and category.tier not in tiers:
        item.error(f"tier {category.tier} does not exist; known are {', '.join(tiers)}", "tier")
    for flag in sorted(category.flags - _FLAGS):
        item.error(f"flag {flag} is not known", "flags")
    known_units(item, "lead", [category.lead], units)
    known_units(item, "co", category.co, units)
    if category.lead in category.co:
        item.error(f"{category.lead} is lead and co-handler at once", "co")
    return category


def _kinds(item: Item) -> Mapping[DemandKind, tuple[str, ...]]:
    found: dict[DemandKind, tuple[str, ...]] = {}
    for each in item.items("demand_types"):
        each.text("zh")
        each.text("en", "")
        kind = DemandKind(each.choice("code", [kind.value for kind in DemandKind]))
        if kind in found:
            each.error(f"kind {kind} stands here twice", "code")
        found[kind] = each.words("cues", ())
        each.finish()
    return frozen_map(found)


def _out_of_scope(item: Item) -> Mapping[str, OutOfScope]:
    found: dict[str, OutOfScope] = {}
    for each in item.items("out_of_scope"):
        entry = OutOfScope(
            code=each.text("code", pattern=_CODE),
            zh=each.text("zh"),
            action=each.choice("action", _ACTIONS),
            to=each.text("to", "") if each.fields.get("to") is not None and each.fields["to"].value else "",
            keywords=each.words("kw", ()),
            unless=each.words("unless", ()),
        )
        each.text("en", "")
        each.asked.add("to")
        each.finish()
        if entry.code in found:
            each.error(f"{entry.code} stands here twice", "code")
        found.setdefault(entry.code, entry)
    return frozen_map(found)


# ---- catalogue --------------------------------------------------------------------------------


def read_rules(
    item: Item, units: Mapping[str, Unit], categories: Mapping[str, Category]
) -> list[tuple[CatalogueRule, Item]]:
    """Return the rules of `catalogue.yaml` with their places in the file."""
    found: list[tuple[CatalogueRule, Item]] = []
    ids: set[str] = set()
    for each in item.items("rules"):
        rule = CatalogueRule(
            id=each.text("id"),
            category=each.text("category"),
            place=each.text("place", "") or None,
            unit=each.text("unit"),
            co=each.words("co", ()),
            effective=each.day("effective") or date.min,
            expires=each.day("expires", None),
        )
        each.finish()
        if rule.id in ids:
            each.error(f"rule {rule.id} stands here twice", "id")
        ids.add(rule.id)
        if categories and rule.category and rule.category not in categories:
            each.error(f"rule {rule.id} names the category {rule.category}, which does not exist", "category")
        if units and rule.place is not None and _kind(units, rule.place) not in ("street", "town"):
            each.error(f"rule {rule.id} names the place {rule.place}, which is no street or town", "place")
        if rule.expires is not None and rule.expires < rule.effective:
            each.error(f"rule {rule.id} ends before it begins", "expires")
        known_units(each, "unit", [rule.unit], units)
        if rule.unit in units and not units[rule.unit].dispatchable:
            each.error(f"rule {rule.id} names {rule.unit}, which cannot handle a case", "unit")
        known_units(each, "co", rule.co, units)
        if rule.unit in rule.co:
            each.error(f"{rule.unit} is lead and co-handler at once", "co")
        found.append((rule, each))
    item.finish()
    return found


def _kind(units: Mapping[str, Unit], code: str) -> str:
    return units[code].kind if code in units else ""


@dataclass(frozen=True, slots=True)
class Ownership:
    """A category that has no owner, or more than one, somewhere for some time."""

    category: str
    place: str | None
    rules: tuple[str, ...]
    since: date
    until: date | None
    """Last day; None: without end."""


def conflicts(rules: Iterable[tuple[CatalogueRule, Item]]) -> list[tuple[Ownership, Item]]:
    """Return every pair of rules for one category and place that hold on the same day."""
    grouped: dict[tuple[str, str | None], list[tuple[CatalogueRule, Item]]] = {}
    for rule, item in rules:
        grouped.setdefault((rule.category, rule.place), []).append((rule, item))
    found = []
    for (category, place), group in grouped.items():
        ordered = sorted(group, key=lambda each: (each[0].effective, each[0].id))
        for index, (first, _) in enumerate(ordered):
            for second, item in ordered[index + 1 :]:
                if first.expires is None or second.effective <= first.expires:
                    ends = [end for end in (first.expires, second.expires) if end is not None]
                    ids = (first.id, second.id)
                    found.append((Ownership(category, place, ids, second.effective, min(ends, default=None)), item))
    return found


def unowned(rules: Iterable[CatalogueRule], categories: Collection[str], streets: Collection[str]) -> list[Ownership]:
    """Return categories without an owner, from the first day of the catalogue on, without end.

    Args:
        rules: of the catalogue.
        categories: all codes.
        streets: codes of all streets and towns, each of which may have rules of its own.
    """
    every = list(rules)
    start = min((rule.effective for rule in every), default=date.min)
    found = []
    for category in categories:
        own = [rule for rule in every if rule.category == category]
        everywhere = [rule for rule in own if rule.place is None]
        gaps = _gaps(everywhere, start)
        if not gaps:
            continue
        open_places = [street for street in streets if _gaps([r for r in own if r.place in (None, street)], start)]
        if open_places or not streets:
            place = None if len(open_places) == len(streets) else open_places[0]
            found.append(Ownership(category, place, (), *gaps[0]))
    return found


def _gaps(rules: Iterable[CatalogueRule], start: date) -> list[tuple[date, date | None]]:
    """Return the intervals from `start` on in which no rule holds."""
    found: list[tuple[date, date | None]] = []
    covered = start
    for rule in sorted(rules, key=lambda rule: rule.effective):
        if rule.effective > covered:
            found.append((covered, rule.effective - _DAY))
        if rule.expires is None:
            return found
        covered = max(covered, rule.expires + _DAY if rule.expires < date.max else rule.expires)
    return [*found, (covered, None)]


# ---- knowledge --------------------------------------------------------------------------------


def read_knowledge(
    item: Item, units: Mapping[str, Unit], categories: Mapping[str, Category], today: date
) -> Mapping[str, KnowledgeEntry]:
    """Return `knowledge.yaml`; entries past their last day are warned of."""
    found: dict[str, KnowledgeEntry] = {}
    for each in item.items("entries"):
        entry = KnowledgeEntry(
            id=each.text("id"),
            title=each.text("title"),
            patterns=each.word_lists("patterns"),
            answer=each.text("answer"),
            category=each.text("category"),
            owner=each.text("owner"),
            effective=each.day("effective") or date.min,
            expires=each.day("expires") or date.max,
            approved=each.flag("approved"),
        )
        each.finish()
        if entry.id in found:
            each.error(f"entry {entry.id} stands here twice", "id")
        found.setdefault(entry.id, entry)
        known_units(each, "owner", [entry.owner], units)
        if categories and entry.category and entry.category not in categories:
            each.error(f"entry {entry.id} names the category {entry.category}, which does not exist", "category")
        if entry.expires < entry.effective:
            each.error(f"entry {entry.id} ends before it begins", "expires")
        elif entry.approved and entry.expires < today:
            each.warn(f"entry {entry.id} expired on {entry.expires}; {entry.owner} should renew it", "expires")
    item.finish()
    return frozen_map(found)
