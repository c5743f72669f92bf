"""The looks that a controller takes at its services, counted."""

from typing import Any

import anyio
import pytest

from aioctl.controller.controller import Controller


def counted_looks(controller: Controller, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Fills with the moment of each reconcile that plans, in seconds of the loop, from now on."""
    looks: list[float] = []
    run = controller.reconciler._reconcile

    async def counted(*arguments: Any) -> Any:
        looks.append(anyio.current_time())
        return await run(*arguments)

    monkeypatch.setattr(controller.reconciler, "_reconcile", counted)
    return looks
