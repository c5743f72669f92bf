"""Work of a server that its client cannot call back: it takes effect though nobody waits for the answer any more."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
import anyio.abc

T = TypeVar("T")


async def detached(tasks: anyio.abc.TaskGroup, begin: anyio.Event, work: Callable[[], Awaitable[T]]) -> T:
    """Does the work among `tasks` once `begin` is set, and returns or raises what came of it to whoever still waits."""
    over = anyio.Event()
    result: list[T] = []
    failure: list[Exception] = []

    async def run() -> None:
        await begin.wait()
        try:
            result.append(await work())
        except Exception as error:  # noqa: BLE001  raised below, where somebody waits
            failure.append(error)
        over.set()

    tasks.start_soon(run)
    await over.wait()
    if failure:
        raise failure[0]
    return result[0]
