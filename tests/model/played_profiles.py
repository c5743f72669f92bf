"""Explorations of the second model: each behaviour that was measured, upgrades, pairs, fights, groups, and each set of CRDs."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from aioctl.plan.policy import Strategy
from tests.model.played_moves import PlayedRules

MEASURED: Final = (
    "istio-1.27",
    "istio",
    "istio-disabled",
    "istio-agentgateway",
    "envoy-gateway-plain",
    "envoy-gateway-ai-v1",
)
"""Behaviours of real gateway controllers."""
ALL: Final = (*MEASURED, "both", "v1-only", "v1alpha2-only", "silent")
"""With those of no known implementation."""

_EACH: Final = PlayedRules(begins=tuple((name,) for name in ALL))
_PAIRS: Final = PlayedRules(
    begins=(
        ("istio", "envoy-gateway-plain"),
        ("istio", "istio-agentgateway"),
        ("istio-1.27", "istio"),
        ("v1alpha2-only", "envoy-gateway-ai-v1"),
        ("silent", "istio"),
    ),
    meddling=False,
)

PLAYED: Final[Mapping[str, PlayedRules]] = {
    "auto": _EACH,
    "auto-upgrades": replace(_EACH, upgrades=ALL),
    "auto-unasked": replace(_EACH, probes=False),
    "auto-pairs": _PAIRS,
    "auto-pairs-upgrades": replace(_PAIRS, upgrades=("istio", "v1alpha2-only", "istio-disabled")),
    "auto-fight": replace(
        _PAIRS, begins=(("istio", "istio-agentgateway"), ("istio-1.27", "istio")), fighting=True
    ),
    "auto-two-services": replace(_EACH, services=2, meddling=False),
    "auto-group": replace(_EACH, services=2, grouped=True, meddling=False),
    "auto-group-upgrades": replace(
        _EACH, services=2, grouped=True, meddling=False, upgrades=("istio", "istio-1.27", "istio-disabled")
    ),
    "auto-group-meddling": replace(_EACH, services=2, grouped=True),
    "auto-group-pairs": replace(_PAIRS, services=2, grouped=True),
    "auto-two-pairs": replace(_PAIRS, services=2),
    "auto-two-pairs-unasked": replace(_PAIRS, services=2, probes=False),
    "auto-group-crd-goes": replace(_EACH, services=2, grouped=True, meddling=False, crd_goes=True),
    "auto-crd-goes": replace(_EACH, crd_goes=True),
    "auto-v1-crd-alone": replace(_EACH, old_crd=False),
    "auto-old-crd-alone": replace(_EACH, v1_crd=False),
    "auto-two-old-crd-alone": replace(_EACH, v1_crd=False, services=2, meddling=False),
    "swap-played": replace(_EACH, strategy=Strategy.SWAP, upgrades=MEASURED),
    "swap-two-pairs": replace(_PAIRS, services=2, strategy=Strategy.SWAP),
    "swap-group-pairs": replace(_PAIRS, services=2, grouped=True, strategy=Strategy.SWAP),
    "weighted-two-pairs": replace(_PAIRS, services=2, strategy=Strategy.WEIGHTED),
    "weighted-played": replace(_EACH, strategy=Strategy.WEIGHTED, upgrades=MEASURED),
}
