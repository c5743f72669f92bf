"""Carrier annotations that users write: what the field would refuse is refused, and what is stored can be mended."""

import json
from typing import Any

import pytest

from aioctl.api.carrier_checks import TARGET_PORTS
from aioctl.api.conversion import up
from aioctl.api.kinds import V1ALPHA2
from aioctl.api.review import CONVERT
from aioctl.api.v1alpha1 import down
from aioctl.plan.mending import mend
from aioctl.serving.webhook import Answer as HookAnswer
from tests.contract.samples import service, services
from tests.contract.servers import JSON_PATCH, Server

MISFITS: dict[str, list[Any]] = {
    "text": [{"number": 8000}, {"number": "http"}],
    "negative": [{"number": 8000}, {"number": -1}],
    "fraction": [{"number": 8000}, {"number": 2.5}],
    "many": [{"number": 8000 + index} for index in range(45)],
}
VALIDATE = "/validate-serving-kserve-io-v1alpha1-llminferenceservice"


def carrying(ports: list[Any], name: str = "svc") -> dict[str, Any]:
    pool = {
        "selector": {"app": "a"},
        "targetPortNumber": 8000,
        "extensionRef": {"name": "epp", "failureMode": "FailClose"},
    }
    made = service(name, old=True, router={"scheduler": {"pool": {"spec": pool}}})
    made["metadata"]["annotations"] = {TARGET_PORTS: json.dumps(ports)}
    return made


def admitted(body: bytes) -> HookAnswer:
    response = {"uid": json.loads(body)["request"]["uid"], "allowed": True}
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
    return HookAnswer(200, "application/json", [json.dumps(review).encode()])


def ports_of(server: Server, namespace: str) -> Any:
    found = server("GET", services(namespace, name="svc")).body
    return found["spec"]["router"]["scheduler"]["pool"]["spec"]["targetPorts"]


@pytest.mark.parametrize("fault", MISFITS)
def test_such_a_carrier_is_refused(server: Server, namespace: str, fault: str) -> None:
    made = server("POST", services(namespace, old=True), carrying(MISFITS[fault]))
    assert made.status == 422
    assert f"metadata.annotations[{TARGET_PORTS}]" in made.message
    assert server("GET", services(namespace, name="svc")).status == 404


def can_be_used_and_deleted(server: Server, namespace: str) -> None:
    new, old = services(namespace, name="svc"), services(namespace, old=True, name="svc")
    for path in (new, old):
        assert server("GET", path).status == 200
        assert server("GET", path.removesuffix("/svc")).status == 200
    status = {"status": {"conditions": [{"type": "Ready", "status": "False", "reason": "Test"}]}}
    written = server.merge(f"{new}/status", status)
    assert written.status == 200, written.body
    patched = server.merge(new, {"metadata": {"labels": {"a": "b"}, "finalizers": ["example.com/held"]}})
    assert patched.status == 200, patched.body
    held = server("DELETE", new)
    assert held.status == 200, held.body
    freed = server("PATCH", new, [{"op": "remove", "path": "/metadata/finalizers"}], kind=JSON_PATCH)
    assert freed.status == 200, freed.body
    assert server("GET", new).status == 404


@pytest.mark.parametrize("fault", MISFITS)
def test_one_that_got_in_is_not_applied(server: Server, namespace: str, fault: str) -> None:
    server.hooks.instead[VALIDATE] = admitted
    try:
        made = server("POST", services(namespace, old=True), carrying(MISFITS[fault]))
    finally:
        del server.hooks.instead[VALIDATE]
    assert made.status == 201, made.body
    assert ports_of(server, namespace) == [{"number": 8000}]
    can_be_used_and_deleted(server, namespace)


def applied_unseen(body: bytes) -> HookAnswer:
    """A conversion as it was before carriers were checked: the list goes into the pool whatever it holds."""
    request = json.loads(body)["request"]
    converted = []
    for obj in request["objects"]:
        text = obj["metadata"].get("annotations", {}).get(TARGET_PORTS)
        made = up(obj) if request["desiredAPIVersion"] == V1ALPHA2 else down(obj)
        if made["apiVersion"] == V1ALPHA2 and text is not None:
            made["spec"]["router"]["scheduler"]["pool"]["spec"]["targetPorts"] = json.loads(text)
        converted.append(made)
    response = {"uid": request["uid"], "result": {"status": "Success"}, "convertedObjects": converted}
    review = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "response": response}
    return HookAnswer(200, "application/json", [json.dumps(review).encode()])


def stored(server: Server, namespace: str, ports: list[Any]) -> None:
    """An object as an older release let it in."""
    server.hooks.instead.update({VALIDATE: admitted, CONVERT: applied_unseen})
    try:
        made = server("POST", services(namespace, old=True), carrying(ports))
    finally:
        for path in (VALIDATE, CONVERT):
            del server.hooks.instead[path]
    assert made.status == 201, made.body
    assert ports_of(server, namespace) == ports


@pytest.mark.parametrize("fault", MISFITS)
def test_one_that_is_stored_already_is_mended_by_a_write_of_either_version(
    server: Server, namespace: str, fault: str
) -> None:
    """Until then a real server refuses every v1alpha2 write where a number is a text or a fraction."""
    stored(server, namespace, MISFITS[fault])
    mended = {"spec": {"router": {"scheduler": {"pool": {"spec": {"targetPorts": [{"number": 8002}]}}}}}}
    assert server.merge(services(namespace, name="svc"), mended).status == 200
    assert ports_of(server, namespace) == [{"number": 8002}]
    assert server("DELETE", services(namespace, name="svc")).status == 200
    stored(server, namespace, MISFITS[fault])
    old = services(namespace, old=True, name="svc")
    assert server.merge(old, {"metadata": {"labels": {"a": "b"}}}).status == 200
    assert ports_of(server, namespace) == [{"number": 8000}]
    can_be_used_and_deleted(server, namespace)


@pytest.mark.parametrize("fault", MISFITS)
def test_one_that_is_stored_already_is_mended_as_the_controller_does_it(
    server: Server, namespace: str, fault: str
) -> None:
    """One patch of the older version that changes nothing: then status, labels and deletion of the new one work (CONV-9)."""
    stored(server, namespace, MISFITS[fault])
    write = mend(server("GET", services(namespace, name="svc")).body)
    assert write is not None
    mended = server.merge(services(namespace, old=True, name="svc"), write.body)
    assert mended.status == 200, mended.message
    assert mend(up(mended.body)) is None
    assert ports_of(server, namespace) == [{"number": 8000}]
    can_be_used_and_deleted(server, namespace)


@pytest.mark.parametrize("fault", MISFITS)
def test_one_that_is_stored_already_is_let_go_through_the_old_version(
    server: Server, namespace: str, fault: str
) -> None:
    """As the controller takes its finalizer away where the new version refuses every write."""
    stored(server, namespace, MISFITS[fault])
    new, old = services(namespace, name="svc"), services(namespace, old=True, name="svc")
    version = server("GET", new).version
    assert (
        server.merge(
            old, {"metadata": {"finalizers": ["example.com/held"], "resourceVersion": version}}
        ).status
        == 200
    )
    held = server("DELETE", new)
    assert held.status == 200, held.body
    freed = server.merge(old, {"metadata": {"finalizers": [], "resourceVersion": server("GET", new).version}})
    assert freed.status == 200, freed.body
    assert server("GET", new).status == 404
