"""What the played gateways say of a route against what real gateway controllers said of it, for every recorded case (MIG-7)."""

import json
from typing import Any

import pytest

from aioctl.api.kinds import POOL_GROUP_V1, POOL_GROUP_V1ALPHA2, Kind, ObjectKey
from aioctl.api.objects import sequence
from aioctl.plan.readiness import find_condition
from aioctl.sim.players.gateway import BEHAVIOURS, resolution
from testbed.shared_data import ROOT
from tests.plan.router_world import ROUTE
from tests.plan.test_recorded_gateways import recorded_world

PLAYED = {
    "istio-master": "istio",
    "istio-no-v1-crd": "istio",
    "istio-no-v1alpha2-crd": "istio",
    "istio-disabled": "istio-disabled",
    "istio-agentgateway": "istio-agentgateway",
    "envoy-gateway-plain": "envoy-gateway-plain",
}
"""Recorded set -> behaviour. Of Envoy AI Gateway the pools' statuses alone were recorded."""


def recordings() -> dict[str, dict[str, Any]]:
    found = {}
    for folder in PLAYED:
        for path in sorted((ROOT / "gateways" / folder).glob("*.json")):
            content = json.loads(path.read_text())
            if isinstance(content, dict) and content.get("HTTPRoute"):
                found[f"{folder}/{path.stem}"] = content
    return found


RECORDINGS = recordings()


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_played_gateway_says_of_a_route_what_the_real_one_said(name: str) -> None:
    world = recorded_world(name, RECORDINGS[name])
    route = world.objects[ROUTE]
    behaviour = BEHAVIOURS[PLAYED[name.partition("/")[0]]]

    def exists(kind: Kind, key: ObjectKey) -> bool:
        return any(ref.kind == kind and (ref.namespace, ref.name) == key for ref in world.objects)

    said = find_condition(sequence(route["status"]["parents"][0], "conditions"), "ResolvedRefs")
    assert said is not None
    reason, message = resolution(route, behaviour, exists)
    assert (reason, "True" if reason == "ResolvedRefs" else "False") == (said["reason"], said["status"])
    if behaviour.names_places or name.startswith("istio-master/c"):
        assert message in ("", said["message"])


ONLY = (
    "Group is invalid, only the core API group (specified by omitting the group field or setting it to an empty string), "
    "multicluster.x-k8s.io and gateway.envoyproxy.io are supported."
)
GONE = "custom backend InferencePool team/nope not found."


@pytest.mark.parametrize(
    ("refs", "reason", "refused"),
    [
        ({POOL_GROUP_V1: (1, "svc")}, "ResolvedRefs", {}),
        ({POOL_GROUP_V1ALPHA2: (1, "svc")}, "InvalidKind", {0: ONLY}),
        ({POOL_GROUP_V1: (0, "svc"), POOL_GROUP_V1ALPHA2: (100, "svc")}, "InvalidKind", {1: ONLY}),
        ({POOL_GROUP_V1: (100, "svc"), POOL_GROUP_V1ALPHA2: (0, "svc")}, "InvalidKind", {1: ONLY}),
        ({POOL_GROUP_V1: (50, "svc"), POOL_GROUP_V1ALPHA2: (50, "svc")}, "InvalidKind", {1: ONLY}),
        ({POOL_GROUP_V1: (1, "nope")}, "BackendNotFound", {0: GONE}),
        ({POOL_GROUP_V1: (0, "nope"), POOL_GROUP_V1ALPHA2: (100, "nope")}, "InvalidKind", {1: ONLY}),
        (
            {POOL_GROUP_V1: (100, "nope"), POOL_GROUP_V1ALPHA2: (0, "svc")},
            "BackendNotFound,InvalidKind",
            {0: GONE, 1: ONLY},
        ),
    ],
)
def test_the_played_envoy_gateway_with_v1_pools_as_backends_says_what_the_real_one_said(
    refs: dict[str, tuple[int, str]], reason: str, refused: dict[int, str]
) -> None:
    """Measured with Envoy Gateway 1.9.1: an extension manager that has v1 InferencePools among its backendResources."""
    named = [
        {"group": group, "kind": "InferencePool", "name": name, "weight": weight}
        for group, (weight, name) in refs.items()
    ]
    route = {"metadata": {"namespace": "team", "name": "r"}, "spec": {"rules": [{"backendRefs": named}]}}
    said = resolution(route, BEHAVIOURS["envoy-gateway-ai-v1"], lambda _kind, key: key.name == "svc")
    lines = [f"Failed to process route rule 0 backendRef {at}: {why}" for at, why in refused.items()]
    assert said == (reason, "\n".join(lines))
