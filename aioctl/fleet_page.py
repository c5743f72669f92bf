"""The operators' page of a running controller: its caches and the last plans, put on the board while somebody looks.

Nothing is planned and nothing is asked of the API server for it. While nobody looks, only the timeline goes on; a row is made
when its service, one of its objects or its plan has changed. A replica that does not lead has no rows: it says who leads, and
shows its own webhooks.

Rules: UI-1.
"""

from collections.abc import Callable
from typing import Any, Final

import anyio
import structlog
from anyio.abc import TaskStatus

from aioctl import __version__
from aioctl.api import names, weight
from aioctl.api.conditions import PRESETS_COMBINED
from aioctl.api.kinds import SERVICE, Kind, ObjectKey
from aioctl.controller.caches import Watched
from aioctl.controller.controller import Controller
from aioctl.controller.observe import CacheObservation
from aioctl.controller.triggers import owning_service
from aioctl.engine.clock import Clock
from aioctl.engine.store import Delta
from aioctl.engine.turnstile import Turnstile
from aioctl.kube.cached import Cached
from aioctl.metrics.figures import Figures
from aioctl.plan.model import Plan
from aioctl.plan.readiness import find_condition
from aioctl.plan.status import says_too_expensive, stored_status
from aioctl.serving.board import Board
from aioctl.serving.timeline import Sample
from aioctl.tools import page
from aioctl.tools.look import Look, Standing, gather

SAMPLE_INTERVAL: Final = 2.0
"""Seconds between two samples of the timeline."""
ROUND: Final = 0.5
"""Seconds between two rounds of rows."""
KEEP: Final = 60.0
"""Seconds for which rows are kept up to date after the last client has gone: whoever opens and closes pages costs no more
than one who leaves his open."""

log = structlog.get_logger(__name__)


class FleetPage:
    """Fills the board. `whoami` says what this process is: `role` (leader, follower), `name`, `leader`, `namespace`, `started`."""

    def __init__(
        self,
        controller: Controller,
        standings: page.Standings,
        figures: Figures,
        *,
        board: Board,
        turnstile: Turnstile,
        clock: Clock,
        leads: Callable[[], bool],
        whoami: Callable[[], dict[str, Any]],
    ) -> None:
        self._controller = controller
        self._standings = standings
        self._figures = figures
        self._board = board
        self._turnstile = turnstile
        self._clock = clock
        self._leads = leads
        self._whoami = whoami
        controller.caches.subscribe(self._changed)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Goes on until it is cancelled."""
        self._say()
        task_status.started()
        async with anyio.create_task_group() as group:
            group.start_soon(self._sample)
            while True:
                await self._board.watched()
                await self._follow()

    async def detail(self, namespace: str, name: str) -> bytes | None:
        """One service for `OperatorsPage`; None when it is not there or not ours to show."""
        key = ObjectKey(namespace, name)
        if not self._leads():
            return None
        async with self._turnstile.turn():
            found = self._look(key)
            return None if found is None else page.detail(*found)

    async def _follow(self) -> None:
        """Keeps the rows as the fleet is until nobody has looked for a while."""
        self._standings.news = dict.fromkeys(self._controller.caches.services())
        unseen = 0.0
        try:
            while unseen < KEEP:
                unseen = 0.0 if self._board.watchers else unseen + ROUND
                if self._leads():
                    await self._make_rows()
                await anyio.sleep(ROUND)
        finally:
            self._standings.news = None
            self._board.clear()

    async def _make_rows(self) -> None:
        for key in self._standings.take():
            async with self._turnstile.turn():
                try:
                    found = self._look(key)
                    row = None if found is None else page.row(found[0])
                except Exception:
                    # A page that cannot show a service must not end the process that looks after it.
                    log.exception("no row for the operators' page", service=str(key))
                    continue
                if row is None:
                    self._board.drop(key)
                else:
                    self._board.put(key, row)

    def _look(self, key: ObjectKey) -> tuple[Look, CacheObservation] | None:
        cached = self._controller.caches.service(key)
        if cached is None:
            return None
        service = weight.decode(cached.raw)
        stands = self._standings.of(key)
        if says_too_expensive(service):
            said = find_condition(stored_status(service).get("conditions") or (), PRESETS_COMBINED) or {}
            stands = Standing(error=str(said.get("message") or ""))
        view = self._controller.view(key)
        return gather(view, service, stands, Plan(service), self._clock.now()), view

    def _changed(self, watch: Watched, delta: Delta[ObjectKey, Cached]) -> None:
        """Own writes, too, of which the reconciles are not told."""
        if self._standings.news is None:
            return
        for item in (delta.old, delta.new):
            if item is not None and (key := _service_of(watch.kind, item)) is not None:
                self._standings.tell(key)

    async def _sample(self) -> None:
        while True:
            async with self._turnstile.turn():
                leads = self._leads()
                figures = self._figures.read(leads=leads)
                states = self._figures.states() if leads else {}
                at = round(self._clock.now().timestamp(), 1)
                self._board.sample(Sample(at, states, figures))
                self._say()
            await anyio.sleep(SAMPLE_INTERVAL)

    def _say(self) -> None:
        self._board.say({**self._whoami(), "version": __version__, "every": SAMPLE_INTERVAL})


def _service_of(kind: Kind, item: Cached) -> ObjectKey | None:
    if kind == SERVICE:
        return item.key
    owner = owning_service(item)
    if owner is None and names.NAME in item.labels:
        return ObjectKey(item.key.namespace, item.labels[names.NAME])
    return owner
