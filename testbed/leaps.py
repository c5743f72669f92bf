"""Time in leaps, for tests with real sockets: virtual time cannot be had there, as nobody knows what is still on its way.

Give what is tested deadlines of many seconds, which no busy machine lets pass, and leap over them at the moment that the
test is about. What waits on the wall clock for a short deadline instead fails on a machine that stands still for as long.
"""

import asyncio


def leap(seconds: float) -> None:
    """Puts the running loop's clock forward by so many seconds: timers that are due then fire in the loop's next turn."""
    loop = asyncio.get_running_loop()
    time = loop.time
    loop.time = lambda: time() + seconds  # type: ignore[method-assign]
