"""The status concluded from a plan and its outcome: which error shows where, and what is copied from workloads.

Rules: COND-2, COND-3, COND-4, COND-5, EPP-4.
"""

import copy
from dataclasses import replace
from typing import Any

import pytest

from aioctl.api import kinds, names
from aioctl.api.kinds import Kind
from aioctl.api.records import changed
from aioctl.plan import status
from aioctl.plan.migration import Reason, State
from aioctl.plan.model import Outcome, Part, Plan, Step
from aioctl.plan.policy import Policy
from tests.plan.router_world import ALPHA, NS, ROUTE, V1, RouterWorld, condition

ORDER = [
    Part.CA_BUNDLE,
    Part.CERTIFICATE,
    Part.MULTI_NODE,
    Part.SINGLE_NODE,
    Part.WORKLOAD_SERVICE,
    Part.AUTH,
    Part.VALIDATION,
    Part.SCHEDULER,
    Part.ROUTES,
    Part.DESTINATION_RULES,
    Part.MONITORING,
]


def workload(kind: Kind, name: str, *conditions: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"namespace": NS, "name": name}, "status": {"conditions": list(conditions)}}


AVAILABLE = condition("Available")
SCARCE = condition("Available", "False", "MinimumReplicasUnavailable", message="100% short")


def settled(
    *extra: tuple[Kind, dict[str, Any]], spec: dict[str, Any] | None = None
) -> tuple[RouterWorld, Plan]:
    """A migrated service with accepted route, and a plan of every part without a write."""
    world = RouterWorld().migrated()
    world.accept_route()
    for kind, obj in extra:
        world.put(kind, obj)
    ctx = replace(world.ctx, spec={**world.ctx.spec, **(spec or {})})
    return world, Plan(world.service, tuple(Step(part) for part in ORDER), ctx)


def conclude(world: RouterWorld, plan: Plan, outcome: Outcome | None = None) -> dict[str, Any]:
    return status.conclude(plan, outcome or Outcome(), world.facts, world.policy, world.now)


def by_type(made: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {entry["type"]: entry for entry in made["conditions"]}


MAIN = (kinds.DEPLOYMENT, workload(kinds.DEPLOYMENT, "svc-kserve", AVAILABLE))


@pytest.mark.parametrize(
    ("uri", "version", "reason"),
    [
        ("oci+native://q/m:1", ("1", "30"), "ImageVolumeUnsupported"),
        ("oci+native://q/m:1", ("1", "34+"), "ImageVolumeAlpha"),
        ("oci+native://q/m:1", ("1", "35"), None),
        ("oci+native://q/m:1", None, None),
        ("hf://a/b", ("1", "30"), None),
    ],
)
def test_what_the_api_server_lacks_for_image_volumes_is_told_and_spoils_nothing(
    uri: str, version: tuple[str, str] | None, reason: str | None
) -> None:
    """ART-5. What an earlier version lacked is forgotten."""
    world, plan = settled(MAIN)
    assert plan.context is not None
    plan = replace(plan, context=replace(plan.context, spec={**plan.context.spec, "model": {"uri": uri}}))
    stale = {"type": "OciImageVolumeCompatible", "status": "False", "reason": "Old"}
    world.service["status"] = {"conditions": [stale]}
    facts = replace(world.facts, version=version)
    made = by_type(status.conclude(plan, Outcome(), facts, world.policy, world.now))
    shown = made.get("OciImageVolumeCompatible", {})
    assert shown.get("reason") == reason
    if reason is not None:
        assert (shown["status"], shown["severity"]) == ("False", "Info")
    assert made["WorkloadsReady"]["status"] == made["RouterReady"]["status"] == "True"


def test_everything_ready_is_ready() -> None:
    world, plan = settled(MAIN)
    made = conclude(world, plan)
    shown = [(entry["type"], entry["status"], entry.get("severity", "")) for entry in made["conditions"]]
    assert shown == [
        ("HTTPRoutesReady", "True", "Info"),
        ("InferencePoolReady", "True", "Info"),
        ("MainWorkloadReady", "True", "Info"),
        ("PresetsCombined", "True", ""),
        ("Ready", "True", ""),
        ("RouterReady", "True", ""),
        ("WorkloadsReady", "True", ""),
    ]
    assert made["observedGeneration"] == 1


WORKLOADS = {"MainWorkloadReady", "WorkerWorkloadReady", "PrefillWorkloadReady", "PrefillWorkerWorkloadReady"}


@pytest.mark.parametrize(
    ("part", "inner", "type_", "reason", "message"),
    [
        (Part.CERTIFICATE, "", "MainWorkloadReady", "ReconcileCertsError", "boom"),
        (Part.PERMISSIONS, "in: ", "MainWorkloadReady", "ReconcileWorkloadPermissionsError", "in: boom"),
        (Part.MULTI_NODE, "in: ", "WorkerWorkloadReady", "ReconcileMultiNodeWorkloadError", "in: boom"),
        (Part.SINGLE_NODE, "in: ", "MainWorkloadReady", "ReconcileSingleNodeWorkloadError", "in: boom"),
        (Part.WORKLOAD_SERVICE, "", "MainWorkloadReady", "ReconcileWorkloadServiceError", "boom"),
        (Part.AUTH, "in: ", "HTTPRoutesReady", "HTTPRouteReconcileError", "in: boom"),
        (
            Part.SCHEDULER,
            "",
            "SchedulerWorkloadReady",
            "SchedulerReconcileError",
            "Failed to reconcile scheduler: boom",
        ),
        (
            Part.ROUTES,
            "",
            "HTTPRoutesReady",
            "HTTPRouteReconcileError",
            "Failed to reconcile HTTPRoute: boom",
        ),
        (
            Part.DESTINATION_RULES,
            "",
            "HTTPRoutesReady",
            "PlatformNetworkingReconcileError",
            "Failed to reconcile platform networking: boom",
        ),
    ],
)
def test_each_part_fails_in_its_own_condition_and_spoils_ready(
    part: Part, inner: str, type_: str, reason: str, message: str
) -> None:
    world, plan = settled(MAIN)
    failed = Step(part, "outer: ", inner, error="boom")
    steps = tuple(failed if step.part is part else step for step in plan.steps)
    made = by_type(
        conclude(world, Plan(world.service, steps, plan.context), Outcome(failed=failed, error="boom"))
    )
    for each in (type_, "Ready", "WorkloadsReady" if type_ in WORKLOADS else "RouterReady"):
        assert (made[each]["status"], made[each]["reason"], made[each]["message"]) == (
            "False",
            reason,
            message,
        )


def test_an_early_error_leaves_later_conditions_as_they_were() -> None:
    world, plan = settled(MAIN)
    world.service["status"] = conclude(world, plan)
    world.pool_status(V1, [condition("Accepted", "False")])
    failed = Step(Part.CERTIFICATE, error="boom")
    steps = tuple(failed if step.part is Part.CERTIFICATE else step for step in plan.steps)
    made = by_type(
        conclude(world, Plan(world.service, steps, plan.context), Outcome(failed=failed, error="boom"))
    )
    assert made["InferencePoolReady"]["status"] == made["RouterReady"]["status"] == "True"


def test_monitoring_errors_show_in_no_condition() -> None:
    world, plan = settled(MAIN)
    whole = conclude(world, plan)
    failed = plan.steps[-1]
    assert conclude(world, plan, Outcome(failed=failed, error="boom")) == whole


@pytest.mark.parametrize("part", [Part.CA_BUNDLE, Part.FINALIZER])
def test_what_fails_before_the_defaults_leaves_the_status_untouched(part: Part) -> None:
    world = RouterWorld()
    failed = Step(part, error="boom")
    plan = Plan(world.service, (failed,))
    assert conclude(world, plan, Outcome(failed=failed, error="boom")) == {}


@pytest.mark.parametrize("part", [Part.CA_BUNDLE, Part.FINALIZER])
@pytest.mark.parametrize("conflict", [True, False])
def test_a_write_before_the_defaults_that_fails_leaves_the_status_untouched(
    part: Part, *, conflict: bool
) -> None:
    world, plan = settled(MAIN)
    world.service["status"] = before = conclude(world, plan)
    world.service["metadata"]["generation"] = 2
    early = Step(part)
    outcome = Outcome(retry=True, blocked=early) if conflict else Outcome(failed=early, error="boom")
    assert conclude(world, Plan(world.service, (early, *plan.steps), plan.context), outcome) == before


def test_what_comes_after_a_conflict_says_nothing() -> None:
    world = RouterWorld()
    plan = world.plan()
    blocked = next(step for step in plan.steps if step.part is Part.SCHEDULER)
    made = by_type(conclude(world, plan, Outcome(retry=True, error="conflict", blocked=blocked)))
    assert sorted(made) == ["PresetsCombined", "Ready", "RouterReady", "WorkloadsReady"]
    assert made["RouterReady"]["status"] == "Unknown"


def test_a_configuration_that_cannot_be_loaded_is_said_by_ready_and_observed() -> None:
    world = RouterWorld()
    failed = Step(Part.CONFIG, error="boom")
    made = conclude(world, Plan(world.service, (failed,)), Outcome(failed=failed, error="boom"))
    assert made["observedGeneration"] == 1
    assert sorted(by_type(made)) == ["PresetsCombined", "Ready", "RouterReady", "WorkloadsReady"]
    for type_ in ("PresetsCombined", "Ready"):
        assert by_type(made)[type_]["message"] == "failed to load ingress config: boom"


LWS = kinds.LEADER_WORKER_SET
DEPLOYMENT = kinds.DEPLOYMENT
PODS: dict[str, Any] = {"containers": []}


@pytest.mark.parametrize(
    ("spec", "kind", "name", "type_"),
    [
        ({}, DEPLOYMENT, "svc-kserve", "MainWorkloadReady"),
        ({"worker": PODS}, LWS, "svc-kserve-mn", "WorkerWorkloadReady"),
        ({"prefill": {}}, DEPLOYMENT, "svc-kserve-prefill", "PrefillWorkloadReady"),
        ({"prefill": {"worker": PODS}}, LWS, "svc-kserve-mn-prefill", "PrefillWorkerWorkloadReady"),
    ],
)
@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([AVAILABLE], ("True", "", "")),
        ([SCARCE], ("False", "MinimumReplicasUnavailable", "100% short")),
        ([condition("Progressing", "False", "Deadline"), AVAILABLE], ("True", "", "")),
        ([], ("False", "Progressing", "")),
    ],
)
def test_availability_is_copied_from_the_object_of_the_topology(
    spec: dict[str, Any],
    kind: Kind,
    name: str,
    type_: str,
    conditions: list[Any],
    expected: tuple[str, str, str],
) -> None:
    world, plan = settled(MAIN, (kind, workload(kind, name, *conditions)), spec=spec)
    made = by_type(conclude(world, plan))
    entry = made[type_]
    if kind == LWS and not conditions:
        expected = ("False", "Progressing", "LWS is progressing")
    assert (entry["status"], entry.get("reason", ""), entry.get("message", "")) == expected
    others = {
        "MainWorkloadReady",
        "WorkerWorkloadReady",
        "PrefillWorkloadReady",
        "PrefillWorkerWorkloadReady",
    }
    assert others & made.keys() == {type_} | ({"MainWorkloadReady"} if "prefill" in spec else set())


def test_prefill_conditions_go_with_prefill() -> None:
    world, plan = settled(MAIN)
    stale = {"type": "PrefillWorkloadReady", "status": "False", "severity": "Info", "reason": "x"}
    world.service["status"]["conditions"].append(stale)
    made = by_type(conclude(world, Plan(world.service, plan.steps, plan.context)))
    assert "PrefillWorkloadReady" not in made
    assert made["Ready"]["status"] == "True"


@pytest.mark.parametrize("spec", [{}, {"prefill": {}}, {"prefill": {"worker": PODS}}])
def test_a_stopped_service_says_so_for_every_workload_that_there_can_be(spec: dict[str, Any]) -> None:
    world, plan = settled(MAIN, spec=spec)
    world.annotate(names.STOP, "True")
    made = by_type(conclude(world, plan))
    found = {type_: entry["reason"] for type_, entry in made.items() if type_.endswith("WorkloadReady")}
    sides = ("Main", "Worker", "Prefill", "PrefillWorker", "Scheduler")
    assert found == {f"{side}WorkloadReady": "Stopped" for side in sides}


def test_the_scheduler_reports_its_deployment_and_goes_without_one() -> None:
    picker = (DEPLOYMENT, workload(DEPLOYMENT, "svc-kserve-router-scheduler", SCARCE))
    world, plan = settled(MAIN, picker)
    assert plan.context is not None
    plan.context.spec["router"]["scheduler"]["template"] = PODS
    made = by_type(conclude(world, plan))
    assert made["SchedulerWorkloadReady"]["reason"] == "MinimumReplicasUnavailable"
    assert made["RouterReady"]["message"] == "100% short"
    plan.context.spec["router"].pop("scheduler")
    world.service["status"]["conditions"] = list(made.values())
    assert "SchedulerWorkloadReady" not in by_type(conclude(world, plan))


def test_a_part_that_waits_for_an_answer_keeps_its_conditions() -> None:
    world, plan = settled(MAIN)
    before = conclude(world, plan)
    world.service["status"] = before
    waiting = (*plan.steps[:6], Step(Part.SCHEDULER, unanswered="not synced"))
    made = conclude(
        world, Plan(world.service, waiting, plan.context), Outcome(retry=True, error="not synced")
    )
    assert status.status_equal(made, before)


def test_fields_of_others_in_the_status_survive() -> None:
    world, plan = settled(MAIN)
    world.service["status"] |= {"theirs": {"gateways": []}, "annotations": {"a": "b"}}
    made = conclude(world, Plan(world.service, plan.steps, plan.context))
    assert made["theirs"] == {"gateways": []}
    assert made["annotations"]["a"] == "b"


def test_the_answers_to_our_own_writes_are_seen() -> None:
    world, plan = settled(MAIN)
    live = copy.deepcopy(world.live)
    del world.objects[ROUTE]
    made = by_type(conclude(world, plan, Outcome(answers={ROUTE: live})))
    assert made["HTTPRoutesReady"]["status"] == "True"


def test_the_policy_in_force_decides_about_authentication() -> None:
    world, plan = settled(MAIN)
    made = status.conclude(plan, Outcome(), world.facts, Policy(auth_disabled=False), world.now)
    assert "Authentication is not enforced" in by_type(made)["HTTPRoutesReady"]["message"]


def test_times_and_empty_fields_do_not_count_in_the_comparison() -> None:
    one = {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "a"}], "addresses": []}
    other = {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "b"}]}
    assert status.status_equal(one, other)
    assert not status.status_equal(one, {"conditions": [{"type": "Ready", "status": "False"}]})
    assert not status.status_equal({"url": "a"}, {})


@pytest.mark.parametrize(
    ("failing", "ready"),
    [(["MinimumReplicasUnavailable"], "MinimumReplicasUnavailable"), ([], "Progressing")],
)
def test_ready_copies_the_part_that_failed(failing: list[str], ready: str) -> None:
    main = workload(DEPLOYMENT, "svc-kserve", *([SCARCE] if failing else []))
    world, plan = settled((DEPLOYMENT, main))
    assert by_type(conclude(world, plan))["Ready"]["reason"] == ready


def test_a_pool_that_cannot_be_read_is_said_so() -> None:
    world, plan = settled(MAIN)
    world.unknown[V1] = "connection refused"
    world.unknown[ALPHA] = "too slow"
    made = status.conclude(plan, Outcome(), world.facts, world.policy, world.now)
    assert (
        by_type(made)["InferencePoolReady"]["reason"],
        by_type(made)["InferencePoolReady"]["message"],
    ) == (
        "InferencePoolFetchError",
        f"failed to fetch Inference Pool {V1.namespace}/{V1.name}: v1: connection refused, v1alpha2: too slow",
    )


def test_the_migration_of_a_plan_is_told() -> None:
    world, plan = settled(MAIN)
    decision = status.migration_of(plan, world.facts)
    assert decision is not None
    assert (decision.state, decision.reason) == (State.MIGRATED, Reason.LOCKED)
    assert status.migration_of(Plan(world.service), world.facts) is None


def test_a_fresh_service_without_router_is_not_migrating() -> None:
    world = RouterWorld(None)
    decision = status.migration_of(world.plan(), world.facts)
    assert decision is not None
    assert (decision.state, decision.reason) == (State.NO_ROUTE, Reason.NO_MANAGED_ROUTE)


def failing(plan: Plan, part: Part) -> tuple[tuple[Step, ...], Outcome]:
    """The plan up to a step that fails, and its outcome."""
    before = plan.steps[: ORDER.index(part)]
    failed = Step(part, error="boom", condition=("GatewaysReady", "RefsInvalid", "boom"))
    return (*before, failed), Outcome(failed=failed, error="boom")


def test_a_picker_that_is_available_now_is_not_called_scarce_while_a_reference_is_missing() -> None:
    picker = "svc-kserve-router-scheduler"
    world, plan = settled(MAIN, (DEPLOYMENT, workload(DEPLOYMENT, picker, SCARCE)))
    assert plan.context is not None
    plan.context.spec["router"]["scheduler"]["template"] = PODS
    world.service["status"]["conditions"] = conclude(world, plan)["conditions"]
    world.put(DEPLOYMENT, workload(DEPLOYMENT, picker, AVAILABLE))
    steps, outcome = failing(plan, Part.VALIDATION)
    made = by_type(conclude(world, Plan(world.service, steps, plan.context), outcome))
    assert made["SchedulerWorkloadReady"]["status"] == "True"
    assert made["GatewaysReady"]["message"] == "boom"


def test_a_write_of_the_picker_that_failed_stands_until_it_is_tried_again() -> None:
    world, plan = settled(MAIN)
    steps, outcome = failing(plan, Part.SCHEDULER)
    steps = (*steps[:-1], failed := changed(steps[-1], condition=None))
    stored = conclude(world, Plan(world.service, steps, plan.context), replace(outcome, failed=failed))
    assert by_type(stored)["SchedulerWorkloadReady"]["reason"] == "SchedulerReconcileError"
    world.service["status"] = stored
    steps, outcome = failing(plan, Part.VALIDATION)
    made = by_type(conclude(world, Plan(world.service, steps, plan.context), outcome))
    assert made["SchedulerWorkloadReady"]["reason"] == "SchedulerReconcileError"


def test_an_annotation_that_was_mended_is_not_blamed_while_a_reference_is_missing() -> None:
    world, plan = settled(MAIN)
    world.annotate(names.MIGRATION_STRATEGY, "sideways")
    world.service["status"] = conclude(world, plan)
    assert "sideways" in by_type(world.service["status"])["InferencePoolMigration"]["message"]
    world.annotate(names.MIGRATION_STRATEGY, None)
    steps, outcome = failing(plan, Part.VALIDATION)
    made = by_type(conclude(world, Plan(world.service, steps, plan.context), outcome))
    assert "InferencePoolMigration" not in made


def test_prefill_that_is_available_now_is_not_called_scarce_while_the_main_workload_fails() -> None:
    name = "svc-kserve-prefill"
    spec = {"prefill": {"template": PODS}}
    world, plan = settled(MAIN, (DEPLOYMENT, workload(DEPLOYMENT, name, SCARCE)), spec=spec)
    world.service["status"]["conditions"] = conclude(world, plan)["conditions"]
    world.put(DEPLOYMENT, workload(DEPLOYMENT, name, AVAILABLE))
    steps, outcome = failing(plan, Part.SINGLE_NODE)
    steps = (*steps[:-1], failed := changed(steps[-1], condition=None))
    made = by_type(conclude(world, Plan(world.service, steps, plan.context), replace(outcome, failed=failed)))
    assert made["PrefillWorkloadReady"]["status"] == "True"
    assert made["MainWorkloadReady"]["reason"] == "ReconcileSingleNodeWorkloadError"
