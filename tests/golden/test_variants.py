"""Cases nobody recorded: both servers must agree on how they end, and then nothing is written any more."""

import re
from collections.abc import Mapping
from functools import cache

import anyio
import pytest

from aioctl.sim.backup import Backup
from testbed.real.build import Assets
from testbed.real.cluster import running
from testbed.sampling import sampled
from testbed.virtual_time import run_virtual
from tests.golden.cases import NAMES, WHY_ABSENT
from tests.golden.compare import State, changes, differences
from tests.golden.real import Played
from tests.golden.real import scene as real_scene
from tests.golden.simulated import furnished, scene
from tests.golden.variants import variants

CASES = variants()
IN_THE_WAY = re.compile(r"create /\S+/namespaces/c-(account|deployment|service)-taken/")
"""Objects of others under our names carry no label of ours, so that only a refused creation tells of them."""
ON_THE_WAY = re.compile(r"event (ours|theirs) Warning LLMInferenceServiceNotReady: ")
pytestmark = pytest.mark.skipif(not NAMES, reason=WHY_ABSENT)


@cache
def simulated(name: str) -> tuple[State, list[str]]:
    """How the case ends on the simulated cluster, and what a second controller changes then."""

    async def play(backup: Backup) -> tuple[State, list[str]]:
        async with scene(backup) as fresh:
            state = await fresh.play(CASES[name])
            before = await fresh.stage.versions()
            async with fresh.played(), fresh.controlled():
                await fresh.stage.rest()
            return state, changes(before, await fresh.stage.versions())

    return run_virtual(play, furnished())


@pytest.mark.parametrize("name", sampled(CASES, every=12))
def test_a_case_comes_to_rest_and_a_second_controller_changes_nothing(name: str) -> None:
    _, changed = simulated(name)
    assert changed == []


@pytest.fixture(scope="module")
def played(real_assets: Assets, tmp_path_factory: pytest.TempPathFactory) -> Played:
    """All cases at the same time on one real server."""

    async def play() -> Played:
        async with real_scene(cluster, tmp_path_factory.mktemp("webhook")) as ground:
            return await ground.play(list(CASES.values()))

    with running(real_assets, audit=True) as cluster:
        return anyio.run(play)


@pytest.mark.real
@pytest.mark.parametrize("name", CASES)
def test_both_servers_agree_on_how_a_case_ends(name: str, played: Played) -> None:
    """Of readiness on the way there are as many events as statuses were written, which is a matter of time."""
    found: Mapping[str, str] = {
        line: values
        for line, values in differences(
            simulated(name)[0], played.states[name], CASES[name].namespace
        ).items()
        if not ON_THE_WAY.match(line)
    }
    assert not found, "\n".join(f"{line}: {values}" for line, values in found.items())


@pytest.mark.real
def test_a_second_program_writes_nothing_on_the_real_server(played: Played) -> None:
    assert played.changed == []
    assert [line for line in played.sent if not IN_THE_WAY.match(line)] == []
