"""Istio's DestinationRules (ISTIO-1): when they are wanted, what they say, what takes them away."""

import copy
import json
from typing import Any

import pytest

from aioctl.api import kinds, names
from aioctl.api.kinds import ObjectRef
from aioctl.plan.policy import Policy
from testbed.shared_data import documents
from tests.plan.router_world import (
    EXTERNAL,
    GATEWAY,
    MANAGED,
    NS,
    SCHEDULER,
    V1,
    RouterWorld,
    accepted,
    gateway,
)

SCHEDULER_RULE = ObjectRef(kinds.DESTINATION_RULE, NS, "svc-kserve-scheduler")
WORKLOAD_RULE = ObjectRef(kinds.DESTINATION_RULE, NS, "svc-kserve-workload-svc")
SHADOW_RULE = ObjectRef(kinds.DESTINATION_RULE, NS, "svc-kserve-workload")
RULES = {SCHEDULER_RULE, WORKLOAD_RULE, SHADOW_RULE}


SIGNER = ObjectRef(kinds.SECRET, "openshift-service-ca", "signing-key")
TLS = "svc-kserve-self-signed-certs"


def istio(router: Any = None) -> RouterWorld:
    """Behind Istio, on a cluster with a CA for the services' certificates."""
    world = RouterWorld(copy.deepcopy(router or MANAGED), unserved=frozenset())
    world.policy = Policy(auth_disabled=True, signer=SIGNER)
    world.put(kinds.SECRET, {"metadata": {"namespace": SIGNER.namespace, "name": SIGNER.name}})
    world.put(kinds.GATEWAY, gateway(*GATEWAY, "203.0.113.1", cls="istio"))
    return world


def shadow(name: str, *groups: str, pool: str = V1.name) -> dict[str, Any]:
    owners = [
        {"apiVersion": f"{group}/v1", "kind": "InferencePool", "name": pool, "uid": "u"} for group in groups
    ]
    labels = {"istio.io/inferencepool-name": pool}
    return {"metadata": {"namespace": NS, "name": name, "labels": labels, "ownerReferences": owners}}


def rules(world: RouterWorld) -> set[ObjectRef]:
    return {ref for ref in world.objects if ref.kind == kinds.DESTINATION_RULE}


def host(world: RouterWorld, ref: ObjectRef) -> str:
    spec = world.objects[ref]["spec"]
    assert spec["trafficPolicy"]["tls"]["sni"] == spec["host"]
    return str(spec["host"])


def test_behind_istio_picker_and_workload_get_a_rule_each() -> None:
    world = istio()
    world.reconcile()
    assert rules(world) == {SCHEDULER_RULE, WORKLOAD_RULE}
    assert host(world, SCHEDULER_RULE) == "svc-epp-service.ns.svc.cluster.local"
    assert host(world, WORKLOAD_RULE) == "svc-kserve-workload-svc.ns.svc.cluster.local"
    assert world.reconcile() == []


def test_the_rules_are_those_the_go_controller_makes() -> None:
    (recorded,) = documents("golden/router-all.yaml")["router-all"]
    world = istio()
    world.reconcile()
    for ref in (SCHEDULER_RULE, WORKLOAD_RULE):
        wanted = recorded["objects"][f"networking.istio.io/v1/destinationrules/{ref.name}"]
        made = world.objects[ref]
        assert made["metadata"]["labels"] == wanted["metadata"]["labels"]
        wanted_spec = json.loads(json.dumps(wanted["spec"]).replace("c-router-all", NS))
        assert made["spec"] == wanted_spec


def test_the_ca_path_comes_from_the_policy() -> None:
    world = istio()
    world.policy = Policy(auth_disabled=True, signer=SIGNER, istio_ca_path="/ca.crt")
    world.reconcile()
    assert world.objects[WORKLOAD_RULE]["spec"]["trafficPolicy"]["tls"]["caCertificates"] == "/ca.crt"


def verified(world: RouterWorld) -> list[bool]:
    """For each rule: whether the gateway verifies the certificate. Both fields have to say the same."""
    found = [world.objects[ref]["spec"]["trafficPolicy"]["tls"] for ref in sorted(rules(world), key=str)]
    for tls in found:
        assert ("caCertificates" in tls) is not tls["insecureSkipVerify"]
    return [not tls["insecureSkipVerify"] for tls in found]


@pytest.mark.parametrize("signer", [None, SIGNER])
def test_without_a_ca_gateways_do_not_verify(signer: ObjectRef | None) -> None:
    world = istio()
    world.policy = Policy(auth_disabled=True, signer=signer)
    del world.objects[SIGNER]
    world.reconcile()
    assert verified(world) == [False, False]


def test_gateways_verify_what_the_stored_certificate_allows_also_when_the_ca_comes_or_goes() -> None:
    world = istio()
    own = {"tls.crt": "YQ==", "tls.key": "Yg==", "ca.crt": "YQ=="}
    world.put(kinds.SECRET, {"metadata": {"namespace": NS, "name": TLS}, "data": own})
    world.reconcile()
    assert verified(world) == [False, False]
    signed = {"tls.crt": "Yw==", "tls.key": "Yg=="}
    world.put(kinds.SECRET, {"metadata": {"namespace": NS, "name": TLS}, "data": signed})
    del world.objects[SIGNER]
    world.reconcile()
    assert verified(world) == [True, True]


def test_the_first_istio_gateway_of_several_suffices() -> None:
    world = istio({**MANAGED, "gateway": {"refs": [{"name": "a"}, {"name": "b"}]}})
    world.put(kinds.GATEWAY, gateway(NS, "a", "203.0.113.1"))
    world.put(kinds.GATEWAY, gateway(NS, "b", "203.0.113.1", cls="istio"))
    world.reconcile()
    assert rules(world)


def test_gateways_of_referenced_routes_count() -> None:
    world = istio({"route": {"http": {"refs": [{"name": "mine"}]}}, "scheduler": SCHEDULER})
    spec = {"parentRefs": [{"namespace": GATEWAY[0], "name": GATEWAY[1]}]}
    world.put(kinds.HTTP_ROUTE, {"metadata": {"namespace": NS, "name": "mine"}, "spec": spec})
    world.reconcile()
    assert rules(world) == {SCHEDULER_RULE, WORKLOAD_RULE}


def no_istio(world: RouterWorld) -> None:
    world.put(kinds.GATEWAY, gateway(*GATEWAY, "203.0.113.1"))


@pytest.mark.parametrize(
    "change",
    [
        no_istio,
        lambda world: world.edit_router(None),
        lambda world: world.edit_router({"scheduler": SCHEDULER}),
        lambda world: world.annotate(names.STOP, "true"),
    ],
)
def test_rules_go_when_they_are_not_wanted(change: Any) -> None:
    world = istio()
    world.reconcile()
    change(world)
    world.reconcile()
    assert rules(world) == set()


def test_without_scheduler_only_its_rule_goes() -> None:
    world = istio()
    world.reconcile()
    world.edit_router({"route": {}})
    world.reconcile()
    assert rules(world) == {WORKLOAD_RULE}


def test_an_edited_rule_is_put_back() -> None:
    world = istio()
    world.reconcile()
    world.edit(WORKLOAD_RULE, lambda rule: rule["spec"].update(exportTo=["*", "x"], subsets=[{"name": "s"}]))
    assert [write.ref for write in world.reconcile()] == [WORKLOAD_RULE]
    assert world.objects[WORKLOAD_RULE]["spec"]["exportTo"] == ["*"]


def test_a_rule_of_somebody_else_is_an_error_with_the_wrapper() -> None:
    world = istio()
    world.put(
        kinds.DESTINATION_RULE, {"metadata": {"namespace": NS, "name": SCHEDULER_RULE.name}, "spec": {}}
    )
    world.reconcile()
    found = world.condition("HTTPRoutesReady")
    assert found["reason"] == "PlatformNetworkingReconcileError"
    assert found["message"].startswith(
        "Failed to reconcile platform networking: failed to reconcile Istio destination rule for scheduler: "
        f"failed to update v1.DestinationRule {NS}/{SCHEDULER_RULE.name}: it is not controlled by"
    )


def test_the_shadow_service_gets_a_rule_as_long_as_it_is_there() -> None:
    world = istio()
    world.reconcile()
    world.put(kinds.CORE_SERVICE, shadow("svc-inference-pool-ip-2"))
    world.put(kinds.CORE_SERVICE, shadow("svc-inference-pool-ip-1"))
    world.reconcile()
    assert host(world, SHADOW_RULE) == "svc-inference-pool-ip-1.ns.svc.cluster.local"
    for name in ("svc-inference-pool-ip-1", "svc-inference-pool-ip-2"):
        del world.objects[ObjectRef(kinds.CORE_SERVICE, NS, name)]
    world.reconcile()
    assert SHADOW_RULE not in world.objects


def test_the_shadow_service_of_the_active_generation_is_preferred() -> None:
    world = istio()
    world.reconcile()
    world.put(kinds.CORE_SERVICE, shadow("a", kinds.POOL_GROUP_V1))
    world.put(kinds.CORE_SERVICE, shadow("b", kinds.POOL_GROUP_V1ALPHA2))
    world.reconcile()
    assert host(world, SHADOW_RULE).startswith("b.")
    world.pool_status(V1, accepted())
    world.reconcile()
    assert host(world, SHADOW_RULE).startswith("a.")


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ([kinds.POOL_GROUP_V1], "b."),
        ([kinds.POOL_GROUP_V1ALPHA2], "a."),
        ([kinds.POOL_GROUP_V1, kinds.POOL_GROUP_V1ALPHA2], "a."),
        ([], "a."),
    ],
)
@pytest.mark.parametrize("swapped", [True, False])
def test_the_shadow_service_behind_a_users_route_is_that_of_the_generation_it_names(
    named: list[str], expected: str, *, swapped: bool
) -> None:
    world = istio({"route": {"http": {"refs": [{"name": "mine"}]}}, "scheduler": SCHEDULER})
    refs = [{"group": group, "kind": "InferencePool", "name": V1.name, "port": 8000} for group in named]
    spec = {"parentRefs": [{"namespace": GATEWAY[0], "name": GATEWAY[1]}], "rules": [{"backendRefs": refs}]}
    world.put(kinds.HTTP_ROUTE, {"metadata": {"namespace": NS, "name": "mine"}, "spec": spec})
    groups = [kinds.POOL_GROUP_V1ALPHA2, kinds.POOL_GROUP_V1]
    if swapped:
        groups.reverse()
        expected = {"a.": "b.", "b.": "a."}[expected] if len(named) == 1 else expected
    for name, group in zip("ab", groups, strict=True):
        world.put(kinds.CORE_SERVICE, shadow(name, group))
    world.reconcile()
    assert host(world, SHADOW_RULE).startswith(expected)


def external_pool(kind: kinds.Kind) -> dict[str, Any]:
    field = "endpointPickerRef" if kind == kinds.POOL_V1 else "extensionRef"
    return {
        "metadata": {"namespace": NS, "name": "my-pool"},
        "spec": {field: {"name": f"epp-{kind.version}"}},
    }


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        ([kinds.POOL_V1, kinds.POOL_V1ALPHA2], "epp-v1.ns.svc.cluster.local"),
        ([kinds.POOL_V1ALPHA2], "epp-v1alpha2.ns.svc.cluster.local"),
        ([], None),
    ],
)
def test_scenario_27_the_picker_of_an_external_pool_is_asked_of_that_pool(
    present: list[kinds.Kind], expected: str | None
) -> None:
    world = istio(EXTERNAL)
    for kind in present:
        world.put(kind, external_pool(kind))
    world.reconcile()
    assert WORKLOAD_RULE in world.objects
    missing = (
        f"failed to fetch referenced Inference Pool {NS}/my-pool: "
        'InferencePool.inference.networking.k8s.io "my-pool" not found'
    )
    assert world.error == ("" if expected else missing)
    if expected is None:
        assert SCHEDULER_RULE not in world.objects
        assert world.condition("InferencePoolReady")["message"] == missing
    else:
        assert host(world, SCHEDULER_RULE) == expected


def test_without_the_crd_nothing_is_asked() -> None:
    world = istio()
    world.unserved = frozenset({kinds.DESTINATION_RULE})
    world.reconcile()
    assert world.error == ""
    assert rules(world) == set()


def test_unknown_reads_take_nothing_away() -> None:
    world = istio()
    world.reconcile()
    world.unknown[ObjectRef(kinds.GATEWAY_CLASS, "", "istio")] = "not synced"
    assert world.reconcile() == []
    assert world.retry
    assert rules(world) == {SCHEDULER_RULE, WORKLOAD_RULE}


@pytest.mark.parametrize("kind", [kinds.POOL_V1, kinds.POOL_V1ALPHA2])
@pytest.mark.parametrize("name", ["*.fleet", "a\x00", "a\nb"])
def test_no_host_is_made_of_an_external_pools_picker_that_is_no_service(kind: kinds.Kind, name: str) -> None:
    world = istio(EXTERNAL)
    pool = external_pool(kind)
    for reference in pool["spec"].values():
        reference["name"] = name
    world.put(kind, pool)
    world.reconcile()
    assert SCHEDULER_RULE not in world.objects
    assert f"InferencePool {NS}/my-pool: spec.{next(iter(pool['spec']))}.name: " in world.error
    assert "is no name of a Service" in world.error
