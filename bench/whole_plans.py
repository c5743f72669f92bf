"""`python -m bench.whole_plans run`: the controller that decides every part of every plan anew, as a reference for what memos save.

It keeps no result of a part, and no service is at rest for it. Everything else is as in `aioctl run`, so it stands beside it in one
run: `python -m bench update` takes it as what an update would cost without memos.
"""

import sys
from collections.abc import Callable, Hashable
from typing import Final, TypeVar

from aioctl.cli import main
from aioctl.controller import converging, reconcile
from aioctl.plan.memo import Remembering
from aioctl.plan.remembered import Basis, Ground, Seen

T = TypeVar("T")
COMMAND: Final = f"{sys.executable} -m bench.whole_plans run"


class Forgetting(Remembering):
    """A view that remembers nothing from one plan to the next."""

    def begin(
        self,
        version: Hashable,
        basis: Callable[[], Basis],
        make: Callable[[], T],
        ground: Callable[[T], Ground | None],
        renumbered: Callable[[T], T | None],
    ) -> T:
        return super().begin(version, basis, make, lambda _: None, renumbered)

    def shows(self, seen: Seen) -> bool:
        return False


def forget() -> None:
    """From here on, controllers of this process plan without memos."""
    for module in (converging, reconcile):
        module.Remembering = Forgetting  # type: ignore[attr-defined]


if __name__ == "__main__":
    forget()
    main()
