"""One installation for all tests of this folder; which replicas run is each module's business."""

from collections.abc import Generator, Iterator

import pytest

from testbed.real.build import Assets
from tests.real_install.installation import PLAYERS_LOG, Installation, host_address, installed


@pytest.fixture(scope="session")
def installation(real_assets: Assets) -> Iterator[Installation]:
    """deploy/base on a real API server."""
    host = host_address()
    if not host:
        pytest.skip("this host has no address beside loopback, and EndpointSlices must not hold that")
    with installed(real_assets, host) as made:
        yield made


@pytest.fixture(autouse=True)
def _note_what_was_played(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "installation" in request.fixturenames:
        module = request.module.__name__.rpartition(".")[2]
        request.getfixturevalue("installation").played.add(module)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure comes with what the replicas and the players said: their logs do not survive the cluster."""
    report = yield
    installation = getattr(item, "funcargs", {}).get("installation") or getattr(item, "funcargs", {}).get(
        "fleet"
    )
    if report.failed and isinstance(installation, Installation):
        for replica in installation.all_replicas[-2:]:
            report.sections.append((f"end of the log of {replica.name}", replica.tail()))
        players = installation.cluster.folder / PLAYERS_LOG
        if players.exists():
            report.sections.append(("what the players said", players.read_text(errors="replace")[-3000:]))
    return report
