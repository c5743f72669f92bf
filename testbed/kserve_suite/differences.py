"""Specs of KServe's suite that our controller does not satisfy, on purpose: each with the reason.

The suite is that of a release; the revision that we follow (aaac4e294) is younger, and where it has changed, its recordings hold.
"""

from typing import Final

_EVIDENCE: Final = (
    "a gateway that refuses v1alpha2 has not said that it serves v1, and nothing locks without that (MIG-7): real gateways "
    "answer the probe within seconds, the suite has none"
)
_VARIANTS: Final = "KServe aaac4e294 makes no VariantAutoscaling any more (SCALE-1)"
_SCALING: Final = "LLMInferenceService Controller - Scaling "

SPECS: Final[dict[str, str]] = {
    "InferencePool Migration Gateway rejection triggers migration to v1 "
    "should swap HTTPRoute backendRef from v1alpha2 to v1 when Gateway rejects v1alpha2": _EVIDENCE,
    "InferencePool Migration Migration lock (prevents flapping) "
    "should not change migration annotation on HTTPRoute once set to v1": _EVIDENCE,
    "LLMInferenceService Group Routing Force-stop grouped member "
    "should set weight to 0 for a force-stopped member in peer group status": (
        "KServe aaac4e294 leaves stopped members out: some gateways send requests to weight 0 (GROUP-2)"
    ),
    "LLMInferenceService Scheduler Config Multi-GPU-vendor pooling via workload label propagation "
    "should create InferencePool with default workload labels that AMD pods can match": (
        "the labels by which pods are found are ours alone (WORK-6)"
    ),
    **{
        f"{_SCALING}{spec}": _VARIANTS
        for spec in (
            "HPA scaling should create VariantAutoscaling and HPA when HPA scaling is configured",
            "KEDA scaling should create VariantAutoscaling and ScaledObject when KEDA scaling is configured",
            "Scaling cleanup should delete HPA and VA when scaling is removed",
            "Scaling cleanup should delete ScaledObject and VA when scaling is removed",
            "Prefill scaling should create separate HPA scaling resources for decode and prefill workloads",
            "Prefill scaling should create separate KEDA scaling resources for decode and prefill workloads",
            "Actuator switch should delete HPA and create ScaledObject when switching from HPA to KEDA",
            "Actuator switch should delete ScaledObject and create HPA when switching from KEDA to HPA",
            "VA accelerator label should propagate accelerator label from workload labels to VA",
            "VA accelerator label should set accelerator label to unknown when workload has no accelerator label",
            "Scaling with stop annotation should delete HPA scaling resources when stop annotation is set",
            "Scaling with stop annotation should delete KEDA scaling resources when stop annotation is set",
            "VA VariantCost propagation should propagate variantCost from scaling spec to VA",
            "Multi-node (LWS) HPA scaling should create VA and HPA targeting LeaderWorkerSet when worker is set",
            "Multi-node (LWS) KEDA scaling should create VA and ScaledObject targeting LeaderWorkerSet when worker is set",
            "Multi-node P/D scaling should create separate LWS-targeting scaling resources for decode and prefill",
            "Multi-node scaling with stop annotation should delete LWS-targeting scaling resources when stop annotation is set",
        )
    },
}
"""Full text of a spec -> why it fails."""
