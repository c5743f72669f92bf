"""One plain request through a gateway, for whoever wants to know whether anybody answers there. No credentials go with it."""

from typing import Final

import aiohttp

from aioctl.kube.errors import TransportError
from aioctl.kube.http import USER_AGENT

TIMEOUT: Final = 5.0
"""Seconds for all of it."""


async def status_of(url: str, host: str) -> int:
    """The HTTP status of a GET with that Host. Certificates are not verified: nothing is told and nothing is believed but the
    status. Raises TransportError where there is none."""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT)
    headers = {"Host": host, "User-Agent": USER_AGENT}
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.get(url, headers=headers, ssl=False, allow_redirects=False) as response,
        ):
            return response.status
    except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
        raise TransportError(f"GET {url}: {str(error) or type(error).__name__}", maybe_sent=True) from error
