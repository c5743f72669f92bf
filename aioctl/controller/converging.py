"""One run of one service: plan and apply in turns until nothing is left to write, then conclude the status (ARCH-3).

What follows from our own writes needs no second turn in the queue: their answers are laid over the caches and the plan is made again.
What no cache holds is read when a plan asks for it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from aioctl.api import kinds
from aioctl.api.kinds import Kind, ObjectKey, ObjectRef, Served
from aioctl.api.objects import Object, age_of, annotations_of, key_of, labels_of, uid_of
from aioctl.controller.apply import Applier
from aioctl.controller.caches import Caches
from aioctl.controller.hearsay import Hearsay
from aioctl.controller.interests import Interests
from aioctl.controller.live_reads import LiveReads
from aioctl.controller.observe import CacheObservation, Decoded, SeenObjects
from aioctl.controller.planner import Conclusion, Planner
from aioctl.controller.service_state import ServiceState, ServiceStates
from aioctl.controller.traffic import Traffic
from aioctl.controller.trials import Trials
from aioctl.controller.waves import Waves
from aioctl.engine.clock import Clock
from aioctl.engine.tracing import span
from aioctl.kube.discovery import ServerVersion
from aioctl.plan import lasting
from aioctl.plan.facts import Overlay
from aioctl.plan.memo import Remembering
from aioctl.plan.model import Outcome, Plan, Verb
from aioctl.plan.remembered import Seen
from aioctl.plan.route import MIGRATED_EVENT

MOST_ROUNDS: Final = 6
"""Plan and apply at most so often in one run; what is still open then comes back with the queue's back-off, as the echo of
our own writes wakes nobody."""
MOST_DEMANDS: Final = 5
"""Each round of single reads can uncover the next (an account names secrets), and one tries the spec out; no chain is longer."""


@dataclass(frozen=True, slots=True)
class Run:
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
    unknown: set[str]
    """Why something is not known; grows like `reads`."""
    planned: Seen | None
    """What the plan was made of."""
    asked: Remembering
    """What the plan asked, and was told."""
    stands: bool
    """Nothing was written, and nothing had to be read, since the plan asked: what it was told is still what there is to tell."""

    @property
    def left_nothing_to_do(self) -> bool:
        """The last plan wrote nothing, nothing failed or waits for its turn, and nothing that may fail was tried: the same again,
        once the caches show what was written, would come to the same."""
        outcome = self.outcome
        tried = any(write.best_effort for step in self.plan.steps for write in step.writes)
        waits = outcome.deferred is not None or outcome.roll is not None or outcome.retry or self.conflict
        return outcome.failed is None and outcome.blocked is None and not waits and not tried


@dataclass
class Converger:
    """Runs services with what all of them share: the caches, the reads beside them, and the one writer."""

    caches: Caches
    presence: Callable[[Kind], Served]
    version: Callable[[], ServerVersion | None]
    live: LiveReads
    trials: Trials
    hearsay: Hearsay
    traffic: Traffic
    applier: Applier
    states: ServiceStates
    interests: Interests
    clock: Clock
    waves: Waves
    decoded: Decoded = field(default_factory=Decoded)

    def heed(self, state: ServiceState, service: Object) -> None:
        """Notes when somebody changed the service, but for its numbers: what it names may have been changed just before."""
        spec = service.get("spec")
        named = lasting.without_counts(spec) if isinstance(spec, Mapping) else spec
        wish = lasting.digest_of(labels_of(service), annotations_of(service), named)
        if wish == state.wish:
            return
        # At a start all services are new to us, and one answer serves all that nobody has touched since.
        age = age_of(service, self.clock.now()) if state.wish is None else 0.0
        state.wish, state.wished = wish, self.clock.monotonic() - age

    async def converge(self, key: ObjectKey, service: Object, planner: Planner) -> Run:
        """Plans and applies until nothing is left to write, or something fails or has to wait."""
        answers: dict[ObjectRef, Object | None] = {}
        reads: set[ObjectRef] = set()
        seen: SeenObjects = {}
        for _ in range(MOST_ROUNDS):
            plan, view, planned, asked = await self._plan(key, service, planner, answers, reads, seen)
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
        return Run(
            service,
            plan,
            Overlay(view, answers),
            replace(outcome, answers=answers),
            applied.conflict,
            view.reads,
            view.demands,
            view.unknown,
            planned,
            asked,
            not (outcome.answers or view.demands or view.trial is not None),
        )

    async def _plan(
        self,
        key: ObjectKey,
        service: Object,
        planner: Planner,
        answers: Mapping[ObjectRef, Object | None],
        reads: set[ObjectRef],
        seen: SeenObjects,
    ) -> tuple[Plan, CacheObservation, Seen | None, Remembering]:
        """A plan on what is known; objects that have to be read first are read, then it is planned again."""
        memo = self.states.of(key).memo
        looked: list[Seen] = []
        for _ in range(MOST_DEMANDS):
            with span("observe"):
                view = self.view(key, seen)
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
        if _moves(plan) and (turn := self.waves.admit(key)):
            plan = await planner.plan(obs, service, self.clock.now(), read, turn)
            reads |= view.reads
        return plan, view, looked[0] if looked else None, obs

    def view(self, key: ObjectKey, seen: SeenObjects | None = None) -> CacheObservation:
        """`seen`: what earlier views of the same run have decoded; this one adds to it."""
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
            seen,
        )

    def _looked(self, key: ObjectKey, view: CacheObservation, obs: Remembering, looked: list[Seen]) -> None:
        self.interests.widen(key, view.reads)
        looked[:] = [obs.seen()]

    async def conclude(self, key: ObjectKey, run: Run, planner: Planner) -> tuple[Conclusion, Seen | None]:
        """The status of the run, and what it was made of; what it speaks of and no plan has looked at is read first.

        A pool of somebody else behind a user's route is such an object, and so is the Service of a gateway when the plan failed early.
        """
        looked: list[Seen] = []
        view = run.asked
        for number in range(MOST_DEMANDS):
            run.demands.clear()
            if number or not run.stands:
                view = Remembering(
                    run.view, self.states.of(key).memo, self.clock.now(), keeps=run.asked.keeps
                )
            read = partial(self._concluded, key, run, view, looked)
            concluded = await planner.conclude(run.plan, run.outcome, view, self.clock.now(), read)
            if not run.demands:
                break
            await self.live.fetch(run.demands)
        return concluded, looked[0] if looked else None

    def _concluded(self, key: ObjectKey, run: Run, view: Remembering, looked: list[Seen]) -> None:
        self.interests.record(key, run.reads)
        looked[:] = [view.seen()]


def _latest(service: Object, answers: Mapping[ObjectRef, Object | None]) -> Object:
    """The service as our own patch of it left it, if there was one."""
    answer = answers.get(ObjectRef(kinds.SERVICE, *key_of(service)))
    return answer if answer is not None and uid_of(answer) == uid_of(service) else service


def _moves(plan: Plan) -> bool:
    """The plan moves the traffic of a route that exists."""
    return any(
        write.verb is Verb.UPDATE and write.announce is not None and write.announce[0] == MIGRATED_EVENT
        for step in plan.steps
        for write in step.writes
    )
