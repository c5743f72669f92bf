"""Authentication of routes: whom it stops, and what is beside it (AUTH-1)."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from aioctl.api import kinds, names
from aioctl.plan import status
from aioctl.plan.model import Outcome, Part, Verb
from aioctl.plan.policy import Policy
from tests.plan.router_world import (
    EXTERNAL,
    GATEWAY,
    MANAGED,
    NS,
    REFERENCED,
    ROUTE,
    SCHEDULER,
    V1,
    RouterWorld,
    accepted,
    condition,
    parent,
    user_route,
)

AUTH_MISSING = (
    "failed to validate Gateway on OpenShift: AuthPolicy CRD is not available, "
    "please install Red Hat Connectivity Link"
)


def test_scenario_37_without_authpolicy_there_is_no_managed_route() -> None:
    world = RouterWorld().migrated()
    world.policy = Policy(auth_disabled=False)
    world.unserved |= {kinds.AUTH_POLICY}
    world.reconcile()
    assert ROUTE not in world.objects
    assert V1 in world.objects
    for type_ in ("HTTPRoutesReady", "RouterReady", "Ready"):
        found = world.condition(type_)
        assert (found["status"], found["reason"], found["message"]) == (
            "False",
            "GatewayPreconditionNotMet",
            AUTH_MISSING,
        )
    assert world.error == ""  # nothing has failed: there is nothing to try again
    world.unserved -= {kinds.AUTH_POLICY}
    world.reconcile()
    assert (world.w, world.a) == ((100, 0), "v1")


@dataclass(frozen=True)
class Exposed:
    """A migrated service whose route nobody can protect any more, and what becomes of the route before the status is written."""

    recorded: bool = True
    """The status has its copy of the lock."""
    locked: bool = True
    attached: bool = True
    ours: bool = True
    router: Mapping[str, Any] = field(default_factory=lambda: copy.deepcopy(MANAGED))
    verb: Verb | None = Verb.DELETE
    """Of the only write; None: there is none."""


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(Exposed(), id="the status has the lock"),
        pytest.param(Exposed(recorded=False, verb=Verb.UPDATE), id="it has not"),
        pytest.param(
            Exposed(recorded=False, attached=False, verb=None), id="it has not, and no gateway has the route"
        ),
        pytest.param(Exposed(recorded=True, attached=False), id="no gateway has the route"),
        pytest.param(Exposed(recorded=False, locked=False), id="there is no lock"),
        pytest.param(
            Exposed(recorded=False, router=EXTERNAL), id="the status keeps no lock for another's pool"
        ),
        pytest.param(Exposed(recorded=False, ours=False, verb=None), id="another's route"),
    ],
)
def test_no_route_goes_for_authentication_with_a_lock_that_no_status_remembers(case: Exposed) -> None:
    """It is exposed by no write, and after all of them a route made anew is where the traffic was (AUTH-1, MIG-2)."""
    world = RouterWorld().migrated()
    world.edit_router(case.router)
    if not case.recorded:
        world.service["status"].pop("annotations")

    def change(live: dict[str, Any]) -> None:
        if not case.locked:
            live["metadata"].pop("annotations")
        if not case.attached:
            live["spec"].pop("parentRefs")
        if not case.ours:
            live["metadata"]["ownerReferences"][0]["uid"] = "uid-another"

    world.edit(ROUTE, change)
    world.policy = Policy(auth_disabled=False)
    world.unserved |= {kinds.AUTH_POLICY}
    before = world.live
    (last,) = [step for step in world.plan().steps if step.part is Part.AUTH]
    missing = AUTH_MISSING.partition(": ")[2]
    assert last.error == ""
    assert [write.verb for write in last.writes] == ([case.verb] if case.verb else [])
    for write in last.writes:
        assert write.error.startswith(f"{missing}: failed to ")
        if write.verb is Verb.UPDATE:
            detached = {name: value for name, value in before["spec"].items() if name != "parentRefs"}
            assert write.body is not None
            assert (write.body["spec"], write.body["metadata"]) == (detached, before["metadata"])
    world.reconcile()
    world.reconcile()
    assert world.condition("HTTPRoutesReady")["message"] == AUTH_MISSING
    assert (ROUTE in world.objects) is not case.ours
    world.unserved -= {kinds.AUTH_POLICY}
    if case.ours and case.locked and case.router != EXTERNAL:
        world.reconcile()
        assert (world.w, world.a) == ((100, 0), "v1")


def test_a_route_that_was_taken_from_its_gateways_gets_them_back() -> None:
    """Authentication can be made again before any status was written."""
    world = RouterWorld().migrated()
    world.service["status"].pop("annotations")
    wanted = world.live["spec"]
    world.policy = Policy(auth_disabled=False)
    world.unserved |= {kinds.AUTH_POLICY}
    stale = copy.deepcopy(world.service)
    world.reconcile()
    assert "parentRefs" not in world.live["spec"]
    world.service = stale
    world.unserved -= {kinds.AUTH_POLICY}
    world.reconcile()
    assert world.live["spec"] == wanted
    assert (world.w, world.a) == ((100, 0), "v1")


def test_without_authpolicy_a_service_without_managed_route_is_left_in_peace() -> None:
    world = RouterWorld(
        {"scheduler": SCHEDULER}, policy=Policy(auth_disabled=False), unserved=frozenset({kinds.AUTH_POLICY})
    )
    world.reconcile()
    assert world.error == ""


def test_a_delete_that_fails_in_the_auth_check_is_named_after_the_reason() -> None:
    world = RouterWorld().migrated()
    world.policy = Policy(auth_disabled=False)
    world.unserved |= {kinds.AUTH_POLICY}
    plan = world.plan()
    (down,) = [step for step in plan.steps if step.part is Part.AUTH]
    assert down.outer == "failed to reconcile networking: failed to ensure gateway preconditions: "
    (write,) = down.writes
    failed = Outcome(failed=down, error=f"{write.error}boom")
    made = status.conclude(plan, failed, world.facts, world.policy, world.now)
    entry = next(each for each in made["conditions"] if each["type"] == "HTTPRoutesReady")
    assert entry["reason"] == "HTTPRouteReconcileError"
    assert entry["message"] == f"{AUTH_MISSING}: failed to delete v1.HTTPRoute {NS}/{ROUTE.name}: boom"


@pytest.mark.parametrize("managed", [True, False])
def test_scenario_38_a_route_without_enforced_policy_is_not_ready(*, managed: bool) -> None:
    world = RouterWorld(copy.deepcopy(MANAGED if managed else REFERENCED), policy=Policy(auth_disabled=False))
    world.put(kinds.HTTP_ROUTE, user_route(*accepted()))
    world.reconcile()
    if managed:
        world.accept_route()
        world.reconcile()
    at = f"{NS}/{ROUTE.name}" if managed else f"{NS}/mine"
    assert world.condition("HTTPRoutesReady")["message"] == (
        f'The following HTTPRoutes are not ready: [{at}: "False" (reason "Authentication is not enforced", '
        'message "Either disable authentication with security.opendatahub.io/enable-auth=false annotation or install '
        f'Red Hat Connectivity Link")]. {at}: kuadrant.io/AuthPolicyAffected has not been reported by '
        'kuadrant.io/policy-controller; awaited: kuadrant.io/AuthPolicyAffected="True"'
    )


@pytest.mark.parametrize(("state", "ready"), [("True", "True"), ("False", "False")])
def test_scenario_38_the_policy_controller_says_whether_authentication_is_enforced(
    state: str, ready: str
) -> None:
    world = RouterWorld(policy=Policy(auth_disabled=False))
    world.reconcile()
    policy = [condition("kuadrant.io/AuthPolicyAffected", state)]
    world.route_status(
        parent(*GATEWAY, accepted()), parent(*GATEWAY, policy, controllerName="kuadrant.io/policy-controller")
    )
    world.reconcile()
    assert world.status_of("HTTPRoutesReady") == ready


@pytest.mark.parametrize("value", ["false", "FALSE", "False"])
def test_scenario_39_the_annotation_switches_authentication_off_in_any_case(value: str) -> None:
    world = RouterWorld(policy=Policy(auth_disabled=False), unserved=frozenset({kinds.AUTH_POLICY}))
    world.annotate(names.ENABLE_AUTH, value)
    world.reconcile()
    world.accept_route()
    world.reconcile()
    assert world.status_of("HTTPRoutesReady") == "True"


def test_scenario_40_a_failed_discovery_deletes_nothing_and_makes_no_route() -> None:
    world = RouterWorld().migrated()
    world.accept_route()
    world.reconcile()
    world.policy = Policy(auth_disabled=False)
    world.unsure |= {kinds.AUTH_POLICY}
    before = copy.deepcopy(world.service["status"])
    assert world.reconcile() == []
    assert world.retry
    assert status.status_equal(world.service["status"], before)
    fresh = RouterWorld(policy=Policy(auth_disabled=False), unsure=frozenset({kinds.AUTH_POLICY}))
    fresh.reconcile()
    assert ROUTE not in fresh.objects
