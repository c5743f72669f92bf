"""Histories that once broke a law, found by long explorations, replayed step by step. Rules: MIG-3, MIG-7, MIG-14."""

import pytest

from tests.model.cluster import Cluster
from tests.model.explore import Migration, replay
from tests.model.played import PlayedGateways
from tests.model.played_profiles import PLAYED
from tests.model.profiles import PROFILES
from tests.model.state import ALPHA

REFUSED_BEFORE_A_ROUTE = (
    "gateways are v1alpha2-only",
    "plan a",
    "land inference.networking.x-k8s.io of a",
    "land inference.networking.k8s.io of a",
    "plan a",
    "land route of a",
    "gateway 0 (v1alpha2-only) answers ResolvedRefs on the route of a",
    "time passes",
    "plan a",
    "land probe of a",
    "gateway 0 becomes both",
    "gateway 0 (both) answers ResolvedRefs on the probe of a",
    "plan a",
    "land mixed of a",
    "gateway 0 becomes istio",
    "gateway 0 (istio) answers InvalidKind on the mixed of a",
    "plan a",
    "land route of a",
    "land probe of a",
    "the controller is killed",
    "user deletes the route of a",
    "plan a",
    "land probe of a",
    "gateway 0 (istio) answers ResolvedRefs on the probe of a",
    "plan a",
)
"""The move was lost with the route, before the status had its lock: only the question about both says that v1alpha2 is refused."""
REFUSED_BESIDE_THE_OTHER = (
    "gateways are v1alpha2-only, envoy-gateway-ai-v1",
    "plan a",
    "land inference.networking.x-k8s.io of a",
    "land inference.networking.k8s.io of a",
    "plan a",
    "land route of a",
    "gateway 0 (v1alpha2-only) answers ResolvedRefs on the route of a",
    "gateway 1 (envoy-gateway-ai-v1) answers InvalidKind on the route of a",
    "plan a",
    "land probe of a",
    "gateway 1 (envoy-gateway-ai-v1) answers ResolvedRefs on the probe of a",
    "gateway 1 (envoy-gateway-ai-v1) writes the pool of a of inference.networking.k8s.io",
    "gateway 0 becomes istio",
    "gateway 0 (istio) answers ResolvedRefs on the probe of a",
    "gateway 1 becomes v1alpha2-only",
    "gateway 1 (v1alpha2-only) answers ResolvedRefs on the route of a",
    "plan a",
    "land probe of a",
    "land mixed of a",
    "gateway 1 (v1alpha2-only) answers InvalidKind on the mixed of a",
    "gateway 0 (istio) writes the pool of a of inference.networking.k8s.io",
)
"""Only the question about both says that v1 is refused; the gateway before had accepted the v1 pool."""


@pytest.mark.parametrize(
    ("profile", "story"),
    [("auto-upgrades", REFUSED_BEFORE_A_ROUTE), ("auto-pairs-upgrades", REFUSED_BESIDE_THE_OTHER)],
)
def test_what_only_the_question_about_both_has_shown_is_heeded(profile: str, story: tuple[str, ...]) -> None:
    system = PlayedGateways(PLAYED[profile])
    for length in range(1, len(story) + 1):
        assert not list(system.broken(replay(system, story[:length])))


def test_the_move_is_made_again_where_it_was_lost_with_its_route() -> None:
    system = PlayedGateways(PLAYED["auto-upgrades"])
    [service] = replay(system, REFUSED_BEFORE_A_ROUTE).services
    assert [(op.target, op.lock, op.gone) for op in service.pending] == [
        ("route", True, False),
        ("probe", False, True),
        ("mixed", False, True),
        ("status", True, False),
    ]


def test_a_refusal_of_v1alpha2_alone_is_none_of_v1_alone() -> None:
    """Under `auto`, by a law that took it for one where the strategy was not `swap` by name."""
    rules = PROFILES["everything-two-gateways"]
    system = Migration(rules, Cluster(rules.gateways))
    only_alpha = ((ALPHA, 100),)
    state = replay(
        system,
        (
            "all pools are ready and the controller rests",
            "user removes the lock from the status",
            "user removes the annotation",
            f"user sets weights {(only_alpha, only_alpha)}",
            "route refused at gateway 0",
        ),
    )
    assert not list(system.broken(state))
