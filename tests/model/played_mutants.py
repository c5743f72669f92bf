"""Controllers that are wrong on purpose, one for each law of the second model. The checker must catch every one."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from aioctl.api import kinds, names
from aioctl.api.kinds import HTTP_ROUTE, POOL_GROUP_V1, POOL_GROUP_V1ALPHA2
from aioctl.api.objects import Object, annotations_of
from aioctl.api.records import changed
from aioctl.plan import order, status
from aioctl.plan.facts import Facts
from aioctl.plan.model import Outcome, Part, Plan, Step, Verb, Write
from aioctl.plan.observation import Present
from aioctl.plan.policy import Policy, Probe
from tests.model import played_laws as laws
from tests.model.cluster import Conclude, Planner
from tests.model.played import cluster_for
from tests.model.played_cluster import PlayedCluster
from tests.model.played_moves import PlayedRules
from tests.model.played_profiles import PLAYED
from tests.model.played_state import NS


@dataclass(frozen=True)
class PlayedMutant:
    """A wrong controller, the law it breaks, and where."""

    name: str
    law: str
    rules: PlayedRules
    planner: Planner | None = None
    conclude: Conclude | None = None

    def cluster(self) -> PlayedCluster:
        return cluster_for(self.rules, self.planner, self.conclude)


def _on(profile: str, *behaviours: str) -> PlayedRules:
    return replace(PLAYED[profile], begins=(behaviours,), upgrades=())


def _live(facts: Facts, service: Object) -> Any:
    found = facts.get(HTTP_ROUTE, NS, names.route_name(service["metadata"]["name"]))
    return found.obj if isinstance(found, Present) else None


def _is_ours(write: Write) -> bool:
    return write.kind == HTTP_ROUTE and write.verb is not Verb.DELETE and write.name.endswith("-kserve-route")


def _makes_no_routes(facts: Facts, service: Object, policy: Policy, now: Any) -> Plan:
    plan = order.plan(facts, service, policy, now)
    steps = (
        changed(each, writes=tuple(write for write in each.writes if not _is_ours(write)))
        for each in plan.steps
    )
    return replace(plan, steps=tuple(steps))


def _never_stops_asking(facts: Facts, service: Object, policy: Policy, now: Any) -> Plan:
    plan = order.plan(facts, service, policy, now)
    steps = (
        changed(each, writes=tuple(write for write in each.writes if write.verb is not Verb.DELETE))
        for each in plan.steps
    )
    return replace(plan, steps=tuple(steps))


def _changing(change: Callable[[dict[str, Any]], None]) -> Planner:
    """The real planner, its managed routes tampered with."""

    def tampered(write: Write) -> Write:
        if not _is_ours(write) or write.body is None:
            return write
        body = copy.deepcopy(dict(write.body))
        change(body)
        return changed(write, body=body)

    def planner(facts: Facts, service: Object, policy: Policy, now: Any) -> Plan:
        plan = order.plan(facts, service, policy, now)
        steps = (changed(each, writes=tuple(map(tampered, each.writes))) for each in plan.steps)
        return replace(plan, steps=tuple(steps))

    return planner


def _adding(make: Callable[[Any], Iterator[Write]]) -> Planner:
    """The real planner, with writes that it makes of the live route wherever it has none of its own."""

    def planner(facts: Facts, service: Object, policy: Policy, now: Any) -> Plan:
        plan = order.plan(facts, service, policy, now)
        live = _live(facts, service)
        if live is None or any(_is_ours(write) for each in plan.steps for write in each.writes):
            return plan
        return replace(plan, steps=(*plan.steps, Step(Part.ROUTES, writes=tuple(make(live)))))

    return planner


def _update(live: Any, change: Callable[[dict[str, Any]], None]) -> Write:
    body = copy.deepcopy(dict(live))
    change(body)
    return Write(Verb.UPDATE, HTTP_ROUTE, NS, live["metadata"]["name"], body=body, live=live)


def _to(group: str, *, lock: bool) -> Callable[[dict[str, Any]], None]:
    def change(body: dict[str, Any]) -> None:
        for rule in body["spec"]["rules"]:
            for ref in rule["backendRefs"]:
                if ref["kind"] == "InferencePool":
                    ref["group"] = group
        body["metadata"]["annotations"] = {names.MIGRATED: "v1"} if lock else {}

    return change


def _deaf(facts: Facts, service: Object, policy: Policy, now: Any) -> Plan:
    return order.plan(replace(facts, hearsay=None), service, policy, now)


def _asks_nobody(facts: Facts, service: Object, policy: Policy, now: Any) -> Plan:
    return order.plan(facts, service, replace(policy, probe=Probe.OFF), now)


def _knows_no_crd(facts: Facts, service: Object, policy: Policy, now: Any) -> Plan:
    unserved = facts.unserved - {kinds.POOL_V1ALPHA2}
    return order.plan(replace(facts, unserved=unserved), service, policy, now)


def _moves_too_soon(live: Any) -> Iterator[Write]:
    if not annotations_of(live).get(names.MIGRATED):
        yield _update(live, _to(POOL_GROUP_V1, lock=True))


def _moves_back(live: Any) -> Iterator[Write]:
    if annotations_of(live).get(names.MIGRATED):
        yield _update(live, _to(POOL_GROUP_V1ALPHA2, lock=False))


def _never_content(live: Any) -> Iterator[Write]:
    def change(body: dict[str, Any]) -> None:
        body["spec"]["hostnames"] = [] if body["spec"].get("hostnames") else ["h"]

    yield _update(live, change)


def _tidies(live: Any) -> Iterator[Write]:
    yield Write(Verb.DELETE, HTTP_ROUTE, NS, live["metadata"]["name"], live=live)


def _shows_both(body: dict[str, Any]) -> None:
    for rule in body["spec"]["rules"]:
        (reference,) = rule["backendRefs"][:1]
        rule["backendRefs"] = [
            {**reference, "group": POOL_GROUP_V1, "weight": 0},
            {**reference, "group": POOL_GROUP_V1ALPHA2, "weight": 1},
        ]


def _mixes(body: dict[str, Any]) -> None:
    body["spec"]["rules"][0]["backendRefs"][0]["group"] = POOL_GROUP_V1


def _says_ready(plan: Plan, outcome: Outcome, obs: Any, policy: Policy, now: Any) -> dict[str, Any]:
    made = status.conclude(plan, outcome, obs, policy, now)
    others = [each for each in made["conditions"] if each["type"] != "HTTPRoutesReady"]
    return {**made, "conditions": [*others, {"type": "HTTPRoutesReady", "status": "True"}]}


def _counts(plan: Plan, outcome: Outcome, obs: Any, policy: Policy, now: Any) -> dict[str, Any]:
    made = status.conclude(plan, outcome, obs, policy, now)
    return {**made, "observedGeneration": plan.service.get("status", {}).get("observedGeneration", 0) + 1}


MUTANTS = (
    PlayedMutant("hears nothing of others", laws.REFUSED, _on("auto-two-services", "istio"), _deaf),
    PlayedMutant(
        "begins on v1 without a word",
        laws.EVIDENCE,
        _on("auto", "istio"),
        _changing(_to(POOL_GROUP_V1, lock=True)),
    ),
    PlayedMutant("moves too soon", laws.SERVED, _on("auto", "v1alpha2-only"), _adding(_moves_too_soon)),
    PlayedMutant("is always ready", laws.READY, _on("auto", "istio"), conclude=_says_ready),
    PlayedMutant("asks nobody", laws.END, _on("auto", "istio"), _asks_nobody),
    PlayedMutant("moves back", laws.ONE_WAY, _on("auto-v1-crd-alone", "both"), _adding(_moves_back)),
    PlayedMutant(
        "locks where traffic is not",
        laws.TOGETHER,
        _on("auto", "both"),
        _changing(_to(POOL_GROUP_V1ALPHA2, lock=True)),
    ),
    PlayedMutant("does not look for CRDs", laws.ABSENT, _on("auto-v1-crd-alone", "istio"), _knows_no_crd),
    PlayedMutant(
        "mixes generations in a group", laws.ONE_GROUP, _on("auto-group", "v1alpha2-only"), _changing(_mixes)
    ),
    PlayedMutant("makes no routes", laws.MADE, _on("auto", "istio"), _makes_no_routes),
    PlayedMutant(
        "shows both to a gateway that nobody has asked",
        laws.UNKNOWN,
        _on("auto", "v1alpha2-only"),
        _changing(_shows_both),
    ),
    PlayedMutant("never stops asking", laws.ASKED_ONCE, _on("auto", "both"), _never_stops_asking),
    PlayedMutant("is never content", laws.REST, _on("auto", "both"), _adding(_never_content)),
    PlayedMutant("tidies up", laws.NO_DELETE, _on("auto", "both"), _adding(_tidies)),
    PlayedMutant("counts in the status", laws.NO_CHURN, _on("auto", "both"), conclude=_counts),
)
