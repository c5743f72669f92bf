"""Services that were stored under an older, laxer CRD: each gets a condition and an event that name the field, and the others
do not notice.

They are put into the store as they are; the API server lets the controller write to them as long as it leaves the faults
alone (`tests/contract/test_ratcheting.py`).
"""

from typing import Any

import anyio
import msgspec
import pytest

from aioctl.api import kinds, names
from aioctl.api.objects import dig
from testbed.virtual_time import run_virtual
from testbed.world import NAMESPACE, World, furnished
from tests.contract.bad_objects import DROP, changed, valid

_POOL = "spec.router.scheduler.pool.spec"
_HTTP = "spec.router.route.http.spec"


def nested(levels: int) -> Any:
    """Lists in lists."""
    made: Any = "a"
    for _ in range(levels):
        made = [made]
    return made


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "replicas-text": ({"spec.replicas": "two"}, "spec.replicas: expected an integer, got a string"),
    "model-text": ({"spec.model": "opt"}, "spec.model: expected an object"),
    "model-missing": ({"spec.model": DROP}, "invalid model URI"),
    "uri-missing": ({"spec.model.uri": DROP}, "invalid model URI"),
    "uri-number": ({"spec.model.uri": 5}, "spec.model.uri: expected a string"),
    "adapters-text": ({"spec.model.lora.adapters": "a"}, "spec.model.lora.adapters: expected a list"),
    "template-list": ({"spec.template": []}, "spec.template: expected an object"),
    "containers-object": ({"spec.template.containers": {}}, "spec.template.containers: expected a list"),
    "container-text": ({"spec.template.containers": ["a"]}, "spec.template.containers[0]: expected an object"),
    "container-nameless": ({"spec.template.containers[0].name": DROP}, "spec.containers[0].name"),
    "adapters-deep": ({"spec.model.lora.adapters": nested(300)}, "nested more than 100 levels deep"),
    "worker-text": ({"spec.worker": "a"}, "spec.worker: expected an object"),
    "prefill-list": ({"spec.prefill": []}, "spec.prefill: expected an object"),
    "prefill-replicas": ({"spec.prefill.replicas": "a"}, "spec.prefill.replicas: expected an integer"),
    "tensor-text": ({"spec.parallelism.tensor": "4"}, "spec.parallelism.tensor: expected an integer"),
    "router-text": ({"spec.router": "a"}, "spec.router: expected an object"),
    "scheduler-text": ({"spec.router.scheduler": "a"}, "spec.router.scheduler: expected an object"),
    "selector-text": ({f"{_POOL}.selector": "a"}, f"{_POOL}.selector: expected an object"),
    "ports-text": ({f"{_POOL}.targetPorts": "8000"}, f"{_POOL}.targetPorts: expected a list"),
    "port-text": ({f"{_POOL}.targetPorts[0].number": "a"}, f"{_POOL}.targetPorts[0].number: expected an integer"),
    "failure-mode": ({f"{_POOL}.endpointPickerRef.failureMode": "Maybe"}, "failureMode"),
    "rules-text": ({f"{_HTTP}.rules": "a"}, f"{_HTTP}.rules: expected a list"),
    "hostname-number": ({f"{_HTTP}.hostnames": [5]}, f"{_HTTP}.hostnames[0]: expected a string"),
    "gateways-text": ({"spec.router.gateway.refs": "a"}, "spec.router.gateway.refs: expected a list"),
    "base-text": ({"spec.baseRefs": "a"}, "spec.baseRefs: expected a list"),
    "base-item": ({"spec.baseRefs": ["a"]}, "spec.baseRefs[0]: expected an object"),
}  # fmt: skip
"""By name of the service: what is wrong with it, and what condition and event say of it."""
GOOD = ("good-first", "good-last")
PATIENCE = 30.0


def stored(name: str, changes: dict[str, Any]) -> dict[str, Any]:
    obj = valid("v1alpha2", "service")
    picker = dig(obj, *f"{_POOL}.endpointPickerRef".split("."))
    picker["name"] = f"{name}-epp-service"
    obj["spec"]["router"]["gateway"] = {"refs": [{"name": "kserve-ingress-gateway", "namespace": "kserve"}]}
    obj["metadata"] = {
        "name": name,
        "namespace": NAMESPACE,
        "uid": f"uid-of-{name}",
        "generation": 1,
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "annotations": {names.ENABLE_AUTH: "false"},
    }
    return changed(obj, changes)


async def _play() -> dict[str, Any]:
    async with furnished() as stage:
        fleet = {GOOD[0]: {}, **{name: changes for name, (changes, _) in BAD.items()}, GOOD[1]: {}}
        collection = stage.cluster.core.collection(kinds.SERVICE.resource)
        for name, changes in fleet.items():
            stage.cluster.store.put(collection, stored(name, changes), (NAMESPACE, name))
        async with stage.running(stage.controller()):
            await anyio.sleep(PATIENCE)
            first = await _events(stage)
            await anyio.sleep(PATIENCE)
        return {
            "services": {name: await stage.find(kinds.SERVICE, name) for name in fleet},
            "events": await _events(stage),
            "first events": first,
            "routes": {name: await stage.find(kinds.HTTP_ROUTE, names.route_name(name)) for name in fleet},
            "deployments": {name: await stage.find(kinds.DEPLOYMENT, f"{name}-kserve") for name in fleet},
        }


async def _events(stage: World) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    async for page in stage.user.list_pages(kinds.EVENT, namespace=NAMESPACE):
        found += [msgspec.json.decode(raw) for raw in page.items]
    return found


@pytest.fixture(scope="module")
def played() -> dict[str, Any]:
    """Everything there was to see; keys as `_play` says."""
    return run_virtual(_play)


@pytest.mark.parametrize("name", BAD)
def test_a_condition_and_an_event_name_the_field(played: dict[str, Any], name: str) -> None:
    _, text = BAD[name]
    conditions = dig(played["services"][name], "status", "conditions") or []
    told = [found.get("message", "") for found in conditions if found["status"] == "False"]
    assert any(text in message for message in told), told
    ready = [found["status"] for found in conditions if found["type"] == "Ready"]
    assert "True" not in ready
    events = [
        event["note"]
        for event in played["events"]
        if dig(event, "regarding", "name") == name and event["type"] == "Warning"
    ]
    assert any(text in note for note in events), events


def test_the_others_get_what_they_need(played: dict[str, Any]) -> None:
    """All serve the same model, which is told of each (MODEL-3)."""
    for name in GOOD:
        assert played["routes"][name] is not None
        assert played["deployments"][name] is not None
        service = played["services"][name]
        assert dig(service, "status", "observedGeneration") == service["metadata"]["generation"]
        assert not [
            event
            for event in played["events"]
            if dig(event, "regarding", "name") == name
            and event["type"] != "Normal"
            and event["reason"] != "ModelNameCollision"
        ]


def test_one_event_is_counted_on_instead_of_made_again(played: dict[str, Any]) -> None:
    def warnings(events: list[dict[str, Any]]) -> list[str]:
        return sorted(event["metadata"]["name"] for event in events if event["type"] == "Warning")

    assert warnings(played["first events"]) == warnings(played["events"])
