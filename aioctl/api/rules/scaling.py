"""How the replicas of both workloads follow the load, and that both follow it in the same way."""

import re
from collections.abc import Iterator
from typing import Any, Final

from aioctl.api.objects import Object, dig, integer, mapping, present, sequence, text
from aioctl.api.problems import Problem, forbidden, invalid, required
from aioctl.api.rules.workload import both
from aioctl.golang.gotypes import go_type

_SCALING: Final = go_type("kserve.ScalingSpec")
_WVA: Final = go_type("kserve.WVASpec")
_COST: Final = re.compile(r"[0-9]++(?:\.[0-9]++)?")
_MODIFIERS: Final = ("formula", "target", "activationTarget", "metricType")

_WITH_REPLICAS: Final = (
    "scaling and replicas are mutually exclusive; use scaling for autoscaled deployments "
    "or replicas for static deployments"
)
_NO_COST: Final = 'variantCost must be a non-negative numeric string (e.g., "10", "10.0", "0.5")'
_NO_MODIFIERS: Final = "scalingModifiers must not be set; WVA controls the scaling metric formula and logic"
_NO_HPA_NAME: Final = (
    "horizontalPodAutoscalerConfig.name must not be set; the controller manages the HPA name"
)
_MIXED_ACTUATORS: Final = (
    "decode and prefill must use the same actuator backend; decode uses {} but prefill uses {} — mixing backends "
    "requires two separate metric pipelines and leads to independent, unsynchronised scaling decisions"
)


def scaling(service: Object) -> Iterator[Problem]:
    """Rules of each workload, then those that compare the two."""
    yield from both(service, _scaling)
    yield from _alike(dig(service, "spec", "scaling"), dig(service, "spec", "prefill", "scaling"))


def _scaling(workload: Object, at: str) -> Iterator[Problem]:
    if not present(workload, "scaling"):
        return
    found, at = workload["scaling"], f"{at}.scaling"
    if workload.get("replicas") is not None:
        yield invalid("scaling-replicas", at, found, _WITH_REPLICAS, _SCALING)
    least, most = integer(found, "minReplicas"), integer(found, "maxReplicas") or 0
    if least is not None and least > most:
        detail = f"minReplicas ({least}) cannot exceed maxReplicas ({most})"
        yield invalid("scaling-order", f"{at}.minReplicas", least, detail)
    by_wva, by_keda = present(found, "wva"), present(found, "keda")
    if by_wva and by_keda:
        detail = "wva and keda are mutually exclusive; choose one scaling mechanism"
        yield invalid("scaling-both", at, found, detail, _SCALING)
    elif by_wva:
        yield from _wva(found, at)
    elif by_keda:
        if not sequence(found, "keda", "triggers"):
            detail = "at least one trigger is required when using direct KEDA scaling"
            yield required("keda-triggers", f"{at}.keda.triggers", detail)
        yield from _keda(found["keda"], least, at, f"{at}.keda")
    else:
        detail = "either wva or keda must be specified when scaling is configured"
        yield required("scaling-none", at, detail)


def _wva(found: Object, at: str) -> Iterator[Problem]:
    wva, at_wva = found["wva"], f"{at}.wva"
    by_hpa, by_keda = present(wva, "hpa"), present(wva, "keda")
    if by_hpa and by_keda:
        detail = "hpa and keda are mutually exclusive; choose one actuator backend"
        yield invalid("wva-both", at_wva, wva, detail, _WVA)
    if not by_hpa and not by_keda:
        yield required("wva-none", at_wva, "either hpa or keda must be specified as the actuator backend")
    cost = text(wva, "variantCost")
    if cost and not _COST.fullmatch(cost):
        yield invalid("wva-cost", f"{at_wva}.variantCost", cost, _NO_COST)
    if by_keda:
        modifiers = mapping(wva, "keda", "advanced", "scalingModifiers")
        if any(text(modifiers, part) for part in _MODIFIERS):
            yield forbidden("wva-modifiers", f"{at_wva}.keda.advanced.scalingModifiers", _NO_MODIFIERS)
        yield from _keda(wva["keda"], integer(found, "minReplicas"), at, f"{at_wva}.keda")


def _keda(keda: Object, least: int | None, at: str, at_keda: str) -> Iterator[Problem]:
    """What holds for KEDA whoever asks for it. `least`: the minReplicas of the scaling that stands `at`."""
    if text(keda, "advanced", "horizontalPodAutoscalerConfig", "name"):
        name = f"{at_keda}.advanced.horizontalPodAutoscalerConfig.name"
        yield forbidden("keda-hpa-name", name, _NO_HPA_NAME)
    idle = integer(keda, "idleReplicaCount")
    if idle is None:
        return
    if least is None:
        detail = (
            "minReplicas is required when idleReplicaCount is set; "
            f"idleReplicaCount ({idle}) must be less than minReplicas"
        )
        yield required("keda-idle-alone", f"{at}.minReplicas", detail)
    elif idle >= least:
        detail = (
            f"idleReplicaCount ({idle}) must be less than minReplicas ({least}); "
            "idleReplicaCount defines the replica floor when no triggers are active"
        )
        yield invalid("keda-idle", f"{at_keda}.idleReplicaCount", idle, detail)


def _alike(decode: Any, prefill: Any) -> Iterator[Problem]:
    """Both workloads scaled: by the same mechanism, and with WVA by the same actuator."""
    if decode is None or prefill is None:
        return
    at = "spec.prefill.scaling"
    modes = [_word(found, "keda", "direct keda", "wva") for found in (decode, prefill)]
    if modes[0] != modes[1]:
        detail = (
            "decode and prefill must use the same scaling mode; "
            f"decode uses {modes[0]} but prefill uses {modes[1]}"
        )
        yield invalid("scaling-modes", at, prefill, detail, _SCALING)
    elif present(decode, "wva") and present(prefill, "wva"):
        backends = [_word(found["wva"], "hpa", "hpa", "keda") for found in (decode, prefill)]
        if backends[0] != backends[1]:
            detail = _MIXED_ACTUATORS.format(*backends)
            yield invalid("scaling-actuators", f"{at}.wva", prefill["wva"], detail, _WVA)


def _word(owner: Object, name: str, word: str, otherwise: str) -> str:
    return word if present(owner, name) else otherwise
