"""One service, once: observe, plan, apply, conclude the status (ARCH-3).

The same worker repeats plan and apply, with the answers to its own writes laid over the caches, until the plan is empty:
what follows from our own writes needs no second turn in the queue. Nothing that a run remembers is needed to finish its work: after a
crash the next process plans from the cluster alone (ARCH-6). Status changes settle for a moment before they are
written, so that one write says what three would.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

import structlog

from aioctl.api import kinds, weight
from aioctl.api.conditions import FALSE, TRUE
from aioctl.api.kinds import Kind, ObjectKey, ObjectRef, Served
from aioctl.api.objects import (
    Object,
    age_of,
    annotations_of,
    generation_of,
    is_deleting,
    key_of,
    labels_of,
    resource_version_of,
    uid_of,
)
from aioctl.controller.apply import Applier, Recorder
from aioctl.controller.caches import Caches
from aioctl.controller.confinement import Confinement
from aioctl.controller.conflicts import conflict_wait
from aioctl.controller.hearsay import Hearsay
from aioctl.controller.idle_looks import IdleLookLimit
from aioctl.controller.interests import Interests
from aioctl.controller.live_reads import LiveReads
from aioctl.controller.observe import CacheObservation, Decoded
from aioctl.controller.planner import Conclusion, Planner, PlanTooExpensive
from aioctl.controller.progress import ProgressObserver
from aioctl.controller.service_state import AtRest, ServiceState, ServiceStates
from aioctl.controller.settling import StatusSettling
from aioctl.controller.traffic import Traffic
from aioctl.controller.trials import Trials
from aioctl.controller.waves import Waves
from aioctl.engine.clock import Clock
from aioctl.engine.tracing import span
from aioctl.engine.workers import Done, Failed, RequeueAfter, Result
from aioctl.kube.cached import Cached
from aioctl.kube.discovery import ServerVersion
from aioctl.kube.errors import KubeError, asked_to_wait
from aioctl.kube.events import regarding
from aioctl.kube.expectations import Expectations
from aioctl.plan import status
from aioctl.plan.memo import Remembering, Seen
from aioctl.plan.migration import Decision, Reason
from aioctl.plan.model import Outcome, Overlay, Plan, Step, Verb
from aioctl.plan.route import MIGRATED_EVENT

log = structlog.get_logger(__name__)

DECIDED: Final = (TRUE, FALSE)
MOST_ROUNDS: Final = 6
"""Plan and apply at most so often in one run; what is still open then comes back with the queue's back-off, as the echo of
our own writes wakes nobody."""
MOST_DEMANDS: Final = 5
"""Each round of single reads can uncover the next (an account names secrets), and one tries the spec out; no chain is longer."""
EXPECTATION_RETRY: Final = 0.05
"""Seconds until it is looked again whether the caches show our own writes; a watch delivers within milliseconds."""


class ReconcileError(Exception):
    """The reconcile ended with the error the event shows; the queue repeats it with back-off."""


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
    demands: set[ObjectRef]
    """What would have to be read; grows like `reads`."""
    planned: Seen | None
    """What the plan was made of."""
    keeps: bool
    """The memo is of this plan."""

    @property
    def had_nothing_to_do(self) -> bool:
        """Nothing was written, failed, or waits for its turn, and nothing that may fail was tried: the same again would come to the
        same."""
        outcome = self.outcome
        tried = any(write.best_effort for step in self.plan.steps for write in step.writes)
        waits = outcome.deferred is not None or outcome.roll is not None or outcome.retry or self.conflict
        return (
            not outcome.answers
            and outcome.failed is None
            and outcome.blocked is None
            and not waits
            and not tried
        )


@dataclass(frozen=True, slots=True)
class _Concluded:
    """A run whose status may have to settle yet."""

    run: _Run
    conclusion: Conclusion
    looked: Seen | None
    """What the conclusion was made of; None where that was decided elsewhere."""
    at: float
    """On the clock's steady line."""

    def again(self, now: float) -> float | None:
        """Seconds until the service is to be looked at again though nothing has changed."""
        wait = self.conclusion.again
        return None if wait is None else max(0.0, wait - (now - self.at))


@dataclass
class Reconciler:
    """`run` is what the workers call. All parts are given; nothing is created here."""

    caches: Caches
    presence: Callable[[Kind], Served]
    version: Callable[[], ServerVersion | None]
    live: LiveReads
    trials: Trials
    hearsay: Hearsay
    traffic: Traffic
    applier: Applier
    recorder: Recorder
    expectations: Expectations
    states: ServiceStates
    interests: Interests
    clock: Clock
    settling: StatusSettling
    progress: ProgressObserver
    planner: Planner
    child: Callable[[], AbstractAsyncContextManager[Planner]]
    """A planner for one run of a confined service."""
    confinement: Confinement
    confine: Callable[[ObjectKey], None]
    """Puts a service into the queue of the confined ones; `free` into that of the others."""
    free: Callable[[ObjectKey], None]
    idle_looks: IdleLookLimit
    waves: Waves
    others_work: Callable[[], bool]
    """Services that are not confined are ready or run."""
    decoded: Decoded = field(default_factory=Decoded)

    async def run(self, key: ObjectKey) -> Result:
        """Reconciles one service; errors are results, not exceptions. A confined one is handed to its own queue."""
        cached = self._known(key)
        if cached is None:
            return self._end(key)
        if not self.expectations.pending_for(key) and (rest := await self._at_rest(key, cached)):
            return Done() if rest.run is None else await self._finish(key, rest.run)
        service = weight.decode(cached.raw)
        if status.says_too_expensive(service):
            self.confinement.add(key)
        if self.confinement.holds(key):
            self.confine(key)
            return Done()
        if self.expectations.pending_for(key):
            return RequeueAfter(EXPECTATION_RETRY, quiet=True)
        return await self._reconcile(key, service, self.planner)

    async def run_confined(self, key: ObjectKey) -> Result:
        """The same for a confined service, after all others, with a child process that plans; it is free once it settled."""
        cached = self._known(key)
        if cached is None:
            return self._end(key)
        service = weight.decode(cached.raw)
        if not self.confinement.holds(key):
            self.free(key)
            return Done()
        if wait := self.confinement.wait(key, service, others=self.others_work()):
            return RequeueAfter(wait, quiet=True)
        if self.expectations.pending_for(key):
            return RequeueAfter(EXPECTATION_RETRY, quiet=True)
        try:
            async with self.child() as planner:
                result = await self._reconcile(key, service, planner)
        except PlanTooExpensive as error:
            return await self._too_expensive(key, service, str(error))
        if isinstance(result, Done):
            self.confinement.release(key)
            log.info("planned within its limits, no longer confined", service=str(key))
        return result

    def _known(self, key: ObjectKey) -> Cached | None:
        """The service as the cache has it; what is remembered of one of its name before it is dropped."""
        cached = self.caches.service(key)
        if cached is None:
            return None
        if self.states.of(key).uid not in ("", cached.uid):
            # Deleted and made anew before anybody looked: it inherits nothing.
            self._forget(key)
        self.states.of(key).uid = cached.uid
        return cached

    async def _at_rest(self, key: ObjectKey, cached: Cached) -> AtRest[_Concluded] | None:
        """Its last run, if that had nothing to do and everything that it looked at is as it was: so has this one."""
        state = self.states.of(key)
        rest = state.at_rest
        if rest is None or rest.version != cached.resource_version or self.confinement.holds(key):
            return None
        for _ in range(MOST_DEMANDS):
            view = self._view(key)
            now = Remembering(view, state.memo, self.clock.now())
            if now.shows(rest.planned) and now.shows(rest.concluded):
                return rest
            if not view.demands:
                return None
            await self.live.fetch(view.demands)
            if state.at_rest is not rest:
                return None
        return None

    def _heed(self, state: ServiceState, service: Object) -> None:
        """Notes when somebody changed the service: what it names may have been changed just before."""
        marks = {**labels_of(service), **annotations_of(service)}
        wish = (generation_of(service), hash(frozenset(marks.items())))
        if wish == state.wish:
            return
        # At a start all services are new to us, and one answer serves all that nobody has touched since.
        age = age_of(service, self.clock.now()) if state.wish is None else 0.0
        state.wish, state.wished = wish, self.clock.monotonic() - age

    async def _reconcile(self, key: ObjectKey, service: Object, planner: Planner) -> Result:
        state = self.states.of(key)
        state.at_rest = None
        self._heed(state, service)
        self.trials.begin(key)
        run = await self._converge(key, service, planner)
        if is_deleting(run.service):
            return await self._leave(run)
        if run.outcome.failed is not None:
            note = f"Reconciliation failed: {_failure(run.outcome.failed, run.outcome.error)}"
            self.recorder.event(regarding(run.service), "Warning", "Error", note)
            if run.outcome.failed.warning is not None:
                self.recorder.event(regarding(run.service), "Warning", *run.outcome.failed.warning)
        concluded, looked = await self._conclude(key, run, planner)
        self._warn(key, concluded.misfits)
        self._notify(key, run.service, concluded.notices)
        if concluded.held is not None:
            self.progress.held_back(key, concluded.held)
        decision = concluded.decision
        self.progress.planned(run.plan, decision)
        if decision is not None:
            ready = status.readiness(concluded.status) == TRUE
            self.waves.settled(key, decision, ready=ready)
            self.progress.observed(key, decision, concluded.gateways)
            self._tell(key, run.service, decision)
        else:
            self.waves.gone(key)
        ours = planner is self.planner
        return await self._finish(
            key, _Concluded(run, concluded, looked if ours else None, self.clock.monotonic())
        )

    async def _finish(self, key: ObjectKey, ended: _Concluded) -> Result:
        """Writes the status once it has settled, and remembers what need not be looked at again."""
        state, run, concluded = self.states.of(key), ended.run, ended.conclusion
        state.at_rest = None
        try:
            status_wait = await self._status(key, run, concluded)
        except KubeError as error:
            return _status_failure(error)
        decision = concluded.decision
        waits = decision is not None and decision.reason is Reason.WAITS_FOR_BUDGET
        result = self._result(
            run, status_wait, ended.again(self.clock.monotonic()), self.waves.opens_in() if waits else None
        )
        done = isinstance(result, Done)
        if done:
            state.memo.rest()
        # One that waits for its turn to move is woken by nothing that it could see.
        same = run.had_nothing_to_do and not waits and (done or status_wait is not None)
        if same and run.planned is not None and ended.looked is not None:
            version = resource_version_of(run.service)
            state.at_rest = AtRest(version, run.planned, ended.looked, None if done else ended)
        self.idle_looks.looked(key, idle=done and state.at_rest is not None)
        return result

    async def _conclude(self, key: ObjectKey, run: _Run, planner: Planner) -> tuple[Conclusion, Seen | None]:
        """The status of the run, and what it was made of; what it speaks of and no plan has looked at is read first.

        A pool of somebody else behind a user's route is such an object, and so is the Service of a gateway when the plan failed early.
        """
        looked: list[Seen] = []
        for _ in range(MOST_DEMANDS):
            run.demands.clear()
            view = Remembering(run.view, self.states.of(key).memo, self.clock.now(), keeps=run.keeps)
            read = partial(self._concluded, key, run, view, looked)
            concluded = await planner.conclude(run.plan, run.outcome, view, self.clock.now(), read)
            if not run.demands:
                break
            await self.live.fetch(run.demands)
        return concluded, looked[0] if looked else None

    def _concluded(self, key: ObjectKey, run: _Run, view: Remembering, looked: list[Seen]) -> None:
        self.interests.record(key, run.reads)
        looked[:] = [view.seen()]

    async def _leave(self, run: _Run) -> Result:
        """Says what a service that is being deleted waits for, if it waits for others."""
        waiting = status.leaving(run.service, run.plan, self.clock.now())
        if waiting is None:
            return self._result(run, None)
        try:
            if not status.status_equal(waiting, status.stored_status(run.service)):
                await self.applier.write_status(run.service, waiting)
        except KubeError as error:
            return _status_failure(error)
        return RequeueAfter(run.plan.steps[-1].revisit, quiet=True)

    async def _too_expensive(self, key: ObjectKey, service: Object, problem: str) -> Result:
        """Says so, once, in condition, event and log; then it rests, see `confinement.py`."""
        wait, news = self.confinement.failed(key, service)
        log.warning("plan too expensive", service=str(key), problem=problem, seconds=wait)
        message = (
            f"{problem}; it is tried again when the service or a configuration that it names has changed"
        )
        if news:
            self.recorder.event(regarding(service), "Warning", status.TOO_EXPENSIVE, message)
        wanted = status.too_expensive(service, message, self.clock.now())
        self.settling.forget(key)
        if not status.status_equal(wanted, status.stored_status(service)):
            try:
                await self.applier.write_status(service, wanted)
            except KubeError as error:
                return _status_failure(error)
        return RequeueAfter(wait, quiet=True)

    async def _converge(self, key: ObjectKey, service: Object, planner: Planner) -> _Run:
        """Plans and applies until nothing is left to write, or something fails or has to wait."""
        answers: dict[ObjectRef, Object | None] = {}
        reads: set[ObjectRef] = set()
        for _ in range(MOST_ROUNDS):
            plan, view, planned, keeps = await self._plan(key, service, planner, answers, reads)
            with span("apply", attributes={"aioctl.steps": len(plan.steps)}):
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
            view.demands,
            planned,
            keeps,
        )

    async def _plan(
        self,
        key: ObjectKey,
        service: Object,
        planner: Planner,
        answers: Mapping[ObjectRef, Object | None],
        reads: set[ObjectRef],
    ) -> tuple[Plan, CacheObservation, Seen | None, bool]:
        """A plan on what is known; objects that have to be read first are read, then it is planned again."""
        memo = self.states.of(key).memo
        looked: list[Seen] = []
        for _ in range(MOST_DEMANDS):
            with span("observe"):
                view = self._view(key)
            obs = Remembering(Overlay(view, answers), memo, self.clock.now())
            # Before anything is awaited: a change from here on is news to this plan.
            read = partial(self._looked, key, view, obs, looked)
            with span("plan"):
                plan = await planner.plan(obs, service, self.clock.now(), read)
            reads |= view.reads
            if not view.demands and view.trial is None:
                break
            # What the caches do not hold: the plan says what it needs.
            with span("observe", attributes={"aioctl.demands": len(view.demands)}):
                await self.live.fetch(view.demands)
                if view.trial is not None:
                    await self.trials.ask(key, view.trial)
        if moves(plan) and (turn := self.waves.admit(key)):
            plan = await planner.plan(obs, service, self.clock.now(), read, turn)
            reads |= view.reads
        return plan, view, looked[0] if looked else None, obs.keeps

    def _view(self, key: ObjectKey) -> CacheObservation:
        return CacheObservation(
            key,
            self.caches,
            self.presence,
            self.live,
            self.decoded,
            self.states.of(key).certificates,
            self.trials,
            self.version,
            self.hearsay,
            self.traffic,
            self.states.of(key).wished,
        )

    def _looked(self, key: ObjectKey, view: CacheObservation, obs: Remembering, looked: list[Seen]) -> None:
        self.interests.widen(key, view.reads)
        looked[:] = [obs.seen()]

    async def _status(self, key: ObjectKey, run: _Run, concluded: Conclusion) -> float | None:
        """Writes the status when it differs and has settled; else the seconds until it is due, None when it is right."""
        wanted, decision = concluded.status, concluded.decision
        if status.status_equal(wanted, status.stored_status(run.service)):
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
        self._tell_readiness(key, run.service, wanted)
        for wrong in status.unreadable(run.service):
            log.warning("stored status replaced", service=str(key), problem=wrong)
        self.settling.forget(key)
        return None

    def _tell_readiness(self, key: ObjectKey, service: Object, written: Object) -> None:
        """One event when a service becomes ready, and one when it is no longer, whatever lay between (EVENT-2)."""
        state = self.states.of(key)
        before, now = (status.readiness(found) for found in (status.stored_status(service), written))
        was = before if before in DECIDED else state.readiness
        if now == TRUE and before != TRUE:
            note = f"LLMInferenceService [{key.name}] is Ready"
            self.recorder.event(regarding(service), "Normal", "LLMInferenceServiceReady", note)
        elif now == FALSE and was == TRUE:
            causes = ", ".join(status.false_conditions(written))
            note = f"LLMInferenceService [{key.name}] is no longer Ready because of: {causes}"
            self.recorder.event(regarding(service), "Warning", "LLMInferenceServiceNotReady", note)
        state.readiness = now if now in DECIDED else was

    def _tell(self, key: ObjectKey, service: Object, decision: Decision) -> None:
        """One event when a migration starts to wait for somebody, with the reason that condition and metric show."""
        state = self.states.of(key)
        if state.problem == decision.problem:
            return
        state.problem = decision.problem
        if decision.problem:
            self.recorder.event(regarding(service), "Warning", decision.reason.value, decision.problem)

    def _notify(self, key: ObjectKey, service: Object, notices: tuple[tuple[str, str], ...]) -> None:
        """One event for each notice in a generation of the service."""
        state = self.states.of(key)
        generation = generation_of(service)
        found = {(generation, reason, message) for reason, message in notices}
        for _, reason, message in sorted(found - state.noticed):
            self.recorder.event(regarding(service), "Warning", reason, message)
        state.noticed = frozenset(found | {told for told in state.noticed if told[0] == generation})

    def _warn(self, key: ObjectKey, found: tuple[str, ...] | None) -> None:
        """One line in the log for each thing that will not work and has no condition, again only when they change."""
        if found is None:
            return
        state = self.states.of(key)
        for problem in found:
            if problem not in state.misfits:
                log.warning("endpoint picker", service=str(key), problem=problem)
        state.misfits = found

    def _result(self, run: _Run, *times: float | None) -> Result:
        """`times`: seconds until the service is to be looked at for reasons beside its writes."""
        outcome = run.outcome
        if outcome.failed is not None and outcome.failed.terminal:
            return Done()
        if outcome.failed is not None and outcome.failed.revisit:
            return RequeueAfter(min(outcome.failed.revisit, outcome.deferred or outcome.failed.revisit))
        if outcome.failed is not None:
            return Failed(ReconcileError(_failure(outcome.failed, outcome.error)))
        state = self.states.of(key_of(run.service))
        if run.conflict:
            state.conflicts += 1
            return RequeueAfter(conflict_wait(state.conflicts), quiet=True)
        state.conflicts = 0
        if outcome.retry:
            return Failed(ReconcileError(outcome.error))
        waits = [wait for wait in (outcome.deferred, outcome.roll, *times) if wait is not None]
        return RequeueAfter(min(waits)) if waits else Done()

    def gone(self, ref: ObjectRef) -> None:
        """Drops what is remembered of an object that a cache has seen go."""
        self.decoded.forget(ref)
        self.applier.gone(ref)

    def _end(self, key: ObjectKey) -> Result:
        """Forgets a service that is gone; what was last written for it as soon as the caches show it."""
        self._forget(key)
        return RequeueAfter(EXPECTATION_RETRY, quiet=True) if self.expectations.pending_for(key) else Done()

    def _forget(self, key: ObjectKey) -> None:
        state = self.states.pop(key)
        if state is not None:
            self.interests.forget(key, state)
        self.confinement.release(key)
        self.waves.gone(key)
        self.progress.gone(key)


def _failure(step: Step, error: str) -> str:
    return f"{step.outer}{step.inner}{error}"


def _status_failure(error: KubeError) -> Result:
    if asked := asked_to_wait(error):
        return RequeueAfter(asked, quiet=True)
    return Failed(ReconcileError(f"failed to update status for LLMInferenceService: {error}"))


def _latest(service: Object, answers: Mapping[ObjectRef, Object | None]) -> Object:
    """The service as our own patch of it left it, if there was one."""
    answer = answers.get(ObjectRef(kinds.SERVICE, *key_of(service)))
    return answer if answer is not None and uid_of(answer) == uid_of(service) else service


def moves(plan: Plan) -> bool:
    """The plan moves the traffic of a route that exists."""
    return any(
        write.verb is Verb.UPDATE and write.announce is not None and write.announce[0] == MIGRATED_EVENT
        for step in plan.steps
        for write in step.writes
    )
