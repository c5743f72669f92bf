"""How far a reconcile came, and which condition speaks of the part that failed (COND-3, COND-4)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aioctl.api import conditions as c
from aioctl.api.conditions import ConditionSet
from aioctl.plan.model import Outcome, Part, Plan, Step

WORKLOAD_PARTS: Final = (
    Part.CERTIFICATE,
    Part.PERMISSIONS,
    Part.MULTI_NODE,
    Part.SINGLE_NODE,
    Part.WORKLOAD_SERVICE,
)
ROUTER_PARTS: Final = (
    Part.AUTH,
    Part.VALIDATION,
    Part.SCHEDULER,
    Part.ROUTES,
    Part.DESTINATION_RULES,
    Part.EVALUATION,
    Part.ADDRESSES,
)
FAILURES: Final[Mapping[Part, tuple[str, str, str]]] = {
    Part.CONFIG: (c.PRESETS_COMBINED, "CombineBaseError", "failed to load ingress config: "),
    Part.COMBINE: (c.PRESETS_COMBINED, "CombineBaseError", ""),
    Part.CERTIFICATE: (c.MAIN_WORKLOAD_READY, "ReconcileCertsError", ""),
    Part.PERMISSIONS: (c.MAIN_WORKLOAD_READY, "ReconcileWorkloadPermissionsError", ""),
    Part.MULTI_NODE: (c.WORKER_WORKLOAD_READY, "ReconcileMultiNodeWorkloadError", ""),
    Part.SINGLE_NODE: (c.MAIN_WORKLOAD_READY, "ReconcileSingleNodeWorkloadError", ""),
    Part.WORKLOAD_SERVICE: (c.MAIN_WORKLOAD_READY, "ReconcileWorkloadServiceError", ""),
    Part.SCALING: (c.MAIN_WORKLOAD_READY, "ReconcileScalingError", ""),
    Part.AUTH: (c.HTTP_ROUTES_READY, "HTTPRouteReconcileError", ""),
    Part.SCHEDULER: (
        c.SCHEDULER_WORKLOAD_READY,
        "SchedulerReconcileError",
        "Failed to reconcile scheduler: ",
    ),
    Part.ROUTES: (c.HTTP_ROUTES_READY, "HTTPRouteReconcileError", "Failed to reconcile HTTPRoute: "),
    Part.ADDRESSES: (c.HTTP_ROUTES_READY, "HTTPRouteReconcileError", "Failed to reconcile HTTPRoute: "),
    Part.DESTINATION_RULES: (
        c.HTTP_ROUTES_READY,
        "PlatformNetworkingReconcileError",
        "Failed to reconcile platform networking: ",
    ),
}
"""Condition, reason and the words before the error, by the part that failed (COND-4, COND-3)."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the plan came. `stopped_at` is the step that failed, was left for want of an answer, or met a conflict."""

    done: frozenset[Part]
    stopped_at: Step | None
    failed: bool
    said: tuple[tuple[str, str, str], ...] = ()
    """Conditions that finished steps give though nothing failed."""
    beside: Step | None = None
    """A step that failed beside the one at which the plan stopped."""

    def ended_in(self, parts: tuple[Part, ...]) -> bool:
        return self.stopped_at is not None and self.stopped_at.part in parts

    def left(self, parts: tuple[Part, ...]) -> bool:
        """True when these parts were begun and came to an end, well or not."""
        if self.ended_in(parts):
            return self.failed
        return any(part in self.done for part in parts)

    def failed_in(self, parts: tuple[Part, ...]) -> bool:
        """A step of these parts failed, whether it ended the plan or not."""
        beside = self.beside is not None and self.beside.part in parts
        return beside or (self.failed and self.ended_in(parts))

    @property
    def router_left(self) -> bool:
        """Once the routes are written there is enough to judge, also if a later part waits for an answer."""
        return self.left(ROUTER_PARTS) or Part.ROUTES in self.done


def progress_of(plan: Plan, outcome: Outcome) -> Progress:
    done: list[Part] = []
    said: list[tuple[str, str, str]] = []
    left: list[Step] = []

    def stopped_at(step: Step | None, *, failed: bool) -> Progress:
        undone = {each.part for each in (step, *left) if each is not None}
        return Progress(frozenset(done) - undone, step, failed, tuple(said), outcome.beside)

    for step in plan.steps:
        failed = step is outcome.failed or step == outcome.failed
        if step.aside and (failed or step.unanswered or step == outcome.beside):
            left.append(step)
            continue
        if failed:
            return stopped_at(step, failed=True)
        if step.unanswered or step is outcome.blocked:
            return stopped_at(step, failed=False)
        done.append(step.part)
        said += [step.condition] if step.condition is not None else []
    if outcome.failed is not None:
        return stopped_at(outcome.failed, failed=True)
    return stopped_at(next((step for step in left if step.unanswered), None), failed=False)


def mark_failure(made: ConditionSet, progress: Progress, outcome: Outcome) -> None:
    """The conditions of the steps that failed, where they have one; and those that steps gave without failing."""
    for condition in progress.said:
        made.mark_false(*condition)
    if outcome.beside is not None:
        _mark(made, outcome.beside, outcome.beside_error)
    if progress.stopped_at is not None and progress.failed:
        _mark(made, progress.stopped_at, outcome.error)


def _mark(made: ConditionSet, step: Step, error: str) -> None:
    if step.condition is not None and step.error:
        mark = made.mark_unknown if step.unsure else made.mark_false
        mark(*step.condition)
    elif step.part in FAILURES:
        type_, reason, words = FAILURES[step.part]
        made.mark_false(type_, reason, f"{words}{step.inner}{error}")
