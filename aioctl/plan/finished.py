"""Whether v1alpha2 InferencePools are done with, for one service or for all (MIG-9).

The mark is the annotation `aioctl.dev/v1alpha2-pools: finished`: on a service, where it counts from the moment that the lock is
held in both places, or on ConfigMap `inferenceservice-config`, for every service there is and will be. From then on v1alpha2 counts as not
served for the service's own pools: routes name v1 alone, nothing of v1alpha2 is made, and ours is deleted once no route of
the service needs it. Without the mark the pools come back; the lock stays. A service whose routes are the user's, or that has none,
has nothing to lock: its mark counts at once.

Before that, `leaving` on a service takes its processes off v1alpha2 while the pool is still there: the picker and the routing sidecars
are told v1, which restarts them.
"""

from collections.abc import Iterator
from typing import Final

from aioctl.api import kinds, names
from aioctl.api.defaulting import external_pool_name
from aioctl.api.kinds import POOL_GROUP_V1ALPHA2, ObjectKey, Served
from aioctl.api.objects import Object, annotations_of, dig, generation_of, sequence
from aioctl.plan.model import Context
from aioctl.plan.observation import Present
from aioctl.plan.parents import parents_of
from aioctl.plan.readiness import find_condition, holds
from aioctl.plan.routing import Mode, mode, route_refs

FINISHED: Final = "finished"
LEAVING: Final = "leaving"


def is_marked(obj: Object) -> bool:
    """The service or the ConfigMap carries the mark."""
    return annotations_of(obj).get(names.OLD_POOLS) == FINISHED


def v1alpha2_served(ctx: Context) -> Served:
    """Whether the service may have v1alpha2 pools of its own; a user's pool is the user's."""
    if is_finished(ctx):
        return Served.NO
    return ctx.obs.served(kinds.POOL_V1ALPHA2)


def v1alpha2_read(ctx: Context) -> Served:
    """Whether the service's processes may be told to read v1alpha2 pools."""
    return Served.NO if is_leaving(ctx) else v1alpha2_served(ctx)


def is_leaving(ctx: Context) -> bool:
    """Its processes are taken off v1alpha2, as its traffic is."""
    asked = annotations_of(ctx.service).get(names.OLD_POOLS) == LEAVING
    return asked and _counts(ctx) and not external_pool_name(ctx.spec)


def is_finished(ctx: Context) -> bool:
    """The mark counts for this service."""
    if external_pool_name(ctx.spec):
        return False
    if ctx.config.old_pools_finished:
        return True
    return is_marked(ctx.service) and _counts(ctx)


def _counts(ctx: Context) -> bool:
    """A mark of the service alone: its traffic is locked on v1, or it is not ours to move."""
    locked = dig(ctx.service, "status", "annotations", names.MIGRATED) == "v1"
    return locked or (not ctx.stopped and mode(ctx) is not Mode.MANAGED)


def may_go(ctx: Context, pool: str) -> bool:
    """Our v1alpha2 pool is in nobody's way any more: no route of the service names it, and each resolves everywhere."""
    managed = ObjectKey(ctx.namespace, names.route_name(ctx.name))
    keys = [managed] if mode(ctx) is Mode.MANAGED else route_refs(ctx)
    read = [ctx.obs.get(kinds.HTTP_ROUTE, *key) for key in keys]
    return all(isinstance(one, Present) and _does_without(ctx, one.obj, pool) for one in read)


def _does_without(ctx: Context, route: Object, pool: str) -> bool:
    parents = list(parents_of(route, ctx.obs))
    resolved = bool(parents) and all(
        any(_resolved(entry, generation_of(route)) for entry in parent.entries) for parent in parents
    )
    return resolved and not _names(route, pool)


def _names(route: Object, pool: str) -> bool:
    return any(ref.get("group") == POOL_GROUP_V1ALPHA2 and ref.get("name") == pool for ref in _refs(route))


def _refs(route: Object) -> Iterator[Object]:
    for rule in sequence(route, "spec", "rules"):
        yield from sequence(rule, "backendRefs")


def _resolved(entry: Object, generation: int) -> bool:
    condition = find_condition(sequence(entry, "conditions"), "ResolvedRefs")
    return condition is not None and holds(condition, generation)
