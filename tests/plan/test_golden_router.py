"""Routes, pools, models, Istio rules and the status of every recorded case, planned whole on an empty cluster.

A player answers as in the recordings: workloads available, gateways programmed at 10.9.9.9, pools and routes accepted.
Then what stands there must be what the Go controller's cluster held. Where a Decision makes us differ, the case stands in
the table with the reason; an entry that no longer differs fails the test.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from aioctl.api import kinds, names
from aioctl.api.equality import equal
from aioctl.api.kinds import Kind, ObjectRef
from aioctl.api.objects import Object, dig, sequence
from aioctl.plan import reconcile, status
from aioctl.plan.model import Facts, Outcome, Plan, Policy
from aioctl.plan.route_defaults import defaulted
from tests.plan.router_world import accepted, condition, parent
from tests.plan.test_golden_children import (
    CASES,
    add_recorded,
    namespace_of_case,
    recorded,
    services,
    world_of,
)
from tests.support.plan_world import NOW, World

GATEWAY = ("kserve", "kserve-ingress-gateway")
COMPARED = (
    kinds.HTTP_ROUTE,
    kinds.POOL_V1,
    kinds.POOL_V1ALPHA2,
    kinds.MODEL,
    kinds.DESTINATION_RULE,
)
STATUS = "status"
IN_CLUSTER = "50 section 11: without a route the addresses are those of the workload"
V1ALPHA2_FIRST = "40 section 16: the v1alpha2 pool is made before the v1 pool that fails"
BUILD_WANTED = "30 section 1: only what is wanted is built, the reason follows the part that failed"
CRITICALITY = "40 section 12: the annotation that carries criticality is read"
WORKLOADS = ("svc MainWorkloadReady", "svc Ready", "svc WorkloadsReady")
GOES_ON = (
    "svc addresses",
    "svc HTTPRoutesReady",
    "svc InferencePoolReady",
    "svc Ready",
    "svc RouterReady",
    "svc SchedulerWorkloadReady",
    "v1 svc-kserve-route ours",
    "v1 svc-inference-pool ours",
    "v1alpha2 svc-inference-pool ours",
)
RULES = ("v1 svc-kserve-scheduler ours", "v1 svc-kserve-workload-svc ours")
DIFFERENT: dict[str, tuple[str, tuple[str, ...]]] = {
    "bad-scheme": (BUILD_WANTED, ("error", *WORKLOADS)),
    "gateway-refs": (
        "50 section 2.1: a gateway ref without namespace is one of the service's namespace",
        (
            "svc addresses",
            "svc GatewaysReady",
            "svc HTTPRoutesReady",
            "svc InferencePoolReady",
            "svc Ready",
            "svc RouterReady",
            "v1 svc-kserve-route ours",
            *RULES,
        ),
    ),
    "hf-token": (IN_CLUSTER, ("svc addresses",)),
    "minimal": (IN_CLUSTER, ("svc addresses",)),
    "minimal-a1": (IN_CLUSTER, ("svc addresses",)),
    "pool-foreign": (V1ALPHA2_FIRST, ("v1alpha2 svc-inference-pool ours",)),
    "pool-inline-a1": (CRITICALITY, ("v1alpha2 svc-inference-model spec",)),
    "pool-two-ports": ("the dictionary does not refuse the pool as the CRD did", (*GOES_ON, *RULES)),
    "route-inline": (
        "50 section 4.6: a rule that refers to v1 only is left alone",
        ("v1 svc-kserve-route spec",),
    ),
    "router-all-a1": (CRITICALITY, ("v1alpha2 svc-inference-model spec",)),
    "s3-default-sa": (IN_CLUSTER, ("svc addresses",)),
    "sa-missing": (BUILD_WANTED, ("error", *WORKLOADS)),
    "scheduler-template": (
        "40 section 5: an account named by the user is used",
        (*GOES_ON, "v1alpha2 svc-inference-model ours", *RULES),
    ),
    "upd-drop-prefill": (
        "30 sections 4 and 14: the Deployment is replaced, conditions that do not apply go",
        ("svc MainWorkloadReady", "svc PrefillWorkloadReady", "svc Ready", "svc WorkloadsReady"),
    ),
    "upd-drop-scheduler": (
        "40 section 7.2: the condition goes with the picker",
        ("svc SchedulerWorkloadReady",),
    ),
}
TAKEOVER: dict[str, tuple[str, ...]] = {}


def config_map() -> dict[str, Any]:
    data = {
        "ingress": {"kserveIngressGateway": "kserve/kserve-ingress-gateway", "ingressGateway": "kserve/x"},
        "storageInitializer": {
            "image": "kserve/storage-initializer:latest",
            "memoryRequest": "100Mi",
            "memoryLimit": "1Gi",
            "cpuRequest": "100m",
            "cpuLimit": "1",
            "cpuModelcar": "10m",
            "memoryModelcar": "15Mi",
            "enableModelcar": True,
        },
        "credentials": {
            "storageSecretNameAnnotation": "serving.kserve.io/storageSecretName",
            "gcs": {"gcsCredentialFileName": "gcloud-application-credentials.json"},
            "s3": {
                "s3AccessKeyIDName": "AWS_ACCESS_KEY_ID",
                "s3SecretAccessKeyName": "AWS_SECRET_ACCESS_KEY",
            },
        },
    }
    return {key: json.dumps(value) for key, value in data.items()}


def settle(world: World, service: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Runs plan, apply, player and status until nothing changes; the service, and the error it ended with."""
    for _ in range(8):
        play(world, service["metadata"]["namespace"])
        facts = Facts(dict(world.objects), unserved=world.unserved, certificates=world.certificates)
        plan = reconcile.plan(facts, service, Policy(), NOW)
        count = len(world.writes)
        failed = world.run(step for step in plan.steps if step.part.value != "finalizer")
        world.writes[:] = [write for write in world.writes if write.kind is not kinds.SERVICE]
        outcome = Outcome(failed=failed, error=failed.error if failed else "")
        play(world, service["metadata"]["namespace"])
        after = Facts(dict(world.objects), unserved=world.unserved, certificates=world.certificates)
        made = status.conclude(plan, outcome, after, Policy(), NOW)
        if status.status_equal(made, service.get("status") or {}) and len(world.writes) == count:
            break
        service = {**service, "status": made}
    return service, text_of(plan, outcome)


def text_of(plan: Plan, outcome: Outcome) -> str:
    failed = outcome.failed
    return "" if failed is None else f"{failed.outer}{failed.inner}{outcome.error}"


def play(world: World, namespace: str) -> None:
    """What the recordings' player answers."""
    gateways = [GATEWAY] + [
        (ref.namespace, ref.name)
        for ref in world.objects
        if ref.kind is kinds.GATEWAY and ref.namespace == namespace
    ]
    for ref, obj in list(world.objects.items()):
        answer: dict[str, Any] | None = None
        if ref.kind in (kinds.DEPLOYMENT, kinds.LEADER_WORKER_SET):
            answer = {"conditions": [condition("Available")]}
        elif ref.kind is kinds.GATEWAY:
            answer = {"conditions": [condition("Programmed")], "addresses": [{"value": "10.9.9.9"}]}
        elif ref.kind is kinds.POOL_V1:
            answer = {"parents": [parent(*key, accepted()) for key in gateways]}
        elif ref.kind is kinds.POOL_V1ALPHA2:
            answer = {"parent": [parent(*key, accepted()) for key in gateways]}
        elif ref.kind is kinds.HTTP_ROUTE:
            refs = sequence(obj, "spec", "parentRefs")
            answer = {
                "parents": [
                    parent(each.get("namespace", ref.namespace), each["name"], accepted()) for each in refs
                ]
            }
        if answer is not None:
            world.objects[ref] = {**obj, "status": answer}


def cluster(case: dict[str, Any]) -> World:
    world = world_of(case)
    world.put(kinds.CONFIG_MAP, names.CONFIG_MAP_NAME, "kserve", data=config_map())
    spec = {
        "gatewayClassName": "istio",
        "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}],
    }
    world.put(kinds.GATEWAY, GATEWAY[1], GATEWAY[0], spec=spec)
    world.put(kinds.GATEWAY_CLASS, "istio", spec={"controllerName": "istio.io/gateway-controller"})
    return world


def stored_objects(case: dict[str, Any], kind: Kind) -> dict[ObjectRef, Any]:
    prefix = f"{kind.api_version}/{kind.plural}/"
    return {
        ObjectRef(kind, namespace_of_case(case), path.removeprefix(prefix)): obj
        for path, obj in (case.get("objects") or {}).items()
        if path.startswith(prefix)
    }


def differences(case: dict[str, Any]) -> Iterator[str]:
    world = cluster(case)
    given = set(world.objects)
    for service in services(case):
        wanted = service.get("status") or {}
        metadata = {**service["metadata"], "generation": 1}
        settled, error = settle(world, {**service, "status": {}, "metadata": metadata})
        if error and f"Warning Error: Reconciliation failed: {error}" not in (case.get("events") or ()):
            yield "error"
        yield from (
            f"{service['metadata']['name']} {each}" for each in status_differences(settled["status"], wanted)
        )
    for kind in COMPARED if services(case) else ():
        theirs = stored_objects(case, kind)
        ours = {ref: obj for ref, obj in world.objects.items() if ref.kind is kind and ref not in given}
        for ref in sorted(ours.keys() ^ (theirs.keys() - given)):
            yield f"{ref.kind.version} {ref.name} {'ours' if ref in ours else 'theirs'}"
        for ref in sorted(ours.keys() & theirs.keys()):
            yield from (f"{ref.kind.version} {ref.name} {field}" for field in fields(ours[ref], theirs[ref]))


def status_differences(ours: Object, theirs: Object) -> Iterator[str]:
    for field in ("url", "addresses"):
        if not equal(ours.get(field), theirs.get(field)):
            yield field
    wanted = {entry["type"]: entry for entry in sequence(theirs, "conditions")}
    made = {
        entry["type"]: {key: value for key, value in entry.items() if key != "lastTransitionTime"}
        for entry in sequence(ours, "conditions")
    }
    yield from sorted(
        type_ for type_ in wanted.keys() | made.keys() if not equal(wanted.get(type_), made.get(type_))
    )


def fields(ours: Object, theirs: Object) -> Iterator[str]:
    spec = defaulted(ours["spec"]) if "rules" in ours["spec"] else pool_defaults(ours["spec"])
    if not equal(spec, theirs["spec"]):
        yield "spec"
    for field in ("labels", "annotations"):
        if not equal(dig(ours, "metadata", field), dig(theirs, "metadata", field)):
            yield field
    owners = [
        {key: value for key, value in owner.items() if key != "uid"}
        for owner in sequence(ours, "metadata", "ownerReferences")
    ]
    if not equal(owners, dig(theirs, "metadata", "ownerReferences")):
        yield "owners"


def pool_defaults(spec: Any) -> dict[str, Any]:
    filled = dict(spec)
    for field in ("endpointPickerRef", "extensionRef"):
        if field in filled:
            filled[field] = {"group": "", "kind": "Service", "failureMode": "FailClose", **filled[field]}
    return filled


@pytest.mark.parametrize("name", CASES)
def test_a_recorded_case_ends_with_the_router_and_the_status_it_had(name: str) -> None:
    reason, expected = DIFFERENT.get(name, ("", ()))
    assert list(differences(recorded(name))) == [entry.format(case=name) for entry in expected], reason


@pytest.mark.parametrize("name", [name for name in CASES if name not in DIFFERENT or name in TAKEOVER])
def test_taking_over_a_recorded_router_writes_nothing(name: str) -> None:
    case = recorded(name)
    world = cluster(case)
    add_recorded(world, case)
    for kind in COMPARED:
        for ref, obj in stored_objects(case, kind).items():
            owners = [
                {**owner, "uid": f"uid-{owner['name']}"}
                for owner in sequence(obj, "metadata", "ownerReferences")
            ]
            metadata = {**obj["metadata"], "uid": ref.name, "generation": 1, "ownerReferences": owners}
            world.objects.setdefault(ref, {**obj, "metadata": metadata})
    writes = []
    for service in services(case):
        facts = Facts(world.objects, unserved=world.unserved, certificates=world.certificates)
        plan = reconcile.plan(facts, service, Policy(), NOW)
        writes += [
            f"{write.verb.value} {write.name}"
            for step in plan.steps
            for write in step.writes
            if write.kind in COMPARED
        ]
    assert writes == list(TAKEOVER.get(name, ()))
