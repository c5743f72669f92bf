"""`aioctl status`: where each service of a cluster stands and why, decided by the same code as the controller.

Reads only: the caches are filled once, each service is planned once, nothing is applied.
"""

from dataclasses import dataclass

import anyio

from aioctl.api import weight
from aioctl.api.kinds import ObjectKey
from aioctl.app import Application
from aioctl.controller.observe import CacheObservation, Decoded
from aioctl.kube.config import load_config
from aioctl.plan import reconcile, status
from aioctl.plan.model import Overlay
from aioctl.settings import Settings

READ_DEADLINE = 60.0


class StatusError(Exception):
    """The cluster could not be read; the text says what was waited for."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One service. `state` and `reason` are those of metric, condition and event; `problem` is what somebody must do."""

    service: ObjectKey
    state: str
    reason: str
    problem: str = ""


async def standings(settings: Settings, *, kubeconfig: str = "", namespace: str = "") -> list[Standing]:
    """Every service of the namespace ('' = all), sorted. Raises ConfigError, StatusError."""
    application = Application(settings, await load_config(kubeconfig))
    controller = application.controller
    try:
        async with anyio.create_task_group() as group:
            with anyio.move_on_after(READ_DEADLINE) as deadline:
                await group.start(controller.watch)
            if deadline.cancelled_caught:
                unread = sorted(
                    watch.kind.resource
                    for watch, store in controller.caches.stores.items()
                    if not store.synced
                )
                raise StatusError(f"not read within {READ_DEADLINE:g} s: {', '.join(unread)}")
            keys = [key for key in sorted(controller.caches.services()) if namespace in ("", key.namespace)]
            found = [_standing(application, key) for key in keys]
            group.cancel_scope.cancel()
        return found
    finally:
        await application.client.aclose()


def _standing(application: Application, key: ObjectKey) -> Standing:
    controller = application.controller
    cached = controller.caches.service(key)
    if cached is None:
        return Standing(key, "Unknown", "Gone")
    live = controller.reconciler.live
    view = CacheObservation(key, controller.caches, controller.discovery.served, live, Decoded())
    now = application.clock.now()
    made = reconcile.plan(view, weight.decode(cached.raw), controller.policy, now)
    decision = status.migration_of(made, Overlay(view, {}))
    if decision is None:
        error = next((step.error or step.unanswered for step in reversed(made.steps)), "")
        return Standing(key, "Unknown", "NotPlanned", error)
    return Standing(key, decision.state.value, decision.reason.value, decision.problem)
