"""What services of a namespace share: monitoring objects and the CA bundle, and what the finalizer leaves (WORK-1)."""

import json
from typing import Any

import pytest

from aioctl.api import kinds, names
from aioctl.api.kinds import ObjectRef
from aioctl.plan import monitoring, scheduler
from aioctl.plan.availability import availability
from aioctl.plan.ca_bundle import ca_bundle
from aioctl.plan.facts import Facts
from aioctl.plan.finalize import add_finalizer, finalize
from aioctl.plan.model import PlanError, Verb, Write
from aioctl.plan.policy import Policy
from testbed.plan_world import HF, NOW, World, service

SHARED = [
    (kinds.SERVICE_ACCOUNT, "kserve-metrics-reader-sa"),
    (kinds.SECRET, "kserve-metrics-reader-sa-secret"),
    (kinds.CLUSTER_ROLE_BINDING, "kserve-metrics-reader-role-binding-ns"),
    (kinds.POD_MONITOR, "kserve-llm-isvc-vllm-engine"),
    (kinds.SERVICE_MONITOR, "kserve-llm-isvc-scheduler"),
]
PICKER = {**HF, "router": {"scheduler": {"template": {"containers": [{"name": "main"}]}}}}


def monitor(world: World, **more: Any) -> list[Write]:
    return world.apply(monitoring.monitoring(world.context(HF, **more)))


def test_shared_objects_are_made_in_order_without_owner_and_event() -> None:
    world = World()
    writes = monitor(world)
    assert [(write.kind, write.name) for write in writes] == SHARED
    for write in writes:
        assert write.exists_is_fine
        assert write.event == ""
        assert "ownerReferences" not in (write.body or {})["metadata"]
    assert writes[1].error == (
        "failed to reconcile metrics reader RBAC: failed to reconcile metrics reader secret "
        "ns/kserve-metrics-reader-sa-secret: failed to create v1.Secret ns/kserve-metrics-reader-sa-secret: "
    )
    assert writes[3].error == (
        "failed to reconcile VLLM engine monitor: failed to reconcile vLLM engine monitor "
        "ns/kserve-llm-isvc-vllm-engine: failed to create v1.PodMonitor ns/kserve-llm-isvc-vllm-engine: "
    )
    assert monitor(world) == []


def test_an_update_of_the_token_secret_keeps_the_token() -> None:
    world = World()
    monitor(world)
    secret = world.get(kinds.SECRET, "kserve-metrics-reader-sa-secret")
    secret["data"] = {"token": "dA=="}
    secret["metadata"]["labels"] = {}
    assert [write.verb for write in monitor(world)] == [Verb.UPDATE]
    assert world.get(kinds.SECRET, "kserve-metrics-reader-sa-secret")["data"] == {"token": "dA=="}


def test_monitors_are_skipped_where_their_kinds_do_not_exist() -> None:
    world = World(unserved=frozenset({kinds.SERVICE_MONITOR}))
    assert [(write.kind, write.name) for write in monitor(world)] == SHARED[:4]


def test_no_reader_is_made_where_nothing_can_be_monitored() -> None:
    world = World(unserved=frozenset({kinds.POD_MONITOR, kinds.SERVICE_MONITOR}))
    assert monitor(world) == []


@pytest.mark.parametrize(
    "more", [{"policy": Policy(monitoring_disabled=True)}, {"of": service(annotations={names.STOP: "TRUE"})}]
)
def test_monitoring_can_be_switched_off_and_does_not_follow_a_stopped_service(more: dict[str, Any]) -> None:
    assert monitor(World(), **more) == []


def configuration(**initializer: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "inferenceservice-config", "namespace": "kserve"},
        "data": {"storageInitializer": json.dumps(initializer)},
    }


CONFIGURED = configuration(CaBundleConfigmapName="bundle", memoryRequest=["not", "looked", "at"])


def test_the_ca_bundle_is_copied_and_compared_by_data_alone() -> None:
    world = World()
    world.put(kinds.CONFIG_MAP, "bundle", "kserve", data={"cabundle.crt": "pem", "other": "x"})
    facts = world.context(HF).obs
    created = world.apply(ca_bundle(facts, "ns", CONFIGURED))
    assert [(write.verb, write.event, write.exists_is_fine) for write in created] == [(Verb.CREATE, "", True)]
    copy = world.get(kinds.CONFIG_MAP, "global-ca-bundle")
    assert copy["data"] == {"cabundle.crt": "pem"}
    copy["metadata"]["labels"] = {"theirs": "x"}
    assert world.apply(ca_bundle(facts, "ns", CONFIGURED)) == []
    world.get(kinds.CONFIG_MAP, "bundle", "kserve")["data"]["cabundle.crt"] = "new"
    assert [write.verb for write in world.apply(ca_bundle(facts, "ns", CONFIGURED))] == [Verb.UPDATE]
    copy = world.get(kinds.CONFIG_MAP, "global-ca-bundle")
    assert (copy["data"], copy["metadata"]["labels"]) == ({"cabundle.crt": "new"}, {"theirs": "x"})


@pytest.mark.parametrize(
    "config_map", [None, {"metadata": {}}, configuration(), configuration(caBundleConfigMapName="")]
)
def test_without_a_configured_ca_bundle_nothing_is_copied(config_map: Any) -> None:
    assert list(ca_bundle(Facts(), "ns", config_map)) == []


PREFIX = "fails to get cabundle configmap for creating to user namespace: "


@pytest.mark.parametrize(
    ("config_map", "text"),
    [
        (
            CONFIGURED,
            PREFIX + 'failed to get configmap bundle from the cluster: configmaps "bundle" not found',
        ),
        (
            configuration(caBundleConfigMapName="empty"),
            PREFIX + "specified cabundle file cabundle.crt not found in cabundle configmap empty",
        ),
        (
            configuration(caBundleConfigMapName=1),
            (
                "unable to unmarshal storage initializer json string due to caBundleConfigMapName: expected a string, "
                "got integer "
            ),
        ),
    ],
)
def test_ca_bundle_errors_have_the_texts_of_the_go_controller(config_map: Any, text: str) -> None:
    empty: dict[ObjectRef, Any] = {
        ObjectRef(kinds.CONFIG_MAP, "kserve", "empty"): {"metadata": {}, "data": {}}
    }
    with pytest.raises(PlanError) as caught:
        list(ca_bundle(Facts(empty), "ns", config_map))
    assert str(caught.value) == text


def test_broken_json_is_reported_and_not_raised() -> None:
    broken = {"metadata": {"namespace": "kserve"}, "data": {"storageInitializer": "{"}}
    with pytest.raises(PlanError, match=r"^unable to unmarshal storage initializer json string due to "):
        list(ca_bundle(Facts(), "ns", broken))


GONE = NOW.isoformat()


def deleting(name: str = "svc") -> dict[str, Any]:
    return service(name, deletionTimestamp=GONE, finalizers=["a/b", names.FINALIZER])


def test_the_last_service_takes_the_shared_objects_along_in_order() -> None:
    world = World()
    monitor(world)
    world.apply(scheduler.access(world.context(PICKER)))
    world.put(kinds.HTTP_ROUTE, "svc-kserve-route", owner=service())
    steps = finalize(world.context(HF).obs, deleting(), Policy())
    writes = [write for part in steps for write in part.writes]
    assert [(write.verb, write.kind.kind, write.name, write.event) for write in writes] == [
        (Verb.DELETE, "HTTPRoute", "svc-kserve-route", "Deleted v1.HTTPRoute ns/svc-kserve-route"),
        (
            Verb.DELETE,
            "ClusterRoleBinding",
            "ns-svc-epp-auth-rb",
            "Deleted v1.ClusterRoleBinding /ns-svc-epp-auth-rb",
        ),
        (Verb.DELETE, "PodMonitor", "kserve-llm-isvc-vllm-engine", ""),
        (Verb.DELETE, "ServiceMonitor", "kserve-llm-isvc-scheduler", ""),
        (Verb.DELETE, "ServiceAccount", "kserve-metrics-reader-sa", ""),
        (Verb.DELETE, "Secret", "kserve-metrics-reader-sa-secret", ""),
        (Verb.DELETE, "ClusterRoleBinding", "kserve-metrics-reader-role-binding-ns", ""),
        (Verb.PATCH, "LLMInferenceService", "svc", ""),
    ]
    assert [write.best_effort for write in writes] == [True] + [False] * 7
    assert writes[-1].body == {"metadata": {"finalizers": ["a/b"], "resourceVersion": "1"}}
    assert steps[1].outer == "failed to finalize scheduler service account: "
    assert steps[2].outer == "failed to cleanup monitoring resources: "


@pytest.mark.parametrize(
    ("metadata", "stay"),
    [({}, True), ({"deletionTimestamp": GONE}, False), ({"annotations": {names.STOP: "true"}}, False)],
    ids=["in use", "going too", "stopped"],
)
def test_shared_objects_stay_while_another_service_uses_them(metadata: dict[str, Any], stay: bool) -> None:
    world = World()
    monitor(world)
    other = service("other", **metadata)
    world.objects[ObjectRef(kinds.SERVICE, "ns", "other")] = other
    world.objects[ObjectRef(kinds.SERVICE, "ns", "svc")] = deleting()
    world.objects[ObjectRef(kinds.SERVICE, "far", "svc")] = service("svc", "far")
    writes = [
        write for part in finalize(world.context(HF).obs, deleting(), Policy()) for write in part.writes
    ]
    assert len(writes) == (1 if stay else 6)


def test_strangers_objects_of_those_names_stay() -> None:
    world = World()
    world.put(kinds.HTTP_ROUTE, "svc-kserve-route")
    world.put(kinds.CLUSTER_ROLE_BINDING, "ns-svc-epp-auth-rb", metadata={"labels": {names.NAME: "other"}})
    world.put(kinds.POD_MONITOR, "kserve-llm-isvc-vllm-engine")
    writes = [
        write for part in finalize(world.context(HF).obs, deleting(), Policy()) for write in part.writes
    ]
    assert [write.verb for write in writes] == [Verb.PATCH]


def test_the_finalizer_stays_while_a_read_is_unknown_but_an_unknown_route_does_not_hold_it() -> None:
    binding = ObjectRef(kinds.CLUSTER_ROLE_BINDING, "", "ns-svc-epp-auth-rb")
    steps = finalize(Facts(unknown={binding: "not in sync"}), deleting(), Policy())
    assert [part.unanswered for part in steps] == ["not in sync"]
    route = ObjectRef(kinds.HTTP_ROUTE, "ns", "svc-kserve-route")
    steps = finalize(Facts(unknown={route: "not in sync"}), deleting(), Policy())
    assert [write.verb for part in steps for write in part.writes] == [Verb.PATCH]


def test_the_finalizer_is_added_once_and_never_to_a_service_that_goes() -> None:
    first = add_finalizer(service(finalizers=["a/b"]))
    assert first is not None
    assert first.body == {"metadata": {"finalizers": ["a/b", names.FINALIZER], "resourceVersion": "1"}}
    assert add_finalizer(service(finalizers=[names.FINALIZER])) is None
    assert add_finalizer(service(deletionTimestamp=GONE)) is None
    assert finalize(Facts(), service(deletionTimestamp=GONE), Policy()) == ()


STUCK = {"type": "Progressing", "status": "False", "reason": "Deadline", "message": "stuck"}


@pytest.mark.parametrize(
    ("conditions", "found"),
    [
        ([], ("False", "Progressing", "")),
        ([{"type": "Progressing", "status": "False", "reason": "r"}], ("False", "r", "")),
        ([{"type": "Progressing", "status": "True", "reason": "r"}], ("False", "Progressing", "")),
        ([{"type": "Available", "status": "True", "reason": "r", "message": "m"}], ("True", "", "")),
        ([{"type": "Available", "status": "False", "reason": "r", "message": "m"}], ("False", "r", "m")),
        ([{"type": "Available", "status": "Unknown", "reason": "r"}], ("False", "r", "")),
        ([STUCK, {"type": "Available", "status": "False", "reason": "r"}], ("False", "Deadline", "stuck")),
        ([STUCK, {"type": "Available", "status": "True"}], ("True", "", "")),
    ],
)
def test_availability_counts_and_of_what_is_not_available_the_stuck_rollout(
    conditions: list[Any], found: tuple[str, str, str]
) -> None:
    assert availability({"status": {"conditions": conditions}}) == found
    assert availability(None) == ("False", "Progressing", "")


def test_a_set_without_a_word_is_said_to_progress() -> None:
    """LeaderWorkerSet says `Progressing` of other things, so only its `Available` counts."""
    expected = ("False", "Progressing", "LWS is progressing")
    for live in ({"status": {"conditions": [STUCK]}}, None):
        assert availability(live, kinds.LEADER_WORKER_SET) == expected
