"""Large objects: whole in every read and in a watch line up to 1.5 MiB, refused above."""

from typing import Any

import anyio
import msgspec

from aioctl.api import kinds
from aioctl.kube.client import Client, WatchEvent
from tests.contract.samples import MAPS, config_map, service, services
from tests.contract.servers import Server
from tests.support.real_world import client_for

LARGEST = 1_560_000
"""Bytes of a service just below what etcd takes."""
LINE = "x" * 1000


def large(name: str, size: int) -> dict[str, Any]:
    """A service of about `size` bytes."""
    container = {
        "name": "main",
        "image": "quay.io/example/vllm:1",
        "args": [LINE] * (size // (len(LINE) + 3)),
    }
    return service(name, template={"containers": [container]})


def test_a_large_object_is_whole_in_reads_of_both_versions(server: Server, namespace: str) -> None:
    made = server("POST", services(namespace), large("large", LARGEST))
    assert made.status == 201, made.message
    for old in (False, True):
        found = server("GET", services(namespace, old=old, name="large")).body
        assert found["spec"]["template"] == made.body["spec"]["template"]
        items = server("GET", services(namespace, old=old)).body["items"]
        assert [item["spec"]["template"] for item in items] == [made.body["spec"]["template"]]


def test_a_large_object_comes_through_the_programs_watch_in_both_versions(
    server: Server, namespace: str
) -> None:
    async def next_event(client: Client, kind: kinds.Kind, since: str) -> WatchEvent:
        async with client.watch(kind, namespace=namespace, resource_version=since) as events:
            async for event in events:
                if event.type != "BOOKMARK":
                    return event
        raise AssertionError("the watch ended")

    async def run() -> list[dict[str, Any]]:
        async with client_for(server.kubeconfig) as client:
            found = []
            for number, kind in enumerate((kinds.SERVICE, kinds.SERVICE_V1ALPHA1)):
                since = server("GET", kind.path(namespace)).version
                await client.create(kinds.SERVICE, namespace, large(f"large-{number}", LARGEST))
                event = await next_event(client, kind, since)
                assert event.type == "ADDED"
                assert len(event.object) > LARGEST - 10_000
                found.append(msgspec.json.decode(event.object))
            return found

    for obj, version in zip(anyio.run(run), ("v1alpha2", "v1alpha1"), strict=True):
        assert obj["apiVersion"] == f"serving.kserve.io/{version}"
        args = obj["spec"]["template"]["containers"][0]["args"]
        assert args == [LINE] * len(args)


def test_an_object_over_the_stores_limit_is_refused(server: Server, namespace: str) -> None:
    answer = server("POST", services(namespace), large("large", 1_600_000))
    assert (answer.status, answer.body.get("reason", "")) == (500, "")
    assert answer.message == "etcdserver: request is too large"
    assert server("GET", services(namespace, name="large")).status == 404


def test_a_request_over_three_mebibytes_is_refused(server: Server, namespace: str) -> None:
    answer = server("POST", services(namespace), large("large", 3_200_000))
    assert (answer.status, answer.body["reason"]) == (413, "RequestEntityTooLarge")
    assert answer.message == "Request entity too large: limit is 3145728"


def test_the_values_of_a_config_map_and_of_a_secret_are_limited(server: Server, namespace: str) -> None:
    path = MAPS.format(namespace)
    assert server("POST", path, config_map("a", x="y" * (1 << 20))).status == 201
    answer = server("POST", path, config_map("b", x="y" * (1 << 20), y="z"))
    assert (answer.status, answer.body["reason"]) == (422, "Invalid")
    assert answer.message == 'ConfigMap "b" is invalid: []: Too long: may not be more than 1048576 bytes'
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "b"}}
    text = {"stringData": {"x": "y" * ((1 << 20) + 1)}}
    answer = server("POST", path.replace("configmaps", "secrets"), {**secret, **text})
    assert answer.status == 422
    assert answer.message == 'Secret "b" is invalid: data: Too long: may not be more than 1048576 bytes'
