"""After the Go controller: ours takes over what stands there, and restarts no model server."""

from functools import cache

import pytest

from aioctl.sim.backup import Backup
from testbed.sampling import sampled
from testbed.shared_data import ROOT, listed
from testbed.virtual_time import run_virtual
from tests.golden.cases import NAMES, PLACE, WHY_ABSENT, Case, case
from tests.golden.compare import changes
from tests.golden.differences import TAKEOVER, TAKEOVER_EVERYWHERE, outdated, unexplained
from tests.golden.inherit import inherit, restarted
from tests.golden.simulated import furnished, scene

REFUSED = frozenset({"bad-scheme"})
"""Services that only an earlier validator let in: they cannot be put where ours judges."""
SETTLED = [
    name for name in NAMES if listed(ROOT / "golden" / f"{name}.yaml", "objects") and name not in REFUSED
]
REPLACED = {
    "upd-drop-prefill": [
        "apps/v1/deployments/svc-kserve-prefill",
        "apps/v1/deployments/svc-kserve-router-scheduler",
    ],
}
"""Workloads that are replaced or go on purpose: a picker, and a prefill side that the service has no more."""
pytestmark = pytest.mark.skipif(not NAMES, reason=WHY_ABSENT)


SAMPLE = pytest.mark.parametrize("name", sampled(SETTLED, every=6))


@cache
def taken_over(name: str) -> tuple[list[str], list[str]]:
    """What is written of a case, and its workloads that were made anew."""
    taken = case(name)
    written, anew = run_virtual(take_over, taken, furnished())
    return [line.replace(taken.namespace, PLACE) for line in written], anew


@SAMPLE
def test_taking_over_a_recorded_case_writes_next_to_nothing(name: str) -> None:
    lines, _ = taken_over(name)
    assert not unexplained((*TAKEOVER_EVERYWHERE, *TAKEOVER.get(name, ())), lines)
    assert not outdated(TAKEOVER.get(name, ()), lines)


@SAMPLE
def test_taking_over_a_recorded_case_restarts_no_model_server(name: str) -> None:
    _, anew = taken_over(name)
    assert anew == REPLACED.get(name, [])


@pytest.mark.thorough
def test_every_general_write_of_a_takeover_still_occurs() -> None:
    assert not outdated(TAKEOVER_EVERYWHERE, [line for name in SETTLED for line in taken_over(name)[0]])


async def take_over(taken: Case, backup: Backup) -> tuple[list[str], list[str]]:
    """What the controller writes, and the workloads whose pod templates change."""
    async with scene(backup) as fresh:
        stage = fresh.stage
        await stage.open(taken)
        async with fresh.played():
            await inherit(stage, taken)
            await stage.rest()
        before, state = await stage.versions(), await stage.state(taken)
        async with fresh.controlled():
            await stage.rest()
        after = await stage.state(taken)
        return changes(before, await stage.versions()), restarted(state, after)
