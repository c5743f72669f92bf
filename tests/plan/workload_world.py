"""What the tests of workloads share: specs of the topologies, and the workload steps run on a world."""

from typing import Any

from aioctl.plan import workload
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
