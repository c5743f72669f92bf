"""The gauges of a fleet's progress: what was counted one by one is what a count of all would give."""

import random
from collections import Counter

from aioctl.api.kinds import ObjectKey
from aioctl.metrics import Metrics
from aioctl.observers import Progress
from aioctl.plan.migration import Decision, Reason, State
from tests.support.virtual_time import VirtualClock, virtual_time

GATEWAYS = ("a/one", "a/two", "b/one")


def shown(metrics: Metrics, family: str) -> Counter[tuple[str, ...]]:
    """The samples of a gauge by the values of its labels, zeros left out."""
    samples = [
        sample for found in metrics.registry.collect() if found.name == family for sample in found.samples
    ]
    return Counter({tuple(sample.labels.values()): int(sample.value) for sample in samples if sample.value})


@virtual_time
async def test_gauges_agree_with_a_count_of_all_services_at_every_moment() -> None:
    chance = random.Random(7)  # noqa: S311  a repeatable sequence, no secret
    metrics = Metrics()
    progress = Progress(metrics, VirtualClock())
    fleet: dict[ObjectKey, tuple[State, Reason, frozenset[str]]] = {}
    for _ in range(400):
        key = ObjectKey("n", f"s{chance.randrange(12)}")
        if chance.random() < 0.25:
            fleet.pop(key, None)
            progress.gone(key)
        else:
            state, reason = chance.choice(list(State)), chance.choice(list(Reason))
            gateways = frozenset(chance.sample(GATEWAYS, chance.randrange(3)))
            fleet[key] = state, reason, gateways
            progress.observed(key, Decision(state, locked=False, reason=reason), gateways)
        assert shown(metrics, "aioctl_services") == Counter((state.value,) for state, _, _ in fleet.values())
        assert shown(metrics, "aioctl_services_by_reason") == Counter(
            (reason.value,) for _, reason, _ in fleet.values()
        )
        assert shown(metrics, "aioctl_services_by_gateway") == Counter(
            (gateway, state.value) for state, _, gateways in fleet.values() for gateway in gateways
        )


@virtual_time
async def test_a_gateway_that_no_service_uses_any_more_leaves_no_series() -> None:
    metrics = Metrics()
    progress = Progress(metrics, VirtualClock())
    decision = Decision(State.INITIAL, locked=False, reason=Reason.V1_POOL_MISSING)
    progress.observed(ObjectKey("n", "s"), decision, frozenset({"a/one"}))
    assert b'gateway="a/one"' in metrics.render()
    progress.gone(ObjectKey("n", "s"))
    assert b"a/one" not in metrics.render()
