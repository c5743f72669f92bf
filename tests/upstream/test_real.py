"""Recorded cases of today's KServe on real API servers, one for each world: what differs is decided, and a second reconcile writes nothing."""

import anyio
import pytest

from testbed.real.build import Assets
from testbed.real.cluster import running
from tests.upstream.cases import NAMES, WHY_ABSENT, case, names_of
from tests.upstream.decisions import REAL, undecided
from tests.upstream.play import from_recording
from tests.upstream.real import SERVER_OPTIONS, Played, play

pytestmark = [pytest.mark.real, pytest.mark.skipif(not NAMES, reason=WHY_ABSENT)]
WORLDS = ("bare", "switch", "tls")
"""The other, of 198 cases, is played by command: `python -m tests.upstream.on_real plain`."""
BY_WORLD = [name for world in WORLDS for name in names_of(world)]


@pytest.fixture(scope="module")
def played(
    request: pytest.FixtureRequest, real_assets: Assets, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Played]:
    """How the selected cases end, by world."""
    wanted = {
        str(item.callspec.params["name"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.function is test_a_recorded_case_ends_as_recorded
    }
    found: dict[str, Played] = {}
    for world in WORLDS:
        cases = [case(name) for name in names_of(world) if name in wanted]
        if cases:
            folder = tmp_path_factory.mktemp("webhook")
            with running(real_assets, audit=True, gogc=200, options=SERVER_OPTIONS.get(world, ())) as cluster:
                found[world] = anyio.run(play, world, cases, cluster, folder)
    return found


@pytest.mark.parametrize("name", BY_WORLD)
def test_a_recorded_case_ends_as_recorded(name: str, played: dict[str, Played]) -> None:
    recorded = case(name)
    lines = from_recording(recorded, played[recorded.world].states[name])
    found = undecided(name, lines, others=REAL)
    assert not found, "\n".join(f"{line}: {values}" for line, values in found.items())


def test_a_second_program_writes_nothing_where_the_first_has_come_to_rest(played: dict[str, Played]) -> None:
    assert {world: each.changed for world, each in played.items() if each.changed} == {}
    assert {world: each.sent for world, each in played.items() if each.sent} == {}
