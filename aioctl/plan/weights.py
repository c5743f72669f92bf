"""The references of a route's rules as the migration decided: weights of both generations, or the one that is active (MIG-5)."""

from collections.abc import Mapping, Sequence
from typing import Any

from aioctl.api.kinds import POOL_GROUP_V1, POOL_GROUP_V1ALPHA2
from aioctl.api.objects import sequence
from aioctl.plan.migration import Decision
from aioctl.plan.model import Strategy
from aioctl.plan.routing import is_pool_ref


def weights(rules: Sequence[Any], decision: Decision, pools: frozenset[str]) -> list[Any]:
    """The rules with the pool references set as decided. References to anything but `pools` are left alone.

    Both generations in a rule: 100/0 when locked, as given before; with strategy swap only the active one stays, and where
    the cluster serves one generation only that one, with the weight of the rule's pools.
    Only v1alpha2: its group becomes v1 when locked, the weight stays. Only v1: the user asked for v1.
    """
    return [_rule(rule, decision, pools) for rule in rules]


def _rule(rule: Any, decision: Decision, pools: frozenset[str]) -> Any:
    if not isinstance(rule, Mapping):
        return rule
    refs = list(sequence(rule, "backendRefs"))
    groups = {ref["group"] for ref in refs if is_pool_ref(ref, pools)}
    if POOL_GROUP_V1ALPHA2 not in groups:
        return rule
    if POOL_GROUP_V1 in groups:
        changed = _both(refs, decision, pools)
    elif decision.locked:
        changed = [{**ref, "group": POOL_GROUP_V1} if is_pool_ref(ref, pools) else ref for ref in refs]
    else:
        return rule
    return {**rule, "backendRefs": changed}


def _both(refs: Sequence[Any], decision: Decision, pools: frozenset[str]) -> list[Any]:
    active = POOL_GROUP_V1 if decision.locked else POOL_GROUP_V1ALPHA2
    stays = decision.only or (active if decision.strategy is Strategy.SWAP else "")
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
