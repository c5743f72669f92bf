"""`aioctl status`: the fleet, one item a service, and a line that sums it up."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aioctl.api import conditions as c
from aioctl.api.kinds import SERVICE
from aioctl.tools.look import Look, age, gateways, since, traffic
from aioctl.tools.output import Column

COLUMNS: Final = (
    Column("NAMESPACE", "namespace"),
    Column("NAME", "name"),
    Column("READY", "ready"),
    Column("STATE", "state"),
    Column("REASON", "reason"),
    Column("SINCE", "age"),
    Column("V1/V1ALPHA2", "split"),
    Column("REPLICAS", "replicas"),
    Column("GATEWAY", "gateways"),
    Column("STRATEGY", "strategy", wide=True),
    Column("LOCK", "lock", wide=True),
    Column("NOT READY BECAUSE", "notReady", wide=True),
    Column("WHAT TO DO", "problem"),
)
_INTERNAL: Final = ("age", "split", "replicas")
"""Cells of the table that say what other fields say for machines."""


def item(seen: Look) -> dict[str, Any]:
    """One service as the field names of `-o json` promise."""
    shares = traffic(seen)
    ready = seen.condition(c.READY) or {}
    have = sum(each.ready for each in seen.workload_roles())
    want = sum(each.wanted for each in seen.workload_roles())
    on_route, in_status = seen.locks
    return {
        "namespace": seen.key.namespace,
        "name": seen.key.name,
        "resource": f"{SERVICE.kind.lower()}.{SERVICE.group}/{seen.key.name}",
        "ready": ready.get("status", "Unknown"),
        "notReady": f"{ready.get('reason', '')}: {ready.get('message', '')}".strip(": "),
        "state": seen.state,
        "reason": seen.reason,
        "since": since(seen),
        "age": age(since(seen), seen.now),
        "traffic": None if shares is None else {"v1": shares[0], "v1alpha2": shares[1]},
        "split": "" if shares is None else f"{shares[0]}/{shares[1]}",
        "readyReplicas": have,
        "wantedReplicas": want,
        "replicas": f"{have}/{want}",
        "gateways": gateways(seen),
        "strategy": seen.decision.strategy.value if seen.decision else "",
        "lock": "route+status"
        if on_route and in_status
        else "route"
        if on_route
        else "status"
        if in_status
        else "",
        "problem": seen.problem,
    }


def public(found: Mapping[str, Any]) -> dict[str, Any]:
    """The item without the cells that are for the table only."""
    return {key: value for key, value in found.items() if key not in _INTERNAL}


def by_state(seen: Sequence[Look]) -> dict[str, int]:
    """How many there are of each state that is there."""
    return dict(sorted(Counter(one.state for one in seen).items()))


def summary(seen: Sequence[Look]) -> str:
    """`50 services: 48 Migrated, 1 Held, 1 Initial; 49 ready; 1 waits for somebody`; of at least one."""
    ready = sum((one.condition(c.READY) or {}).get("status") == "True" for one in seen)
    act = sum(bool(one.problem) for one in seen)
    counts = ", ".join(f"{count} {state}" for state, count in by_state(seen).items())
    waits = f"; {act} {'waits' if act == 1 else 'wait'} for somebody" if act else ""
    return f"{len(seen)} {'service' if len(seen) == 1 else 'services'}: {counts}; {ready} ready{waits}"
