"""The endpoint picker's objects: made, changed, removed without leftovers (EPP-1, EPP-5).

Rules: CHILD-1, CHILD-2, EPP-2, EPP-3.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest

from aioctl.api import kinds, names
from aioctl.api.objects import labels_of
from aioctl.plan import scheduler
from aioctl.plan.model import Context, PlanError, Verb, Write
from aioctl.plan.scheduler_config import DISAGGREGATED, SINGLE_PROFILE, with_config, with_served_group
from testbed.plan_world import HF, World, service

LABELS = names.labels("svc", names.SCHEDULER_COMPONENT)
TEMPLATE: dict[str, Any] = {
    "containers": [
        {
            "name": "main",
            "image": "epp:1",
            "args": ["--pool-name", "p"],
            "ports": [
                {"containerPort": 9003, "name": "grpc-health", "protocol": "TCP"},
                {"containerPort": 9002, "name": "grpc"},
                {"containerPort": 1, "name": "debug"},
            ],
        },
        {
            "name": "side",
            "ports": [{"containerPort": 9090, "name": "metrics"}, {"containerPort": 9004, "name": "grpc"}],
        },
    ]
}


def spec_with(template: dict[str, Any] | None = TEMPLATE, **scheduler_fields: Any) -> dict[str, Any]:
    picker = dict(scheduler_fields)
    if template is not None:
        picker["template"] = template
    return {**HF, "router": {"scheduler": picker}}


SPEC = spec_with()


def everything(ctx: Context) -> Iterator[Write]:
    yield from scheduler.access(ctx)
    yield from scheduler.deployment(ctx)
    yield from scheduler.service(ctx)


def run(world: World, spec: dict[str, Any], **more: Any) -> list[Write]:
    return world.apply(everything(world.context(spec, **more)))


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


def test_the_role_reads_all_three_kinds_in_both_groups() -> None:
    world = World()
    run(world, SPEC)
    rules = world.get(kinds.ROLE, "svc-epp-role")["rules"]
    pools = ["inferencepools", "inferencemodels", "inferenceobjectives"]
    assert [(rule["apiGroups"], rule["resources"]) for rule in rules] == [
        ([""], ["pods"]),
        (["inference.networking.x-k8s.io"], pools),
        (["inference.networking.k8s.io"], pools),
        (["discovery.k8s.io"], ["endpointslices"]),
    ]
    assert all(rule["verbs"] == ["get", "list", "watch"] for rule in rules)


def test_the_service_has_the_served_ports_by_name_and_the_last_of_equal_names() -> None:
    world = World()
    run(world, SPEC)
    spec = world.get(kinds.CORE_SERVICE, "svc-epp-service")["spec"]
    assert spec["ports"] == [
        {"name": "grpc", "port": 9004, "protocol": "TCP", "targetPort": "grpc"},
        {"name": "grpc-health", "port": 9003, "protocol": "TCP", "targetPort": "grpc-health"},
        {"name": "metrics", "port": 9090, "protocol": "TCP", "targetPort": "metrics"},
    ]
    assert spec["selector"] == LABELS


@pytest.mark.parametrize(
    ("given", "added"),
    [
        ([], True),
        *(
            ([*given], False)
            for dashes in ("-", "--")
            for name in ("config-text", "configText", "config-file", "configFile")
            for given in ((f"{dashes}{name}", "x"), (f"{dashes}{name}=x",))
        ),
        (["--configtext", "x"], True),
        (["--config-texts", "x"], True),
    ],
)
def test_the_configuration_is_appended_unless_there_is_one(given: list[str], added: bool) -> None:
    for disaggregated, text in ((True, DISAGGREGATED), (False, SINGLE_PROFILE)):
        pod: dict[str, Any] = {"containers": [{"name": "side"}, {"name": "main", "args": list(given)}]}
        with_config(pod, disaggregated=disaggregated)
        assert pod["containers"][1].get("args") == given + (["--config-text", text] if added else [])
        assert pod["containers"][0] == {"name": "side"}


def test_the_configuration_texts_are_byte_exact() -> None:
    digests = [hashlib.sha256(text.encode()).hexdigest()[:16] for text in (DISAGGREGATED, SINGLE_PROFILE)]
    assert digests == ["362e32946c72fabc", "472bc0d3c5237d84"]


def test_prefill_even_empty_chooses_the_disaggregated_configuration() -> None:
    world = World()
    run(world, {**SPEC, "prefill": {}})
    pod = world.get(kinds.DEPLOYMENT, "svc-kserve-router-scheduler")["spec"]["template"]["spec"]
    assert pod["containers"][0]["args"] == ["--pool-name", "p", "--config-text", DISAGGREGATED]
    assert pod["serviceAccountName"] == "svc-epp-sa"


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
            (f"{PORT} is 7000, which is no port of Service epp; its ports are 9003, 9004, 9090",),
        ),
        (spec_with(**picked_at({"number": 7000}, kind="Picker")), ()),
        (spec_with(**picked_at(None)), ()),
        (
            spec_with({"containers": [{"name": "main"}]}, **picked_at({"number": 9002})),
            (
                "no container of the endpoint picker has a port named grpc",
                "no container of the endpoint picker has a port named grpc-health",
                "no container of the endpoint picker has a port named metrics",
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


def test_an_account_of_somebody_else_is_used_as_it_is() -> None:
    world = World()
    run(world, SPEC)
    world.put(kinds.SERVICE_ACCOUNT, "mine", secrets=[])
    before = world.get(kinds.SERVICE_ACCOUNT, "mine")
    named = spec_with({**TEMPLATE, "serviceAccountName": "mine"})
    run(world, named)
    assert world.get(kinds.SERVICE_ACCOUNT, "mine") is before
    assert world.names(kinds.SERVICE_ACCOUNT) == ["mine"], "the generated account goes"
    for kind, name in (
        (kinds.CLUSTER_ROLE_BINDING, "ns-svc-epp-auth-rb"),
        (kinds.ROLE_BINDING, "svc-epp-rb"),
    ):
        assert world.get(kind, name)["subjects"][0]["name"] == "mine"
    pod = world.get(kinds.DEPLOYMENT, "svc-kserve-router-scheduler")["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == "mine"
    assert run(world, named) == []
    run(world, HF)
    assert world.names(kinds.SERVICE_ACCOUNT) == ["mine"]


def test_a_named_account_that_does_not_exist_is_made_and_goes_with_the_name() -> None:
    world = World()
    named = spec_with({**TEMPLATE, "serviceAccountName": "new"})
    run(world, named)
    assert world.names(kinds.SERVICE_ACCOUNT) == ["new"]
    assert run(world, named) == []
    run(world, SPEC)
    assert world.names(kinds.SERVICE_ACCOUNT) == ["svc-epp-sa"]


def test_a_strangers_generated_account_or_service_is_an_error() -> None:
    world = World()
    world.put(kinds.SERVICE_ACCOUNT, "svc-epp-sa")
    with pytest.raises(PlanError) as caught:
        run(world, SPEC)
    assert str(caught.value) == (
        "failed to reconcile scheduler service account ns/svc-epp-sa: failed to update v1.ServiceAccount "
        "ns/svc-epp-sa: it is not controlled by v1alpha2.LLMInferenceService ns/svc"
    )
    world = World()
    world.put(kinds.CORE_SERVICE, "theirs", spec={"ports": []})
    with pytest.raises(PlanError) as caught:
        run(world, spec_with(pool={"spec": {"endpointPickerRef": {"name": "theirs"}}}))
    assert str(caught.value) == (
        "failed to update v1.Service ns/theirs: it is not controlled by v1alpha2.LLMInferenceService ns/svc"
    )


def test_a_renamed_service_leaves_no_old_one() -> None:
    world = World()
    run(world, SPEC)
    run(world, spec_with(pool={"spec": {"endpointPickerRef": {"name": "other"}}}))
    assert world.names(kinds.CORE_SERVICE) == ["other"]
    run(world, HF)
    assert world.names(kinds.CORE_SERVICE) == []


def test_services_with_clashing_binding_names_do_not_touch_each_other() -> None:
    world = World()
    first, second = service("b-c", "a"), service("c", "a-b")
    run(world, SPEC, of=first)
    run(world, SPEC, of=second)
    digest = hashlib.sha256(b"a-b/c").hexdigest()[:8]
    assert world.names(kinds.CLUSTER_ROLE_BINDING) == ["a-b-c-epp-auth-rb", f"a-b-c-epp-auth-rb-{digest}"]
    for of in (first, second):
        assert run(world, SPEC, of=of) == []
    run(world, HF, of=first)
    assert world.names(kinds.CLUSTER_ROLE_BINDING) == [f"a-b-c-epp-auth-rb-{digest}"]
    run(world, SPEC, of=second)
    assert world.names(kinds.CLUSTER_ROLE_BINDING) == ["a-b-c-epp-auth-rb"], "the first name is free again"
    run(world, HF, of=second)
    assert world.names(kinds.CLUSTER_ROLE_BINDING) == []


def test_a_binding_whose_subjects_somebody_removed_is_mended_and_not_left_behind() -> None:
    world = World()
    run(world, SPEC)
    (name,) = world.names(kinds.CLUSTER_ROLE_BINDING)
    before = world.get(kinds.CLUSTER_ROLE_BINDING, name)
    world.put(
        kinds.CLUSTER_ROLE_BINDING,
        name,
        metadata={"labels": before["metadata"]["labels"]},
        roleRef=before["roleRef"],
    )
    run(world, SPEC)
    assert world.names(kinds.CLUSTER_ROLE_BINDING) == [name]
    assert world.get(kinds.CLUSTER_ROLE_BINDING, name)["subjects"] == before["subjects"]


def test_a_label_of_another_client_survives_a_new_image() -> None:
    world = World()
    run(world, SPEC)
    world.get(kinds.DEPLOYMENT, "svc-kserve-router-scheduler")["metadata"]["labels"] = {**LABELS, "x": "y"}
    changed = spec_with({"containers": [{**TEMPLATE["containers"][0], "image": "epp:2"}]})
    run(world, changed)
    after = world.get(kinds.DEPLOYMENT, "svc-kserve-router-scheduler")
    assert labels_of(after) == {**LABELS, "x": "y"}
    assert after["spec"]["template"]["spec"]["containers"][0]["image"] == "epp:2"


V1_GROUP, X_GROUP = kinds.POOL_GROUP_V1, kinds.POOL_GROUP_V1ALPHA2


@pytest.mark.parametrize(
    ("given", "served", "wanted"),
    [
        (["--pool-group", X_GROUP, "-v", "4"], V1_GROUP, ["--pool-group", V1_GROUP, "-v", "4"]),
        ([f"--pool-group={X_GROUP}"], V1_GROUP, [f"--pool-group={V1_GROUP}"]),
        (["-pool-group", X_GROUP], V1_GROUP, ["-pool-group", V1_GROUP]),
        ([f"-pool-group={X_GROUP}"], V1_GROUP, [f"-pool-group={V1_GROUP}"]),
        (["--pool-group", V1_GROUP], X_GROUP, ["--pool-group", X_GROUP]),
        (["--pool-group", V1_GROUP], V1_GROUP, ["--pool-group", V1_GROUP]),
        (["--pool-group", "mine.example.org"], V1_GROUP, ["--pool-group", "mine.example.org"]),
        (["--pool-name", X_GROUP], V1_GROUP, ["--pool-name", X_GROUP]),
        (["--pool-group"], V1_GROUP, ["--pool-group"]),
        ([7, None], V1_GROUP, [7, None]),
    ],
)
def test_the_pickers_pool_group_becomes_the_one_that_is_served_and_is_never_added(
    given: list[Any], served: str, wanted: list[Any]
) -> None:
    pod = {"containers": [{"name": "main", "args": list(given)}, {"name": "other", "args": list(given)}]}
    with_served_group(pod, served)
    assert pod["containers"][0]["args"] == wanted
    assert pod["containers"][1]["args"] == given
    bare: dict[str, Any] = {"containers": [{"name": "main"}]}
    with_served_group(bare, served)
    assert bare == {"containers": [{"name": "main"}]}
