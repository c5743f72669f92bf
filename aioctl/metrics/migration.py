"""How far each service has come with its migration, and whether its pods keep an earlier form, as gauges and for the log."""

from collections import Counter as Tally

import structlog
from prometheus_client import CollectorRegistry, Gauge

from aioctl.api.kinds import ObjectKey
from aioctl.controller.progress import ProgressObserver
from aioctl.engine.clock import Clock
from aioctl.plan.migration import Decision, Reason, State

log = structlog.get_logger(__name__)


class MigrationMetrics(ProgressObserver):
    """Remembers of every service what it is counted as, so that a change moves the gauges by one."""

    def __init__(self, registry: CollectorRegistry, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[ObjectKey, tuple[State, Reason, frozenset[str]]] = {}
        self._since: dict[ObjectKey, float] = {}
        self._held: dict[ObjectKey, int] = {}
        self._held_back = Gauge(
            "aioctl_workloads_held_back",
            "Deployments and LeaderWorkerSets of model servers whose pods keep the form of an earlier controller.",
            registry=registry,
        )
        self._of_gateway: Tally[tuple[str, str]] = Tally()
        self._services = Gauge(
            "aioctl_services", "LLMInferenceServices by migration state.", ["state"], registry=registry
        )
        for state in State:
            self._services.labels(state.value)
        self._by_reason = Gauge(
            "aioctl_services_by_reason",
            "The same by the reason for being there.",
            ["reason"],
            registry=registry,
        )
        for reason in Reason:
            self._by_reason.labels(reason.value)
        self._by_gateway = Gauge(
            "aioctl_services_by_gateway", "The same by gateway.", ["gateway", "state"], registry=registry
        )
        Gauge(
            "aioctl_migration_oldest_waiting_seconds",
            "How long the service that waits longest for its migration has been seen waiting.",
            registry=registry,
        ).set_function(self._oldest_waiting)

    def observed(self, service: ObjectKey, decision: Decision, gateways: frozenset[str]) -> None:
        before = self._seen.get(service)
        now = (decision.state, decision.reason, gateways)
        if before == now:
            return
        self._seen[service] = now
        if decision.state is State.MIGRATED:
            self._since.pop(service, None)
        else:
            self._since.setdefault(service, self._clock.monotonic())
        if before is None or before[:2] != now[:2]:
            log.info(
                "migration state",
                service=str(service),
                state=decision.state.value,
                reason=decision.reason.value,
                problem=decision.problem or None,
            )
        if before is not None:
            self._count(before, -1)
        self._count(now, 1)

    def held_back(self, service: ObjectKey, workloads: int) -> None:
        change = workloads - self._held.pop(service, 0)
        if workloads:
            self._held[service] = workloads
        if change:
            self._held_back.inc(change)

    def by_state(self) -> dict[str, int]:
        """Services that were planned, by state; every state is there."""
        counted = Tally(state for state, _, _ in self._seen.values())
        return {state.value: counted[state] for state in State}

    def gone(self, service: ObjectKey) -> None:
        self.held_back(service, 0)
        before = self._seen.pop(service, None)
        if before is not None:
            self._since.pop(service, None)
            self._count(before, -1)

    def _oldest_waiting(self) -> float:
        return self._clock.monotonic() - min(self._since.values()) if self._since else 0.0

    def _count(self, seen: tuple[State, Reason, frozenset[str]], change: int) -> None:
        """Only what changes: counting a fleet of thousands anew for each service would hold up the loop."""
        state, reason, gateways = seen
        self._services.labels(state.value).inc(change)
        self._by_reason.labels(reason.value).inc(change)
        for gateway in gateways:
            pair = gateway, state.value
            self._of_gateway[pair] += change
            if self._of_gateway[pair]:
                self._by_gateway.labels(*pair).set(self._of_gateway[pair])
            else:
                # A series that nothing feeds any more would stay on the page for ever.
                del self._of_gateway[pair]
                self._by_gateway.remove(*pair)
