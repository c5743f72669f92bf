"""What of a pod wakes its service: addresses and the states of its init containers (WATCH-2)."""

from typing import Any

import msgspec
import pytest

from aioctl.api import kinds, names
from aioctl.api.kinds import ObjectKey
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
