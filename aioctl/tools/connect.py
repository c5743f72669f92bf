"""The way to a cluster for one command, and what to say in one sentence when there is none."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Final

from aioctl.api.kinds import CONFIG, SERVICE, Kind
from aioctl.kube.client import Client
from aioctl.kube.config import ConfigError, load_config
from aioctl.kube.errors import Forbidden, KubeError, TransportError, Unauthorized, is_kind_missing
from aioctl.tools.access import Access, Exit, ToolError


@dataclass(frozen=True, slots=True)
class Connection:
    """An open way to one API server. `namespace`: the one to look at, '' for all."""

    client: Client
    server: str
    namespace: str


ATTEMPT_TIMEOUT: Final = 10.0
"""Seconds for one answer: somebody sits before the terminal."""


@asynccontextmanager
async def connected(access: Access) -> AsyncIterator[Connection]:
    """Opens the way and closes it. Raises ToolError."""
    try:
        config = await load_config(access.kubeconfig, context=access.context)
    except ConfigError as error:
        raise ToolError(_sentence(error, access), Exit.USAGE) from error
    client = Client(config.wire(connections=8), call_timeout=ATTEMPT_TIMEOUT, patience=0.0)
    namespace = "" if access.everywhere else access.namespace or config.namespace or "default"
    try:
        yield Connection(client, config.server, namespace)
    finally:
        await client.aclose()


async def reachable(connection: Connection) -> None:
    """Raises ToolError when nobody answers there, or does not know us."""
    try:
        await connection.client.get_raw("/version")
    except (TransportError, Unauthorized) as error:
        raise ToolError(explain(error, "get", SERVICE, "", connection.server)) from error
    except KubeError:
        return  # it answers; what may be read shows later


def _sentence(error: ConfigError, access: Access) -> str:
    text = str(error)
    if access.context and "context" in text and access.context in text:
        return f"context {access.context!r} is not in the kubeconfig; `kubectl config get-contexts` lists what there is"
    return text


@contextmanager
def told(verb: str, kind: Kind, namespace: str, server: str) -> Iterator[None]:
    """Turns what a call raises into one sentence that names verb and resource."""
    try:
        yield
    except KubeError as error:
        raise ToolError(explain(error, verb, kind, namespace, server)) from error


def explain(error: KubeError, verb: str, kind: Kind, namespace: str, server: str) -> str:
    """One sentence for a failed call, with the cure where there is one."""
    what = f"{verb} {kind.resource}"
    where = f" in namespace {namespace}" if namespace else ""
    match error:
        case TransportError():
            return f"cluster {server} cannot be reached: {error}"
        case Unauthorized():
            return f"cluster {server} does not know these credentials (401): log in again"
        case Forbidden():
            return f"no access: you may not {what}{where}; `kubectl auth can-i {verb} {kind.resource}` says the same"
        case _ if kind in (SERVICE, CONFIG) and is_kind_missing(error):
            return (
                f"the cluster does not serve {kind.resource} {kind.version}: its CRDs are not installed, "
                "or are those of an earlier KServe; `aioctl check --pre` says which"
            )
    return f"cannot {what}{where}: {error}"
