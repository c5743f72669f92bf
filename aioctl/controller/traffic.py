"""Sends the requests that plans ask about, one after the other, and wakes who asked (MIG-13). No worker waits for them."""

from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Final

import anyio
import structlog

from aioctl.api.kinds import ObjectKey
from aioctl.engine.clock import Clock
from aioctl.kube.errors import TransportError
from aioctl.plan.model import GatewayRequest

Send = Callable[[str, str], Awaitable[int]]
"""(URL, Host) -> HTTP status. Raises TransportError."""

TRIES: Final = 3
HOLDS: Final = 24 * 3600.0
"""Seconds for which an answer counts."""
AGAIN: Final = 600.0
"""Seconds after which a request that nobody answered is sent again, when somebody asks."""
_MOST: Final = 10_000
_FAILS: Final = 500

log = structlog.get_logger(__name__)


class Traffic:
    """What came of the requests, and which are to be sent."""

    def __init__(self, send: Send, clock: Clock, wake: Callable[[ObjectKey, int], None]) -> None:
        self._send = send
        self._clock = clock
        self._wake = wake
        self._known: dict[GatewayRequest, tuple[bool, float]] = {}
        self._wanted: defaultdict[GatewayRequest, set[ObjectKey]] = defaultdict(set)
        self._news = anyio.Event()

    def known(self, service: ObjectKey, request: GatewayRequest) -> bool | None:
        """Whether it was answered; None while that is not known: it is sent then, and the service woken."""
        found = self._known.get(request)
        if found is not None and self._clock.monotonic() < found[1]:
            return found[0]
        self._wanted[request].add(service)
        self._news.set()
        return None

    async def run(self) -> None:
        """Endless."""
        while True:
            await self._news.wait()
            self._news = anyio.Event()
            while self._wanted:
                request = next(iter(self._wanted))
                passed = await self._passes(request)
                self._remember(request, passed)
                for service in self._wanted.pop(request):
                    self._wake(service, 0)

    def _remember(self, request: GatewayRequest, passed: bool) -> None:  # noqa: FBT001  one fact, no switch
        if len(self._known) >= _MOST:
            self._known.pop(next(iter(self._known)))
        until = self._clock.monotonic() + (HOLDS if passed else AGAIN)
        self._known[request] = passed, until
        log.info("request_through_gateway", url=request.url, host=request.host, answered=passed)

    async def _passes(self, request: GatewayRequest) -> bool:
        """Anything below 500 is an answer of what is behind the gateway; the gateway itself says 500, 503 and the like."""
        for _ in range(TRIES):
            try:
                if await self._send(request.url, request.host) < _FAILS:
                    return True
            except TransportError as error:
                log.debug("request_through_gateway_failed", url=request.url, error=str(error))
        return False
