"""What the admission webhooks know of the cluster: everything comes from the caches, but for the end of a namespace.

All replicas keep the caches, so all judge alike. Judging itself is pure and in `api`; this module reads, and knows how to
say that something could not be read.
"""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, Final

import anyio
import msgspec
import structlog

from aioctl.api import kinds, names
from aioctl.api.config_admission import ConfigRules
from aioctl.api.config_use import uses
from aioctl.api.kinds import Kind, ObjectKey, Served
from aioctl.api.local_model import AS_SENT, DISABLED, NO_MARK, Mark, mark, names_model
from aioctl.api.names import CONFIG_MAP_NAME
from aioctl.api.objects import Object, annotations_of, dig, key_of, name_of, namespace_of
from aioctl.api.verdict import ApiErrorStatus
from aioctl.controller.caches import Caches
from aioctl.kube.client import Client
from aioctl.kube.errors import KubeError
from aioctl.plan.config import caches_models, parse_config
from aioctl.plan.config_check import check_config
from aioctl.plan.model import PlanError

log = structlog.get_logger(__name__)

_PATIENCE: Final = 2.0
"""Seconds for reading a namespace: less than the API server waits for the webhook."""
_TOLD: Final = 2
"""Users of a config that are looked for: the warning names one, and says whether there are others."""


class _Spec(msgspec.Struct):
    base_refs: Any = msgspec.field(default=None, name="baseRefs")


class _Status(msgspec.Struct):
    applied: Any = msgspec.field(default=None, name="appliedConfigs")
    annotations: Any = None


class _Service(msgspec.Struct):
    """What tells which configs a service uses; the rest is not decoded."""

    spec: _Spec | None = None
    status: _Status | None = None


_decode = msgspec.json.Decoder(_Service).decode


class Reviews:
    """What reviews ask, answered from one controller's caches."""

    def __init__(
        self,
        caches: Caches,
        client: Client,
        *,
        namespace: str,
        presence: Callable[[Kind], Served] = lambda _: Served.YES,
        well_known: frozenset[str] = names.WELL_KNOWN_CONFIGS,
        prevents_deletion: bool = True,
    ) -> None:
        """`namespace`: that of the ConfigMap and the presets. `client` reads it when something in it is deleted.

        `presence` tells whether a kind is served; a kind that is not has an empty cache.
        """
        self._caches = caches
        self._client = client
        self._presence = presence
        self._namespace = namespace
        self._terminating = False
        self._read: tuple[str | None, bool] = None, False
        """Version of the ConfigMap that was read last, and what it says of caches."""
        self._logged = "", ""
        self.config_rules = ConfigRules(
            check=self._check,
            users=self._users,
            terminating=lambda asked: self._terminating and asked == namespace,
            well_known=well_known,
            system_namespace=namespace,
            prevents_deletion=prevents_deletion,
        )

    async def before_deletion(self, namespace: str) -> None:
        """Looks whether the system namespace is being deleted, if the object that somebody deletes is in it.

        Where that cannot be told, it counts as staying, and well-known configs are protected.
        """
        if namespace != self._namespace:
            return
        self._terminating = False
        try:
            with anyio.fail_after(_PATIENCE):
                found = await self._client.get(kinds.NAMESPACE, "", namespace)
        except (KubeError, TimeoutError) as error:
            log.warning("namespace cannot be read", namespace=namespace, error=str(error))
            return
        self._terminating = dig(found, "metadata", "deletionTimestamp") is not None

    def marker(self, service: Object) -> Mark | None:
        """The cache that holds the model of a service that is written (LM-1); None where that cannot be told (LM-2).

        Without a model there is nothing to tell, whatever the settings are.
        """
        if not names_model(service):
            return AS_SENT
        active = self._caches_models()
        if not active or DISABLED in annotations_of(service):
            return None if active is None else NO_MARK
        kinds_of_caches = (kinds.LOCAL_MODEL_NAMESPACE_CACHE, kinds.LOCAL_MODEL_CACHE)
        unknown = [kind.plural for kind in kinds_of_caches if not self._caches.synced(kind)]
        if unknown:
            self._untold("caches of models are not known", ", ".join(unknown))
            return None
        if all(self._presence(kind) is Served.NO for kind in kinds_of_caches):
            self._untold("no kind of caches of models is served", kinds.LOCAL_MODEL_CACHE.plural)
            return None
        namespace = namespace_of(service)
        found = (
            item.decode()
            for kind in kinds_of_caches
            for item in self._caches.select(kind, namespace if kind.namespaced else "", {})
        )
        noted = mark(service, found)
        if noted is None:
            self._untold("a cache of models has no groups of nodes", f"{namespace}/{name_of(service)}")
        return noted

    def _caches_models(self) -> bool | None:
        """Whether models may come from a cache; None where the ConfigMap cannot be read."""
        cached = self._caches.get(kinds.CONFIG_MAP, ObjectKey(self._namespace, CONFIG_MAP_NAME))
        version = None if cached is None else cached.resource_version
        if version is None or version != self._read[0]:
            try:
                active = caches_models(settings_map(self._caches, self._namespace))
            except (ApiErrorStatus, PlanError) as error:
                self._untold("the ConfigMap cannot be read", str(error))
                return None
            self._read = version, active
        return self._read[1]

    def _untold(self, why: str, what: str) -> None:
        """Logs, once for each reason in a row, why no cache was chosen."""
        if (why, what) != self._logged:
            self._logged = why, what
            log.warning("no model cache is chosen", why=why, what=what)

    def _check(self, config: Object) -> None:
        """The configuration loads and the templates render (ADM-5)."""
        check_config(config, parse_config(settings_map(self._caches, self._namespace), self._namespace))

    def _users(self, config: Object) -> Sequence[ObjectKey]:
        """The first services that use the config (ADM-8): enough to say so."""
        key = key_of(config)
        everywhere = key.namespace == self._namespace
        well_known = key.name in self.config_rules.well_known
        word = key.name.encode()
        found = (
            item.key
            for item in self._caches.select(kinds.SERVICE, "" if everywhere else key.namespace, {})
            if well_known or (word in (raw := item.raw) and self._uses(item.key, raw, key))
        )
        return tuple(islice(found, _TOLD))

    def _uses(self, service: ObjectKey, raw: bytes, config: ObjectKey) -> bool:
        try:
            parts = _decode(raw)
        except msgspec.DecodeError:
            return False  # a spec or status that is no object names nothing
        spec, status = parts.spec or _Spec(), parts.status or _Status()
        looked_at = {
            "metadata": {"namespace": service.namespace},
            "spec": {"baseRefs": spec.base_refs},
            "status": {"appliedConfigs": status.applied, "annotations": status.annotations},
        }
        return uses(
            looked_at,
            config,
            system_namespace=self._namespace,
            well_known=False,
            exists=lambda other: self._caches.get(kinds.CONFIG, other) is not None,
        )


def settings_map(caches: Caches, namespace: str) -> Object:
    """The ConfigMap `inferenceservice-config` for admission.

    Raises ApiErrorStatus with the status of a read that fails: 404 where it is missing (ADM-5), and 503
    while a program that has just started does not know.
    """
    cached = caches.get(kinds.CONFIG_MAP, ObjectKey(namespace, CONFIG_MAP_NAME))
    if cached is not None:
        return cached.decode()
    name = f'{kinds.CONFIG_MAP.resource} "{CONFIG_MAP_NAME}"'
    code, reason, message = (
        (404, "NotFound", f"{name} not found")
        if caches.synced(kinds.CONFIG_MAP)
        else (503, "ServiceUnavailable", f"{name} is not read yet")
    )
    raise ApiErrorStatus(
        {
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            "details": {"name": CONFIG_MAP_NAME, "kind": kinds.CONFIG_MAP.plural},
            "code": code,
        }
    )
