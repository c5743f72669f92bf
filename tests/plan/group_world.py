"""A traffic group on a cluster in a dictionary: one service that is planned, and others as they are stored.

The route has three rules: one for the service by its path, one for requests by the path of the model, and one past the picker.
"""

import copy
from typing import Any

from aioctl.api import kinds, names
from aioctl.api.kinds import POOL_GROUP_V1, POOL_GROUP_V1ALPHA2, ObjectRef
from tests.plan.router_world import GATEWAY, NS, SCHEDULER, SVC, RouterWorld, accepted, parent, pool_ref

QUALIFIED = ("publishers/ns/models/m", "m")
"""What the planned service is asked for by."""
WORKLOAD = {"kind": "Service", "name": f"{SVC}-kserve-workload-svc", "port": 8000, "weight": 1}


def rules() -> list[dict[str, Any]]:
    def rule(path: str, backend: dict[str, Any]) -> dict[str, Any]:
        return {"matches": [{"path": {"type": "PathPrefix", "value": path}}], "backendRefs": [backend]}

    return [
        rule(f"/{NS}/{SVC}/v1/completions", pool_ref(POOL_GROUP_V1, weight=1)),
        rule(f"/publishers/{NS}/models/m", pool_ref(POOL_GROUP_V1, weight=1)),
        {"matches": [{"headers": [{"name": "X-Model", "value": "m"}]}], "backendRefs": [WORKLOAD]},
    ]


def grouped(
    weight: int = 70, *, group: str = "g", scheduler: Any = SCHEDULER, stored: bool = True
) -> RouterWorld:
    """The service `svc` in the group. `stored`: it names the group itself, and not a config of it."""
    route = {"group": group, "weight": weight, "http": {"spec": {"rules": rules()}}}
    router: dict[str, Any] = {"gateway": {}, "route": route}
    if scheduler is not None:
        router["scheduler"] = copy.deepcopy(scheduler)
    world = RouterWorld(router=router)
    if stored:
        world.service["spec"] = {"router": {"route": {"group": group, "weight": weight}}}
        world.service["metadata"]["labels"] = {names.ROUTING_GROUP: group}
    return world


def peer(name: str, weight: int = 30, **changes: Any) -> dict[str, Any]:
    """A stored service of group `g` that requests may go to: router ready, workloads ready, the same model.

    Changes: group, models (None: no addresses), ready, replicas, scheduler (None: none), pool (of its status), deleting,
    stopped, external, router_ready.
    """
    given = {
        "group": "g",
        "models": QUALIFIED,
        "replicas": {"primary": 1, "scheduler": 1},
        "scheduler": {},
        "pool": True,
        "deleting": False,
        "stopped": False,
        "external": "",
        "router_ready": "True",
        "spec": {},
        **changes,
    }
    metadata: dict[str, Any] = {"namespace": NS, "name": name, "uid": f"uid-{name}", "generation": 1}
    metadata["labels"] = {names.ROUTING_GROUP: given["group"]}
    if given["deleting"]:
        metadata["deletionTimestamp"] = "2026-11-24T08:00:00Z"
    if given["stopped"]:
        metadata["annotations"] = {names.STOP: "true"}
    router: dict[str, Any] = {"route": {"group": given["group"], "weight": weight}}
    if given["external"]:
        router["scheduler"] = {"pool": {"ref": {"name": given["external"]}}}
    elif given["scheduler"] is not None:
        router["scheduler"] = given["scheduler"]
    status: dict[str, Any] = {
        "conditions": [{"type": "RouterReady", "status": given["router_ready"]}],
        "workloads": {part: {"readyReplicas": count} for part, count in given["replicas"].items()},
        "addresses": [{"url": "http://a/", "models": [{"name": model} for model in given["models"] or ()]}],
    }
    if given["pool"]:
        pool = given["external"] or names.default_pool_name(name)
        status["router"] = {"scheduler": {"inferencePool": {"name": pool}}}
    return {
        "metadata": metadata,
        "spec": {"model": {"uri": "hf://m", "name": "m"}, "router": router, **given["spec"]},
        "status": status,
    }


def join(world: RouterWorld, *members: dict[str, Any], pools: bool = True) -> RouterWorld:
    """Stores the members, and both pools of each that has some, accepted by nobody."""
    for member in members:
        world.put(kinds.SERVICE, member)
        scheduler = member["spec"]["router"].get("scheduler")
        if pools and scheduler is not None:
            name = (scheduler.get("pool") or {}).get("ref", {}).get("name") or names.default_pool_name(
                member["metadata"]["name"]
            )
            for kind in (kinds.POOL_V1, kinds.POOL_V1ALPHA2):
                world.put(kind, {"metadata": {"namespace": NS, "name": name, "generation": 1}, "spec": {}})
    return world


def accept_pools(world: RouterWorld, *services: str) -> None:
    """The gateway accepts the v1 pools of these services."""
    for service in services:
        ref = ObjectRef(kinds.POOL_V1, NS, names.default_pool_name(service))
        world.objects[ref] = {**world.objects[ref], "status": {"parents": [parent(*GATEWAY, accepted())]}}


def shares(world: RouterWorld, rule: int = 1) -> list[tuple[str, str, int]]:
    """(generation or `svc`, name, weight) of each backend of a rule of the live route."""
    generations = {POOL_GROUP_V1: "v1", POOL_GROUP_V1ALPHA2: "x", "": "svc", None: "svc"}
    return [(generations[ref.get("group")], ref["name"], ref["weight"]) for ref in world.refs(rule)]


OWN = ("x", "svc-inference-pool", 70)
TWO = ("x", "two-inference-pool", 30)


def degraded(world: RouterWorld) -> tuple[str, str, str]:
    found = world.condition("GroupDegraded")
    return found.get("status", ""), found.get("reason", ""), found.get("message", "")
