"""One certificate authority for the whole package: making keys is the slow part."""

import pytest

from tests.serving.support import Ca


@pytest.fixture(scope="session")
def ca() -> Ca:
    return Ca()
