"""The schema facts of LLMInferenceService and LLMInferenceServiceConfig (SCHEMA-5, SCHEMA-4, SCHEMA-1).

Defaults inside the embedded pod, route and pool specs and the checks users meet; everything else is left open.
"""

from collections.abc import Mapping
from typing import Any

from aioctl.sim.schema import list_of, object_of, text, whole

LLM_COLUMNS = (
    ("URL", "string", "status.url"),
    ("Ready", "string", "status.conditions[?(@.type=='Ready')].status"),
    ("Reason", "string", "status.conditions[?(@.type=='Ready')].reason"),
)


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


def _workload() -> dict[str, Any]:
    at_least_one = whole(minimum=1)
    parallelism = object_of(
        {
            "tensor": at_least_one,
            "pipeline": at_least_one,
            "data": at_least_one,
            "dataLocal": at_least_one,
            "dataRPCPort": whole(minimum=1, maximum=65535),
            "expert": {"type": "boolean"},
        }
    )
    return {
        "replicas": whole(minimum=0),
        "parallelism": parallelism,
        "template": pod_spec(),
        "worker": pod_spec(),
    }


def _gateway_references() -> dict[str, Any]:
    reference = object_of(
        {
            "name": text(minLength=1, maxLength=253),
            "namespace": text(minLength=1, maxLength=63, pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"),
        }
    )
    return object_of({"refs": list_of(reference)})


def service_schema(*, pool: Mapping[str, Any], route: Mapping[str, Any], is_old: bool) -> dict[str, Any]:
    """Both kinds share it; `pool` decides between them, `is_old` adds what only v1alpha1 has."""
    model = {"uri": text(), "name": text(), "lora": object_of({})}
    if is_old:
        model["criticality"] = text(enum=["Critical", "Standard", "Sheddable"])
    router = object_of(
        {
            "route": object_of({"http": object_of({"refs": list_of(_reference()), "spec": dict(route)})}),
            "gateway": _gateway_references(),
            "ingress": _gateway_references(),
            "scheduler": object_of(
                {"template": pod_spec(), "pool": object_of({"ref": _reference(), "spec": dict(pool)})}
            ),
        }
    )
    spec = object_of(
        {
            "model": object_of(model, needs=("uri",)),
            **_workload(),
            "prefill": object_of(_workload()),
            "router": router,
            "baseRefs": list_of(_reference()),
        }
    )
    condition = object_of({}, needs=("type", "status"))
    return {
        **object_of({"spec": spec, "status": object_of({"conditions": list_of(condition)})}),
        # The embedded Gateway API and pool schemas carry CEL rules: their skipping is reported.
        "x-kubernetes-validations": [{"rule": "true"}],
    }
