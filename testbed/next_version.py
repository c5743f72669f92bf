"""aioctl as a later release that renders the pods of model servers otherwise: what an upgrade may bring.

`python -m testbed.next_version ARGUMENTS` is `aioctl ARGUMENTS` with one default of the storage initializer more.
"""

from typing import Final
from unittest.mock import patch

from aioctl import cli
from aioctl.plan.workload import initializer

ADDED: Final = ("AIOCTL_TEST_NEXT_VERSION", "1")
"""Environment variable of the initializer that this release does not have."""


def main() -> None:
    with patch.object(initializer, "_HF_DEFAULTS", (*initializer._HF_DEFAULTS, ADDED)):
        cli.main()


if __name__ == "__main__":
    main()
