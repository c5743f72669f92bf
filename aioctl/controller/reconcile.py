"""One service, once, for the queue: what the workers call, and what is remembered of a run until the next (ARCH-3).

`converging.py` observes, plans, applies and concludes; `telling.py` writes the status. Here it is decided whether a service need be
looked at at all, who plans it, and when it comes back. Nothing that a run remembers is needed to finish its work: after a crash the
next process plans from the cluster alone (ARCH-6).
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import Final

import structlog

from aioctl.api import weight
from aioctl.api.conditions import TRUE
from aioctl.api.kinds import ObjectKey, ObjectRef
from aioctl.api.objects import Object, is_deleting, key_of, resource_version_of
from aioctl.controller.caches import Caches
from aioctl.controller.confinement import Confinement
from aioctl.controller.conflicts import conflict_wait
from aioctl.controller.converging import MOST_DEMANDS, Converger, Run
from aioctl.controller.idle_looks import IdleLookLimit
from aioctl.controller.interests import Interests
from aioctl.controller.planner import Conclusion, Planner, PlanTooExpensive
from aioctl.controller.progress import ProgressObserver
from aioctl.controller.service_state import AtRest, ServiceStates, Unsettled, WarmMemos
from aioctl.controller.telling import Teller, failure
from aioctl.controller.waves import Waves
from aioctl.engine.clock import Clock
from aioctl.engine.workers import Done, Failed, RequeueAfter, Result
from aioctl.kube.cached import Cached
from aioctl.kube.errors import KubeError, asked_to_wait
from aioctl.kube.expectations import Expectations
from aioctl.plan import status
from aioctl.plan.memo import Remembering
from aioctl.plan.migration import Reason
from aioctl.plan.remembered import Seen

log = structlog.get_logger(__name__)

FIRST_LOOK: Final = 5.0
LONGEST_LOOK: Final = 300.0
"""Seconds until it is looked again whether what was not known is known: as long as failed reads are kept, then doubling."""
EXPECTATION_RETRY: Final = 0.05
"""Seconds until it is looked again whether the caches show our own writes; a watch delivers within milliseconds."""


class ReconcileError(Exception):
    """The reconcile ended with the error the event shows; the queue repeats it with back-off."""


@dataclass
class Reconciler:
    """`run` is what the workers call. All parts are given; nothing is created here."""

    caches: Caches
    expectations: Expectations
    states: ServiceStates
    interests: Interests
    clock: Clock
    converger: Converger
    teller: Teller
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
    warm: WarmMemos = field(default_factory=WarmMemos)

    async def run(self, key: ObjectKey) -> Result:
        """Reconciles one service; errors are results, not exceptions. A confined one is handed to its own queue."""
        cached = self._known(key)
        if cached is None:
            return self._end(key)
        if not self.expectations.pending_for(key) and (rest := await self._at_rest(key, cached)):
            return await self._settle(key, cached, rest)
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

    async def _at_rest(self, key: ObjectKey, cached: Cached) -> AtRest | None:
        """Its last run, if that had nothing to do and everything that it looked at is as it was: so has this one."""
        state = self.states.of(key)
        rest = state.at_rest
        if rest is None or rest.version != cached.resource_version or self.confinement.holds(key):
            return None
        if rest.unsettled is not None and rest.unsettled.left(self.clock.monotonic()) == 0:
            # Its time has come by the steady clock. Where the wall clock says that it has not, it says anew for how long.
            return None
        for _ in range(MOST_DEMANDS):
            view = self.converger.view(key)
            now = Remembering(view, state.memo, self.clock.now())
            if now.shows(rest.planned) and now.shows(rest.concluded):
                return rest
            if not view.demands:
                return None
            await self.converger.live.fetch(view.demands)
            if state.at_rest is not rest:
                return None
        return None

    async def _reconcile(self, key: ObjectKey, service: Object, planner: Planner) -> Result:
        state = self.states.of(key)
        state.at_rest = None
        try:
            return await self._look(key, service, planner)
        finally:
            self.warm.add(key, state.memo)

    async def _look(self, key: ObjectKey, service: Object, planner: Planner) -> Result:
        state = self.states.of(key)
        self.converger.heed(state, service)
        self.converger.trials.begin(key)
        run = await self.converger.converge(key, service, planner)
        if is_deleting(run.service):
            return await self._leave(run)
        if self._is_back_before_its_status(run):
            return self._result(run)
        concluded, looked = await self.converger.conclude(key, run, planner)
        self.teller.tell(key, run, concluded)
        if concluded.held is not None:
            self.progress.held_back(key, concluded.held)
        decision = concluded.decision
        self.progress.planned(run.plan, decision)
        if decision is not None:
            ready = status.readiness(concluded.status) == TRUE
            self.waves.settled(key, decision, ready=ready)
            self.progress.observed(key, decision, concluded.gateways)
        else:
            self.waves.gone(key)
        return await self._finish(key, run, concluded, looked if planner is self.planner else None)

    def _is_back_before_its_status(self, run: Run) -> bool:
        """A pool waits for its turn, and for less time than any status waits before it is written: what is to be said is concluded by
        the run that makes the pool."""
        outcome = run.outcome
        ended = outcome.failed is not None or outcome.blocked is not None or outcome.retry
        return outcome.deferred is not None and outcome.deferred < self.teller.settling.shortest and not ended

    async def _finish(self, key: ObjectKey, run: Run, concluded: Conclusion, looked: Seen | None) -> Result:
        """Writes the status once it has settled, and remembers what need not be looked at again."""
        state, outcome, decision = self.states.of(key), run.outcome, concluded.decision
        ended = Unsettled(
            concluded.status,
            problem=decision is not None and bool(decision.problem),
            unknown=bool(run.unknown),
            wrote=bool(outcome.answers),
            again=concluded.again,
            at=self.clock.monotonic(),
        )
        # After a failure the queue's back-off decides when this service is looked at again, or the API server where it has put
        # a write off: what is known is said now.
        at_once = outcome.failed is not None or outcome.put_off or (outcome.retry and not run.conflict)
        busy = outcome.deferred is not None
        try:
            wait = await self.teller.status(
                key,
                run.service,
                ended.status,
                problem=ended.problem,
                busy=busy,
                wrote=ended.wrote,
                at_once=at_once,
            )
        except KubeError as error:
            return _status_failure(error)
        waits = decision is not None and decision.reason is Reason.WAITS_FOR_BUDGET
        result = self._result(
            run, wait, ended.left(self.clock.monotonic()), self.waves.opens_in() if waits else None
        )
        done = isinstance(result, Done)
        # One that waits for its turn to move is woken by nothing that it could see.
        same = run.left_nothing_to_do and not waits and (done or wait is not None)
        if same and run.planned is not None and looked is not None:
            version = resource_version_of(run.service)
            state.at_rest = AtRest(version, run.planned, looked, None if done else ended)
        self.idle_looks.looked(key, idle=done and state.at_rest is not None and not ended.wrote)
        return result

    async def _settle(self, key: ObjectKey, cached: Cached, rest: AtRest) -> Result:
        """The same for a service of which nothing is new since its last run, which left nothing to do but to write this status."""
        ended = rest.unsettled
        if ended is None:
            return Done()
        state = self.states.of(key)
        state.at_rest = None
        try:
            wait = await self.teller.status(
                key, weight.decode(cached.raw), ended.status, problem=ended.problem
            )
        except KubeError as error:
            return _status_failure(error)
        result = self._again(key, wait, ended.left(self.clock.monotonic()), unknown=ended.unknown)
        done = isinstance(result, Done)
        if done or wait is not None:
            state.at_rest = replace(rest, unsettled=None if done else ended)
        self.idle_looks.looked(key, idle=done and not ended.wrote)
        return result

    async def _leave(self, run: Run) -> Result:
        try:
            waits = await self.teller.leaving(run)
        except KubeError as error:
            return _status_failure(error)
        return RequeueAfter(run.plan.steps[-1].revisit, quiet=True) if waits else self._result(run, None)

    async def _too_expensive(self, key: ObjectKey, service: Object, problem: str) -> Result:
        """Says so once; then it rests, see `confinement.py`."""
        wait, news = self.confinement.failed(key, service)
        log.warning("plan too expensive", service=str(key), problem=problem, seconds=wait)
        try:
            await self.teller.too_expensive(key, service, problem, news=news)
        except KubeError as error:
            return _status_failure(error)
        return RequeueAfter(wait, quiet=True)

    def _result(self, run: Run, *times: float | None) -> Result:
        """`times`: seconds until the service is to be looked at for reasons beside its writes."""
        outcome = run.outcome
        if outcome.failed is not None and outcome.failed.terminal:
            return Done()
        if outcome.failed is not None and outcome.failed.revisit and outcome.beside is None:
            return RequeueAfter(min(outcome.failed.revisit, outcome.deferred or outcome.failed.revisit))
        if outcome.failed is not None:
            return Failed(ReconcileError(failure(outcome.failed, outcome.error)))
        state = self.states.of(key_of(run.service))
        if run.conflict:
            state.conflicts += 1
            return RequeueAfter(conflict_wait(state.conflicts), quiet=True)
        state.conflicts = 0
        if outcome.retry:
            return Failed(ReconcileError(outcome.error))
        return self._again(
            key_of(run.service), outcome.deferred, outcome.roll, *times, unknown=bool(run.unknown)
        )

    def _again(self, key: ObjectKey, *times: float | None, unknown: bool) -> Result:
        """At the first of the times, where there is one. `unknown`: something was not known."""
        state = self.states.of(key)
        waits = [wait for wait in times if wait is not None]
        if not waits and unknown:
            # Nothing was to be done for lack of an answer, and nobody is woken when there is one.
            state.unknowns += 1
            return RequeueAfter(
                min(FIRST_LOOK * 2.0 ** min(state.unknowns - 1, 16), LONGEST_LOOK), quiet=True
            )
        state.unknowns = 0
        return RequeueAfter(min(waits)) if waits else Done()

    def gone(self, ref: ObjectRef) -> None:
        """Drops what is remembered of an object that a cache has seen go."""
        self.converger.decoded.forget(ref)
        self.converger.applier.gone(ref)

    def _end(self, key: ObjectKey) -> Result:
        """Forgets a service that is gone; what was last written for it as soon as the caches show it."""
        self._forget(key)
        return RequeueAfter(EXPECTATION_RETRY, quiet=True) if self.expectations.pending_for(key) else Done()

    def _forget(self, key: ObjectKey) -> None:
        state = self.states.pop(key)
        self.warm.forget(key)
        if state is not None:
            self.interests.forget(key, state)
        self.confinement.release(key)
        self.waves.gone(key)
        self.progress.gone(key)


def _status_failure(error: KubeError) -> Result:
    if asked := asked_to_wait(error):
        return RequeueAfter(asked, quiet=True)
    return Failed(ReconcileError(f"failed to update status for LLMInferenceService: {error}"))
