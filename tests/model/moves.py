"""Who can do what: the environment's moves and the controller's. Every move is one atomic change of the cluster.

The environment is the worst there is: gateways answer anything, in any order, about the current generation; users edit
what they like; reads fail and CRDs come and go at any moment. The controller decides on what it sees and sends its writes
one by one; between any two of them it may be killed, and whoever touches the object of a pending write makes that write a
conflict, which ends the run.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from aioctl.plan.policy import Strategy
from tests.model.cluster import Cluster
from tests.model.state import (
    ALPHA,
    HALF,
    ON_ALPHA,
    ON_V1,
    ONLY_ALPHA,
    ONLY_V1,
    V1,
    Answer,
    Crd,
    Failing,
    Op,
    Route,
    Shape,
    State,
    outdated,
)

Move = tuple[str, State]

POOL_ANSWERS = (Answer.SILENT, Answer.READY, Answer.STALE_READY)
ROUTE_ANSWERS = (Answer.READY, Answer.REFUSED)
EDITS: tuple[tuple[Shape, Shape], ...] = (
    (ON_ALPHA, ON_ALPHA),
    (ON_V1, ON_V1),
    (HALF, HALF),
    (HALF, ON_ALPHA),
    (HALF, ON_V1),
    (ONLY_ALPHA, ONLY_ALPHA),
    (ONLY_V1, ONLY_V1),
)
"""What a user may write into the first two rules; 'only one of the two' is among them (MIG-3)."""


@dataclass(frozen=True)
class Rules:
    """How much of the environment takes part in one exploration."""

    gateways: int = 1
    strategies: tuple[Strategy, ...] = (Strategy.WEIGHTED,)
    """The first is in force at the start; the user may switch among them."""
    pausing: bool = True
    failing: tuple[Failing, ...] = tuple(Failing)
    crds: tuple[Crd, ...] = tuple(Crd)
    edits: tuple[tuple[Shape, Shape], ...] = EDITS
    hostnames: bool = True


def environment(state: State, rules: Rules) -> Iterator[Move]:
    """Everything that may happen around the controller."""
    yield from _gateways(state)
    yield from _cluster(state, rules)
    yield from _user(state, rules)
    if state.route is not None:
        yield from _route_edits(state, state.route, rules)
    if state.pending:
        yield "the controller is killed", state._replace(pending=())


def controller(state: State, cluster: Cluster) -> Iterator[Move]:
    """What the controller may do next: decide, or send the next of its writes."""
    if state.pending:
        yield "land " + state.pending[0].target, land(state, len(cluster.gateways))
        if state.pending[0].target in (V1, ALPHA):
            rest = tuple(op for op in state.pending if op.target not in (V1, ALPHA))
            yield "pool creations have to wait", state._replace(pending=rest)
        return
    ops = cluster.plan(state).ops
    if ops:
        yield "plan", state._replace(pending=ops)


def land(state: State, gateways: int) -> State:
    """The next pending write takes effect."""
    op, rest = state.pending[0], state.pending[1:]
    state = state._replace(pending=rest)
    match op.target:
        case "route":
            assert op.route is not None
            return state._replace(route=op.route)
        case "status":
            return state._replace(copy=op.copy)
        case "v1":
            if state.v1_crd is Crd.GONE:
                return state._replace(pending=())
            silent = (Answer.SILENT,) * gateways
            return state if state.v1 is not None else state._replace(v1=silent)
        case _:
            if state.alpha_crd is Crd.GONE:
                return state._replace(pending=())
            return state if state.alpha is not None else state._replace(alpha=Answer.SILENT)


def _gateways(state: State) -> Iterator[Move]:
    if state.v1 is not None:
        for index, old in enumerate(state.v1):
            for answer in POOL_ANSWERS:
                if answer is not old:
                    yield (
                        f"v1 pool {answer.value} at gateway {index}",
                        state._replace(v1=_with(state.v1, index, answer)),
                    )
    if state.alpha is not None:
        for answer in POOL_ANSWERS:
            if answer is not state.alpha:
                yield f"v1alpha2 pool {answer.value}", state._replace(alpha=answer)
    if state.route is not None:
        for index, old in enumerate(state.route.answers):
            for answer in ROUTE_ANSWERS:
                if answer is not old:
                    answers = _with(state.route.answers, index, answer)
                    yield (
                        f"route {answer.value} at gateway {index}",
                        _touch(state, state.route._replace(answers=answers)),
                    )


def _cluster(state: State, rules: Rules) -> Iterator[Move]:
    for crd in rules.crds:
        if crd is not state.v1_crd:
            v1 = None if crd is Crd.GONE else state.v1
            yield f"v1 CRD {crd.value}", state._replace(v1_crd=crd, v1=v1)
        if crd is not state.alpha_crd:
            alpha = None if crd is Crd.GONE else state.alpha
            yield f"v1alpha2 CRD {crd.value}", state._replace(alpha_crd=crd, alpha=alpha)
    for failing in rules.failing:
        if failing is not state.failing:
            yield f"reads failing: {failing.value}", state._replace(failing=failing)


def _user(state: State, rules: Rules) -> Iterator[Move]:
    if state.v1 is not None:
        yield "user deletes the v1 pool", state._replace(v1=None)
    if state.alpha is not None:
        yield "user deletes the v1alpha2 pool", state._replace(alpha=None)
    if state.copy:
        yield "user removes the lock from the status", state._replace(copy=False)
    if rules.pausing:
        yield "user resumes" if state.paused else "user pauses", state._replace(paused=not state.paused)
    for strategy in rules.strategies:
        if strategy is not state.strategy:
            yield f"user sets strategy {strategy.value}", state._replace(strategy=strategy)


def _route_edits(state: State, route: Route, rules: Rules) -> Iterator[Move]:
    yield "user deletes the route", _touch(state, None)
    word = "removes" if route.lock else "adds"
    yield f"user {word} the annotation", _touch(state, route._replace(lock=not route.lock))
    changed = outdated(route.answers)
    for edit in rules.edits:
        if edit != route.rules:
            yield f"user sets weights {edit}", _touch(state, route._replace(rules=edit, answers=changed))
    if rules.hostnames and not route.hostname:
        yield "user adds a hostname", _touch(state, route._replace(hostname=True, answers=changed))


def _touch(state: State, route: Route | None) -> State:
    """The route has another version now: an update of it that is in flight ends in a conflict, and the run with it."""
    kept: list[Op] = []
    for op in state.pending:
        if op.target == "route":
            break
        kept.append(op)
    return state._replace(route=route, pending=tuple(kept))


def _with(answers: tuple[Answer, ...], index: int, answer: Answer) -> tuple[Answer, ...]:
    return (*answers[:index], answer, *answers[index + 1 :])
