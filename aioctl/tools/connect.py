"""The way to a cluster for one command, and what to say in one sentence when there is none."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from aioctl.api.kinds import CONFIG, SERVICE, Kind
from aioctl.kube.client import Client
from aioctl.kube.config import ConfigError, load_config
from aioctl.kube.errors import (
    Forbidden,
    KubeError,
    ServerUnavailable,
    TooManyRequests,
    TransportError,
    Unauthorized,
    is_kind_missing,
)
from aioctl.tools.access import Access, Exit, ToolError, check_namespace


@dataclass(frozen=True, slots=True)
class Connection:
    """An open way to one API server. `namespace`: the one to look at, '' for all."""

    client: Client
    server: str
    namespace: str


ATTEMPT_TIMEOUT: Final = 10.0
"""Seconds for one answer: somebody sits before the terminal."""
PAGE_TIMEOUT: Final = 30.0
"""Seconds for a page of a list, which may have to be converted first."""
_decoder: Final = msgspec.json.Decoder(dict[str, Any])


@asynccontextmanager
async def connected(access: Access) -> AsyncIterator[Connection]:
    """Opens the way and closes it. Raises ToolError, also where no API server answers there, or it does not know us."""
    try:
        config = await load_config(access.kubeconfig, context=access.context)
    except ConfigError as error:
        raise ToolError(str(error), Exit.USAGE) from error
    namespace = "" if access.everywhere else access.namespace or config.namespace or "default"
    check_namespace(namespace, "-n" if access.namespace else "the context's namespace")
    wire = config.wire(connections=8)
    client = Client(wire, call_timeout=ATTEMPT_TIMEOUT, list_timeout=PAGE_TIMEOUT, patience=0.0)
    try:
        await greet(client, config.server)
        yield Connection(client, config.server, namespace)
    finally:
        await client.aclose()


async def greet(client: Client, server: str) -> None:
    """One small question before all others: a server that hangs or is none is told of at once, and once."""
    try:
        answer = _decoder.decode(await client.get_raw("/version"))
    except Forbidden:
        return  # it answers; what may be read shows later
    except (TransportError, Unauthorized) as error:
        raise ToolError(explain(error, "get", SERVICE, "", server)) from error
    except (ServerUnavailable, TooManyRequests) as error:
        raise ToolError(
            f"cluster {server} does not answer now ({error.status}): {error}; look at its API server, or at what is before it"
        ) from error
    except (KubeError, msgspec.MsgspecError) as error:
        raise ToolError(_stranger(server, str(error))) from error
    if "gitVersion" not in answer:
        raise ToolError(_stranger(server, "it does not say its version"))


def _stranger(server: str, why: str) -> str:
    return f"{server} does not answer as an API server ({why}): see the kubeconfig's server, and any proxy before it"


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
    said = " ".join(str(error).split())
    where = f" in namespace {namespace}" if namespace else ""
    match error:
        case TransportError():
            return f"cluster {server} cannot be reached: {said}"
        case Unauthorized():
            return f"cluster {server} does not know these credentials (401): log in again"
        case Forbidden():
            return f"no access: you may not {what}{where}; `kubectl auth can-i {verb} {kind.resource}` says the same"
        case _ if kind in (SERVICE, CONFIG) and is_kind_missing(error):
            return (
                f"the cluster does not serve {kind.resource} {kind.version}: its CRDs are not installed, "
                "or are those of an earlier KServe; `aioctl check --pre` says which"
            )
    return f"cannot {what}{where}: {said}"
