"""What `aioctl check` looks at, read once: the installation as a whole, not its services one by one. Reads, and dry runs."""

import base64
import binascii
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import anyio
import msgspec

from aioctl import shipped
from aioctl.api import kinds
from aioctl.api.kinds import Kind, ObjectKey
from aioctl.api.objects import Object, dig, name_of, namespace_of, sequence
from aioctl.kube.errors import Forbidden, KubeError, NotFound
from aioctl.pki.pairs import read_certificate
from aioctl.tools.checks.permissions import Account, Permission, account_of, permissions
from aioctl.tools.connect import Connection, explain

LISTS: Final = (
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
    kinds.HTTP_ROUTE,
    kinds.POOL_V1,
    kinds.POOL_V1ALPHA2,
)
OURS: Final = (kinds.SERVICE, kinds.SERVICE_V1ALPHA1, kinds.CONFIG, kinds.CONFIG_V1ALPHA1)
REVIEW: Final = Kind(
    "authorization.k8s.io", "v1", "SubjectAccessReview", "subjectaccessreviews", namespaced=False
)
_PARALLEL: Final = 8
_decoder: Final = msgspec.json.Decoder(dict[str, Any])


@dataclass(frozen=True, slots=True)
class DryRun:
    """A create that changes nothing, through the API server and so through conversion and admission."""

    kind: Kind
    error: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Served:
    """What the webhook server shows. `name`: by which the API server calls it; `chain`: PEM, empty where there is none."""

    secret: ObjectKey
    name: str
    chain: bytes

    def expired(self, now: datetime) -> bool:
        parsed = read_certificate(self.chain)
        return not isinstance(parsed, str) and parsed.not_after <= now


@dataclass(frozen=True, slots=True)
class Installed:
    """Where things are to be. `secret`: with the certificate of the webhook server; None where no Secret has it."""

    namespace: str
    lease: ObjectKey
    secret: ObjectKey | None = None
    service: str = "aioctl-webhook"

    @property
    def server_name(self) -> str:
        return f"{self.service}.{self.namespace}.svc"


@dataclass(frozen=True, slots=True)
class Survey:
    """The facts of all checks. A kind that could not be listed is in `unread` and not in `objects`."""

    system_namespace: str
    lease_key: ObjectKey
    now: datetime
    version: str = ""
    objects: Mapping[Kind, Sequence[Object]] = field(default_factory=dict)
    leases: Sequence[Object] = ()
    """Every lease of the controller's name, in whatever namespace."""
    dry_runs: Sequence[DryRun] = ()
    unread: Mapping[str, str] = field(default_factory=dict)
    broken: Collection[str] = frozenset()
    """Of `unread`, what nobody forbids: the API server failed."""
    served: Served | None = None
    denied: Sequence[Permission] | None = None
    """What the API server says the controller's account may not do; None where it was not asked."""
    settings_map: Object | None = None
    """The ConfigMap inferenceservice-config."""

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

    @property
    def lease(self) -> Object | None:
        """That of this installation."""
        return next((one for one in self.leases if namespace_of(one) == self.lease_key.namespace), None)


async def survey(connection: Connection, installed: Installed, *, calls: bool = True) -> Survey:
    """Reads everything. Raises nothing for what may not be read: that is told.

    `calls`: creates objects as dry runs, and asks about the controller's account.
    """
    reading = _Reading(connection, installed)
    async with anyio.create_task_group() as group:
        for kind in LISTS:
            group.start_soon(reading.list, kind)
        group.start_soon(reading.version)
        group.start_soon(reading.leases)
        group.start_soon(reading.settings_map)
        if installed.secret is not None:
            group.start_soon(reading.certificate, installed.secret)
    account = account_of(reading.objects.get(kinds.DEPLOYMENT, ()))
    denied = await reading.denied(account) if calls and account is not None else None
    # After the reads and one by one: their time is told.
    runs = [await _dry_run(connection, kind) for kind in OURS] if calls else []
    found = reading.found
    return Survey(
        installed.namespace,
        installed.lease,
        datetime.now(UTC),
        found.get("version", ""),
        reading.objects,
        found.get("leases", ()),
        runs,
        reading.unread,
        frozenset(reading.broken),
        found.get("served"),
        denied,
        found.get("settings_map"),
    )


class _Reading:
    """What has been read so far."""

    def __init__(self, connection: Connection, installed: Installed) -> None:
        self._connection, self._client, self._installed = connection, connection.client, installed
        self.objects: dict[Kind, Sequence[Object]] = {}
        self.unread: dict[str, str] = {}
        self.broken: set[str] = set()
        self.found: dict[str, Any] = {}

    async def list(self, kind: Kind) -> None:
        try:
            self.objects[kind] = await self._listed(kind)
        except NotFound:
            self.objects[kind] = ()  # the kind is not served: the CRD's check says so
        except KubeError as error:
            self._cannot("list", kind, "", error)

    def _cannot(self, verb: str, kind: Kind, namespace: str, error: KubeError) -> None:
        self.unread[kind.resource] = explain(error, verb, kind, namespace, self._connection.server)
        if not isinstance(error, Forbidden):
            self.broken.add(kind.resource)

    async def _listed(self, kind: Kind, fields: str = "") -> Sequence[Object]:
        return [
            _decoder.decode(raw)
            async for page in self._client.list_pages(kind, fields=fields)
            for raw in page.items
        ]

    async def version(self) -> None:
        try:
            answer = _decoder.decode(await self._client.get_raw("/version"))
            self.found["version"] = str(answer.get("gitVersion", ""))
        except (KubeError, msgspec.MsgspecError) as error:
            self.unread["/version"] = f"cannot read the version of {self._connection.server}: {error}"
            if not isinstance(error, Forbidden):
                self.broken.add("/version")

    async def leases(self) -> None:
        try:
            self.found["leases"] = await self._listed(
                kinds.LEASE, f"metadata.name={self._installed.lease.name}"
            )
        except KubeError as error:
            self._cannot("list", kinds.LEASE, "", error)

    async def settings_map(self) -> None:
        namespace = self._installed.namespace
        try:
            self.found["settings_map"] = await self._client.get(
                kinds.CONFIG_MAP, namespace, "inferenceservice-config"
            )
        except NotFound:
            return
        except KubeError as error:
            self._cannot("get", kinds.CONFIG_MAP, namespace, error)

    async def certificate(self, secret: ObjectKey) -> None:
        """Keeps the certificate, and not the key."""
        try:
            found = await self._client.get(kinds.SECRET, *secret)
        except NotFound:
            found = {}
        except KubeError as error:
            self._cannot("get", kinds.SECRET, secret.namespace, error)
            return
        try:
            chain = base64.b64decode(str(dig(found, "data", "tls.crt") or ""))
        except (binascii.Error, ValueError):
            chain = b""
        self.found["served"] = Served(secret, self._installed.server_name, chain)

    async def denied(self, account: Account) -> Sequence[Permission] | None:
        """What the shipped roles give and the account may not do, by SubjectAccessReview; None where that may not be asked."""
        limit = anyio.CapacityLimiter(_PARALLEL)
        found: list[Permission] = []
        failed: list[KubeError] = []

        async def ask(permission: Permission) -> None:
            async with limit:
                if failed:
                    return
                try:
                    answer = await self._client.create(REVIEW, "", account.review(permission))
                except KubeError as error:
                    failed.append(error)
                    return
                if not dig(answer, "status", "allowed"):
                    found.append(permission)

        first, *rest = permissions(shipped.roles(), account.namespace)
        await ask(first)  # one alone: where it may not be asked, one refusal says so
        async with anyio.create_task_group() as group:
            for permission in rest:
                group.start_soon(ask, permission)
        if failed:
            if isinstance(failed[0], Forbidden):
                self.unread[REVIEW.resource] = (
                    f"{explain(failed[0], 'create', REVIEW, '', self._connection.server)}; "
                    f"what {account} may do is read from its roles instead"
                )
            return None
        return sorted(found)


async def _dry_run(connection: Connection, kind: Kind) -> DryRun:
    namespace = connection.namespace or "default"
    body = {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {"name": "aioctl-check-dry-run", "namespace": namespace},
        "spec": {"model": {"uri": "hf://facebook/opt-125m", "name": "dry-run"}},
    }
    began = anyio.current_time()
    try:
        await connection.client.create(kind, namespace, body, dry_run=True)
    except KubeError as error:
        return DryRun(
            kind, explain(error, "create", kind, namespace, connection.server), anyio.current_time() - began
        )
    return DryRun(kind, "", anyio.current_time() - began)


def mounted_secret(deployment: Object | None, folder: str) -> str:
    """The Secret that a container of the Deployment has at the folder; empty where none is mounted there."""
    pod = dig(deployment, "spec", "template", "spec")
    volumes = {
        str(dig(mount, "name"))
        for container in sequence(pod or {}, "containers")
        for mount in sequence(container, "volumeMounts")
        if str(dig(mount, "mountPath") or "").rstrip("/") == folder.rstrip("/")
    }
    return next(
        (
            str(dig(volume, "secret", "secretName") or "")
            for volume in sequence(pod or {}, "volumes")
            if dig(volume, "name") in volumes
        ),
        "",
    )
