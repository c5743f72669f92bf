"""The endpoint picker's objects: made, changed, removed without leftovers (EPP-1, EPP-5).

Rules: CHILD-1, CHILD-2, EPP-2, EPP-3, EPP-7, EPP-8, EPP-9.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest

from aioctl.api import kinds, names
from aioctl.api.objects import annotations_of, labels_of
from aioctl.plan import epp_defaults, scheduler
from aioctl.plan.epp_defaults import Shape, generated
from aioctl.plan.model import Context, PlanError, Verb, Write
from aioctl.plan.scheduler_config import with_config, with_leader_election, with_served_group
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
            "ports": [
                {"containerPort": 9090, "name": "metrics"},
                {"containerPort": 9004, "name": "grpc"},
                {"containerPort": 5557, "name": "zmq"},
            ],
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
    for prefill in (True, False):
        text = generated(Shape(prefill=prefill, adapters=False))
        pod: dict[str, Any] = {"containers": [{"name": "side"}, {"name": "main", "args": list(given)}]}
        with_config(pod, {"prefill": {}} if prefill else {}, None)
        assert pod["containers"][1].get("args") == given + (["--config-text", text] if added else [])
        assert pod["containers"][0] == {"name": "side"}


INLINE = {"kind": "K", "apiVersion": "a/v1", "plugins": [{"weight": 2, "type": "<"}]}
RAW = '{"apiVersion":"a/v1","kind":"K","plugins":[{"type":"\\u003c","weight":2}]}'
GENERATED = generated(Shape(prefill=False, adapters=False))
WITH_PREFILL = generated(Shape(prefill=True, adapters=False))
FORMER = GENERATED.replace("llm-d.ai", "inference.networking.x-k8s.io")


@pytest.mark.parametrize(
    ("inline", "template", "live", "wanted"),
    [
        (INLINE, [], [], ["--config-text", RAW]),
        (INLINE, ["-configText", "t"], ["--config-file", "l"], ["-configText", "t", "--config-text", RAW]),
        ("raw: yaml\n", [], [], ["--config-text", "raw: yaml\n"]),
        (None, ["--config-file", "t"], ["--config-text", "l"], ["--config-file", "t"]),
        (None, ["-v", "4"], ["--x", "-configFile", "l"], ["-v", "4", "-configFile", "l"]),
        (None, [], ["--config-text", "kind: Mine"], ["--config-text", "kind: Mine"]),
        (None, [], ["--config-text=l"], ["--config-text", GENERATED]),
        (None, [], ["--config-text"], ["--config-text", GENERATED]),
        (None, [], [], ["--config-text", GENERATED]),
        (None, [], ["--configText", FORMER], ["--configText", FORMER]),
        (None, [], ["--config-text", WITH_PREFILL], ["--config-text", GENERATED]),
    ],
)
def test_the_first_configuration_that_there_is_counts(
    inline: Any, template: list[str], live: list[str], wanted: list[str]
) -> None:
    pod: dict[str, Any] = {"containers": [{"name": "main", "args": template}]}
    spec = {"router": {"scheduler": {"config": {"inline": inline}}}} if inline else {}
    with_config(
        pod,
        spec,
        {"containers": [{"name": "other", "args": ["--config-text", "o"]}, {"name": "main", "args": live}]},
    )
    assert pod["containers"][0]["args"] == wanted


def test_the_generated_configurations_are_byte_exact() -> None:
    shapes = [Shape(prefill, adapters) for prefill in (False, True) for adapters in (False, True)]
    digests = [hashlib.sha256(generated(shape).encode()).hexdigest()[:16] for shape in shapes]
    assert digests == ["02f9a531adbb6596", "63a9c697b5b0358a", "0ecd768aafd2a1f1", "1c4ce0900968508f"]


def picker_args(world: World) -> list[str]:
    pod = world.get(kinds.DEPLOYMENT, "svc-kserve-router-scheduler")["spec"]["template"]["spec"]
    args: list[str] = pod["containers"][0]["args"]
    return args


def test_a_generated_configuration_follows_prefill_and_adapters_and_a_users_one_stays() -> None:
    world = World()
    run(world, SPEC)
    assert picker_args(world) == ["--pool-name", "p", "--config-text", GENERATED]
    run(world, {**SPEC, "prefill": {}})
    assert picker_args(world)[-1] == WITH_PREFILL
    lora = {**SPEC, "model": {**SPEC["model"], "lora": {"adapters": [{"name": "a"}]}}}
    run(world, lora)
    assert picker_args(world)[-1] == generated(Shape(prefill=False, adapters=True))
    run(world, SPEC)
    assert picker_args(world)[-1] == GENERATED
    run(world, spec_with(config={"inline": INLINE}))
    assert picker_args(world)[-1] == RAW
    run(world, {**SPEC, "prefill": {}})
    assert picker_args(world)[-1] == RAW, "what an inline configuration left behind stays"


FIRST = """
apiVersion: inference.networking.x-k8s.io/v1alpha1
kind: EndpointPickerConfig
plugins:
- type: single-profile-handler
- type: prefix-cache-scorer
- type: load-aware-scorer
- type: max-score-picker
schedulingProfiles:
- name: default
  plugins:
  - pluginRef: prefix-cache-scorer
    weight: 2.0
  - pluginRef: load-aware-scorer
    weight: 1.0
  - pluginRef: max-score-picker
"""


@pytest.mark.parametrize(
    ("text", "wanted", "outdated"),
    [
        (FIRST, Shape(prefill=False, adapters=False), False),
        (FIRST, Shape(prefill=False, adapters=True), False),
        (FIRST, Shape(prefill=True, adapters=False), True),
        (FIRST.replace("2.0", "2.5"), Shape(prefill=True, adapters=False), False),
        (GENERATED, Shape(prefill=False, adapters=True), True),
        (GENERATED + "# mine", Shape(prefill=False, adapters=True), True),
        ("no configuration", Shape(prefill=True, adapters=False), False),
        (
            "kind: K\nplugins: [{type: pd-profile-handler, parameters: 5}]",
            Shape(prefill=True, adapters=False),
            False,
        ),
    ],
)
def test_only_a_generated_text_for_another_shape_is_replaced(
    text: str, wanted: Shape, outdated: bool
) -> None:
    assert epp_defaults.outdated(text, wanted) is outdated


@pytest.mark.parametrize("version", ["0.7.0", "0.8.0", "0.10.0"])
@pytest.mark.parametrize("tls", [False, True])
def test_a_generated_configuration_is_known_again_after_it_was_rewritten(version: str, tls: bool) -> None:
    command = ["--model-server-metrics-scheme=https", "--lora-info-metric=x"] if tls else []
    template = {"containers": [{**TEMPLATE["containers"][0], "args": command}]}
    spec = spec_with(template, annotations={"app.kubernetes.io/version": version})
    world = World()
    run(world, spec)
    assert run(world, spec) == []
    before = picker_args(world)[-1]
    run(world, {**spec, "prefill": {}})
    assert "disagg-profile-handler" in picker_args(world)[-1]
    run(world, spec)
    assert picker_args(world)[-1] == before


def test_live_bytes_that_mean_the_same_stay() -> None:
    world = World()
    spec = spec_with(config={"inline": INLINE}, annotations={"app.kubernetes.io/version": "0.10.0"})
    run(world, spec)
    written = picker_args(world)
    written[-1] = "# the same\nplugins: [{type: '<', weight: 2.0}]\nkind: K\napiVersion: a/v1"
    kept = list(written)
    assert run(world, spec) == []
    changed = spec_with(
        config={"inline": {**INLINE, "kind": "L"}}, annotations={"app.kubernetes.io/version": "0.10.0"}
    )
    run(world, changed)
    assert picker_args(world) != kept


def test_prefill_even_empty_chooses_the_disaggregated_configuration() -> None:
    world = World()
    run(world, {**SPEC, "prefill": {}})
    pod = world.get(kinds.DEPLOYMENT, "svc-kserve-router-scheduler")["spec"]["template"]["spec"]
    assert pod["containers"][0]["args"] == ["--pool-name", "p", "--config-text", WITH_PREFILL]
    assert pod["serviceAccountName"] == "svc-epp-sa"


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
    assert "annotations" not in deployment["metadata"]
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


def test_a_named_account_that_does_not_exist_stops_nothing_but_is_told() -> None:
    world = World()
    named = spec_with({**TEMPLATE, "serviceAccountName": "new"})
    run(world, named)
    assert world.names(kinds.SERVICE_ACCOUNT) == []
    assert world.names(kinds.DEPLOYMENT) == ["svc-kserve-router-scheduler"]
    assert scheduler.account_problem(world.context(named)) == (
        "failed to create expected scheduler service account: failed to fetch existing scheduler service account "
        'ns/new: ServiceAccount "new" not found'
    )
    world.put(kinds.SERVICE_ACCOUNT, "new")
    assert scheduler.account_problem(world.context(named)) == ""
    assert scheduler.account_problem(world.context(SPEC)) == ""
    assert scheduler.account_problem(world.context(HF)) == ""


@pytest.mark.parametrize(
    ("of_server", "wanted"),
    [
        ("", {"imagePullSecrets": [{"name": "pull"}]}),
        ("mine", {"secrets": [{"name": "s3"}], "annotations": {"a": "b"}}),
        ("nobody", {}),
    ],
)
def test_the_generated_account_has_the_model_servers_credentials(
    of_server: str, wanted: dict[str, Any]
) -> None:
    world = World()
    world.put(kinds.SERVICE_ACCOUNT, "default", imagePullSecrets=[{"name": "pull"}])
    theirs = {"annotations": {"a": "b", "meta.helm.sh/release-name": "r"}, "labels": {"l": "m"}}
    world.put(kinds.SERVICE_ACCOUNT, "mine", secrets=[{"name": "s3"}], metadata=theirs)
    spec = {**SPEC, "template": {"serviceAccountName": of_server}} if of_server else SPEC
    run(world, spec)
    made = world.get(kinds.SERVICE_ACCOUNT, "svc-epp-sa")
    assert labels_of(made) == LABELS
    found = {field: made[field] for field in ("secrets", "imagePullSecrets") if field in made}
    assert {**found, **({"annotations": annotations_of(made)} if annotations_of(made) else {})} == wanted
    assert run(world, spec) == []


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
@pytest.mark.parametrize("field", ["command", "args"])
def test_the_pickers_pool_group_becomes_the_one_that_is_served_and_is_never_added(
    field: str, given: list[Any], served: str, wanted: list[Any]
) -> None:
    pod = {"containers": [{"name": "main", field: list(given)}, {"name": "other", field: list(given)}]}
    with_served_group(pod, served)
    assert pod["containers"][0][field] == wanted
    assert pod["containers"][1][field] == given
    bare: dict[str, Any] = {"containers": [{"name": "main"}]}
    with_served_group(bare, served)
    assert bare == {"containers": [{"name": "main"}]}


PRECISE = {"kind": "K", "plugins": [{"type": "precise-prefix-cache-scorer"}]}
DEPRECATED = (
    "DeprecatedPlugin",
    (
        'LLMInferenceService "svc" uses precise-prefix-cache-scorer in config.inline. Update config.inline to use '
        "token-producer, precise-prefix-cache-producer, and prefix-cache-scorer directly. This implicit migration will be "
        "removed in a future release."
    ),
)


@pytest.mark.parametrize(
    ("scheduler_spec", "told"),
    [
        ({"tokenizer": {}}, True),
        ({}, False),
        ({"tokenizer": {}, "config": {"inline": {"kind": "K", "plugins": [{"type": "mine"}]}}}, False),
        ({"tokenizer": {}, "args": ["--config-file=/x"]}, False),
    ],
)
def test_a_tokenizer_that_no_generated_plugin_calls_is_told_of(
    scheduler_spec: dict[str, Any], told: bool
) -> None:
    """COND-9. Of plugins in a configuration of the user's nobody knows what they call."""
    args = scheduler_spec.pop("args", None)
    spec = spec_with(**scheduler_spec)
    if args is not None:
        container = {**spec["router"]["scheduler"]["template"]["containers"][0], "args": args}
        spec["router"]["scheduler"]["template"] = {"containers": [container]}
    found = scheduler.notices(World().context(spec))
    assert [text.partition(" has no effect")[0] for _, text in found] == (
        ["spec.router.scheduler.tokenizer"] * told
    )


PREDICTED = "kind: K\nplugins: [{type: predicted-latency-producer}]"


@pytest.mark.parametrize(
    ("config", "own", "reasons"),
    [
        ({"inline": PRECISE}, {}, ["DeprecatedPlugin"]),
        ({"inline": PREDICTED}, {"ref": {"name": "mine"}}, ["LatencyPredictorConfigRef"]),
        ({"inline": PREDICTED}, {"inline": {}}, []),
        ({"inline": INLINE}, {"ref": {"name": "mine"}}, []),
        ({}, {}, []),
    ],
)
def test_what_the_user_should_know_of_the_configuration_is_told(
    config: dict[str, Any], own: dict[str, Any], reasons: list[str]
) -> None:
    stored = {**service(), "spec": {"router": {"scheduler": {"config": own}}}}
    found = scheduler.notices(World().context(spec_with(config=config), of=stored))
    assert [reason for reason, _ in found] == reasons
    if reasons == ["DeprecatedPlugin"]:
        assert found == (DEPRECATED,)
    stopped = {**stored, "metadata": {**stored["metadata"], "annotations": {names.STOP: "true"}}}
    assert scheduler.notices(World().context(spec_with(config=config), of=stopped)) == ()
