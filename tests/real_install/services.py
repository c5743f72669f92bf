"""One service of each shape, as users write them, and what tests ask about services."""

import time
from collections.abc import Sequence
from typing import Any

from aioctl.api import kinds
from aioctl.api.kinds import Kind
from aioctl.api.names import MIGRATED, route_name
from aioctl.api.objects import annotations_of
from tests.real_install.installation import TEAM, Installation
from tests.real_install.replica import PATIENCE

MODEL = {"uri": "hf://facebook/opt-125m", "name": "facebook/opt-125m"}
ROUTER: dict[str, Any] = {"route": {}, "gateway": {}, "scheduler": {}}
POD: dict[str, Any] = {"containers": [{"name": "main", "image": "quay.io/example/vllm:1"}]}
EXTERNAL_POOL = "external-pool"
SHAPES: dict[str, dict[str, Any]] = {
    "single": {"replicas": 1, "template": POD, "router": ROUTER},
    "disaggregated": {
        "replicas": 1, "template": POD, "router": ROUTER, "prefill": {"replicas": 1, "template": POD},
    },
    "multi-node": {
        "replicas": 1, "template": POD, "worker": POD, "router": ROUTER,
        "parallelism": {"data": 4, "dataLocal": 2, "tensor": 1, "expert": True},
    },
    "external": {
        "replicas": 1, "template": POD,
        "router": {"route": {}, "gateway": {}, "scheduler": {"pool": {"ref": {"name": EXTERNAL_POOL}}}},
    },
}  # fmt: skip
OLD = "old"
"""The one that is written in v1alpha1."""
OLD_SPEC: dict[str, Any] = {
    "replicas": 1,
    "model": {**MODEL, "criticality": "Sheddable",
              "lora": {"adapters": [{"name": "sql", "uri": "hf://example/sql", "criticality": "Critical"}]}},
    "template": POD,
    "router": {"route": {}, "gateway": {}, "scheduler": {"pool": {"spec": {
        "selector": {"app.kubernetes.io/name": OLD},
        "targetPortNumber": 8000,
        "extensionRef": {"name": f"{OLD}-epp-service", "portNumber": 9002},
    }}}},
}  # fmt: skip


def service(name: str, spec: dict[str, Any], *, version: str = kinds.V1ALPHA2) -> dict[str, Any]:
    return {
        "apiVersion": version,
        "kind": kinds.SERVICE.kind,
        "metadata": {"name": name, "namespace": TEAM},
        "spec": {"model": MODEL, **spec},
    }


def external_pool() -> dict[str, Any]:
    """A pool of somebody else's making."""
    return {
        "apiVersion": kinds.POOL_V1.api_version,
        "kind": kinds.POOL_V1.kind,
        "metadata": {"name": EXTERNAL_POOL},
        "spec": {
            "selector": {"matchLabels": {"app": "elsewhere"}},
            "targetPorts": [{"number": 8000}],
            "endpointPickerRef": {"name": "elsewhere", "port": {"number": 9002}},
        },
    }


def gateway_objects() -> tuple[tuple[Kind, str, dict[str, Any]], ...]:
    """The class and the Gateway that the shipped configuration names."""
    group = kinds.GATEWAY.api_version
    listener = {
        "name": "http", "port": 80, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}},
    }  # fmt: skip
    return (
        (
            kinds.GATEWAY_CLASS,
            "",
            {
                "apiVersion": group,
                "kind": kinds.GATEWAY_CLASS.kind,
                "metadata": {"name": "istio"},
                "spec": {"controllerName": "istio.io/gateway-controller"},
            },
        ),
        (
            kinds.GATEWAY,
            "kserve",
            {
                "apiVersion": group,
                "kind": kinds.GATEWAY.kind,
                "metadata": {"name": "kserve-ingress-gateway"},
                "spec": {"gatewayClassName": "istio", "listeners": [listener]},
            },
        ),
    )


def until_ready(installation: Installation, names: Sequence[str], *, seconds: float = PATIENCE) -> None:
    """Until all are Ready with their traffic on the v1 pool. Raises AssertionError with what they wait for."""
    deadline = time.monotonic() + seconds
    while left := _unready(installation, names):
        assert time.monotonic() < deadline, "\n".join(left)
        time.sleep(0.2)  # other processes work; there is nothing to await


def _unready(installation: Installation, names: Sequence[str]) -> list[str]:
    """A line for each that is not ready. Short: it is all that a summary of a test run shows."""
    left = []
    for name in names:
        service = installation.get(kinds.SERVICE, TEAM, name)
        status = service.get("status", {})
        seen, wanted = status.get("observedGeneration"), service["metadata"]["generation"]
        conditions = {item["type"]: item for item in status.get("conditions", ())}
        route = installation.admin("GET", kinds.HTTP_ROUTE.path(TEAM, route_name(name))).body
        side = annotations_of(route).get(MIGRATED)
        if seen != wanted or conditions.get("Ready", {}).get("status") != "True" or side != "v1":
            why = "; ".join(
                f"{kind}={item['status']} {item.get('reason', '')} {item.get('message', '')}".rstrip()
                for kind, item in conditions.items()
                if item["status"] != "True"
            )
            left.append(f"{name}: generation {seen} of {wanted} seen, migrated {side!r}, {why or 'no word'}")
    return left
