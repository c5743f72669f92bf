"""Whose word counts for a route, a pool and a gateway, of which generation, and what a condition then tells the user.

ROUTE-6, ROUTE-8.
"""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aioctl.api import kinds
from aioctl.plan import route_readiness
from aioctl.plan.migration import Refusal
from aioctl.plan.migration_facts import refusal_of
from aioctl.plan.readiness import describe
from tests.plan.readiness_world import PREFIX, said, settled
from tests.plan.router_world import (
    ALPHA,
    GATEWAY,
    INVALID_KIND,
    MANAGED,
    NS,
    POOL,
    ROUTE,
    V1,
    RouterWorld,
    accepted,
    condition,
    gateway,
    parent,
    with_gateway_refs,
)

OWN = "example.org/gw"
"""Controller of the gateway class that the world's gateways have."""
GW = "Gateway kserve/kserve-ingress-gateway"
REJECTED = [condition("Accepted", "False", "NotAllowedByListeners")]


def old(conditions: list[dict[str, Any]], generation: int = 1) -> list[dict[str, Any]]:
    return [{**each, "observedGeneration": generation} for each in conditions]


FOREIGN = {
    "another gateway": parent("kserve", "retired", REJECTED, controllerName=OWN),
    "another namespace": parent("other", GATEWAY[1], REJECTED),
    "a listener the route does not name": {
        "parentRef": {**parent(*GATEWAY, [])["parentRef"], "sectionName": "old"},
        "conditions": REJECTED,
    },
    "a port the route does not name": {
        "parentRef": {**parent(*GATEWAY, [])["parentRef"], "port": 8443},
        "conditions": REJECTED,
    },
    "another kind": {
        "parentRef": {**parent(*GATEWAY, [])["parentRef"], "kind": "Service"},
        "conditions": REJECTED,
    },
    "a controller the gateway has left": parent(*GATEWAY, REJECTED, controllerName="old.example.org/gw"),
    "a policy controller": parent(*GATEWAY, [condition("x/Affected", "False")], controllerName="x/policy"),
    "one refusing the kind": parent("kserve", "retired", INVALID_KIND),
}


@pytest.mark.parametrize("entry", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize("first", [True, False])
def test_what_others_left_in_the_status_of_the_route_counts_for_nothing(
    entry: dict[str, Any], *, first: bool
) -> None:
    world = settled()
    ours = parent(*GATEWAY, accepted(), controllerName=OWN)
    world.route_status(*([entry, ours] if first else [ours, entry]))
    assert said(world) == ""
    world.route_status(entry, parent(*GATEWAY, REJECTED, controllerName=OWN))
    assert said(world) == (
        f'{PREFIX}[{NS}/{ROUTE.name}: "False" (reason "NotAllowedByListeners", message "")]. '
        f'{NS}/{ROUTE.name}: Accepted from {GW} ({OWN}) that names no generation; awaited: Accepted="True"'
    )


@settings(max_examples=25)
@given(
    st.lists(st.sampled_from(list(FOREIGN.values())), max_size=5),
    st.sampled_from([accepted(), REJECTED, INVALID_KIND, old(accepted()), []]),
    st.integers(0, 5),
)
def test_any_number_of_foreign_entries_in_any_place_changes_no_word(
    foreign: list[dict[str, Any]], own: list[dict[str, Any]], at: int
) -> None:
    world = settled()
    ours = parent(*GATEWAY, own, controllerName=OWN)
    world.route_status(ours)
    alone, refusal = said(world), refusal_of(world.live, world.facts)
    others = [entry for entry in foreign if own or "old" not in str(entry.get("controllerName"))]
    world.route_status(*others[:at], ours, *others[at:])
    assert (said(world), refusal_of(world.live, world.facts)) == (alone, refusal)


@pytest.mark.parametrize("entry", [entry for title, entry in FOREIGN.items() if "controller" not in title])
def test_nor_does_it_stand_in_for_the_own_gateway(entry: dict[str, Any]) -> None:
    world = settled()
    world.route_status({**entry, "conditions": accepted()})
    assert said(world) == (
        f"{PREFIX}[{NS}/{ROUTE.name}: {GW} has not reported on generation {world.live['metadata']['generation']}; "
        'awaited: Accepted="True"]'
    )


def test_a_class_whose_controller_writes_under_another_name_is_heard() -> None:
    world = settled()
    world.route_status(parent(*GATEWAY, accepted(), controllerName="example.org/writes-so"))
    assert said(world) == ""


def test_istiod_is_heard_for_a_gateway_that_it_does_not_deploy() -> None:
    """It writes as `istio.io/gateway-controller` also for the class of `istio.io/unmanaged-gateway`."""
    world = settled()
    world.put(
        kinds.GATEWAY_CLASS,
        {"metadata": {"name": "other"}, "spec": {"controllerName": "istio.io/unmanaged-gateway"}},
    )
    world.route_status(parent(*GATEWAY, accepted(), controllerName="istio.io/gateway-controller"))
    assert said(world) == ""


@pytest.mark.parametrize("type_", ["Accepted", "ResolvedRefs"])
def test_a_stale_condition_is_explained_and_not_only_quoted(type_: str) -> None:
    world = settled()
    generation = world.live["metadata"]["generation"]
    conditions = [{**each, "observedGeneration": generation - (each["type"] == type_)} for each in accepted()]
    world.route_status(parent(*GATEWAY, conditions))
    assert said(world) == (
        f'{PREFIX}[{NS}/{ROUTE.name}: "True" (reason "{type_}", message "")]. {NS}/{ROUTE.name}: {type_} from {GW} is of '
        f"generation {generation - 1}, the object is at generation {generation}; awaited: {type_} for generation {generation}"
    )


@pytest.mark.parametrize(
    ("conditions", "broken", "shown", "more"),
    [
        (
            INVALID_KIND,
            False,
            '"False" (reason "InvalidKind", message "")',
            'ResolvedRefs from {gw} that names no generation; awaited: ResolvedRefs="True"',
        ),
        (
            [condition("Accepted", "False", "No"), condition("ResolvedRefs", "Unknown", "Pending")],
            False,
            '"False" (reason "No", message "")',
            (
                'Accepted from {gw} that names no generation; awaited: Accepted="True"; ResolvedRefs="Unknown" (reason '
                '"Pending", message "") from {gw} that names no generation; awaited: ResolvedRefs="True"'
            ),
        ),
        (
            [condition("ResolvedRefs")],
            False,
            "{gw} has not reported Accepted for generation 1; {accepted}",
            "",
        ),
        ([], False, "{gw} has not reported on generation 1; {accepted}", ""),
        (
            [],
            True,
            "rule 0 sends traffic nowhere: {cure}; {gw} has not reported on generation 1; {accepted}",
            "",
        ),
        (
            INVALID_KIND,
            True,
            '"False" (reason "InvalidKind", message "")',
            (
                'ResolvedRefs from {gw} that names no generation; awaited: ResolvedRefs="True"; '
                "rule 0 sends traffic nowhere: {cure}"
            ),
        ),
    ],
)
def test_what_somebody_said_is_quoted_first_as_kserve_quotes_it(
    conditions: list[dict[str, Any]], broken: bool, shown: str, more: str
) -> None:
    """Today's KServe shows one condition of a route, without its type, and nothing else (ROUTE-5)."""
    rules = {"http": {"spec": {"rules": [{"matches": [{"path": {"type": "Exact", "value": "/"}}]}]}}}
    world = RouterWorld({**MANAGED, "route": rules}) if broken else RouterWorld()
    world.reconcile()
    if conditions:
        world.route_status(parent(*GATEWAY, conditions))
    cure = (
        "it has no backendRefs; give it some in spec.router.route.http.spec.rules[0].backendRefs, or leave rules out to "
        "get the default ones"
    )
    words = {"gw": GW, "cure": cure, "accepted": 'awaited: Accepted="True"'}
    where = f"{NS}/{ROUTE.name}"
    expected = f"{PREFIX}[{where}: {shown.format(**words)}]"
    assert said(world) == (f"{expected}. {where}: {more.format(**words)}" if more else expected)


def test_each_parent_of_the_route_has_to_answer_and_the_silent_one_is_named() -> None:
    world = RouterWorld(with_gateway_refs("a", "b"))
    for name in ("a", "b"):
        world.put(kinds.GATEWAY, gateway(NS, name, "203.0.113.1"))
    world.reconcile()
    world.route_status(parent(NS, "a", accepted()))
    assert said(world) == (
        f'{PREFIX}[{NS}/{ROUTE.name}: Gateway {NS}/b has not reported on generation 1; awaited: Accepted="True"]'
    )
    world.accept_route()
    assert said(world) == ""


IN_X = 'referencing unsupported backendRef: group "inference.networking.x-k8s.io" kind "InferencePool"'
IN_V1 = 'referencing unsupported backendRef: group "inference.networking.k8s.io" kind "InferencePool"'


def at(rule: int, ref: int) -> str:
    """As Envoy Gateway has it; rule 0 is one with both pools."""
    return f"Failed to process route rule {rule} backendRef {ref}: Group is invalid, only the core API group is supported."


@pytest.mark.parametrize(
    ("reason", "message", "accepted_pool", "ready"),
    [
        ("InvalidKind", IN_X, True, True),
        ("InvalidKind", IN_X, False, False),
        ("InvalidKind", IN_V1, True, False),
        ("InvalidKind", "InferencePool is not enabled", True, True),
        ("InvalidKind", "InferencePool is not enabled", False, False),
        ("InvalidKind", f"{IN_X}; {IN_V1}", True, False),
        ("InvalidKind", at(0, 1), True, True),
        ("InvalidKind", at(0, 1), False, False),
        ("InvalidKind", at(0, 0), True, False),
        ("InvalidKind", f"{at(0, 0)}\n{at(0, 1)}", True, False),
        ("InvalidKind", at(99, 0), True, True),
        ("BackendNotFound,InvalidKind", at(0, 1), True, True),
        ("BackendNotFound,InvalidKind", f"{at(0, 0)}\n{at(0, 1)}", True, False),
        ("BackendNotFound,InvalidKind", "two things", True, False),
        ("InvalidKind,RefNotPermitted", at(0, 1), True, False),
        ("BackendNotFound", "backend(svc-inference-pool) not found", True, False),
        ("RefNotPermitted", "no grant", True, False),
        ("UnsupportedProtocol", "h2c", True, False),
    ],
)
def test_only_a_refusal_of_the_idle_generation_alone_is_not_held_against_a_migrated_route(
    reason: str, message: str, *, accepted_pool: bool, ready: bool
) -> None:
    world = settled()
    assert world.w == (100, 0)
    if not accepted_pool:
        world.pool_status(V1, accepted(), ("kserve", "retired"))
    refusal = condition("ResolvedRefs", "False", reason, message=message)
    world.route_status(parent(*GATEWAY, [condition("Accepted"), refusal]))
    found = said(world)
    assert (found == "") is ready
    assert ready or found.startswith(f'{PREFIX}[{NS}/{ROUTE.name}: "False" (reason "{reason}", message ')


def test_a_stale_refusal_says_nothing_of_the_route_as_it_is() -> None:
    world = settled()
    assert refusal_of(world.live, world.facts) is Refusal.NONE
    world.route_status(parent(*GATEWAY, old(INVALID_KIND)))
    assert refusal_of(world.live, world.facts) is Refusal.NONE
    world.route_status(parent(*GATEWAY, old(INVALID_KIND, world.live["metadata"]["generation"])))
    assert refusal_of(world.live, world.facts) is Refusal.ALL


def test_a_pool_that_the_idle_reference_names_may_be_gone() -> None:
    world = settled()
    refusal = condition(
        "ResolvedRefs", "False", "BackendNotFound", message="backend(svc-inference-pool) not found"
    )
    world.route_status(parent(*GATEWAY, [condition("Accepted"), refusal]))
    ctx = world.ctx
    del world.objects[ALPHA]
    assert route_readiness.judge(replace(ctx, obs=world.facts)).ready
    del world.objects[V1]
    assert not route_readiness.judge(replace(ctx, obs=world.facts)).ready


# -- pools and gateways


@pytest.mark.parametrize("conditions", [REJECTED, old(accepted(), 0), old(accepted())])
def test_what_others_said_of_the_pool_counts_neither_for_nor_against_it(
    conditions: list[dict[str, Any]],
) -> None:
    world = settled()
    for ref, field in ((V1, "parents"), (ALPHA, "parent")):
        world.objects[ref] = {
            **world.objects[ref],
            "status": {field: [parent("kserve", "retired", conditions)]},
        }
    assert said(world, "InferencePoolReady") == (
        f"Inference Pool {NS}/{POOL} exists but no Gateway controller has accepted it yet"
    )
    entries = [parent("kserve", "retired", REJECTED), parent(*GATEWAY, accepted())]
    world.objects[V1] = {**world.objects[V1], "status": {"parents": entries}}
    assert said(world, "InferencePoolReady") == ""


def test_a_stale_word_of_the_own_gateway_on_the_pool_is_explained() -> None:
    world = settled()
    world.edit(V1, lambda pool: pool["metadata"].update(labels={"of": "somebody"}))
    generation = world.objects[V1]["metadata"]["generation"]
    world.pool_status(V1, old(accepted(), generation - 1))
    assert said(world, "InferencePoolReady") == (
        f'{NS}/{POOL}: Accepted="True" (reason "Accepted", message "") is stale: '
        f"it is of generation {generation - 1}, the pool is at generation {generation}"
    )


def test_a_retired_gateways_word_on_the_v1alpha2_pool_holds_no_migration() -> None:
    world = RouterWorld()
    world.reconcile()
    world.pool_status(V1, accepted())
    world.pool_status(ALPHA, accepted(), ("kserve", "retired"))
    world.route_status(parent(*GATEWAY, INVALID_KIND))
    world.reconcile()
    assert (world.w, world.a) == ((100, 0), "v1")


@pytest.mark.parametrize(
    ("conditions", "why"),
    [
        ([], 'its controller has not reported Programmed for generation 3; awaited: Programmed="True"'),
        (
            old([condition("Programmed", "False")], 2),
            (
                'Programmed="False" (reason "Programmed", message "") from its controller is of generation 2, the object '
                "is at generation 3; awaited: Programmed for generation 3"
            ),
        ),
        # Not taken in yet: it serves as before, and what it lacks shows in the routes.
        (old([condition("Programmed")], 2), ""),
        (
            old([condition("Programmed", "Unknown", "Pending")], 3),
            (
                'Programmed="Unknown" (reason "Pending", message "") from its controller of generation 3; '
                'awaited: Programmed="True"'
            ),
        ),
        (
            old([condition("Programmed", "False", "AddressNotAssigned")], 3),
            (
                'Programmed="False" (reason "AddressNotAssigned", message "") from its controller of generation 3; '
                'awaited: Programmed="True"'
            ),
        ),
        (old([condition("Programmed")], 3), ""),
    ],
)
def test_a_gateway_is_ready_once_it_is_programmed_whatever_its_generation(
    conditions: list[Any], why: str
) -> None:
    world = RouterWorld(with_gateway_refs("a"))
    made = gateway(NS, "a", "203.0.113.1")
    made["metadata"]["generation"] = 3
    made["status"]["conditions"] = conditions
    world.put(kinds.GATEWAY, made)
    expected = f"The following Gateways are not ready: [{NS}/a]. {NS}/a: {why}" if why else ""
    assert said(world, "GatewaysReady") == expected


def test_a_foreign_message_is_quoted_up_to_a_length() -> None:
    assert len(describe(condition("Accepted", "False", message="x" * 32768))) < 1200


# -- the route comes after its pools


def test_the_route_is_made_after_the_pools_it_names_and_says_so_meanwhile() -> None:
    world = RouterWorld()
    first = [write.ref for step in world.plan().steps for write in step.writes]
    assert V1 in first
    assert ROUTE not in first
    order = [write.ref for write in world.reconcile()]
    assert order.index(ROUTE) > max(order.index(V1), order.index(ALPHA))
    del world.objects[ROUTE]
    pool = world.objects.pop(V1)
    assert list(world.plan_route()) == []
    assert route_readiness.judge(world.ctx).message == (
        f"{PREFIX}[{NS}/{ROUTE.name}: it does not exist yet; awaited: InferencePool {NS}/{POOL} "
        "(inference.networking.k8s.io)]"
    )
    world.objects[V1] = pool
    assert [write.ref for write in world.plan_route()] == [ROUTE]


def test_an_update_of_the_route_waits_for_no_pool() -> None:
    world = settled()
    world.edit(ROUTE, lambda route: route["spec"].update(hostnames=["x.example.org"]))
    del world.objects[V1]
    assert [write.ref for write in world.plan_route()] == [ROUTE]


def test_a_pool_of_the_user_is_not_waited_for() -> None:
    world = RouterWorld({"route": {}, "scheduler": {"pool": {"ref": {"name": "my-pool"}}}})
    world.reconcile()
    assert ROUTE in world.objects
    assert "InferencePool ns/my-pool of group inference.networking.x-k8s.io, which does not exist" in said(
        world
    )
