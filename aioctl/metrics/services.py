"""Series of single services, under the names and labels that KServe gives them; only the leader has them (SERIES-1).

A service has about fifty. So their number is bounded: beyond `limit` services, those that are not Ready have theirs first. They
are made when the page is asked for, from the caches, and kept as text until the service or one of its workloads changes.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.core import GaugeMetricFamily, Metric

from aioctl.api import accelerator, kinds, names, weight
from aioctl.api.conditions import READY, TRUE
from aioctl.api.defaulting import is_stopped
from aioctl.api.kinds import ObjectKey
from aioctl.api.objects import FieldError, dig, integer, mapping, sequence
from aioctl.controller.caches import Caches
from aioctl.kube.cached import Cached
from aioctl.metrics.shared import exposed

STATUSES: Final = ("true", "false", "unknown")
COMPONENTS: Final = ("primary", "prefill", "scheduler")
FAMILIES: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "llmisvc_condition_status": (
        "Conditions of single services: 1 for the status that each has, 0 for the two others.",
        ("llmisvc_name", "namespace", "condition_type", "status"),
    ),
    "llmisvc_workload_replicas_ready": (
        "Ready replicas of single services by component: primary, prefill or scheduler.",
        ("llmisvc_name", "namespace", "component_type"),
    ),
    "kserve_llminferenceservice_info": (
        "Value 1 for each service that is not stopped: its accelerator (gpu, cpu or unknown) and model.",
        ("namespace", "name", "accelerator", "model_name", "model_uri"),
    ),
}
"""Names, labels and values: KServe pull requests 6177 and 6232. The order is that of `_Text.parts`."""
_WORKLOADS: Final = (kinds.DEPLOYMENT, kinds.LEADER_WORKER_SET)
_SLICE: Final = 64
"""Services that are looked at in one step of the page where nothing has to be made."""

Versions = tuple[str, ...]


@dataclass(slots=True)
class _Text:
    """The series of one service, a part for each family, and of which versions they tell."""

    versions: Versions
    ready: bool
    parts: tuple[bytes, ...] = ()
    """Made when the service is shown first: beyond the bound nobody needs them."""


class ServiceSeries:
    """Renders `pieces` of the page. `limit`: services that have series of their own, at most; 0: none."""

    def __init__(self, registry: CollectorRegistry, limit: int) -> None:
        self._limit = limit
        self._caches: Caches | None = None
        self._leads: Callable[[], bool] = lambda: False
        self._known: dict[ObjectKey, _Text] = {}
        Gauge(
            "aioctl_services_without_series",
            "Services that have no series of their own, because there are more than AIOCTL_SERVICE_SERIES.",
            registry=registry,
        ).set_function(lambda: max(0, len(self._keys()) - self._limit))

    def watch(self, caches: Caches, leads: Callable[[], bool]) -> None:
        """Where the services are read from, and who is asked whether this process leads."""
        self._caches, self._leads = caches, leads

    def pieces(self) -> Iterator[bytes]:
        """The families one after another, in steps that make the text of one service at most."""
        chosen: list[_Text] = []
        yield from self._chosen(chosen)
        for number, (name, (text, _)) in enumerate(FAMILIES.items()):
            yield f"# HELP {name} {text}\n# TYPE {name} gauge\n".encode()
            for start in range(0, len(chosen), _SLICE):
                yield b"".join(one.parts[number] for one in chosen[start : start + _SLICE])

    def _keys(self) -> list[ObjectKey]:
        if self._caches is None or not self._leads():
            return []
        return sorted(self._caches.services())

    def _chosen(self, chosen: list[_Text]) -> Iterator[bytes]:
        """Fills `chosen` with the texts that are shown, the services that are not Ready first; yields nothing to show."""
        found: dict[ObjectKey, _Text] = {}
        for key in self._keys() if self._limit else []:
            text = self._text(key)
            if text is not None:
                found[key] = text
            yield b""
        self._known = found
        shown = sorted(found, key=lambda key: (found[key].ready, key))[: self._limit]
        for key in sorted(shown):
            text = found[key]
            if not text.parts:
                text.parts = self._parts(key)
                yield b""
            chosen.append(text)

    def _text(self, key: ObjectKey) -> _Text | None:
        """What is known of it, or whether it is Ready now; None when the service has just gone or cannot be read."""
        assert self._caches is not None  # noqa: S101  keys come from them
        cached = self._caches.service(key)
        if cached is None:
            return None
        versions = (cached.resource_version, *(one.resource_version for one in self._workloads(key)))
        known = self._known.get(key)
        if known is not None and known.versions == versions:
            return known
        try:
            return _Text(versions, (READY, TRUE.lower()) in _conditions(weight.decode(cached.raw)))
        except FieldError:
            return None

    def _parts(self, key: ObjectKey) -> tuple[bytes, ...]:
        """Of a service that can be read; empty ones where it cannot after all, or has just gone."""
        assert self._caches is not None  # noqa: S101  keys come from them
        cached = self._caches.service(key)
        if cached is None:
            return (b"",) * len(FAMILIES)
        service = weight.decode(cached.raw)
        try:
            info = _info(cached, service, [one.decode() for one in self._workloads(key)])
            replicas = _replicas(key, service)
        except FieldError:
            return (b"",) * len(FAMILIES)
        return tuple(map(_series, (_statuses(key, _conditions(service)), replicas, info)))

    def _workloads(self, key: ObjectKey) -> list[Cached]:
        assert self._caches is not None  # noqa: S101  keys come from them
        return [
            workload
            for kind in _WORKLOADS
            for workload in self._caches.select(kind, key.namespace, {names.NAME: key.name})
            if workload.labels.get(names.COMPONENT, "").startswith("llminferenceservice-workload")
        ]


def _conditions(service: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Type and status of each, the status in lower case. Raises FieldError."""
    return [
        (str(entry.get("type", "")), str(entry.get("status", "")).lower())
        for entry in sequence(service, "status", "conditions")
        if isinstance(entry, Mapping)
    ]


def _family(name: str) -> GaugeMetricFamily:
    text, labels = FAMILIES[name]
    return GaugeMetricFamily(name, text, labels=labels)


def _statuses(key: ObjectKey, conditions: list[tuple[str, str]]) -> Metric:
    family = _family("llmisvc_condition_status")
    for type_, has in conditions:
        for status in STATUSES if has in STATUSES else ():
            family.add_metric([key.name, key.namespace, type_, status], float(status == has))
    return family


def _replicas(key: ObjectKey, service: Mapping[str, Any]) -> Metric:
    family = _family("llmisvc_workload_replicas_ready")
    for component in COMPONENTS:
        if mapping(service, "status", "workloads", component):
            ready = integer(service, "status", "workloads", component, "readyReplicas") or 0
            family.add_metric([key.name, key.namespace, component], ready)
    return family


def _info(cached: Cached, service: Mapping[str, Any], workloads: list[dict[str, Any]]) -> Metric:
    """Nothing for a service that is stopped or being deleted. What runs says the accelerator; before that the spec does."""
    family = _family("kserve_llminferenceservice_info")
    if cached.deleting or is_stopped(service):
        return family
    templates = [spec for workload in workloads for spec in _pod_specs(workload)] or [
        spec
        for part in (mapping(service, "spec"), mapping(service, "spec", "prefill"))
        for name in ("template", "worker")
        if (spec := mapping(part, name))
    ]
    key, model = cached.key, mapping(service, "spec", "model")
    labels = [str(model.get("name") or key.name), str(model.get("uri") or "")]
    family.add_metric([key.namespace, key.name, accelerator.accelerator(templates), *labels], 1)
    return family


def _pod_specs(workload: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Of a Deployment, or of both templates of a LeaderWorkerSet."""
    paths = (
        ("spec", "template", "spec"),
        ("spec", "leaderWorkerTemplate", "leaderTemplate", "spec"),
        ("spec", "leaderWorkerTemplate", "workerTemplate", "spec"),
    )
    for path in paths:
        if isinstance(found := dig(workload, *path), Mapping):
            yield found


def _series(family: Metric) -> bytes:
    """The family's lines without those about it, which stand on the page once."""
    lines = exposed(family).split(b"\n")
    return b"".join(line + b"\n" for line in lines if line and not line.startswith(b"#"))
