"""From the well-shaped items of a city's files to the frozen `City` that decisions read."""

from __future__ import annotations

from datetime import timedelta

from routers.city import (
    CatalogueRule,
    Category,
    Channel,
    City,
    Community,
    Grid,
    KnowledgeEntry,
    OutOfScope,
    Places,
    Policies,
    ReturnReason,
    Street,
    Tier,
    Unit,
    frozen_map,
)
from streams.cityparts import Parts
from streams.cityshapes import (
    CategoryShape,
    CommunityShape,
    GridShape,
    OutOfScopeShape,
    PoliciesShape,
    StreetShape,
    TierShape,
    UnitShape,
)


def build(parts: Parts, version: str) -> City:
    """Return the city.

    Args:
        parts: of files in which the check found no mistake.
        version: over all files.
    """
    if parts.city is None or parts.policies is None or parts.district is None:
        raise AssertionError("a city is built of files without mistakes")
    out_of_scope = [_out_of_scope(item.value) for item in parts.out_of_scope]
    return City(
        code=parts.city.code,
        zh=parts.city.zh,
        version=version,
        channels=frozen_map(
            {name: Channel(name, channel.zh, channel.kind) for name, channel in parts.city.channels.items()}
        ),
        units=frozen_map({item.value.code: _unit(item.value) for item in parts.units}),
        tiers=frozen_map({code: _tier(code, item.value) for code, item in parts.tiers.items()}),
        categories=frozen_map({item.value.code: _category(parent, item.value) for parent, item in parts.categories}),
        kinds=frozen_map({item.value.code: item.value.cues for item in parts.kinds}),
        out_of_scope=frozen_map({matter.code: matter for matter in out_of_scope}),
        catalogue=tuple(CatalogueRule(**dict(item.value)) for item in parts.rules),
        knowledge=frozen_map({item.value.id: KnowledgeEntry(**dict(item.value)) for item in parts.entries}),
        places=Places(parts.district.outline, tuple(_street(item.value) for item in parts.streets), parts.city.outside),
        policies=_policies(parts.policies, {matter.code: matter.zh for matter in out_of_scope}),
        texts=frozen_map(parts.texts),
        parents=frozen_map(parts.parents),
    )


def _unit(shape: UnitShape) -> Unit:
    values = dict(shape)
    del values["num"]
    return Unit(**values)


def _tier(code: str, shape: TierShape) -> Tier:
    return Tier(
        code=code,
        zh=shape.zh,
        clock=shape.clock,
        accept=shape.accept,
        first_contact=shape.first_contact,
        close=shape.close,
        extensions=shape.extensions,
        extension_max=shape.extension_max or timedelta(0),
        warn_yellow=shape.warn_yellow,
        warn_red=shape.warn_red,
    )


def _category(parent: str, shape: CategoryShape) -> Category:
    return Category(
        code=shape.code,
        parent=parent,
        zh=shape.zh,
        en=shape.en,
        keywords=shape.kw,
        lead=shape.lead,
        co=shape.co,
        urgency=shape.urgency,
        tier=shape.tier,
        location=shape.location,
        flags=frozenset(shape.flags),
    )


def _out_of_scope(shape: OutOfScopeShape) -> OutOfScope:
    return OutOfScope(shape.code, shape.zh, shape.action, shape.to, shape.kw, shape.unless)


def _street(shape: StreetShape) -> Street:
    communities = tuple(_community(community) for community in shape.communities)
    return Street(shape.code, shape.zh, shape.aliases, shape.outline, communities, shape.old_names)


def _community(shape: CommunityShape) -> Community:
    grids = tuple(_grid(grid) for grid in shape.grids)
    return Community(shape.code, shape.zh, shape.aliases, shape.outline, grids, shape.old_names)


def _grid(shape: GridShape) -> Grid:
    return Grid(shape.code, shape.zh, shape.aliases, shape.outline, shape.old_names, frozen_map(shape.numbers))


def _policies(shape: PoliciesShape, declining: dict[str, str]) -> Policies:
    return Policies(
        desk=shape.desk,
        rulings=shape.rulings,
        supervisor=shape.supervisor,
        default_tier=shape.default_tier,
        fallback_units=shape.fallback_units,
        dispatch_confidence=shape.dispatch_confidence,
        promise=shape.promise,
        promises=frozen_map(dict(shape.promises)),
        max_returns=shape.max_returns,
        max_redo=shape.max_redo,
        call_back_tries=shape.call_back_tries,
        max_queue=shape.max_queue,
        text_limits=frozen_map(dict(shape.text_limits)),
        return_reasons=frozen_map(
            {
                code: ReturnReason(code, reason.zh, reason.needs_basis, reason.needs_proposal)
                for code, reason in shape.return_reasons.items()
            }
        ),
        contact_exemptions=frozen_map(shape.contact_exemptions),
        close_exemptions=frozen_map(shape.close_exemptions),
        decline_codes=frozen_map({**declining, **shape.decline_codes}),
        reveal_purposes=frozen_map(shape.reveal_purposes),
        erase_purposes=frozen_map(shape.erase_purposes),
        safety_words=shape.safety_words,
    )
