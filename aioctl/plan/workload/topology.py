"""`status.workloads`: what runs the model, with the replicas that are ready for requests (TOPO-2)."""

from typing import Any, Final

from aioctl.api import kinds, names
from aioctl.api.kinds import Kind
from aioctl.api.objects import integer, present
from aioctl.plan.model import Context
from aioctl.plan.observation import need
from aioctl.plan.routing import owns_pools
from aioctl.plan.workload import naming, pods

SCHEDULER_SUFFIX: Final = "-kserve-router-scheduler"

Entry = dict[str, Any]


def workloads(ctx: Context) -> Entry:
    """`status.workloads`. Raises Unanswered, also while a workload is not to be seen yet."""
    found = {"primary": _side(ctx, prefill=False)}
    if present({"spec": ctx.spec}, "spec", "prefill"):
        found["prefill"] = _side(ctx, prefill=True)
    found["service"] = {
        "kind": kinds.CORE_SERVICE.kind,
        "name": names.workload_service_name(ctx.name),
    }
    if owns_pools(ctx) and present({"spec": ctx.spec}, "spec", "router", "scheduler", "template"):
        found["scheduler"] = _workload(ctx, kinds.DEPLOYMENT, names.child(ctx.name, SCHEDULER_SUFFIX))
    return found


def _side(ctx: Context, *, prefill: bool) -> Entry:
    multi_node = pods.Side({"spec": ctx.spec}, prefill=prefill).multi_node
    children = naming.group(multi_node=multi_node, prefill=prefill)
    return _workload(ctx, children[0][0], naming.workload_name(ctx, children))


def _workload(ctx: Context, kind: Kind, name: str) -> Entry:
    """A Deployment counts the replicas that stay available, a set those that are ready."""
    live = need(ctx.obs.get(kind, ctx.namespace, name))
    counter = "availableReplicas" if kind is kinds.DEPLOYMENT else "readyReplicas"
    ready = integer(live, "status", counter) or 0
    return {"apiGroup": kind.group, "kind": kind.kind, "name": name, "readyReplicas": ready}
