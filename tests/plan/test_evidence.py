"""What gateways are known to do, from what they said (MIG-7): recorded answers of real ones, and sources against each other."""

import json
from typing import Any

import pytest

from aioctl.api import kinds
from aioctl.api.kinds import ObjectKey
from aioctl.plan.evidence import GatewayEvidence, Source, Support, of_gateways
from testbed.shared_data import ROOT
from tests.plan.router_world import (
    ALPHA,
    GATEWAY,
    NS,
    POOL,
    ROUTE,
    V1,
    RouterWorld,
    accepted,
    condition,
    gateway,
    parent,
    pool_ref,
)
from tests.plan.test_recorded_gateways import recorded_world

YES, NO, UNKNOWN = Support.YES, Support.NO, Support.UNKNOWN
PLACE = ObjectKey(*GATEWAY)


def evidence(world: RouterWorld, at: ObjectKey = PLACE) -> GatewayEvidence:
    route = world.objects.get(ROUTE)
    pools = {ref.kind: world.objects[ref] for ref in (V1, ALPHA) if ref in world.objects}
    (found,) = of_gateways(world.facts, [at], route, pools, frozenset({POOL}))
    return found


# v1, v1alpha2, both in one rule; a pool's own status speaks where the route does not.
RECORDED = {
    "istio-master/a": (YES, UNKNOWN, UNKNOWN),
    "istio-master/b": (UNKNOWN, NO, UNKNOWN),
    "istio-master/c0": (YES, NO, NO),
    # The v1alpha2 reference carries nothing there: no sign that a rule with both would be served.
    "istio-master/c100": (YES, UNKNOWN, UNKNOWN),
    "istio-disabled/a": (NO, UNKNOWN, UNKNOWN),
    "istio-disabled/b": (UNKNOWN, NO, UNKNOWN),
    "istio-disabled/c0": (UNKNOWN, NO, NO),
    "istio-disabled/c100": (NO, UNKNOWN, NO),
    "istio-agentgateway/a": (YES, UNKNOWN, UNKNOWN),
    "istio-agentgateway/b": (UNKNOWN, YES, UNKNOWN),
    "istio-agentgateway/c0": (YES, YES, YES),
    "envoy-gateway-plain/a": (NO, UNKNOWN, UNKNOWN),
    "envoy-gateway-plain/b": (UNKNOWN, NO, UNKNOWN),
    # It names every reference that it refuses, by its place in the route.
    "envoy-gateway-plain/c0": (NO, NO, NO),
    "envoy-gateway-plain/c100": (NO, NO, NO),
    "envoy-gateway-plain/c50": (NO, NO, NO),
    "istio-master/d": (UNKNOWN, UNKNOWN, UNKNOWN),
}


@pytest.mark.skipif(
    not (ROOT / "gateways").is_dir(), reason="recorded data is not here: shared/data/gateways"
)
@pytest.mark.parametrize("name", RECORDED)
def test_what_real_gateways_said_is_read_as_what_they_do(name: str) -> None:
    world = recorded_world(name, json.loads((ROOT / "gateways" / f"{name}.json").read_text()))
    at = world.objects[ROUTE]["status"]["parents"][0]["parentRef"]
    found = evidence(world, ObjectKey(at["namespace"], at["name"]))
    assert (found.v1.support, found.v1alpha2.support, found.mixed.support) == RECORDED[name]


def world_with(*groups: tuple[str, int], says: list[dict[str, Any]] | None = None) -> RouterWorld:
    world = RouterWorld()
    refs = [pool_ref(group, weight=weight) for group, weight in groups]
    spec = {
        "parentRefs": [{"namespace": GATEWAY[0], "name": GATEWAY[1]}],
        "rules": [{"backendRefs": refs}],
    }
    status = {"parents": [parent(*GATEWAY, says)]} if says is not None else {}
    world.put(
        kinds.HTTP_ROUTE,
        {
            "metadata": {"namespace": NS, "name": ROUTE.name, "generation": 2},
            "spec": spec,
            "status": status,
        },
    )
    return world


KIND = "Group is invalid, only the core API group is supported."
GONE = "Custom backend InferencePool team/svc not found."


def line(place: str, why: str = KIND) -> str:
    return f"Failed to process route {place}: {why}"


@pytest.mark.parametrize(
    ("weights", "reason", "message", "known"),
    [
        pytest.param(
            (100, 0),
            "InvalidKind",
            line("rule 0 backendRef 1"),
            (UNKNOWN, NO, NO),
            id="the idle v1alpha2 one",
        ),
        pytest.param((0, 100), "InvalidKind", line("rule 0 backendRef 1"), (UNKNOWN, NO, NO), id="v1alpha2"),
        pytest.param(
            (50, 50), "InvalidKind", line("rule 0 backendRef 0"), (NO, UNKNOWN, NO), id="one of two"
        ),
        pytest.param(
            (0, 100),
            "InvalidKind",
            f"{line('rule 0 backendRef 0')}\n{line('rule 0 backendRef 1')}",
            (NO, NO, NO),
            id="both",
        ),
        pytest.param(
            (50, 50),
            "InvalidKind",
            "spec.rules[0].backendRefs[1].kind: Unsupported",
            (UNKNOWN, NO, NO),
            id="a path",
        ),
        pytest.param(
            (0, 100),
            "InvalidKind",
            line("rule 7 backendRef 7"),
            (UNKNOWN, NO, NO),
            id="a place that is not there",
        ),
        pytest.param(
            (100, 0),
            "InvalidKind",
            line("rule 1 backendRef 0", "Kind is invalid"),
            (UNKNOWN, UNKNOWN, UNKNOWN),
            id="another rule's reference, which is no pool",
        ),
        pytest.param(
            (100, 0),
            "BackendNotFound,InvalidKind",
            f"{line('rule 0 backendRef 0', GONE)}\n{line('rule 0 backendRef 1')}",
            (UNKNOWN, NO, NO),
            id="two reasons: only what is said of kinds counts",
        ),
        pytest.param(
            (0, 100),
            "BackendNotFound,InvalidKind",
            "two things",
            (UNKNOWN, UNKNOWN, UNKNOWN),
            id="which, it does not say",
        ),
    ],
)
def test_a_refusal_is_of_the_references_that_it_names_by_their_place(
    weights: tuple[int, int], reason: str, message: str, known: tuple[Support, Support, Support]
) -> None:
    v1, v1alpha2 = weights
    both = ((kinds.POOL_GROUP_V1, v1), (kinds.POOL_GROUP_V1ALPHA2, v1alpha2))
    world = world_with(*both, says=refusal(reason, message=message))
    other = {"group": "example.com", "kind": "Other", "name": "other"}
    world.edit(ROUTE, lambda route: route["spec"]["rules"].append({"backendRefs": [other]}))
    world.objects[ROUTE]["metadata"]["generation"] = 2
    found = evidence(world)
    assert (found.v1.support, found.v1alpha2.support, found.mixed.support) == known


def refusal(reason: str = "InvalidKind", **more: Any) -> list[dict[str, Any]]:
    return [condition("ResolvedRefs", "False", reason, **more)]


def test_a_pools_status_is_no_evidence_against_the_route() -> None:
    world = world_with((kinds.POOL_GROUP_V1ALPHA2, 1), says=refusal())
    world.put(kinds.POOL_V1ALPHA2, {"metadata": {"namespace": NS, "name": POOL, "generation": 1}})
    world.pool_status(ALPHA, accepted())
    found = evidence(world).v1alpha2
    assert (found.support, found.source) == (NO, Source.ROUTE)


@pytest.mark.parametrize(
    "says",
    [
        pytest.param(refusal("BackendNotFound"), id="a pool that is missing says nothing of its kind"),
        pytest.param(refusal(observedGeneration=1), id="an older generation says nothing"),
        pytest.param([condition("Accepted")], id="nothing was said of references"),
        pytest.param(None, id="nothing was said at all"),
    ],
)
def test_what_is_not_about_kinds_says_nothing(says: list[dict[str, Any]] | None) -> None:
    found = evidence(world_with((kinds.POOL_GROUP_V1, 1), says=says))
    assert (found.v1.support, found.v1.source) == (UNKNOWN, Source.NOBODY)


def test_a_refusal_that_names_no_kind_of_a_rule_with_two_that_carry_traffic_speaks_of_neither() -> None:
    both = ((kinds.POOL_GROUP_V1, 50), (kinds.POOL_GROUP_V1ALPHA2, 50))
    found = evidence(world_with(*both, says=refusal()))
    assert (found.v1.support, found.v1alpha2.support, found.mixed.support) == (UNKNOWN, UNKNOWN, NO)


@pytest.mark.parametrize(
    ("controller", "mixed", "writes"),
    [
        ("istio.io/gateway-controller", NO, UNKNOWN),
        ("openshift.io/gateway-controller/v1", NO, UNKNOWN),
        ("gateway.envoyproxy.io/gatewayclass-controller", NO, UNKNOWN),
        ("kgateway.dev/kgateway", NO, NO),
        ("agentgateway.dev/agentgateway", UNKNOWN, YES),
        ("gateway.nginx.org/nginx-gateway-controller", NO, UNKNOWN),
        ("example.com/new", UNKNOWN, UNKNOWN),
    ],
)
def test_an_implementation_that_has_said_nothing_is_known_by_its_name(
    controller: str, mixed: Support, writes: Support
) -> None:
    world = RouterWorld()
    world.put(kinds.GATEWAY, gateway(*GATEWAY, cls="c"))
    world.put(kinds.GATEWAY_CLASS, {"metadata": {"name": "c"}, "spec": {"controllerName": controller}})
    found = evidence(world)
    assert (found.v1.support, found.mixed.support, found.writes_status.support) == (UNKNOWN, mixed, writes)


def test_kgateway_is_not_believed_when_it_resolves_both() -> None:
    both = ((kinds.POOL_GROUP_V1, 0), (kinds.POOL_GROUP_V1ALPHA2, 100))
    world = world_with(*both, says=accepted())
    world.put(kinds.GATEWAY, gateway(*GATEWAY, cls="c"))
    spec = {"controllerName": "kgateway.dev/kgateway"}
    world.put(kinds.GATEWAY_CLASS, {"metadata": {"name": "c"}, "spec": spec})
    assert evidence(world).mixed.support is NO


@pytest.mark.parametrize("feature", [{"name": "SupportInferencePool"}, "InferencePool"])
def test_a_class_that_names_the_feature_serves_v1(feature: Any) -> None:
    world = RouterWorld()
    world.put(kinds.GATEWAY, gateway(*GATEWAY, cls="c"))
    status = {"supportedFeatures": [{"name": "HTTPRoute"}, feature]}
    world.put(kinds.GATEWAY_CLASS, {"metadata": {"name": "c"}, "spec": {}, "status": status})
    assert evidence(world).v1.source is Source.FEATURES
    world.put(kinds.POOL_V1, {"metadata": {"namespace": NS, "name": POOL, "generation": 1}})
    world.pool_status(V1, [condition("Accepted", "False", "NotSupportedByParent")])
    assert (evidence(world).v1.support, evidence(world).v1.source) == (NO, Source.POOL)
