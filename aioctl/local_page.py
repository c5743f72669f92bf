"""The operators' page on one's own machine, for whoever has only a kubeconfig: what `aioctl status` reads, read again and again.

It is read only while somebody looks. Figures of webhooks and queue are the controller's, and on its own page.

Rules: UI-1.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import anyio

from aioctl import __version__
from aioctl.api.kinds import ObjectKey
from aioctl.engine.clock import SYSTEM_CLOCK, Clock
from aioctl.serving.board import Board
from aioctl.serving.operators_page import ROOT, OperatorsPage, PageServer
from aioctl.serving.timeline import Sample
from aioctl.tools import page
from aioctl.tools.access import ToolError
from aioctl.tools.fleet import by_state
from aioctl.tools.look import Look
from aioctl.tools.session import Session
from aioctl.tools.snapshot import Snapshot

INTERVAL: Final = 2.0
"""Seconds between two looks, at least; five times what one takes, so that this is not what loads the API server."""
LOOPBACK: Final = "127.0.0.1"
HOSTS: Final = frozenset({"localhost", LOOPBACK})


class LocalPage:
    """Fills a board from a session, and serves it on loopback. `port` 0 takes a free one."""

    def __init__(self, session: Session, *, port: int = 0, clock: Clock = SYSTEM_CLOCK) -> None:
        self._session = session
        self._clock = clock
        self.board = Board()
        self.server = PageServer(LOOPBACK, port, OperatorsPage(self.board, self.detail, hosts=HOSTS))
        self._looks: Mapping[ObjectKey, Look] = {}
        self._found: Snapshot | None = None

    async def run(self, started: Callable[[str], None]) -> None:
        """Goes on until it is cancelled; `started` is told the address. Raises ListenError."""
        self._say(())
        try:
            await self._serve(started)
        except ExceptionGroup as errors:
            # Only the server can fail at its start; who calls wants its error, not a group of one.
            raise errors.exceptions[0] from None

    async def _serve(self, started: Callable[[str], None]) -> None:
        async with anyio.create_task_group() as group:
            await group.start(self.server.run)
            started(f"http://{LOOPBACK}:{self.server.port}{ROOT}")
            while True:
                await self.board.watched()
                begun = anyio.current_time()
                await self.look()
                await anyio.sleep(max(INTERVAL, 5 * (anyio.current_time() - begun)))

    async def look(self) -> None:
        """Reads all once. What cannot be read is said on the page, which keeps what it had."""
        try:
            self._found, seen = await self._session.looks()
        except ToolError as error:
            self._say((str(error),))
            return
        self._looks = {one.key: one for one in seen}
        for key in self.board.shown():
            if ObjectKey(*key) not in self._looks:
                self.board.drop(key)
        for one in seen:
            self.board.put((one.key.namespace, one.key.name), page.row(one))
        self.board.sample(Sample(round(self._clock.now().timestamp(), 1), by_state(seen), {}))
        self._say(dict.fromkeys(f"not known: {said}" for said in self._found.unread.values()))

    async def detail(self, namespace: str, name: str) -> bytes | None:
        """The service as it was last read."""
        seen = self._looks.get(ObjectKey(namespace, name))
        return None if seen is None or self._found is None else page.detail(seen, self._found)

    def _say(self, notes: Any) -> None:
        connection = self._session.connection
        self.board.say(
            {
                "role": "local",
                "namespace": connection.namespace,
                "server": connection.server,
                "version": __version__,
                "every": INTERVAL,
                "notes": list(notes),
            }
        )
