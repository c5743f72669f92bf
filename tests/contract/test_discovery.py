"""Which kinds are served, and how one learns of it: what the controller looks at again and again, and what kubectl reads."""

from typing import Any

import pytest

from aioctl.api import kinds
from tests.contract.servers import Server

SERVED = [
    kinds.SERVICE,
    kinds.SERVICE_V1ALPHA1,
    kinds.CONFIG,
    kinds.CONFIG_V1ALPHA1,
    kinds.HTTP_ROUTE,
    kinds.GATEWAY,
    kinds.POOL_V1,
    kinds.POOL_V1ALPHA2,
    kinds.CONFIG_MAP,
    kinds.DEPLOYMENT,
    kinds.CORE_SERVICE,
]


def resources(server: Server, kind: kinds.Kind) -> dict[str, dict[str, Any]]:
    root = "/apis" if "/" in kind.api_version else "/api"
    answer = server("GET", f"{root}/{kind.api_version}")
    assert (answer.status, answer.body["kind"]) == (200, "APIResourceList")
    assert answer.body["groupVersion"] == kind.api_version
    return {entry["name"]: entry for entry in answer.body["resources"]}


@pytest.mark.parametrize("kind", SERVED, ids=lambda kind: kind.path().removeprefix("/"))
def test_a_served_kind_is_listed_under_its_version(server: Server, kind: kinds.Kind) -> None:
    entry = resources(server, kind)[kind.plural]
    assert (entry["kind"], entry["namespaced"]) == (kind.kind, kind.namespaced)
    assert {"create", "delete", "get", "list", "patch", "update", "watch"} <= set(entry["verbs"])


@pytest.mark.parametrize("kind", [kinds.SERVICE, kinds.SERVICE_V1ALPHA1, kinds.HTTP_ROUTE, kinds.POOL_V1])
def test_a_status_is_a_resource_of_its_own(server: Server, kind: kinds.Kind) -> None:
    entry = resources(server, kind)[f"{kind.plural}/status"]
    assert (entry["kind"], sorted(entry["verbs"])) == (kind.kind, ["get", "patch", "update"])


def test_a_kind_without_status_lists_none(server: Server) -> None:
    assert "configmaps/status" not in resources(server, kinds.CONFIG_MAP)


def test_a_group_names_its_versions_the_newest_first(server: Server) -> None:
    answer = server("GET", "/apis/serving.kserve.io")
    assert (answer.status, answer.body["kind"]) == (200, "APIGroup")
    assert [entry["version"] for entry in answer.body["versions"]] == ["v1alpha2", "v1alpha1"]
    assert answer.body["preferredVersion"]["groupVersion"] == "serving.kserve.io/v1alpha2"
    groups = {group["name"]: group for group in server("GET", "/apis").body["groups"]}
    assert {"apps", "gateway.networking.k8s.io", "inference.networking.k8s.io"} <= groups.keys()
    assert [entry["version"] for entry in groups["serving.kserve.io"]["versions"]] == ["v1alpha2", "v1alpha1"]


@pytest.mark.parametrize("path", ["/apis/kuadrant.io", "/apis/kuadrant.io/v1", "/apis/serving.kserve.io/v9"])
def test_what_nobody_serves_is_not_found_in_plain_text(server: Server, path: str) -> None:
    answer = server("GET", path)
    assert (answer.status, answer.message) == (404, "404 page not found\n")


def test_another_core_version_is_not_found(server: Server) -> None:
    answer = server("GET", "/api/v9")
    assert (answer.status, answer.body["reason"]) == (404, "NotFound")
    assert answer.message == "the server could not find the requested resource"


def test_core_versions_and_the_servers_own_version_are_told(server: Server) -> None:
    assert server("GET", "/api").body["versions"] == ["v1"]
    version = server("GET", "/version").body
    assert (version["major"], version["minor"]) == ("1", "34")
    assert version["gitVersion"].startswith("v1.34.")
