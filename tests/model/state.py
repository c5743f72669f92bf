"""The state that the model checker explores: one service, its route, its pools, and what the controller has in flight.

Values only, all hashable and small. What the planner cannot tell apart is one value here; what it must tell apart (a stale
answer from a current one, a read that failed from an object that is not there) is two.
"""

from enum import Enum
from typing import NamedTuple

from aioctl.plan.policy import Strategy

V1, ALPHA = "v1", "v1alpha2"


class Answer(Enum):
    """What a gateway says: of a pool READY or REFUSED means accepted or not, of a route ResolvedRefs True or InvalidKind."""

    SILENT = "silent"
    READY = "ready"
    STALE_READY = "stale-ready"
    """Said of an older generation."""
    REFUSED = "refused"
    STALE_REFUSED = "stale-refused"


class Crd(Enum):
    """UNSURE: the CRD is there and discovery fails."""

    THERE = "there"
    GONE = "gone"
    UNSURE = "unsure"


class Failing(Enum):
    """Which reads fail."""

    NONE = "none"
    V1 = "v1 pool"
    ALPHA = "v1alpha2 pool"
    POOLS = "both pools"
    ROUTE = "route"


Shape = tuple[tuple[str, int], ...]
"""The pool references of one rule, in order: generation and weight."""

ON_ALPHA: Shape = ((V1, 0), (ALPHA, 100))
ON_V1: Shape = ((V1, 100), (ALPHA, 0))
HALF: Shape = ((V1, 50), (ALPHA, 50))
ONLY_ALPHA: Shape = ((ALPHA, 100),)
ONLY_V1: Shape = ((V1, 100),)


class Route(NamedTuple):
    """The live HTTPRoute as far as the migration is concerned."""

    rules: tuple[Shape, Shape]
    lock: bool
    """Carries the annotation."""
    answers: tuple[Answer, ...]
    """By gateway."""
    hostname: bool = False
    """Somebody added a hostname: a reason to write the route that has nothing to do with weights."""


class Op(NamedTuple):
    """A write of ours, decided and not yet sent."""

    target: str
    """`route`, `status`, or a pool's generation (a creation)."""
    route: Route | None = None
    copy: bool = False
    """The copy of the lock that the status write carries."""


class State(NamedTuple):
    """Everything. A pool is None while there is none, else what each gateway (v1) or any gateway (v1alpha2) says of it."""

    route: Route | None = None
    v1: tuple[Answer, ...] | None = None
    alpha: Answer | None = None
    v1_crd: Crd = Crd.THERE
    alpha_crd: Crd = Crd.THERE
    copy: bool = False
    """The lock's copy in the status of the service."""
    paused: bool = False
    strategy: Strategy = Strategy.WEIGHTED
    failing: Failing = Failing.NONE
    pending: tuple[Op, ...] = ()

    @property
    def locked(self) -> bool:
        """Some copy of the lock is left."""
        return self.copy or (self.route is not None and self.route.lock)


def share(rule: Shape, generation: str) -> float:
    """The part of a rule's traffic that goes to the generation."""
    total = sum(weight for _, weight in rule)
    return sum(weight for each, weight in rule if each == generation) / total if total else 0.0


def on(route: Route, generation: str) -> bool:
    """All traffic of both rules goes to the generation."""
    return all(share(rule, generation) == 1.0 for rule in route.rules)


def v1_usable(state: State) -> bool:
    """Every gateway has accepted the v1 pool as it is now; the truth, whatever can be read of it."""
    return state.v1 is not None and all(answer is Answer.READY for answer in state.v1)


def alpha_usable(state: State) -> bool:
    """Some gateway has accepted the v1alpha2 pool as it is now."""
    return state.alpha is Answer.READY


def refused(state: State) -> bool:
    """A gateway refuses, of the route as it is now, a kind that it refers to."""
    return state.route is not None and Answer.REFUSED in state.route.answers


def refused_alone(route: Route, generation: str) -> bool:
    """Every gateway refuses the route as it is now, and what carries its traffic is that generation alone."""
    carrying = {each for rule in route.rules for each, weight in rule if weight or len(rule) == 1}
    return carrying == {generation} and set(route.answers) == {Answer.REFUSED}


def is_mixed(route: Route) -> bool:
    """Some rule refers to both generations."""
    return any({generation for generation, _ in rule} == {V1, ALPHA} for rule in route.rules)


def outdated(answers: tuple[Answer, ...]) -> tuple[Answer, ...]:
    """The same answers after the object they speak of has changed."""
    return tuple(_OUTDATED.get(answer, answer) for answer in answers)


_OUTDATED = {Answer.READY: Answer.STALE_READY, Answer.REFUSED: Answer.STALE_REFUSED}
