"""Planners that are wrong on purpose, one for each way the migration can go wrong. The checker must catch every one.

Each is the real planner with one thing changed: what it gets to see, or what becomes of its writes.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from aioctl.api.objects import Object, mapping
from aioctl.api.records import changed
from aioctl.plan import order, status
from aioctl.plan.facts import Facts
from aioctl.plan.model import Outcome, Part, Plan, Verb, Write
from aioctl.plan.policy import Policy, Strategy
from tests.model import laws
from tests.model.cluster import POOL_V1, ROUTE, Conclude, Planner
from tests.model.moves import Rules
from tests.model.profiles import PROFILES


def _quiet(rules: Rules) -> Rules:
    """Only gateways and the controller move: enough for what a mutant does by itself, and found in half the time."""
    return replace(rules, failing=(), crds=(), edits=(), pausing=False)


@dataclass(frozen=True)
class Mutant:
    """A wrong controller and the law it breaks."""

    name: str
    law: str
    planner: Planner = order.plan
    conclude: Conclude = status.conclude
    rules: Rules = PROFILES["weighted"]


def _without_lock(route: Any) -> dict[str, Any]:
    made = copy.deepcopy(dict(route))
    made["metadata"].pop("annotations", None)
    return made


def _seeing(change: Callable[[Facts, Object], tuple[Facts, Object]]) -> Planner:
    """The real planner on facts that were tampered with."""

    def planner(facts: Facts, service: Object, policy: Policy, now: Any) -> Plan:
        return order.plan(*change(facts, service), policy, now)

    return planner


def _writing(change: Callable[[Write, Facts], Iterator[Write]]) -> Planner:
    """The real planner, its route writes tampered with."""

    def planner(facts: Facts, service: Object, policy: Policy, now: Any) -> Plan:
        plan = order.plan(facts, service, policy, now)
        steps = [
            changed(step, writes=tuple(made for write in step.writes for made in change(write, facts)))
            for step in plan.steps
        ]
        return replace(plan, steps=tuple(steps))

    return planner


def _adding(make: Callable[[Facts, Mapping[str, Any]], Write | None]) -> Planner:
    """The real planner, with one more write of the live route where it has none."""

    def planner(facts: Facts, service: Object, policy: Policy, now: Any) -> Plan:
        plan = order.plan(facts, service, policy, now)
        live = facts.objects.get(ROUTE)
        step = next((step for step in plan.steps if step.part is Part.ROUTES), None)
        if step is None or step.writes or step.unanswered or live is None:
            return plan
        more = make(facts, live)
        writes = (more,) if more is not None else ()
        steps = tuple(changed(each, writes=writes) if each is step else each for each in plan.steps)
        return replace(plan, steps=steps)

    return planner


def _update(live: Mapping[str, Any], **spec: Any) -> Write:
    body = {**live, "spec": {**live["spec"], **spec}}
    return Write(Verb.UPDATE, ROUTE.kind, ROUTE.namespace, ROUTE.name, body=body, live=live)


def _unknown_is_absent(facts: Facts, service: Object) -> tuple[Facts, Object]:
    """What the Go controller did: the lock is looked at after the pool was read."""
    if POOL_V1 not in facts.unknown:
        return facts, service
    objects = {ref: obj for ref, obj in facts.objects.items() if ref != POOL_V1}
    if ROUTE in objects:
        objects[ROUTE] = _without_lock(objects[ROUTE])
    return replace(facts, objects=objects, unknown={}), {**service, "status": {}}


def _with_object(facts: Facts, ref: Any, change: Callable[[dict[str, Any]], None]) -> Facts:
    if ref not in facts.objects:
        return facts
    changed = copy.deepcopy(dict(facts.objects[ref]))
    change(changed)
    return replace(facts, objects={**facts.objects, ref: changed})


def _any_pool_is_ready(facts: Facts, service: Object) -> tuple[Facts, Object]:
    parents = [
        {
            "parentRef": {"namespace": gateway.namespace, "name": gateway.name},
            "conditions": [{"type": type_, "status": "True"} for type_ in ("Accepted", "ResolvedRefs")],
        }
        for gateway in (ref for ref in facts.objects if ref.kind.kind == "Gateway")
    ]
    return _with_object(facts, POOL_V1, lambda pool: pool.update(status={"parents": parents})), service


def _stale_is_current(facts: Facts, service: Object) -> tuple[Facts, Object]:
    def forget(pool: dict[str, Any]) -> None:
        for parent in pool.get("status", {}).get("parents", []):
            for condition in parent["conditions"]:
                del condition["observedGeneration"]

    return _with_object(facts, POOL_V1, forget), service


def _one_gateway_is_enough(facts: Facts, service: Object) -> tuple[Facts, Object]:
    def spread(pool: dict[str, Any]) -> None:
        said = pool.get("status", {}).get("parents", [])[:1]
        gateways = [ref for ref in facts.objects if ref.kind.kind == "Gateway"]
        pool["status"] = {
            "parents": [
                {**said[0], "parentRef": {"namespace": gateway.namespace, "name": gateway.name}}
                for gateway in gateways
                if said
            ]
        }

    return _with_object(facts, POOL_V1, spread), service


def _only_the_route_remembers(facts: Facts, service: Object) -> tuple[Facts, Object]:
    return facts, {**service, "status": {}}


def _lock_comes_later(write: Write, facts: Facts) -> Iterator[Write]:
    body, live = write.body, facts.objects.get(ROUTE)
    if write.ref != ROUTE or body is None or live is None or live["spec"] == body["spec"]:
        yield write
    else:
        yield changed(write, body=_without_lock(body))


def _undoes_itself(facts: Facts, live: Mapping[str, Any]) -> Write:
    return _update(live, hostnames=["by-hand.example.org"])


def _one_percent_at_a_time(facts: Facts, live: Mapping[str, Any]) -> Write | None:
    rules = copy.deepcopy(live["spec"]["rules"])
    for rule in rules[:2]:
        refs = rule["backendRefs"]
        if len(refs) < 2 or refs[0]["weight"] >= 100:
            return None
        refs[0]["weight"] += 1
    return _update(live, rules=rules)


def _keeps_its_own_steps(planner: Planner) -> Planner:
    """Hides the weights that the last write left from the real planner, which would set them right."""

    def patient(facts: Facts, service: Object, policy: Policy, now: Any) -> Plan:
        plan = planner(facts, service, policy, now)
        live = facts.objects.get(ROUTE)
        if live is None:
            return plan
        more = _one_percent_at_a_time(facts, live)
        if more is None:
            return plan
        steps = tuple(
            changed(step, writes=(more,)) if step.part is Part.ROUTES else step for step in plan.steps
        )
        return replace(plan, steps=steps)

    return patient


def _failed_discovery_means_gone(facts: Facts, live: Mapping[str, Any]) -> Write | None:
    if not facts.unsure:
        return None
    return Write(Verb.DELETE, ROUTE.kind, ROUTE.namespace, ROUTE.name, live=live)


def _waits_for_ever(facts: Facts, service: Object, policy: Policy, now: Any) -> Plan:
    return order.plan(facts, service, replace(policy, strategy=Strategy.HOLD), now)


def _copy_follows_the_route(
    plan: Plan, outcome: Outcome, obs: Facts, policy: Policy, now: Any
) -> dict[str, Any]:
    """The copy as a mirror: gone as soon as the route is gone."""
    fresh = replace(plan, service={**plan.service, "status": {}})
    return status.conclude(fresh, outcome, obs, policy, now)


def _counts_its_conclusions(
    plan: Plan, outcome: Outcome, obs: Facts, policy: Policy, now: Any
) -> dict[str, Any]:
    made = status.conclude(plan, outcome, obs, policy, now)
    return {**made, "concluded": mapping(plan.service, "status").get("concluded", 0) + 1}


MUTANTS = (
    Mutant("rolls back when the v1 pool cannot be read", laws.ONE_WAY, _seeing(_unknown_is_absent)),
    Mutant("forgets the lock with the route", laws.ONE_WAY, _seeing(_only_the_route_remembers)),
    Mutant("lets the copy follow the route", laws.ONE_WAY, conclude=_copy_follows_the_route),
    Mutant("writes the annotation after the weights", laws.TOGETHER, _writing(_lock_comes_later)),
    Mutant(
        "takes any v1 pool for ready",
        laws.USABLE,
        _seeing(_any_pool_is_ready),
        rules=_quiet(PROFILES["weighted"]),
    ),
    Mutant(
        "takes a stale condition for a current one",
        laws.USABLE,
        _seeing(_stale_is_current),
        rules=_quiet(PROFILES["weighted"]),
    ),
    Mutant(
        "is content with one gateway",
        laws.USABLE,
        _seeing(_one_gateway_is_enough),
        rules=_quiet(PROFILES["two-gateways"]),
    ),
    Mutant("writes what it takes back next time", laws.NO_PING_PONG, _adding(_undoes_itself)),
    Mutant("shifts one percent at a time", laws.QUIESCENCE, _keeps_its_own_steps(order.plan)),
    Mutant(
        "takes a failed discovery for a missing kind",
        laws.NO_DELETE,
        _adding(_failed_discovery_means_gone),
        rules=PROFILES["everything"],
    ),
    Mutant("never moves", laws.PROGRESS, _waits_for_ever),
    Mutant("counts in the status", laws.NO_CHURN, conclude=_counts_its_conclusions),
)
"""Together they break every law; `test_model.py` holds that list complete."""
