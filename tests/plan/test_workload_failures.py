"""What keeps the objects of a workload from being made: each ends in its own step, and what is others' stays.

Rules: ERR-1, NAME-2.
"""

from dataclasses import replace
from typing import Any

import pytest

from aioctl.api import kinds
from aioctl.api.kinds import ObjectRef
from aioctl.plan import workload
from aioctl.plan.facts import Facts
from aioctl.plan.model import Context, Part
from testbed.plan_world import HF, MAIN, World, errors_of, service
from tests.plan.workload_world import DECODE, SIDECAR, WORKER, run

SINGLE = "failed to reconcile workload: failed to reconcile single node workload: "
MULTI = "failed to reconcile workload: failed to reconcile multi node workload: "
BAD = {**HF, "model": {"uri": "ftp://host/model"}}
UNSUPPORTED = "unsupported schema in model URI: ftp://host/model"


@pytest.mark.parametrize(
    ("spec", "part", "whole"),
    [
        (
            BAD,
            Part.SINGLE_NODE,
            SINGLE + "failed to reconcile main workload: failed to get expected main deployment: "
            f"failed to attach model artifacts to main deployment: {UNSUPPORTED}",
        ),
        (
            {**HF, "template": {**MAIN, "serviceAccountName": "nobody"}},
            Part.SINGLE_NODE,
            SINGLE
            + "failed to reconcile main workload: failed to get expected main deployment: failed to fetch "
            'existing single node main service account ns/nobody: ServiceAccount "nobody" not found',
        ),
        (
            {**HF, "prefill": {"template": {**MAIN, "serviceAccountName": "nobody"}}},
            Part.SINGLE_NODE,
            SINGLE
            + "failed to reconcile prefill workload: failed to get expected prefill deployment: failed to "
            'fetch existing single node prefill service account ns/nobody: ServiceAccount "nobody" not found',
        ),
        (
            {**BAD, "worker": MAIN},
            Part.MULTI_NODE,
            MULTI
            + "failed to reconcile multi-node service account: failed to build the expected main LWS for "
            f"building the Role: failed to attach model artifacts to leader template: {UNSUPPORTED}",
        ),
        (
            {"model": BAD["model"], "worker": MAIN},
            Part.MULTI_NODE,
            MULTI
            + "failed to reconcile multi-node service account: failed to build the expected main LWS for "
            f"building the Role: failed to attach model artifacts to worker template: {UNSUPPORTED}",
        ),
        (
            {**BAD, "template": {}, "prefill": {"worker": {}}},
            Part.MULTI_NODE,
            MULTI
            + "failed to reconcile multi-node prefill workload: failed to build the expected prefill LWS: "
            f"failed to attach model artifacts to prefill worker template: {UNSUPPORTED}",
        ),
    ],
)
def test_what_cannot_be_built_ends_in_the_step_it_belongs_to(
    spec: dict[str, Any], part: Part, whole: str
) -> None:
    failed = run(World(), spec)
    assert failed.part is part
    assert errors_of(failed)[0] == whole


def test_a_missing_account_leaves_only_the_secret_behind() -> None:
    world = World()
    run(world, {**HF, "template": {**SIDECAR, "serviceAccountName": "nobody"}})
    assert [ref.kind.kind for ref in world.objects] == ["Secret"]


def test_a_service_with_a_worker_needs_the_leader_worker_set_kind() -> None:
    world = World(unserved=frozenset({kinds.LEADER_WORKER_SET}))
    assert errors_of(run(world, WORKER))[1] == (
        "failed to reconcile multi-node main workload: failed to get v1.LeaderWorkerSet ns/svc-kserve-mn: "
        'no matches for kind "LeaderWorkerSet" in version "leaderworkerset.x-k8s.io/v1"'
    )
    assert run(World(unserved=frozenset({kinds.LEADER_WORKER_SET})), HF) is None


@pytest.mark.parametrize(
    ("kind", "name", "spec", "whole"),
    [
        (
            kinds.CORE_SERVICE,
            "svc-kserve-workload-svc",
            HF,
            (
                "failed to reconcile workload: failed to reconcile workload service: failed to update v1.Service "
                "ns/svc-kserve-workload-svc: it is not controlled by v1alpha2.LLMInferenceService ns/svc"
            ),
        ),
        (
            kinds.SERVICE_ACCOUNT,
            "svc-kserve",
            DECODE,
            SINGLE + "failed to reconcile service account: failed to reconcile single node service account "
            "ns/svc-kserve: failed to update v1.ServiceAccount ns/svc-kserve: it is not controlled by "
            "v1alpha2.LLMInferenceService ns/svc",
        ),
        (
            kinds.ROLE_BINDING,
            "svc-kserve-mn-scc",
            WORKER,
            (
                "failed to reconcile workload: failed to reconcile workload platform permissions: failed to reconcile "
                "multi-node SCC role binding: failed to update v1.RoleBinding ns/svc-kserve-mn-scc: it is not controlled "
                "by v1alpha2.LLMInferenceService ns/svc"
            ),
        ),
        (
            kinds.SECRET,
            "svc-kserve-self-signed-certs",
            HF,
            (
                "failed to reconcile workload: failed to reconcile self-signed certificates secret: failed to "
                "reconcile self-signed TLS certificate: failed to update v1.Secret ns/svc-kserve-self-signed-certs: "
                "it is not controlled by v1alpha2.LLMInferenceService ns/svc"
            ),
        ),
    ],
)
def test_a_strangers_object_is_named_and_left_alone(
    kind: Any, name: str, spec: dict[str, Any], whole: str
) -> None:
    world = World(unserved=frozenset())
    world.put(kind, name, spec={"ports": []})
    before = world.get(kind, name)
    assert errors_of(run(world, spec))[0] == whole
    assert world.get(kind, name) is before


def test_a_strangers_account_survives_a_service_without_sidecar() -> None:
    world = World()
    world.put(kinds.SERVICE_ACCOUNT, "svc-kserve")
    assert run(world, HF) is None
    assert world.names(kinds.SERVICE_ACCOUNT) == ["svc-kserve"]


def test_an_unknown_read_leaves_its_step_alone() -> None:
    ref = ObjectRef(kinds.SERVICE_ACCOUNT, "ns", "default")
    ctx = World().context(HF)
    facts = Facts(unknown={ref: "not read yet"}, unserved=frozenset({kinds.SCC}))
    steps = list(workload.steps(Context(facts, ctx.service, HF, ctx.config, ctx.policy, ctx.now)))
    assert [part.unanswered for part in steps if part.unanswered] == ["not read yet", "not read yet"]
    assert all(not part.writes for part in steps if part.unanswered)


@pytest.mark.parametrize("name", ["qwen2.5", "7b", "a" * 64])
@pytest.mark.parametrize("spec", [HF, WORKER, DECODE])
def test_a_name_that_no_service_can_bear_costs_nothing(name: str, spec: dict[str, Any]) -> None:
    """One step says so, before certificate and pods; what is there stays (NAME-2)."""
    world = World()
    ctx = world.context(spec)
    renamed = replace(ctx, service={**ctx.service, "metadata": {**ctx.service["metadata"], "name": name}})
    first = next(workload.steps(renamed))
    assert (first.part, first.writes) == (Part.WORKLOAD_SERVICE, ())
    assert first.error.startswith("metadata.name: it")
    assert first.error.endswith("63 characters at most")


@pytest.mark.parametrize("picker", ["7b", "a.b", "*.fleet.svc"])
def test_a_picker_that_no_service_can_be_called_by_costs_nothing(picker: str) -> None:
    """Whether the service wrote the name or a preset did (NAME-2)."""
    pool = {"spec": {"endpointPickerRef": {"name": picker}}}
    spec = {**HF, "router": {"scheduler": {"pool": pool}}}
    first = next(workload.steps(World().context(spec)))
    assert (first.part, first.writes) == (Part.WORKLOAD_SERVICE, ())
    assert first.error.startswith(f'spec.router.scheduler.pool.spec.endpointPickerRef.name: "{picker}" is no')
    theirs = {**HF, "router": {"scheduler": {"pool": {**pool, "ref": {"name": "theirs"}}}}}
    assert next(workload.steps(World().context(theirs))).part is Part.CERTIFICATE


def test_the_name_made_for_the_picker_is_judged_before_its_pods() -> None:
    """The picker's Service keeps more of a long name than the workload's."""
    ctx = World().context({**HF, "router": {"scheduler": {}}})
    name = "a" * 15 + "." + "b" * 40
    renamed = replace(ctx, service={**ctx.service, "metadata": {**ctx.service["metadata"], "name": name}})
    first = next(workload.steps(renamed))
    assert "metadata.name: its endpoint picker's Service would be named" in first.error


@pytest.mark.parametrize("spec", [HF, WORKER, {**HF, "prefill": {"template": MAIN}}])
def test_a_service_that_cannot_be_had_is_told_before_any_pod_is_made(spec: dict[str, Any]) -> None:
    """Somebody else has a Service of that name (WORK-1)."""
    world = World()
    world.put(kinds.CORE_SERVICE, "svc-kserve-workload-svc", owner=service("other"))
    _, shown = errors_of(run(world, spec))
    assert "svc-kserve-workload-svc: it is not controlled by" in shown
    assert world.names(kinds.DEPLOYMENT) == world.names(kinds.LEADER_WORKER_SET) == []


@pytest.mark.parametrize("prefill", [False, True])
def test_pods_that_cannot_be_made_get_no_service(prefill: bool) -> None:
    world = World()
    missing = {"template": {**MAIN, "serviceAccountName": "absent"}}
    assert run(world, {**HF, **({"prefill": missing} if prefill else missing)}) is not None
    assert world.names(kinds.CORE_SERVICE) == []


ABSENT = {"template": {**MAIN, "serviceAccountName": "absent"}}
BARE = {"containers": [{"name": "main"}]}


@pytest.mark.parametrize(
    ("spec", "part", "told"),
    [
        (
            {"prefill": ABSENT},
            Part.SINGLE_NODE,
            "failed to fetch existing single node prefill service account",
        ),
        (
            {"worker": MAIN, "prefill": ABSENT},
            Part.SINGLE_NODE,
            "existing single node prefill service account",
        ),
        (
            {"prefill": {"worker": {**MAIN, "serviceAccountName": "absent"}}},
            Part.MULTI_NODE,
            "failed to create expected multi node service account",
        ),
        ({"prefill": {}}, Part.SINGLE_NODE, "spec.prefill.template.containers: no container, and no config"),
        ({"prefill": {"worker": {}}}, Part.MULTI_NODE, "spec.prefill.worker.containers: no container"),
        (
            {"template": BARE},
            Part.SINGLE_NODE,
            "spec.template.containers[0].image: container main has no image",
        ),
        (
            {"prefill": {"template": {**BARE, "initContainers": [{"name": "a", "image": ""}]}}},
            Part.SINGLE_NODE,
            "spec.prefill.template.initContainers[0].image: container a has no image and no config gives it one",
        ),
        ({"worker": BARE}, Part.MULTI_NODE, "spec.worker.containers[0].image"),
        ({"prefill": {"worker": BARE}}, Part.MULTI_NODE, "spec.prefill.worker.containers[0].image"),
        (
            {
                "storageInitializer": {"enabled": False},
                "prefill": {"template": {**MAIN, "initContainers": [{"name": "storage-initializer"}]}},
            },
            Part.SINGLE_NODE,
            "spec.prefill.template.initContainers[0].image: container storage-initializer has no image",
        ),
        (
            {"router": {"scheduler": {"template": BARE}}},
            Part.WORKLOAD_SERVICE,
            "spec.router.scheduler.template.containers[0].image: container main",
        ),
        (
            {"router": {"scheduler": {"tokenizer": {"template": {"containers": [{}]}}}}},
            Part.WORKLOAD_SERVICE,
            "spec.router.scheduler.tokenizer.template.containers[0].image: the container has no image",
        ),
    ],
)
def test_what_one_side_lacks_is_told_before_the_other_has_pods(
    spec: dict[str, Any], part: Part, told: str
) -> None:
    """WORK-9: accelerators held for a service that cannot serve."""
    world = World()
    failed = run(world, {**HF, **spec})
    assert failed.part is part
    assert told in errors_of(failed)[0]
    assert world.names(kinds.DEPLOYMENT) == world.names(kinds.LEADER_WORKER_SET) == []


@pytest.mark.parametrize(
    "spec",
    [
        {"template": {**MAIN, "initContainers": [{"name": "storage-initializer"}]}},
        {
            "model": {"uri": "pvc://claim", "name": "m"},
            "template": {**MAIN, "initContainers": [{"name": "storage-initializer"}]},
        },
        {"router": {"scheduler": {"pool": {"ref": {"name": "pool"}}, "template": BARE}}},
        {
            "router": {
                "scheduler": {"template": {"containers": [MAIN["containers"][0], {"name": "tokenizer"}]}}
            }
        },
    ],
)
def test_an_image_that_nobody_needs_is_not_asked_for(spec: dict[str, Any]) -> None:
    """WORK-9"""
    assert run(World(), {**HF, **spec}) is None


def test_a_stopped_service_needs_no_image() -> None:
    """WORK-9"""
    stopped = {"serving.kserve.io/stop": "true"}
    assert run(World(), {**HF, "template": BARE}, of=service(annotations=stopped)) is None
