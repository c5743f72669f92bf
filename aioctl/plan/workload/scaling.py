"""Autoscalers of a service: a HorizontalPodAutoscaler or KEDA's ScaledObject for each side that asks for one (SCALE-1, SCALE-2).

Three forms: the workload variant autoscaler computes the wanted replicas and an HPA or a ScaledObject follows its metric,
or a ScaledObject follows triggers of the user's own. Whoever scales owns `replicas`; we leave the live number alone. What a
side does not want any more goes before what it wants comes, as KEDA refuses two scalers of one workload. Their steps stand aside,
as a missing Prometheus address must not keep a route from being written, nor a route that is refused an autoscaler from being made.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aioctl.api import conditions as c
from aioctl.api import kinds, names
from aioctl.api.defaulting import is_stopped
from aioctl.api.kinds import Kind, Served
from aioctl.api.objects import (
    Object,
    integer,
    mapping,
    present,
    sequence,
    text,
)
from aioctl.api.records import changed
from aioctl.golang.equality import equal
from aioctl.plan.children import build, ensure, remove
from aioctl.plan.model import Context, Part, PlanError, Step, Write, step
from aioctl.plan.observation import need
from aioctl.plan.workload import naming, pods

CRD_NOT_FOUND: Final = "ScalingCRDNotFound"
"""Reason of condition and event when KEDA is asked for and not installed."""
OUTER: Final = "failed to reconcile workload: failed to reconcile scaling: "

_METRIC: Final = "wva_desired_replicas"
_ACCELERATOR: Final = "inference.optimization/acceleratorName"
_MANAGED, _MODEL, _COST = "llm-d.ai/managed", "llm-d.ai/model-id", "llm-d.ai/variant-cost"
_EXCLUSIVE: Final = (_ACCELERATOR, _MANAGED, _MODEL, _COST)
"""Keys that are ours alone: they go when they are not wanted."""
_COPIED: Final = (
    "pollingInterval",
    "cooldownPeriod",
    "idleReplicaCount",
    "fallback",
    "advanced",
    "initialCooldownPeriod",
)
_UP: Final = {
    "stabilizationWindowSeconds": 0,
    "selectPolicy": "Max",
    "policies": [
        {"type": "Pods", "value": 4, "periodSeconds": 15},
        {"type": "Percent", "value": 100, "periodSeconds": 15},
    ],
}
_DOWN: Final = {
    "selectPolicy": "Max",
    "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
}
"""What the API server fills into a behaviour (k8s.io/kubernetes 1.34, pkg/apis/autoscaling/v2/defaults.go)."""
_SAID: Final = ("Ready", "Active", "Fallback", "Paused")
"""Conditions of a ScaledObject that have to be there before any is believed."""


@dataclass(frozen=True, slots=True)
class Scaler:
    """The scaling of one side of a service."""

    ctx: Context
    side: pods.Side

    @property
    def _root(self) -> tuple[str, ...]:
        return (*self.side.path, "scaling")

    @property
    def kind(self) -> Kind | None:
        """Which object scales this side; None: nothing does."""
        if is_stopped(self.ctx.service) or not self.side.exists or not present(self.side.root, *self._root):
            return None
        if present(self.side.root, *self._root, "keda") or present(
            self.side.root, *self._root, "wva", "keda"
        ):
            return kinds.SCALED_OBJECT
        return kinds.AUTOSCALER if present(self.side.root, *self._root, "wva", "hpa") else None

    @property
    def lacks_crd(self) -> bool:
        """KEDA is asked for and not installed."""
        return self.kind is kinds.SCALED_OBJECT and self.ctx.obs.served(kinds.SCALED_OBJECT) is Served.NO

    def name(self, kind: Kind) -> str:
        """The name of the object of that kind for this side, wanted or not."""
        side = "-prefill" if self.side.prefill else ""
        ending = "keda" if kind is kinds.SCALED_OBJECT else "hpa"
        return names.child(self.ctx.name, f"-kserve{side}-{ending}")

    def writes(self) -> Iterator[Write]:
        """Takes away what is not wanted, then makes what is. Raises PlanError."""
        wanted = self.kind
        for kind in (kinds.SCALED_OBJECT, kinds.AUTOSCALER):
            if kind is not wanted:
                yield from remove(self.ctx, kind, self.name(kind))
        if wanted is kinds.SCALED_OBJECT:
            yield from self._scaled_object()
        elif wanted is kinds.AUTOSCALER:
            yield from self._autoscaler()

    def _autoscaler(self) -> Iterator[Write]:
        name = self.name(kinds.AUTOSCALER)
        external = {
            "metric": {"name": _METRIC, "selector": {"matchLabels": {"variant_name": name}}},
            "target": {"type": "Value", "value": "1"},
        }
        spec: dict[str, Any] = {
            **self._bounds("minReplicas", "maxReplicas"),
            "scaleTargetRef": self._target(),
            "metrics": [{"type": "External", "external": external}],
        }
        if present(self.side.root, *self._root, "wva", "hpa", "behavior"):
            spec["behavior"] = mapping(self.side.root, *self._root, "wva", "hpa", "behavior")
        yield from self._ensure(kinds.AUTOSCALER, self._variant_labels(), self._variant_annotations(), spec)

    def _scaled_object(self) -> Iterator[Write]:
        name, namespace = self.name(kinds.SCALED_OBJECT), self.ctx.namespace
        if self.lacks_crd:
            kind = kinds.SCALED_OBJECT
            raise PlanError(
                f"failed to get {kind.type_name} {namespace}/{name}: "
                f'no matches for kind "{kind.kind}" in version "{kind.api_version}"'
            )
        direct = present(self.side.root, *self._root, "keda")
        given = mapping(self.side.root, *self._root, *(("keda",) if direct else ("wva", "keda")))
        spec: dict[str, Any] = {
            **self._bounds("minReplicaCount", "maxReplicaCount"),
            **{field: given[field] for field in _COPIED if given.get(field) is not None},
            "scaleTargetRef": self._target(),
        }
        if direct:
            spec["triggers"] = list(sequence(given, "triggers"))
            yield from self._ensure(kinds.SCALED_OBJECT, self._labels(), {}, spec)
        else:
            spec["triggers"] = [self._trigger(name)]
            yield from self._ensure(
                kinds.SCALED_OBJECT, self._variant_labels(), self._variant_annotations(), spec
            )

    def _ensure(
        self, kind: Kind, labels: Mapping[str, str], annotations: Mapping[str, str], spec: Mapping[str, Any]
    ) -> Iterator[Write]:
        wanted = build(self.ctx, kind, self.name(kind), labels=labels, annotations=annotations, spec=spec)
        yield from ensure(self.ctx, kind, wanted, same=_same, confirm=True, exclusive=_EXCLUSIVE)

    def _bounds(self, least: str, most: str) -> dict[str, int | None]:
        return {
            least: integer(self.side.root, *self._root, "minReplicas") or 1,
            most: integer(self.side.root, *self._root, "maxReplicas"),
        }

    def _target(self) -> dict[str, str]:
        children = naming.group(multi_node=self.side.multi_node, prefill=self.side.prefill)
        kind = children[0][0]
        name = naming.workload_name(self.ctx, children)
        return {"apiVersion": kind.api_version, "kind": kind.kind, "name": name}

    def _trigger(self, name: str) -> dict[str, Any]:
        """The metric of the workload variant autoscaler in Prometheus. Raises PlanError for settings that are missing."""
        prometheus = self.ctx.config.prometheus
        key = "autoscaling-wva-controller-config.prometheus"
        if not prometheus.url:
            raise PlanError(f"{key}.url is required in inferenceservice-config when using KEDA")
        if bool(prometheus.auth_modes) != bool(prometheus.trigger_auth_name):
            raise PlanError(f"{key}.authModes and {key}.triggerAuthName must both be set or both be empty")
        query = f'{_METRIC}{{variant_name="{name}",exported_namespace="{self.ctx.namespace}"}}'
        metadata = {
            "serverAddress": prometheus.url,
            "query": query,
            "threshold": "1",
            "unsafeSsl": "true" if prometheus.tls_insecure_skip_verify else "false",
        }
        trigger: dict[str, Any] = {"type": "prometheus", "name": "wva-desired-replicas", "metadata": metadata}
        if prometheus.auth_modes:
            metadata["authModes"] = prometheus.auth_modes
        if prometheus.trigger_auth_name:
            reference = {"name": prometheus.trigger_auth_name}
            if prometheus.trigger_auth_kind:
                reference["kind"] = prometheus.trigger_auth_kind
            trigger["authenticationRef"] = reference
        return trigger

    def _labels(self) -> dict[str, str]:
        return names.labels(self.ctx.name, names.WORKLOAD_COMPONENT)

    def _variant_labels(self) -> dict[str, str]:
        accelerator = text(self.side.root, *self.side.path, "labels", _ACCELERATOR)
        return {**self._labels(), _ACCELERATOR: accelerator or "unknown"}

    def _variant_annotations(self) -> dict[str, str]:
        model = ("spec", "model")
        annotations = {
            _MANAGED: "true",
            _MODEL: text(self.side.root, *model, "name") or text(self.side.root, *model, "uri"),
        }
        cost = text(self.side.root, *self._root, "wva", "variantCost")
        return {**annotations, _COST: cost} if cost else annotations

    def readiness(self, *, failed: bool = False) -> tuple[bool, str, str] | None:
        """(ready, reason, message) of the live autoscaler; None where nothing scales, or `failed` says why there is none.

        Raises Unanswered.
        """
        kind = self.kind
        if kind is None:
            return None
        live = need(self.ctx.obs.get(kind, self.ctx.namespace, self.name(kind)))
        if live is None and failed:
            return None
        return scaled_object_ready(live) if kind is kinds.SCALED_OBJECT else autoscaler_ready(live)


def scalers(ctx: Context) -> tuple[tuple[str, Scaler], ...]:
    """The condition that speaks of each side, and what scales it."""
    return (
        (c.SCALING_READY, Scaler(ctx, pods.main_side(ctx))),
        (c.PREFILL_SCALING_READY, Scaler(ctx, pods.prefill_side(ctx))),
    )


def steps(ctx: Context) -> Iterator[Step]:
    """One step a side."""
    for _, scaler in scalers(ctx):
        yield _step(scaler)


def _step(scaler: Scaler) -> Step:
    role = "prefill" if scaler.side.prefill else "main"
    inner = f"failed to reconcile {role} workload scaling: failed to reconcile {role} actuator: "
    made = changed(step(Part.SCALING, scaler.writes, outer=OUTER, inner=inner), aside=True)
    if not made.error or not scaler.lacks_crd:
        return made
    message = f"{inner}{made.error}"
    return changed(
        made,
        condition=(c.MAIN_WORKLOAD_READY, CRD_NOT_FOUND, message),
        warning=(CRD_NOT_FOUND, f"Required scaling CRD not installed: {message}"),
    )


def autoscaler_ready(live: Object | None) -> tuple[bool, str, str]:
    """What an HPA says: it can read and set the scale. Being at a bound is fine."""
    if live is None:
        return False, "HPAProgressing", "HPA not yet visible in cache"
    found = [
        entry
        for entry in sequence(live, "status", "conditions")
        if text(entry, "type") in ("AbleToScale", "ScalingActive")
    ]
    if not found:
        return False, "HPAProgressing", "HPA conditions not yet available"
    for entry in found:
        if text(entry, "status") == c.FALSE:
            return False, text(entry, "reason"), text(entry, "message")
    return True, "", ""


def scaled_object_ready(live: Object | None) -> tuple[bool, str, str]:
    """What KEDA says of a ScaledObject. Being paused, or living on the fallback, is fine."""
    if live is None:
        return False, "ScaledObjectProgressing", "ScaledObject not yet visible in cache"
    found = {text(entry, "type"): entry for entry in sequence(live, "status", "conditions")}
    if not all(type_ in found for type_ in _SAID):
        return False, "ScaledObjectProgressing", "ScaledObject conditions not yet available"
    ready = found["Ready"]
    status = text(ready, "status")
    if status == c.TRUE:
        return True, "", ""
    if status == c.FALSE:
        return False, text(ready, "reason"), text(ready, "message")
    return False, "ScaledObjectProgressing", "ScaledObject is not yet ready"


def _same(wanted: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    """Equal with what the API server fills in: a field that is no longer wanted is seen."""
    return equal(_defaulted(mapping(wanted, "spec")), mapping(live, "spec"))


def _defaulted(spec: Mapping[str, Any]) -> dict[str, Any]:
    behavior = spec.get("behavior")
    if not isinstance(behavior, Mapping):
        return dict(spec)
    filled = {
        field: {
            **defaults,
            **{key: value for key, value in mapping(behavior, field).items() if value is not None},
        }
        for field, defaults in (("scaleUp", _UP), ("scaleDown", _DOWN))
    }
    return {**spec, "behavior": {**behavior, **filled}}
