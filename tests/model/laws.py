"""What must hold in every state and for every write of the controller, whatever the environment does.

Judged by the truth, not by what the controller could read; a write is judged when it is decided, since what changes while it
is on its way nobody can know. The migration's laws: ARCH-3, MIG-1, MIG-3, MIG-4.
"""

from collections.abc import Iterator

from aioctl.plan.policy import Strategy
from tests.model.cluster import Cluster, Planned
from tests.model.moves import land
from tests.model.state import (
    ALPHA,
    V1,
    Crd,
    Failing,
    Op,
    Route,
    State,
    alpha_usable,
    is_mixed,
    on,
    refused,
    refused_alone,
    share,
    v1_usable,
)

USABLE = "no write moves weight from a usable to an unusable reference"
ONE_WAY = "never back after the lock unless both copies of it are removed by hand"
TOGETHER = "lock and weights always together"
NO_PING_PONG = "no write undoes the last one without a changed input"
QUIESCENCE = "the controller comes to rest"
NO_DELETE = "nothing is deleted"
PROGRESS = "a service that can migrate and is not held does"
NO_CHURN = "a status concluded from itself is the same"
LAWS = (USABLE, ONE_WAY, TOGETHER, NO_PING_PONG, QUIESCENCE, NO_DELETE, PROGRESS, NO_CHURN)

MOST_ROUNDS = 4
"""Plans with writes until rest, the environment holding still: create the pools and the route, move, write the status."""


def at_rest(state: State, cluster: Cluster) -> State:
    """Where the controller, left alone, brings a state within the rounds it has."""
    for _ in range(MOST_ROUNDS):
        state = _landed(state, cluster.plan(state).ops, len(cluster.gateways))
    return state


def broken(state: State, cluster: Cluster) -> Iterator[str]:
    """The laws that the controller's decision in this state breaks; nothing is in flight."""
    planned = cluster.plan(state)
    if planned.deletes:
        yield NO_DELETE
    if planned.churns:
        yield NO_CHURN
    for op in planned.ops:
        if op.route is not None:
            yield from _route_write(state, op.route)
        elif op.target == "status" and state.copy and not op.copy:
            yield ONE_WAY
    yield from _left_alone(state, cluster, planned)


def broken_on_the_way(state: State, reached: State) -> Iterator[str]:
    """The laws that a step of the controller breaks when it takes effect, whatever has happened since it was decided."""
    if state.locked and not reached.locked:
        yield ONE_WAY
    if state.route is not None and reached.route is None:
        yield NO_DELETE


def _route_write(state: State, made: Route) -> Iterator[str]:
    live = state.route
    if live is not None and not state.locked and _hurts(state, live, made):
        yield USABLE
    if state.locked and not (made.lock and on(made, V1)):
        yield ONE_WAY
    unchanged = live is not None and (live.rules, live.lock) == (made.rules, made.lock)
    if not unchanged and not (on(made, V1) if made.lock else on(made, ALPHA)):
        yield TOGETHER


def _hurts(state: State, live: Route, made: Route) -> bool:
    """Before the lock. Behind it there is one right place for the traffic, whatever somebody sets the weights to."""
    usable = {V1: _takes_v1(state, live, made), ALPHA: _takes_alpha(state, live)}
    for before, after in zip(live.rules, made.rules, strict=True):
        lost = {each for each in usable if share(after, each) < share(before, each)}
        won = {each for each in usable if share(after, each) > share(before, each)}
        if any(usable[each] for each in lost) and not all(usable[each] for each in won):
            return True
    return False


def _takes_alpha(state: State, live: Route) -> bool:
    """Some gateway has accepted the v1alpha2 pool, and what was accepted once is not refused now: statuses outlive authors."""
    return alpha_usable(state) and not refused_alone(live, ALPHA)


def _takes_v1(state: State, live: Route, made: Route) -> bool:
    """The v1 pool is accepted everywhere, and no gateway that serves v1alpha2 refuses the route for its v1 reference.

    What was said of a route with one reference in a rule says nothing of the other, where that is written alone as well.
    """
    alone = not is_mixed(live) and not is_mixed(made)
    usable = v1_usable(state) and not refused_alone(live, V1)
    return usable and (alone or not refused(state) or not _takes_alpha(state, live))


def _left_alone(state: State, cluster: Cluster, planned: Planned) -> Iterator[str]:
    """Lets the controller alone until it rests: it must, soon, without being anywhere twice, and where it should."""
    seen = {state}
    for _ in range(MOST_ROUNDS):
        if not planned.ops:
            break
        state = _landed(state, planned.ops, len(cluster.gateways))
        if state in seen:
            yield NO_PING_PONG
            return
        seen.add(state)
        planned = cluster.plan(state)
    else:
        yield QUIESCENCE
        return
    if _should_be_on_v1(state) and not (state.route is not None and state.route.lock and on(state.route, V1)):
        yield PROGRESS


def _landed(state: State, ops: tuple[Op, ...], gateways: int) -> State:
    state = state._replace(pending=ops)
    while state.pending:
        state = land(state, gateways)
    return state


def _should_be_on_v1(state: State) -> bool:
    crds = state.v1_crd, state.alpha_crd
    known = state.failing is Failing.NONE and Crd.UNSURE not in crds
    held = state.paused or state.strategy is Strategy.HOLD
    no_pools = crds == (Crd.GONE, Crd.GONE)  # an error of its own; then the route is left as it is
    open_ = not refused(state) or (state.route is not None and refused_alone(state.route, ALPHA))
    return known and not no_pools and (state.locked or (v1_usable(state) and open_ and not held))
