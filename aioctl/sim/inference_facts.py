"""The kinds of the Gateway API Inference Extension: both InferencePool generations and InferenceModel.

CRDs of release 1.0.1 (one target port, SCHEMA-5), model of 0.5.1. The pool specs are embedded in our own kinds too.
"""

from collections.abc import Mapping
from typing import Any, Final

from aioctl.api.kinds import POOL_GROUP_V1, POOL_GROUP_V1ALPHA2
from aioctl.sim.custom_facts import conditions, custom, parent_status, waiting
from aioctl.sim.errors import Cause, invalid_value
from aioctl.sim.resources import Resource, Rule
from aioctl.sim.schema import list_of, object_of, text, whole

_GROUP: Final = r"^$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
_KIND: Final = "^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$"
POOL_V1_NEEDS: Final = ("endpointPickerRef", "selector", "targetPorts")
OLD_INLINE_POOL_NEEDS: Final = ("selector", "targetPortNumber")
POOL_V1ALPHA2_NEEDS: Final = ("extensionRef", "selector", "targetPortNumber")


def picker_port_required(path: tuple[str, ...]) -> Rule:
    """The v1 pool's CEL rule, for a pool spec found at `path` (SCHEMA-5)."""

    def rule(new: Mapping[str, Any], _old: Mapping[str, Any] | None) -> list[Cause]:
        spec: Any = new
        for part in path:
            spec = spec.get(part) if isinstance(spec, Mapping) else None
        picker = spec.get("endpointPickerRef") if isinstance(spec, Mapping) else None
        if isinstance(picker, Mapping) and picker.get("kind") == "Service" and "port" not in picker:
            detail = "port is required when kind is 'Service' or unspecified (defaults to 'Service')"
            at = ".".join((*path, "endpointPickerRef"))
            return [Cause(at, f'Invalid value: "object": {detail}')]
        return []

    return rule


def _model_name_immutable(new: Mapping[str, Any], old: Mapping[str, Any] | None) -> list[Cause]:
    if old is None or (old.get("spec") or {}).get("modelName") == (new.get("spec") or {}).get("modelName"):
        return []
    return [invalid_value("spec.modelName", new["spec"].get("modelName"), "modelName is immutable")]


def pool_v1_spec(*, most_ports: int, needs: tuple[str, ...]) -> dict[str, Any]:
    """Inference Extension v1 InferencePoolSpec; 1.0 CRDs take one port, 1.1 types eight."""
    value = text(maxLength=63, pattern=r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")
    return object_of(
        {
            "selector": object_of(
                {
                    "matchLabels": {
                        "type": "object",
                        "additionalProperties": value,
                        "minProperties": 1,
                        "maxProperties": 64,
                    }
                },
                needs=("matchLabels",),
            ),
            "targetPorts": list_of(
                object_of({"number": whole(minimum=1, maximum=65535)}, needs=("number",)),
                minItems=1,
                maxItems=most_ports,
            ),
            "endpointPickerRef": object_of(
                {
                    "group": text("", maxLength=253, pattern=_GROUP),
                    "kind": text("Service", minLength=1, maxLength=63, pattern=_KIND),
                    "name": text(minLength=1, maxLength=253),
                    "port": object_of({"number": whole(minimum=1, maximum=65535)}, needs=("number",)),
                    "failureMode": text("FailClose", enum=["FailOpen", "FailClose"]),
                },
                needs=("name",),
            ),
        },
        needs=needs,
    )


def pool_v1alpha2_spec(*, needs: tuple[str, ...]) -> dict[str, Any]:
    """Inference Extension v1alpha2 InferencePoolSpec."""
    return object_of(
        {
            "selector": {"type": "object", "additionalProperties": text(maxLength=63)},
            "targetPortNumber": whole(minimum=1, maximum=65535),
            "extensionRef": object_of(
                {
                    "group": text("", maxLength=253, pattern=_GROUP),
                    "kind": text("Service", minLength=1, maxLength=63, pattern=_KIND),
                    "name": text(minLength=1, maxLength=253),
                    "portNumber": whole(minimum=1, maximum=65535),
                    "failureMode": text("FailClose", enum=["FailOpen", "FailClose"]),
                },
                needs=("name",),
            ),
        },
        needs=needs,
    )


def inline_pool_spec(*, needs: tuple[str, ...]) -> dict[str, Any]:
    """The pool spec inside our stored version: types of Inference Extension 1.5."""
    spec = pool_v1_spec(most_ports=8, needs=needs)
    spec["properties"]["appProtocol"] = text("http", enum=["http", "kubernetes.io/h2c"])
    return spec


def old_inline_pool_spec(*, needs: tuple[str, ...]) -> dict[str, Any]:
    """The pool spec inside our old version: any port number, and perhaps no picker (SCHEMA-6)."""
    spec = pool_v1alpha2_spec(needs=needs)
    spec["properties"]["targetPortNumber"] = whole()
    return spec


def inference_pools() -> tuple[Resource, Resource, Resource]:
    """v1 pool, v1alpha2 pool, InferenceModel."""
    v1 = object_of(
        {
            "spec": pool_v1_spec(most_ports=1, needs=POOL_V1_NEEDS),
            "status": object_of({"parents": parent_status("parents")}),
        },
        needs=("spec",),
    )
    pending = {"parentRef": {"kind": "Status", "name": "default"}, "conditions": [waiting("Accepted")]}
    v1alpha2 = object_of(
        {
            "spec": pool_v1alpha2_spec(needs=POOL_V1ALPHA2_NEEDS),
            "status": object_of(
                {"parent": parent_status("parent", pending=True)}, default={"parent": [pending]}
            ),
        }
    )
    model = object_of(
        {
            "spec": object_of(
                {
                    "modelName": text(maxLength=256),
                    "criticality": text(enum=["Critical", "Standard", "Sheddable"]),
                    "poolRef": object_of(
                        {"group": text(POOL_GROUP_V1ALPHA2), "kind": text("InferencePool")}, needs=("name",)
                    ),
                },
                needs=("modelName", "poolRef"),
            ),
            "status": object_of({"conditions": {**conditions(), "default": [waiting("Ready")]}}),
        }
    )
    return (
        custom(
            POOL_GROUP_V1,
            "InferencePool",
            "inferencepools",
            {"v1": (v1, (picker_port_required(("spec",)),))},
            short_names=("infpool",),
        ),
        custom(
            POOL_GROUP_V1ALPHA2,
            "InferencePool",
            "inferencepools",
            {"v1alpha2": (v1alpha2, ())},
            short_names=("xinfpool",),
        ),
        custom(
            POOL_GROUP_V1ALPHA2,
            "InferenceModel",
            "inferencemodels",
            {"v1alpha2": (model, (_model_name_immutable,))},
        ),
    )
