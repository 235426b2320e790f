"""What the machine is trusted with: how sure it must be of each category, and what its outcomes took from it.

A model brings the evidence of its making; outcomes add to it every minute (`streams.learning`). The
words of the taxonomy bring none: the city has settled how sure they must be, and outcomes can only
ask for more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from routers.city import City
from routers.tiers import NEVER, NOTHING, Evidence, lowest, thresholds


@dataclass(frozen=True, slots=True)
class Standing:
    """How a category stands with the machine."""

    category: str
    promise: float
    """Precision that the city promises."""
    threshold: float
    """At least so sure the machine must be; `routers.tiers.NEVER`: nothing is dispatched by machine."""
    judged: int = 0
    """Cases of this category whose outcome counts."""
    wrong: int = 0
    """Of these, where another unit was the right one."""
    withheld: bool = False
    """Its own outcomes ask for more certainty than it would need without them, or let nothing through."""

    @property
    def stopped(self) -> bool:
        """Tell whether nothing of it is dispatched by machine."""
        return self.threshold >= NEVER


@dataclass(frozen=True, slots=True)
class Trust:
    """How far one model or lexicon is trusted at one moment; immutable, replaced whole."""

    model: str
    standings: Mapping[str, Standing]
    """Of every category of the taxonomy."""
    outcomes: int = 0
    """That it follows from."""
    withheld: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        """Note which categories are withheld."""
        found = frozenset(each.category for each in self.standings.values() if each.withheld)
        object.__setattr__(self, "withheld", found)


def trust(city: City, model: str, evidence: Evidence | None, outcomes: Evidence = NOTHING) -> Trust:
    """Weigh what is known of a model.

    Args:
        city: promises, and says which categories there are.
        model: its version.
        evidence: of its making; None for the taxonomy's words.
        outcomes: of its cases.
    """
    policies = city.policies
    made = evidence if evidence is not None else NOTHING
    # One category whose work has gone to another unit must not stop all others: what holds for all comes from texts
    # that were left out, wherever there are any, and an outcome counts for its own category.
    common = {
        each: policies.dispatch_confidence if evidence is None else lowest(made if made.said else outcomes, each)
        for each in {policies.promise, *policies.promises.values()}
    }
    before = thresholds(made, policies.promise, policies.promises, city.categories, common)
    now = thresholds(made + outcomes, policies.promise, policies.promises, city.categories, common)
    told = outcomes.by_category()
    standings = {}
    for category, threshold in now.items():
        promise = policies.promises.get(category, policies.promise)
        _, right = told.get(category, (None, NOTHING.right))
        wrong = len(right) - int(right.sum())
        withheld = wrong > 0 and threshold > before[category]
        standings[category] = Standing(category, promise, threshold, len(right), wrong, withheld)
    return Trust(model, MappingProxyType(standings), len(outcomes.said))
