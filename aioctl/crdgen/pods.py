"""PodSpec and other types of Kubernetes as a structural schema embeds them, read from the OpenAPI v3 document of a running kube-apiserver.

That document is written for clients, not for CRDs, so it is translated by the rules controller-gen follows when it makes
CRDs out of the same Go types: references are inlined, quantities and int-or-string get their pattern and extension, enums and
the zero defaults of required fields fall away (they stand in no marker), and so do the extensions of strategic merge
patches. What the document does not say about the Go types stands in two small tables below.
"""

import copy
from collections.abc import Mapping
from typing import Any, Final

from aioctl.crdgen.schema import Schema, SourceError

POD_SPEC: Final = "io.k8s.api.core.v1.PodSpec"
CLAIM_SPEC: Final = "io.k8s.api.core.v1.PersistentVolumeClaimSpec"
BEHAVIOR: Final = "io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerBehavior"
_REF: Final = "#/components/schemas/"
_QUANTITY: Final = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_INT_OR_STRING: Final = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
_QUANTITY_PATTERN: Final = (
    r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))"
    r"(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$"
)
_KEPT: Final = (
    "type", "format", "required", "default", "items", "properties", "additionalProperties",
    "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type",
)  # fmt: skip
_ZEROS: Final = ("", 0, False)
_CORE: Final = "io.k8s.api.core.v1."
_ATOMIC: Final = {
    _CORE + name
    for name in (
        "ConfigMapEnvSource", "ConfigMapProjection", "ConfigMapVolumeSource", "SecretEnvSource", "SecretProjection",
    )
}  # fmt: skip
"""Go embeds LocalObjectReference in them, and with it its map type; OpenAPI shows the fields only."""
_NO_DEFAULT: Final = {_CORE + "AzureDiskVolumeSource": ("cachingMode", "kind")}
"""Defaults given as `ref(...)` in Go, which controller-gen does not read (SCHEMA-4 lists what remains)."""
_OBJECT_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_TEMPLATE_META: Final = {
    "type": "object",
    "properties": {
        field: {"type": "object", "additionalProperties": {"type": "string"}}
        for field in ("annotations", "labels")
    },
}
"""Metadata inside a pod spec: a volume claim template's, of which the API server accepts these two only."""


def pod_spec(document: Mapping[str, Any]) -> Schema:
    """PodSpec without `required`, so that partial pod specs can be merged (SCHEMA-2). `document` and errors as `type_of`."""
    schema = type_of(document, POD_SPEC)
    schema.pop("required", None)
    return schema


def type_of(document: Mapping[str, Any], name: str) -> Schema:
    """One type of an OpenAPI document. Raises SourceError.

    `document` is what a kube-apiserver serves, such as at `/openapi/v3/api/v1`.
    """
    schemas = (document.get("components") or {}).get("schemas") or {}
    if name not in schemas:
        raise SourceError(f"the OpenAPI document holds no components.schemas[{name!r}]")
    return _named(schemas, name)


def _inlined(schemas: Mapping[str, Any], node: Mapping[str, Any]) -> Schema:
    """One node with its references resolved. Core types do not recurse."""
    name = _reference(node)
    if name == _QUANTITY:
        return quantity()
    if name == _INT_OR_STRING:
        return int_or_string()
    if name == _OBJECT_META:
        return copy.deepcopy(_TEMPLATE_META)
    if name:
        if name not in schemas:
            raise SourceError(f"the OpenAPI document holds no components.schemas[{name!r}]")
        # What stands beside the reference describes the field; a default of {} there is Go's zero value.
        own = {key: node[key] for key in _KEPT if key in node and node[key] != {}}
        return {**_named(schemas, name), **own}
    schema = {key: copy.copy(node[key]) for key in _KEPT if key in node}
    if "properties" in schema:
        schema["properties"] = {
            field: _inlined(schemas, value) for field, value in schema["properties"].items()
        }
        _drop_zero_defaults(schema)
    for key in ("items", "additionalProperties"):
        if key in schema:
            schema[key] = _inlined(schemas, schema[key])
            schema[key].pop("default", None)
    return schema


def _named(schemas: Mapping[str, Any], name: str) -> Schema:
    """The schema of a Go type, with what the document does not say about it."""
    schema = _inlined(schemas, schemas[name])
    if name in _ATOMIC:
        schema["x-kubernetes-map-type"] = "atomic"
    for field in _NO_DEFAULT.get(name, ()):
        schema["properties"][field].pop("default", None)
    return schema


def _reference(node: Mapping[str, Any]) -> str:
    """The name of the schema a node refers to, directly or as the only one of `allOf`."""
    target = node.get("$ref")
    if target is None and len(node.get("allOf", ())) == 1:
        target = node["allOf"][0].get("$ref")
    return str(target).removeprefix(_REF) if target else ""


def _drop_zero_defaults(schema: Schema) -> None:
    """OpenAPI gives required fields Go's zero value as default, which would make them optional in a CRD."""
    for field in schema.get("required", ()):
        if schema["properties"][field].get("default") in _ZEROS:
            del schema["properties"][field]["default"]


def int_or_string() -> Schema:
    """A number or a string, as controller-gen spells it."""
    return {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True}


def quantity() -> Schema:
    """A number or a string with a unit, as controller-gen spells it."""
    return {**int_or_string(), "pattern": _QUANTITY_PATTERN}
