"""One suite, two servers: `server` is the simulated one, and with `--real` a kube-apiserver, too (ARCH-10)."""

from collections.abc import Iterator

import pytest

from testbed.real.build import Assets
from tests.contract import servers
from tests.contract.servers import Server


@pytest.fixture(scope="session")
def sim_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with servers.simulated(tmp_path_factory.mktemp("sim")) as server:
        yield server


@pytest.fixture(scope="session")
def real_server(real_assets: Assets, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with servers.real(real_assets, tmp_path_factory.mktemp("real")) as server:
        yield server


@pytest.fixture(params=["sim", pytest.param("real", marks=pytest.mark.real)])
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(f"{request.param}_server")
    return found


@pytest.fixture
def namespace(server: Server) -> str:
    """A namespace of the test's own."""
    return server.namespace()
