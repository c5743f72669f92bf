"""The schema facts of LLMInferenceService and LLMInferenceServiceConfig (SCHEMA-5, SCHEMA-4, SCHEMA-1).

Defaults, required fields and bounds of our own fields and inside the embedded pod, route and pool specs; everything else is
left open. The CEL rules of autoscaling are in `llm_rules.py`.
"""

from collections.abc import Mapping
from typing import Any, Final

from aioctl.sim.schema import list_of, object_of, text, whole

CONFIG_COLUMNS: Final = (
    ("Ready", "string", "status.conditions[?(@.type=='Ready')].status"),
    ("Reason", "string", "status.conditions[?(@.type=='Ready')].reason"),
)
LLM_COLUMNS: Final = (("URL", "string", "status.url"), *CONFIG_COLUMNS)
_BROKEN_BY_TEMPLATES: Final = frozenset(
    {"pattern", "x-kubernetes-validations", "minLength", "minItems", "minProperties"}
)
_BOOLEAN: Final = {"type": "boolean"}
_LABELS: Final = {"type": "object", "additionalProperties": {"type": "string"}}
_QUANTITY: Final = {"x-kubernetes-int-or-string": True}


def for_templates(node: Any) -> Any:
    """A copy without the checks that template expressions and parts of a whole would break (SCHEMA-3)."""
    if isinstance(node, Mapping):
        return {key: for_templates(value) for key, value in node.items() if key not in _BROKEN_BY_TEMPLATES}
    return [for_templates(item) for item in node] if isinstance(node, list) else node


def _reference() -> dict[str, Any]:
    return object_of({"name": text("")})


def _container() -> dict[str, Any]:
    probe = object_of({"grpc": object_of({"service": text("")}, needs=("port",))})
    source = object_of(
        {
            "secretKeyRef": object_of({"name": text("")}, needs=("key",)),
            "configMapKeyRef": object_of({"name": text("")}, needs=("key",)),
            "fileKeyRef": object_of({"optional": {"type": "boolean", "default": False}}),
        }
    )
    return object_of(
        {
            "name": text(),
            "image": text(),
            "ports": list_of(object_of({"protocol": text("TCP")}, needs=("containerPort",))),
            "env": list_of(object_of({"name": text(), "valueFrom": source}, needs=("name",))),
            "envFrom": list_of(object_of({"configMapRef": _reference(), "secretRef": _reference()})),
            "livenessProbe": probe,
            "readinessProbe": probe,
            "startupProbe": probe,
        },
        needs=("name",),
    )


def _volume() -> dict[str, Any]:
    return object_of(
        {
            "name": text(),
            "configMap": object_of({"name": text("")}),
            "azureDisk": object_of(
                {"fsType": text("ext4"), "readOnly": {"type": "boolean", "default": False}}
            ),
            "iscsi": object_of({"iscsiInterface": text("default")}),
            "rbd": object_of(
                {"pool": text("rbd"), "user": text("admin"), "keyring": text("/etc/ceph/keyring")}
            ),
            "scaleIO": object_of({"fsType": text("xfs"), "storageMode": text("ThinProvisioned")}),
        },
        needs=("name",),
    )


def pod_spec() -> dict[str, Any]:
    """core/v1 PodSpec as embedded by KServe: containers are not required (SCHEMA-2)."""
    return object_of(
        {
            "containers": list_of(_container()),
            "initContainers": list_of(_container()),
            "imagePullSecrets": list_of(_reference()),
            "volumes": list_of(_volume()),
        }
    )


def _workload(*, is_old: bool) -> dict[str, Any]:
    at_least_one = whole(minimum=1)
    parallelism = object_of(
        {
            "tensor": at_least_one,
            "pipeline": at_least_one,
            "data": at_least_one,
            "dataLocal": at_least_one,
            "dataRPCPort": whole(minimum=1, maximum=65535),
            "expert": _BOOLEAN,
        }
    )
    fields = {
        "replicas": whole(minimum=0),
        "labels": _LABELS,
        "annotations": _LABELS,
        "parallelism": parallelism,
        "rolloutStrategy": object_of({"maxUnavailable": _QUANTITY, "maxSurge": _QUANTITY}),
        "scaling": _scaling(),
        "template": pod_spec(),
        "worker": pod_spec(),
    }
    return fields if is_old else {**fields, "kvCacheOffloading": _kv_cache()}


def _scaling() -> dict[str, Any]:
    behaviors = ["static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower"]
    fallback = object_of(
        {
            "failureThreshold": whole(),
            "replicas": whole(),
            "behavior": text("static", enum=behaviors),
        },
        needs=("failureThreshold", "replicas"),
    )
    keda = {
        "pollingInterval": whole(minimum=1),
        "cooldownPeriod": whole(minimum=0),
        "initialCooldownPeriod": whole(minimum=0),
        "idleReplicaCount": whole(minimum=0),
        "fallback": fallback,
    }
    trigger = object_of({"type": text(), "metadata": _LABELS}, needs=("metadata", "type"))
    return object_of(
        {
            "minReplicas": whole(1, minimum=1),
            "maxReplicas": whole(minimum=1),
            "wva": object_of(
                {
                    "variantCost": text("10.0", pattern=r"^\d+(\.\d+)?$"),
                    "hpa": object_of({}),
                    "keda": object_of(keda),
                }
            ),
            "keda": object_of({**keda, "triggers": list_of(trigger, minItems=1)}, needs=("triggers",)),
        },
        needs=("maxReplicas",),
    )


def _kv_cache() -> dict[str, Any]:
    files = object_of(
        {
            "emptyDir": object_of({"size": _QUANTITY}, needs=("size",)),
            "pvc": object_of({"ref": object_of({"name": text(), "path": text()}, needs=("name",))}),
        }
    )
    return object_of(
        {
            "cpu": _QUANTITY,
            "evictionPolicy": text("lru", enum=["lru", "arc"]),
            "secondary": list_of(object_of({"fileSystem": files})),
        },
        needs=("cpu",),
    )


def _model(*, is_old: bool) -> dict[str, Any]:
    at_least_one = whole(minimum=1)
    lora = object_of({"maxRank": at_least_one, "maxAdapters": at_least_one, "maxCpuAdapters": at_least_one})
    fields = {"uri": text(), "name": text(), "lora": lora}
    if is_old:
        fields["criticality"] = text(enum=["Critical", "Standard", "Sheddable"])
    else:
        fields["confidential"] = object_of({"enabled": _BOOLEAN, "resourceId": text()}, needs=("enabled",))
    return object_of(fields, needs=("uri",))


def _references(**more: Any) -> dict[str, Any]:
    reference = object_of(
        {
            "name": text(minLength=1, maxLength=253),
            "namespace": text(minLength=1, maxLength=63, pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"),
            **more,
        }
    )
    return object_of({"refs": list_of(reference)})


def _scheduler(pool: Mapping[str, Any], *, is_config: bool) -> dict[str, Any]:
    reference = object_of({"name": text(""), "key": text(), "optional": _BOOLEAN}, needs=("key",))
    tokenizer = pod_spec() if is_config else {**pod_spec(), "required": ["containers"]}
    return object_of(
        {
            "labels": _LABELS,
            "annotations": _LABELS,
            "replicas": whole(),
            "config": object_of({"inline": {"type": "object"}, "ref": reference}),
            "template": pod_spec(),
            "tokenizer": object_of({"template": tokenizer}),
            "pool": object_of({"ref": _reference(), "spec": dict(pool)}),
        }
    )


def service_schema(
    *, pool: Mapping[str, Any], route: Mapping[str, Any], is_old: bool, is_config: bool
) -> dict[str, Any]:
    """The schema of one kind at one version; `pool` and `route` are what it embeds."""
    section = text(
        minLength=1,
        maxLength=253,
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    )
    group = text(minLength=1, maxLength=63, pattern="^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
    router = object_of(
        {
            "route": object_of(
                {
                    "group": group,
                    "weight": whole(minimum=0, maximum=1_000_000),
                    "http": object_of({"refs": list_of(_reference()), "spec": dict(route)}),
                }
            ),
            "gateway": _references(sectionName=section),
            "ingress": _references(),
            "scheduler": _scheduler(pool, is_config=is_config),
        }
    )
    spec = object_of(
        {
            "model": _model(is_old=is_old),
            **_workload(is_old=is_old),
            "prefill": object_of(_workload(is_old=is_old)),
            "router": router,
            "storageInitializer": object_of({"enabled": _BOOLEAN}),
            "tracing": object_of(
                {name: text() for name in ("exporterEndpoint", "sampler", "samplerArg", "exporter")}
            ),
            "baseRefs": list_of(_reference()),
        }
    )
    condition = object_of({}, needs=("type", "status"))
    return {
        **object_of({"spec": spec, "status": object_of({"conditions": list_of(condition)})}),
        # Autoscaling and the embedded Gateway API and pool schemas carry CEL rules: their skipping is reported.
        "x-kubernetes-validations": [{"rule": "true"}],
    }
