"""The CEL rules of our own kinds about replicas and autoscaling, as functions (SCHEMA-1).

Same texts and places as in the CRDs. `minReplicas` has a default, so it is always there.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from aioctl.sim.errors import Cause

_TOP: Final = "replicas and scaling are mutually exclusive; use scaling for autoscaled deployments or replicas for static deployments"
_IDLE: Final = "idleReplicaCount must be less than minReplicas; idleReplicaCount defines the replica floor when no triggers are active"

_NAMED_HPA: Final = "horizontalPodAutoscalerConfig.name must not be set; the controller manages the HPA name"
_MODIFIED: Final = "scalingModifiers must not be set; WVA controls the scaling metric formula and logic"
_MODIFIERS: Final = ("formula", "target", "activationTarget", "metricType")


def autoscaling(new: Mapping[str, Any], _old: Mapping[str, Any] | None) -> list[Cause]:
    """Every rule that the main and the prefill workload break."""
    spec = _mapping(new, "spec")
    return [
        *_workload(spec, "spec"),
        *_workload(_mapping(spec, "prefill"), "spec.prefill"),
    ]


def _mapping(tree: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = tree.get(name)
    return found if isinstance(found, Mapping) else {}


def _workload(workload: Mapping[str, Any], at: str) -> Iterator[Cause]:
    scaling = workload.get("scaling")
    if not isinstance(scaling, Mapping):
        return
    if "replicas" in workload:
        yield _broken(at, _TOP)
    yield from (_broken(f"{at}.scaling", text) for text in _scaling(scaling))
    wva = scaling.get("wva")
    if isinstance(wva, Mapping):
        yield from (_broken(f"{at}.scaling.wva", text) for text in _wva(wva))
    for above in ((), ("wva",)):
        if _advanced(scaling, *above, "horizontalPodAutoscalerConfig").get("name"):
            yield _broken(".".join((at, "scaling", *above, "keda")), _NAMED_HPA)


def _scaling(scaling: Mapping[str, Any]) -> Iterator[str]:
    wva, keda = scaling.get("wva"), scaling.get("keda")
    if wva is None and keda is None:
        yield "either wva or keda must be specified when scaling is configured"
    if wva is not None and keda is not None:
        yield "wva and keda are mutually exclusive"
    if scaling["minReplicas"] > scaling["maxReplicas"]:
        yield "minReplicas cannot exceed maxReplicas"
    for idle in (_mapping(_mapping(scaling, "wva"), "keda"), _mapping(scaling, "keda")):
        if idle.get("idleReplicaCount", -1) >= scaling["minReplicas"]:
            yield _IDLE


def _wva(wva: Mapping[str, Any]) -> Iterator[str]:
    hpa, keda = "hpa" in wva, "keda" in wva
    if hpa and keda:
        yield "hpa and keda are mutually exclusive; choose one actuator backend"
    if not hpa and not keda:
        yield "either hpa or keda must be specified as the actuator backend"
    modifiers = _advanced(wva, "scalingModifiers")
    if any(modifiers.get(field) for field in _MODIFIERS):
        yield _MODIFIED


def _advanced(scaling: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """A part of `keda.advanced`; the last of the path is the part, what is before it leads to `keda`."""
    *above, part = path
    for name in (*above, "keda", "advanced", part):
        scaling = _mapping(scaling, name)
    return scaling


def _broken(at: str, text: str) -> Cause:
    return Cause(at, f'Invalid value: "object": {text}')
