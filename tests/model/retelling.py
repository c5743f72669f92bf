"""The same facts in many orders, on plans alone: one service in a settled world learns facts one by one.

After some of them the controller looks (plans, writes, concludes) and sometimes it cannot read an object at that moment;
after the last it looks with all reads working. What it carries from look to look is the route and the status, without
times: those are left to the real controller of `orders.py`. Looks are kept by what goes into them, so thousands of orders
cost what their different looks cost.
"""

import random
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import msgspec

from aioctl.api import kinds
from aioctl.api.kinds import ObjectRef
from aioctl.api.names import child
from aioctl.api.objects import Object, mapping
from aioctl.plan import order, status
from aioctl.plan.facts import Facts
from aioctl.plan.model import Outcome, Verb
from testbed.plan_world import NOW
from tests.model.cluster import GATEWAYS, NS, POLICY, POOL_ALPHA, POOL_V1, ROUTE, SERVICE, SVC, settled
from tests.model.cluster_on_virtual_time import without_times
from tests.model.orders import Fact, condition

Look = tuple[frozenset[int], ObjectRef | None, bytes, bytes]
"""Which facts are told, which read fails, the route and the status before."""
MOST_ROUNDS = 6
ADDRESS = {
    "conditions": [condition("Programmed", "True", "Programmed")],
    "addresses": [{"type": "IPAddress", "value": "203.0.113.1"}],
}


class Teller:
    """One world, and every look that was ever taken at it."""

    def __init__(self, facts: Sequence[Fact]) -> None:
        self._world = settled(GATEWAYS[:1], POLICY)
        gateway = ObjectRef(kinds.GATEWAY, GATEWAYS[0].namespace, GATEWAYS[0].name)
        self._facts = [
            (ref, told)
            for kind, ending, told in facts
            if (ref := ObjectRef(kind, NS, child(SVC, ending))) in self._world.objects
        ]
        self._facts.append((gateway, ADDRESS))
        self._looks: dict[Look, tuple[bytes, bytes]] = {}

    @cached_property
    def _start(self) -> tuple[bytes, bytes]:
        return msgspec.json.encode(self._world.objects[ROUTE]), b"{}"

    def tell(self, generator: random.Random) -> bytes:
        """One order, with random looks in between: the status in the end, keys sorted and without times."""
        told: frozenset[int] = frozenset()
        carried = self._start
        for number in generator.sample(range(len(self._facts)), len(self._facts)):
            told |= {number}
            for _ in range(generator.randrange(3)):
                failing = generator.choice((None, None, POOL_V1, POOL_ALPHA, ROUTE, self._facts[-1][0]))
                carried = self._look((told, failing, *carried))
        return self._look((told, None, *carried))[1]

    def _look(self, look: Look) -> tuple[bytes, bytes]:
        if look not in self._looks:
            self._looks[look] = self._reconcile(look)
        return self._looks[look]

    def _reconcile(self, look: Look) -> tuple[bytes, bytes]:
        told, failing, route, stored = look
        objects = {**self._world.objects, ROUTE: msgspec.json.decode(route)}
        for number in told:
            ref, said = self._facts[number]
            objects[ref] = {**objects[ref], "status": said}
        made: Any = msgspec.json.decode(stored)
        for _ in range(MOST_ROUNDS):
            before = made
            wrote, made = self._round(objects, failing, made)
            if not wrote and status.status_equal(before, made):
                break
        else:
            raise AssertionError("the controller does not come to rest")
        kept = {name: value for name, value in objects[ROUTE].items() if name != "status"}
        return msgspec.json.encode(kept), msgspec.json.encode(without_times(made), order="deterministic")

    def _round(
        self, objects: dict[ObjectRef, Object], failing: ObjectRef | None, stored: dict[str, Any]
    ) -> tuple[bool, dict[str, Any]]:
        unknown = {failing: "connection refused"} if failing else {}
        world = self._world

        def seen() -> Facts:
            return Facts(dict(objects), unknown, world.unserved, certificates=world.certificates)

        plan = order.plan(seen(), {**objects[SERVICE], "status": stored}, POLICY, NOW)
        writes = [write for step in plan.steps for write in step.writes]
        for write in writes:
            assert (write.verb, write.ref) == (Verb.UPDATE, ROUTE)
            assert write.body is not None
            objects[ROUTE] = {**write.body, "status": mapping(objects[ROUTE], "status")}
        failed = next((step for step in plan.steps if step.error), None)
        outcome = Outcome(failed, failed.error if failed else "")
        return bool(writes), status.conclude(plan, outcome, seen(), POLICY, NOW)
