"""What `aioctl check` looks at, read once: the installation as a whole, not its services one by one. Reads, and dry runs."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import anyio
import msgspec

from aioctl.api import kinds
from aioctl.api.kinds import Kind, ObjectKey
from aioctl.api.objects import Object, name_of, namespace_of
from aioctl.kube.errors import KubeError, NotFound
from aioctl.tools.connect import Connection, explain

CLUSTER_LISTS: Final = (
    kinds.CRD,
    kinds.VALIDATING_WEBHOOK,
    kinds.MUTATING_WEBHOOK,
    kinds.CLUSTER_ROLE,
    kinds.CLUSTER_ROLE_BINDING,
    kinds.DEPLOYMENT,
    kinds.CORE_SERVICE,
    kinds.CONFIG,
    kinds.SERVICE,
    kinds.GATEWAY,
    kinds.GATEWAY_CLASS,
)
OURS: Final = (kinds.SERVICE, kinds.SERVICE_V1ALPHA1, kinds.CONFIG, kinds.CONFIG_V1ALPHA1)
_decoder: Final = msgspec.json.Decoder(dict[str, Any])


@dataclass(frozen=True, slots=True)
class DryRun:
    """A create that changes nothing, through the API server and so through conversion and admission."""

    kind: Kind
    error: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Survey:
    """The facts of all checks. A kind that could not be listed is in `unread` and not in `objects`."""

    system_namespace: str
    lease_key: ObjectKey
    now: datetime
    version: str = ""
    objects: Mapping[Kind, Sequence[Object]] = field(default_factory=dict)
    lease: Object | None = None
    dry_runs: Sequence[DryRun] = ()
    unread: Mapping[str, str] = field(default_factory=dict)

    def all(self, kind: Kind) -> Sequence[Object]:
        """Everything of the kind; nothing where it could not be read."""
        return self.objects.get(kind, ())

    def named(self, kind: Kind, name: str, namespace: str = "") -> Object | None:
        """One object, None where it is not there."""
        return next(
            (obj for obj in self.all(kind) if name_of(obj) == name and namespace_of(obj) == namespace), None
        )

    def read(self, kind: Kind) -> bool:
        """Whether absence from `all` means absence from the cluster."""
        return kind in self.objects


async def survey(
    connection: Connection, *, system_namespace: str, lease: ObjectKey, dry_runs: bool = True
) -> Survey:
    """Reads everything. Raises nothing for what may not be read: that is told."""
    objects: dict[Kind, Sequence[Object]] = {}
    unread: dict[str, str] = {}
    found: dict[str, Any] = {}

    async def listed(kind: Kind) -> None:
        try:
            objects[kind] = [
                _decoder.decode(raw)
                async for page in connection.client.list_pages(kind)
                for raw in page.items
            ]
        except NotFound:
            objects[kind] = ()  # the kind is not served: the CRD's check says so
        except KubeError as error:
            unread[kind.resource] = explain(error, "list", kind, "", connection.server)

    async def version() -> None:
        try:
            found["version"] = str(
                _decoder.decode(await connection.client.get_raw("/version")).get("gitVersion", "")
            )
        except (KubeError, msgspec.MsgspecError) as error:
            unread["/version"] = f"cannot read the version of {connection.server}: {error}"

    async def lease_() -> None:
        try:
            found["lease"] = await connection.client.get(kinds.LEASE, lease.namespace, lease.name)
        except NotFound:
            return
        except KubeError as error:
            unread[kinds.LEASE.resource] = explain(
                error, "get", kinds.LEASE, lease.namespace, connection.server
            )

    async with anyio.create_task_group() as group:
        for kind in CLUSTER_LISTS:
            group.start_soon(listed, kind)
        group.start_soon(version)
        group.start_soon(lease_)
    # After the reads and one by one: their time is told.
    runs = [await _dry_run(connection, kind) for kind in OURS] if dry_runs else []
    return Survey(
        system_namespace,
        lease,
        datetime.now(UTC),
        found.get("version", ""),
        objects,
        found.get("lease"),
        runs,
        unread,
    )


async def _dry_run(connection: Connection, kind: Kind) -> DryRun:
    namespace = connection.namespace or "default"
    body = {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {"name": "aioctl-check-dry-run", "namespace": namespace},
        "spec": {"model": {"uri": "hf://facebook/opt-125m", "name": "dry-run"}},
    }
    began = time.monotonic()
    try:
        await connection.client.create(kind, namespace, body, dry_run=True)
    except KubeError as error:
        return DryRun(
            kind, explain(error, "create", kind, namespace, connection.server), time.monotonic() - began
        )
    return DryRun(kind, "", time.monotonic() - began)
