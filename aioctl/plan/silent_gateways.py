"""Gateways that write no status of pools, and what counts in its place (POOL-7).

Some implementations serve a pool and never say so on it: kgateway (kgateway#13456), and istiod for the v1alpha2 pools of its
agentgateway class (measured). Their routes say it: such a gateway counts as having accepted a pool that it has resolved on a route
where the pool carries traffic, once it has had time to write a status and has written none on either pool of the service, and
requests have a picker to go to. An entry that appears later ends the substitute; it undoes no lock.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from aioctl.api import kinds
from aioctl.api.defaulting import effective_pool_name
from aioctl.api.kinds import Kind, ObjectKey
from aioctl.api.objects import Object, created_at, dig, generation_of, sequence, text
from aioctl.plan import gateways, picker, picker_readiness
from aioctl.plan.evidence import references
from aioctl.plan.memo import concluded, left_until, passed
from aioctl.plan.model import Context
from aioctl.plan.observation import Present, Unanswered
from aioctl.plan.parents import Parent, parents_of
from aioctl.plan.readiness import accepted_by, find_condition, holds

_SAID: Final = ("Accepted", "ResolvedRefs")
_FIRST_WORD: Final = timedelta(seconds=5)
"""Gateway controllers were measured to answer within one or two seconds."""
_POOLS: Final = (kinds.POOL_V1, kinds.POOL_V1ALPHA2)


def accept(ctx: Context, kind: Kind, pool: Object, gateway: ObjectKey) -> bool:
    """True when the gateway counts as having accepted the pool without a word on it."""
    return _in_effect(ctx, kind, pool, gateway) and wait(ctx, pool) == timedelta(0)


def seconds_until(ctx: Context) -> float | None:
    """Seconds until a silent gateway may count as having accepted a pool of the service; None when time changes nothing."""
    moments = concluded(ctx, "silent gateways", lambda: frozenset(_moments(ctx)))
    waits = [left for moment in moments if (left := left_until(ctx, moment))]
    return min(waits).total_seconds() if waits else None


def _moments(ctx: Context) -> Iterator[datetime]:
    """When a silent gateway may count as having accepted a pool, and when a word on the v1 pool is waited for no longer."""
    found = gateways_of(ctx)
    for kind, pool in pools_of(ctx):
        for gateway in found:
            if (until := _last_word(ctx, pool)) is not None and _in_effect(ctx, kind, pool, gateway):
                yield until
            if kind == kinds.POOL_V1 and (over := _over(ctx, pool, gateway)) is not None:
                yield over


def is_awaited(ctx: Context, gateways: Iterable[ObjectKey]) -> bool:
    """True while one of them may still be about to accept the v1 pool (MIG-7).

    What it does with other services' references is no word on this pool: requests that came before it would be lost.
    """
    v1 = dict(pools_of(ctx)).get(kinds.POOL_V1)
    return v1 is not None and any(_has_time(ctx, v1, gateway) for gateway in gateways)


def _has_time(ctx: Context, v1: Object, gateway: ObjectKey) -> bool:
    """Whether a word of the gateway on the v1 pool is still waited for."""
    over = _over(ctx, v1, gateway)
    return over is not None and not passed(ctx, over)


def _over(ctx: Context, v1: Object, gateway: ObjectKey) -> datetime | None:
    """Until when a word of the gateway on the v1 pool is waited for; None: not at all.

    One that has written the status of a pool of the service gets as long as gateways get for that; one that has not, a moment.
    """
    created = created_at(v1)
    if created is None or accepted_by(v1, kinds.POOL_V1, gateway):
        return None
    return created + _FIRST_WORD if is_silent(pools_of(ctx), gateway) else _last_word(ctx, v1)


def is_silent(pools: list[tuple[Kind, Object]], gateway: ObjectKey) -> bool:
    """True while the gateway has an entry on none of these pools."""
    return not any(accepted_by(pool, kind, gateway) for kind, pool in pools)


def wait(ctx: Context, pool: Object) -> timedelta | None:
    """How much of the time that gateways have to write a pool's status is left; None where its age is not known."""
    moment = _last_word(ctx, pool)
    return None if moment is None else left_until(ctx, moment)


def _last_word(ctx: Context, pool: Object) -> datetime | None:
    created = created_at(pool)
    return None if created is None else created + timedelta(seconds=ctx.policy.pool_status_grace)


def pools_of(ctx: Context) -> list[tuple[Kind, Object]]:
    """The service's pools that are there, by generation."""
    name = effective_pool_name(ctx.name, ctx.spec)
    reads = [(kind, ctx.obs.get(kind, ctx.namespace, name)) for kind in _POOLS]
    return [(kind, read.obj) for kind, read in reads if isinstance(read, Present)]


def gateways_of(ctx: Context) -> list[ObjectKey]:
    """Those that the service's routes hang on."""
    return list(dict.fromkeys(parent.key for route in _routes(ctx) for parent in parents_of(route, ctx.obs)))


def _in_effect(ctx: Context, kind: Kind, pool: Object, gateway: ObjectKey) -> bool:
    """All of it but the time."""
    return is_silent(pools_of(ctx), gateway) and _resolves(ctx, kind, gateway) and has_picker(ctx, pool)


def _resolves(ctx: Context, kind: Kind, gateway: ObjectKey) -> bool:
    """Some route of the service leads traffic to the pool through the gateway, and every parentRef to it is accepted and resolved."""
    name = frozenset({effective_pool_name(ctx.name, ctx.spec)})
    found = [
        (route, parent)
        for route in _routes(ctx)
        if kind.group in references(route, name)[0]
        for parent in parents_of(route, ctx.obs)
        if parent.key == gateway
    ]
    return bool(found) and all(_is_well(parent, generation_of(route)) for route, parent in found)


def _is_well(parent: Parent, generation: int) -> bool:
    return bool(parent.entries) and all(
        any(holds(condition, generation) for condition in _conditions(entry, type_))
        for entry in parent.entries
        for type_ in _SAID
    )


def _conditions(entry: object, type_: str) -> Iterator[Object]:
    found = find_condition(sequence(entry, "conditions"), type_)
    if found is not None:
        yield found


def _routes(ctx: Context) -> list[Object]:
    with suppress(Unanswered):
        return gateways.routes(ctx)
    return []


def has_picker(ctx: Context, pool: Object) -> bool:
    """The service's picker is available, and its Service has the port that the pool names. True without a picker of its own."""
    if not picker.is_wanted(ctx):
        return True
    deployment = ctx.obs.get(kinds.DEPLOYMENT, ctx.namespace, picker.deployment_name(ctx.name))
    if not picker_readiness.judge(deployment.obj if isinstance(deployment, Present) else None).ready:
        return False
    reference = dig(pool, "spec", "endpointPickerRef") or dig(pool, "spec", "extensionRef")
    port = dig(reference, "port", "number") or dig(reference, "portNumber")
    service = ctx.obs.get(kinds.CORE_SERVICE, ctx.namespace, text(reference, "name"))
    if not isinstance(service, Present):
        return False
    return any(dig(each, "port") == port for each in sequence(service.obj, "spec", "ports"))
