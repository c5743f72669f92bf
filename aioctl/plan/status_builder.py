"""The parts of a status: what workloads, router, lock and the part that failed say of a service (COND-3, COND-4).

What an earlier reconcile said must not outlive its cause: references, authentication and what was only judged are looked at
anew whenever the router part was reached, also when a part before the judging fails (COND-5).
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from aioctl.api import conditions as c
from aioctl.api import kinds, names
from aioctl.api.conditions import ConditionSet
from aioctl.api.defaulting import external_pool_name, is_stopped
from aioctl.api.objects import FieldError, Object, dig, mapping, present
from aioctl.plan import (
    addresses,
    auth,
    gateways,
    groups,
    migration_facts,
    picker,
    picker_readiness,
    pool_status,
    references,
    route_readiness,
    topology,
)
from aioctl.plan.availability import mark_availability
from aioctl.plan.children import is_ours
from aioctl.plan.gateways import Judgement
from aioctl.plan.group_migration import generation
from aioctl.plan.lock import LOCKED_VALUE, bears_lock, has_lock
from aioctl.plan.memo import concluded
from aioctl.plan.migration import Decision
from aioctl.plan.model import Context, Held, Outcome, Part, PlanError
from aioctl.plan.observation import Absent, Observation, Present, Unanswered, Unknown
from aioctl.plan.policy import PodForm
from aioctl.plan.reach import FAILURES, WORKLOAD_PARTS, Progress, mark_failure
from aioctl.plan.routing import Mode, gateway_refs, mode
from aioctl.plan.workload import artifacts, naming, oci, pods, scaling
from aioctl.plan.workload import topology as workload_topology

_STOPPED: Final = ("Stopped", "Service is stopped")
_WORKLOAD_CONDITIONS: Final = (
    c.MAIN_WORKLOAD_READY,
    c.WORKER_WORKLOAD_READY,
    c.PREFILL_WORKLOAD_READY,
    c.PREFILL_WORKER_WORKLOAD_READY,
    c.SCALING_READY,
    c.PREFILL_SCALING_READY,
)
_ROUTER_CONDITIONS: Final = (
    c.GATEWAYS_READY,
    c.HTTP_ROUTES_READY,
    c.INFERENCE_POOL_READY,
    c.SCHEDULER_WORKLOAD_READY,
    c.TOKENIZER_READY,
)


_EVALUATIONS: Final[Mapping[str, tuple[tuple[str, ...], Callable[[Context], Judgement | None]]]] = {
    c.INFERENCE_POOL_READY: (pool_status.REASONS, pool_status.evaluate),
    c.GATEWAYS_READY: (("GatewaysNotReady", "GatewayFetchError"), gateways.evaluate),
    c.HTTP_ROUTES_READY: (("HTTPRoutesNotReady", "HTTPRouteFetchError"), route_readiness.evaluate),
}
"""What judges each condition, and the reasons that come from judging and not from a write that failed."""


def advise(made: ConditionSet, obs: Observation, *, image_volume: bool) -> None:
    """What the API server may lack for the model's image as a volume; in no roll-up (ART-5)."""
    found = oci.compatibility(obs.server_version()) if image_volume else None
    if found is None:
        made.unset(c.OCI_IMAGE_VOLUME_COMPATIBLE)
    else:
        made.mark_false(c.OCI_IMAGE_VOLUME_COMPATIBLE, *found)


@dataclass(frozen=True, slots=True)
class StatusBuilder:
    """Builds one status, in place: conditions go to `made`, every other field to `status`."""

    ctx: Context
    """Its view is the cluster after our own writes."""
    outcome: Outcome
    progress: Progress
    made: ConditionSet
    status: dict[str, Any]
    decision: Decision | None = None
    """Where the migration stands; None: found here when it is needed."""
    held: tuple[Held, ...] | None = None
    """The workloads whose pods keep another form than today's; None: not known."""

    def build(self, combined: str | None) -> None:
        """Every part, then the roll-ups. `combined` is that of the plan. Raises nothing for what is in the cluster."""
        self._presets(combined)
        self._pod_form()
        # A field of the wrong type is named by the step that failed on it; here it only means that there is nothing to see.
        for part in (self._workloads, self._router, self._name_workloads, self._copy_lock):
            with suppress(FieldError):
                part()
        mark_failure(self.made, self.progress, self.outcome)
        if self.progress.left(WORKLOAD_PARTS):
            self.made.roll_up(c.WORKLOADS_READY, _WORKLOAD_CONDITIONS)
        if self.progress.router_left:
            self.made.roll_up(c.ROUTER_READY, _ROUTER_CONDITIONS)

    def _presets(self, combined: str | None) -> None:
        if combined:
            reason, message = _STOPPED
            self.made.mark_false(c.PRESETS_COMBINED, reason, f"{message} with warning: {combined}")
        elif combined is not None:
            self.made.mark_true(c.PRESETS_COMBINED)

    def _pod_form(self) -> None:
        """Pods that keep the form of an earlier controller until somebody changes the service, or says so."""
        if self.held is None:
            return
        if not self.held:
            self.made.unset(c.POD_FORM_CURRENT)
        elif all(workload.rolls for workload in self.held):
            message = f"{_listed(self.held)}: pods take the form of this release when it is their turn"
            self.made.mark_false(c.POD_FORM_CURRENT, "WaitsForRollout", message)
        else:
            message = (
                f"{_listed(self.held)}: pods keep the form that an earlier controller gave them; the next change of "
                f"the service brings that of this release, or annotation {names.POD_FORM}: {PodForm.CURRENT.value}"
            )
            self.made.mark_false(c.POD_FORM_CURRENT, "HeldBack", message)

    def _has(self, *path: str) -> bool:
        return present({"spec": self.ctx.spec}, "spec", *path)

    # -- workloads

    def _workloads(self) -> None:
        """Availability of what the finished parts made; a part that fails later overwrites it."""
        if not self.progress.left(WORKLOAD_PARTS):
            return
        advise(self.made, self.ctx.obs, image_volume=artifacts.native_wanted(self.ctx.config, self.ctx.spec))
        for prefill, single, multi in (
            (False, c.MAIN_WORKLOAD_READY, c.WORKER_WORKLOAD_READY),
            (True, c.PREFILL_WORKLOAD_READY, c.PREFILL_WORKER_WORKLOAD_READY),
        ):
            if is_stopped(self.ctx.service):
                self.made.mark_false(single, *_STOPPED)
                self.made.mark_false(multi, *_STOPPED)
                continue
            side = pods.Side({"spec": self.ctx.spec}, prefill=prefill)
            if side.multi_node:
                self.made.unset(single)
                self._copy_availability(
                    multi, Part.MULTI_NODE, naming.group(multi_node=True, prefill=prefill)
                )
            elif side.exists:
                self.made.unset(multi)
                self._copy_availability(
                    single, Part.SINGLE_NODE, naming.group(multi_node=False, prefill=prefill)
                )
            else:
                self.made.unset(single)
                self.made.unset(multi)
        for type_, scaler in scaling.scalers(self.ctx):
            self._scaling(type_, scaler)

    def _scaling(self, type_: str, scaler: scaling.Scaler) -> None:
        """What the autoscaler of one side says; the condition goes where nothing scales."""
        failed = self.progress.failed_in((Part.SCALING,))
        reached = failed or Part.SCALING in self.progress.done
        if scaler.kind is not None and not reached and self.made.status_of(type_) != c.FALSE:
            return
        try:
            found = scaler.readiness(failed=failed)
        except Unanswered:
            return
        if found is None:
            self.made.unset(type_)
            return
        ready, reason, message = found
        if ready:
            self.made.mark_true(type_)
        else:
            self.made.mark_false(type_, reason, message)

    def _copy_availability(self, type_: str, part: Part, children: tuple[naming.Child, ...]) -> None:
        # What is not reached, as another workload fails, must not go on being called unavailable when it no longer is.
        if part not in self.progress.done and self.made.status_of(type_) != c.FALSE:
            return
        kind, _ = children[0]
        try:
            read = self.ctx.obs.get(kind, self.ctx.namespace, naming.workload_name(self.ctx, children))
        except Unanswered:
            return
        if isinstance(read, Present):
            mark_availability(self.made, type_, read.obj, kind)
        elif isinstance(read, Absent):
            mark_availability(self.made, type_, None, kind)

    # -- the router

    def _router(self) -> None:
        """Conditions of gateways, routes, pools and the picker, addresses, the migration."""
        progress = self.progress
        if is_stopped(self.ctx.service):
            if progress.router_left:
                self._stop_router()
            return
        if progress.router_left:
            self._clear_stopped()
        if progress.router_left or Part.VALIDATION in progress.done:
            self._clear_refuted()
        self._picker()
        routed = Part.ROUTES in progress.done
        if routed or (progress.router_left and self.made.status_of(c.POOL_MIGRATION)):
            self._migration()
        judged = set()
        if routed:
            self._topology()
            self._group()
            judged = {c.INFERENCE_POOL_READY, c.GATEWAYS_READY}
            if self._addresses() and not progress.failed_in((Part.DESTINATION_RULES,)):
                judged.add(c.HTTP_ROUTES_READY)
        self._judge(judged)

    def _stop_router(self) -> None:
        for type_ in _ROUTER_CONDITIONS:
            self.made.mark_false(type_, *_STOPPED)
        for type_ in (c.POOL_MIGRATION, c.GROUP_READY, c.GROUP_DEGRADED):
            self.made.unset(type_)
        for field in ("url", "address", "addresses", "router"):
            self.status.pop(field, None)

    def _topology(self) -> None:
        """Gateways, routes, pool, picker and group; pool and picker as they were while a user's pool cannot be seen."""
        with suppress(Unanswered, FieldError):
            router = concluded(self.ctx, "router", lambda: topology.router(self.ctx))
            known = dig(self.status, "router", "scheduler")
            if router and known and self._has("router", "scheduler"):
                router = {"scheduler": known, **router}
            self._put("router", router)

    def _group(self) -> None:
        """Whether the group that the service names is there, and whether each of its members takes its part (GROUP-4)."""
        ctx = self.ctx
        with suppress(Unanswered, FieldError):
            group = groups.group_of(ctx)
            if group is None or not group.members:
                self.made.unset(c.GROUP_READY)
                self.made.unset(c.GROUP_DEGRADED)
                return
            self.made.mark_true(c.GROUP_READY)
            decision = self.decision or migration_facts.migration_of(ctx)
            live = gateways.managed_route(ctx)
            on = generation(ctx, decision, live)
            problem = groups.degraded(ctx, group, on, lambda: migration_facts.takes_both(ctx, live))
            if problem:
                self.made.mark_true(c.GROUP_DEGRADED, *problem)
            else:
                self.made.unset(c.GROUP_DEGRADED)

    def _name_workloads(self) -> None:
        """After everything has been done; until then they stay as they were said to be (TOPO-2)."""
        if is_stopped(self.ctx.service):
            self.status.pop("workloads", None)
        elif self.progress.stopped_at is None and not self.outcome.error:
            with suppress(Unanswered):
                workloads = concluded(self.ctx, "workloads", lambda: workload_topology.workloads(self.ctx))
                self._put("workloads", workloads)

    def _clear_stopped(self) -> None:
        """The service was resumed: what is not judged anew this time must not go on saying that it is stopped."""
        for type_ in _ROUTER_CONDITIONS:
            if self.made.reason_of(type_) == _STOPPED:
                self.made.unset(type_)

    def _clear_refuted(self) -> None:
        """What was said of the references or of authentication and is no longer so goes, whatever fails now."""
        auth_passed = not self.progress.ended_in((Part.AUTH,))
        for type_ in (c.GATEWAYS_READY, c.HTTP_ROUTES_READY):
            reason, message = self.made.reason_of(type_)
            if reason == references.REFS_INVALID:
                problems = references.standing(self.ctx, type_)
                if problems:
                    self.made.mark_false(type_, reason, problems)
                elif problems is not None:
                    self.made.unset(type_)
            elif auth_passed and message == f"{auth.INNER}{auth.MISSING}":
                self.made.unset(type_)
        if not gateway_refs(self.ctx):
            self.made.unset(c.GATEWAYS_READY)

    def _picker(self) -> None:
        """Endpoint picker and tokenizer, each with a condition while it is wanted (EPP-4, TOK-2)."""
        for type_, wanted, name in (
            (c.SCHEDULER_WORKLOAD_READY, picker.is_wanted, picker.deployment_name),
            (c.TOKENIZER_READY, picker.tokenizer_is_wanted, names.tokenizer_name),
        ):
            if Part.SCHEDULER not in self.progress.done and not self._only_unavailable(type_):
                continue
            if not wanted(self.ctx):
                self.made.unset(type_)
                continue
            read = self.ctx.obs.get(kinds.DEPLOYMENT, self.ctx.namespace, name(self.ctx.name))
            if not isinstance(read, Unknown):
                self._mark(type_, picker_readiness.judge(read.obj if isinstance(read, Present) else None))

    def _only_unavailable(self, type_: str) -> bool:
        """It was not available when it was last looked at; a failed write of it stands until it is tried again."""
        _, failed_write, _ = FAILURES[Part.SCHEDULER]
        return (
            self.progress.router_left
            and self.made.status_of(type_) == c.FALSE
            and self.made.reason_of(type_)[0] != failed_write
        )

    def _migration(self) -> None:
        """Our own condition, there only while somebody has to act."""
        decision = self.decision or migration_facts.migration_of(self.ctx)
        if decision.problem:
            self.made.mark_false(c.POOL_MIGRATION, decision.reason, decision.problem)
        else:
            self.made.unset(c.POOL_MIGRATION)

    def _addresses(self) -> bool:
        """Replaces url and addresses. Returns False, and the condition says why, when discovery failed."""
        try:
            found = concluded(self.ctx, "addresses", lambda: addresses.discover(self.ctx))
        except Unanswered:
            return True
        except PlanError as error:
            type_, reason, words = FAILURES[Part.ROUTES]
            self.made.mark_false(type_, reason, f"{words}{error}")
            return False
        self._put("url", found.url)
        self._put("addresses", list(found.all))
        return True

    def _put(self, field: str, value: Any) -> None:
        if value:
            self.status[field] = value
        else:
            self.status.pop(field, None)

    def _judge(self, judged: set[str]) -> None:
        for type_, (reasons, evaluate) in _EVALUATIONS.items():
            # A part that fails now must not keep alive what an earlier evaluation said and is no longer so.
            outlived = self.progress.router_left and self.made.reason_of(type_)[0] in reasons
            if type_ in judged or outlived:
                self._mark(type_, concluded(self.ctx, type_, partial(evaluate, self.ctx)))

    def _mark(self, type_: str, verdict: Judgement | None) -> None:
        if verdict is None:
            self.made.unset(type_)
        elif verdict.ready:
            self.made.mark_true(type_)
        else:
            self.made.mark_false(type_, verdict.reason, verdict.message)

    # -- the lock

    def _copy_lock(self) -> None:
        """Keeps a second copy of the lock, so that a route made anew does not start over (MIG-2)."""
        ctx = self.ctx
        kept = dict(mapping(self.status, "annotations"))
        if external_pool_name(ctx.spec):
            kept.pop(names.MIGRATED, None)
        else:
            read = ctx.obs.get(kinds.HTTP_ROUTE, ctx.namespace, names.route_name(ctx.name))
            if isinstance(read, Present) and self._locks(read.obj):
                kept[names.MIGRATED] = LOCKED_VALUE
        self._put("annotations", kept)

    def _locks(self, route: Object) -> bool:
        if mode(self.ctx) is Mode.MANAGED:
            return is_ours(self.ctx, route) and has_lock(route)
        return bears_lock(self.ctx, route)  # it goes as soon as this is written


def _listed(held: tuple[Held, ...]) -> str:
    return ", ".join(str(workload) for workload in held)
