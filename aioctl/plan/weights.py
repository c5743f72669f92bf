"""The references of a route's rules as the migration decided: weights of both generations, or the one that is active (MIG-5, MIG-6).

What a rule says of the pool is a form, not a wish: KServe's own default route names the v1 pool and rewrites its group.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from aioctl.api.kinds import POOL_GROUP_V1, POOL_GROUP_V1ALPHA2
from aioctl.api.objects import sequence
from aioctl.plan.migration import Decision
from aioctl.plan.policy import Strategy
from aioctl.plan.routing import is_pool_ref


def weights(
    rules: Sequence[Any], decision: Decision, pools: frozenset[str], *, own: bool = True, found: str = ""
) -> list[Any]:
    """The rules with the pool references set as decided. References to anything but `pools` are left alone.

    Both generations in a rule: 100/0 when locked, as given before; with strategy swap only the active one stays, and where
    the cluster serves one generation only that one, with the weight of the rule's pools.
    References of one generation to a pool of our `own`: their group is ours to set. Each is written as both generations, the
    active one with its weight and the other with none, or as the active one alone where only one may stand.
    References to a user's pool in one generation: v1 when locked, before that the generation that was `found`; the weights
    stay. Nothing found: as the user has them.
    """
    return [_rule(rule, decision, pools, own, found) for rule in rules]


def _rule(rule: Any, decision: Decision, pools: frozenset[str], own: bool, found: str) -> Any:  # noqa: FBT001
    if not isinstance(rule, Mapping):
        return rule
    refs = list(sequence(rule, "backendRefs"))
    groups = [ref["group"] for ref in refs if is_pool_ref(ref, pools)]
    if own and len(set(groups)) == 1:
        changed = _single(refs, decision, pools)
    elif len(set(groups)) > 1:
        changed = _both(refs, decision, pools)
    elif group := POOL_GROUP_V1 if decision.locked else found:
        changed = [{**ref, "group": group} if is_pool_ref(ref, pools) else ref for ref in refs]
    else:
        return rule
    return {**rule, "backendRefs": changed} if groups else rule


def _active(decision: Decision) -> str:
    return POOL_GROUP_V1 if decision.locked else POOL_GROUP_V1ALPHA2


def _single(refs: Sequence[Any], decision: Decision, pools: frozenset[str]) -> list[Any]:
    """Each reference to our pool as one or two of the generations that may stand, the weight with the active one."""
    active = decision.only or _active(decision)
    alone = bool(decision.only) or decision.strategy is Strategy.SWAP
    changed: list[Any] = []
    for ref in refs:
        if not is_pool_ref(ref, pools):
            changed.append(ref)
        elif alone:
            changed.append({**ref, "group": active})
        else:
            weight = ref.get("weight", 1)
            changed += (
                {**ref, "group": group, "weight": weight if group == active else 0}
                for group in (POOL_GROUP_V1, POOL_GROUP_V1ALPHA2)
            )
    return changed


def _both(refs: Sequence[Any], decision: Decision, pools: frozenset[str]) -> list[Any]:
    stays = decision.only or (_active(decision) if decision.strategy is Strategy.SWAP else "")
    heaviest = max(ref.get("weight", 1) for ref in refs if is_pool_ref(ref, pools))
    changed: list[Any] = []
    for ref in refs:
        if not is_pool_ref(ref, pools):
            changed.append(ref)
        elif stays and ref["group"] != stays:
            continue
        elif decision.locked:
            changed.append({**ref, "weight": 100 if ref["group"] == POOL_GROUP_V1 else 0})
        elif decision.only:
            changed.append({**ref, "weight": heaviest})
        else:
            changed.append(ref)
    return changed
