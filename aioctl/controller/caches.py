"""What is watched, and the stores behind it (WATCH-1, ENV-1).

Children are watched by label; objects of others that any plan may need (gateways, routes, pools, Services that shadow a
pool or stand behind a gateway) without ours; Secrets and ConfigMaps of others are never watched as a whole: the few that are
needed are read one by one (`live_reads.py`, `named_watches.py`), so that no replica holds every secret of the cluster.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import msgspec

from aioctl.api import kinds, names, weight
from aioctl.api.defaulting import is_stopped
from aioctl.api.kinds import Kind, ObjectKey, ObjectRef
from aioctl.api.names import has_our_labels
from aioctl.api.served_models import qualified_models
from aioctl.caching import LARGEST
from aioctl.engine.store import Delta, Store
from aioctl.kube.cached import Cached

CacheStore = Store[ObjectKey, Cached]
_INDEXED: Final = (names.NAME, names.SHADOW_POOL, names.GATEWAY_NAME, names.ROUTING_GROUP)
"""Labels that objects are looked up by, within their namespace."""
OURS: Final = f"{names.PART_OF}={names.PART_OF_VALUE}"


@dataclass(frozen=True, slots=True)
class Watched:
    """One list-and-watch: a kind and its selectors (the API's syntax; empty means all)."""

    kind: Kind
    labels: str = ""
    fields: str = ""
    namespace: str = ""
    metadata_only: bool = False
    """Nothing of an object but its metadata is asked for."""


def watched(system_namespace: str, signer: ObjectRef | None) -> tuple[Watched, ...]:
    """Every watch the controller keeps, our own kinds first."""
    children = (
        kinds.DEPLOYMENT,
        kinds.CORE_SERVICE,
        kinds.SECRET,
        kinds.SERVICE_ACCOUNT,
        kinds.ROLE,
        kinds.ROLE_BINDING,
        kinds.CLUSTER_ROLE_BINDING,
        kinds.POD,
        kinds.MODEL,
        kinds.LEADER_WORKER_SET,
        kinds.RESOURCE_CLAIM_TEMPLATE,
        kinds.AUTOSCALER,
        kinds.SCALED_OBJECT,
        kinds.DESTINATION_RULE,
        kinds.POD_MONITOR,
        kinds.SERVICE_MONITOR,
    )
    others = (
        kinds.HTTP_ROUTE,
        kinds.GATEWAY,
        kinds.GATEWAY_CLASS,
        kinds.POOL_V1,
        kinds.POOL_V1ALPHA2,
        kinds.LOCAL_MODEL_NAMESPACE_CACHE,
        kinds.LOCAL_MODEL_CACHE,
    )
    listed = [Watched(kinds.SERVICE), Watched(kinds.CONFIG)]
    listed += [Watched(kind, labels=OURS) for kind in children]
    listed += [Watched(kind) for kind in others]
    listed += [Watched(kinds.CORE_SERVICE, labels=label) for label in (names.SHADOW_POOL, names.GATEWAY_NAME)]
    listed.append(
        Watched(kinds.CONFIG_MAP, fields=f"metadata.name={names.CONFIG_MAP_NAME}", namespace=system_namespace)
    )
    # A CRD has megabytes; that it is another one is all that matters.
    listed.append(Watched(kinds.CRD, fields=f"metadata.name={kinds.SERVICE.resource}", metadata_only=True))
    if signer is not None:
        listed.append(
            Watched(kinds.SECRET, fields=f"metadata.name={signer.name}", namespace=signer.namespace)
        )
    return tuple(listed)


def _by_namespace(item: Cached) -> Iterable[str]:
    yield item.key.namespace


def _by_service_label(item: Cached) -> Iterable[tuple[str, str]]:
    for label in _INDEXED:
        if label in item.labels:
            yield item.key.namespace, item.labels[label]


def _by_running(item: Cached) -> Iterable[str]:
    """Of services: the namespace of one that runs. Few are stopped, so the annotation is looked for before it is read."""
    stopped = names.STOP.encode() in item.raw and is_stopped(weight.decode(item.raw))
    if not item.deleting and not stopped:
        yield item.key.namespace


class _Model(msgspec.Struct):
    name: str = ""


class _Lora(msgspec.Struct):
    adapters: list[_Model] | None = None


class _ServedModel(_Model):
    lora: _Lora | None = None


class _Spec(msgspec.Struct):
    model: _ServedModel | None = None


class _Address(msgspec.Struct):
    models: list[_Model] | None = None


class _Status(msgspec.Struct):
    addresses: list[_Address] | None = None


class _Service(msgspec.Struct):
    """What says by which names a service can be asked; the rest is not decoded."""

    metadata: dict[str, Any]
    spec: _Spec | None = None
    status: _Status | None = None


_service_decoder = msgspec.json.Decoder(_Service)


def _by_model(item: Cached) -> Iterable[tuple[str, ...]]:
    """Of services: (namespace, qualified name) for all that one can be asked for that is not being deleted, and the same with
    its group."""
    if item.deleting or item.text.size > LARGEST:
        return
    with suppress(msgspec.MsgspecError, RecursionError):
        service = msgspec.to_builtins(_service_decoder.decode(item.raw))
        group = item.labels.get(names.ROUTING_GROUP)
        for model in qualified_models(service):
            yield item.key.namespace, model
            if group:
                yield item.key.namespace, model, group


def _indexers(kind: Kind) -> dict[str, Callable[[Cached], Iterable[Hashable]]]:
    indexers: dict[str, Callable[[Cached], Iterable[Hashable]]] = {
        "namespace": _by_namespace,
        "service": _by_service_label,
    }
    if kind == kinds.SERVICE:
        return {**indexers, "running": _by_running, "model": _by_model}
    return indexers


class Caches:
    """The stores of all watches; reads never touch the network."""

    def __init__(self, watches: Iterable[Watched]) -> None:
        self.stores: Mapping[Watched, CacheStore] = {watch: Store(_indexers(watch.kind)) for watch in watches}
        self._by_kind: dict[Kind, list[tuple[Watched, CacheStore]]] = {}
        for watch, store in self.stores.items():
            self._by_kind.setdefault(watch.kind, []).append((watch, store))

    def holds(self, kind: Kind) -> bool:
        """True when the kind is watched at all."""
        return kind in self._by_kind

    def synced(self, kind: Kind) -> bool:
        """True when every watch of the kind has listed once."""
        for _, store in self._by_kind.get(kind, ()):  # noqa: SIM110  asked for everything that is absent, a hundred times a run
            if not store.synced:
                return False
        return True

    def get(self, kind: Kind, key: ObjectKey) -> Cached | None:
        """The object as last seen, from whichever watch holds it."""
        for _, store in self._by_kind.get(kind, ()):
            found = store.get(key)
            if found is not None:
                return found
        return None

    def select(self, kind: Kind, namespace: str, labels: Mapping[str, str]) -> Sequence[Cached]:
        """Objects of the namespace ('' = all) with all the labels, sorted by key."""
        found: dict[ObjectKey, Cached] = {}
        for _, store in self._by_kind.get(kind, ()):
            for item in self._candidates(store, namespace, labels):
                if has_our_labels(item.labels, labels):
                    found.setdefault(item.key, item)
        return [found[key] for key in sorted(found)]

    def service(self, key: ObjectKey) -> Cached | None:
        """One LLMInferenceService."""
        return self.get(kinds.SERVICE, key)

    def others_run(self, key: ObjectKey) -> bool:
        """Whether the namespace has another LLMInferenceService that is neither stopped nor being deleted."""
        return any(
            other != key
            for _, store in self._by_kind.get(kinds.SERVICE, ())
            for other in store.keys_by_index("running", key.namespace)
        )

    def namesakes(self, key: ObjectKey, group: str, models: Iterable[str]) -> list[str]:
        """Names of the namespace's other services that can be asked for one of these models; see `Observation.namesakes`.

        Asked at every look, and there may be hundreds: only their keys are gone through.
        """
        found: dict[str, None] = {}
        for _, store in self._by_kind.get(kinds.SERVICE, ()):
            for model in models:
                for other in store.keys_by_index("model", (key.namespace, model)):
                    if other != key and not (
                        group and store.carries("model", (key.namespace, model, group), other)
                    ):
                        found[other.name] = None
        return sorted(found)

    def services(self) -> Sequence[ObjectKey]:
        """Keys of all LLMInferenceServices."""
        return self.keys(kinds.SERVICE)

    def keys(self, kind: Kind) -> Sequence[ObjectKey]:
        """Keys of all objects of a kind, as often as watches hold them."""
        return [key for _, store in self._by_kind.get(kind, ()) for key in store.keys()]  # noqa: SIM118  a Store is no mapping

    def subscribe(self, handler: Callable[[Watched, Delta[ObjectKey, Cached]], None]) -> None:
        """Calls the handler with every change of every store."""
        for watch, store in self.stores.items():
            store.subscribe(partial(handler, watch))

    @staticmethod
    def _candidates(store: CacheStore, namespace: str, labels: Mapping[str, str]) -> Iterable[Cached]:
        if namespace:
            for label in _INDEXED:
                if label in labels:
                    return store.by_index("service", (namespace, labels[label]))
            return store.by_index("namespace", namespace)
        return store.values()
