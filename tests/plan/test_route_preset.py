"""The default route: KServe's own, and what becomes of it for a service (ROUTE-10)."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from aioctl.api import names
from aioctl.golang.roundtrip import round_trip
from aioctl.plan.global_config import GlobalConfig, RoutingConfig
from aioctl.plan.route_defaults import defaulted
from aioctl.plan.templates import render, root
from testbed.shared_data import documents

NAME = "kserve-config-llm-router-route"
FILE = Path(__file__).resolve().parents[2] / "deploy" / "presets" / "config-llm-router-route.yaml"
CONFIG = GlobalConfig(
    "kserve",
    ingress_gateway_name="gateway",
    ingress_gateway_namespace="gateways",
    routing=RoutingConfig(model_header="X-Model"),
)
SERVICE: dict[str, Any] = {
    "metadata": {"name": "svc", "namespace": "ns"},
    "spec": {"model": {"uri": "hf://o/m", "name": "org/m"}},
}
ENDPOINTS = ("completions", "chat/completions", "responses", "messages")
POOL = {
    "group": "inference.networking.k8s.io",
    "kind": "InferencePool",
    "name": "svc-inference-pool",
    "port": 8000,
    "weight": 1,
}
WORKLOAD = {"group": "", "kind": "Service", "name": "svc-kserve-workload-svc", "port": 8000, "weight": 1}


def default_route(**metadata: Any) -> dict[str, Any]:
    """What the shipped preset makes of a service."""
    return rendered(yaml.load(FILE.read_text(encoding="utf-8"), yaml.CSafeLoader), **metadata)


def rendered(config: Any, **metadata: Any) -> dict[str, Any]:
    service = {**SERVICE, "metadata": {**SERVICE["metadata"], **metadata}}
    tree = render(config["spec"], root(service, CONFIG), path="spec").tree
    found: dict[str, Any] = round_trip(tree)["router"]["route"]["http"]["spec"]
    return found


@pytest.mark.parametrize("name", ["svc", "s" * 53])
def test_the_shipped_route_is_kserves_own(name: str) -> None:
    (theirs,) = (
        config
        for (config,) in documents("upstream/presets/*.yaml").values()
        if config["metadata"]["name"] == NAME
    )
    assert defaulted(default_route(name=name)) == defaulted(rendered(theirs, name=name))


def test_every_endpoint_is_reached_in_three_ways_and_the_rest_goes_past_the_pool() -> None:
    rules = default_route()["rules"]
    below: dict[str, tuple[str, str, Any]] = {}
    for rule in rules:
        assert rule["timeouts"] == {"backendRequest": "0s", "request": "0s"}
        (backend,) = rule["backendRefs"]
        if "filters" in rule:
            (match,), (rewrite,) = rule["matches"], rule["filters"]
            path = rewrite["urlRewrite"]["path"]
            assert (match["path"]["type"], path["type"]) == ("PathPrefix", "ReplacePrefixMatch")
            below[rule["name"]] = match["path"]["value"], path["replacePrefixMatch"], backend
    prefixes = {"path": "/ns/svc", "publisher-path": "/publishers/ns/models/org/m"}
    assert below == {
        **{
            f"v1-{endpoint.replace('/', '-')}-{ending}": (f"{prefix}/v1/{endpoint}", f"/v1/{endpoint}", POOL)
            for ending, prefix in prefixes.items()
            for endpoint in ENDPOINTS
        },
        "v1-publisher-path-catch-all": (prefixes["publisher-path"], "/", WORKLOAD),
        "v1-catch-all-path": (prefixes["path"], "/", WORKLOAD),
    }
    by_header = {rule["name"]: rule for rule in rules if "filters" not in rule}
    header = {"type": "Exact", "name": "X-Model", "value": names.qualified_model("ns", "org/m")}
    assert [
        (match["path"]["type"], match["path"]["value"]) for match in by_header["v1-model-routing"]["matches"]
    ] == [("Exact", f"/v1/{endpoint}{slash}") for endpoint in ENDPOINTS for slash in ("", "/")]
    assert all(match["headers"] == [header] for rule in by_header.values() for match in rule["matches"])
    assert {name: rule["backendRefs"] for name, rule in by_header.items()} == {
        "v1-model-routing": [POOL],
        "v1-catch-all-model-routing": [WORKLOAD],
    }
