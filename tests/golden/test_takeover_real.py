"""The takeover of every recorded case on a real API server: what is compared there has been defaulted for real."""

from collections.abc import Mapping

import anyio
import pytest

from testbed.real.build import Assets
from testbed.real.cluster import running
from tests.golden.cases import NAMES, PLACE, WHY_ABSENT, case
from tests.golden.differences import TAKEOVER, TAKEOVER_EVERYWHERE, outdated, unexplained
from tests.golden.real import Taken, scene
from tests.golden.test_takeover import REPLACED, SETTLED

pytestmark = [pytest.mark.real, pytest.mark.skipif(not NAMES, reason=WHY_ABSENT)]


@pytest.fixture(scope="module")
def taken(
    request: pytest.FixtureRequest, real_assets: Assets, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Taken]:
    """The selected cases, all taken over at the same time on one server."""
    wanted = [
        str(item.callspec.params["name"])
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and item.function is test_taking_over_a_recorded_case_writes_next_to_nothing
    ]

    async def take_over() -> Mapping[str, Taken]:
        async with scene(cluster, tmp_path_factory.mktemp("webhook")) as ground:
            return await ground.take_over([case(name) for name in wanted])

    with running(real_assets) as cluster:
        return anyio.run(take_over)


@pytest.mark.parametrize("name", SETTLED)
def test_taking_over_a_recorded_case_writes_next_to_nothing(name: str, taken: Mapping[str, Taken]) -> None:
    lines = [line.replace(case(name).namespace, PLACE) for line in taken[name].written]
    assert not unexplained((*TAKEOVER_EVERYWHERE, *TAKEOVER.get(name, ())), lines)
    assert not outdated(TAKEOVER.get(name, ()), lines)


@pytest.mark.parametrize("name", SETTLED)
def test_taking_over_a_recorded_case_restarts_no_model_server(name: str, taken: Mapping[str, Taken]) -> None:
    if name not in taken:
        pytest.skip("the case was not run")
    assert taken[name].restarted == REPLACED.get(name, [])
