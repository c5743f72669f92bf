"""A core Service of ours: ports and selector exactly as generated, what the API server allocated stays.

Used for the workload Service (SVC-1) and the endpoint picker's (EPP-5). Comparison: EQ-3,
generated lists and the selector in full, the rest only where we set it.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from aioctl.api.kinds import CORE_SERVICE
from aioctl.api.objects import Object, dig, mapping, sequence
from aioctl.golang.equality import derivative
from aioctl.plan import given
from aioctl.plan.children import build, ensure, is_ours
from aioctl.plan.model import Context, Write
from aioctl.plan.observation import need

_KEPT: Final = ("type", "clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")
"""Node ports survive only with the type; the addresses are the API server's (EQ-1)."""
_FILLED: Final = {"sessionAffinity": "None", "internalTrafficPolicy": "Cluster"}
"""What the API server fills in (k8s.io/kubernetes 1.34, pkg/apis/core/v1/defaults.go): what others made of it is put right."""


def ensure_service(
    ctx: Context,
    name: str,
    *,
    labels: Mapping[str, str],
    selector: Mapping[str, str],
    ports: Sequence[Mapping[str, Any]],
    annotations: Mapping[str, str] | None = None,
    users: Collection[str] = (),
) -> Iterator[Write]:
    """The write that makes the Service as wanted. `users`: keys of labels and annotations that the user gave. Raises PlanError for a stranger's Service of that name."""
    spec: dict[str, Any] = {
        "type": "ClusterIP",
        "selector": dict(selector),
        "ports": [dict(port) for port in ports],
    }
    live = need(ctx.obs.get(CORE_SERVICE, ctx.namespace, name))
    if live is not None and is_ours(ctx, live):
        found = mapping(live, "spec")
        spec.update({field: found[field] for field in _KEPT if field in found})
    annotations = {**(annotations or {}), **given.record(users)}
    wanted = build(ctx, CORE_SERVICE, name, labels=labels, annotations=annotations, spec=spec)
    yield from ensure(ctx, CORE_SERVICE, wanted, same=_same)


def has_address(service: Object) -> bool:
    """True when nothing more will be allocated: an address, headless, or a mere alias."""
    return bool(dig(service, "spec", "clusterIP")) or dig(service, "spec", "type") == "ExternalName"


def _same(wanted: Object, live: Object) -> bool:
    ours, theirs = mapping(wanted, "spec"), mapping(live, "spec")
    ports = sequence(theirs, "ports")
    return (
        derivative({**_FILLED, **ours}, {**_FILLED, **theirs})
        and dict(mapping(theirs, "selector")) == dict(mapping(ours, "selector"))
        and len(ports) == len(sequence(ours, "ports"))
        and not theirs.get("publishNotReadyAddresses")
    )
