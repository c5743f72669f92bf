"""What KServe's own controller would do with the traffic of a service that is handed back to it (MIG-11). Pure.

It writes one reference in each rule and looks at the live route alone: at the annotation in its own spelling, then at what
the parents say of references to v1, then of references to v1alpha2. Anything a parent says but InvalidKind is support to
it, so a route of ours with both generations (`weighted`, before its move) goes to v1 at once, whether v1 is served or not.
Without a route it begins on v1alpha2: it knows no copy of the lock.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from aioctl.api import names
from aioctl.api.defaulting import external_pool_name
from aioctl.api.kinds import POOL_GROUP_V1, POOL_GROUP_V1ALPHA2
from aioctl.api.objects import Object, annotations_of, name_of, sequence
from aioctl.plan.evidence import references
from aioctl.plan.lock import LOCKED_VALUE, has_lock, status_locked
from aioctl.plan.parents import is_parent
from aioctl.plan.readiness import find_condition
from aioctl.plan.routing import has_scheduler, pool_names

_BOTH: Final = frozenset({POOL_GROUP_V1, POOL_GROUP_V1ALPHA2})


class Fate(Enum):
    """What becomes of the traffic."""

    STAYS = "stays"
    MOVES = "moves to v1 at once"
    GOES_BACK = "goes back to v1alpha2"


@dataclass(frozen=True, slots=True)
class HandBack:
    """`cure`: what to do first, in a sentence; empty where nothing has to be done."""

    fate: Fate
    why: str = ""
    cure: str = ""

    @property
    def harmless(self) -> bool:
        return self.fate is Fate.STAYS


_STAYS: Final = HandBack(Fate.STAYS)
_SWAP: Final = (
    f"annotate the service {names.MIGRATION_STRATEGY}: swap and wait until its HTTPRoute names one generation"
)


def hand_back(service: Object, spec: Mapping[str, Any], route: Object | None) -> HandBack:
    """The fate of a service with that combined spec and that live managed route; None: it has none, as when it is stopped."""
    if not has_scheduler(spec) or external_pool_name(spec):
        return _STAYS  # no generation of a default pool is chosen
    if route is None:
        return _without_route() if status_locked(service) else _STAYS
    carrying, idle = references(route, pool_names(name_of(service), spec))
    if not carrying | idle:
        return _STAYS  # rules of the user without the default pool
    after = generation_after(route, carrying | idle)
    if carrying == {after}:
        return _STAYS
    if after == POOL_GROUP_V1:
        return HandBack(
            Fate.MOVES, _why_on(route, carrying | idle), _SWAP if idle or len(carrying) > 1 else ""
        )
    return _back(route)


def generation_after(route: Object, groups: frozenset[str] | set[str]) -> str:
    """The API group that KServe's controller writes into the references of a live route that has those of `groups`."""
    if annotations_of(route).get(names.MIGRATED) == LOCKED_VALUE:
        return POOL_GROUP_V1
    support = _support(route)
    if POOL_GROUP_V1 in groups and support is True:
        return POOL_GROUP_V1
    if POOL_GROUP_V1ALPHA2 in groups and support is False:
        return POOL_GROUP_V1
    return POOL_GROUP_V1ALPHA2


def _support(route: Object) -> bool | None:
    """What the parents together say of whatever the route refers to; None where none has spoken. Generations do not count."""
    refused = False
    for entry in sequence(route, "status", "parents"):
        condition = (
            find_condition(sequence(entry, "conditions"), "ResolvedRefs") if is_parent(entry, route) else None
        )
        if condition is None:
            continue
        if condition.get("status") != "False" or condition.get("reason") != "InvalidKind":
            return True
        refused = True
    return False if refused else None


def _why_on(route: Object, groups: set[str]) -> str:
    what = "its HTTPRoute names both generations" if groups >= _BOTH else "its HTTPRoute names v1alpha2"
    said = "and its gateways resolve it" if _support(route) else "and its gateways refuse it (InvalidKind)"
    return f"{what} {said}, which KServe's controller takes for support of v1"


def _back(route: Object) -> HandBack:
    if has_lock(route):
        return HandBack(
            Fate.GOES_BACK,
            f"the lock on its HTTPRoute is in the spelling {names.MIGRATED_MERGED_SPELLING}, which KServe's controller does not know",
            f"annotate the HTTPRoute {names.MIGRATED}: {LOCKED_VALUE}",
        )
    return HandBack(
        Fate.GOES_BACK,
        "its HTTPRoute names v1 without the lock, and no gateway has resolved it",
        "wait until a gateway resolves its HTTPRoute",
    )


def _without_route() -> HandBack:
    return HandBack(
        Fate.GOES_BACK,
        "it has no HTTPRoute, and the copy of its lock in status.annotations means nothing to KServe's controller",
        "start the service first, so that its HTTPRoute carries the lock",
    )
