"""The table of Go types beside the schema: what a client may say comes out of a typed round trip.

Rules: SCHEMA-7.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import pytest

from aioctl.golang.gotypes import SPEC, GoType, Shape
from aioctl.golang.roundtrip import round_trip
from testbed import shared_data
from testbed.shipped_files import crd

KINDS = {
    "LLMInferenceService": "llminferenceservices",
    "LLMInferenceServiceConfig": "llminferenceserviceconfigs",
}


@cache
def schema(plural: str) -> Any:
    (stored,) = (entry for entry in crd(plural)["spec"]["versions"] if entry["storage"])
    return stored["schema"]["openAPIV3Schema"]["properties"]["spec"]


def unknown(node: Mapping[str, Any], type_: GoType, path: str) -> Iterator[str]:
    """Every place of a schema that the type has no field for, or one of another shape."""
    if type_.shape is Shape.POINTER:
        type_ = type_.of
    for keyword, shape, mark in (
        ("items", Shape.LIST, "[]"),
        ("additionalProperties", Shape.MAP, "{}"),
    ):
        if keyword in node:
            yield from unknown(node[keyword], type_.of, path + mark) if type_.shape is shape else (path,)
    if "properties" not in node:
        return
    if type_.shape is not Shape.STRUCT:
        yield path
        return
    types = {field.json: field.type for field in type_.struct.fields}
    for name, below in node["properties"].items():
        if name in types:
            yield from unknown(below, types[name], f"{path}.{name}")
        else:
            yield f"{path}.{name}"


@pytest.mark.parametrize("plural", KINDS.values())
def test_every_field_of_the_stored_schema_has_a_type(plural: str) -> None:
    assert list(unknown(schema(plural), SPEC, "spec")) == []


def test_the_comparison_sees_a_field_without_a_type() -> None:
    node = {
        "properties": {"replicas": {}, "odd": {}, "labels": {"items": {}}, "model": {"properties": {"x": {}}}}
    }
    assert list(unknown(node, SPEC, "spec")) == ["spec.odd", "spec.labels", "spec.model.x"]


def leaves(value: Any, node: Any, path: str = "spec") -> Iterator[str]:
    """Paths of the values that the schema knows; maps and schemaless parts are one each."""
    if isinstance(value, dict) and "properties" in node:
        for name, below in value.items():
            if name in node["properties"]:
                yield from leaves(below, node["properties"][name], f"{path}.{name}")
    elif isinstance(value, list) and "items" in node:
        for index, below in enumerate(value):
            yield from leaves(below, node["items"], f"{path}[{index}]")
    elif value not in (None, "", False, 0, [], {}):
        yield path


def given(tree: Any) -> Iterator[tuple[str, Any]]:
    """(plural, spec) of each object of ours at v1alpha2, anywhere in a document."""
    if isinstance(tree, dict):
        if tree.get("kind") in KINDS and "spec" in tree:
            if str(tree.get("apiVersion", "")).endswith("/v1alpha2"):
                yield KINDS[tree["kind"]], tree["spec"]
        else:
            for below in tree.values():
                yield from given(below)
    elif isinstance(tree, list):
        for below in tree:
            yield from given(below)


def test_objects_of_todays_kserve_keep_every_value_that_their_schema_knows() -> None:
    seen, lost = 0, []
    for folder in ("samples/**", "presets", "golden"):
        for name, documents in shared_data.documents(f"upstream/{folder}/*.yaml").items():
            for plural, spec in given(documents):
                seen += 1
                written = set(leaves(round_trip(spec), schema(plural)))
                lost += [f"{name}: {path}" for path in leaves(spec, schema(plural)) if path not in written]
    assert seen > 400
    assert lost == []
