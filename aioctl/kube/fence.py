"""The fence around what only the leader writes: a wire that carries no write once the lease may be somebody else's (LEASE-2).

A process that the kernel or a hypervisor stopped does not know it when it goes on: its workers are as ready to run as the
renewal that would find the lease lost, and a plan in the midst of its writes would send the next one. So each write asks first,
after all waiting on our side. What had left us before the stop nobody can call back; it changes nothing that has changed since,
as updates carry the version that they change.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from aioctl.kube.errors import KubeError
from aioctl.kube.wire import Request, Response, Stream, Wire


class NotLeading(KubeError):
    """A write was kept back: somebody else may hold the lease."""


class FencedWire:
    """Implements `kube.wire.Wire`. Reads pass."""

    def __init__(self, wire: Wire, may_write: Callable[[], bool]) -> None:
        self._wire = wire
        self._may_write = may_write

    async def send(self, request: Request, *, timeout: float) -> Response:  # noqa: ASYNC109
        """See `Wire.send`. Raises NotLeading."""
        if request.method != "GET" and not self._may_write():
            raise NotLeading(
                f"{request.method} {request.path} was not sent: the lease could not be renewed in time"
            )
        return await self._wire.send(request, timeout=timeout)

    def stream(
        self, request: Request, *, connect_timeout: float, idle_timeout: float
    ) -> AbstractAsyncContextManager[Stream]:
        """See `Wire.stream`."""
        return self._wire.stream(request, connect_timeout=connect_timeout, idle_timeout=idle_timeout)

    async def aclose(self) -> None:
        """See `Wire.aclose`."""
        await self._wire.aclose()
