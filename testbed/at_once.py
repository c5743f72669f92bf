"""The same work for many things at the same time."""

import math
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

import anyio

T = TypeVar("T")


async def for_each(
    items: Iterable[T], work: Callable[[T], Coroutine[Any, Any, None]], *, most: float = math.inf
) -> None:
    """Until it is done for all of them, for at most so many at the same time. Raises ExceptionGroup, and leaves the rest undone."""
    limit = anyio.CapacityLimiter(most)

    async def one(item: T) -> None:
        async with limit:
            await work(item)

    async with anyio.create_task_group() as group:
        for item in items:
            group.start_soon(one, item)
