"""One service, once: observe, plan, apply, conclude the status (ARCH-3).

The same worker repeats plan and apply, with the answers to its own writes laid over the caches, until the plan is empty:
what follows from our own writes needs no second turn in the queue. Nothing that a run remembers is needed to finish its work: after a
crash the next process plans from the cluster alone (ARCH-6). Status changes settle for a moment before they are
written, so that one write says what three would.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import structlog

from aioctl.api import kinds, names
from aioctl.api.kinds import Kind, ObjectKey, ObjectRef
from aioctl.api.objects import FieldError, Object, is_deleting, key_of, uid_of
from aioctl.controller.apply import Applier, Recorder
from aioctl.controller.caches import Caches
from aioctl.controller.interests import Interests
from aioctl.controller.live_reads import LiveReads
from aioctl.controller.observe import CacheObservation, Decoded
from aioctl.controller.settling import StatusSettling
from aioctl.engine.clock import Clock
from aioctl.engine.limits import Backoff
from aioctl.engine.turnstile import Turnstile
from aioctl.engine.workers import Done, Failed, RequeueAfter, Result
from aioctl.kube.discovery import Presence
from aioctl.kube.errors import KubeError, asked_to_wait
from aioctl.kube.events import regarding
from aioctl.kube.expectations import Expectations
from aioctl.plan import reconcile, routing, scheduler, status
from aioctl.plan.migration import Decision
from aioctl.plan.model import Outcome, Overlay, Plan, Policy, Step

log = structlog.get_logger(__name__)

MOST_ROUNDS = 6
"""Plan and apply at most so often in one run; what is still open then comes back with the queue's back-off, as the echo of
our own writes wakes nobody."""
MOST_DEMANDS = 4
"""Each round of single reads can uncover the next (an account names secrets); no chain is longer."""
EXPECTATION_RETRY = 0.05
"""Seconds until it is looked again whether the caches show our own writes, or the one that ours conflicted with; a watch
delivers within milliseconds."""
LONGEST_CONFLICT_RETRY = 10.0
"""Seconds between two tries of a write that goes on conflicting: the watch lags, and will wake the service when it shows why."""


class ReconcileError(Exception):
    """The reconcile ended with the error the event shows; the queue repeats it with back-off."""


class ProgressObserver(Protocol):
    """Learns how far each service has come."""

    def observed(self, service: ObjectKey, decision: Decision, gateways: frozenset[str]) -> None: ...
    def gone(self, service: ObjectKey) -> None: ...


@dataclass(frozen=True, slots=True)
class _Run:
    """What one run came to: the service as last answered, the last plan, the view it was made on, the sum of answers."""

    service: Object
    plan: Plan
    view: Overlay
    outcome: Outcome
    conflict: bool
    reads: set[ObjectRef]
    """What was looked at so far; grows with what is read through `view`."""


@dataclass
class Reconciler:
    """`run` is what the workers call. All parts are given; nothing is created here."""

    caches: Caches
    presence: Callable[[Kind], Presence]
    live: LiveReads
    applier: Applier
    recorder: Recorder
    expectations: Expectations
    interests: Interests
    turnstile: Turnstile
    clock: Clock
    policy: Policy
    settling: StatusSettling
    progress: ProgressObserver
    decoded: Decoded = field(default_factory=Decoded)
    _problems: dict[ObjectKey, str] = field(default_factory=dict)
    _misfits: dict[ObjectKey, tuple[str, ...]] = field(default_factory=dict)
    _uids: dict[ObjectKey, str] = field(default_factory=dict)
    _conflicts: Backoff[ObjectKey] = field(
        default_factory=lambda: Backoff(base=EXPECTATION_RETRY, cap=LONGEST_CONFLICT_RETRY)
    )

    async def run(self, key: ObjectKey) -> Result:
        """Reconciles one service; errors are results, not exceptions."""
        cached = self.caches.service(key)
        if cached is None:
            self._forget(key)
            return Done()
        if self._uids.setdefault(key, cached.uid) != cached.uid:
            # Deleted and made anew before anybody looked: it inherits nothing.
            self._forget(key)
            self._uids[key] = cached.uid
        if self.expectations.pending_for(key):
            return RequeueAfter(EXPECTATION_RETRY, quiet=True)
        run = await self._converge(key, cached.decode())
        if is_deleting(run.service):
            return self._result(run, None)
        self._warn(key, run.plan)
        if run.outcome.failed is not None:
            note = f"Reconciliation failed: {_failure(run.outcome.failed, run.outcome.error)}"
            self.recorder.event(regarding(run.service), "Warning", "Error", note)
        decision = status.migration_of(run.plan, run.view)
        if decision is not None:
            self.progress.observed(key, decision, _gateways(run.plan))
            self._tell(key, run.service, decision)
        try:
            status_wait = await self._status(key, run, decision)
        except KubeError as error:
            if asked := asked_to_wait(error):
                return RequeueAfter(asked, quiet=True)
            return Failed(ReconcileError(f"failed to update status for LLMInferenceService: {error}"))
        return self._result(run, status_wait)

    async def _converge(self, key: ObjectKey, service: Object) -> _Run:
        """Plans and applies until nothing is left to write, or something fails or has to wait."""
        answers: dict[ObjectRef, Object | None] = {}
        reads: set[ObjectRef] = set()
        for _ in range(MOST_ROUNDS):
            plan, view = await self._plan(key, service, answers, reads)
            applied = await self.applier.run(plan)
            outcome = applied.outcome
            answers.update(outcome.answers)
            service = _latest(service, answers)
            if outcome.failed is not None or outcome.deferred is not None:
                break
            if not outcome.answers and not applied.replan:
                break
        else:
            outcome = replace(outcome, retry=True, error=f"there is more to write after {MOST_ROUNDS} rounds")
        view.reads |= reads
        self.interests.record(key, view.reads)
        return _Run(
            service,
            plan,
            Overlay(view, answers),
            replace(outcome, answers=answers),
            applied.conflict,
            view.reads,
        )

    async def _plan(
        self,
        key: ObjectKey,
        service: Object,
        answers: Mapping[ObjectRef, Object | None],
        reads: set[ObjectRef],
    ) -> tuple[Plan, CacheObservation]:
        """A plan on what is known; objects that have to be read first are read, then it is planned again."""
        for _ in range(MOST_DEMANDS):
            view = CacheObservation(key, self.caches, self.presence, self.live, self.decoded)
            async with self.turnstile.turn():
                plan = reconcile.plan(Overlay(view, answers), service, self.policy, self.clock.now())
                # Before anything is awaited: a change from here on is news to this plan.
                self.interests.widen(key, view.reads)
            reads |= view.reads
            if not view.demands:
                break
            await self.live.fetch(view.demands)
        return plan, view

    async def _status(self, key: ObjectKey, run: _Run, decision: Decision | None) -> float | None:
        """Writes the status when it differs and has settled; else the seconds until it is due, None when it is right."""
        async with self.turnstile.turn():
            now = self.clock.now()
            wanted = status.conclude(run.plan, run.outcome, run.view, self.policy, now, decision)
            same = status.status_equal(wanted, status.stored_status(run.service))
            # Conditions speak of objects that no plan looks at, such as a pool of somebody else behind a user's route.
            self.interests.record(key, run.reads)
        if same:
            self.settling.forget(key)
            return None
        # After a failure the queue's back-off decides when this service is looked at again, or the API server where it has put
        # a write off: what is known is said now.
        outcome = run.outcome
        at_once = outcome.failed is not None or outcome.put_off or (outcome.retry and not run.conflict)
        busy = run.outcome.deferred is not None
        problem = decision is not None and bool(decision.problem)
        wait = 0.0 if at_once else self.settling.wait(key, wanted, problem=problem, busy=busy)
        if wait > 0:
            return wait
        await self.applier.write_status(run.service, wanted)
        for wrong in status.unreadable(run.service):
            log.warning("stored status replaced", service=str(key), problem=wrong)
        self.settling.forget(key)
        return None

    def _tell(self, key: ObjectKey, service: Object, decision: Decision) -> None:
        """One event when a migration starts to wait for somebody, with the reason that condition and metric show."""
        if self._problems.get(key, "") == decision.problem:
            return
        self._problems[key] = decision.problem
        if decision.problem:
            self.recorder.event(regarding(service), "Warning", decision.reason.value, decision.problem)

    def _warn(self, key: ObjectKey, plan: Plan) -> None:
        """One line in the log for each thing that will not work and has no condition, again only when they change."""
        if plan.context is None:
            return
        try:
            found = scheduler.misfits(plan.context)
        except FieldError:
            return  # the scheduler's own step names the field
        known = self._misfits.get(key, ())
        for problem in found:
            if problem not in known:
                log.warning("endpoint picker", service=str(key), problem=problem)
        if found:
            self._misfits[key] = found
        else:
            self._misfits.pop(key, None)

    def _result(self, run: _Run, status_wait: float | None) -> Result:
        outcome = run.outcome
        if outcome.failed is not None:
            return Failed(ReconcileError(_failure(outcome.failed, outcome.error)))
        if run.conflict:
            return RequeueAfter(self._conflicts.next(key_of(run.service)), quiet=True)
        self._conflicts.forget(key_of(run.service))
        if outcome.retry:
            return Failed(ReconcileError(outcome.error))
        waits = [wait for wait in (outcome.deferred, status_wait) if wait is not None]
        return RequeueAfter(min(waits)) if waits else Done()

    def gone(self, ref: ObjectRef) -> None:
        """Drops what is remembered of an object that a cache has seen go."""
        self.decoded.forget(ref)
        self.applier.gone(ref)

    def _forget(self, key: ObjectKey) -> None:
        self._uids.pop(key, None)
        self._conflicts.forget(key)
        self.settling.forget(key)
        self._problems.pop(key, None)
        self._misfits.pop(key, None)
        self.interests.forget(key)
        self.applier.forget(key)
        self.decoded.forget(ObjectRef(kinds.SECRET, key.namespace, names.tls_secret_name(key.name)))
        self.progress.gone(key)


def _failure(step: Step, error: str) -> str:
    return f"{step.outer}{step.inner}{error}"


def _gateways(plan: Plan) -> frozenset[str]:
    """The gateways the managed route hangs on, as `namespace/name`."""
    if plan.context is None or routing.mode(plan.context) is not routing.Mode.MANAGED:
        return frozenset()
    parents = routing.parent_gateways(routing.route_spec(plan.context), plan.context.namespace)
    return frozenset(str(gateway) for gateway in parents)


def _latest(service: Object, answers: Mapping[ObjectRef, Object | None]) -> Object:
    """The service as our own patch of it left it, if there was one."""
    answer = answers.get(ObjectRef(kinds.SERVICE, *key_of(service)))
    return answer if answer is not None and uid_of(answer) == uid_of(service) else service
