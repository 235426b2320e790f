"""Demands for the bench: every one distinct, and such that the machine dispatches nearly all of them by itself."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime

from routers.city import Category, City
from routers.classifier import Model
from routers.demand import Contact, Ruling
from routers.triage import Triage
from streams import clock
from streams.messages import NewDemand

_OPENINGS = ("您好，", "麻烦反映一下，", "我是附近居民，", "请转有关部门：", "")
_COMPLAINTS = (
    "{keyword}的问题一直没有解决",
    "{keyword}影响大家生活",
    "关于{keyword}，找过几次都没有结果",
    "又出现{keyword}的情况",
)
_ENDINGS = ("请尽快处理并答复。", "希望有人到现场看看。", "请核实后给个说法。", "盼早日解决，谢谢。")
_TRIES = 6
"""Demands of a word that must all be dispatched by machine before the bench uses it; the desk rules on few others."""

_WORDS = 4
"""Words of each category that are tried: trying all of them takes seconds, and there are categories enough."""

_DEMAND_ID_SPACE = 10
"""Bytes of a demand id that come from seed and number."""

_CLEAR: dict[tuple[str, str | None], list[tuple[Category, str]]] = {}
"""Versions of a city and its model to the clear words: finding them takes seconds."""


class Texts:
    """Demands made from a city's own words; the same seed and number give the same text."""

    def __init__(self, city: City, seed: int, model: Model | None = None) -> None:
        """Find the categories that the machine dispatches.

        Args:
            city: gives keywords, places and channels.
            seed: of all texts.
            model: with which the city classifies; None for its words.

        Raises:
            ValueError: the machine dispatches no category of this city by itself.
        """
        self._city = city
        self._seed = seed
        self._channels = [name for name, channel in city.channels.items() if channel.kind != "sensor"]
        self._places = [
            (community.code, community.zh) for street in city.places.streets for community in street.communities
        ]
        known = (city.version, model.version if model is not None else None)
        if known not in _CLEAR:
            _CLEAR[known] = list(self._clear_pairs(Triage(city, model)))
        self._pairs = _CLEAR[known]
        if not self._pairs:
            raise ValueError("the machine dispatches no category of this city by itself; the bench needs one")

    def _clear_pairs(self, decider: Triage) -> Iterator[tuple[Category, str]]:
        """Find the words whose demands the machine dispatches by itself, however they are put."""
        at = clock.now()
        today = at.astimezone(clock.PEOPLE).date()
        for category in self._city.categories.values():
            for keyword in category.keywords[:_WORDS]:
                made = [self._demand(number, category, keyword, at) for number in range(_TRIES)]
                verdicts = (
                    decider.decide(each, today, seen).verdict
                    for each, seen in zip(made, decider.see(made), strict=True)
                )
                if all(each.ruling is Ruling.DISPATCH and not each.watch for each in verdicts):
                    yield category, keyword

    @property
    def categories(self) -> int:
        """Return how many categories the texts are about."""
        return len({category.code for category, _keyword in self._pairs})

    def demand(self, number: int) -> NewDemand:
        """Return demand `number`, received now."""
        category, keyword = self._pairs[number % len(self._pairs)]
        return self._demand(number, category, keyword, clock.now())

    def _demand(self, number: int, category: Category, keyword: str, at: datetime) -> NewDemand:
        chance = random.Random(self._seed * 1_000_003 + number)  # noqa: S311 - seeded on purpose
        community, place = chance.choice(self._places)
        complaint = chance.choice(_COMPLAINTS).format(keyword=keyword)
        spot = f"{chance.randint(1, 40)}号楼{chance.randint(1, 6)}单元"
        text = (
            f"{chance.choice(_OPENINGS)}{place}{spot}，{complaint}，"
            f"已经{chance.randint(2, 60)}天了，第{number + 1}件。{chance.choice(_ENDINGS)}"
        )
        return NewDemand(
            demand_id=clock.content_id(at, random.Random(f"{self._seed}/{number}").randbytes(_DEMAND_ID_SPACE)),  # noqa: S311
            channel=self._channels[number % len(self._channels)],
            client_seq=number,
            created_at=at,
            received_at=at,
            title=f"{category.zh}：{keyword}" if number % 2 else None,
            text=text,
            contact=Contact(name="居民", phone=f"139{number % 100_000_000:08d}"),
            place={"community": community},
        )
