"""What of a pod wakes its service, addresses and the states of its init containers (WATCH-2), and what of the settings (WATCH-1)."""

from typing import Any

import msgspec
import pytest

from aioctl.api import kinds, names
from aioctl.api.kinds import ObjectKey, ObjectRef
from aioctl.controller.interests import Interests
from aioctl.controller.service_state import ServiceStates
from aioctl.controller.triggers import keys_for
from aioctl.kube.cached import Cached

WAITING = {"initContainerStatuses": [{"name": "storage-initializer", "state": {"waiting": {}}}]}
RUNNING = {"initContainerStatuses": [{"name": "storage-initializer", "state": {"running": {}}}]}
ADDRESS = {"podIPs": [{"ip": "10.0.0.1"}]}
OTHER_ADDRESS = {"podIPs": [{"ip": "10.0.0.2"}]}


def pod(version: int, status: dict[str, Any], service: str = "one", **rest: Any) -> Cached:
    metadata = {
        "name": "p",
        "namespace": "ns",
        "uid": "u",
        "resourceVersion": str(version),
        "labels": {names.NAME: service},
    }
    return Cached.from_raw(msgspec.json.encode({"metadata": metadata, "status": status, **rest}), kinds.POD)


def woken(old: Cached | None, new: Cached | None) -> set[str]:
    return {key.name for key in keys_for(kinds.POD, old, new, Interests(ServiceStates()))}


@pytest.mark.parametrize(
    ("old", "new", "wakes"),
    [
        ({}, ADDRESS, True),
        (ADDRESS, OTHER_ADDRESS, True),
        ({}, WAITING, True),
        (WAITING, RUNNING, True),
        ({**RUNNING, **ADDRESS}, RUNNING, True),
        ({**ADDRESS, "phase": "Pending"}, {**ADDRESS, "phase": "Running"}, False),
        ({"phase": "Pending"}, {"phase": "Pending", "podIPs": []}, False),
        (ADDRESS, {**ADDRESS, "conditions": [{"type": "Ready", "status": "True"}]}, False),
    ],
)
def test_a_change_of_a_pod_wakes_its_service_or_not(
    old: dict[str, Any], new: dict[str, Any], wakes: bool
) -> None:
    assert woken(pod(1, old), pod(2, new)) == ({"one"} if wakes else set())


def test_a_pod_that_comes_without_an_address_or_goes_wakes_nobody() -> None:
    assert woken(None, pod(1, {"phase": "Pending"})) == set()
    assert woken(pod(1, {**ADDRESS, **RUNNING}), None) == set()


def test_a_pod_that_is_first_seen_with_an_address_wakes_its_service() -> None:
    """Its beginnings were missed, as after a watch that broke."""
    assert woken(None, pod(1, ADDRESS)) == {"one"}


def test_a_pod_that_changes_hands_wakes_both() -> None:
    assert woken(pod(1, ADDRESS), pod(2, ADDRESS, service="two")) == {"one", "two"}
    assert woken(pod(1, {}), pod(2, {}, service="two")) == set()


def test_a_pod_that_a_service_owns_wakes_it_as_every_child_does() -> None:
    owner = {
        "apiVersion": "serving.kserve.io/v1alpha2",
        "kind": "LLMInferenceService",
        "name": "one",
        "uid": "s",
    }
    raw = {
        "metadata": {
            "name": "p",
            "namespace": "ns",
            "uid": "u",
            "ownerReferences": [{**owner, "controller": True}],
        }
    }
    owned = Cached.from_raw(msgspec.json.encode(raw), kinds.POD)
    assert keys_for(kinds.POD, None, owned, Interests(ServiceStates())) == {ObjectKey("ns", "one")}


INGRESS = '{"ingressGateway": "a/b", "kserveIngressGateway": "kserve/gw"}'
BROKEN = '{"ingressGateway": ""}'
STORAGE = '{"memoryRequest": "1Gi", "memoryLimit": "1Gi", "cpuRequest": "1", "cpuLimit": "1"%s}'
FINISHED = {names.OLD_POOLS: "finished"}


def settings(
    version: int, *, namespace: str = "kserve", annotations: dict[str, str] | None = None, **data: str
) -> Cached:
    metadata: dict[str, Any] = {
        "name": names.CONFIG_MAP_NAME,
        "namespace": namespace,
        "uid": "u",
        "resourceVersion": str(version),
        "labels": {"version": str(version)},
    }
    if annotations:
        metadata["annotations"] = annotations
    said = {"storageInitializer": STORAGE % "", **data}
    return Cached.from_raw(msgspec.json.encode({"metadata": metadata, "data": said}), kinds.CONFIG_MAP)


@pytest.mark.parametrize(
    ("old", "new", "wakes"),
    [
        ({"ingress": INGRESS}, {"ingress": INGRESS}, False),
        ({"ingress": INGRESS}, {"ingress": INGRESS, "explainers": "{}"}, False),
        ({"ingress": INGRESS}, {"ingress": INGRESS, "localModel": "{"}, False),
        ({"ingress": INGRESS}, {"ingress": INGRESS.replace(",", " ,")}, False),
        ({"ingress": INGRESS}, {"ingress": INGRESS.replace("kserve/gw", "kserve/other")}, True),
        ({"ingress": INGRESS}, {"ingress": INGRESS, "annotations": FINISHED}, True),
        ({"ingress": INGRESS}, {"ingress": BROKEN}, True),
        ({"ingress": BROKEN}, {"ingress": BROKEN}, False),
        # What is refused for its gateway may name another CA bundle all the same.
        (
            {"ingress": BROKEN},
            {"ingress": BROKEN, "storageInitializer": STORAGE % ', "caBundleConfigMapName": "ca"'},
            True,
        ),
        # Of an object of the user's that has the name by chance everything counts.
        ({"namespace": "ns", "epp": "a"}, {"namespace": "ns", "epp": "b"}, True),
    ],
)
def test_the_settings_wake_services_when_they_say_something_else(
    old: dict[str, Any], new: dict[str, Any], wakes: bool
) -> None:
    before, after = settings(1, **old), settings(2, **new)
    reader, interests = ObjectKey("ns", "one"), Interests(ServiceStates())
    interests.record(reader, [ObjectRef(kinds.CONFIG_MAP, before.key.namespace, names.CONFIG_MAP_NAME)])
    woken = {reader} if wakes else set()
    assert keys_for(kinds.CONFIG_MAP, before, after, interests, "kserve") == woken
    assert keys_for(kinds.CONFIG_MAP, None, after, interests, "kserve") == {reader}
    assert keys_for(kinds.CONFIG_MAP, before, None, interests, "kserve") == {reader}
