"""A real API server furnished as an administrator would, and the whole program in this process to run against it.

Conversion and admission go over TLS to the program's own webhook server on loopback. Nothing here plays gateways or
workloads; `real_players.py` does.
"""

import base64
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import anyio

from aioctl.api import kinds
from aioctl.api.kinds import Kind, ObjectKey
from aioctl.app import Application
from aioctl.controller.hearsay import Hearsay
from aioctl.demo import processes
from aioctl.kube.client import Client
from aioctl.kube.config import load_config
from aioctl.kube.errors import AlreadyExists, KubeError, NotFound, ServerUnavailable, TransportError
from aioctl.plan.hearsay import Heard, gather
from aioctl.settings import Settings
from aioctl.sim import seed
from aioctl.sim.hooks import admission_configurations, conversion_patch
from testbed.shipped_files import OURS, crd, presets

SERVED_WITHIN: Final = 600.0
"""Seconds; one or two are enough for a machine that has nothing else to do."""
KINDS: Final[Mapping[str, Kind]] = {
    kind.kind: kind
    for kind in (
        kinds.NAMESPACE,
        kinds.CONFIG_MAP,
        kinds.GATEWAY_CLASS,
        kinds.GATEWAY,
        kinds.CONFIG,
        kinds.CRD,
        kinds.VALIDATING_WEBHOOK,
        kinds.MUTATING_WEBHOOK,
    )
}


@dataclass(frozen=True, slots=True)
class Webhooks:
    """Where the program's webhook server is, and what proves it."""

    port: int
    certificates: Path

    @classmethod
    def in_folder(cls, folder: Path) -> "Webhooks":
        """A free port, and a new certificate in the folder."""
        return cls(processes.Ports.free().webhook, processes.write_certificates(folder))

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def bundle(self) -> str:
        """The CA, PEM in base64, as API objects carry it."""
        return base64.b64encode((self.certificates / "ca.crt").read_bytes()).decode()

    def settings(self, **more: Any) -> Settings:
        """The program serving these webhooks alone: no metrics page, no probes, no lease."""
        given = {
            "webhook_host": "127.0.0.1",
            "webhook_port": self.port,
            "cert_dir": self.certificates,
            "metrics_port": 0,
            "health_port": 0,
            "leader_election": False,
            "migration_strategy": "weighted",
            **more,
        }
        return Settings.model_validate(given)


@asynccontextmanager
async def client_for(kubeconfig: Path, *, agent: str = "user/1") -> AsyncIterator[Client]:
    config = await load_config(str(kubeconfig))
    client = Client(config.wire(user_agent=agent))
    try:
        yield client
    finally:
        with anyio.CancelScope(shield=True):
            await client.aclose()


@asynccontextmanager
async def running(settings: Settings, kubeconfig: Path) -> AsyncIterator[Application]:
    """The whole program in this event loop until the block ends; stopped as SIGTERM would."""
    application = Application(settings, await load_config(str(kubeconfig)))
    stop = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(application.run, stop)
        try:
            yield application
        finally:
            stop.set()


@contextlib.contextmanager
def each_namespace_alone() -> Iterator[None]:
    """Of a gateway that all name and that a test plays in many ways, each namespace hears only what its own routes say."""

    def heard(self: Hearsay, gateway: ObjectKey, apart_from: frozenset[ObjectKey]) -> Heard:
        here = {key.namespace for key in apart_from}
        return gather(
            lambda word: [key for key in self._routes.get(word, ()) if key.namespace in here],
            gateway,
            apart_from,
        )

    with patch.object(Hearsay, "heard", heard):
        yield


async def create(client: Client, *objects: Mapping[str, Any]) -> None:
    """Each where it belongs; what is there already stays. A server that has no time for it is asked again."""
    for obj in objects:

        async def created(obj: Mapping[str, Any] = obj) -> bool:
            try:
                await client.create(KINDS[obj["kind"]], obj["metadata"].get("namespace", ""), obj)
            except AlreadyExists:
                return True
            except (ServerUnavailable, TransportError):
                return False
            return True

        await until(created)


async def let_another_lead(client: Client) -> None:
    """Another process holds the lease: a program that wants to lead serves webhooks and nothing else."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": seed.SYSTEM_NAMESPACE}}
    await create(client, namespace)
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    name = Settings.model_validate({}).lease_name
    spec = {"holderIdentity": "another", "leaseDurationSeconds": 3600, "acquireTime": now, "renewTime": now}
    lease = {"apiVersion": kinds.LEASE.api_version, "kind": "Lease", "metadata": {"name": name}, "spec": spec}
    await client.create(kinds.LEASE, seed.SYSTEM_NAMESPACE, lease)


async def install_crds(client: Client, webhooks: Webhooks) -> None:
    """Our CRDs as shipped, their conversion pointed at the program."""
    clause = conversion_patch(webhooks.url, webhooks.bundle)["spec"]
    for plural in OURS:
        ours = crd(plural)
        await create(client, {**ours, "spec": {**ours["spec"], **clause}})
    for kind in (kinds.SERVICE, kinds.CONFIG, kinds.SERVICE_V1ALPHA1, kinds.CONFIG_V1ALPHA1):
        await until_served(client, kind)


async def install_admission(client: Client, webhooks: Webhooks, *, match_policy: str = "Exact") -> None:
    await create(client, *admission_configurations(webhooks.url, webhooks.bundle, match_policy=match_policy))


async def install_presets(client: Client) -> None:
    """The shipped ones, into the system namespace, as soon as the program serves its webhooks."""

    async def installed() -> bool:
        try:
            for preset in presets():
                metadata = {**preset["metadata"], "namespace": seed.SYSTEM_NAMESPACE}
                await create(client, {**preset, "metadata": metadata})
        except KubeError:
            return False
        return True

    await until(installed)


async def until_served(client: Client, kind: Kind) -> None:
    """A CRD is served a moment after it was created."""

    async def served() -> bool:
        try:
            await client.get_raw(kind.path())
        except NotFound:
            return False
        except KubeError:
            return True  # there, but not without its webhook
        return True

    await until(served)


async def until(claim: Callable[[], Awaitable[bool]], *, seconds: float = SERVED_WITHIN) -> None:
    """Asks every tenth of a second. Raises TimeoutError."""
    with anyio.fail_after(seconds):
        while not await claim():  # noqa: ASYNC110  a cluster tells nobody when a claim comes true
            await anyio.sleep(0.1)
