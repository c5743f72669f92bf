"""The workload player: Deployments and LeaderWorkerSets become available a while after they were written.

Stands for kubelet, scheduler and the LWS operator. No pods are made: the controller reads the status only.
"""

from collections.abc import Callable
from typing import Any

import anyio

from aioctl.api.kinds import DEPLOYMENT, LEADER_WORKER_SET, Kind, ObjectKey
from aioctl.api.objects import dig, generation_of, key_of
from aioctl.kube.client import Client
from aioctl.sim.players.following import Agenda, Object, Plays, follow, patch_status

_Job = tuple[Kind, ObjectKey]


class WorkloadPlayer:
    """Plays on all namespaces; run it in a task."""

    def __init__(
        self,
        client: Client,
        *,
        delay: float,
        stamp: Callable[[], str],
        fails: Callable[[Object], bool] = lambda _: False,
        plays: Plays = lambda _: True,
    ) -> None:
        """`delay` seconds after a new generation it is available, unless `fails` says that this object never is.
        `stamp` gives the time for conditions. Only what it `plays` is answered, the rest is left to others."""
        self._client = client
        self._plays = plays
        self.delay = delay
        self.fails = fails
        self._stamp = stamp
        self._known: dict[Kind, dict[ObjectKey, Object]] = {DEPLOYMENT: {}, LEADER_WORKER_SET: {}}
        self._agenda: Agenda[_Job] = Agenda(self._play)

    async def run(self) -> None:
        """Endless."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._agenda.run)
            for kind in self._known:
                group.start_soon(self._follow, kind)

    async def _follow(self, kind: Kind) -> None:
        async for event in follow(self._client, kind, self._known[kind], plays=self._plays):
            if event.type != "DELETED" and self._is_news(kind, event.object):
                self._agenda.add((kind, key_of(event.object)), self.delay)

    def _is_news(self, kind: Kind, obj: Object) -> bool:
        """Whether its status is still to be played. The one of a LeaderWorkerSet has no observedGeneration to see it by."""
        status = dig(obj, "status") or {}
        return status.get("observedGeneration") != generation_of(obj) and any(
            _without_times(value) != (_without_times(status.get(field)) or 0)
            for field, value in self._status(kind, obj).items()
        )

    def _status(self, kind: Kind, obj: Object) -> Object:
        make = _deployment_status if kind is DEPLOYMENT else _lws_status
        return make(obj, self._stamp(), is_available=not self.fails(obj))

    async def _play(self, job: _Job) -> None:
        kind, key = job
        obj = self._known[kind].get(key)
        if obj is not None and self._is_news(kind, obj):
            await patch_status(self._client, kind, key, self._status(kind, obj))


def _without_times(value: Any) -> Any:
    """A field of a status; its conditions without their times."""
    if not isinstance(value, list):
        return value
    return [{key: part for key, part in each.items() if not key.endswith("Time")} for each in value]


def _condition(kind: str, status: bool, reason: str, message: str, stamp: str) -> Object:  # noqa: FBT001
    return {
        "type": kind,
        "status": "True" if status else "False",
        "reason": reason,
        "message": message,
        "lastTransitionTime": stamp,
    }


def _deployment_status(obj: Object, stamp: str, *, is_available: bool) -> Object:
    replicas = dig(obj, "spec", "replicas") or 0
    ready = replicas if is_available else 0
    available = (
        _condition(
            "Available", True, "MinimumReplicasAvailable", "Deployment has minimum availability.", stamp
        )
        if is_available
        else _condition(
            "Available",
            False,
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
            stamp,
        )
    )
    progressing = _condition(
        "Progressing", True, "NewReplicaSetAvailable", "ReplicaSet has progressed.", stamp
    )
    return {
        "observedGeneration": generation_of(obj),
        "replicas": replicas,
        "updatedReplicas": replicas,
        "readyReplicas": ready,
        "availableReplicas": ready,
        "conditions": [
            {**condition, "lastUpdateTime": condition["lastTransitionTime"]}
            for condition in (available, progressing)
        ],
    }


def _lws_status(obj: Object, stamp: str, *, is_available: bool) -> Object:
    replicas = dig(obj, "spec", "replicas") or 0
    reason, message = (
        ("AllGroupsReady", "All replicas are ready")
        if is_available
        else ("GroupsProgressing", "Replicas are progressing")
    )
    kind = "Available" if is_available else "Progressing"
    return {
        "replicas": replicas,
        "readyReplicas": replicas if is_available else 0,
        "updatedReplicas": replicas,
        "conditions": [_condition(kind, True, reason, message, stamp)],
    }
