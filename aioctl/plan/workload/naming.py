"""What the objects of one workload are called: today's names, or the shorter ones under which an earlier revision made them.

KServe named workloads and their accounts by a rule of 43 characters and names them by one of 63 now; the names differ for
long service names only. Renaming a workload means a second set of model servers, so what stands under an earlier name is
adopted and goes on under it, with its account, role and binding (NAME-3). Where both stand, as after a run of today's
KServe, the one under today's name is the workload, and the other goes once that one is available.
"""

from collections.abc import Callable, Iterator
from typing import Final

from aioctl.api import kinds, names
from aioctl.api.kinds import Kind, Served
from aioctl.api.objects import Object, name_of
from aioctl.plan.availability import availability
from aioctl.plan.children import is_ours, remove
from aioctl.plan.memo import get_standing
from aioctl.plan.model import Context, Write
from aioctl.plan.observation import Read, need

Child = tuple[Kind, str]
"""Kind and the end of its name."""
Rule = Callable[[str, str], str]
"""(service, suffix) -> name."""

MAIN: Final[tuple[Child, ...]] = (
    (kinds.DEPLOYMENT, "-kserve"),
    (kinds.ROLE_BINDING, "-kserve-rb"),
    (kinds.ROLE, "-kserve-role"),
    (kinds.SERVICE_ACCOUNT, "-kserve"),
)
PREFILL: Final[tuple[Child, ...]] = ((kinds.DEPLOYMENT, "-kserve-prefill"),)
MAIN_GROUP: Final[tuple[Child, ...]] = (
    (kinds.LEADER_WORKER_SET, "-kserve-mn"),
    (kinds.ROLE_BINDING, "-kserve-mn-rb"),
    (kinds.ROLE, "-kserve-mn-role"),
    (kinds.SERVICE_ACCOUNT, "-kserve-mn"),
)
PREFILL_GROUP: Final[tuple[Child, ...]] = (
    (kinds.LEADER_WORKER_SET, "-kserve-mn-prefill"),
    (kinds.SERVICE_ACCOUNT, "-kserve-mn-prefill"),
)
"""What belongs together: the workload first, then what its pods need, in the order in which that is taken away."""


def group(*, multi_node: bool, prefill: bool) -> tuple[Child, ...]:
    """The objects of one side of a service in one topology."""
    if multi_node:
        return PREFILL_GROUP if prefill else MAIN_GROUP
    return PREFILL if prefill else MAIN


def workload_name(ctx: Context, children: tuple[Child, ...]) -> str:
    """The name of the Deployment or LeaderWorkerSet."""
    return rule(ctx, children)(ctx.name, children[0][1])


def name(ctx: Context, children: tuple[Child, ...], kind: Kind) -> str:
    """The name of the child of that kind. Raises Unanswered when it is not known what stands."""
    return rule(ctx, children)(ctx.name, _suffix(children, kind))


def rule(ctx: Context, children: tuple[Child, ...]) -> Rule:
    """How these children are called: the first of them that stands decides, and today's name wins."""
    for kind, suffix in children:
        if _differ(ctx, suffix):
            for possible in (names.child, names.safe):
                if _live(ctx, kind, possible(ctx.name, suffix)) is not None:
                    return possible
    return names.child


def remove_child(ctx: Context, children: tuple[Child, ...], *only: Kind) -> Iterator[Write]:
    """Takes children of these kinds away, under whichever name, those that depend on others first."""
    for kind, suffix in children:
        if kind not in only:
            continue
        today, former = names.child(ctx.name, suffix), names.safe(ctx.name, suffix)
        yield from remove(ctx, kind, today)
        if former != today:
            yield from remove(ctx, kind, former)


def retire(ctx: Context, children: tuple[Child, ...]) -> Iterator[Write]:
    """Takes away what stands under the earlier names beside the workload that is in use, once that one is available."""
    kind, suffix = children[0]
    if rule(ctx, children) is names.safe or not any(_differ(ctx, suffix) for _, suffix in children):
        return
    former = _live(ctx, kind, names.safe(ctx.name, suffix)) if _differ(ctx, suffix) else None
    if former is not None:
        ready, _, _ = availability(_whole(ctx, kind, names.child(ctx.name, suffix)), kind)
        if ready == "True":
            yield from remove(ctx, kind, name_of(former))
        return
    for kind, suffix in children[1:]:
        if _differ(ctx, suffix):
            yield from remove(ctx, kind, names.safe(ctx.name, suffix))


def _suffix(children: tuple[Child, ...], kind: Kind) -> str:
    return next(suffix for found, suffix in children if found == kind)


def _differ(ctx: Context, suffix: str) -> bool:
    return names.child(ctx.name, suffix) != names.safe(ctx.name, suffix)


def _live(ctx: Context, kind: Kind, called: str) -> Object | None:
    """The object of that name but for its status, if it is this service's own."""
    if kind.optional and ctx.obs.served(kind) is Served.NO:
        return None
    return _ours(ctx, get_standing(ctx, kind, called))


def _whole(ctx: Context, kind: Kind, called: str) -> Object | None:
    """The same with its status; of a kind that is served."""
    return _ours(ctx, ctx.obs.get(kind, ctx.namespace, called))


def _ours(ctx: Context, read: Read) -> Object | None:
    found = need(read)
    return found if found is not None and is_ours(ctx, found) else None
