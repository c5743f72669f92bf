"""`scaling` of a workload: by the workload variant autoscaler (wva) or by KEDA alone, and the CEL rules between their fields.

Messages are KServe's. Two of its rules read optional fields without asking whether they are there, and refuse what they should
accept with "no such key" (kserve/kserve#5936); here they ask.
"""

import copy
from dataclasses import dataclass
from typing import Final

from aioctl.crdgen.schema import Schema, atomic_list, embed, int32, obj, requiring, ruled, string

_EXCLUSIVE: Final = (
    "replicas and scaling are mutually exclusive; use scaling for autoscaled deployments or replicas for static "
    "deployments"
)
REPLICAS_OR_SCALING: Final = (
    _EXCLUSIVE,
    "!(has(self.replicas) && has(self.scaling))",
)
_IDLE_NEEDS_MINIMUM: Final = "minReplicas is required when idleReplicaCount is set"
_IDLE_BELOW_MINIMUM: Final = (
    "idleReplicaCount must be less than minReplicas; idleReplicaCount defines the replica floor when no triggers are "
    "active"
)
_HPA: Final = "self.advanced.horizontalPodAutoscalerConfig"
_MODIFIERS: Final = "self.keda.advanced.scalingModifiers"
_NAME_UNSET: Final = (
    "horizontalPodAutoscalerConfig.name must not be set; the controller manages the HPA name",
    f"!has(self.advanced) || !has({_HPA}) || !has({_HPA}.name) || size({_HPA}.name) == 0",
)
_MODIFIERS_UNSET: Final = (
    "scalingModifiers must not be set; WVA controls the scaling metric formula and logic",
    f"!has(self.keda) || !has(self.keda.advanced) || !has({_MODIFIERS}) || ("
    + " && ".join(
        f"(!has({_MODIFIERS}.{field}) || size({_MODIFIERS}.{field}) == 0)"
        for field in ("formula", "target", "activationTarget", "metricType")
    )
    + ")",
)


@dataclass(frozen=True, slots=True)
class Autoscalers:
    """Schemas of other people's types."""

    behavior: Schema
    """HorizontalPodAutoscalerBehavior of autoscaling/v2."""
    scaled_object: Schema
    """Spec of KEDA's ScaledObject."""


def scaling(autoscalers: Autoscalers) -> Schema:
    """The schema of `scaling`."""
    triggers = atomic_list(
        "What KEDA watches.", autoscalers.scaled_object["properties"]["triggers"]["items"], minItems=1
    )
    schema = obj(
        "Number of replicas that follows the load. Excludes `replicas`.",
        keda=ruled(
            requiring(obj("Scale by KEDA alone.", **_keda(autoscalers), triggers=triggers), "triggers"),
            _NAME_UNSET,
        ),
        maxReplicas=int32("Never more than these.", 1),
        minReplicas=int32("Never fewer than these.", 1, default=1),
        wva=_wva(autoscalers),
    )
    return ruled(
        requiring(schema, "maxReplicas"),
        (
            "either wva or keda must be specified when scaling is configured",
            "has(self.wva) || has(self.keda)",
        ),
        ("wva and keda are mutually exclusive", "!(has(self.wva) && has(self.keda))"),
        (
            "at least one trigger is required when using direct KEDA scaling",
            "!has(self.keda) || size(self.keda.triggers) > 0",
        ),
        (
            "minReplicas cannot exceed maxReplicas",
            "!has(self.minReplicas) || self.minReplicas <= self.maxReplicas",
        ),
        *_idle("!has(self.wva) || !has(self.wva.keda)", "self.wva.keda"),
        *_idle("!has(self.keda)", "self.keda"),
    )


def _idle(absent: str, keda: str) -> tuple[tuple[str, str], tuple[str, str]]:
    unset = f"{absent} || !has({keda}.idleReplicaCount)"
    return (
        (_IDLE_NEEDS_MINIMUM, f"{unset} || has(self.minReplicas)"),
        (
            _IDLE_BELOW_MINIMUM,
            f"{unset} || !has(self.minReplicas) || {keda}.idleReplicaCount < self.minReplicas",
        ),
    )


def _wva(autoscalers: Autoscalers) -> Schema:
    return ruled(
        obj(
            "Scale by the workload variant autoscaler, through one actuator.",
            hpa=obj(
                "Act through a HorizontalPodAutoscaler.",
                behavior=embed("How fast it scales.", autoscalers.behavior),
            ),
            keda=ruled(obj("Act through a ScaledObject.", **_keda(autoscalers)), _NAME_UNSET),
            variantCost=string(
                "Cost of one replica, relative to other variants.", default="10.0", pattern=r"^\d+(\.\d+)?$"
            ),
        ),
        _MODIFIERS_UNSET,
        (
            "hpa and keda are mutually exclusive; choose one actuator backend",
            "!(has(self.hpa) && has(self.keda))",
        ),
        ("either hpa or keda must be specified as the actuator backend", "has(self.hpa) || has(self.keda)"),
    )


def _keda(autoscalers: Autoscalers) -> dict[str, Schema]:
    theirs = copy.deepcopy(autoscalers.scaled_object["properties"])
    # KEDA embeds the same type, of whichever Kubernetes release it was built with.
    hpa = theirs["advanced"]["properties"]["horizontalPodAutoscalerConfig"]
    hpa["properties"]["behavior"] = copy.deepcopy(autoscalers.behavior)
    return {
        "advanced": embed("Passed to the ScaledObject.", theirs["advanced"]),
        "cooldownPeriod": int32("Seconds from the last active trigger to idleness.", 0),
        "fallback": embed("Passed to the ScaledObject.", theirs["fallback"]),
        "idleReplicaCount": int32("Replicas while no trigger is active.", 0),
        "initialCooldownPeriod": int32("Seconds from creation to the first idleness.", 0),
        "pollingInterval": int32("Seconds between two looks at a trigger.", 1),
    }
