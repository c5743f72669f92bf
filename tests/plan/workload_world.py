"""What the tests of workloads share: specs of the topologies, and the workload steps run on a world."""

from collections.abc import Mapping
from typing import Any

from aioctl.api import kinds
from aioctl.plan import workload
from aioctl.plan.model import Verb
from aioctl.plan.workload.pod_form import template_digest
from testbed.plan_world import HF, MAIN, World

SIDECAR = {
    "initContainers": [
        {"name": "llm-d-routing-sidecar", "image": "s:1", "env": [{"name": "A", "value": "b"}]}
    ],
    "containers": [{"name": "main", "image": "vllm:v1"}],
}
DECODE = {**HF, "template": SIDECAR, "prefill": {"template": MAIN}, "router": {}}
WORKER = {**HF, "worker": MAIN}


def run(world: World, spec: dict[str, Any], **more: Any) -> Any:
    return world.run(workload.steps(world.context(spec, **more)))


def without_record(annotations: Mapping[str, str]) -> dict[str, str]:
    """Annotations of a workload without what is remembered of its pods."""
    return {key: value for key, value in annotations.items() if not key.startswith("aioctl.dev/")}


def rollouts(world: World) -> list[str]:
    """The workloads that were updated with other pods."""
    return [
        write.name
        for write in world.writes
        if write.kind in (kinds.DEPLOYMENT, kinds.LEADER_WORKER_SET)
        and write.verb is Verb.UPDATE
        and template_digest(write.body or {}) != template_digest(write.live or {})
    ]
