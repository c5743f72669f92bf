"""Rules and references of a managed route that serve nobody: named in the condition, with the cure.

Rules: ROUTE-7.
"""

import copy
from dataclasses import replace
from typing import Any

import pytest

from aioctl.api import kinds, names
from aioctl.plan import route_readiness
from aioctl.plan.facts import Facts
from tests.plan.readiness_world import PREFIX, said, settled
from tests.plan.router_world import (
    MANAGED,
    MODEL,
    NS,
    POOL,
    ROUTE,
    V1,
    RouterWorld,
    accepted,
    pool_ref,
)


def inline(*rules: dict[str, Any]) -> dict[str, Any]:
    return {**copy.deepcopy(MANAGED), "route": {"http": {"spec": {"rules": list(rules)}}}}


SERVICE_REF = {"kind": "Service", "name": "svc-kserve-workload-svc", "port": 8000}
V1_REF = pool_ref(kinds.POOL_GROUP_V1)
FIELD = "spec.router.route.http.spec.rules"


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        (
            [{"timeouts": {"request": "10s"}}],
            (
                "rule 0 sends traffic nowhere: it has no backendRefs; give it some in "
                f"{FIELD}[0].backendRefs, or leave rules out to get the default ones"
            ),
        ),
        (
            [{"backendRefs": [SERVICE_REF]}, {"name": "slow", "backendRefs": []}],
            (
                'rule 1 "slow" sends traffic nowhere: it has no backendRefs; give it some in '
                f"{FIELD}[1].backendRefs, or leave rules out to get the default ones"
            ),
        ),
        (
            [{"backendRefs": [{**SERVICE_REF, "weight": 0}]}],
            (
                "rule 0 sends traffic nowhere: every backendRef has weight 0; give one a weight above 0 in "
                f"{FIELD}[0].backendRefs"
            ),
        ),
        ([{"filters": [{"type": "RequestRedirect", "requestRedirect": {"scheme": "https"}}]}], ""),
        ([{"filters": [{"type": "ExtensionRef", "extensionRef": {"name": "direct"}}]}], ""),
        ([{"filters": [{"type": "URLRewrite", "urlRewrite": {}}], "backendRefs": [SERVICE_REF]}], ""),
        (
            [{"backendRefs": [pool_ref(kinds.POOL_GROUP_V1, "theirs")]}],
            (
                f"rule 0 backendRef 0 names InferencePool {NS}/theirs of group inference.networking.k8s.io, which does not "
                f"exist; create it, or name {POOL}, the pool of this service"
            ),
        ),
        ([{"backendRefs": [pool_ref(kinds.POOL_GROUP_V1, "theirs", weight=0), V1_REF]}], ""),
        (
            [{"backendRefs": [{"kind": "Service", "name": "s" * 64, "port": 80}]}],
            (
                f"rule 0 backendRef 0 names Service {NS}/{'s' * 64}, which cannot exist: a Service has at most 63 "
                "characters in its name"
            ),
        ),
    ],
)
def test_a_managed_route_that_serves_nobody_is_never_ready_and_says_why(
    rules: list[dict[str, Any]], problem: str
) -> None:
    world = RouterWorld(inline(*rules))
    world.reconcile()
    world.pool_status(V1, accepted())
    world.reconcile()
    world.accept_route()
    found = said(world)
    assert found == (f"{PREFIX}[{NS}/{ROUTE.name}: {problem}]" if problem else "")
    assert world.status_of("RouterReady") == ("False" if problem else "True")


def test_of_many_rules_that_serve_nobody_some_are_named_and_the_rest_counted() -> None:
    world = RouterWorld(inline(*({"timeouts": {"request": f"{n}s"}} for n in range(1, 10))))
    world.reconcile()
    world.accept_route()
    assert said(world).count("sends traffic nowhere") == 5
    assert said(world).endswith("; and 4 more]")


LONG = "a-service-with-a-name-that-is-longer-than-what-leaves-room"


def test_hand_written_names_of_children_that_are_hashed_get_the_right_name() -> None:
    workload, pool = f"{LONG}-kserve-workload-svc", f"{LONG}-inference-pool"
    rule = {"backendRefs": [{"kind": "Service", "name": workload}, pool_ref(kinds.POOL_GROUP_V1, pool)]}
    world = RouterWorld(inline(rule))
    world.service["metadata"]["name"] = LONG
    world.reconcile()
    found = said(world)
    assert (
        f"Service {NS}/{workload}, which cannot exist: the workload Service of this service is named "
        in found
    )
    assert names.workload_service_name(LONG) in found
    assert f"or name {names.default_pool_name(LONG)}, the pool of this service" in found


def test_a_hand_written_picker_name_that_is_hashed_gets_the_right_name() -> None:
    router = copy.deepcopy(MANAGED)
    router["scheduler"]["pool"]["spec"]["endpointPickerRef"]["name"] = f"{LONG}-epp-service"
    world = RouterWorld(router)
    world.service["metadata"]["name"] = LONG
    found = said(world, "InferencePoolReady")
    assert found.startswith("spec.router.scheduler.pool.spec.endpointPickerRef.name is ")
    assert found.endswith(f"is named {names.child(LONG, '-epp-service')}")


def test_a_reference_to_a_generation_that_is_not_served_is_named() -> None:
    world = RouterWorld(inline({"backendRefs": [{**V1_REF, "name": "of-others"}]}))
    world.unserved |= {kinds.POOL_V1}
    world.reconcile()
    world.accept_route()
    assert said(world) == (
        f"{PREFIX}[{NS}/{ROUTE.name}: rule 0 backendRef 0 names InferencePool {NS}/of-others of group "
        "inference.networking.k8s.io, which this cluster does not serve; install its CRD, or refer to group "
        "inference.networking.x-k8s.io]"
    )


@pytest.mark.parametrize(
    ("unserved", "group"),
    [(kinds.POOL_V1, kinds.POOL_GROUP_V1ALPHA2), (kinds.POOL_V1ALPHA2, kinds.POOL_GROUP_V1)],
)
def test_where_one_generation_is_served_every_object_of_ours_names_that_one(
    unserved: Any, group: str
) -> None:
    world = RouterWorld()
    world.unserved |= {unserved}
    world.reconcile()
    assert world.objects[MODEL]["spec"]["poolRef"]["group"] == group
    assert {ref["group"] for rule in world.live["spec"]["rules"][:2] for ref in rule["backendRefs"]} == {
        group
    }
    world.unserved -= {unserved}
    world.reconcile()
    assert len(world.refs()) == 2


def test_a_pool_deleted_by_hand_makes_the_service_not_ready_until_it_is_there_again() -> None:
    world = settled()
    ctx, facts = world.ctx, {ref: obj for ref, obj in world.objects.items() if ref != V1}
    verdict = route_readiness.judge(replace(ctx, obs=Facts(objects=facts)))
    assert "which does not exist; awaited: its creation" in verdict.message
    assert not verdict.ready
