"""Large objects: whole in every read and in a watch line up to 1.5 MiB, refused above."""

from typing import Any

import anyio
import msgspec

from aioctl.api import kinds
from aioctl.kube.client import Client, WatchEvent
from testbed.real_world import client_for
from tests.contract.samples import MAPS, config_map, service, services
from tests.contract.servers import Answer, Server

LARGEST = 1_560_000
"""Bytes of a status just below what etcd takes."""
LINE = "x" * 1000


def filler(size: int) -> dict[str, Any]:
    """A status of about `size` bytes; no webhook judges a status, so that only the server's own limits are met."""
    return {
        "status": {"annotations": {f"line-{number:06}": LINE for number in range(size // (len(LINE) + 17))}}
    }


def grow(server: Server, namespace: str, name: str, size: int) -> Answer:
    """Makes a service and gives it that status."""
    made = server("POST", services(namespace), service(name))
    assert made.status == 201, made.message
    return server.merge(f"{services(namespace, name=name)}/status", filler(size))


def test_a_large_object_is_whole_in_reads_of_both_versions(server: Server, namespace: str) -> None:
    made = grow(server, namespace, "large", LARGEST)
    assert made.status == 200, made.message
    for old in (False, True):
        found = server("GET", services(namespace, old=old, name="large")).body
        assert found["status"] == made.body["status"]
        items = server("GET", services(namespace, old=old)).body["items"]
        assert [item["status"] for item in items] == [made.body["status"]]


def test_a_large_object_comes_through_the_programs_watch_in_both_versions(
    server: Server, namespace: str
) -> None:
    async def next_event(client: Client, kind: kinds.Kind, since: str) -> WatchEvent:
        async with client.watch(kind, namespace=namespace, resource_version=since) as events:
            async for event in events:
                if event.type == "MODIFIED":
                    return event
        raise AssertionError("the watch ended")

    async def run() -> list[dict[str, Any]]:
        async with client_for(server.kubeconfig) as client:
            found = []
            for number, kind in enumerate((kinds.SERVICE, kinds.SERVICE_V1ALPHA1)):
                since = server("GET", kind.path(namespace)).version
                name = f"large-{number}"
                made = await client.create(kinds.SERVICE, namespace, service(name))
                await client.update(kinds.SERVICE, {**made, **filler(LARGEST)}, subresource="status")
                event = await next_event(client, kind, since)
                assert len(event.object) > LARGEST - 10_000
                found.append(msgspec.json.decode(event.object))
            return found

    for obj, version in zip(anyio.run(run), ("v1alpha2", "v1alpha1"), strict=True):
        assert obj["apiVersion"] == f"serving.kserve.io/{version}"
        assert obj["status"] == filler(LARGEST)["status"]


def test_an_object_over_the_stores_limit_is_refused(server: Server, namespace: str) -> None:
    answer = grow(server, namespace, "large", 1_600_000)
    assert (answer.status, answer.body.get("reason", "")) == (500, "")
    assert answer.message == "etcdserver: request is too large"
    assert "status" not in server("GET", services(namespace, name="large")).body


def test_a_request_over_three_mebibytes_is_refused(server: Server, namespace: str) -> None:
    answer = server("POST", services(namespace), {**service("large"), **filler(3_200_000)})
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
