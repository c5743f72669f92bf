"""Every difference between our CRDs and those of KServe at aaac4e294 (21 August 2026) that they replace, with its reason.

A difference is found at a path of the schema (`[]` for items), in one keyword; `field` means that the field itself is only
here. An entry names the end of the path, the keyword, and why. The comparison fails on a difference without an entry, and on an
entry without a difference.
"""

from typing import NamedTuple

from aioctl.api.bounds import BOUNDS, Bound


class Difference(NamedTuple):
    """One reviewed difference."""

    ends_with: str
    keyword: str
    reason: str


def _bounded(bound: Bound) -> Difference:
    path = bound.path.removeprefix("spec.prefill").removeprefix("spec")
    return Difference(path, bound.measure.value, f"KServe lets it grow without a bound; {bound.why}")


_BOUNDED = dict.fromkeys(_bounded(bound) for bound in BOUNDS if "adapters[" not in bound.path)
DIFFERENCES = (
    *_BOUNDED,
    Difference(
        ".volumes[].ephemeral.volumeClaimTemplate.metadata.annotations",
        "field",
        "KServe's schema prunes all metadata of a claim template; what the API server accepts there is kept",
    ),
    Difference(".volumes[].ephemeral.volumeClaimTemplate.metadata.labels", "field", "the same"),
    Difference(
        ".scaling.keda",
        "x-kubernetes-validations",
        "KServe's rule reads the name of a HorizontalPodAutoscaler that may be absent: no such key (kserve/kserve#5936)",
    ),
    Difference(".scaling.wva.keda", "x-kubernetes-validations", "the same"),
    Difference(
        ".scaling.wva",
        "x-kubernetes-validations",
        "KServe's rule reads scalingModifiers, which may be absent: no such key (kserve/kserve#5936)",
    ),
    Difference(
        "<config>.spec.router.scheduler.pool.spec",
        "required",
        "a preset may hold a part of a pool, as it may hold a part of a pod",
    ),
    Difference("<config>.spec.router.scheduler.tokenizer.template", "required", "the same"),
    Difference(
        ".pool.spec.extensionRef",
        "required",
        "KServe requires failureMode since it copied the type; manifests from before leave it to the default",
    ),
    Difference(".pool.spec.extensionRef.failureMode", "default", "the published type has it; see above"),
    Difference(".pool.spec.extensionRef.group", "default", "the same"),
    Difference(".pool.spec.extensionRef.kind", "default", "the same"),
    Difference(
        "<service>",
        "additionalPrinterColumns",
        "one more, the last: which InferencePool generation carries the traffic",
    ),
)
