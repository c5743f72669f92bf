"""How rules with our pools are written: both generations with weights, or one reference at a time (MIG-7).

`weighted` and `swap` say it themselves. `auto` goes by what the gateways are known to do: a gateway of which that is not
known never gets a rule with both, and a live route with both keeps it until a gateway is seen to refuse it.

Where gateways serve each generation and nobody has said whether they take both, they are asked (`plan/probe.py`), and the move waits
for the answer (MIG-14): with both references in the route, and resolved, traffic moves by weights alone.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from aioctl.api.kinds import POOL_GROUP_V1ALPHA2
from aioctl.api.objects import Object, created_at, generation_of, sequence
from aioctl.plan.evidence import Finding, GatewayEvidence, Source, Support, is_open, references
from aioctl.plan.memo import passed
from aioctl.plan.model import Context
from aioctl.plan.parents import parents_of
from aioctl.plan.policy import Probe, Strategy
from aioctl.plan.readiness import find_condition, is_stale

PATIENCE: Final = timedelta(seconds=10)
"""How long a move waits for word on both in one rule, once that is asked. Gateway controllers were measured to answer within two seconds."""
UNASKED: Final = timedelta(seconds=60)
"""How long it waits for the question to be put, from when the route, or the question about v1, was: what is put off may not come at all."""


class Wait(NamedTuple):
    """`until`: when it ends though nobody has said anything; None: it does not."""

    awaited: bool = False
    until: datetime | None = None


NO_WAIT: Final = Wait()


def form_of(
    strategy: Strategy, default: Strategy, *, mixed: bool, evidence: Sequence[GatewayEvidence]
) -> Strategy:
    """`weighted` or `swap`. `default`: the operator's strategy, which gives the form while a service is on hold; `mixed`: the
    live route has rules with both generations."""
    wanted = default if strategy is Strategy.HOLD else strategy
    if wanted in (Strategy.WEIGHTED, Strategy.SWAP):
        return wanted
    if mixed:
        refused = any(
            each.mixed.support is Support.NO and each.mixed.source is Source.ROUTE for each in evidence
        )
        return Strategy.SWAP if refused else Strategy.WEIGHTED
    return Strategy.WEIGHTED if take_both(evidence) else Strategy.SWAP


def take_both(evidence: Sequence[GatewayEvidence]) -> bool:
    """Every gateway is known to take both in one rule."""
    return bool(evidence) and all(each.mixed.support is Support.YES for each in evidence)


def may_ask(ctx: Context, evidence: Sequence[GatewayEvidence]) -> bool:
    """Whether it is worth a question if the gateways take both in one rule: all serve v1, none is known to refuse both, and
    nobody but a probe has said so of one of them."""
    tried = ctx.policy.probe is Probe.TRAFFIC
    undecided = [each for each in evidence if is_open(each, tried=tried)]
    return (
        ctx.policy.probe is not Probe.OFF
        and bool(undecided)
        and all(each.v1.support is Support.YES for each in evidence)
        and all(each.mixed.support is Support.YES for each in evidence if each not in undecided)
    )


def is_asked(ctx: Context, live: Object, pools: frozenset[str], evidence: Sequence[GatewayEvidence]) -> bool:
    """Whether they are to be asked for the sake of the move: the route has v1alpha2 alone, and all serve that, too."""
    return (
        _is_alone(live, pools)
        and all(each.v1alpha2.support is Support.YES and each.v1alpha2.shown for each in evidence)
        and may_ask(ctx, evidence)
    )


def wait(
    ctx: Context,
    live: Object,
    pools: frozenset[str],
    evidence: Sequence[GatewayEvidence],
    probes: Sequence[Object],
    asking: Object | None,
) -> Wait:
    """Whether the move of an `auto` route waits until it is known in which form it is made. `probes`: of the service; `asking`: the
    route that asks about both, whichever service's."""
    if _is_alone(live, pools):
        if take_both(evidence):
            return Wait(awaited=True)  # both go into the route first
        refused = any(each.mixed == Finding(Support.NO, Source.PROBE) for each in evidence)
        until = _until(live, probes, asking)
        if refused or until is None or not is_asked(ctx, live, pools, evidence):
            return NO_WAIT
        return NO_WAIT if passed(ctx, until) else Wait(awaited=True, until=until)
    both = len(set().union(*references(live, pools))) > 1
    return Wait(awaited=both and ctx.policy.probe is not Probe.OFF and _is_unread(ctx, live))


def _until(live: Object, probes: Sequence[Object], asking: Object | None) -> datetime | None:
    """When the wait for word on both ends; None where it cannot be said since when it lasts."""
    asked = created_at(asking) if asking is not None else None
    if asked is not None:
        return asked + PATIENCE
    since = [moment for each in (live, *probes) if (moment := created_at(each)) is not None]
    return max(since) + UNASKED if since else None


def _is_alone(live: Object, pools: frozenset[str]) -> bool:
    carrying, idle = references(live, pools)
    return carrying == {POOL_GROUP_V1ALPHA2} and not idle


def _is_unread(ctx: Context, live: Object) -> bool:
    """Some gateway has yet to say what the route resolves to as it is now, and has said it of what it was."""
    conditions = (
        find_condition(sequence(entry, "conditions"), "ResolvedRefs")
        for parent in parents_of(live, ctx.obs)
        for entry in parent.entries
    )
    return any(each is not None and is_stale(each, generation_of(live)) for each in conditions)
