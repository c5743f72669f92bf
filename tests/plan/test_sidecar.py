"""Which pool generation a routing sidecar is told, by what is served and what its release can read (SIDE-1)."""

from typing import Any

import pytest

from aioctl.api import kinds, names
from aioctl.api.kinds import POOL_GROUP_V1, POOL_GROUP_V1ALPHA2
from aioctl.plan.model import Verb
from aioctl.plan.workload import steps
from aioctl.plan.workload.pods import SIDECAR
from aioctl.plan.workload.sidecar import NEEDS_OLD_POOL
from testbed.plan_world import HF, World

V1, X = POOL_GROUP_V1, POOL_GROUP_V1ALPHA2
DEPLOYMENT = "svc-kserve"


def spec(tag: str, args: list[str], *, field: str = "command", image: str = "main:1") -> dict[str, Any]:
    sidecar = {"name": SIDECAR, "image": f"ghcr.io/llm-d/llm-d-routing-sidecar:{tag}", field: args}
    template = {"containers": [{"name": "main", "image": image}], "initContainers": [sidecar]}
    router: dict[str, Any] = {"route": {}, "scheduler": {}}
    return {
        **HF,
        "template": template,
        "prefill": {"template": {"containers": [{"name": "main"}]}},
        "router": router,
    }


def world(*, served: bool = True) -> World:
    return World() if served else World(unserved=frozenset({kinds.SCC, kinds.POOL_V1ALPHA2}))


def play(at: World, given: dict[str, Any]) -> tuple[list[Any], set[str]]:
    """Plans and applies the workload; the flag as it runs then, and the reasons of what was warned of."""
    writes = [write for each in steps(at.context(given)) for write in each.writes]
    at.apply(writes)
    return running(at), {reason for write in writes for reason, _ in write.warnings}


def running(at: World) -> list[Any]:
    """The flags of the sidecar in the live template."""
    live = next(
        obj for ref, obj in at.objects.items() if ref.kind == kinds.DEPLOYMENT and ref.name == DEPLOYMENT
    )
    (sidecar,) = [
        each for each in live["spec"]["template"]["spec"]["initContainers"] if each["name"] == SIDECAR
    ]
    return sidecar.get("command") or sidecar.get("args") or []


@pytest.mark.parametrize(
    ("tag", "given", "served", "told"),
    [
        ("v0.5.0", X, True, X),
        ("v0.9.1", X, True, X),
        ("v0.9.1", V1, True, X),
        ("v0.10.0", X, True, X),
        ("v0.10.0", V1, True, V1),
        ("v0.11.0-rc.1", X, True, V1),
        ("v0.12.3", X, True, V1),
        ("latest", X, True, X),
        ("latest", V1, True, V1),
        ("v0.9.1", X, False, V1),
        ("v0.10.0", X, False, V1),
        ("latest", X, False, V1),
    ],
)
@pytest.mark.parametrize("form", ["joined", "apart"])
def test_a_new_pod_is_told_what_is_served_and_can_be_read(
    tag: str, given: str, told: str, form: str, *, served: bool
) -> None:
    def args(group: str) -> list[str]:
        return [
            "pd",
            "--port=8000",
            *([f"--pool-group={group}"] if form == "joined" else ["--pool-group", group]),
        ]

    found, warned = play(
        world(served=served), spec(tag, args(given), field="command" if form == "joined" else "args")
    )
    assert found == args(told)
    assert (NEEDS_OLD_POOL in warned) is (not served and tag == "v0.9.1")


def test_no_flag_is_added_and_another_group_is_left() -> None:
    for args in (["pd", "--port=8000"], ["pd", "--pool-group=example.org"], ["pd", "--pool-group"]):
        assert play(world(served=False), spec("v0.10.0", args))[0] == args


def test_a_running_pod_is_not_restarted_when_the_old_generation_goes_and_is_told_at_the_next_change() -> None:
    at = world()
    given = spec("v0.10.0", ["pd", f"--pool-group={X}"])
    play(at, given)
    at.unserved = frozenset({kinds.SCC, kinds.POOL_V1ALPHA2})
    again = [
        write for each in steps(at.context(given)) for write in each.writes if write.kind == kinds.DEPLOYMENT
    ]
    assert not again
    changed = spec("v0.10.0", ["pd", f"--pool-group={X}"], image="main:2")
    assert play(at, changed)[0] == ["pd", f"--pool-group={V1}"]


def test_what_runs_is_kept_where_its_release_can_read_it() -> None:
    at = world()
    play(at, spec("v0.10.0", ["pd", f"--pool-group={V1}"]))
    back = spec("v0.10.0", ["pd", f"--pool-group={X}"], image="main:2")
    assert play(at, back)[0] == ["pd", f"--pool-group={V1}"]
    older = spec("v0.9.0", ["pd", f"--pool-group={X}"], image="main:3")
    assert play(at, older)[0] == ["pd", f"--pool-group={X}"]


def test_a_preset_that_says_v1_now_is_followed_where_the_release_can_read_it() -> None:
    at = world()
    play(at, spec("v0.10.0", ["pd", f"--pool-group={X}"]))
    assert play(at, spec("v0.10.0", ["pd", f"--pool-group={V1}"]))[0] == ["pd", f"--pool-group={V1}"]
    at = world()
    play(at, spec("v0.9.0", ["pd", f"--pool-group={X}"]))
    assert play(at, spec("v0.9.0", ["pd", f"--pool-group={V1}"]))[0] == ["pd", f"--pool-group={X}"]


@pytest.mark.parametrize(
    ("tag", "locked", "told"), [("v0.10.0", True, V1), ("v0.10.0", False, X), ("v0.9.1", True, X)]
)
def test_a_service_that_leaves_v1alpha2_is_restarted_with_v1_where_its_sidecar_can_read_it(
    tag: str, told: str, *, locked: bool
) -> None:
    at = world()
    given = spec(tag, ["pd", f"--pool-group={X}"])
    play(at, given)
    annotations = {names.OLD_POOLS: "leaving"}
    metadata = {
        "name": "svc",
        "namespace": "ns",
        "uid": "uid-ns-svc",
        "resourceVersion": "1",
        "annotations": annotations,
    }
    leaving = {
        "apiVersion": "serving.kserve.io/v1alpha2",
        "kind": "LLMInferenceService",
        "metadata": metadata,
        "spec": {},
        "status": {"annotations": {names.MIGRATED: "v1"} if locked else {}},
    }
    at.apply([write for each in steps(at.context(given, of=leaving)) for write in each.writes])
    assert running(at) == ["pd", f"--pool-group={told}"]


def test_the_move_of_traffic_changes_no_pod() -> None:
    at = world()
    given = spec("v0.12.0", ["pd", f"--pool-group={X}"])
    play(at, given)
    service = {"apiVersion": "serving.kserve.io/v1alpha2", "kind": "LLMInferenceService"}
    metadata = {"name": "svc", "namespace": "ns", "uid": "uid-ns-svc", "resourceVersion": "1"}
    moved = {**service, "metadata": metadata, "spec": {}, "status": {"annotations": {names.MIGRATED: "v1"}}}
    writes = [write for each in steps(at.context(given, of=moved)) for write in each.writes]
    assert not [write for write in writes if write.kind == kinds.DEPLOYMENT and write.verb is not Verb.CREATE]
