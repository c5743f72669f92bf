"""The same facts told in many orders to a real controller: what is the status in the end?

Every order is told to a service of its own, all at the same time in one simulated cluster: its pools, its route and its
deployments get their statuses one after the other, with pauses in which the controller may or may not look. The facts are
those a gateway and a kubelet would tell; only their order and their timing differ.
"""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import anyio
import msgspec

from aioctl.api import kinds, names
from aioctl.api.kinds import Kind
from aioctl.sim.seed import SYSTEM_NAMESPACE
from testbed.world import NAMESPACE
from tests.model.cluster_on_virtual_time import Stage, service, stage, without_times

SETTLED = 10.0
"""Virtual seconds in which a fleet comes to rest."""
LONGEST_PAUSE = 0.3
"""Virtual seconds between two events; the status settles within 0.05."""
GATEWAY = {"namespace": SYSTEM_NAMESPACE, "name": "kserve-ingress-gateway"}

Fact = tuple[Kind, str, Mapping[str, Any]]
"""Kind, ending of the object's name, and the status it gets."""


def condition(type_: str, status: str, reason: str, message: str = "") -> dict[str, Any]:
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": "2026-11-24T08:00:00Z",
    }


def parents(field: str, *conditions: Mapping[str, Any]) -> dict[str, Any]:
    return {field: [{"controllerName": "a/b", "parentRef": GATEWAY, "conditions": list(conditions)}]}


def available(status: str, reason: str, message: str = "") -> dict[str, Any]:
    return {"observedGeneration": 1, "conditions": [condition("Available", status, reason, message)]}


ACCEPTED = (condition("Accepted", "True", "Accepted"), condition("ResolvedRefs", "True", "ResolvedRefs"))
REFUSED = (
    condition("Accepted", "False", "NotSupported", "100% not supported"),
    condition("ResolvedRefs", "True", "ResolvedRefs"),
)

WELL: tuple[Fact, ...] = (
    (kinds.POOL_V1, "-inference-pool", parents("parents", *ACCEPTED)),
    (kinds.POOL_V1ALPHA2, "-inference-pool", parents("parent", *ACCEPTED)),
    (kinds.HTTP_ROUTE, "-kserve-route", parents("parents", *ACCEPTED)),
    (kinds.DEPLOYMENT, "-kserve", available("True", "MinimumReplicasAvailable")),
    (kinds.DEPLOYMENT, "-kserve-router-scheduler", available("True", "MinimumReplicasAvailable")),
)
"""Everything answers, and well: the service migrates."""

ILL: tuple[Fact, ...] = (
    (kinds.POOL_V1, "-inference-pool", parents("parents", *REFUSED)),
    (kinds.POOL_V1ALPHA2, "-inference-pool", parents("parent", *REFUSED)),
    (kinds.HTTP_ROUTE, "-kserve-route", parents("parents", *REFUSED)),
    (kinds.DEPLOYMENT, "-kserve", available("False", "ProgressDeadlineExceeded", "no such image")),
    (kinds.DEPLOYMENT, "-kserve-router-scheduler", available("Unknown", "NobodyKnows")),
)
"""Everything answers, and nothing is well: many conditions are False, and Ready has to choose among their reasons."""


MIXED: tuple[Fact, ...] = (
    WELL[1],
    WELL[3],
    ILL[0],
    ILL[4],
    (
        kinds.HTTP_ROUTE,
        "-kserve-route",
        parents("parents", ACCEPTED[0], condition("ResolvedRefs", "False", "InvalidKind", "no such kind")),
    ),
)
"""The gateway knows v1alpha2 only."""


async def told(facts: Sequence[Fact], orders: int, seed: int = 0) -> dict[str, bytes]:
    """The status of every service in the end, by name: JSON with sorted keys, own name left out, times left out."""
    # Determinism, not secrecy.
    generator = random.Random(seed)  # noqa: S311
    fleet = [f"svc-{number:04}" for number in range(orders)]
    async with stage(played=False) as staged, staged.world.running(staged.controller()):
        for name in fleet:
            await staged.world.user.create(kinds.SERVICE, NAMESPACE, service(name))
        await anyio.sleep(SETTLED + orders / 10)  # pools are created at 20 a second
        gateway = {"conditions": [condition("Programmed", "True", "Programmed")]}
        addresses = {"addresses": [{"type": "IPAddress", "value": "203.0.113.1"}]}
        async with anyio.create_task_group() as group:
            for name in fleet:
                order = generator.sample(list(facts), len(facts))
                pauses = [generator.choice((0.0, generator.uniform(0.0, LONGEST_PAUSE))) for _ in order]
                group.start_soon(_tell, staged, name, order, pauses)
            await anyio.sleep(generator.uniform(0.0, LONGEST_PAUSE))
            await _status(
                staged, kinds.GATEWAY, GATEWAY["namespace"], GATEWAY["name"], {**gateway, **addresses}
            )
        await anyio.sleep(SETTLED)
        return {name: await _shown(staged, name) for name in fleet}


async def _tell(staged: Stage, name: str, order: Sequence[Fact], pauses: Sequence[float]) -> None:
    for (kind, ending, status), pause in zip(order, pauses, strict=True):
        await anyio.sleep(pause)
        await _status(staged, kind, NAMESPACE, names.child(name, ending), status)


async def _status(staged: Stage, kind: Kind, namespace: str, name: str, status: Mapping[str, Any]) -> None:
    await staged.world.user.patch(kind, namespace, name, {"status": status}, subresource="status")


async def _shown(staged: Stage, name: str) -> bytes:
    found = await staged.world.user.get(kinds.SERVICE, NAMESPACE, name)
    encoded = msgspec.json.encode(without_times(found["status"]), order="deterministic")
    return encoded.replace(name.encode(), b"(name)")
