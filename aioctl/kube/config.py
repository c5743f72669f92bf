"""Where the API server is and how we prove who we are. With `kubeconfig.py` the only place that uses kubernetes_asyncio.

The library reads kubeconfig files and the pod's mounts and talks to exec plugins and OIDC issuers; this module turns what
it finds into one frozen `ClusterConfig`. The library's requests and models are not used. It is imported inside functions:
it costs 0.4 to 1 s and 36 MiB, which commands that ask no server should not pay.

Order as the Go manager's (ENV-1): an explicit kubeconfig, `$KUBECONFIG` (a list of files), the pod's service
account, `~/.kube/config`.
"""

import os
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import anyio
import structlog

from aioctl.kube.http import USER_AGENT, Credentials, HttpWire

REFRESH: Final = 60.0
"""Seconds between looks at token files and tokens about to expire; kubelet renews mounted tokens an hour ahead."""
_RENEW_AT_MOST: Final = 5.0
"""Seconds between renewals on 401: an exec plugin may start a process or a browser."""
_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")

log = structlog.get_logger(__name__)


class ConfigError(Exception):
    """The configuration cannot be used; the text says which and why."""


@dataclass(frozen=True, slots=True)
class ClusterConfig:
    """One API server and our way in."""

    server: str
    """Scheme, host, port, and path prefix if there is one."""
    ssl_context: ssl.SSLContext | None
    """None for plain http."""
    credentials: Credentials
    namespace: str = ""
    """Of the pod or of the kubeconfig's context; empty when not said."""
    server_hostname: str = ""
    """Name to verify instead of the one in `server` (`tls-server-name`)."""
    proxy: str = ""
    source: str = ""
    """Where this came from, for the log."""

    def wire(self, *, connections: int = 50, user_agent: str = USER_AGENT) -> HttpWire:
        """A new wire to this server."""
        return HttpWire(
            self.server,
            ssl_context=self.ssl_context,
            credentials=self.credentials,
            server_hostname=self.server_hostname,
            proxy=self.proxy,
            connections=connections,
            user_agent=user_agent,
        )


async def load_config(
    kubeconfig: str = "",
    *,
    context: str = "",
    environ: Mapping[str, str] = os.environ,
    account: Path = _ACCOUNT,
) -> ClusterConfig:
    """Finds and reads the configuration. `kubeconfig` may be a list of files, as `$KUBECONFIG`.

    Raises ConfigError.
    """
    paths = kubeconfig or environ.get("KUBECONFIG", "")
    if paths:
        return await _from_kubeconfig(paths, context)
    if environ.get("KUBERNETES_SERVICE_HOST"):
        return await _in_cluster(environ, account)
    if default := _existing([str(Path(environ.get("HOME", "~"), ".kube", "config"))]):
        return await _from_kubeconfig(default[0], context)
    raise ConfigError(
        "no cluster configured: set KUBECONFIG to a kubeconfig file, or run inside a pod with a service account"
    )


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What one pass of the library found. `refresh` renews the token when it is about to expire, without more."""

    settings: Any
    namespace: str
    refresh: Callable[[], Awaitable[str]] | None = None

    @property
    def authorization(self) -> str:
        return str(self.settings.api_key.get("BearerToken", "")).strip()


Load = Callable[[], Awaitable[_Loaded]]


async def _from_kubeconfig(paths: str, context: str) -> ClusterConfig:
    files = _existing(paths.split(os.pathsep))
    if not files:
        raise ConfigError(f"kubeconfig {paths}: no such file, or one that may not be read")

    async def load() -> _Loaded:
        from kubernetes_asyncio.client import Configuration  # noqa: PLC0415

        from aioctl.kube.kubeconfig import Loader  # noqa: PLC0415

        # Not Configuration(): the class returns a shared default once one is set.
        settings = Configuration(host="")
        loader = Loader(os.pathsep.join(files), context)
        await loader.load_and_set(settings)
        namespace = str((loader.current_context or {}).get("context", {}).get("namespace") or "")
        return _Loaded(settings, namespace, _exec_refresh(loader))

    return await _build(load, f"kubeconfig {paths}")


def _existing(paths: Sequence[str]) -> list[str]:
    """The files that are there, `~` expanded; missing ones in a list are skipped, as kubectl does."""
    full = [os.path.expanduser(path) for path in paths if path]  # noqa: PTH111  Path's raises without a home
    return [path for path in full if os.path.isfile(path)]  # noqa: PTH113  Path's raises where a folder is closed to us


def _exec_refresh(loader: Any) -> Callable[[], Awaitable[str]] | None:
    """For exec plugins: runs the plugin only when its token is about to expire. A token without expiry lasts till a 401."""
    if not loader._user or "exec" not in loader._user:
        return None

    async def refresh() -> str:
        if hasattr(loader, "exec_plugin_expiry"):
            await loader.load_from_exec_plugin()
        return str(getattr(loader, "token", ""))

    return refresh


async def _in_cluster(environ: Mapping[str, str], account: Path) -> ClusterConfig:
    async def load() -> _Loaded:
        from kubernetes_asyncio.client import Configuration  # noqa: PLC0415
        from kubernetes_asyncio.config import load_incluster_config  # noqa: PLC0415

        settings = Configuration(host="")
        load_incluster_config(  # type: ignore[no-untyped-call]
            client_configuration=settings,
            token_filename=str(account / "token"),
            cert_filename=str(account / "ca.crt"),
            environ=environ,
        )
        namespace = account / "namespace"
        return _Loaded(settings, namespace.read_text().strip() if namespace.exists() else "")

    return await _build(load, "service account of the pod")


async def _build(load: Load, source: str) -> ClusterConfig:
    loaded = await _load(load, source)
    settings = loaded.settings
    if not settings.host:
        raise ConfigError(f"{source}: the cluster has no server")
    if not settings.host.startswith(("http://", "https://")):
        raise ConfigError(
            f"{source}: server {settings.host} of the cluster begins with neither https:// nor http://"
        )
    tls = _ssl_context(settings, source) if settings.host.startswith("https") else None
    return ClusterConfig(
        server=settings.host,
        ssl_context=tls,
        credentials=LibraryCredentials(load, loaded, tls),
        namespace=loaded.namespace,
        server_hostname=settings.tls_server_name or "",
        proxy=settings.proxy or "",
        source=source,
    )


async def _load(load: Load, source: str) -> _Loaded:
    try:
        return await load()
    except (TypeError, AttributeError, LookupError, AssertionError) as error:
        # The library stumbles over what it does not look for, such as a list where it expects an object.
        raise ConfigError(
            f"{source}: is empty, or does not have the expected form ({type(error).__name__}: {error})"
        ) from error
    # It raises what comes: its own ConfigException, errors of yaml, ssl and aiohttp.
    except Exception as error:
        raise ConfigError(f"{source}: {_on_one_line(error)}") from error


def _on_one_line(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "is no text in UTF-8"
    if isinstance(error, OSError) and error.filename:  # a token file, or the command of an exec plugin
        return f"names {error.filename}, which cannot be used: {error.strerror}"
    mark = getattr(error, "problem_mark", None)  # of an error of yaml
    if mark is not None:
        return f"is no YAML: line {mark.line + 1}, column {mark.column + 1}: {getattr(error, 'problem', '')}"
    return " ".join(str(error).split()) or type(error).__name__


def _ssl_context(settings: Any, source: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.ssl_ca_cert or None)
        _present_certificate(context, settings)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"{source}: certificates: {error}") from error
    # Cluster CAs made by older installers lack key identifiers, which Python 3.13's strict default refuses.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not settings.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _present_certificate(context: ssl.SSLContext, settings: Any) -> None:
    if settings.cert_file:
        context.load_cert_chain(settings.cert_file, keyfile=settings.key_file)


class LibraryCredentials:
    """Credentials kept fresh by reading the configuration again: every minute, and when the server says 401.

    A failed reading keeps what there was: it may still be good, and the next request tries again.
    """

    def __init__(self, load: Load, loaded: _Loaded, tls: ssl.SSLContext | None) -> None:
        self._load = load
        self._loaded = loaded
        self._tls = tls
        self._authorization = loaded.authorization
        self._read_at = anyio.current_time()
        self._lock = anyio.Lock()

    async def authorization(self) -> str:
        """See `Credentials.authorization`."""
        if anyio.current_time() - self._read_at >= REFRESH:
            async with self._lock:
                if anyio.current_time() - self._read_at >= REFRESH:
                    await self._refresh()
        return self._authorization

    async def renew(self, rejected: str) -> bool:
        """See `Credentials.renew`. Requests refused together share one renewal."""
        async with self._lock:
            if self._authorization != rejected:
                return True
            if anyio.current_time() - self._read_at < _RENEW_AT_MOST:
                return False
            await self._reload()
            return self._authorization != rejected or self._tls is not None

    async def _refresh(self) -> None:
        refresh = self._loaded.refresh
        if refresh is None:
            await self._reload()
            return
        self._read_at = anyio.current_time()
        try:
            self._authorization = await refresh()
        except Exception:
            log.exception("could not refresh the credentials, keeping the old ones")

    async def _reload(self) -> None:
        self._read_at = anyio.current_time()
        try:
            self._loaded = await self._load()
            if self._tls is not None:
                # Into the live context: new connections present the new certificate.
                _present_certificate(self._tls, self._loaded.settings)
            self._authorization = self._loaded.authorization
        except Exception:
            log.exception("could not read the credentials again, keeping the old ones")
