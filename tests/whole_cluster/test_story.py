"""One story on a whole cluster, from an empty one to an empty one: what an administrator and users do to aioctl in its life.

Installed as shipped, run as the cluster's own Deployment; a client reads all services in both versions from the first
replica to the last. The parts build on each other and run in order.
"""

import json
import re
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aioctl.api import kinds, names
from aioctl.api.objects import annotations_of, dig, name_of
from aioctl.plan.finished import FINISHED
from aioctl.process import cluster_domain
from aioctl.sim import seed
from aioctl.upkeep.webhook_certificates import service_names
from aioctl.upkeep.webhook_rotation import (
    RotationPolicy,
    RotationState,
    RotationStep,
    advance,
    from_secret_data,
    to_secret_data,
)
from testbed.real.gateways import ADDRESSED, ENDPOINT_SLICE, ingress
from testbed.real.kubectl import KubectlError
from tests.deploy.manifests import DEPLOY, NAMESPACE
from tests.real_install.installation import CERTIFICATE, MONITOR_CRDS, WEBHOOK_SERVICE
from tests.whole_cluster.fleet import (
    GATEWAY,
    GROUP,
    HPA,
    MOST,
    OTHER,
    OWN_POOL,
    OWN_ROUTE,
    SCALED,
    SHAPES,
    SINGLE,
    TEAM,
    Pool,
)
from tests.whole_cluster.stage import (
    NEXT_IMAGE,
    OVERLAP,
    REPLICA_SET,
    ROOT,
    Stage,
    until,
)
from tests.whole_cluster.watcher import Watcher

pytestmark = pytest.mark.whole
PROMETHEUS = {"prometheus": {"url": "http://prometheus:9090"}}
"""Where KEDA is told to ask for what the variant autoscaler wants."""
QUIET = 5.0
"""Seconds for which nothing may come of it, where nothing shall."""
ISTIO = [obj for obj in seed.world(namespaces=()) if obj["kind"] in ("GatewayClass", "Gateway")]


def test_installed_as_shipped_it_runs(stage: Stage) -> None:
    stage.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(MONITOR_CRDS))
    applied = stage.kubectl.apply(kustomize=DEPLOY / "base")
    stage.kubectl.wait_until_served(applied)
    stage.until_rolled_out()
    # A replica is ready once it has written the bundle; the API server calls it by that a moment later.
    until(lambda: is_applied(stage, DEPLOY / "presets"), "the presets are installed")
    stage.patch(
        kinds.CONFIG_MAP,
        NAMESPACE,
        names.CONFIG_MAP_NAME,
        {"data": {"autoscaling-wva-controller-config": json.dumps(PROMETHEUS)}},
    )
    for namespace in (TEAM, OTHER):
        stage.kubectl("create", "namespace", namespace)
        stage.kubectl.apply(documents=documents(volume(namespace)))
    stage.kubectl.apply(documents=documents(ISTIO))
    (gateway,) = (obj for obj in ISTIO if obj["kind"] == "Gateway")
    give_proxies(stage, NAMESPACE, name_of(gateway))


def test_services_of_every_shape_get_ready_and_migrate(stage: Stage, watcher: Watcher) -> None:
    stage.metrics.values[TEAM, SCALED + HPA] = 1
    for shape in SHAPES.values():
        if shape.needs:
            stage.kubectl.apply(documents=documents(shape.needs))
        service = shape.service()
        kind = kinds.SERVICE_V1ALPHA1 if shape.is_old else kinds.SERVICE
        stage.create(kind, shape.namespace, service)
    give_proxies(stage, TEAM, GATEWAY)
    stage.until_settled()
    assert stage.services().keys() == SHAPES.keys()
    for shape in SHAPES.values():
        for kind, suffix in shape.makes:
            assert stage.find(kind, shape.namespace, shape.name + suffix), (shape.key, suffix)
    pods = stage.items(kinds.POD, TEAM)
    assert {dig(pod, "status", "phase") for pod in pods} == {"Running"}
    owners = {owner["kind"] for pod in pods for owner in pod["metadata"]["ownerReferences"]}
    assert owners == {"ReplicaSet", "StatefulSet"}, "Deployments, and LeaderWorkerSets"
    # What clients reach: every service has endpoints, made by Kubernetes from the labels that we gave.
    slices = {
        dig(found, "metadata", "labels", "kubernetes.io/service-name"): len(found.get("endpoints") or ())
        for found in stage.items(ENDPOINT_SLICE, TEAM)
    }
    for name in stage.services(TEAM):
        assert slices[names.workload_service_name(name.partition("/")[2])] > 0, name
    # Members of a group share the traffic of each by their weights.
    shares = {names.default_pool_name(name): weight for name, weight in GROUP.items()}
    for member in GROUP:
        route = stage.get(kinds.HTTP_ROUTE, TEAM, names.route_name(member))
        shared = [rule["backendRefs"] for rule in route["spec"]["rules"] if len(rule["backendRefs"]) > 1]
        assert shared
        assert all({ref["name"]: ref["weight"] for ref in refs} == shares for refs in shared)
        assert {ref["group"] for refs in shared for ref in refs} == {kinds.POOL_GROUP_V1}
    assert old_pools(stage) == {key for key, shape in SHAPES.items() if shape.pool is Pool.OURS}
    assert watcher.failures == []


def test_scaled_by_kubernetes_autoscaler(stage: Stage, watcher: Watcher) -> None:
    """The variant autoscaler asks for more than there may be; HorizontalPodAutoscaler and Deployment are Kubernetes'."""
    assert len(pods_of(stage, SCALED)) == 1
    stage.metrics.values[TEAM, SCALED + HPA] = MOST + 1
    until_pods(stage, SCALED, MOST)
    stage.metrics.values[TEAM, SCALED + HPA] = 1
    stage.until_settled()
    assert watcher.failures == []


def test_scaled_by_its_spec(stage: Stage, watcher: Watcher) -> None:
    for count in (3, 1):
        stage.patch(kinds.SERVICE, TEAM, SINGLE, {"spec": {"replicas": count}})
        until_pods(stage, SINGLE, count)
        stage.until_settled()
    assert watcher.failures == []


def test_an_edit_is_one_rollout(stage: Stage, watcher: Watcher) -> None:
    before, sets = stage.model_pods(), replica_sets(stage, SINGLE)
    template = stage.get(kinds.SERVICE, TEAM, SINGLE)["spec"]["template"]
    main = next(each for each in template["containers"] if each["name"] == "main")
    main["env"] = [*main.get("env", ()), {"name": "EDITED", "value": "1"}]
    stage.patch(kinds.SERVICE, TEAM, SINGLE, {"spec": {"template": template}})
    until(lambda: not set(before.values()) & set(pods_of(stage, SINGLE).values()), "the pods are new ones")
    stage.until_settled()
    assert len(replica_sets(stage, SINGLE) - sets) == 1
    others = {name: uid for name, uid in before.items() if name not in pods_named(before, SINGLE)}
    assert others.items() <= stage.model_pods().items()
    assert watcher.failures == []


def test_another_version_with_another_default_replaces_no_pod(stage: Stage, watcher: Watcher) -> None:
    before, ours = stage.model_pods(), {pod["metadata"]["uid"] for pod in stage.our_pods()}
    stage.kubectl("set", "image", f"--namespace={NAMESPACE}", "deployment/aioctl", f"aioctl={NEXT_IMAGE}")
    stage.until_rolled_out()
    assert not ours & {pod["metadata"]["uid"] for pod in stage.our_pods()}

    def held() -> bool:
        said = [stage.condition(service, "PodFormCurrent")[1] for service in stage.services().values()]
        return "HeldBack" in said

    until(held, "the new version says what it holds back")
    # An administrator's new image of the initializer is no reason either.
    settings = stage.get(kinds.CONFIG_MAP, NAMESPACE, names.CONFIG_MAP_NAME)["data"]["storageInitializer"]
    other = {**json.loads(settings), "image": "kserve/storage-initializer:next"}
    stage.patch(
        kinds.CONFIG_MAP,
        NAMESPACE,
        names.CONFIG_MAP_NAME,
        {"data": {"storageInitializer": json.dumps(other)}},
    )
    time.sleep(QUIET)  # nothing may come of it
    stage.until_settled()
    until(lambda: len(stage.model_pods()) == len(before), "no rollout goes on")
    assert stage.model_pods() == before
    assert stage.node.ended == [0, 0], stage.node.tail()
    assert watcher.failures == []


def test_the_leader_is_deleted_and_another_one_leads(stage: Stage, watcher: Watcher) -> None:
    before, leader = stage.model_pods(), stage.leader()
    stage.kubectl("delete", "pod", leader, f"--namespace={NAMESPACE}", "--wait=false")
    stage.patch(kinds.SERVICE, TEAM, SINGLE, {"spec": {"replicas": 2}})
    until_pods(stage, SINGLE, 2)
    stage.until_settled()
    assert before.items() <= stage.model_pods().items()
    stage.until_rolled_out()
    assert stage.leader() != leader
    assert watcher.failures == []


def test_the_leader_is_killed_and_only_calls_of_its_own_are_cut(stage: Stage, watcher: Watcher) -> None:
    """Nobody can take over a connection: until Kubernetes knows, the API server calls whoever is gone, and tries once."""
    before, leader = stage.model_pods(), stage.leader()
    address = next(dig(p, "status", "podIP") for p in stage.our_pods() if p["metadata"]["name"] == leader)
    stage.node.kill(leader)
    path = kinds.SERVICE.path(TEAM, SINGLE)

    def is_written() -> bool:
        answer = stage.admin("PATCH", path, {"spec": {"replicas": 3}})
        assert answer.status == 200 or f"{address}:" in answer.message, answer.body
        return answer.status == 200

    until(is_written, "a write goes through")
    until_pods(stage, SINGLE, 3)
    stage.until_settled()
    stage.until_rolled_out()
    assert before.items() <= stage.model_pods().items()
    assert [failure for failure in watcher.failures if f"{address}:" not in failure] == []
    watcher.failures.clear()
    reads = watcher.reads
    until(lambda: watcher.reads > reads + 10, "conversions go on")
    assert watcher.failures == []


def test_certificates_are_rotated_under_load(stage: Stage, watcher: Watcher) -> None:
    """Its first step is written here, as a replica would once the time has come; all others are the replicas'."""
    before = rotation(stage)
    policy = RotationPolicy(
        service_names(WEBHOOK_SERVICE, NAMESPACE, cluster_domain("cluster.local")), timedelta(seconds=OVERLAP)
    )
    data = to_secret_data(advance(before, RotationStep.BEGIN, datetime.now(UTC), policy))
    stage.patch(kinds.SECRET, NAMESPACE, CERTIFICATE, {"data": data})

    def over() -> bool:
        now = rotation(stage)
        return now.current.ca != before.current.ca and now.next is None and not now.previous_ca

    until(over, "the rotation is over")
    reads = watcher.reads
    until(lambda: watcher.reads > reads + 10, "conversions go on")
    assert watcher.failures == []


def test_a_stopped_service_has_no_pods_and_comes_back(stage: Stage, watcher: Watcher) -> None:
    stage.patch(kinds.SERVICE, TEAM, SINGLE, {"metadata": {"annotations": {names.STOP: "true"}}})
    until_pods(stage, SINGLE, 0)
    until(lambda: not replica_sets(stage, SINGLE), "what the garbage collector takes along is gone")
    stage.patch(kinds.SERVICE, TEAM, SINGLE, {"metadata": {"annotations": {names.STOP: None}}})
    until_pods(stage, SINGLE, 3)
    stage.until_settled()
    assert watcher.failures == []


def test_a_namespace_with_services_can_be_deleted(stage: Stage, watcher: Watcher) -> None:
    before = stage.model_pods(TEAM)
    stage.kubectl("delete", "namespace", OTHER, "--timeout=600s")
    assert stage.services(OTHER) == {}
    bindings = stage.items(kinds.CLUSTER_ROLE_BINDING, labels="app.kubernetes.io/part-of=llminferenceservice")
    assert not [found for found in bindings if any(s.get("namespace") == OTHER for s in found["subjects"])]
    assert stage.model_pods(TEAM) == before
    stage.until_settled()
    assert watcher.failures == []


def test_finish_removes_the_old_pools_and_nothing_else(stage: Stage, watcher: Watcher) -> None:
    finish = "aioctl finish --all-namespaces --yes --soak 0"
    with pytest.raises(AssertionError, match=r"x\s+no pod reads v1alpha2 pools"):
        stage.shell(finish)
    assert old_pools(stage) == {
        key for key, shape in SHAPES.items() if shape.pool is Pool.OURS and shape.namespace == TEAM
    }
    theirs = [
        stage.get(kinds.HTTP_ROUTE, TEAM, OWN_ROUTE)["spec"],
        stage.get(kinds.POOL_V1, TEAM, OWN_POOL)["spec"],
    ]
    # What the shipped presets tell the sidecars: the administrator takes it out, as advised, and their pods roll.
    flag = f"--pool-group={kinds.POOL_GROUP_V1ALPHA2}"
    without = f"kubectl kustomize deploy/presets | grep -v -e {flag}"
    stage.shell(f"{without} | kubectl apply --server-side --force-conflicts -f -")
    until(lambda: not pods_told(stage, flag), lambda: f"these have the flag: {pods_told(stage, flag)}")
    stage.until_settled()
    before = stage.model_pods()
    stage.shell(finish)
    assert stage.items(kinds.POOL_V1ALPHA2) == []
    stage.until_settled()
    # Services without a pool of their own are in nobody's way, and what users made is as they made it.
    found = [
        stage.get(kinds.HTTP_ROUTE, TEAM, OWN_ROUTE)["spec"],
        stage.get(kinds.POOL_V1, TEAM, OWN_POOL)["spec"],
    ]
    assert found == theirs
    marked = {
        name
        for name, service in stage.services().items()
        if annotations_of(service).get(names.OLD_POOLS) == FINISHED
    }
    assert marked == {
        key for key, shape in SHAPES.items() if shape.pool is Pool.OURS and shape.namespace == TEAM
    }
    routes = stage.items(kinds.HTTP_ROUTE)
    assert kinds.POOL_GROUP_V1ALPHA2 not in json.dumps([route["spec"] for route in routes])
    assert stage.model_pods() == before
    assert watcher.failures == []


def test_uninstalled_as_documented_nothing_is_left(stage: Stage, watcher: Watcher) -> None:
    watcher.stop()
    assert watcher.failures == []
    assert watcher.changes > len(SHAPES)
    assert all(count > len(SHAPES) for count in watcher.read_in.values()), watcher.read_in
    in_order, _ = ways_out()
    stage.shell(in_order)
    for namespace in (TEAM, "kserve"):
        stage.kubectl("delete", "namespace", namespace, "--ignore-not-found", "--timeout=600s")
    stage.kubectl("delete", "-f", "-", "--ignore-not-found", stdin=json.dumps(MONITOR_CRDS))
    stage.kubectl("delete", "gatewayclass", "istio")
    stage.kubectl("delete", "persistentvolume", "--all")
    until(lambda: not stage.left(), lambda: f"left: {sorted(stage.left())}")


def give_proxies(stage: Stage, namespace: str, gateway: str) -> None:
    """A Service with an address for a Gateway, and an endpoint behind it."""
    found = ingress(namespace)
    stage.create(kinds.CORE_SERVICE, namespace, found.service)
    stage.patch(kinds.CORE_SERVICE, namespace, name_of(found.service), {"status": ADDRESSED}, "status")
    stage.create(ENDPOINT_SLICE, namespace, found.endpoints)
    stage.patch(kinds.GATEWAY, namespace, gateway, found.gateway)


def documents(objects: Iterable[dict[str, Any]]) -> str:
    """As a file of several has them."""
    return "\n---\n".join(json.dumps(obj) for obj in objects)


def old_pools(stage: Stage) -> set[str]:
    """Services with a v1alpha2 InferencePool, by namespace and name."""
    held = {(pool["metadata"]["namespace"], name_of(pool)) for pool in stage.items(kinds.POOL_V1ALPHA2)}
    found = {
        key for key, shape in SHAPES.items() if (shape.namespace, names.default_pool_name(shape.name)) in held
    }
    assert len(found) == len(held), held
    return found


def volume(namespace: str) -> list[dict[str, Any]]:
    """The claim that services of the fleet keep models in, and a volume for it: a pod without one is never scheduled."""
    common = {"accessModes": ["ReadOnlyMany"], "storageClassName": ""}
    claim = {"name": "models", "namespace": namespace}
    room = {"storage": "1Gi"}
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": f"models-{namespace}"},
            "spec": {**common, "capacity": room, "claimRef": claim, "hostPath": {"path": "/models"}},
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": claim,
            "spec": {**common, "volumeName": f"models-{namespace}", "resources": {"requests": room}},
        },
    ]


def is_applied(stage: Stage, folder: Path) -> bool:
    try:
        stage.kubectl.apply(kustomize=folder)
    except KubectlError as error:
        if "certificate signed by unknown authority" not in str(error):
            raise
        return False
    return True


def pods_named(pods: dict[str, str], service: str) -> dict[str, str]:
    """Those of the Deployment of that service of the team, not of its picker."""
    name = re.compile(rf"{TEAM}/{service}-kserve-[0-9a-f]+-\w+")
    return {pod: uid for pod, uid in pods.items() if name.fullmatch(pod)}


def pods_of(stage: Stage, service: str) -> dict[str, str]:
    return pods_named(stage.model_pods(TEAM), service)


def pods_told(stage: Stage, argument: str) -> list[str]:
    """Names of the pods of services with that argument somewhere."""
    found = [pod for pod in stage.items(kinds.POD) if argument in json.dumps(pod["spec"])]
    return [pod["metadata"]["name"] for pod in found if pod["metadata"]["namespace"] != NAMESPACE]


def until_pods(stage: Stage, service: str, count: int) -> None:
    until(lambda: len(pods_of(stage, service)) == count, f"{service} has {count} pods")


def replica_sets(stage: Stage, service: str) -> set[str]:
    """UIDs of those of the service's own Deployment."""
    return {
        found["metadata"]["uid"]
        for found in stage.items(REPLICA_SET, TEAM)
        if any(owner["name"] == f"{service}-kserve" for owner in found["metadata"].get("ownerReferences", ()))
    }


def rotation(stage: Stage) -> RotationState:
    """What the Secret of the webhooks holds."""
    state = from_secret_data(stage.get(kinds.SECRET, NAMESPACE, CERTIFICATE)["data"])
    assert not isinstance(state, str), state
    return state


def ways_out() -> list[str]:
    """The shell blocks of the section on uninstalling, in order."""
    page = (ROOT / "docs" / "operations.md").read_text()
    section = page.split("## Uninstalling", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
