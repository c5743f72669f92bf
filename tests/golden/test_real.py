"""Every recorded case on a real API server: the same children after defaulting, refusals, status and events, or a reason why not."""

from collections.abc import Mapping

import anyio
import pytest

from tests.golden.cases import NAMES, WHY_ABSENT, case
from tests.golden.compare import State, differences, recorded_state
from tests.golden.differences import CASES, outdated, unexpected
from tests.golden.real import scene
from tests.real.build import Assets
from tests.real.cluster import running

pytestmark = [pytest.mark.real, pytest.mark.skipif(not NAMES, reason=WHY_ABSENT)]


@pytest.fixture(scope="module")
def played(
    request: pytest.FixtureRequest, real_assets: Assets, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, State]:
    """How the selected cases end, all played at the same time on one server."""
    wanted = [
        str(item.callspec.params["name"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.function is test_a_recorded_case_ends_as_recorded
    ]

    async def play() -> Mapping[str, State]:
        async with scene(cluster.kubeconfig, tmp_path_factory.mktemp("webhook")) as ground:
            return await ground.play([case(name) for name in wanted])

    with running(real_assets) as cluster:
        return anyio.run(play)


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_case_ends_as_recorded(name: str, played: Mapping[str, State]) -> None:
    recorded = case(name)
    lines = differences(played[name], recorded_state(recorded), recorded.namespace)
    unexplained = unexpected(name, lines)
    assert not unexplained, "\n".join(f"{line}: {lines[line]}" for line in unexplained)
    assert not outdated(CASES.get(name, ()), lines)
