"""Sends the requests that plans ask about, one after the other, and wakes who asked (MIG-13). No worker waits for them."""

from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Final

import anyio
import structlog

from aioctl.api.kinds import ObjectKey
from aioctl.engine.clock import Clock
from aioctl.kube.errors import TransportError
from aioctl.plan.observation import GatewayRequest

Send = Callable[[str, str], Awaitable[int]]
"""(URL, Host) -> HTTP status. Raises TransportError."""

TRIES: Final = 3
HOLDS: Final = 24 * 3600.0
"""Seconds for which an answer counts."""
AGAIN: Final = 600.0
"""Seconds after which a request that nobody answered is sent again, if its services still ask then: they are woken for that."""
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
        self._again: dict[GatewayRequest, frozenset[ObjectKey]] = {}
        """Who is woken when what came of a request does not count any more: of those that were not answered."""
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
            with anyio.move_on_after(self._until_again()):
                await self._news.wait()
            self._news = anyio.Event()
            self._ask_again()
            while self._wanted:
                request = next(iter(self._wanted))
                passed = await self._passes(request)
                self._remember(request, passed)
                services = frozenset(self._wanted.pop(request))
                if not passed:
                    self._again[request] = services
                for service in services:
                    self._wake(service, 0)

    def _until_again(self) -> float | None:
        """Seconds until the first of the requests that were not answered may be sent again; None without any."""
        if not self._again:
            return None
        return max(0.0, min(map(self._until, self._again)) - self._clock.monotonic())

    def _ask_again(self) -> None:
        for request in [each for each in self._again if self._until(each) <= self._clock.monotonic()]:
            for service in self._again.pop(request):
                self._wake(service, 0)

    def _until(self, request: GatewayRequest) -> float:
        found = self._known.get(request)
        return found[1] if found is not None else 0.0

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
