"""HTTPRoutesReady against what real gateway controllers answered, and what their proxies would have done with a request (ROUTE-6)."""

import json
import re
from typing import Any

import pytest

from aioctl.api import kinds
from aioctl.plan import route_readiness
from testbed.shared_data import ROOT
from tests.plan.router_world import NS, POOL, ROUTE, RouterWorld, gateway, pool_ref

GROUPS = {"v1": kinds.POOL_GROUP_V1, "v1alpha2": kinds.POOL_GROUP_V1ALPHA2}
POOLS = {"InferencePool v1": kinds.POOL_V1, "InferencePool v1alpha2": kinds.POOL_V1ALPHA2}
LEAST = 40
"""Recordings with a route and a look at the proxy's configuration."""


def recordings() -> dict[str, dict[str, Any]]:
    found = {}
    for path in sorted((ROOT / "gateways").glob("*/*.json")):
        content = json.loads(path.read_text())
        if isinstance(content, dict) and content.get("HTTPRoute") and content.get("dataplane"):
            found[f"{path.parent.name}/{path.stem}"] = content
    return found


RECORDINGS = recordings()


def _is_served(recording: dict[str, Any]) -> bool:
    """Whether the proxy of the first gateway has a place for every request to the rule with the pools."""
    return not {"directResponse", "UnknownService"} & set(
        re.findall(r"\w+", json.dumps(recording["dataplane"][0]))
    )


def recorded_world(name: str, recording: dict[str, Any]) -> RouterWorld:
    """The recorded route as the managed one of our service, with the recorded pools and statuses."""
    world = RouterWorld()
    pool = "nope" if name.endswith(("/d", "/d2")) else POOL
    given, workload = recording["weights"]
    assert workload == ["Service:100"]
    refs = [
        pool_ref(GROUPS[generation], pool, weight=int(weight))
        for generation, weight in (entry.split(":") for entry in given)
    ]
    route = recording["HTTPRoute"]
    service = {"kind": "Service", "name": "svc-kserve-workload-svc", "port": 8000, "weight": 100}
    parents = route["status"]["parents"]
    for entry in parents:
        key = entry["parentRef"]
        world.put(kinds.GATEWAY, gateway(key["namespace"], key["name"]))
    world.put(
        kinds.HTTP_ROUTE,
        {
            "metadata": {"namespace": NS, "name": ROUTE.name, "generation": route["generation"]},
            "spec": {
                "parentRefs": [entry["parentRef"] for entry in parents],
                "rules": [{"backendRefs": refs}, {"backendRefs": [service]}],
            },
            "status": route["status"],
        },
    )
    for title, kind in POOLS.items():
        for pool_name, found in (recording.get(title) or {}).items():
            metadata = {"namespace": NS, "name": pool_name, "generation": found["generation"]}
            world.put(kind, {"metadata": metadata, "status": found.get("status") or {}})
    return world


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_route_is_ready_exactly_where_the_recorded_proxy_serves_it(name: str) -> None:
    recording = RECORDINGS[name]
    world = recorded_world(name, recording)
    verdict = route_readiness.judge(world.ctx)
    assert verdict.ready is _is_served(recording), verdict.message


@pytest.mark.skipif(
    not (ROOT / "gateways").is_dir(), reason="recorded data is not here: shared/data/gateways"
)
def test_the_recordings_hold_routes_that_are_served_and_routes_that_are_not() -> None:
    served = [_is_served(recording) for recording in RECORDINGS.values()]
    assert len(served) >= LEAST
    assert 10 < sum(served) < LEAST


@pytest.mark.parametrize("name", [name for name in RECORDINGS if name.endswith("/j")])
def test_a_recorded_answer_to_the_generation_before_is_no_answer(name: str) -> None:
    world = recorded_world(name, RECORDINGS[name])
    world.edit(ROUTE, lambda route: None)
    verdict = route_readiness.judge(world.ctx)
    assert (
        "is of generation 2, the object is at generation 3; awaited: Accepted for generation 3"
        in verdict.message
    )
