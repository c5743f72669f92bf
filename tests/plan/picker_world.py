"""A service with an endpoint picker, and the writes that its plan makes."""

from collections.abc import Iterator
from typing import Any

from aioctl.api import kinds, names
from aioctl.plan import scheduler
from aioctl.plan.epp_defaults import Shape, generated
from aioctl.plan.model import Context, Write
from testbed.plan_world import HF, World

LABELS = names.labels("svc", names.SCHEDULER_COMPONENT)
TEMPLATE: dict[str, Any] = {
    "containers": [
        {
            "name": "main",
            "image": "epp:1",
            "args": ["--pool-name", "p"],
            "ports": [
                {"containerPort": 9003, "name": "grpc-health", "protocol": "TCP"},
                {"containerPort": 9002, "name": "grpc"},
                {"containerPort": 1, "name": "debug"},
            ],
        },
        {
            "name": "side",
            "ports": [
                {"containerPort": 9090, "name": "metrics"},
                {"containerPort": 9004, "name": "grpc"},
                {"containerPort": 5557, "name": "zmq"},
            ],
        },
    ]
}


def spec_with(template: dict[str, Any] | None = TEMPLATE, **scheduler_fields: Any) -> dict[str, Any]:
    picker = dict(scheduler_fields)
    if template is not None:
        picker["template"] = template
    return {**HF, "router": {"scheduler": picker}}


SPEC = spec_with()


def everything(ctx: Context) -> Iterator[Write]:
    yield from scheduler.access(ctx)
    yield from scheduler.deployment(ctx)
    yield from scheduler.service(ctx)


def run(world: World, spec: dict[str, Any], **more: Any) -> list[Write]:
    return world.apply(everything(world.context(spec, **more)))


GENERATED = generated(Shape(prefill=False, adapters=False))


def picker_args(world: World) -> list[str]:
    pod = world.get(kinds.DEPLOYMENT, "svc-kserve-router-scheduler")["spec"]["template"]["spec"]
    args: list[str] = pod["containers"][0]["args"]
    return args
