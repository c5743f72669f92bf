"""The world's answers in the recordings of today's KServe: as the project's players, with the recordings' words and moods."""

from collections.abc import Callable

import anyio

from aioctl.api import kinds
from aioctl.api.kinds import Kind, ObjectKey
from aioctl.api.objects import dig, generation_of, key_of
from aioctl.kube.client import Client
from aioctl.sim.players.following import Agenda, Object, follow, patch_status
from aioctl.sim.players.gateway import BEHAVIOURS, GatewayPlayer, GatewayScript
from tests.upstream.cases import AUTOSCALER, SCALED_OBJECT

_POOL_MOODS = {"no-v1": "v1alpha2-only", "no-a2": "v1-only", "no-pools": "silent"}
_SCHEDULER = "-kserve-router-scheduler"
_JUDGED = (kinds.DEPLOYMENT, kinds.LEADER_WORKER_SET, AUTOSCALER, SCALED_OBJECT)


def gateways(
    client: Client, moods: frozenset[str], *, stamp: Callable[[], str], delay: float
) -> GatewayPlayer:
    """The gateway player in its moods."""
    mood = next((_POOL_MOODS[mood] for mood in moods if mood in _POOL_MOODS), "both")
    script = GatewayScript(BEHAVIOURS[mood], delay=delay, answers_for_itself="no-gateway" not in moods)
    return GatewayPlayer(client, stamp=stamp, default=script)


class WorkloadAnswers:
    """Workloads become available, autoscalers ready; run it in a task."""

    def __init__(
        self, client: Client, moods: frozenset[str], *, stamp: Callable[[], str], delay: float
    ) -> None:
        self._client = client
        self._moods = moods
        self._stamp = stamp
        self._delay = delay
        self._known: dict[Kind, dict[ObjectKey, Object]] = {kind: {} for kind in _JUDGED}
        self._agenda: Agenda[tuple[Kind, ObjectKey]] = Agenda(self._play)

    async def run(self) -> None:
        """Endless."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._agenda.run)
            for kind in self._known:
                group.start_soon(self._follow, kind)

    async def _follow(self, kind: Kind) -> None:
        async for event in follow(self._client, kind, self._known[kind]):
            if event.type != "DELETED" and self._wanted(kind, event.object) is not None:
                self._agenda.add((kind, key_of(event.object)), self._delay)

    async def _play(self, job: tuple[Kind, ObjectKey]) -> None:
        kind, key = job
        obj = self._known[kind].get(key)
        status = self._wanted(kind, obj) if obj is not None else None
        if status is not None:
            await patch_status(self._client, kind, key, status)

    def _wanted(self, kind: Kind, obj: Object) -> Object | None:
        """The status to write; None when it stands there or nobody answers."""
        status = self._status(kind, obj)
        held = dig(obj, "status") or {}
        same = status is None or all(_timeless(held.get(name)) == value for name, value in status.items())
        return None if same or status is None else {**status, **self._dated(status)}

    def _dated(self, status: Object) -> Object:
        if "conditions" not in status:
            return {}
        return {
            "conditions": [{**each, "lastTransitionTime": self._stamp()} for each in status["conditions"]]
        }

    def _status(self, kind: Kind, obj: Object) -> Object | None:
        if kind in {AUTOSCALER, SCALED_OBJECT}:
            if "no-scaler" in self._moods:
                return None
            return _autoscaler_status() if kind is AUTOSCALER else _scaled_object_status()
        if "no-deploy" in self._moods:
            return None
        replicas = dig(obj, "spec", "replicas") or 0
        if kind is kinds.LEADER_WORKER_SET:
            return {
                "replicas": replicas,
                "readyReplicas": replicas,
                "updatedReplicas": replicas,
                "conditions": [{**_condition("Available", "OK"), "message": ""}],  # its CRD requires one
            }
        common = {"observedGeneration": generation_of(obj), "replicas": replicas}
        if "failed-deploy" in self._moods and not obj["metadata"]["name"].endswith(_SCHEDULER):
            return {
                **common,
                "unavailableReplicas": replicas,
                "conditions": [
                    _condition(
                        "Available",
                        "MinimumReplicasUnavailable",
                        "Deployment does not have minimum availability.",
                        status="False",
                    ),
                    _condition(
                        "Progressing",
                        "ProgressDeadlineExceeded",
                        "ReplicaSet has timed out progressing.",
                        status="False",
                    ),
                ],
            }
        ready = dict.fromkeys(("updatedReplicas", "readyReplicas", "availableReplicas"), replicas)
        return {
            **common,
            **ready,
            "conditions": [_condition("Available", "OK"), _condition("Progressing", "OK")],
        }


def _condition(type_: str, reason: str, message: str = "", *, status: str = "True") -> Object:
    made = {"type": type_, "status": status, "reason": reason}
    return {**made, "message": message} if message else made


def _autoscaler_status() -> Object:
    return {
        "currentReplicas": 1,
        "desiredReplicas": 1,
        "conditions": [_condition("AbleToScale", "OK"), _condition("ScalingActive", "OK")],
    }


def _scaled_object_status() -> Object:
    ready = "ScaledObject is defined correctly and is ready for scaling"
    return {
        "conditions": [
            _condition("Ready", "ScaledObjectReady", ready),
            {**_condition("Active", "ScalerNotActive", status="False"), "message": ""},
        ]
    }


def _timeless(value: object) -> object:
    """A field of a status; its conditions without their times."""
    if not isinstance(value, list):
        return value
    return [{key: part for key, part in each.items() if not key.endswith("Time")} for each in value]
