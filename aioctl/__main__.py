"""`python -m aioctl` is `aioctl`."""

from aioctl.cli import main

main()
