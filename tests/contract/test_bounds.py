"""What the schema says to fields over their bounds, and what may still be done to an object that was stored before (SCHEMA-8)."""

import json
from typing import Any

import pytest

from aioctl.api.conversion import up
from aioctl.api.kinds import V1ALPHA2
from aioctl.api.review import CONVERT
from aioctl.api.v1alpha1 import down
from aioctl.serving.webhook import Answer as HookAnswer
from tests.contract.samples import PODS, service, services
from tests.contract.servers import JSON_PATCH, Server

LONG = [{"name": "preset"}] * 300
OVER: dict[str, dict[str, Any]] = {
    "spec.baseRefs": {"baseRefs": LONG},
    "spec.labels": {"labels": {f"k{number}": "v" for number in range(1025)}},
    "spec.model.lora.adapters": {
        "model": {"uri": "hf://a/b", "lora": {"adapters": [{"uri": "hf://a/b"}] * 1025}}
    },
    "spec.rolloutStrategy.maxSurge": {"rolloutStrategy": {"maxSurge": "1" * 1025}},
    "spec.kvCacheOffloading.cpu": {"kvCacheOffloading": {"cpu": "0" * 65}},
    "spec.router.scheduler.config.inline": {
        "router": {"scheduler": {"config": {"inline": {f"k{number}": 1 for number in range(65)}}}}
    },
    "spec.tracing.exporterEndpoint": {"tracing": {"exporterEndpoint": "a" * 4097}},
}
"""One of each shape of schema that is bounded: list, map, no type, int-or-string, quantity, unknown fields, text."""


@pytest.mark.parametrize("field", OVER)
def test_a_field_over_its_bound_is_refused_by_name(server: Server, namespace: str, field: str) -> None:
    answer = server("POST", services(namespace), service(**OVER[field]))
    assert (answer.status, answer.body.get("reason")) == (422, "Invalid"), answer.message
    assert field in answer.message


def much_longer(body: bytes) -> HookAnswer:
    """A conversion that makes the list of baseRefs as long as an older CRD let it be."""
    request = json.loads(body)["request"]
    converted = []
    for obj in request["objects"]:
        made = up(obj) if request["desiredAPIVersion"] == V1ALPHA2 else down(obj)
        if made["apiVersion"] == V1ALPHA2:
            made["spec"]["baseRefs"] = LONG
        converted.append(made)
    response = {"uid": request["uid"], "result": {"status": "Success"}, "convertedObjects": converted}
    review = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "response": response}
    return HookAnswer(200, "application/json", [json.dumps(review).encode()])


def test_one_that_is_stored_over_a_bound_can_be_used_mended_and_deleted(
    server: Server, namespace: str
) -> None:
    server.hooks.instead[CONVERT] = much_longer
    try:
        made = server("POST", services(namespace, old=True), service(old=True))
    finally:
        del server.hooks.instead[CONVERT]
    assert made.status == 201, made.body
    path = services(namespace, name="svc")
    assert server("GET", path).body["spec"]["baseRefs"] == LONG
    status = {"status": {"conditions": [{"type": "Ready", "status": "False", "reason": "Test"}]}}
    for where, change in (
        (f"{path}/status", status),
        (path, {"metadata": {"labels": {"a": "b"}, "finalizers": ["example.com/held"]}}),
        (path, {"spec": {"template": {**PODS, "serviceAccountName": "other"}}}),
    ):
        written = server.merge(where, change)
        assert written.status == 200, written.message
    worse = server.merge(path, {"spec": {"baseRefs": [*LONG, {"name": "more"}]}})
    assert worse.status == 422
    assert "spec.baseRefs" in worse.message
    assert server.merge(path, {"spec": {"baseRefs": LONG[:2]}}).status == 200
    assert server("DELETE", path).status == 200
    freed = server("PATCH", path, [{"op": "remove", "path": "/metadata/finalizers"}], kind=JSON_PATCH)
    assert freed.status == 200, freed.message
    assert server("GET", path).status == 404
