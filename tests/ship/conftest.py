"""Programs of others for the tests of what ships; a test is skipped with the reason where one cannot be had."""

from pathlib import Path

import pytest

from testbed import tools
from testbed.real.build import Assets, NotAvailable
from tests.ship.charts import Helm


def program(name: str) -> Path:
    """Skips where it is not there."""
    try:
        return tools.find(name)
    except NotAvailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Helm without a cluster."""
    return Helm(program("helm"), tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session")
def kubectl(real_assets: Assets) -> Path:
    """kubectl, for its kustomize."""
    assert real_assets.kubectl is not None
    return real_assets.kubectl
