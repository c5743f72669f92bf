"""What goes while the spec of a service cannot be built, and what stays (STOP-2)."""

from typing import Any

import pytest

from aioctl.api import kinds
from aioctl.api.kinds import ObjectRef
from aioctl.plan.facts import Facts
from aioctl.plan.model import Part, Verb
from aioctl.plan.order import plan
from aioctl.plan.policy import Policy
from aioctl.sim import seed
from testbed.plan_world import NOW, World, service

POOL = "svc-inference-pool"
POD: dict[str, Any] = {"template": {"spec": {}}}
PREFILL = {"Deployment svc-kserve-prefill"}
PREFILL_GROUP = {"LeaderWorkerSet svc-kserve-mn-prefill", "ServiceAccount svc-kserve-mn-prefill"}
ROUTE = {"HTTPRoute svc-kserve-route"}
PICKER = {
    "Deployment svc-kserve-router-scheduler",
    "Service svc-epp-service",
    "ServiceAccount svc-epp-sa",
    f"InferencePool {POOL}",
}
MAIN = {"Deployment svc-kserve", "LeaderWorkerSet svc-kserve-mn", "Service svc-kserve-workload-svc"}
KINDS = {
    "Deployment": kinds.DEPLOYMENT,
    "LeaderWorkerSet": kinds.LEADER_WORKER_SET,
    "ServiceAccount": kinds.SERVICE_ACCOUNT,
    "Service": kinds.CORE_SERVICE,
    "HTTPRoute": kinds.HTTP_ROUTE,
    "InferencePool": kinds.POOL_V1,
}
BASE = "base"
MISSING = "gone"


def world(*, bases: dict[str, Any] | None = None, route: dict[str, Any] | None = None) -> World:
    """All children of every shape, and no preset: nothing can be combined."""
    made = World()
    settings = seed.config_map()
    made.objects[ObjectRef(kinds.CONFIG_MAP, "kserve", settings["metadata"]["name"])] = settings
    for text in (*MAIN, *PREFILL, *PREFILL_GROUP, *ROUTE, *PICKER):
        kind, name = text.split()
        labels = {"app.kubernetes.io/name": "svc", "app.kubernetes.io/part-of": "llminferenceservice"}
        more = (
            {"app.kubernetes.io/component": "llminferenceservice-router-scheduler"} if text in PICKER else {}
        )
        made.put(KINDS[kind], name, owner=service(), metadata={"labels": {**labels, **more}}, spec=POD)
    for name, spec in (bases or {}).items():
        made.put(kinds.CONFIG, name, spec=spec)
    if route is not None:
        made.put(kinds.HTTP_ROUTE, "mine", spec=route)
    return made


def gone(made: World, spec: dict[str, Any]) -> set[str]:
    """What is deleted before the combination fails."""
    of = {**service(finalizers=["serving.kserve.io/llmisvc-finalizer"]), "spec": spec}
    facts = Facts(made.objects, unserved=made.unserved)
    steps = plan(facts, of, Policy(), NOW).steps
    assert steps[-1].part is Part.COMBINE
    assert steps[-1].error
    writes = [write for step in steps for write in step.writes]
    assert {write.verb for write in writes} <= {Verb.DELETE}
    return {f"{write.kind.kind} {write.name}" for write in writes}


ALL: dict[str, Any] = {"prefill": {}, "router": {"scheduler": {}, "route": {}}}


@pytest.mark.parametrize(
    ("spec", "removed"),
    [
        (ALL, set()),
        ({"router": ALL["router"]}, PREFILL | PREFILL_GROUP),
        ({"prefill": {}}, ROUTE | PICKER),
        ({}, PREFILL | PREFILL_GROUP | ROUTE | PICKER),
        ({**ALL, "prefill": {"worker": {}}}, set()),
        ({**ALL, "worker": {}}, set()),
        ({"prefill": {}, "router": {}}, set()),
        ({**ALL, "prefill": "nonsense"}, set()),
    ],
)
def test_only_a_side_that_nothing_asks_for_goes(spec: dict[str, Any], removed: set[str]) -> None:
    assert gone(world(), spec) == removed


@pytest.mark.parametrize(
    ("bases", "removed"),
    [
        ({BASE: {}}, PREFILL | PREFILL_GROUP | ROUTE | PICKER),
        ({BASE: {"prefill": {}}}, ROUTE | PICKER),
        ({BASE: {"router": {"route": {}}}}, PREFILL | PREFILL_GROUP),
        ({}, set()),
    ],
)
def test_what_a_base_asks_for_stays_and_all_stays_where_one_is_missing(
    bases: dict[str, Any], removed: set[str]
) -> None:
    assert gone(world(bases=bases), {"baseRefs": [{"name": BASE}]}) == removed


@pytest.mark.parametrize(
    ("group", "name", "stays"),
    [
        ("inference.networking.k8s.io", POOL, True),
        ("inference.networking.x-k8s.io", POOL, True),
        ("inference.networking.k8s.io", "another", False),
    ],
)
def test_a_picker_that_a_users_route_points_at_stays(group: str, name: str, stays: bool) -> None:
    ref = {"group": group, "kind": "InferencePool", "name": name}
    made = world(route={"rules": [{"backendRefs": [ref]}]})
    assert gone(made, {"prefill": {}}) == ROUTE | (set() if stays else PICKER)


def test_what_is_a_strangers_stays() -> None:
    made = world()
    made.put(kinds.DEPLOYMENT, "svc-kserve-prefill", owner=service("other"), spec=POD)
    assert gone(made, {"router": ALL["router"]}) == PREFILL_GROUP


def test_a_configuration_that_cannot_be_read_keeps_nothing_either() -> None:
    made = world()
    made.objects = {ref: obj for ref, obj in made.objects.items() if ref.kind is not kinds.CONFIG_MAP}
    steps = plan(
        Facts(made.objects, unserved=made.unserved),
        {**service(finalizers=["serving.kserve.io/llmisvc-finalizer"]), "spec": {"router": ALL["router"]}},
        Policy(),
        NOW,
    ).steps
    assert steps[-1].part is Part.CONFIG
    assert {
        f"{write.kind.kind} {write.name}" for step in steps for write in step.writes
    } == PREFILL | PREFILL_GROUP
