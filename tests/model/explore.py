"""Breadth-first through all states that the moves can reach, each one once, every law checked in each.

`explore` stops at a fixed point (nothing new is reachable), at a number of states, at a time, or at the first broken law; a
broken law comes with the shortest story that leads to it.
"""

import time
from collections import deque
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from tests.model.cluster import Cluster
from tests.model.laws import at_rest, broken, broken_on_the_way
from tests.model.moves import Rules, controller, environment
from tests.model.state import Answer, State

S = TypeVar("S", bound=Hashable)


@dataclass(frozen=True)
class Violation:
    """A broken law, the state it is broken in, and how to get there."""

    law: str
    state: Any
    story: tuple[str, ...]

    def __str__(self) -> str:
        steps = "".join(f"\n  {number}. {step}" for number, step in enumerate(self.story, 1))
        return f"{self.law}: broken in {self.state} after{steps or ' nothing'}"


@dataclass(frozen=True)
class Report:
    """What was seen. `waiting` states were reached and not looked at any more; 0 means a fixed point."""

    states: int
    transitions: int
    planned: int
    waiting: int
    seconds: float
    violation: Violation | None = None

    @property
    def complete(self) -> bool:
        return not self.waiting and self.violation is None

    def __str__(self) -> str:
        end = "fixed point" if self.complete else f"{self.waiting:,} states waiting"
        return (
            f"{self.states:,} states, {self.transitions:,} transitions, {self.planned:,} plans, {end}, "
            f"{self.seconds:.1f} s"
        )


def roots(rules: Rules, cluster: Cluster) -> dict[State, str]:
    """Where explorations start: nothing made yet, and the two places of rest on the way, so that a short one sees them too.

    All of them are reached from the first; a fixed point is the same without the others.
    """
    nothing = State(strategy=rules.strategies[0])
    made = at_rest(nothing, cluster)
    ready = made._replace(v1=(Answer.READY,) * rules.gateways, alpha=Answer.READY)
    return {
        at_rest(ready, cluster): "all pools are ready and the controller rests",
        made: "no gateway has answered and the controller rests",
        nothing: "",
    }


class System(Protocol[S]):
    """What is explored: where it starts, what may happen, and which laws a state breaks."""

    def roots(self) -> Mapping[S, str]:
        """Each with what led there, in words."""
        ...

    def moves(self, state: S) -> Iterator[tuple[str, S]]: ...

    def broken(self, state: S) -> Iterator[str]: ...

    @property
    def planned(self) -> int:
        """How many different situations were planned."""
        ...


def explore(
    rules: Rules,
    cluster: Cluster | None = None,
    *,
    most_states: int = 0,
    most_seconds: float = 0.0,
    laws: frozenset[str] | None = None,
) -> Report:
    """Explores the first model; limits of 0 are none. `laws`: only these count as broken."""
    system = Migration(rules, cluster or Cluster(rules.gateways))
    return search(system, most_states=most_states, most_seconds=most_seconds, laws=laws)


def search(
    system: System[S],
    *,
    most_states: int = 0,
    most_seconds: float = 0.0,
    laws: frozenset[str] | None = None,
) -> Report:
    """Explores a system; limits of 0 are none. `laws`: only these count as broken."""
    started = time.perf_counter()
    came_from: dict[S, tuple[S | None, str]] = {state: (None, told) for state, told in system.roots().items()}
    waiting = deque(came_from)
    transitions = states = 0
    violation = None
    while waiting and violation is None:
        if most_states and states >= most_states:
            break
        if most_seconds and states % 64 == 0 and time.perf_counter() - started > most_seconds:
            break
        state = waiting.popleft()
        states += 1
        law = next((law for law in system.broken(state) if laws is None or law in laws), None)
        if law is not None:
            violation = Violation(law, state, tuple(_story(came_from, state)))
        for move, reached in system.moves(state):
            transitions += 1
            if reached not in came_from:
                came_from[reached] = state, move
                waiting.append(reached)
    seconds = time.perf_counter() - started
    return Report(states, transitions, system.planned, len(waiting), seconds, violation)


@dataclass(frozen=True)
class Migration:
    """The first model as a system."""

    rules: Rules
    cluster: Cluster

    def roots(self) -> Mapping[State, str]:
        return roots(self.rules, self.cluster)

    def moves(self, state: State) -> Iterator[tuple[str, State]]:
        yield from controller(state, self.cluster)
        yield from environment(state, self.rules)

    def broken(self, state: State) -> Iterator[str]:
        if not state.pending:
            yield from broken(state, self.cluster)
        for _, reached in controller(state, self.cluster):
            yield from broken_on_the_way(state, reached)

    @property
    def planned(self) -> int:
        return self.cluster.planned


def _story(came_from: Mapping[S, tuple[S | None, str]], state: S | None) -> list[str]:
    story: list[str] = []
    while state is not None:
        state, step = came_from[state]
        story.append(step)
    return [step for step in reversed(story) if step]


def replay(system: System[S], story: tuple[str, ...]) -> S:
    """The state that a told history leads to; its first line names the root. Raises KeyError for a step that cannot happen."""
    state = {told: root for root, told in system.roots().items()}[story[0]]
    for step in story[1:]:
        state = dict(system.moves(state))[step]
    return state
