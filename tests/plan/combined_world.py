"""Presets and configs as objects of a cluster, and a service that is combined with them."""

from typing import Any

from aioctl.api.kinds import CONFIG, ObjectRef
from aioctl.plan.combine import Combined, combine
from aioctl.plan.facts import Facts
from aioctl.plan.global_config import GlobalConfig
from aioctl.plan.policy import Policy

SETTINGS = GlobalConfig("kserve", ingress_gateway_name="gateway", ingress_gateway_namespace="gateways")
RULES = [
    {"matches": [{"path": {"type": "PathPrefix", "value": "/v1"}}]}
    | {
        "backendRefs": [
            {
                "group": group,
                "kind": "InferencePool",
                "name": "{{ ChildName .Name `-inference-pool` }}",
                "port": 8000,
            }
            for group in ("inference.networking.k8s.io", "inference.networking.x-k8s.io")
        ]
    }
]
PREFIX = "kserve-config-llm-"
PRESETS: dict[str, dict[str, Any]] = {
    f"kserve/{PREFIX}template": {
        "template": {
            "containers": [{"name": "main", "image": "preset", "args": ["--name", "{{ .Spec.Model.Name }}"]}],
            "volumes": [{"name": "home", "emptyDir": {}}],
        }
    },
    f"kserve/{PREFIX}scheduler": {
        "router": {
            "scheduler": {
                "pool": {
                    "spec": {
                        "selector": {"matchLabels": {"mine": "x", "app.kubernetes.io/name": "other"}},
                        "targetPorts": [{"number": 8000}],
                    }
                },
                "template": {"containers": [{"name": "main", "image": "epp"}]},
            }
        }
    },
    f"kserve/{PREFIX}router-route": {
        "router": {
            "route": {
                "http": {
                    "spec": {
                        "parentRefs": [{"name": "{{ .GlobalConfig.IngressGatewayName }}"}],
                        "rules": RULES,
                    }
                }
            }
        }
    },
}


def observation(configs: dict[str, Any] | None = None, unknown: tuple[str, ...] = ()) -> Facts:
    def ref(key: str) -> ObjectRef:
        namespace, _, name = key.partition("/")
        return ObjectRef(CONFIG, namespace, name)

    objects = {
        ref(key): {"metadata": {"namespace": ref(key).namespace, "name": ref(key).name}, "spec": spec}
        for key, spec in {**PRESETS, **(configs or {})}.items()
        if spec is not None
    }
    return Facts(objects, unknown={ref(key): "not synced" for key in unknown})


def combined(
    spec: dict[str, Any],
    configs: dict[str, Any] | None = None,
    *,
    unknown: tuple[str, ...] = (),
    **metadata: Any,
) -> Combined:
    service = {
        "metadata": {"name": "svc", "namespace": "ns", **metadata},
        "spec": {"model": {"uri": "hf://o/m"}, **spec},
    }
    return combine(observation(configs, unknown), service, SETTINGS, Policy())


def refs(*names: str) -> list[dict[str, str]]:
    return [{"name": name} for name in names]
