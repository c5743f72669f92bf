"""The ten workload steps: what exists in each topology, what goes, what errors say (WORK-1, SVC-1, SVC-2, EQ-1, ENV-1).

Rules: WORK-2, WORK-3, WORK-4, WORK-5, MULTI-1, SINGLE-1.
"""

from dataclasses import replace
from typing import Any

import pytest

from aioctl.api import kinds
from aioctl.api.kinds import ObjectRef
from aioctl.api.objects import labels_of
from aioctl.plan.global_config import GlobalConfig, RoutingConfig
from aioctl.plan.model import Verb
from aioctl.plan.policy import Policy
from aioctl.plan.workload.service import speaks_tls
from testbed.plan_world import CONFIG, HF, MAIN, World, service
from tests.plan.workload_world import DECODE, SIDECAR, WORKER, run, without_record

MN: dict[str, Any] = {
    **HF,
    "template": SIDECAR,
    "worker": {"containers": [{"name": "main", "image": "w:1"}]},
    "parallelism": {"data": 10, "dataLocal": 2},
    "prefill": {"template": MAIN, "worker": MAIN, "parallelism": {"data": 3, "dataLocal": 1}},
    "router": {"scheduler": {"pool": {"ref": {"name": "their-pool"}}}},
}


def settle(world: World, spec: dict[str, Any], **more: Any) -> None:
    """Two reconciles: the second sees the addresses the first one's Services got."""
    assert run(world, spec, **more) is None
    assert run(world, spec, **more) is None
    world.writes.clear()


def environment(container: dict[str, Any]) -> dict[str, Any]:
    return {entry["name"]: entry.get("value") for entry in container["env"]}


def test_a_plain_service_has_a_deployment_a_service_and_a_secret() -> None:
    world = World()
    assert run(world, HF) is None
    assert [(write.verb, write.kind.kind, write.name) for write in world.writes] == [
        (Verb.CREATE, "Secret", "svc-kserve-self-signed-certs"),
        (Verb.CREATE, "Service", "svc-kserve-workload-svc"),
        (Verb.CREATE, "Deployment", "svc-kserve"),
    ]
    for write in world.writes:
        assert write.event == f"Created {write.kind.type_name} ns/{write.name}"
        assert write.body is not None
        assert write.body["metadata"]["ownerReferences"][0]["uid"] == "uid-ns-svc"
    deployment = world.get(kinds.DEPLOYMENT, "svc-kserve")
    labels = {
        "app.kubernetes.io/component": "llminferenceservice-workload",
        "app.kubernetes.io/name": "svc",
        "app.kubernetes.io/part-of": "llminferenceservice",
        "kserve.io/component": "workload",
        "llm-d.ai/role": "both",
    }
    assert labels_of(deployment) == deployment["spec"]["selector"]["matchLabels"] == labels
    assert deployment["spec"]["template"]["metadata"] == {"labels": labels}


@pytest.mark.parametrize("tls", [None, False, True])
def test_the_workload_service_says_what_its_pods_speak(tls: bool | None) -> None:
    world = World()
    settle(world, HF)
    assert run(world, HF, config=spoken(tls)) is None
    name = "https" if tls else "http"
    port = {"name": name, "port": 8000, "protocol": "TCP", "appProtocol": name, "targetPort": 8000}
    assert world.get(kinds.CORE_SERVICE, "svc-kserve-workload-svc")["spec"]["ports"] == [port]
    assert [(write.verb, write.name) for write in world.writes] == (
        [(Verb.UPDATE, "svc-kserve-workload-svc")] if tls else []
    )


def spoken(tls: bool | None) -> GlobalConfig:
    return replace(CONFIG, routing=RoutingConfig(enable_tls=tls))


@pytest.mark.parametrize(
    ("before", "now", "warned"),
    [
        (True, None, True),
        (True, False, False),
        (True, True, False),
        (False, None, False),
        (None, None, False),
        (None, True, False),
    ],
)
def test_tls_that_nobody_switched_off_does_not_go_without_a_warning(
    before: bool | None, now: bool | None, warned: bool
) -> None:
    world = World()
    settle(world, HF, config=spoken(before))
    labelled = {**HF, "labels": {"a": "b"}}
    assert run(world, labelled, config=spoken(now)) is None
    (write,) = (write for write in world.writes if write.kind is kinds.CORE_SERVICE)
    assert [reason for reason, _ in write.warnings] == ["PlainHTTPByDefault"] * warned
    world.writes.clear()
    assert run(world, labelled, config=spoken(now)) is None
    assert world.writes == []


@pytest.mark.parametrize("of", [{}, {"serving.kserve.io/stop": "true"}])
def test_a_service_that_is_made_or_goes_has_no_tls_to_lose(of: dict[str, str]) -> None:
    world = World()
    if of:
        settle(world, HF, config=spoken(True))
    assert run(world, HF, of=service(annotations=of), config=spoken(None)) is None
    (write,) = (write for write in world.writes if write.kind is kinds.CORE_SERVICE)
    assert write.verb is (Verb.DELETE if of else Verb.CREATE)
    assert write.warnings == ()


@pytest.mark.parametrize(
    ("port", "secure"),
    [
        ({"name": "https", "port": 8000}, True),
        ({"name": "serving", "port": 8000, "appProtocol": "https"}, True),
        ({"name": "http", "port": 8000, "appProtocol": "http"}, False),
        ({"name": "https", "port": 443}, False),
        ({"port": 8000}, False),
    ],
)
def test_name_or_protocol_of_the_one_port_says_that_pods_speak_tls(
    port: dict[str, Any], secure: bool
) -> None:
    assert speaks_tls({"spec": {"ports": [port]}}) is secure


@pytest.mark.parametrize("spec", [HF, DECODE, WORKER, MN])
def test_a_settled_service_needs_no_write(spec: dict[str, Any]) -> None:
    world = World()
    settle(world, spec)
    world.put(kinds.POD, "pending", metadata={"labels": {"app.kubernetes.io/name": "svc"}}, status={})
    assert run(world, spec) is None
    assert world.writes == []


def test_kueue_metadata_reaches_deployment_and_pods_but_not_the_selector() -> None:
    of = service(
        labels={"kueue.x-k8s.io/queue-name": "q", "test": "t"},
        annotations={"kueue.x-k8s.io/a": "1", "k8s.v1.cni.cncf.io/networks": "n", "test": "t"},
    )
    world = World()
    assert run(world, HF, of=of) is None
    deployment = world.get(kinds.DEPLOYMENT, "svc-kserve")
    template = deployment["spec"]["template"]["metadata"]
    assert template["annotations"] == {"kueue.x-k8s.io/a": "1", "k8s.v1.cni.cncf.io/networks": "n"}
    assert without_record(deployment["metadata"]["annotations"]) == template["annotations"]
    assert template["labels"]["kueue.x-k8s.io/queue-name"] == "q"
    assert "test" not in template["labels"]
    assert "kueue.x-k8s.io/queue-name" not in deployment["spec"]["selector"]["matchLabels"]


def test_metadata_that_the_service_no_longer_has_goes_from_deployment_and_pods() -> None:
    of = service(
        labels={"kueue.x-k8s.io/queue-name": "q", "kueue.x-k8s.io/priority-class": "p"},
        annotations={"k8s.v1.cni.cncf.io/networks": "n"},
    )
    world = World()
    settle(world, HF, of=of)
    live = world.get(kinds.DEPLOYMENT, "svc-kserve")
    live["metadata"]["labels"]["mine"] = live["metadata"]["annotations"]["mine"] = "x"
    live["spec"]["template"]["metadata"]["annotations"]["mine"] = "x"
    settle(world, HF, of=service(labels={"kueue.x-k8s.io/queue-name": "q"}))
    deployment = world.get(kinds.DEPLOYMENT, "svc-kserve")
    metadata, template = deployment["metadata"], deployment["spec"]["template"]["metadata"]
    for found in (metadata, template):
        assert [key for key in found["labels"] if "kueue" in key] == ["kueue.x-k8s.io/queue-name"]
        assert without_record(found["annotations"]) == {"mine": "x"}
    assert metadata["labels"]["mine"] == "x"
    assert run(world, HF, of=service(labels={"kueue.x-k8s.io/queue-name": "q"})) is None
    assert world.writes == []


def test_the_live_selector_stays_while_the_new_pods_satisfy_it() -> None:
    of = service(labels={"kueue.x-k8s.io/queue-name": "q"})
    world = World()
    settle(world, HF, of=of)
    deployment = world.get(kinds.DEPLOYMENT, "svc-kserve")
    deployment["spec"]["selector"] = {
        "matchLabels": {**deployment["spec"]["selector"]["matchLabels"], "kueue.x-k8s.io/queue-name": "q"}
    }
    assert run(world, HF, of=of) is None
    assert world.writes == []
    changed = {**HF, "template": {"containers": [{"name": "main", "image": "vllm:v2"}]}}
    assert run(world, changed, of=of) is None
    assert [write.verb for write in world.writes] == [Verb.UPDATE]
    assert world.get(kinds.DEPLOYMENT, "svc-kserve")["spec"]["selector"] == deployment["spec"]["selector"]


def test_a_selector_that_no_longer_fits_replaces_the_deployment() -> None:
    world = World()
    settle(world, DECODE)
    without = {**HF, "router": {}}
    assert run(world, without) is None
    assert [(write.verb, write.kind.kind, write.name) for write in world.writes] == [
        (Verb.DELETE, "Deployment", "svc-kserve"),
        (Verb.DELETE, "Deployment", "svc-kserve-prefill"),
    ]
    world.writes.clear()
    assert run(world, without) is None
    assert [(write.verb, write.kind.kind, write.name) for write in world.writes] == [
        (Verb.DELETE, "RoleBinding", "svc-kserve-rb"),
        (Verb.DELETE, "Role", "svc-kserve-role"),
        (Verb.DELETE, "ServiceAccount", "svc-kserve"),
        (Verb.CREATE, "Deployment", "svc-kserve"),
    ]
    assert labels_of(world.get(kinds.DEPLOYMENT, "svc-kserve"))["llm-d.ai/role"] == "both"


def test_prefill_and_decode_with_sidecar() -> None:
    world = World()
    assert run(world, DECODE) is None
    main = world.get(kinds.DEPLOYMENT, "svc-kserve")["spec"]["template"]
    prefill = world.get(kinds.DEPLOYMENT, "svc-kserve-prefill")["spec"]["template"]
    assert main["metadata"]["labels"]["llm-d.ai/role"] == "decode"
    assert prefill["metadata"]["labels"]["llm-d.ai/role"] == "prefill"
    assert (
        prefill["metadata"]["labels"]["app.kubernetes.io/component"] == "llminferenceservice-workload-prefill"
    )
    assert main["spec"]["serviceAccountName"] == "svc-kserve"
    assert environment(main["spec"]["initContainers"][0]) == {
        "A": "b",
        "INFERENCE_POOL_NAME": "svc-inference-pool",
    }
    assert world.get(kinds.ROLE_BINDING, "svc-kserve-rb")["subjects"] == [
        {"kind": "ServiceAccount", "name": "svc-kserve", "namespace": "ns"}
    ]
    rules = [
        (rule["apiGroups"], rule["resources"]) for rule in world.get(kinds.ROLE, "svc-kserve-role")["rules"]
    ]
    assert rules == [
        ([""], ["pods"]),
        (["inference.networking.x-k8s.io", "inference.networking.k8s.io"], ["inferencepools"]),
    ]


def test_without_a_router_the_sidecar_is_told_no_pool() -> None:
    world = World()
    run(world, {**HF, "template": SIDECAR})
    pod = world.get(kinds.DEPLOYMENT, "svc-kserve")["spec"]["template"]["spec"]
    assert environment(pod["initContainers"][0]) == {"A": "b"}


def test_multi_node_objects_sizes_roles_and_labels() -> None:
    world = World()
    assert run(world, MN) is None
    main = world.get(kinds.LEADER_WORKER_SET, "svc-kserve-mn")["spec"]
    prefill = world.get(kinds.LEADER_WORKER_SET, "svc-kserve-mn-prefill")["spec"]
    assert main["leaderWorkerTemplate"]["size"] == 5
    assert "subGroupPolicy" not in main["leaderWorkerTemplate"]
    assert prefill["leaderWorkerTemplate"]["size"] == 3
    assert prefill["leaderWorkerTemplate"]["subGroupPolicy"] == {"subGroupSize": 3}
    assert main["startupPolicy"] == "LeaderCreated"
    assert main["rolloutStrategy"] == {"type": "RollingUpdate"}
    leader = main["leaderWorkerTemplate"]["leaderTemplate"]
    worker = main["leaderWorkerTemplate"]["workerTemplate"]
    assert leader["metadata"]["labels"]["llm-d.ai/role"] == "decode"
    assert leader["metadata"]["labels"]["kserve.io/component"] == "workload"
    assert "kserve.io/component" not in worker["metadata"]["labels"]
    assert "llm-d.ai/role" not in worker["metadata"]["labels"]
    assert leader["spec"]["serviceAccountName"] == worker["spec"]["serviceAccountName"] == "svc-kserve-mn"
    assert environment(leader["spec"]["initContainers"][0])["INFERENCE_POOL_NAME"] == "their-pool"
    assert world.names(kinds.SERVICE_ACCOUNT) == ["svc-kserve", "svc-kserve-mn", "svc-kserve-mn-prefill"]
    assert world.names(kinds.ROLE) == ["svc-kserve-mn-role", "svc-kserve-role"]
    assert world.names(kinds.ROLE_BINDING) == ["svc-kserve-mn-rb", "svc-kserve-rb"]
    assert world.names(kinds.DEPLOYMENT) == []


@pytest.mark.parametrize(("side", "role"), [("main", "decode"), ("prefill", "prefill")])
def test_workers_without_a_leader_template_take_requests(side: str, role: str) -> None:
    spec: dict[str, Any] = {"model": HF["model"], "worker": MAIN}
    if side == "prefill":
        spec = {**HF, "prefill": {"worker": MAIN}}
    world = World()
    run(world, spec)
    name = "svc-kserve-mn" if side == "main" else "svc-kserve-mn-prefill"
    found = world.get(kinds.LEADER_WORKER_SET, name)
    template = found["spec"]["leaderWorkerTemplate"]
    assert "leaderTemplate" not in template
    assert labels_of(found)["kserve.io/component"] == "workload"
    assert template["workerTemplate"]["metadata"]["labels"]["llm-d.ai/role"] == role


def test_a_worker_that_goes_takes_its_set_and_accounts_along() -> None:
    world = World()
    settle(world, MN)
    assert run(world, HF) is None
    assert world.names(kinds.LEADER_WORKER_SET) == []
    assert world.names(kinds.ROLE) == world.names(kinds.ROLE_BINDING) == []
    assert world.names(kinds.SERVICE_ACCOUNT) == []
    assert world.names(kinds.DEPLOYMENT) == ["svc-kserve"]


def test_the_security_binding_needs_openshift_and_names_both_accounts() -> None:
    assert World().get(kinds.ROLE_BINDING, "svc-kserve-mn-scc") is None
    world = World(unserved=frozenset())
    settle(world, WORKER)
    found = world.get(kinds.ROLE_BINDING, "svc-kserve-mn-scc")
    assert found["roleRef"]["name"] == "openshift-ai-llminferenceservice-scc"
    assert found["subjects"] == [
        {"kind": "ServiceAccount", "name": "svc-kserve-mn"},
        {"kind": "ServiceAccount", "name": "svc-kserve-mn-prefill"},
    ]
    off = World(unserved=frozenset())
    run(off, WORKER, policy=Policy(scc_disabled=True))
    assert off.get(kinds.ROLE_BINDING, "svc-kserve-mn-scc") is None
    run(world, HF)
    assert world.get(kinds.ROLE_BINDING, "svc-kserve-mn-scc") is None


@pytest.mark.parametrize("spec", [HF, WORKER])
def test_another_number_of_the_same_pods_is_sent_without_asking_and_another_pod_is_not(
    spec: dict[str, Any],
) -> None:
    world = World()
    settle(world, {**spec, "replicas": 2})
    assert run(world, {**spec, "replicas": 3}) is None
    assert [(write.verb, write.confirm, write.scales) for write in world.writes] == [
        (Verb.UPDATE, True, True)
    ]
    world.writes.clear()
    other = {"containers": [{"name": "main", "image": "vllm:v2"}]}
    assert run(world, {**spec, "replicas": 4, "template": other}) is None
    assert [(write.verb, write.confirm, write.scales) for write in world.writes] == [
        (Verb.UPDATE, True, False)
    ]


def test_the_live_number_of_replicas_stays_when_the_spec_has_none() -> None:
    for kind, name, spec in (
        (kinds.DEPLOYMENT, "svc-kserve", HF),
        (kinds.LEADER_WORKER_SET, "svc-kserve-mn", WORKER),
    ):
        world = World()
        settle(world, spec)
        world.objects[ObjectRef(kind, "ns", name)]["spec"]["replicas"] = 7
        other = {**spec, "template": {"containers": [{"name": "main", "image": "vllm:v2"}]}}
        assert run(world, other) is None
        assert [write.verb for write in world.writes] == [Verb.UPDATE]
        assert world.get(kind, name)["spec"]["replicas"] == 7
        assert run(world, {**other, "replicas": 0}) is None
        assert world.get(kind, name)["spec"]["replicas"] == 0


def test_what_others_added_to_a_deployment_survives_an_update() -> None:
    world = World()
    settle(world, HF)
    deployment = world.get(kinds.DEPLOYMENT, "svc-kserve")
    deployment["metadata"]["labels"] = {**labels_of(deployment), "theirs": "1"}
    deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "3"
    deployment["metadata"]["finalizers"] = ["x/y"]
    deployment["spec"]["template"]["metadata"]["annotations"] = {"kubectl.kubernetes.io/restartedAt": "t"}
    assert run(world, HF) is None
    assert world.writes == []
    assert run(world, {**HF, "replicas": 3}) is None
    after = world.get(kinds.DEPLOYMENT, "svc-kserve")
    assert world.writes[0].confirm
    assert labels_of(after)["theirs"] == "1"
    assert without_record(after["metadata"]["annotations"]) == {"deployment.kubernetes.io/revision": "3"}
    assert after["metadata"]["finalizers"] == ["x/y"]
    assert after["spec"]["template"]["metadata"]["annotations"] == {"kubectl.kubernetes.io/restartedAt": "t"}


def test_a_rule_or_subject_that_somebody_appended_is_taken_back() -> None:
    world = World()
    settle(world, DECODE)
    world.get(kinds.ROLE, "svc-kserve-role")["rules"].append({"verbs": ["*"]})
    world.get(kinds.ROLE_BINDING, "svc-kserve-rb")["subjects"].append({"kind": "User", "name": "x"})
    assert run(world, DECODE) is None
    assert [(write.verb, write.kind.kind) for write in world.writes] == [
        (Verb.UPDATE, "Role"),
        (Verb.UPDATE, "RoleBinding"),
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"publishNotReadyAddresses": True},
        {"sessionAffinity": "ClientIP"},
        {"internalTrafficPolicy": "Local"},
        {"selector": {"app.kubernetes.io/name": "svc"}},
        {"selector": {"more": "x"}},
        {"ports": []},
    ],
)
def test_a_changed_service_is_put_right_and_keeps_its_address(change: dict[str, Any]) -> None:
    world = World()
    settle(world, HF)
    spec = world.get(kinds.CORE_SERVICE, "svc-kserve-workload-svc")["spec"]
    before = dict(spec)
    spec.update(
        change
        if "more" not in change.get("selector", {})
        else {"selector": {**spec["selector"], "more": "x"}}
    )
    assert run(world, HF) is None
    assert [write.verb for write in world.writes] == [Verb.UPDATE]
    assert world.get(kinds.CORE_SERVICE, "svc-kserve-workload-svc")["spec"] == before


@pytest.mark.parametrize(
    "change", [{"revisionHistoryLimit": 0}, {"progressDeadlineSeconds": 60}, {"paused": True}]
)
def test_what_the_api_server_filled_into_a_deployment_is_put_right_when_others_change_it(
    change: dict[str, Any],
) -> None:
    world = World()
    settle(world, HF)
    spec = world.get(kinds.DEPLOYMENT, "svc-kserve")["spec"]
    before = dict(spec)
    spec.update(change)
    assert run(world, HF) is None
    assert [(write.verb, write.kind) for write in world.writes] == [(Verb.UPDATE, kinds.DEPLOYMENT)]
    assert world.get(kinds.DEPLOYMENT, "svc-kserve")["spec"] == before


def test_a_service_type_that_somebody_chose_survives() -> None:
    world = World()
    settle(world, HF)
    spec = world.get(kinds.CORE_SERVICE, "svc-kserve-workload-svc")["spec"]
    spec.update({"type": "NodePort", "selector": {}})
    assert run(world, HF) is None
    assert world.get(kinds.CORE_SERVICE, "svc-kserve-workload-svc")["spec"]["type"] == "NodePort"


def test_a_stopped_service_keeps_nothing() -> None:
    world = World()
    settle(world, MN)
    assert run(world, MN, of=service(annotations={"serving.kserve.io/stop": "True"})) is None
    assert not world.objects
    world.writes.clear()
    assert run(world, MN, of=service(annotations={"serving.kserve.io/stop": "true"})) is None
    assert world.writes == []
