"""Whether the unit that handles a case may know who brought it (举报人保密).

A reporter who becomes known to whom he reported is in danger, and units are often near to those
they look after. So a report, and whatever the taxonomy flags, hides its sender without being
asked to; and what a citizen asked for is never taken back.
"""

from __future__ import annotations

from routers.city import City
from routers.demand import DemandKind
from routers.life import Case

FLAG = "confidential"


def hides_sender(city: City, *, asked: bool, kind: DemandKind | None, category: str | None) -> bool:
    """Tell whether a demand hides its sender from the handling unit.

    Args:
        city: whose taxonomy flags categories.
        asked: the sender wants it.
        kind: what it is taken for.
        category: what it is about, as far as known.
    """
    known = city.categories.get(category) if category is not None else None
    return asked or kind is DemandKind.REPORT or (known is not None and FLAG in known.flags)


def confidential(case: Case, city: City) -> bool:
    """Tell whether a case hides its sender now; a ruling may have moved it into a category that does."""
    facts = case.facts
    return facts is not None and hides_sender(city, asked=facts.confidential, kind=facts.kind, category=case.category)
