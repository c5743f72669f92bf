"""The second model as a system to explore."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache

from tests.model.cluster import Conclude, Planner
from tests.model.explore import Report, search
from tests.model.played_cluster import PlayedCluster
from tests.model.played_laws import PlayedLaws
from tests.model.played_moves import PlayedRules, controller, environment
from tests.model.played_state import Service, State


class PlayedGateways:
    """Services on gateways that behave; see `played_state.py`."""

    def __init__(self, rules: PlayedRules, cluster: PlayedCluster | None = None) -> None:
        self._rules = rules
        self._cluster = cluster or cluster_for(rules)
        self._laws = PlayedLaws(self._cluster, rules)

    def roots(self) -> Mapping[State, str]:
        """Nothing is made yet, and where everything rests: a short exploration sees both."""
        found: dict[State, str] = {}
        for behaviours in self._rules.begins:
            services = (Service(),) * self._rules.services
            nothing = State(services, behaviours, old_crd=self._rules.old_crd)
            found[nothing] = f"gateways are {', '.join(behaviours)}"
            end = self._laws.end(nothing)
            if end is not None:
                found.setdefault(end, f"gateways are {', '.join(behaviours)}, and all has come to rest")
        return found

    def moves(self, state: State) -> Iterator[tuple[str, State]]:
        yield from controller(state, self._cluster)
        yield from environment(state, self._rules)

    def broken(self, state: State) -> Iterator[str]:
        yield from self._laws.broken(state)

    @property
    def planned(self) -> int:
        return self._cluster.planned


def cluster_for(
    rules: PlayedRules, planner: Planner | None = None, conclude: Conclude | None = None
) -> PlayedCluster:
    """The cluster that the rules speak of; the same one for rules that differ in what happens only, as its plans are the same.

    `planner` and `conclude`: in place of the program's with its memory, of a cluster of its own."""
    alike = replace(
        _ANY,
        begins=(("both",) * len(rules.begins[0]),),
        services=rules.services,
        grouped=rules.grouped,
        strategy=rules.strategy,
        probes=rules.probes,
        v1_crd=rules.v1_crd,
    )
    return _shared(alike) if planner is None and conclude is None else _cluster(alike, planner, conclude)


_ANY = PlayedRules(begins=())


@cache
def _shared(rules: PlayedRules) -> PlayedCluster:
    return _cluster(rules, None, None)


def _cluster(rules: PlayedRules, planner: Planner | None, conclude: Conclude | None) -> PlayedCluster:
    return PlayedCluster(
        len(rules.begins[0]),
        rules.services,
        grouped=rules.grouped,
        strategy=rules.strategy,
        probes=rules.probes,
        v1_crd=rules.v1_crd,
        planner=planner,
        conclude=conclude,
    )


def explore_played(
    rules: PlayedRules,
    cluster: PlayedCluster | None = None,
    *,
    most_states: int = 0,
    most_seconds: float = 0.0,
    laws: frozenset[str] | None = None,
) -> Report:
    """Explores the second model; limits of 0 are none. `laws`: only these count as broken."""
    system = PlayedGateways(rules, cluster)
    return search(system, most_states=most_states, most_seconds=most_seconds, laws=laws)
