"""Traffic groups: who takes part, what the rules of the routes and the status say, and when a member may go.

Rules: GROUP-1, GROUP-2, GROUP-3, GROUP-4, GROUP-6.
"""

from dataclasses import replace
from typing import Any

import pytest

from aioctl.api import kinds, names
from aioctl.api.kinds import POOL_GROUP_V1, ObjectRef
from aioctl.controller.planner import conclude
from aioctl.plan import groups
from aioctl.plan.facts import Facts
from aioctl.plan.model import Outcome
from aioctl.plan.observation import Unanswered
from aioctl.plan.order import plan as plan_of
from aioctl.plan.status import leaving as leaving_status
from tests.plan.group_world import OWN, TWO, accept_pools, degraded, grouped, join, peer, rules, shares
from tests.plan.router_world import (
    GATEWAY,
    NS,
    ROUTE,
    RouterWorld,
)


def group_of(world: RouterWorld) -> groups.Group:
    found = groups.group_of(world.ctx)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("changes", "members"),
    [
        ({}, ["svc", "two"]),
        ({"group": "h"}, ["svc"]),
        ({"deleting": True}, ["svc"]),
        ({"router_ready": "False"}, ["svc"]),
        ({"router_ready": "Unknown"}, ["svc"]),
        ({"replicas": {}}, ["svc"]),
        ({"replicas": {"primary": 0, "scheduler": 1}}, ["svc"]),
        ({"replicas": {"primary": 1, "scheduler": 0}}, ["svc"]),
        ({"replicas": {"primary": 1, "prefill": 0, "scheduler": 1}}, ["svc"]),
        ({"replicas": {"primary": 1, "prefill": 2, "scheduler": 1}}, ["svc", "two"]),
        ({"replicas": {"primary": 1}, "scheduler": None, "pool": False}, ["svc", "two"]),
        ({"stopped": True, "router_ready": "False", "replicas": {}, "models": None}, ["svc", "two"]),
        ({"stopped": True, "deleting": True}, ["svc"]),
    ],
)
def test_who_takes_part(changes: dict[str, Any], members: list[str]) -> None:
    world = join(grouped(), peer("two", **changes))
    assert [member.name for member in group_of(world).members] == members
    assert group_of(world).divergent == ()


@pytest.mark.parametrize(
    ("changes", "sets"),
    [
        ({"models": ("publishers/ns/models/o", "o")}, "o+publishers/ns/models/o"),
        # A name more is another set, and so is the plain name alone, which is what a member without addresses goes by.
        ({"models": ("publishers/ns/models/m", "m", "a")}, "a+m+publishers/ns/models/m"),
        ({"models": None}, "m"),
        ({"models": None, "spec": {"model": {"uri": "hf://o"}}}, "two"),
        (
            {
                "models": None,
                "spec": {"model": {"name": "o", "lora": {"adapters": [{"name": "b"}, {"name": "a"}]}}},
            },
            "a+b+o",
        ),
        ({"stopped": True, "models": None, "spec": {"model": {"name": "o"}}}, "o"),
    ],
)
def test_members_with_other_models_are_left_out_and_named(changes: dict[str, Any], sets: str) -> None:
    world = join(grouped(), peer("two", **changes))
    found = group_of(world)
    assert [member.name for member in found.members] == ["svc"]
    assert [member.name for member in found.divergent] == ["two"]
    world.reconcile()
    assert degraded(world) == (
        "True",
        "MemberDivergence",
        f"group has members with different model sets: {sets}",
    )
    assert world.status_of("GroupReady") == "True"
    assert [reason for reason, _ in groups.notices(found)] == ["MemberDivergence"]
    assert shares(world) == [OWN]
    world.put(kinds.SERVICE, peer("two"))
    world.reconcile()
    assert degraded(world) == ("", "", "")


def test_a_stopped_member_is_one_if_it_has_the_model_among_its_own() -> None:
    model = {"name": "m", "lora": {"adapters": [{"name": "a"}]}}
    world = join(grouped(), peer("two", stopped=True, models=None, spec={"model": model}))
    assert [member.name for member in group_of(world).members] == ["svc", "two"]
    assert group_of(world).sharing == group_of(world).members[:1]


def test_divergent_sets_are_named_once_each_in_order() -> None:
    world = join(
        grouped(),
        peer("two", models=("z", "b")),
        peer("three", models=("b", "z")),
        peer("four", models=("a",)),
    )
    world.reconcile()
    assert degraded(world)[2].endswith("sets: a, b+z")


def test_rules_that_are_not_for_the_service_by_its_path_are_shared() -> None:
    world = join(grouped(), peer("two"), peer("a-third", 0, scheduler=None, pool=False))
    world.reconcile()
    shared = [("svc", "a-third-kserve-workload-svc", 0), OWN, TWO]
    assert shares(world, 0) == [("x", "svc-inference-pool", 1)]
    assert shares(world, 1) == shares(world, 2) == shared
    assert world.live["metadata"]["labels"][names.ROUTING_GROUP] == "g"


@pytest.mark.parametrize(
    ("matches", "shared"),
    [
        ([], True),
        ([{}], True),
        ([{"path": {"value": "/"}}], True),
        ([{"path": {"value": "/ns/svc"}}], False),
        ([{"path": {"value": "/ns/svc/v1"}}], False),
        ([{"path": {"value": "/ns/svc-2"}}], True),
        ([{"path": {"value": "/m"}}, {"path": {"value": "/ns/svc/"}}], False),
    ],
)
def test_a_path_of_its_own_or_below_it_keeps_a_rule(matches: list[Any], shared: bool) -> None:
    rule = {"matches": matches, "backendRefs": rules()[0]["backendRefs"]}
    assert groups.is_shared(grouped().ctx, rule) is shared


@pytest.mark.parametrize(
    ("backend", "shared"),
    [
        ({"kind": "InferencePool", "group": POOL_GROUP_V1, "name": "svc-inference-pool"}, True),
        (
            {"kind": "InferencePool", "group": "inference.networking.x-k8s.io", "name": "svc-inference-pool"},
            True,
        ),
        ({"kind": "InferencePool", "group": POOL_GROUP_V1, "name": "other"}, False),
        ({"kind": "Service", "name": "svc-kserve-workload-svc"}, True),
        ({"name": "svc-kserve-workload-svc"}, True),
        ({"name": "mine"}, False),
    ],
)
def test_only_rules_with_a_backend_of_ours_are_shared(backend: dict[str, Any], shared: bool) -> None:
    assert groups.is_shared(grouped().ctx, {"backendRefs": [backend]}) is shared


def test_a_stopped_member_gets_no_traffic_and_stays_in_the_status_with_its_weight() -> None:
    world = join(grouped(), peer("two", stopped=True, pool=False, models=None, replicas={}))
    world.reconcile()
    assert shares(world) == [OWN]
    service = {"group": "", "kind": "Service", "name": "two-kserve-workload-svc", "port": 8000}
    assert world.service["status"]["router"]["group"]["members"][1] == {
        "name": "two",
        "weight": 30,
        "stopped": True,
        "backendRef": service,
    }


def test_the_status_says_the_same_in_every_state_of_the_migration() -> None:
    world = join(grouped(), peer("two"), peer("ext", 5, external="my-pool"))
    world.reconcile()
    before = world.service["status"]["router"]["group"]
    old, new = ("inference.networking.x-k8s.io", "inference.networking.k8s.io")

    def entry(name: str, weight: int, group: str, pool: str) -> dict[str, Any]:
        ref = {"group": group, "kind": "InferencePool", "name": pool, "port": 8000}
        return {"name": name, "weight": weight, "backendRef": ref}

    assert before == {
        "name": "g",
        "members": [
            entry("ext", 5, old, "my-pool"),
            entry("svc", 70, new, "svc-inference-pool"),
            entry("two", 30, new, "two-inference-pool"),
        ],
    }
    accept_pools(world, "svc", "two")
    world.objects[ObjectRef(kinds.POOL_V1, NS, "my-pool")]["status"] = world.objects[
        ObjectRef(kinds.POOL_V1, NS, "two-inference-pool")
    ]["status"]
    world.reconcile()
    assert [kind for kind, _, _ in shares(world)] == ["v1"] * 3
    assert world.service["status"]["router"]["group"] == before


def test_a_member_stays_while_its_own_route_is_not_ready_and_joins_only_when_it_is() -> None:
    """Otherwise two members would leave each other out for ever: each change of a route makes it not ready for a while."""
    world = join(grouped(), peer("two", router_ready="False"))
    world.reconcile()
    assert shares(world) == [OWN]
    world.put(kinds.SERVICE, peer("two"))
    world.reconcile()
    assert shares(world) == [OWN, TWO]
    world.put(kinds.SERVICE, peer("two", router_ready="False"))
    assert world.plan_route() == []
    world.put(kinds.SERVICE, peer("two", replicas={"primary": 0, "scheduler": 1}))
    world.reconcile()
    assert shares(world) == [OWN]


def test_who_leaves_the_group_leaves_its_rules_label_and_status() -> None:
    world = join(grouped(), peer("two"))
    world.reconcile()
    world.service["spec"] = {}
    assert world.router is not None
    world.edit_router({**world.router, "route": {"http": {"spec": {"rules": rules()}}}})
    world.reconcile()
    assert names.ROUTING_GROUP not in world.live["metadata"]["labels"]
    assert {name for _, name, _ in shares(world)} == {"svc-inference-pool"}
    assert "group" not in world.service["status"]["router"]
    assert (world.status_of("GroupReady"), degraded(world)[0]) == ("", "")


def test_a_stopped_service_says_nothing_of_its_group() -> None:
    world = join(grouped(), peer("two", models=("o",)))
    world.reconcile()
    assert (world.status_of("GroupReady"), degraded(world)[0]) == ("True", "True")
    world.annotate(names.STOP, "true")
    world.reconcile()
    assert (world.status_of("GroupReady"), degraded(world)[0]) == ("", "")


def test_a_group_from_a_config_acts_on_the_own_route_and_others_do_not_see_it() -> None:
    world = join(grouped(stored=False), peer("two"))
    world.reconcile()
    assert shares(world) == [TWO]
    shown = world.service["status"]["router"]["group"]
    assert (shown["name"], [member["name"] for member in shown["members"]]) == ("g", ["two"])
    assert world.status_of("GroupReady") == "True"
    alone = grouped(stored=False)
    alone.reconcile()
    assert "group" not in alone.service["status"]["router"]
    assert alone.status_of("GroupReady") == ""
    assert {name for _, name, _ in shares(alone)} == {"svc-inference-pool"}, (
        "a rule without backends serves nobody"
    )


def test_only_a_weight_of_the_service_itself_counts() -> None:
    world = join(grouped(), peer("two"))
    del world.service["spec"]["router"]["route"]["weight"]
    assert [member.weight for member in group_of(world).members] == [0, 30]


def test_a_group_without_traffic_is_told_of_and_does_not_spoil_the_service() -> None:
    world = grouped(0)
    world.reconcile()
    assert shares(world) == [("x", "svc-inference-pool", 0)]
    notices = dict(groups.notices(group_of(world)))
    assert '"g" gets no traffic' in notices["GroupWithoutTraffic"]
    assert "sends traffic nowhere" not in world.condition("HTTPRoutesReady")["message"]
    assert dict(groups.notices(group_of(join(world, peer("two", 1))))) == {}


def test_who_is_deleted_waits_for_the_routes_of_the_others() -> None:
    world = join(grouped(), peer("two"), peer("three", deleting=True))
    world.reconcile()
    leaving = {**world.objects[ObjectRef(kinds.SERVICE, NS, "two")]}
    world.put(kinds.SERVICE, world.service)
    assert groups.holding(world.facts, leaving) == "svc"
    world.put(kinds.SERVICE, {**leaving, "metadata": {**leaving["metadata"], "deletionTimestamp": "now"}})
    world.reconcile()
    assert groups.holding(world.facts, leaving) == ""


@pytest.mark.parametrize("ready", ["True", "False", "Unknown"])
def test_who_waits_to_go_says_for_whom_and_is_as_ready_as_it_was(ready: str) -> None:
    """A deletion counts as a new generation, which nobody observes: nothing of the service is reconciled any more."""
    world = join(grouped(), peer("two"))
    world.reconcile()
    world.put(kinds.SERVICE, world.service)
    leaving = peer("two", deleting=True)
    leaving["metadata"] |= {"finalizers": [names.FINALIZER], "generation": 2}
    dependents = ("PresetsCombined", "Ready", "RouterReady", "WorkloadsReady")
    kept = [{"type": type_, "status": ready, "lastTransitionTime": "then"} for type_ in dependents]
    degraded_before = {
        "type": "GroupDegraded",
        "status": "True",
        "severity": "Info",
        "reason": "MemberDivergence",
    }
    leaving["status"] |= {"observedGeneration": 1, "conditions": [*kept, degraded_before]}
    found = leaving_status(leaving, plan_of(world.facts, leaving, world.policy, world.now), world.now)
    assert found is not None
    waits, *others = found["conditions"]
    assert (waits["type"], waits["status"], waits["reason"], waits["message"]) == (
        "GroupReady",
        "False",
        "FinalizationPending",
        "waiting for member svc to remove backendRef before deletion",
    )
    assert others == kept
    assert found["observedGeneration"] == 1


def test_members_that_are_deleted_together_do_not_wait_for_each_other_and_no_one_for_other_groups() -> None:
    world = join(grouped(), peer("two"))
    world.reconcile()
    two = world.objects[ObjectRef(kinds.SERVICE, NS, "two")]
    metadata = {**world.service["metadata"], "deletionTimestamp": "now"}
    world.put(kinds.SERVICE, {**world.service, "metadata": metadata})
    assert groups.holding(world.facts, two) == ""
    metadata = {**world.service["metadata"], "labels": {names.ROUTING_GROUP: "h"}}
    spec = {"router": {"route": {"group": "h", "weight": 1}}}
    world.put(kinds.SERVICE, {**world.service, "metadata": metadata, "spec": spec})
    assert groups.holding(world.facts, two) == ""
    world.put(kinds.SERVICE, world.service)
    assert groups.holding(world.facts, two) == "svc"
    assert groups.holding(replace(world.facts, unserved=frozenset({kinds.HTTP_ROUTE})), two) == ""
    unread = replace(world.facts, unknown={ROUTE: "connection refused"})
    said = "checking member route svc-kserve-route for stale backendRefs: .*connection refused"
    with pytest.raises(Unanswered, match=said):
        groups.holding(unread, two)


def test_what_others_see_of_a_service_changes_with_what_they_read_and_with_nothing_else() -> None:
    before = groups.member_of(peer("two"))
    quiet = peer("two")
    quiet["metadata"]["generation"] = 7
    quiet["status"]["conditions"].append({"type": "Ready", "status": "False"})
    quiet["spec"]["replicas"] = 3
    assert groups.member_of(quiet) == before
    for changes in (
        {"deleting": True},
        {"stopped": True},
        {"router_ready": "False"},
        {"replicas": {"primary": 0}},
        {"models": ("o",)},
        {"external": "my-pool"},
        {"group": "h"},
    ):
        assert groups.member_of(peer("two", **changes)) != before
    assert groups.member_of(peer("two", 31)) != before
    ungrouped: dict[str, Any] = {"metadata": {"namespace": NS, "name": "two"}, "spec": {}}
    assert groups.member_of(ungrouped) is None
    assert groups.member_of({**ungrouped, "spec": {"router": {"route": {"group": 7}}}}) is None


def test_a_service_outside_of_any_group_looks_at_no_other() -> None:
    class Alone(Facts):
        def select(self, *_args: Any, **_more: Any) -> Any:
            raise AssertionError("nobody else is looked at")

    world = RouterWorld()
    facts = world.facts
    ctx = replace(world.ctx, obs=Alone(facts.objects))
    assert groups.group_of(ctx) is None


@pytest.mark.parametrize(
    ("place", "told"), [(GATEWAY, {"MemberDivergence", "ModelNameCollision"}), ((NS, "nowhere"), set())]
)
def test_of_others_nothing_is_told_while_the_router_names_a_gateway_that_is_not_there(
    place: tuple[str, str], told: set[str]
) -> None:
    world = join(grouped(), peer("two", models=("o",)), peer("three", group="h"))
    router = {**(world.router or {}), "gateway": {"refs": [{"namespace": place[0], "name": place[1]}]}}
    world.router = router
    plan = world.plan()
    concluded = conclude(plan, Outcome(), world.facts, world.policy, world.now)
    assert {reason for reason, _ in concluded.notices} & {"MemberDivergence", "ModelNameCollision"} == told
