"""The content of preset `kserve-config-llm-router-route`, rendered for one service (PRESET-4).

Both pool generations stand in the two inference rules, v1 first, with all the weight on v1alpha2; the catch-all goes
past the endpoint picker on purpose. The migration (plan/migration.py) moves the weights later.
"""

from typing import Any, Final

from aioctl.api import names
from aioctl.api.kinds import POOL_GROUP_V1, POOL_GROUP_V1ALPHA2
from aioctl.plan.routing import GATEWAY_API_GROUP

PORT: Final = 8000
_NO_LIMIT: Final = "0s"
_INFERENCE_PATHS: Final = ("/v1/completions", "/v1/chat/completions")


def _rule(path: str, rewritten: str, backends: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "backendRefs": backends,
        "filters": [
            {
                "type": "URLRewrite",
                "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": rewritten}},
            }
        ],
        "matches": [{"path": {"type": "PathPrefix", "value": path}}],
        "timeouts": {"backendRequest": _NO_LIMIT, "request": _NO_LIMIT},
    }


def default_route_spec(
    service_name: str, namespace: str, gateway_name: str, gateway_namespace: str
) -> dict[str, Any]:
    """The HTTPRoute spec of a service that gives none: one parent, two inference rules, one catch-all."""
    prefix = f"/{namespace}/{service_name}"
    pool = {"kind": "InferencePool", "name": names.default_pool_name(service_name), "port": PORT}

    def pools() -> list[dict[str, Any]]:
        return [
            {"group": POOL_GROUP_V1, **pool, "weight": 0},
            {"group": POOL_GROUP_V1ALPHA2, **pool, "weight": 100},
        ]

    workload = {
        "kind": "Service",
        "name": names.workload_service_name(service_name),
        "port": PORT,
        "weight": 100,
    }
    rules = [_rule(prefix + path, path, pools()) for path in _INFERENCE_PATHS]
    rules.append(_rule(prefix, "/", [workload]))
    return {
        "parentRefs": [
            {
                "group": GATEWAY_API_GROUP,
                "kind": "Gateway",
                "name": gateway_name,
                "namespace": gateway_namespace,
            }
        ],
        "rules": rules,
    }
