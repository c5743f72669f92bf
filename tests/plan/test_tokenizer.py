"""The tokenizer beside the endpoint picker: made, changed, removed, and judged like the picker.

Rules: EPP-4, TOK-1, TOK-2.
"""

from typing import Any

import pytest

from aioctl.api import kinds, names
from aioctl.plan import picker_readiness, tokenizer
from aioctl.plan.global_config import GlobalConfig, RoutingConfig, StorageConfig
from aioctl.plan.model import PlanError, Verb
from aioctl.plan.picker import tokenizer_address, tokenizer_is_wanted
from aioctl.plan.workload.forms import Forms
from testbed.plan_world import HF, World, service

LABELS = names.labels("svc", "tokenizer")
POD: dict[str, Any] = {"containers": [{"name": "main", "image": "vllm:1"}]}
CALLER = {"kind": "EndpointPickerConfig", "plugins": [{"type": "token-producer"}]}


def spec_with(**scheduler: Any) -> dict[str, Any]:
    return {**HF, "router": {"scheduler": {"tokenizer": {"template": POD}, **scheduler}}}


SPEC = spec_with(template={"serviceAccountName": "svc-epp-sa", "containers": [{"name": "main"}]})


def run(world: World, spec: dict[str, Any], **more: Any) -> list[Any]:
    return world.apply(tokenizer.tokenizer(world.context(spec, **more), Forms()))


def pod_of(world: World) -> dict[str, Any]:
    pod: dict[str, Any] = world.get(kinds.DEPLOYMENT, "svc-tokenizer")["spec"]["template"]["spec"]
    return pod


def test_deployment_and_service_are_made_and_a_second_look_changes_nothing() -> None:
    world = World()
    writes = run(world, SPEC)
    assert [write.event for write in writes] == [
        "Created v1.Deployment ns/svc-tokenizer",
        "Created v1.Service ns/svc-tokenizer",
    ]
    deployment = world.get(kinds.DEPLOYMENT, "svc-tokenizer")
    assert deployment["metadata"]["labels"] == LABELS
    assert deployment["spec"]["selector"] == {"matchLabels": LABELS}
    assert deployment["spec"]["template"]["metadata"] == {"labels": LABELS}
    assert deployment["spec"]["replicas"] == 1
    served = world.get(kinds.CORE_SERVICE, "svc-tokenizer")["spec"]
    assert served["ports"] == [
        {"name": "render-http", "port": 8000, "protocol": "TCP", "targetPort": "render-http"}
    ]
    assert served["selector"] == LABELS
    assert run(world, SPEC) == []


def test_another_image_for_downloads_waits_for_the_next_rollout() -> None:
    world, spec = World(), {**SPEC, "model": {"uri": "hf://a/b"}}
    before, after = (
        GlobalConfig("kserve", storage=StorageConfig(image=image)) for image in ("init:1", "init:2")
    )
    run(world, spec, config=before)
    forms = Forms()
    assert world.apply(tokenizer.tokenizer(world.context(spec, config=after), forms)) == []
    assert [(held.kind, held.name) for held in forms.take()] == [("Deployment", "svc-tokenizer")]
    edited = spec_with(tokenizer={"template": {"containers": [{"name": "main", "image": "vllm:2"}]}})
    [write] = run(
        world,
        {**spec, "router": {"scheduler": {**SPEC["router"]["scheduler"], **edited["router"]["scheduler"]}}},
        config=after,
    )
    assert write.verb is Verb.UPDATE
    [initializer] = pod_of(world)["initContainers"]
    assert initializer["image"] == "init:2"


MODELS = [
    ("hf://a/b", {"name": "kserve-provision-location"}, ["hf://a/b", "/mnt/models"]),
    ("s3://a/b", {"name": "kserve-provision-location"}, ["s3://a/b", "/mnt/models"]),
    ("pvc://claim/x", {"name": "kserve-pvc-source", "subPath": "x"}, None),
    ("oci+native://r/i:1", {"name": "mnt-models-base", "subPath": "models"}, None),
]


@pytest.mark.parametrize(("uri", "mount", "args"), MODELS)
def test_the_model_is_where_the_plugins_look_for_it_and_adapters_are_not(
    uri: str, mount: dict[str, Any], args: list[str] | None
) -> None:
    world = World()
    lora = {"adapters": [{"name": "a", "uri": "hf://c/d"}, {"name": "p", "uri": "pvc://e/f"}]}
    run(world, {**SPEC, "model": {"uri": uri, "name": "m", "lora": lora}})
    pod = pod_of(world)
    assert pod["containers"][0]["volumeMounts"] == [
        {**mount, "mountPath": "/mnt/models/base", "readOnly": True}
    ]
    assert "args" not in pod["containers"][0]
    assert [each["args"] for each in pod.get("initContainers", [])] == ([args] if args else [])
    if args:
        mounts = pod["initContainers"][0]["volumeMounts"]
        assert mounts == [{"name": "kserve-provision-location", "mountPath": "/mnt/models"}]


def test_credentials_are_those_of_the_pickers_account() -> None:
    world = World()
    world.put(kinds.SECRET, "s3", data={"AWS_SECRET_ACCESS_KEY": "eA=="})
    world.put(kinds.SERVICE_ACCOUNT, "mine", secrets=[{"name": "s3"}])
    named = spec_with(template={"serviceAccountName": "mine", "containers": [{"name": "main"}]})
    run(world, {**named, "model": {"uri": "s3://a/b", "name": "m"}})
    secrets = [
        each["valueFrom"]["secretKeyRef"]["name"] for each in pod_of(world)["initContainers"][0]["env"][:1]
    ]
    assert secrets == ["s3"]


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        (SPEC, True),
        (spec_with(), True),
        (spec_with(tokenizer={}), True),
        (spec_with(tokenizer=None), False),
        (spec_with(tokenizer=None, config={"inline": CALLER}), True),
        (spec_with(tokenizer=None, config={"inline": {**CALLER, "plugins": [{"type": "x"}]}}), False),
        (
            spec_with(
                tokenizer=None, config={"inline": "kind: K\nplugins: [{type: precise-prefix-cache-scorer}]"}
            ),
            True,
        ),
        (
            spec_with(
                tokenizer=None,
                template={
                    "containers": [
                        {
                            "name": "main",
                            "args": ["-configText", "kind: K\nplugins: [{type: token-producer}]"],
                        }
                    ]
                },
            ),
            True,
        ),
        (
            spec_with(
                tokenizer=None,
                template={"containers": [{"name": "main", "args": ["--config-file", "/token-producer"]}]},
            ),
            False,
        ),
        (spec_with(pool={"ref": {"name": "theirs"}}), False),
        (HF, False),
    ],
)
def test_it_is_wanted_where_it_is_asked_for_or_a_plugin_calls_it(spec: dict[str, Any], wanted: bool) -> None:
    assert tokenizer_is_wanted(World().context(spec)) is wanted
    stopped = service(annotations={names.STOP: "true"})
    assert not tokenizer_is_wanted(World().context(spec, of=stopped))


@pytest.mark.parametrize("spec", [HF, spec_with(tokenizer=None), spec_with(pool={"ref": {"name": "theirs"}})])
def test_it_goes_when_it_is_not_wanted_and_a_strangers_stays(spec: dict[str, Any]) -> None:
    world = World()
    run(world, SPEC)
    assert [(write.verb, write.kind.kind) for write in run(world, spec)] == [
        (Verb.DELETE, "Deployment"),
        (Verb.DELETE, "Service"),
    ]
    assert world.objects == {}
    world.put(kinds.CORE_SERVICE, "svc-tokenizer", spec={})
    assert run(world, spec) == []


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            spec_with(tokenizer={}),
            "spec.router.scheduler.tokenizer.template is empty: no config gives the tokenizer a pod",
        ),
        (
            spec_with(tokenizer={"template": 5}),
            "spec.router.scheduler.tokenizer.template: expected an object, got integer",
        ),
    ],
)
def test_what_cannot_be_built_is_told_with_its_field(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError) as caught:
        run(World(), spec)
    assert str(caught.value) == f"failed to build expected tokenizer deployment: {message}"


@pytest.mark.parametrize(("tls", "scheme"), [(False, "http"), (True, "https")])
def test_its_address_follows_the_configuration(tls: bool, scheme: str) -> None:
    config = GlobalConfig("kserve", routing=RoutingConfig(enable_tls=tls))
    ctx = World().context(SPEC, config=config)
    assert tokenizer_address(ctx) == f"{scheme}://svc-tokenizer.ns.svc.cluster.local:8000"


def said(type_: str, status: str, reason: str = "R", message: str = "M") -> dict[str, str]:
    return {"type": type_, "status": status, "reason": reason, "message": message}


LATE = said("Progressing", "False", "ProgressDeadlineExceeded", "too late")


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (None, (False, "Progressing", "Deployment rollout in progress")),
        ({}, (False, "Progressing", "Deployment rollout in progress")),
        ({"availableReplicas": 1, "conditions": [LATE, said("Available", "False")]}, (True, "", "")),
        (
            {"availableReplicas": 0, "conditions": [said("Available", "False"), LATE]},
            (False, "ProgressDeadlineExceeded", "too late"),
        ),
        ({"conditions": [LATE, said("Available", "True")]}, (False, "ProgressDeadlineExceeded", "too late")),
        ({"conditions": [said("Progressing", "False"), said("Available", "True")]}, (True, "", "")),
        ({"conditions": [said("Available", "False")]}, (False, "R", "M")),
        (
            {"conditions": [said("Progressing", "True")]},
            (False, "Progressing", "Deployment rollout in progress"),
        ),
    ],
)
def test_one_available_replica_is_enough_and_a_stuck_rollout_comes_before_what_else_is_said(
    status: dict[str, Any] | None, verdict: tuple[bool, str, str]
) -> None:
    found = picker_readiness.judge(None if status is None else {"status": status})
    assert (found.ready, found.reason, found.message) == verdict
