"""What every test on real gateway controllers needs: the programs, and a network of its own for their fixed ports."""

import pytest

from testbed.real import build
from testbed.real.build import Assets, NotAvailable
from testbed.real.private_network import is_private


@pytest.fixture(scope="session")
def assets() -> Assets:
    """The programs; where they cannot be had the test fails: whoever asks for it wants it."""
    assert is_private(), (
        "gateway controllers have ports of their own choice: `make test-gateways` runs this in a network of its own"
    )
    try:
        found = build.assets(build=False)
        build.gateway_crds(build=False)
    except NotAvailable as error:
        raise AssertionError(str(error)) from error
    return found
