"""Every recorded case on a real API server: the same children after defaulting, refusals, status and events, or a reason why not."""

import anyio
import pytest

from testbed.real.build import Assets
from testbed.real.cluster import running
from tests.golden.cases import NAMES, WHY_ABSENT, case
from tests.golden.compare import differences, recorded_state
from tests.golden.differences import CASES, outdated, unexpected
from tests.golden.real import Played, scene

pytestmark = [pytest.mark.real, pytest.mark.skipif(not NAMES, reason=WHY_ABSENT)]


REFUSED_AGAIN = ("create /apis/inference.networking.k8s.io/v1/namespaces/c-pool-two-ports/inferencepools",)
"""What cannot work is tried again by every process: the API server may have learned to take it."""


@pytest.fixture(scope="module")
def played(
    request: pytest.FixtureRequest, real_assets: Assets, tmp_path_factory: pytest.TempPathFactory
) -> Played:
    """How the selected cases end, all played at the same time on one server."""
    wanted = [
        str(item.callspec.params["name"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.function is test_a_recorded_case_ends_as_recorded
    ]

    async def play() -> Played:
        async with scene(cluster, tmp_path_factory.mktemp("webhook")) as ground:
            return await ground.play([case(name) for name in wanted])

    with running(real_assets, audit=True) as cluster:
        return anyio.run(play)


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_case_ends_as_recorded(name: str, played: Played) -> None:
    recorded = case(name)
    lines = differences(played.states[name], recorded_state(recorded), recorded.namespace)
    unexplained = unexpected(name, lines)
    assert not unexplained, "\n".join(f"{line}: {lines[line]}" for line in unexplained)
    assert not outdated(CASES.get(name, ()), lines)


def test_a_second_program_writes_nothing_where_the_first_has_come_to_rest(played: Played) -> None:
    assert played.changed == []
    assert [line for line in played.sent if not line.startswith(REFUSED_AGAIN)] == []
    # Not an empty truth: what it sends is seen.
    assert played.sent or "pool-two-ports" not in played.states
