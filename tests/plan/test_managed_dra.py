"""Devices by dynamic resource allocation: the claim template and the pods that claim (DRA-1)."""

from collections.abc import Mapping
from typing import Any

import pytest

from aioctl.api import kinds
from aioctl.api.rules import dra
from aioctl.plan import workload
from aioctl.plan.model import Part, Step, Verb
from aioctl.plan.workload import managed_dra
from testbed.plan_world import HF, MAIN, World, errors_of, service
from tests.plan.workload_world import run

KIND = kinds.RESOURCE_CLAIM_TEMPLATE
NAME = "svc-managed-dra"
CLAIM = {"name": "managed-device", "resourceClaimTemplateName": NAME}
USE = {"claims": [{"name": "managed-device"}]}


def asking(device_class: str = "gpu.nvidia.com", **more: str) -> dict[str, Any]:
    keys = {"count": dra.DEVICE_COUNT, "cel": dra.CEL_SELECTOR, "container": dra.CONTAINER_NAME}
    return service(
        annotations={dra.DEVICE_CLASS: device_class, **{keys[key]: value for key, value in more.items()}}
    )


def requests(template: Mapping[str, Any]) -> Any:
    return template["spec"]["spec"]["devices"]["requests"]


def devices_step(world: World, of: dict[str, Any], spec: dict[str, Any] = HF) -> Step:
    """The step of the claim template."""
    found = [
        step
        for step in workload.steps(world.context(spec, of=of))
        if step.inner == "failed to reconcile managed DRA: "
    ]
    (only,) = found
    return only


@pytest.mark.parametrize(
    ("of", "exactly"),
    [
        (asking(), {"deviceClassName": "gpu.nvidia.com"}),
        (asking(" gpu ", count=" 1 "), {"deviceClassName": "gpu"}),
        (asking("gpu", count=""), {"deviceClassName": "gpu"}),
        (
            asking("gpu", count="2", cel="device.attributes['a'].b == 'c'\n\n  true  \n"),
            {
                "deviceClassName": "gpu",
                "count": 2,
                "selectors": [
                    {"cel": {"expression": "device.attributes['a'].b == 'c'"}},
                    {"cel": {"expression": "true"}},
                ],
            },
        ),
    ],
)
def test_the_annotations_make_a_claim_template(of: dict[str, Any], exactly: dict[str, Any]) -> None:
    world = World()
    assert run(world, HF, of=of) is None
    made = world.get(KIND, NAME)
    assert requests(made) == [{"name": "device", "exactly": exactly}]
    assert made["metadata"]["labels"] == {
        "app.kubernetes.io/name": "svc",
        "app.kubernetes.io/part-of": "llminferenceservice",
    }
    assert devices_step(world, of).writes == ()


def test_what_the_api_server_fills_in_is_no_difference() -> None:
    world = World()
    run(world, HF, of=asking())
    exactly = {"deviceClassName": "gpu.nvidia.com", "allocationMode": "ExactCount", "count": 1}
    spec = {"spec": {"devices": {"requests": [{"name": "device", "exactly": exactly}]}}}
    world.put(KIND, NAME, metadata=world.get(KIND, NAME)["metadata"], spec=spec)
    assert devices_step(world, asking()).writes == ()


@pytest.mark.parametrize("of", [asking(count="2"), asking("other"), asking(cel="true")])
def test_a_template_that_asks_for_something_else_is_made_anew(of: dict[str, Any]) -> None:
    world = World()
    run(world, HF, of=asking())
    assert [write.verb for write in devices_step(world, of).writes] == [Verb.DELETE, Verb.CREATE]
    run(world, HF, of=of)
    assert devices_step(world, of).writes == ()
    assert (
        requests(world.get(KIND, NAME))[0]
        == devices_step(World(), of)
        .writes[0]
        .body["spec"]["spec"][  # type: ignore[index]
            "devices"
        ]["requests"][0]
    )


@pytest.mark.parametrize(
    "of",
    [service(), service(annotations={dra.DEVICE_COUNT: "2"}), None],
)
def test_without_a_class_or_when_stopped_the_template_goes(of: dict[str, Any] | None) -> None:
    world = World()
    run(world, HF, of=asking())
    if of is None:
        of = asking()
        of["metadata"]["annotations"]["serving.kserve.io/stop"] = "true"
    assert [write.verb for write in devices_step(world, of).writes] == [Verb.DELETE]


def test_a_strangers_template_is_left_alone() -> None:
    world = World()
    world.put(KIND, NAME, spec={"spec": {"devices": {"requests": []}}})
    assert "it is not controlled by" in devices_step(world, asking()).error
    assert devices_step(world, service()).writes == ()


@pytest.mark.parametrize(
    ("spec", "part", "whose"),
    [
        (HF, Part.SINGLE_NODE, "single node"),
        ({**HF, "worker": MAIN}, Part.MULTI_NODE, "multi node"),
        ({**HF, "prefill": {"worker": MAIN}}, Part.MULTI_NODE, "multi node"),
    ],
)
def test_errors_are_said_of_the_part_that_runs_the_pods(spec: dict[str, Any], part: Part, whose: str) -> None:
    world = World(unserved=frozenset({KIND}))
    failed = run(world, spec, of=asking())
    assert failed is not None
    assert failed.part is part
    assert errors_of(failed)[0] == (
        f"failed to reconcile workload: failed to reconcile {whose} workload: failed to reconcile managed DRA: "
        "failed to reconcile Managed DRA ResourceClaimTemplate: failed to get v1.ResourceClaimTemplate "
        f'ns/{NAME}: no matches for kind "ResourceClaimTemplate" in version "resource.k8s.io/v1"'
    )


def test_where_the_kind_is_not_served_nothing_has_to_go() -> None:
    assert run(World(unserved=frozenset({KIND})), HF) is None


@pytest.mark.parametrize(
    ("count", "problem"),
    [("0", "must be >= 1"), ("x", 'strconv.Atoi: parsing "x": invalid syntax')],
)
def test_a_count_that_is_none_is_told(count: str, problem: str) -> None:
    failed = run(World(), HF, of=asking(count=count))
    assert errors_of(failed)[0].endswith(
        f'failed to reconcile managed DRA: invalid {dra.DEVICE_COUNT} value "{count}": {problem}'
    )


def test_all_pods_of_a_spec_claim() -> None:
    pod = {"containers": [{"name": "side"}, {"name": "main", "resources": {"limits": {"cpu": "1"}}}]}
    spec = {"template": pod, "worker": pod, "prefill": {"template": pod, "worker": pod, "replicas": 1}}
    claimed = managed_dra.claimed(spec, asking(container="main"))
    wanted = {
        "containers": [{"name": "side"}, {"name": "main", "resources": {"limits": {"cpu": "1"}, **USE}}],
        "resourceClaims": [CLAIM],
    }
    assert claimed == {
        "template": wanted,
        "worker": wanted,
        "prefill": {"template": wanted, "worker": wanted, "replicas": 1},
    }
    assert "resourceClaims" not in pod
    assert managed_dra.claimed(claimed, asking(container="main")) == claimed


@pytest.mark.parametrize(("container", "places"), [("", [0]), ("a", [0]), ("b", [1]), ("nope", [])])
def test_the_named_container_or_the_first_uses_the_claim(container: str, places: list[int]) -> None:
    made = managed_dra.claiming({"containers": [{"name": "a"}, {"name": "b"}]}, NAME, container)
    assert made["resourceClaims"] == [CLAIM]
    assert [at for at, found in enumerate(made["containers"]) if "resources" in found] == places


def test_without_a_class_the_spec_stays_the_same_object() -> None:
    spec: dict[str, Any] = {"template": {"containers": []}}
    assert managed_dra.claimed(spec, service()) is spec


def test_a_spec_without_prefill_gets_none() -> None:
    assert managed_dra.claimed({"model": {}}, asking()) == {"model": {}}
