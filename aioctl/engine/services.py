"""Start and stop order as code: services start one after the other, each once the one before is ready, and stop in reverse.

However the end comes (the stop event, a crash of one, a cancelled caller), it takes the same path: last started, first
stopped, each with its time to drain, while those below it still work. That is why every service runs behind a shield and
only this module cancels it. What a service needs while it drains must be started before it.

A service is an `async def run(*, task_status)` that calls `task_status.started()` when it is ready, and then never
returns by itself: returning without having been asked to is an error (`ServiceEnded`), because nobody would notice.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import anyio
import structlog

__all__ = ["Service", "ServiceEnded", "run_services"]

log = structlog.get_logger(__name__)

_UNWIND: Final = 1.0
"""Seconds a cancelled service has beyond its drain, so that its own cleanup deadline passes before ours."""


class ServiceEnded(Exception):
    """A service returned although nobody had asked it to."""


@dataclass(frozen=True, slots=True)
class Service:
    """One long-lived part.

    `run` is called as `run(task_status=...)`. To stop it, it is cancelled; what it still does behind a shield is waited for
    up to `drain` seconds (and one to unwind) before the next one is stopped. `expected` are errors that say everything
    themselves: they end the process like any other, but their log line has no trace.
    """

    name: str
    run: Callable[..., Awaitable[None]]
    drain: float
    expected: tuple[type[Exception], ...] = ()


async def run_services(services: Sequence[Service], *, stop: anyio.Event) -> None:
    """Starts the services in order, keeps them running until `stop` is set, and stops them in reverse order.

    Returns after an orderly stop. Raises the error of the service that crashed (an ExceptionGroup of several) after
    all others have been stopped. Set before all are ready, `stop` ends the start.
    """
    failed = anyio.Event()
    hosts: list[_Host] = []
    async with anyio.create_task_group() as tg:
        try:
            async with anyio.create_task_group() as until_end:
                until_end.start_soon(_cancel_on, stop, until_end.cancel_scope)
                until_end.start_soon(_cancel_on, failed, until_end.cancel_scope)
                for service in services:
                    host = _Host(service, failed)
                    hosts.append(host)
                    tg.start_soon(host.run, name=service.name)
                    await host.ready.wait()
                    log.info("service ready", service=service.name)
        finally:
            with anyio.CancelScope(shield=True):
                for host in reversed(hosts):
                    await host.stop()
    errors = [error for host in hosts for error in host.errors]
    if len(errors) > 1:
        raise ExceptionGroup("several services failed", errors)
    if errors:
        raise errors[0]


async def _cancel_on(event: anyio.Event, scope: anyio.CancelScope) -> None:
    await event.wait()
    scope.cancel()


class _Host:
    """One service while it lives. It is the service's `task_status` itself."""

    def __init__(self, service: Service, failed: anyio.Event) -> None:
        self.errors: list[Exception] = []
        self.ready = anyio.Event()
        self._service = service
        self._failed = failed
        self._ended = anyio.Event()
        self._stopping = False
        self._scope = anyio.CancelScope(shield=True)

    def started(self, value: None = None) -> None:
        """The service is ready."""
        self.ready.set()

    async def run(self) -> None:
        """The service's task: ends when the service ends, and keeps its error instead of letting it cancel the others."""
        try:
            with self._scope:
                await self._service.run(task_status=self)
        except Exception as error:
            log.exception(
                "service failed",
                exc_info=not isinstance(error, self._service.expected),
                service=self._service.name,
                error=str(error),
            )
            self._fail(error)
        else:
            if not self._stopping:
                self._fail(ServiceEnded(f"service {self._service.name} ended although nobody asked it to"))
        finally:
            self._ended.set()

    async def stop(self) -> None:
        """Stops the service, as `Service` says. Returns at once if it has ended."""
        self._stopping = True
        if self._ended.is_set():
            return
        log.info("stopping service", service=self._service.name)
        self._scope.cancel()
        if not await self._ends_within(self._service.drain + _UNWIND):
            log.warning("service still cleans up; going on without it", service=self._service.name)

    def _fail(self, error: Exception) -> None:
        self.errors.append(error)
        self._failed.set()

    async def _ends_within(self, seconds: float) -> bool:
        with anyio.move_on_after(seconds):
            await self._ended.wait()
        return self._ended.is_set()
