"""Workloads under names of the earlier revision go on under them; new ones get today's (NAME-3).

Rules: NAME-2.
"""

from dataclasses import dataclass
from typing import Any

import pytest

from aioctl.api import kinds, names
from aioctl.api.kinds import Kind
from aioctl.plan import workload
from aioctl.plan.model import Verb
from testbed.plan_world import HF, MAIN, World, service
from tests.plan.workload_world import SIDECAR, rollouts, run

NAME = "a" * 38
"""Too long for the earlier names of every suffix, short enough for today's names of groups."""
LONGEST = "a" * 63
SINGLE: dict[str, Any] = {**HF, "template": SIDECAR, "prefill": {"template": MAIN}, "router": {}}
GROUPS: dict[str, Any] = {
    "model": HF["model"],
    "template": SIDECAR,
    "worker": MAIN,
    "prefill": {"template": MAIN},
    "router": {},
}


@dataclass(frozen=True)
class Case:
    spec: dict[str, Any]
    kind: Kind
    suffix: str
    children: tuple[tuple[Kind, str], ...]


CASES = [
    Case(
        SINGLE,
        kinds.DEPLOYMENT,
        "-kserve",
        (
            (kinds.SERVICE_ACCOUNT, "-kserve"),
            (kinds.ROLE, "-kserve-role"),
            (kinds.ROLE_BINDING, "-kserve-rb"),
        ),
    ),
    Case(SINGLE, kinds.DEPLOYMENT, "-kserve-prefill", ()),
    Case(
        GROUPS,
        kinds.LEADER_WORKER_SET,
        "-kserve-mn",
        (
            (kinds.SERVICE_ACCOUNT, "-kserve-mn"),
            (kinds.ROLE, "-kserve-mn-role"),
            (kinds.ROLE_BINDING, "-kserve-mn-rb"),
        ),
    ),
]


def former(world: World, of: Any, case: Case, *only: Kind) -> None:
    """Gives everything of the case that was made the name it would have had before."""
    for kind, suffix in ((case.kind, case.suffix), *case.children):
        if only and kind not in only:
            continue
        made = dict(world.get(kind, names.child(of["metadata"]["name"], suffix)))
        old = names.safe(of["metadata"]["name"], suffix)
        metadata = {**made.pop("metadata"), "name": old}
        metadata.pop("ownerReferences")
        text = {key: value for key, value in made.items() if key not in ("apiVersion", "kind")}
        world.put(kind, old, owner=of, metadata=metadata, **_renamed(text, of["metadata"]["name"], case))


def _renamed(value: Any, name: str, case: Case) -> Any:
    if isinstance(value, dict):
        return {key: _renamed(item, name, case) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, name, case) for item in value]
    new_to_old = {names.child(name, suffix): names.safe(name, suffix) for _, suffix in case.children}
    return new_to_old.get(value, value)


def settled(of: Any, spec: dict[str, Any]) -> World:
    world = World()
    for _ in range(2):
        assert run(world, spec, of=of) is None
    world.writes.clear()
    return world


def remove(world: World, kind: Kind, name: str) -> None:
    world.objects = {ref: obj for ref, obj in world.objects.items() if (ref.kind, ref.name) != (kind, name)}


@pytest.mark.parametrize("case", CASES)
def test_new_workloads_have_todays_names(case: Case) -> None:
    world = settled(service(NAME), case.spec)
    for kind, suffix in ((case.kind, case.suffix), *case.children):
        assert world.get(kind, names.child(NAME, suffix)) is not None
        assert world.get(kind, names.safe(NAME, suffix)) is None


@pytest.mark.parametrize("case", CASES)
def test_what_stands_under_an_earlier_name_goes_on_under_it(case: Case) -> None:
    of = service(NAME)
    world = settled(of, case.spec)
    former(world, of, case)
    for kind, suffix in ((case.kind, case.suffix), *case.children):
        remove(world, kind, names.child(NAME, suffix))
    assert run(world, case.spec, of=of) is None
    assert rollouts(world) == []
    assert {write.verb for write in world.writes} <= {Verb.UPDATE}
    world.writes.clear()
    assert run(world, case.spec, of=of) is None
    assert world.writes == []
    changed = {**case.spec, "replicas": 3, "prefill": {**case.spec["prefill"], "replicas": 3}}
    assert run(world, changed, of=of) is None
    updated = [(write.verb, write.name) for write in world.writes if write.kind is case.kind]
    assert (Verb.UPDATE, names.safe(NAME, case.suffix)) in updated
    assert {verb for verb, _ in updated} == {Verb.UPDATE}
    assert world.get(case.kind, names.child(NAME, case.suffix)) is None


@pytest.mark.parametrize("case", CASES)
def test_a_workload_of_todays_name_replaces_the_earlier_one_once_it_is_available(case: Case) -> None:
    of = service(NAME)
    world = settled(of, case.spec)
    former(world, of, case)
    old = [(kind, names.safe(NAME, suffix)) for kind, suffix in ((case.kind, case.suffix), *case.children)]
    assert run(world, case.spec, of=of) is None
    assert all(world.get(kind, name) for kind, name in old)
    world.get(case.kind, names.child(NAME, case.suffix))["status"] = {
        "conditions": [{"type": "Available", "status": "True"}]
    }
    for _ in range(2):
        assert run(world, case.spec, of=of) is None
    assert not any(world.get(kind, name) for kind, name in old)
    assert {write.verb for write in world.writes} == {Verb.DELETE}
    world.writes.clear()
    assert run(world, case.spec, of=of) is None
    assert world.writes == []


@pytest.mark.parametrize("case", CASES)
def test_an_earlier_name_that_is_a_strangers_is_left_alone(case: Case) -> None:
    world = World()
    for kind, suffix in ((case.kind, case.suffix), *case.children):
        world.put(kind, names.safe(NAME, suffix), owner=service("other"), spec={"template": {"spec": {}}})
    before = dict(world.objects)
    of = service(NAME)
    assert run(world, case.spec, of=of) is None
    assert world.get(case.kind, names.child(NAME, case.suffix)) is not None
    assert run(world, HF, of=service(NAME, annotations={"serving.kserve.io/stop": "true"})) is None
    assert {ref: obj for ref, obj in world.objects.items() if ref in before} == before


@pytest.mark.parametrize("case", CASES)
def test_a_stopped_service_loses_what_it_has_under_either_name(case: Case) -> None:
    of = service(NAME)
    world = settled(of, case.spec)
    former(world, of, case)
    stopped = service(NAME, annotations={"serving.kserve.io/stop": "true"})
    assert run(world, {}, of=stopped) is None
    assert world.objects == {}


def test_a_role_whose_name_alone_has_changed_goes_on_with_its_binding() -> None:
    """A name of 32 characters: the Deployment and the binding are called as before, the role is not."""
    name = "a" * 32
    (case, *_) = CASES
    of = service(name)
    world = settled(of, case.spec)
    former(world, of, case, kinds.ROLE)
    remove(world, kinds.ROLE, names.child(name, "-kserve-role"))
    world.get(kinds.ROLE_BINDING, f"{name}-kserve-rb")["roleRef"]["name"] = names.safe(name, "-kserve-role")
    assert run(world, case.spec, of=of) is None
    assert world.writes == []


def test_a_set_under_an_earlier_name_is_judged_by_that_name() -> None:
    """Today's name would be too long for the labels of its pods; the one that it has is not."""
    of = service(LONGEST)
    world = World()
    spec = {"model": HF["model"], "worker": MAIN}
    ctx = world.context(spec, of=of)
    assert [notice.partition(" has no effect: ")[0] for notice in workload.notices(ctx)] == ["spec.worker"]
    world.put(kinds.LEADER_WORKER_SET, names.safe(LONGEST, "-kserve-mn"), owner=of, spec={"replicas": 2})
    assert list(workload.notices(world.context(spec, of=of))) == []
    assert run(world, spec, of=of) is None
    assert [write.name for write in world.writes if write.kind is kinds.LEADER_WORKER_SET] == [
        names.safe(LONGEST, "-kserve-mn")
    ]


@pytest.mark.parametrize(
    "spec",
    [
        {"prefill": {"labels": {"team": "a b"}}},
        {"labels": {"te am": "a"}},
        {"router": {"scheduler": {"labels": {"team": "/"}}}},
    ],
)
def test_with_a_label_that_no_pod_can_have_nothing_runs(spec: dict[str, Any]) -> None:
    """WORK-8: the other side's pods would hold accelerators meanwhile."""
    world = World()
    error = run(world, {"model": HF["model"], **spec})
    assert error is not None
    assert "labels[te" in str(error)
    assert world.writes == []
