"""What the OpenAPI document says, said as a structural schema.

Rules: SCHEMA-2.
"""

from collections.abc import Mapping
from typing import Any

import pytest

from aioctl.crdgen.pods import pod_spec
from aioctl.crdgen.schema import SourceError

CORE = "io.k8s.api.core.v1"
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


def ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def document(pod: dict[str, Any], types: Mapping[str, Any] | None = None) -> dict[str, Any]:
    schemas = {f"{CORE}.PodSpec": {"type": "object", "required": [], **pod}, **(types or {})}
    return {"components": {"schemas": schemas}}


def made(
    field: dict[str, Any], types: Mapping[str, Any] | None = None, *, required: bool = False
) -> dict[str, Any]:
    """The schema of one field of a container, which keeps its `required` list."""
    container = {
        "type": "object",
        "properties": {"field": field},
        **({"required": ["field"]} if required else {}),
    }
    spec = pod_spec(
        document({"properties": {"a": ref("Container")}}, {"Container": container, **(types or {})})
    )
    result: dict[str, Any] = spec["properties"]["a"]["properties"]["field"]
    return result


def test_containers_are_not_required() -> None:
    field = {"type": "string"}
    pod = {"required": ["containers"], "properties": {"containers": field}}
    assert pod_spec(document(pod)) == {"type": "object", "properties": {"containers": field}}


@pytest.mark.parametrize(
    ("field", "schema"),
    [
        ({"type": "string", "description": "words"}, {"type": "string"}),
        ({"type": "string", "enum": ["a"], "default": "a"}, {"type": "string", "default": "a"}),
        (
            {
                "type": "array",
                "items": {"type": "string", "default": ""},
                "x-kubernetes-list-type": "set",
                "x-kubernetes-patch-strategy": "merge",
            },
            {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        ),
        ({"type": "string", "default": ""}, {"type": "string", "default": ""}),
        (
            {"type": "object", "additionalProperties": {"type": "string", "default": ""}},
            {"type": "object", "additionalProperties": {"type": "string"}},
        ),
    ],
    ids=["description", "enum", "list", "default of an optional field", "map"],
)
def test_only_what_a_crd_holds_is_kept(field: dict[str, Any], schema: dict[str, Any]) -> None:
    assert made(field) == schema


@pytest.mark.parametrize("zero", ["", 0, False])
def test_a_required_field_loses_the_zero_default_only(zero: Any) -> None:
    assert made({"type": "string", "default": zero}, required=True) == {"type": "string"}
    assert made({"type": "string", "default": "x"}, required=True) == {"type": "string", "default": "x"}


@pytest.mark.parametrize("how", ["ref", "allOf"])
def test_references_are_inlined(how: str) -> None:
    target = {"type": "object", "properties": {"x": {"type": "integer", "format": "int32"}}}
    field = (
        ref("Target") if how == "ref" else {"allOf": [ref("Target")], "default": {}, "description": "words"}
    )
    assert made(field, {"Target": target}) == target


def test_numbers_with_units_and_ports_with_names_are_numbers_or_strings() -> None:
    both = {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True}
    assert made(ref(INT_OR_STRING), {INT_OR_STRING: {"oneOf": []}}) == both
    quantity = made(ref(QUANTITY), {QUANTITY: {"oneOf": []}})
    assert {**quantity, "pattern": ""} == {**both, "pattern": ""}
    assert quantity["pattern"].startswith("^")


def test_a_claim_template_keeps_labels_and_annotations() -> None:
    meta = {"type": "object", "properties": {"labels": {}, "managedFields": ref("missing")}}
    assert sorted(made(ref(OBJECT_META), {OBJECT_META: meta})["properties"]) == ["annotations", "labels"]


def test_what_go_embeds_is_atomic() -> None:
    source = {"type": "object", "properties": {"name": {"type": "string", "default": ""}}}
    name = f"{CORE}.SecretEnvSource"
    assert made(ref(name), {name: source}) == {**source, "x-kubernetes-map-type": "atomic"}


@pytest.mark.parametrize(
    ("given", "named"),
    [({}, f"{CORE}.PodSpec"), (document({"properties": {"a": ref("Nowhere")}}), "Nowhere")],
    ids=["no PodSpec", "dangling reference"],
)
def test_a_document_without_the_types_is_refused(given: dict[str, Any], named: str) -> None:
    with pytest.raises(SourceError, match=named):
        pod_spec(given)
