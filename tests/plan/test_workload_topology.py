"""The workloads that the status names (TOPO-2)."""

from dataclasses import replace
from typing import Any

import pytest

from aioctl.api import kinds
from aioctl.api.kinds import ObjectRef
from aioctl.plan.facts import Facts
from aioctl.plan.model import Context
from aioctl.plan.observation import Unanswered
from aioctl.plan.workload import topology
from tests.plan.router_world import MANAGED, NS, SVC, RouterWorld


def workload(kind: kinds.Kind, name: str, **status: int) -> dict[str, Any]:
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {"namespace": NS, "name": name},
        "status": status,
    }


def context(spec: dict[str, Any], *objects: tuple[kinds.Kind, dict[str, Any]]) -> Context:
    """The service with that combined spec, beside the objects."""
    ctx = RouterWorld(MANAGED).ctx
    found = {ObjectRef(kind, NS, obj["metadata"]["name"]): obj for kind, obj in objects}
    return replace(ctx, spec=spec, obs=Facts(objects=found))


def test_workloads_are_named_with_the_replicas_that_serve() -> None:
    spec: dict[str, Any] = {
        "worker": {},
        "prefill": {},
        "router": {"scheduler": {"template": {"containers": []}}},
    }
    ctx = context(
        spec,
        (
            kinds.LEADER_WORKER_SET,
            workload(kinds.LEADER_WORKER_SET, f"{SVC}-kserve-mn", readyReplicas=2, replicas=3),
        ),
        (
            kinds.DEPLOYMENT,
            workload(
                kinds.DEPLOYMENT, f"{SVC}-kserve-prefill", readyReplicas=4, availableReplicas=3, replicas=4
            ),
        ),
        (kinds.DEPLOYMENT, workload(kinds.DEPLOYMENT, f"{SVC}-kserve-router-scheduler")),
    )
    assert topology.workloads(ctx) == {
        "primary": {
            "apiGroup": "leaderworkerset.x-k8s.io",
            "kind": "LeaderWorkerSet",
            "name": f"{SVC}-kserve-mn",
            "readyReplicas": 2,
        },
        "prefill": {
            "apiGroup": "apps",
            "kind": "Deployment",
            "name": f"{SVC}-kserve-prefill",
            "readyReplicas": 3,
        },
        "service": {"kind": "Service", "name": f"{SVC}-kserve-workload-svc"},
        "scheduler": {
            "apiGroup": "apps",
            "kind": "Deployment",
            "name": f"{SVC}-kserve-router-scheduler",
            "readyReplicas": 0,
        },
    }


def test_what_cannot_be_read_is_not_guessed() -> None:
    ctx = context({"router": {"route": {"http": {"spec": {}}}}})
    main = ObjectRef(kinds.DEPLOYMENT, NS, f"{SVC}-kserve")
    unread = replace(ctx, obs=Facts(unknown={main: "timed out"}))
    with pytest.raises(Unanswered):
        topology.workloads(unread)
