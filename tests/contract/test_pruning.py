"""What a server drops, and what it takes with a warning: fields that a CRD lacks, finalizers of nobody, a pair for TLS that is none.

Rules: ARCH-10.
"""

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.servers import MERGE, Server, until

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
TEXT = {"type": "string"}
SPEC = {
    "type": "object",
    "properties": {
        "known": TEXT,
        "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"known": TEXT}}},
        "open": {
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": True,
            "properties": {"inner": {"type": "object", "properties": {"known": TEXT}}},
        },
        "list": {"type": "array", "items": {"type": "object", "properties": {"known": TEXT}}},
        "openList": {
            "type": "array",
            "x-kubernetes-preserve-unknown-fields": True,
            "items": {"type": "object", "properties": {"known": TEXT}},
        },
    },
}
GIVEN: dict[str, Any] = {
    "known": "a",
    "odd": 1,
    "map": {"any": {"known": "a", "odd": 1}},
    "open": {"odd": {"deep": 1}, "inner": {"known": "a", "odd": 1}},
    "list": [{"known": "a", "odd": 1}],
    "openList": [{"known": "a", "odd": 1}],
}
KEPT: dict[str, Any] = {
    "known": "a",
    "map": {"any": {"known": "a"}},
    "open": {"odd": {"deep": 1}, "inner": {"known": "a"}},
    "list": [{"known": "a"}],
    "openList": [{"known": "a", "odd": 1}],
}
DROPPED = {"spec.odd", "spec.map.any.odd", "spec.open.inner.odd", "spec.list[0].odd"}


@pytest.fixture
def things(server: Server, namespace: str) -> Iterator[str]:
    """The path of the objects of a kind whose schema says what there is."""
    group = f"{namespace}.aioctl.dev"
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"things.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": SPEC}}},
                }
            ],
        },
    }
    assert server("POST", CRDS, crd).status == 201
    until(lambda: server("GET", f"/apis/{group}/v1/things").status == 200)
    yield f"/apis/{group}/v1/namespaces/{namespace}/things"
    assert server("DELETE", f"{CRDS}/things.{group}").status == 200


def thing(things: str, name: str, **spec: Any) -> dict[str, Any]:
    at = "/".join(things.split("/")[2:4])
    return {"apiVersion": at, "kind": "Thing", "metadata": {"name": name}, "spec": spec}


def unknown(paths: set[str]) -> set[str]:
    return {rf'299 - "unknown field \"{path}\""' for path in paths}


def warned(answer: Any) -> set[str]:
    return set(filter(None, answer.headers.get("warning", "").split(", ")))


def test_fields_that_the_schema_lacks_are_dropped_with_a_warning(server: Server, things: str) -> None:
    made = server("POST", things, thing(things, "a", **GIVEN))
    assert (made.status, made.body["spec"]) == (201, KEPT)
    assert warned(made) == unknown(DROPPED)
    path = f"{things}/a"
    patched = server("PATCH", path, {"spec": {"odd": 2, "known": "b"}}, kind=MERGE)
    assert patched.body["spec"] == {**KEPT, "known": "b"}
    assert warned(patched) == unknown({"spec.odd"})
    assert warned(server("PATCH", path, {"spec": {"known": "c"}}, kind=MERGE)) == set()


def test_a_new_finalizer_without_a_domain_is_warned_of(server: Server, things: str) -> None:
    assert server("POST", things, thing(things, "b", known="a")).status == 201
    path = f"{things}/b"
    answer = server("PATCH", path, {"metadata": {"finalizers": ["mine.io/one", "mine"]}}, kind=MERGE)
    assert (
        r"metadata.finalizers: \"mine\": prefer a domain-qualified finalizer name"
        in answer.headers["warning"]
    )
    assert "mine.io" not in answer.headers["warning"]
    again = server("PATCH", path, {"metadata": {"finalizers": ["mine"], "labels": {"a": "b"}}}, kind=MERGE)
    assert warned(again) == set()
    assert server("PATCH", path, {"metadata": {"finalizers": []}}, kind=MERGE).status == 200


@pytest.mark.parametrize(
    ("certificate", "key", "what"),
    [("", "", "certificate"), ("text", "text", "certificate")],
)
def test_a_pair_for_tls_that_is_none_is_warned_of(
    server: Server, namespace: str, certificate: str, key: str, what: str
) -> None:
    data = {"tls.crt": certificate, "tls.key": key}
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"generateName": "pair-"},
        "type": "kubernetes.io/tls",
        "data": {name: base64.b64encode(value.encode()).decode() for name, value in data.items()},
    }
    made = server("POST", f"/api/v1/namespaces/{namespace}/secrets", body)
    assert made.status == 201
    assert warned(made) == {f'299 - "tls: failed to find any PEM data in {what} input"'}
