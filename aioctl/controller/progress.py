"""Who learns how far each service has come: the hooks of a reconcile, and several behind them as one."""

from aioctl.api.kinds import ObjectKey
from aioctl.plan.migration import Decision
from aioctl.plan.model import Plan


class ProgressObserver:
    """Learns how far each service has come."""

    def observed(self, service: ObjectKey, decision: Decision, gateways: frozenset[str]) -> None: ...
    def held_back(self, service: ObjectKey, workloads: int) -> None:
        """How many of its workloads keep another form than today's."""

    def planned(self, plan: Plan, decision: Decision | None) -> None:
        """The last plan of a run, and what it decided of the migration. Keep neither: they hold everything that was read."""

    def gone(self, service: ObjectKey) -> None: ...


class ProgressObservers(ProgressObserver):
    """Tells several."""

    def __init__(self, *observers: ProgressObserver) -> None:
        self._observers = observers

    def observed(self, service: ObjectKey, decision: Decision, gateways: frozenset[str]) -> None:
        for each in self._observers:
            each.observed(service, decision, gateways)

    def held_back(self, service: ObjectKey, workloads: int) -> None:
        for each in self._observers:
            each.held_back(service, workloads)

    def planned(self, plan: Plan, decision: Decision | None) -> None:
        for each in self._observers:
            each.planned(plan, decision)

    def gone(self, service: ObjectKey) -> None:
        for each in self._observers:
            each.gone(service)
