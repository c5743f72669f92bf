"""What is told of a service: its status once that has settled, events, and lines of the log.

Status changes settle for a moment before they are written, so that one write says what three would. Each event is told once for
what it speaks of; what was told is remembered by this process alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import structlog

from aioctl.api.conditions import FALSE, TRUE
from aioctl.api.kinds import ObjectKey
from aioctl.api.objects import Object, generation_of, name_of
from aioctl.controller.apply import Applier, Recorder
from aioctl.controller.converging import Run
from aioctl.controller.planner import Conclusion
from aioctl.controller.service_state import ServiceStates
from aioctl.controller.settling import StatusSettling
from aioctl.engine.clock import Clock
from aioctl.kube.errors import Forbidden, Invalid
from aioctl.kube.events import regarding
from aioctl.plan import status
from aioctl.plan.migration import Decision
from aioctl.plan.model import Step

log = structlog.get_logger(__name__)

DECIDED: Final = (TRUE, FALSE)


@dataclass
class Teller:
    """Writes statuses and records events. Those methods that write raise KubeError."""

    applier: Applier
    recorder: Recorder
    states: ServiceStates
    settling: StatusSettling
    clock: Clock

    def tell(self, key: ObjectKey, run: Run, concluded: Conclusion) -> None:
        """The events and lines of the log that a run gives cause for, but those of its status."""
        outcome = run.outcome
        notices = list(concluded.notices)
        for step, error in ((outcome.beside, outcome.beside_error), (outcome.failed, outcome.error)):
            if step is not None:
                note = f"Reconciliation failed: {failure(step, error)}"
                self.recorder.event(regarding(run.service), "Warning", "Error", note)
                notices += [step.warning] if step.warning is not None else []
        self._warn(key, concluded.misfits)
        self._notify(key, run.service, notices)
        if concluded.decision is not None:
            self._tell_migration(key, run.service, concluded.decision)

    async def leaving(self, run: Run) -> bool:
        """Says what a service that is being deleted waits for; False if it waits for nobody."""
        waiting = status.leaving(run.service, run.plan, self.clock.now())
        if waiting is None:
            return False
        if not status.status_equal(waiting, status.stored_status(run.service)):
            await self._write(run.service, waiting)
        return True

    async def too_expensive(self, key: ObjectKey, service: Object, problem: str, *, news: bool) -> None:
        """Says so in condition and event, once as long as it is no `news`."""
        message = (
            f"{problem}; it is tried again when the service or a configuration that it names has changed"
        )
        if news:
            self.recorder.event(regarding(service), "Warning", status.TOO_EXPENSIVE, message)
        wanted = status.too_expensive(service, message, self.clock.now())
        self.settling.forget(key)
        if not status.status_equal(wanted, status.stored_status(service)):
            await self._write(service, wanted)

    async def status(
        self,
        key: ObjectKey,
        service: Object,
        wanted: Object,
        *,
        problem: bool,
        busy: bool = False,
        wrote: bool = False,
        at_once: bool = False,
    ) -> float | None:
        """Writes the status when it differs and has settled; else the seconds until it is due, None when it is right.

        `problem`, `busy` and `wrote` as in `StatusSettling.wait`; `at_once`: it need not settle.
        """
        stored = status.stored_status(service)
        if status.status_equal(wanted, stored):
            self.settling.forget(key)
            return None
        was_ready = status.readiness(stored) == TRUE
        wait = (
            0.0
            if at_once
            else self.settling.wait(key, wanted, was_ready=was_ready, problem=problem, busy=busy, wrote=wrote)
        )
        if wait > 0:
            return wait
        await self._write(service, wanted)
        self._tell_readiness(key, service, wanted)
        for wrong in status.unreadable(service):
            log.warning("stored status replaced", service=str(key), problem=wrong)
        self.settling.forget(key)
        return None

    async def _write(self, service: Object, wanted: Object) -> None:
        """Writes a status; one that is refused is told. What the API server cannot do just now it cannot do for events either."""
        try:
            await self.applier.write_status(service, wanted)
        except (Forbidden, Invalid) as error:
            note = f'Failed to update status for LLMInferenceService "{name_of(service)}": {error}'
            self.recorder.event(regarding(service), "Warning", "UpdateFailed", note)
            raise

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

    def _tell_migration(self, key: ObjectKey, service: Object, decision: Decision) -> None:
        """One event when a migration starts to wait for somebody, with the reason that condition and metric show."""
        state = self.states.of(key)
        if state.problem == decision.problem:
            return
        state.problem = decision.problem
        if decision.problem:
            self.recorder.event(regarding(service), "Warning", decision.reason.value, decision.problem)

    def _notify(self, key: ObjectKey, service: Object, notices: Iterable[tuple[str, str]]) -> None:
        """One event for each notice as long as it stands; one that only was not seen for a while does not count as gone."""
        state = self.states.of(key)
        generation, found = generation_of(service), frozenset(notices)
        since, told = state.noticed
        for reason, message in sorted(found - told):
            self.recorder.event(regarding(service), "Warning", reason, message)
        state.noticed = generation, found | told if generation == since else found

    def _warn(self, key: ObjectKey, found: tuple[str, ...] | None) -> None:
        """One line in the log for each thing that will not work and has no condition, again only when they change."""
        if found is None:
            return
        state = self.states.of(key)
        for problem in found:
            if problem not in state.misfits:
                log.warning("endpoint picker", service=str(key), problem=problem)
        state.misfits = found


def failure(step: Step, error: str) -> str:
    """What failed at a step, in the words of its event."""
    return f"{step.outer}{step.inner}{error}"
