"""What is not known when a service has nothing left to do is asked again: no watch tells when a cache is whole again (WATCH-1)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anyio

from aioctl.api import kinds
from aioctl.controller.controller import Controller
from aioctl.controller.knobs import Knobs
from aioctl.controller.planner import Planner
from aioctl.controller.reconcile import LONGEST_LOOK
from aioctl.sim.players.following import player_client
from aioctl.sim.players.gateway import GatewayPlayer
from aioctl.sim.players.workload import WorkloadPlayer
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, condition, furnished, plain_service

SETTLED = 30.0


class _Late:
    """A planner before whose conclusions caches become out of date, and are whole again right after, with nothing new in them."""

    def __init__(self, planner: Planner, controller: Controller) -> None:
        self._planner = planner
        self._controller = controller
        self.hit = True

    async def plan(self, *args: Any, **kwargs: Any) -> Any:
        return await self._planner.plan(*args, **kwargs)

    async def conclude(self, *args: Any, **kwargs: Any) -> Any:
        with self._out_of_date():
            return await self._planner.conclude(*args, **kwargs)

    @contextmanager
    def _out_of_date(self) -> Iterator[None]:
        stores = self._controller.caches.stores.values() if self.hit else ()
        for store in stores:
            store.mark_unsynced()
        yield
        for store in stores:
            store.replace({key: found for key in store.keys() if (found := store.get(key))})  # noqa: SIM118  no mapping


@virtual_time
async def test_a_cache_that_was_out_of_date_when_the_status_was_concluded() -> None:
    async with furnished() as world, anyio.create_task_group() as group:
        client, stamp = player_client(world.cluster), world.cluster.core.clock.stamp
        group.start_soon(GatewayPlayer(client, stamp=stamp).run)
        group.start_soon(WorkloadPlayer(client, delay=1.0, stamp=stamp).run)
        controller = world.controller(knobs=Knobs())
        late = controller.reconciler.planner = _Late(controller.reconciler.planner, controller)
        async with world.running(controller):
            await world.user.create(
                kinds.SERVICE, NAMESPACE, plain_service(router={"route": {}, "scheduler": {}})
            )
            await anyio.sleep(SETTLED)
            assert controller.queue.statistics().delayed == 1, "it will be looked at again"
            late.hit = False
            await anyio.sleep(LONGEST_LOOK + SETTLED)
            assert controller.queue.statistics().delayed == 0, "all is known, and it is at rest"
            found = await world.find(kinds.SERVICE, "one")
            assert condition(found, "Ready")[0] == "True"
        group.cancel_scope.cancel()
