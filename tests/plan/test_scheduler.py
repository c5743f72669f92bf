"""The endpoint picker's objects: made, changed, removed without leftovers (EPP-1, EPP-5).

Rules: CHILD-1, CHILD-2, EPP-2, EPP-8.
"""

from typing import Any

import pytest

from aioctl.api import kinds, names
from aioctl.api.objects import annotations_of, labels_of
from aioctl.plan import scheduler
from aioctl.plan.model import PlanError, Verb
from aioctl.plan.scheduler_config import with_leader_election
from testbed.plan_world import HF, World, service
from tests.plan.picker_world import GENERATED, LABELS, SPEC, TEMPLATE, picker_args, run, spec_with
from tests.plan.workload_world import without_record


def test_all_objects_exist_in_order_and_a_second_look_changes_nothing() -> None:
    world = World()
    writes = run(world, SPEC)
    assert [write.event for write in writes] == [
        "Created v1.ServiceAccount ns/svc-epp-sa",
        "Created v1.ClusterRoleBinding /ns-svc-epp-auth-rb",
        "Created v1.Role ns/svc-epp-role",
        "Created v1.RoleBinding ns/svc-epp-rb",
        "Created v1.Deployment ns/svc-kserve-router-scheduler",
        "Created v1.Service ns/svc-epp-service",
    ]
    assert all(labels_of(write.body or {}) == LABELS for write in writes)
    assert run(world, SPEC) == []


def test_the_role_has_what_pickers_of_all_releases_need() -> None:
    world = World()
    run(world, SPEC)
    rules = world.get(kinds.ROLE, "svc-epp-role")["rules"]
    v1, x, reads = "inference.networking.k8s.io", "inference.networking.x-k8s.io", ["get", "list", "watch"]
    assert [(rule["apiGroups"], rule["resources"], rule["verbs"]) for rule in rules] == [
        ([""], ["pods"], reads),
        ([v1, x], ["inferencepools", "inferenceobjectives", "inferencemodels"], reads),
        ([x], ["inferencemodelrewrites", "inferencepoolimports"], reads),
        (["llm-d.ai"], ["inferenceobjectives", "inferencemodelrewrites"], reads),
        (["discovery.k8s.io"], ["endpointslices"], reads),
        (["coordination.k8s.io"], ["leases"], [*reads, "create", "update", "patch", "delete"]),
    ]


def test_the_service_has_the_served_ports_by_name_and_the_last_of_equal_names() -> None:
    world = World()
    run(world, SPEC)
    spec = world.get(kinds.CORE_SERVICE, "svc-epp-service")["spec"]
    assert spec["ports"] == [
        {"name": "grpc", "port": 9004, "protocol": "TCP", "targetPort": "grpc"},
        {"name": "grpc-health", "port": 9003, "protocol": "TCP", "targetPort": "grpc-health"},
        {"name": "metrics", "port": 9090, "protocol": "TCP", "targetPort": "metrics"},
        {"name": "zmq", "port": 5557, "protocol": "TCP", "targetPort": "zmq"},
    ]
    assert spec["selector"] == LABELS


@pytest.mark.parametrize(
    ("replicas", "args", "command", "added"),
    [
        (None, [], [], False),
        (1, [], [], False),
        (2, [], [], True),
        (2, ["--ha-enable-leader-election"], [], False),
        (2, ["-ha-enable-leader-election"], [], False),
        (2, ["--ha-enable-leader-election=true"], [], False),
        (2, [], ["--ha-enable-leader-election"], False),
        (2, ["--ha-enable-leader-election-x"], [], True),
    ],
)
def test_several_pickers_elect_a_leader(
    replicas: int | None, args: list[str], command: list[str], added: bool
) -> None:
    pod: dict[str, Any] = {"containers": [{"name": "main", "args": args, "command": command}]}
    with_leader_election(pod, replicas)
    assert pod["containers"][0]["args"] == [*args, *(["--ha-enable-leader-election"] if added else [])]


def test_leader_election_configuration_and_tracing_come_in_this_order_and_only_to_main() -> None:
    world = World()
    run(world, {**spec_with(replicas=2), "tracing": {}})
    deployment = world.get(kinds.DEPLOYMENT, "svc-kserve-router-scheduler")
    assert deployment["spec"]["replicas"] == 2
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    assert picker_args(world) == [
        *("--pool-name", "p", "--ha-enable-leader-election", "--config-text", GENERATED, "--tracing=true")
    ]
    run(world, spec_with({"containers": [{"name": "epp", "image": "x"}]}, replicas=2))
    (other,) = world.get(kinds.DEPLOYMENT, "svc-kserve-router-scheduler")["spec"]["template"]["spec"][
        "containers"
    ]
    assert "args" not in other
    assert world.get(kinds.DEPLOYMENT, "svc-kserve-router-scheduler")["spec"]["replicas"] == 2


@pytest.mark.parametrize("flag", ["--tracing", "-tracing", "--tracing=false", "-tracing=x"])
def test_a_users_tracing_flag_stays(flag: str) -> None:
    world = World()
    template = {"containers": [{"name": "main", "args": [flag]}]}
    run(world, {**spec_with(template), "tracing": {}})
    assert picker_args(world) == [flag, "--config-text", GENERATED]


def test_labels_and_annotations_of_the_user_go_to_the_pods_alone_and_replace_none_of_ours() -> None:
    world = World()
    run(world, SPEC)
    theirs = {"team": "a", names.NAME: "other"}
    run(world, spec_with(labels=theirs, annotations={"note": "b"}))
    deployment = world.get(kinds.DEPLOYMENT, "svc-kserve-router-scheduler")
    assert labels_of(deployment) == LABELS
    assert without_record(annotations_of(deployment)) == {}
    assert deployment["spec"]["selector"]["matchLabels"] == LABELS
    assert deployment["spec"]["template"]["metadata"] == {
        "labels": {"team": "a", **LABELS},
        "annotations": {"note": "b"},
    }


def test_a_live_selector_with_labels_of_the_user_is_kept_and_fits_its_pods() -> None:
    world = World()
    run(world, SPEC)
    deployment = world.get(kinds.DEPLOYMENT, "svc-kserve-router-scheduler")
    selector = {**LABELS, "team": "a"}
    deployment["spec"]["selector"] = {"matchLabels": dict(selector)}
    run(world, spec_with(labels={"team": "b"}))
    after = world.get(kinds.DEPLOYMENT, "svc-kserve-router-scheduler")
    assert after["spec"]["selector"]["matchLabels"] == selector
    assert after["spec"]["template"]["metadata"]["labels"] == selector


def test_a_picker_that_cannot_be_built_says_why_and_leaves_the_live_one() -> None:
    world = World()
    run(world, SPEC)
    with pytest.raises(PlanError) as caught:
        run(world, spec_with(annotations={"app.kubernetes.io/version": "new"}))
    assert str(caught.value) == (
        "failed to build expected scheduler deployment: failed to apply scheduler migrations: "
        'failed to parse version "new": new is not in dotted-tri format'
    )
    assert picker_args(world)[-1] == GENERATED


NOT_WANTED = [
    HF,
    {**HF, "router": {}},
    spec_with(None),
    spec_with(pool={"ref": {"name": "theirs"}}),
]

PORT = "spec.router.scheduler.pool.spec.endpointPickerRef.port.number"


def picked_at(port: Any, **reference: Any) -> dict[str, Any]:
    return {"pool": {"spec": {"endpointPickerRef": {"name": "epp", "port": port, **reference}}}}


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        (SPEC, ()),
        (spec_with(**picked_at({"number": 9003})), ()),
        (
            spec_with(**picked_at({"number": 7000})),
            (f"{PORT} is 7000, which is no port of Service epp; its ports are 5557, 9003, 9004, 9090",),
        ),
        (spec_with(**picked_at({"number": 7000}, kind="Picker")), ()),
        (spec_with(**picked_at(None)), ()),
        (
            spec_with({"containers": [{"name": "main"}]}, **picked_at({"number": 9002})),
            (
                "no container of the endpoint picker has a port named grpc",
                "no container of the endpoint picker has a port named grpc-health",
                "no container of the endpoint picker has a port named metrics",
                "no container of the endpoint picker has a port named zmq",
                f"{PORT} is 9002, which is no port of Service epp; its ports are none",
            ),
        ),
        (spec_with({"containers": []}, pool={"ref": {"name": "theirs"}}), ()),
    ],
    ids=[
        "preset",
        "another port of it",
        "no port of it",
        "no Service",
        "port left out",
        "no ports",
        "external",
    ],
)
def test_ports_that_do_not_fit_are_told_for_the_log(spec: dict[str, Any], found: tuple[str, ...]) -> None:
    assert scheduler.misfits(World().context(spec)) == found


@pytest.mark.parametrize("spec", NOT_WANTED, ids=["R", "S", "T", "P"])
def test_when_it_is_not_wanted_everything_goes_binding_objects_first(spec: dict[str, Any]) -> None:
    world = World()
    run(world, SPEC)
    gone = run(world, spec)
    assert [(write.verb, write.kind.kind) for write in gone] == [
        (Verb.DELETE, "ClusterRoleBinding"),
        (Verb.DELETE, "RoleBinding"),
        (Verb.DELETE, "Role"),
        (Verb.DELETE, "ServiceAccount"),
        (Verb.DELETE, "Deployment"),
        (Verb.DELETE, "Service"),
    ]
    assert world.objects == {}
    assert run(world, spec) == []


def test_a_stopped_service_has_no_picker() -> None:
    world = World()
    run(world, SPEC)
    run(world, SPEC, of=service(annotations={names.STOP: "true"}))
    assert world.objects == {}


def test_an_empty_pool_reference_is_no_external_pool() -> None:
    world = World()
    run(world, spec_with(pool={"ref": {"name": ""}}))
    assert world.names(kinds.DEPLOYMENT) == ["svc-kserve-router-scheduler"]


def test_a_renamed_service_leaves_no_old_one() -> None:
    world = World()
    run(world, SPEC)
    run(world, spec_with(pool={"spec": {"endpointPickerRef": {"name": "other"}}}))
    assert world.names(kinds.CORE_SERVICE) == ["other"]
    run(world, HF)
    assert world.names(kinds.CORE_SERVICE) == []


def test_a_label_of_another_client_survives_a_new_image() -> None:
    world = World()
    run(world, SPEC)
    world.get(kinds.DEPLOYMENT, "svc-kserve-router-scheduler")["metadata"]["labels"] = {**LABELS, "x": "y"}
    changed = spec_with({"containers": [{**TEMPLATE["containers"][0], "image": "epp:2"}]})
    run(world, changed)
    after = world.get(kinds.DEPLOYMENT, "svc-kserve-router-scheduler")
    assert labels_of(after) == {**LABELS, "x": "y"}
    assert after["spec"]["template"]["spec"]["containers"][0]["image"] == "epp:2"
