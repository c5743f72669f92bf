"""How the simulated API server reaches webhooks: the seam, an in-memory switchboard, and HTTPS as the real server speaks it.

The real server forces HTTP/1.1, keeps at most 25 idle connections per host, never resumes TLS sessions and gives a
handshake 10 s (WEB-4); a burst therefore costs a handshake for each call beyond the kept ones.
"""

import base64
import io
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Protocol, Self
from urllib.parse import urlsplit

import aiohttp

IDLE_CONNECTIONS: Final = 25
HANDSHAKE_TIMEOUT: Final = 10.0


class HookFailure(Exception):
    """The webhook could not be asked or did not answer with HTTP 200; the text is what the user will see."""


@dataclass(frozen=True, slots=True)
class HookTarget:
    """Where a webhook lives: a URL, or a service reference (then `url` is what the API server would dial)."""

    url: str
    service: str = ""
    """`<namespace>/<name>` when the client configuration names a service."""
    ca_bundle: bytes = b""
    """PEM; empty means the system's trust."""

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @classmethod
    def parse(cls, config: Mapping[str, Any]) -> "HookTarget":
        """From a `clientConfig` of a CRD's conversion clause or a webhook configuration."""
        bundle = base64.b64decode(config.get("caBundle") or "")
        if url := config.get("url"):
            return cls(str(url), ca_bundle=bundle)
        service = config.get("service") or {}
        namespace, name = service.get("namespace", ""), service.get("name", "")
        address = f"https://{name}.{namespace}.svc:{service.get('port', 443)}{service.get('path', '/')}"
        return cls(address, f"{namespace}/{name}", bundle)


class WebhookCaller(Protocol):
    """Carries one review to a webhook."""

    async def call(self, target: HookTarget, body: bytes, *, seconds: float) -> bytes:
        """The answer's body. `seconds` is the server's own limit. Raises HookFailure."""
        ...


HookCall = Callable[[bytes], Awaitable[bytes]]


class LocalWebhooks:
    """Webhooks in the same process, found by path: no sockets, for virtual time."""

    def __init__(self, handlers: Mapping[str, HookCall] | None = None) -> None:
        self.handlers: dict[str, HookCall] = dict(handlers or {})

    async def call(self, target: HookTarget, body: bytes, *, seconds: float) -> bytes:
        handler = self.handlers.get(target.path)
        if handler is None:
            raise HookFailure(f'Post "{target.url}?timeout={seconds:g}s": no endpoints available')
        return await handler(body)


class HttpsWebhooks:
    """Webhooks over TLS. Use as an async context manager, inside the loop that serves the cluster."""

    def __init__(self, services: Mapping[str, str] | None = None) -> None:
        """`services` maps `<namespace>/<name>` to a base URL such as `https://127.0.0.1:9443`."""
        self._services = dict(services or {})
        self._sessions: dict[tuple[str, bytes], aiohttp.ClientSession] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    async def call(self, target: HookTarget, body: bytes, *, seconds: float) -> bytes:
        shown = f"{target.url}?timeout={seconds:g}s"
        address = self._address(target)
        limits = aiohttp.ClientTimeout(total=seconds, sock_connect=HANDSHAKE_TIMEOUT)
        try:
            async with self._session(address, target).post(
                f"{address}?timeout={seconds:g}s",
                # Lists are many megabytes; aiohttp wants such bodies as a file.
                data=io.BytesIO(body),
                headers={"Content-Type": "application/json", "User-Agent": "kube-apiserver-admission"},
                timeout=limits,
            ) as answer:
                payload = await answer.read()
        except TimeoutError as error:
            raise HookFailure(f'Post "{shown}": context deadline exceeded') from error
        except aiohttp.ClientError as error:
            raise HookFailure(f'Post "{shown}": {error}') from error
        if answer.status != 200:
            text = payload.decode("utf-8", "replace").strip()
            raise HookFailure(f'an error on the server ("{text}") has prevented the request from succeeding')
        return payload

    def _address(self, target: HookTarget) -> str:
        if not target.service:
            return target.url
        base = self._services.get(target.service)
        if base is None:
            name = target.service.split("/", 1)[1]
            raise HookFailure(f'Post "{target.url}": service "{name}" not found')
        return base.rstrip("/") + target.path

    def _session(self, address: str, target: HookTarget) -> aiohttp.ClientSession:
        host = urlsplit(address).netloc
        session = self._sessions.get((host, target.ca_bundle))
        if session is None:
            connector = _IdleLimitedConnector(limit=0, ssl=_tls(target.ca_bundle), keepalive_timeout=90)
            session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
            self._sessions[host, target.ca_bundle] = session
        return session


def _tls(ca_bundle: bytes) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=ca_bundle.decode() if ca_bundle else None)
    context.set_alpn_protocols(["http/1.1"])
    return context


class _IdleLimitedConnector(aiohttp.TCPConnector):
    """aiohttp bounds open connections, not idle ones; the API server opens as many as it needs and keeps 25."""

    def _release(self, key: Any, protocol: Any, *, should_close: bool = False) -> None:
        full = len(self._conns.get(key, ())) >= IDLE_CONNECTIONS
        super()._release(key, protocol, should_close=should_close or full)
