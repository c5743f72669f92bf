"""Objects that were stored under a laxer schema: what may still be written to them."""

import copy
import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from aioctl.api.kinds import CRD
from tests.contract.servers import Answer, Server, until

_NUMBERS = itertools.count()
LAX = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
SPEC = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "size": {"type": "integer", "minimum": 0},
        "mode": {"type": "string", "enum": ["A", "B"], "default": "A"},
        "part": {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}},
    },
}
STRICT = {
    "type": "object",
    "properties": {"spec": SPEC, "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
}
FAULTS: dict[str, dict[str, Any]] = {
    "type": {"name": "a", "size": "large"},
    "minimum": {"name": "a", "size": -1},
    "enum": {"name": "a", "mode": "C"},
    "required": {"size": 1},
    "required-below": {"name": "a", "part": {}},
}


def with_schema(crd: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    changed = copy.deepcopy(crd)
    changed["spec"]["versions"][0]["schema"] = {"openAPIV3Schema": schema}
    return changed


@pytest.fixture
def collection(server: Server, namespace: str) -> Iterator[str]:
    """The path of things that were created under a lax schema, one for each fault; now the schema is strict."""
    group = f"r{next(_NUMBERS)}.contract.example"
    name = CRD.path("", f"parts.{group}")
    version = {"name": "v1", "served": True, "storage": True, "subresources": {"status": {}}}
    names = {"plural": "parts", "singular": "part", "kind": "Part", "listKind": "PartList"}
    spec = {"group": group, "names": names, "scope": "Namespaced", "versions": [version]}
    crd = {
        "apiVersion": CRD.api_version,
        "kind": CRD.kind,
        "metadata": {"name": f"parts.{group}"},
        "spec": spec,
    }
    assert server("POST", CRD.path(), with_schema(crd, LAX)).status == 201
    path = f"/apis/{group}/v1/namespaces/{namespace}/parts"

    def create(fault: str, **query: str) -> Answer:
        body = {
            "apiVersion": f"{group}/v1",
            "kind": "Part",
            "metadata": {"name": fault},
            "spec": FAULTS[fault],
        }
        return server("POST", path, body, **query)

    until(lambda: create("type").status in {201, 409})
    for fault in FAULTS:
        assert create(fault).status in {201, 409}
    live = server("GET", name).body
    assert server("PUT", name, with_schema(live, STRICT)).status == 200

    def is_strict() -> bool:
        body = {
            "apiVersion": f"{group}/v1",
            "kind": "Part",
            "metadata": {"name": "new"},
            "spec": FAULTS["type"],
        }
        return server("POST", path, body, dryRun="All").status == 422

    until(is_strict)
    yield path
    server("DELETE", name)


def test_what_leaves_the_faults_alone_is_taken(server: Server, collection: str) -> None:
    for fault in FAULTS:
        path = f"{collection}/{fault}"
        finalizers = server.merge(path, {"metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}}})
        assert finalizers.status == 200, (fault, finalizers.message)
        status = server.merge(f"{path}/status", {"status": {"conditions": [{"type": "Ready"}]}})
        assert status.status == 200, (fault, status.message)
        live = server("GET", path).body
        assert live["status"]["conditions"] == [{"type": "Ready"}]
        assert live["metadata"]["labels"] == {"a": "b"}


def test_another_field_may_be_changed_beside_a_fault(server: Server, collection: str) -> None:
    for fault in ("type", "minimum"):
        assert server.merge(f"{collection}/{fault}", {"spec": {"mode": "B"}}).status == 200
    assert server.merge(f"{collection}/enum", {"spec": {"size": 3}}).status == 200


def test_a_fault_that_changes_is_judged(server: Server, collection: str) -> None:
    for fault, spec, field in (
        ("type", {"size": "larger"}, "spec.size"),
        ("minimum", {"size": -2}, "spec.size"),
        ("enum", {"mode": "D"}, "spec.mode"),
        ("required", {"size": 2}, "spec.name"),
    ):
        answer = server.merge(f"{collection}/{fault}", {"spec": spec})
        assert answer.status == 422, (fault, answer.body)
        assert f"{field}: " in answer.message


def test_a_mended_object_stays_mended(server: Server, collection: str) -> None:
    path = f"{collection}/minimum"
    assert server.merge(path, {"spec": {"size": 1}}).status == 200
    assert server.merge(path, {"spec": {"size": -1}}).status == 422
