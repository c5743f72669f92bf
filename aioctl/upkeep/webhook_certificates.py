"""Certificates without cert-manager: keeps the Secret, serves what it holds, tells the API server whom to trust.

Every replica runs this loop, leader or not: the webhooks have to work before there is a leader. Whoever is first creates
the Secret; after that the rotation's steps are single writes guarded by the resourceVersion, so that any replica may
take them. When a step is due is decided in `webhook_rotation`. CA bundles are written only where they differ. Objects
that are not there (yet) are no obstacle; entries that point at somebody else's Service are left alone.

The API server may take many seconds over the write of a large CRD. So a second loop serves what the Secret holds without
waiting for that, and a bundle is written only while the Secret it comes from is the present one and the object is as
read: a replica that was held up cannot put an old bundle back over the new leaf.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final, Protocol

import anyio
import msgspec
import structlog
from anyio.abc import TaskStatus

from aioctl.api.kinds import (
    CONFIG,
    CRD,
    MUTATING_WEBHOOK,
    SECRET,
    SERVICE,
    VALIDATING_WEBHOOK,
    Kind,
    ObjectRef,
)
from aioctl.api.objects import FieldError, dig, labels_of, mapping, resource_version_of, sequence, text
from aioctl.engine.clock import Clock
from aioctl.kube.client import JSON_PATCH, METADATA_ONLY
from aioctl.kube.errors import AlreadyExists, Conflict, KubeError, NotFound
from aioctl.upkeep.webhook_rotation import (
    RotationPolicy,
    RotationState,
    RotationStep,
    advance,
    decide,
    from_secret_data,
    new_generation,
    to_secret_data,
)

INTERVAL: Final = 30.0
"""Seconds between two looks; less where the overlap is short, because every replica has to look several times in it."""
RETRY: Final = 2.0
"""Seconds until the next look after an error."""
REMINDER: Final = 3600.0
"""Seconds after which an error that lasts is told again: it hurts when the certificate ends, months later."""
_AFTER_CONFLICT: Final = 0.1
_LOOKS_PER_OVERLAP: Final = 4
_MANAGED_BY: Final = "app.kubernetes.io/managed-by"
_US: Final = "aioctl"

TARGETS: Final = (
    ObjectRef(CRD, "", SERVICE.resource),
    ObjectRef(CRD, "", CONFIG.resource),
    ObjectRef(VALIDATING_WEBHOOK, "", "llminferenceservice.serving.kserve.io"),
    ObjectRef(VALIDATING_WEBHOOK, "", "llminferenceserviceconfig.serving.kserve.io"),
    ObjectRef(MUTATING_WEBHOOK, "", "llminferenceservice.serving.kserve.io"),
)
"""Whoever calls our webhooks (CRD-2, ADM-1)."""

log = structlog.get_logger(__name__)


class CertificateApi(Protocol):
    """What this loop needs of an API server; `kube.client.Client` is one."""

    async def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any]: ...

    async def get_raw(
        self, path: str, *, query: tuple[tuple[str, str], ...] = (), accept: str = ...
    ) -> bytes: ...

    async def create(self, kind: Kind, namespace: str, body: Mapping[str, Any]) -> dict[str, Any]: ...

    async def update(self, kind: Kind, body: Mapping[str, Any]) -> dict[str, Any]: ...

    async def patch(
        self, kind: Kind, namespace: str, name: str, body: list[Any], *, content_type: str = ...
    ) -> dict[str, Any]: ...


class _Overtaken(Exception):
    """Another replica has taken a step since the Secret was read."""


class SecretNotOurs(ValueError):
    """The Secret holds something that somebody else has made; it is not overwritten."""


def service_names(service: str, namespace: str, domain: str) -> tuple[str, ...]:
    """The names under which the webhook Service is called; the API server uses the first."""
    return (
        f"{service}.{namespace}.svc",
        f"{service}.{namespace}.svc.{domain}",
        f"{service}.{namespace}",
        service,
    )


class _Metadata(msgspec.Struct):
    uid: str = ""
    generation: int = 0


class _Partial(msgspec.Struct):
    metadata: _Metadata


class ShownCertificate(Protocol):
    """The certificate that the webhook server shows."""

    def offer(self, crt: bytes, key: bytes) -> bool:
        """Takes a pair, PEM, for new connections; False when it is of no use, and the old one stays."""
        ...


class WebhookCertificates:
    """Owns the Secret `namespace/secret` and feeds `live`."""

    def __init__(
        self,
        api: CertificateApi,
        live: ShownCertificate,
        *,
        namespace: str,
        secret: str,
        service: str,
        domain: str,
        overlap: float,
        clock: Clock,
        targets: Sequence[ObjectRef] = TARGETS,
    ) -> None:
        """`overlap` in seconds; `service` is the Service that clients call, in the same namespace."""
        self._api = api
        self._live = live
        self._namespace = namespace
        self._secret = secret
        self._service = service
        self._clock = clock
        self._targets = targets
        self._policy = RotationPolicy(service_names(service, namespace, domain), timedelta(seconds=overlap))
        self._interval = min(INTERVAL, overlap / _LOOKS_PER_OVERLAP)
        self._seen: dict[ObjectRef, tuple[_Metadata, bytes]] = {}

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Looks until cancelled; started after the first look, whether it succeeded or not."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._follow)
            await self._keep(task_status)

    async def _follow(self) -> None:
        """Serves what the Secret holds; what is wrong with it, `look` says."""
        while True:
            await anyio.sleep(self._interval)
            with suppress(KubeError, FieldError):
                secret = await self._api.get(SECRET, self._namespace, self._secret)
                state = from_secret_data(mapping(secret, "data"))
                if not isinstance(state, str):
                    self._live.offer(state.current.leaf.crt, state.current.leaf.key)

    async def _keep(self, task_status: TaskStatus[None]) -> None:
        started, told, again = False, "", 0.0
        while True:
            try:
                pause = 0.0 if await self.look() else self._interval
                told = ""
            except (Conflict, _Overtaken):
                pause = _AFTER_CONFLICT  # another replica was faster: see what it did
            except (KubeError, SecretNotOurs, FieldError) as error:
                news = str(error) != told or anyio.current_time() >= again
                say = log.warning if news else log.debug
                say("webhook certificates cannot be kept", error=str(error))
                if news:
                    told, again = str(error), anyio.current_time() + REMINDER
                pause = min(RETRY, self._interval)
            if not started:
                started = True
                task_status.started()
            await anyio.sleep(pause)

    async def look(self) -> bool:
        """One look: load the Secret, serve it, spread its bundle, take the next step. True: look again at once.

        Raises the tree of `kube.errors`, and SecretNotOurs.
        """
        secret = await self._read_or_create()
        state = self._state_of(secret)
        if state is None or not self._live.offer(state.current.leaf.crt, state.current.leaf.key):
            await self._write(secret, RotationState(new_generation(self._clock.now(), self._policy)))
            return True
        trusted = await self._spread(secret, state.bundle)
        step = decide(state, self._clock.now(), self._policy, trusted=trusted)
        if step is RotationStep.KEEP:
            return False
        log.info("webhook certificates", step=step.value)
        await self._write(secret, advance(state, step, self._clock.now(), self._policy))
        return True

    async def _read_or_create(self) -> dict[str, Any]:
        try:
            return await self._api.get(SECRET, self._namespace, self._secret)
        except NotFound:
            pass
        state = RotationState(new_generation(self._clock.now(), self._policy))
        body = {
            "apiVersion": SECRET.api_version,
            "kind": SECRET.kind,
            "metadata": {
                "name": self._secret,
                "namespace": self._namespace,
                "labels": {_MANAGED_BY: _US},
            },
            "type": "kubernetes.io/tls",
            "data": to_secret_data(state),
        }
        try:
            return await self._api.create(SECRET, self._namespace, body)
        except AlreadyExists:
            return await self._api.get(SECRET, self._namespace, self._secret)

    def _state_of(self, secret: Mapping[str, Any]) -> RotationState | None:
        """What the Secret holds; None when it holds nothing usable and may be filled. Raises SecretNotOurs."""
        data = mapping(secret, "data")
        state = from_secret_data(data)
        if not isinstance(state, str):
            return state
        if any(data.values()) and labels_of(secret).get(_MANAGED_BY) != _US:
            raise SecretNotOurs(
                f"Secret {self._namespace}/{self._secret} was not made by aioctl ({state}): "
                "set AIOCTL_CERT_MODE=files to serve it from a mount, or AIOCTL_CERT_SECRET to another name"
            )
        log.warning("webhook certificates are made anew", secret=self._secret, problem=state)
        return None

    async def _write(self, secret: Mapping[str, Any], state: RotationState) -> None:
        metadata = {**secret["metadata"], "labels": {**labels_of(secret), _MANAGED_BY: _US}}
        await self._api.update(SECRET, {**secret, "metadata": metadata, "data": to_secret_data(state)})

    async def _spread(self, secret: Mapping[str, Any], bundle: bytes) -> bool:
        """Writes the Secret's bundle where it is missing. True when it was everywhere already. Raises _Overtaken."""
        untouched = True
        for target in self._targets:
            try:
                untouched = await self._spread_to(target, secret, bundle) and untouched
            except NotFound:
                self._seen.pop(target, None)
        return untouched

    async def _spread_to(self, target: ObjectRef, secret: Mapping[str, Any], bundle: bytes) -> bool:
        # A CRD has 0.7 MB; its metadata alone say whether anything but status has changed since it was in order.
        raw = await self._api.get_raw(target.kind.path("", target.name), accept=METADATA_ONLY)
        try:
            metadata = msgspec.json.decode(raw, type=_Partial).metadata
        except msgspec.MsgspecError as error:
            raise KubeError(f"the answer is no {target.kind.kind}: {error}") from error
        if self._seen.get(target) == (metadata, bundle):
            return True
        obj = await self._api.get(target.kind, "", target.name)
        patch = bundle_patch(obj, bundle, self._service, self._namespace)
        if not patch:
            self._seen[target] = (metadata, bundle)
            return True
        # In this order: whoever takes a step after this look at the Secret meets the object as it is here, or makes us fail.
        present = await self._api.get(SECRET, self._namespace, self._secret)
        if resource_version_of(present) != resource_version_of(secret):
            raise _Overtaken
        guard = {"op": "replace", "path": "/metadata/resourceVersion", "value": resource_version_of(obj)}
        await self._api.patch(target.kind, "", target.name, [guard, *patch], content_type=JSON_PATCH)
        log.info("CA bundle written", kind=target.kind.kind, name=target.name)
        return False


def bundle_patch(obj: Mapping[str, Any], bundle: bytes, service: str, namespace: str) -> list[dict[str, Any]]:
    """The JSON patch that puts the bundle into every client configuration that calls us; empty if it is there already.

    `obj` is a CustomResourceDefinition or a webhook configuration. A configuration with a `url` counts as ours.
    """
    patch: list[dict[str, Any]] = []
    if obj.get("kind") == CRD.kind:
        config = dig(obj, "spec", "conversion", "webhook", "clientConfig")
        if _needs(config, bundle, service, namespace):
            patch.append(_put("/spec/conversion/webhook/clientConfig/caBundle", bundle))
        return patch
    for index, webhook in enumerate(sequence(obj, "webhooks")):
        if _needs(dig(webhook, "clientConfig"), bundle, service, namespace):
            # The list may have been reordered since it was read.
            patch.append({"op": "test", "path": f"/webhooks/{index}/name", "value": text(webhook, "name")})
            patch.append(_put(f"/webhooks/{index}/clientConfig/caBundle", bundle))
    return patch


def _needs(config: Any, bundle: bytes, service: str, namespace: str) -> bool:
    if not isinstance(config, Mapping):
        return False
    called = config.get("service")
    if called is not None and (text(called, "name"), text(called, "namespace")) != (service, namespace):
        return False
    try:
        return base64.b64decode(text(config, "caBundle"), validate=True) != bundle
    except binascii.Error:
        return True


def _put(path: str, bundle: bytes) -> dict[str, Any]:
    return {"op": "add", "path": path, "value": base64.b64encode(bundle).decode()}
