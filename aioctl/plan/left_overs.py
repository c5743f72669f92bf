"""What goes although the spec cannot be built: sides that nothing the service is made of asks for any more (STOP-2).

Taking away needs names only. The service's own spec and its baseRefs are looked at as they are written: no config that is
laid under them brings a prefill side or a router of its own. Where a baseRef cannot be read, all stays. A side that is still
asked for stays too, in whatever topology it runs, for what would replace it cannot be made now; and the endpoint picker
stays while a route points at its pool.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import cache

from aioctl.api import kinds, names
from aioctl.api.kinds import ObjectKey
from aioctl.api.objects import Object, mapping, name_of, namespace_of, present, sequence
from aioctl.plan import route
from aioctl.plan.backends import pool_key, pool_kind
from aioctl.plan.config_lookup import as_written
from aioctl.plan.global_config import GlobalConfig
from aioctl.plan.migration_facts import migration_of
from aioctl.plan.model import Context, Part, Step, Verb, Write, step
from aioctl.plan.observation import Observation, need_list
from aioctl.plan.policy import Policy
from aioctl.plan.workload import multi, single
from aioctl.plan.workload.forms import Forms

Builder = Callable[[Context], Iterable[Write]]


def left_overs(
    obs: Observation, service: Object, policy: Policy, now: datetime, *, picker: Builder
) -> Step | None:
    """The deletions, None when there are none or when not enough is known. `picker` builds what the scheduler part makes."""
    ctx = Context(obs, service, {}, GlobalConfig(policy.system_namespace), policy, now)
    made = step(
        Part.LEFT_OVERS, lambda: _deletions(ctx, picker), outer="failed to remove what is not wanted: "
    )
    return made if made.writes and not (made.error or made.unanswered) else None


def _deletions(ctx: Context, picker: Builder) -> Iterator[Write]:
    specs = as_written(ctx.obs, ctx.service, ctx.policy.system_namespace)
    if specs is None:
        return
    if not any(present(spec, "spec", "prefill") for spec in specs):
        forms = Forms()
        yield from _only_deletions(single.prefill_deployment(ctx, lambda: single.build_prefill(ctx), forms))
        yield from _only_deletions(multi.prefill_set(ctx, lambda: multi.build_prefill(ctx), forms))
        yield from _only_deletions(multi.prefill_access(ctx))
    if not any(present(spec, "spec", "router") for spec in specs):
        decided = cache(lambda: migration_of(ctx))
        yield from _only_deletions(route.route(ctx, decided))
        writes = list(_only_deletions(picker(ctx)))
        if writes and not _is_pointed_at(ctx):
            yield from writes


def _only_deletions(writes: Iterable[Write]) -> Iterator[Write]:
    return (write for write in writes if write.verb is Verb.DELETE)


def _is_pointed_at(ctx: Context) -> bool:
    """Whether a route other than the managed one, which goes first, sends traffic to the service's own pool."""
    pool = ObjectKey(ctx.namespace, names.default_pool_name(ctx.name))
    own = names.own_routes(ctx.name)
    return any(
        pool_kind(ref) is not None and pool_key(ref, namespace_of(found)) == pool
        for found in need_list(ctx.obs.select(kinds.HTTP_ROUTE, ctx.namespace, {}))
        if name_of(found) not in own
        for rule in sequence(mapping(found, "spec"), "rules")
        for ref in sequence(rule, "backendRefs")
    )
