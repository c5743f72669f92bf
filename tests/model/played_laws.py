"""What must hold in every state of the second model, and for every write of the controller in it.

Judged by what gateways truly do where nothing that is said is out of date, and by what could be known where it is: of a gateway
that was upgraded a moment ago nobody knows. The laws are those of MIG-3, MIG-4, MIG-7, MIG-8, GROUP-5, ROUTE-6.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from aioctl.api.kinds import POOL_GROUP_V1, POOL_GROUP_V1ALPHA2
from aioctl.plan.policy import Strategy
from aioctl.sim.players.gateway import BEHAVIOURS
from tests.model.played_cluster import PlayedCluster
from tests.model.played_moves import PlayedRules, land, looks, put
from tests.model.played_state import (
    GROUPS,
    RESOLVED,
    Answer,
    Made,
    Op,
    Service,
    State,
    answer,
    carried,
    named,
    pools_of,
)

REFUSED: Final = (
    "no write puts a reference before a gateway that is known to refuse it, where another is refused by none"
)
EVIDENCE: Final = "no lock without positive evidence for v1 on every gateway"
SERVED: Final = "no write takes traffic from where every gateway serves it to where one does not"
READY: Final = "HTTPRoutesReady only while every gateway resolves what carries traffic"
END: Final = "the end is v1 where every gateway serves v1, and v1alpha2 where one serves that alone"
ONE_WAY: Final = "never back after the lock"
TOGETHER: Final = "lock and traffic always together"
ABSENT: Final = "nothing of a generation that the cluster does not have"
ONE_GROUP: Final = "all pools of a group's route are of one generation"
MADE: Final = "every service has a route in the end"
UNKNOWN: Final = (
    "under auto no rule with both comes before a gateway that has not resolved one that carries v1alpha2"
)
ASKED_ONCE: Final = "in the end a gateway is asked by one service at most, and by none that has moved"
REST: Final = "the controller comes to rest, and all with it"
NO_DELETE: Final = "nothing but the probe is deleted"
NO_CHURN: Final = "a status concluded from itself is the same"
LAWS: Final = (
    REFUSED, EVIDENCE, SERVED, READY, END, ONE_WAY, TOGETHER, ABSENT, ONE_GROUP, MADE, UNKNOWN, ASKED_ONCE, REST,
    NO_DELETE, NO_CHURN,
)  # fmt: skip

_MOST_ROUNDS: Final = 12


class Known(NamedTuple):
    """Whether some current answer of a gateway says that it serves the group, and whether some says that it does not."""

    yes: bool
    no: bool


class PlayedLaws:
    """The laws, with the ends that states come to, each found once."""

    def __init__(self, cluster: PlayedCluster, rules: PlayedRules) -> None:
        self._cluster = cluster
        self._rules = rules
        self._ends: dict[State, State | None] = {}

    def broken(self, state: State) -> Iterator[str]:
        """The laws that the controller's decisions in this state break, and those that its end breaks."""
        for index, service in enumerate(state.services):
            if service.pending:
                continue
            planned = self._cluster.plan(state, index)
            if planned.deletes:
                yield NO_DELETE
            if planned.churns:
                yield NO_CHURN
            if planned.routes_ready and not _resolves(service.route):
                yield READY
            for op in planned.ops:
                yield from self._write(state, service, op)
        yield from self._end(state)

    def _write(self, state: State, service: Service, op: Op) -> Iterator[str]:
        absent = {
            group
            for group, served in zip(GROUPS, (self._rules.v1_crd, state.old_crd), strict=True)
            if not served
        }
        if op.target in absent or (op.spec and named(op.spec) & absent):
            yield ABSENT
        if op.target == "status" and service.copy and not op.lock:
            yield ONE_WAY
        if op.target != "route":
            return
        traffic = carried(op.spec)
        if service.locked and not (op.lock and traffic == {POOL_GROUP_V1}):
            yield ONE_WAY
        before = service.route
        if traffic != ({POOL_GROUP_V1} if op.lock else {POOL_GROUP_V1ALPHA2}):
            yield TOGETHER
        if self._rules.grouped and len(named(op.spec)) > 1:
            yield ONE_GROUP
        fresh = len(named(op.spec)) > 1 and (before is None or len(named(before.spec)) == 1)
        if (
            fresh
            and self._rules.strategy is Strategy.AUTO
            and not all(_shows_both(state, each) for each in _places(state))
        ):
            yield UNKNOWN
        if service.locked:
            return  # there is one right place for the traffic then
        if op.lock and state.old_crd and not all(_shows_v1(state, service, each) for each in _places(state)):
            yield EVIDENCE
        careful = self._rules.probes and self._rules.strategy is not Strategy.WEIGHTED and not service.paused
        if careful and any(_shows_refused(state, op, before, each, absent) for each in _places(state)):
            yield REFUSED
        if before is not None and _is_true(state) and _hurts(state, before, op):
            yield SERVED

    # -- where it ends

    def _end(self, state: State) -> Iterator[str]:
        end = self.end(state)
        if end is None:
            yield REST
            return
        if any(service.route is None for service in end.services):
            yield MADE
        asking = [service for service in end.services if service.probe or service.mixed]
        if any(service.locked for service in asking) or any(
            len([service for service in asking if getattr(service, question)]) > 1
            for question in ("probe", "mixed")
        ):
            yield ASKED_ONCE
        if self._rules.strategy is not Strategy.AUTO or not self._rules.probes or not self._rules.v1_crd:
            return
        serve = [BEHAVIOURS[each].routes for each in state.behaviours]
        for before, service in zip(state.services, end.services, strict=True):
            if service.paused or service.route is None:
                continue
            on_v1 = service.route.lock and carried(service.route.spec) == {POOL_GROUP_V1}
            if all(POOL_GROUP_V1 in each for each in serve):
                if not on_v1:
                    yield END
            elif state.old_crd and not before.locked and _is_true(state) and on_v1:
                yield END

    def end(self, state: State) -> State | None:
        """Where everything comes to when nobody meddles any more and all have the time they need; None: nowhere."""
        chain: list[State] = []
        current: State | None = state
        while current is not None and current not in self._ends:
            if current in chain:
                current = None
                break
            chain.append(current)
            after = self._round(current)
            if after == current:
                if any(self._cluster.plan(current, index).ops for index in range(len(current.services))):
                    current = None  # it writes what is there already, for ever
                    break
                self._ends[current] = current
            current = after
        found = self._ends[current] if current is not None else None
        for each in chain:
            self._ends[each] = found
        return found

    def _round(self, state: State) -> State | None:
        """The controller to its rest, then each gateway to its own."""
        idle = tuple(service._replace(pending=()) for service in state.services)
        rested = self._rest(state._replace(services=idle, old=True, just_asked=False))
        if rested is None:
            return None
        for gateway in range(len(rested.behaviours)):
            while step := next(looks(rested, gateway, fighting=self._rules.fighting), None):
                rested = step[1]
        return rested

    def _rest(self, state: State) -> State | None:
        seen = {state}
        for _ in range(_MOST_ROUNDS):
            before = state
            for index in range(len(state.services)):
                ops = self._cluster.plan(state, index).ops
                state = put(state, index, state.services[index]._replace(pending=ops))
                while state.services[index].pending:
                    state = land(state, index)
            if state == before:
                return state
            if state in seen:
                return None
            seen.add(state)
        return None


def _places(state: State) -> range:
    return range(len(state.behaviours))


def _said(state: State, gateway: int) -> Iterator[tuple[Made, Answer]]:
    """Everything that the gateway says of the present generation of a route."""
    for service in state.services:
        for made in service.routes:
            said = made.answers[gateway]
            if said is not None and said.current:
                yield made, said


def _known(state: State, gateway: int, group: str) -> Known:
    said = list(_said(state, gateway))
    return Known(
        any(each.reason == RESOLVED and group in carried(made.spec) for made, each in said),
        any(group in each.refused for _, each in said),
    )


def _shows_both(state: State, gateway: int) -> bool:
    return any(
        each.reason == RESOLVED and len(named(made.spec)) > 1 and POOL_GROUP_V1ALPHA2 in carried(made.spec)
        for made, each in _said(state, gateway)
    )


def _shows_v1(state: State, service: Service, gateway: int) -> bool:
    entries = service.pools[0]
    return (entries is not None and gateway in entries) or _known(state, gateway, POOL_GROUP_V1).yes


def _is_refused(state: State, gateway: int, group: str) -> bool:
    known = _known(state, gateway, group)
    return known.no and not known.yes


def _shows_refused(state: State, op: Op, before: Made | None, gateway: int, absent: set[str]) -> bool:
    """A group is new on the route, the gateway is known to refuse it, and the other is neither refused by any gateway nor absent.

    Where each group is refused by some gateway, every route has a reference that is refused, and a service has to have one.
    """
    fresh = named(op.spec) - (named(before.spec) if before is not None else frozenset())
    return any(
        _is_refused(state, gateway, group)
        and any(
            other not in absent and not any(_is_refused(state, each, other) for each in _places(state))
            for other in GROUPS
            if other != group
        )
        for group in fresh
    )


def _resolves(route: Made | None) -> bool:
    """Every gateway says so of what carries traffic; what has none may be refused."""
    if route is None:
        return False
    traffic = carried(route.spec)
    return all(
        said is not None
        and said.current
        and (
            said.reason == RESOLVED
            or (said.reason == "InvalidKind" and bool(said.refused) and not said.refused & traffic)
        )
        for said in route.answers
    )


def _is_true(state: State) -> bool:
    """Nothing that is said is out of date: by no gateway of a route as it is now, nor of a pool."""
    pools = pools_of(state)
    for gateway, behaviour in enumerate(state.behaviours):
        if any(said != answer(made.spec, behaviour, pools) for made, said in _said(state, gateway)):
            return False
        for service in state.services:
            for group, entries in zip(GROUPS, service.pools, strict=True):
                if entries and gateway in entries and group not in BEHAVIOURS[behaviour].pools:
                    return False
    return True


def _hurts(state: State, before: Made, op: Op) -> bool:
    pools = pools_of(state)

    def is_served(spec: str) -> bool:
        return all(answer(spec, behaviour, pools).reason == RESOLVED for behaviour in state.behaviours)

    return carried(before.spec) != carried(op.spec) and is_served(before.spec) and not is_served(op.spec)
