"""The people of the demo: citizens who submit, clerks who work; seeded, through the public clients.

Each function runs in a process of its own (`python -m streams.simulation ROLE ...`) until it is
told to stop or has nothing left to do. What the right answers are comes from a file beside the
demands, which a pipeline never sees.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from routers.city import City
from streams import clock
from streams.channel import ChannelClient
from streams.cityfile import load_city
from streams.department import DepartmentClient
from streams.messages import WorkItem

WRONG_RETURN = 0.03
"""Share of right dispatches that their unit tries to give back all the same."""

SLEEPY = 0.05
"""Share of cases whose clerk sleeps on them for a while."""

EARLY_ANSWER = 0.05
"""Share of answers that are sent before the contact note."""

UNSOLVED, UNREACHED = 0.06, 0.04
"""What citizens say at call-back: not solved, or nobody answers the phone."""


# ---- citizens -------------------------------------------------------------------------------------


def submit_day(bootstrap: str, channel: str, plan: Path, seconds: float) -> None:
    """Submit one channel's part of the plan, spread over `seconds`.

    Args:
        bootstrap: the broker.
        channel: whose lines are submitted.
        plan: JSON Lines as `streams.demo` writes them: `at` (0 to 1), `action` and its fields.
        seconds: how long the day takes.
    """
    lines = [json.loads(line) for line in plan.read_text().splitlines()]
    started = time.monotonic()
    with ChannelClient(bootstrap, channel) as client:
        for line in lines:
            if line["channel"] != channel:
                continue
            wait = started + line["at"] * seconds - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            _say(client, line)
        client.flush()


def _say(client: ChannelClient, line: Mapping[str, Any]) -> None:
    fields = dict(line["fields"])
    match line["action"]:
        case "submit":
            handled = fields.get("self_handled")
            if handled is not None:
                fields["self_handled"] = {"note": handled, "at": clock.now()}
            client.submit(**fields)
        case "urge":
            client.urge(fields["demand_id"], fields["text"])
        case "supplement":
            client.supplement(fields["demand_id"], fields["text"])
        case "withdraw":
            client.withdraw(fields["demand_id"])


# ---- clerks ---------------------------------------------------------------------------------------


@dataclass(order=True, slots=True)
class Task:
    """Something a clerk will do at a moment (monotonic seconds)."""

    at: float
    number: int
    do: Callable[[], object] = field(compare=False)


class Office:
    """The clerks of some units, at one client: they see an item, think for a moment, and reply."""

    def __init__(self, client: DepartmentClient, city: City, gold: Mapping[str, Mapping[str, Any]], seed: int) -> None:
        self._client = client
        self._city = city
        self._gold = gold
        self._seed = seed
        self._tasks: list[Task] = []
        self._done: set[tuple[str, str, str, int]] = set()
        self._count = 0
        self.seen_ms: list[float] = []
        """From a demand's submission to its first sight in a queue, in milliseconds."""

    def work(self, stop: Callable[[], bool]) -> None:
        """Work until told to stop."""
        while not stop():
            for change in self._client.follow(timeout=0.02):
                if change.item is not None:
                    self._see(change.item)
                if self._tasks and self._tasks[0].at <= time.monotonic():
                    break
            replied = False
            while self._tasks and self._tasks[0].at <= time.monotonic():
                heapq.heappop(self._tasks).do()
                replied = True
            if replied:
                self._client.flush()

    def _later(self, seconds: float, do: Callable[[], object]) -> None:
        self._count += 1
        heapq.heappush(self._tasks, Task(time.monotonic() + seconds, self._count, do))

    def _see(self, item: WorkItem) -> None:
        """Plan what is to be done about an item, once for each time it is asked for."""
        asked = (item.unit, item.case_id, item.task, self._turn(item))
        if asked in self._done:
            return
        self._done.add(asked)
        chance = random.Random(f"{self._seed}/{asked}")  # noqa: S311 - a play, not a secret
        pause = chance.uniform(0.05, 0.6) + (chance.uniform(1.5, 3.0) if chance.random() < SLEEPY else 0.0)
        match item.task:
            case "handle":
                if item.returnable and not item.redo:
                    self.seen_ms.append((clock.now() - item.created_at).total_seconds() * 1000)
                self._handle(item, chance, pause)
            case "rule":
                self._later(pause, lambda: self._rule(item))
            case "call_back":
                self._later(pause, lambda: self._call_back(item, chance))
            case "supervise":
                self._later(pause, lambda: self._client.note(item, "请承办单位抓紧办理", unit=item.unit))
            case _:
                pass

    def _turn(self, item: WorkItem) -> int:
        """Return which time this task is asked: each dispatch, return, redo and call is one."""
        return item.seq if item.task in ("rule", "call_back") else item.redo * 100 + (0 if item.returnable else 1)

    def _handle(self, item: WorkItem, chance: random.Random, pause: float) -> None:
        right = self._gold.get(item.case_id, {}).get("unit")
        wrong_place = right is not None and right != item.unit and right in self._city.units
        if item.returnable and not item.accepted and (wrong_place or chance.random() < WRONG_RETURN):
            self._later(pause, lambda: self._give_back(item, right if wrong_place else None))
            return
        client, unit = self._client, item.unit
        if item.redo:
            self._later(pause, lambda: client.answer(item, "已再次上门处理，问题已解决。", unit=unit))
            return
        self._later(pause, lambda: client.accept(item, unit=unit))
        contact, answer = pause + 0.2, pause + 0.5
        if chance.random() < EARLY_ANSWER:
            contact, answer = answer, contact
        self._later(contact, lambda: client.contact(item, "已电话联系诉求人，说明办理安排。", unit=unit))
        name = self._city.units[unit].short
        self._later(answer, lambda: client.answer(item, f"{name}已到现场核实处理，现已办结。", unit=unit))

    def _give_back(self, item: WorkItem, right: str | None) -> None:
        if right is None:
            self._client.return_(item, "R1", text="疑似不在我单位辖区", unit=item.unit)
        else:
            basis = "区职责清单规定该事项由所建议单位承办"
            self._client.return_(item, "R2", basis=basis, propose=right, unit=item.unit)

    def _rule(self, item: WorkItem) -> None:
        gold = self._gold.get(item.case_id, {})
        code = next((tag for tag in gold.get("tags") or () if tag in self._city.policies.decline_codes), None)
        to = gold.get("unit")
        if to is None and item.candidates:
            to = item.candidates[0].unit
        if gold.get("expect") == "decline" and code:
            self._client.decline(item, code, "该事项不在本平台受理范围，请向有权处理的机关反映。", unit=item.unit)
        elif to is None:
            self._client.answer(item, "已与您核实，因内容不够具体暂无法派办，欢迎补充后再次反映。", unit=item.unit)
        else:
            self._client.dispatch(item, to, reason="值班员研判", unit=item.unit)

    def _call_back(self, item: WorkItem, chance: random.Random) -> None:
        said = chance.random()
        if not item.reachable or said < UNREACHED:
            self._client.call_back(item, reached=False, unit=item.unit)
        elif said < UNREACHED + UNSOLVED:
            self._client.call_back(item, solved=False, satisfied=False, text="问题还在", unit=item.unit)
        else:
            self._client.call_back(item, solved=True, satisfied=chance.random() > 0.1, unit=item.unit)


def run_office(
    bootstrap: str, units: Sequence[str], keys: Path, *, city: Path, gold: Path, seed: int, seen: Path
) -> None:
    """Serve some units until SIGTERM; leaves what it measured in `seen`."""
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stopping.append(number))
    right = {line["demand_id"]: line for line in map(json.loads, gold.read_text().splitlines())}
    with DepartmentClient(bootstrap, list(units), keys) as client:
        office = Office(client, load_city(city), right, seed)
        office.work(lambda: bool(stopping))
    seen.write_text(json.dumps([round(each, 2) for each in office.seen_ms]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one role of the demo."""
    parser = argparse.ArgumentParser(prog="python -m streams.simulation", description=__doc__)
    roles = parser.add_subparsers(dest="role", required=True)
    citizens = roles.add_parser("citizens")
    citizens.add_argument("--channel", required=True)
    citizens.add_argument("--plan", type=Path, required=True)
    citizens.add_argument("--seconds", type=float, required=True)
    office = roles.add_parser("office")
    office.add_argument("--units", required=True, help="codes divided by commas")
    office.add_argument("--keys", type=Path, required=True)
    office.add_argument("--city", type=Path, required=True)
    office.add_argument("--gold", type=Path, required=True)
    office.add_argument("--seed", type=int, required=True)
    office.add_argument("--seen", type=Path, required=True)
    for each in (citizens, office):
        each.add_argument("--bootstrap", required=True)
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the demo, which stops everybody in order
    if options.role == "citizens":
        submit_day(options.bootstrap, options.channel, options.plan, options.seconds)
    else:
        units = options.units.split(",")
        run_office(
            options.bootstrap,
            units,
            options.keys,
            city=options.city,
            gold=options.gold,
            seed=options.seed,
            seen=options.seen,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
