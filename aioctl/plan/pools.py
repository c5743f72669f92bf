"""Both InferencePools and the InferenceModel of a service (CHILD-1, POOL-1, CRD-1).

The v1alpha2 pool comes first, because it carries the traffic first; creations are paced by the writer (ARCH-5).
A generation whose CRD is missing is left out; only when both are missing is there nothing to route to, and that is an
error. Pools of others are never touched: `remove` asks the live owner.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from aioctl.api import kinds, names
from aioctl.api.defaulting import effective_pool_name
from aioctl.api.kinds import POOL_GROUP_V1, POOL_GROUP_V1ALPHA2, Kind, Served
from aioctl.api.objects import (
    annotations_of,
    dig,
    integer,
    is_deleting,
    mapping,
    sequence,
    text,
    within,
)
from aioctl.golang.equality import derivative, equal
from aioctl.plan.children import build, create, delete, ensure, is_ours, remove
from aioctl.plan.epp_rewriting import version_of
from aioctl.plan.finished import is_finished, may_go, v1alpha2_served
from aioctl.plan.model import Context, PlanError, Write
from aioctl.plan.observation import need
from aioctl.plan.readiness import Readiness, v1_ready, v1alpha2_ready
from aioctl.plan.routing import has_scheduler, owns_pools

__all__ = ["Readiness", "model", "pools", "v1_ready", "v1alpha2_ready"]

_DEFAULT_PROTOCOL: Final = "http"
_SUBJECT: Final = "LLMInferenceService"
_CRITICALITIES: Final = ("Critical", "Standard", "Sheddable")
_POOL_SPEC: Final = ("spec", "router", "scheduler", "pool", "spec")


def pools(ctx: Context) -> Iterator[Write]:
    """Makes both pools as wanted, or removes ours. Raises PlanError when no pool kind is served."""
    name = names.default_pool_name(ctx.name)
    if not owns_pools(ctx):
        yield from remove(ctx, kinds.POOL_V1ALPHA2, name)
        yield from remove(ctx, kinds.POOL_V1, name)
        return
    if is_finished(ctx) and may_go(ctx, name):
        yield from remove(ctx, kinds.POOL_V1ALPHA2, name)
    has_alpha = v1alpha2_served(ctx) is not Served.NO
    has_v1 = ctx.obs.served(kinds.POOL_V1) is not Served.NO
    if not has_alpha and not has_v1:
        raise PlanError(
            f"failed to create {kinds.POOL_V1.type_name} {ctx.namespace}/{name}: neither "
            f"{kinds.POOL_V1.resource} nor {kinds.POOL_V1ALPHA2.resource} is served by this cluster; "
            "install the CRDs of the Gateway API Inference Extension"
        )
    spec = _v1_spec(ctx)
    if has_alpha:
        alpha = _pool(ctx, kinds.POOL_V1ALPHA2, name, _v1alpha2_spec(spec))
        yield from ensure(ctx, kinds.POOL_V1ALPHA2, alpha, same=_same_v1alpha2, paced=True)
    if has_v1:
        yield from ensure(
            ctx, kinds.POOL_V1, _pool(ctx, kinds.POOL_V1, name, spec), same=_same_v1, paced=True
        )


def check(ctx: Context) -> None:
    """Raises PlanError where our pools would have no port to send traffic to, before anything is written."""
    if owns_pools(ctx) and not sequence({"spec": ctx.spec}, *_POOL_SPEC, "targetPorts"):
        raise PlanError(f"{'.'.join(_POOL_SPEC)}.targetPorts is empty")


def model(ctx: Context) -> Iterator[Write]:
    """Makes the InferenceModel as wanted, or removes ours; nothing where its CRD is missing.

    Pickers from router 0.3 on know no such kind.
    """
    name = names.model_name(ctx.name)
    finished = is_finished(ctx) or ctx.config.old_pools_finished  # also where the pool is a user's
    if not has_scheduler(ctx.spec) or ctx.stopped or _reads_no_model(ctx) or finished:
        yield from remove(ctx, kinds.MODEL, name, quiet=True)
        return
    if ctx.obs.served(kinds.MODEL) is Served.NO:
        return
    wanted = _model(ctx, name)
    live = need(ctx.obs.get(kinds.MODEL, ctx.namespace, name))
    changed = live is not None and not derivative(
        dig(wanted, "spec", "modelName"), dig(live, "spec", "modelName")
    )
    if live is None or not changed or not is_ours(ctx, live):
        yield from ensure(ctx, kinds.MODEL, wanted, subject=_SUBJECT)
        return
    # `modelName` is immutable in the CRD: the object has to make room for its successor (POOL-3).
    if not is_deleting(live):
        yield delete(kinds.MODEL, live, quiet=True)
    yield create(kinds.MODEL, wanted)


def _reads_no_model(ctx: Context) -> bool:
    """Whether the picker is known to be of a release without InferenceModels."""
    scheduler = mapping({"spec": ctx.spec}, "spec", "router", "scheduler")
    version = version_of(mapping(scheduler, "annotations"), mapping(scheduler, "template"))
    return version is not None and version >= (0, 3, 0, False)


def _pool(ctx: Context, kind: Kind, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return build(ctx, kind, name, labels=names.labels(ctx.name, names.SCHEDULER_COMPONENT), spec=spec)


def _v1_spec(ctx: Context) -> dict[str, Any]:
    root = {"spec": ctx.spec}
    spec = dict(mapping(root, *_POOL_SPEC))
    if spec.get("appProtocol") == _DEFAULT_PROTOCOL:
        # Our schema fills it in; a pool CRD older than the field would warn of it at every write, a newer one has the default.
        del spec["appProtocol"]
    return spec


def _v1alpha2_spec(v1: Mapping[str, Any]) -> dict[str, Any]:
    root = {"spec": {"router": {"scheduler": {"pool": {"spec": v1}}}}}
    ports = sequence(root, *_POOL_SPEC, "targetPorts")
    with within(f"{'.'.join(_POOL_SPEC)}.targetPorts[0]"):
        number = integer(ports[0], "number") if ports else None
    if number is None:
        raise PlanError(f"{'.'.join(_POOL_SPEC)}.targetPorts[0].number is empty")
    picker = (*_POOL_SPEC, "endpointPickerRef")
    extension: dict[str, Any] = {"name": text(root, *picker, "name")}
    for field in ("group", "kind", "failureMode"):
        value = text(root, *picker, field)
        if value:
            extension[field] = value
    port = integer(root, *picker, "port", "number")
    if port is not None and port > 0:
        extension["portNumber"] = port
    return {
        "selector": dict(mapping(root, *_POOL_SPEC, "selector", "matchLabels")),
        "targetPortNumber": number,
        "extensionRef": extension,
    }


def _same_v1(wanted: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    # Lists and selectors that we generate are compared in full: what was taken out must go (EQ-3).
    in_full = (("selector",), ("targetPorts",))
    return (
        derivative(wanted["spec"], live.get("spec"))
        and _equal_at(wanted, live, in_full)
        and _protocol(wanted) == _protocol(live)
    )


def _protocol(pool: Mapping[str, Any]) -> str:
    """What a pool that says nothing is taken for, so that a protocol that was taken out goes."""
    return text(pool, "spec", "appProtocol") or _DEFAULT_PROTOCOL


def _same_v1alpha2(wanted: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    return derivative(wanted["spec"], live.get("spec")) and _equal_at(wanted, live, (("selector",),))


def _equal_at(wanted: Mapping[str, Any], live: Mapping[str, Any], paths: tuple[tuple[str, ...], ...]) -> bool:
    return all(equal(dig(wanted, "spec", *path), dig(live, "spec", *path)) for path in paths)


def _model(ctx: Context, name: str) -> dict[str, Any]:
    wanted = build(
        ctx,
        kinds.MODEL,
        name,
        labels=names.labels(ctx.name, names.SCHEDULER_COMPONENT),
        spec={
            "modelName": text({"spec": ctx.spec}, "spec", "model", "name") or ctx.name,
            "criticality": _criticality(ctx),
            "poolRef": {
                "group": POOL_GROUP_V1ALPHA2 if ctx.obs.served(kinds.POOL_V1) is Served.NO else POOL_GROUP_V1,
                "kind": kinds.POOL_V1.kind,
                "name": effective_pool_name(ctx.name, ctx.spec),
            },
        },
    )
    for owner in wanted["metadata"]["ownerReferences"]:
        owner.pop("blockOwnerDeletion")
    return wanted


def _criticality(ctx: Context) -> str:
    """v1alpha1's `model.criticality` survives conversion as an annotation; anything unusable means Critical."""
    value = annotations_of(ctx.service).get(names.CRITICALITY)
    return value if value in _CRITICALITIES else _CRITICALITIES[0]
