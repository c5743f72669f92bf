"""The lock of the migration: an annotation of the managed HTTPRoute, and its copy in the status (MIG-2).

The lock on the live route counts only for the pool it was set for: when `pool.ref` changes to another name, the route
still refers to the old one, and the new pool has to be looked for first (MIG-4).
"""

from collections.abc import Mapping
from typing import Any, Final

from aioctl.api import kinds, names
from aioctl.api.defaulting import external_pool_name
from aioctl.api.objects import Object, annotations_of, controller_of, dig, labels_of
from aioctl.plan.children import is_ours
from aioctl.plan.model import Context
from aioctl.plan.observation import Present
from aioctl.plan.routing import groups_of_pools

LOCKED_VALUE: Final = "v1"
LOCK_KEYS: Final = (names.MIGRATED, names.MIGRATED_MERGED_SPELLING)


def has_lock(route: Object) -> bool:
    """True when the route carries the lock, in either spelling (MIG-2)."""
    return any(annotations_of(route).get(key) == LOCKED_VALUE for key in LOCK_KEYS)


def bears_lock(ctx: Context, route: Object) -> bool:
    """True when the managed route carries the lock for the pool of the service's own; of a stopped service the spec says nothing."""
    own = frozenset({names.default_pool_name(ctx.name)})
    return is_ours(ctx, route) and has_lock(route) and bool(groups_of_pools(route.get("spec"), own))


def with_unrecorded_lock(ctx: Context) -> Object | None:
    """The live managed route whose lock the status does not remember yet: it has to stay until then, else one made later would
    begin on the v1alpha2 pool again (MIG-2). The status is written after the plan, and may be lost. None: nothing would be lost, as
    where the pool is another's, for which the status keeps no lock.
    """
    if status_locked(ctx.service) or external_pool_name(ctx.spec):
        return None
    live = ctx.obs.get(kinds.HTTP_ROUTE, ctx.namespace, names.route_name(ctx.name))
    return live.obj if isinstance(live, Present) and bears_lock(ctx, live.obj) else None


def status_locked(service: Object) -> bool:
    """The copy of the lock in the status; a stored status of the wrong type, which is replaced, holds none."""
    return bool(dig(service, "status", "annotations", names.MIGRATED) == LOCKED_VALUE)


def is_adoptable(ctx: Context, route: Object) -> bool:
    """True for a route that lost its owner: no controller at all, but all our labels for this service (2.4)."""
    ours = names.labels(ctx.name, names.ROUTER_COMPONENT)
    return controller_of(route) is None and names.has_our_labels(labels_of(route), ours)


def lock_counts(ctx: Context, live: Object, wanted: Mapping[str, Any]) -> bool:
    """Whether the live route carries the lock for the pool that is `wanted`, a route's spec, now."""
    if not has_lock(live) or not (is_ours(ctx, live) or is_adoptable(ctx, live)):
        return False
    external = external_pool_name(ctx.spec)
    if not external:
        return True
    pool = frozenset({external})
    return bool(groups_of_pools(live.get("spec"), pool)) or not groups_of_pools(wanted, pool)
