"""Versions around the hub: a third one is one more spoke, and converts to and from all others.

Rules: CONV-1.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from aioctl.api import v1alpha1
from aioctl.api.conversion import VERSIONS, ConversionFailed, Spoke, Versions
from aioctl.api.kinds import GROUP, V1ALPHA1, V1ALPHA2

NEWER = f"{GROUP}/v1beta1"


def _renamed(tree: Mapping[str, Any], old: str, new: str) -> dict[str, Any]:
    return {new if key == old else key: value for key, value in tree.items()}


class Beta:
    """An invented version that calls the replicas `size`."""

    def up(self, obj: Mapping[str, Any]) -> dict[str, Any]:
        return {**obj, "apiVersion": V1ALPHA2, "spec": _renamed(obj["spec"], "size", "replicas")}

    def up_encoded(self, top: dict[str, Any]) -> dict[str, Any]:
        return self.up({**top, "spec": msgspec.json.decode(top["spec"])})

    def down_encoded(self, top: dict[str, Any], left_out: Any) -> dict[str, Any]:
        spec = _renamed(msgspec.json.decode(top["spec"]), "replicas", "size")
        return {**top, "apiVersion": NEWER, "spec": spec}


BETA = Beta()
THREE = Versions(
    V1ALPHA2,
    {
        V1ALPHA1: Spoke(v1alpha1.up, v1alpha1.up_encoded, v1alpha1.down_encoded),
        NEWER: Spoke(BETA.up, BETA.up_encoded, BETA.down_encoded),
    },
)


def service(version: str, **spec: Any) -> dict[str, Any]:
    metadata = {"name": "s", "namespace": "n"}
    return {"apiVersion": version, "kind": "LLMInferenceService", "metadata": metadata, "spec": spec}


FORMS = {
    V1ALPHA1: service(V1ALPHA1, model={"criticality": "Critical", "name": "m"}, replicas=2),
    V1ALPHA2: {
        **service(V1ALPHA2, model={"name": "m"}, replicas=2),
        "metadata": {
            "name": "s",
            "namespace": "n",
            "annotations": {"serving.kserve.io/criticality": "Critical"},
        },
    },
}
FORMS[NEWER] = {**FORMS[V1ALPHA2], "apiVersion": NEWER, "spec": {"model": {"name": "m"}, "size": 2}}


@pytest.mark.parametrize("source", FORMS)
@pytest.mark.parametrize("desired", FORMS)
def test_each_version_converts_to_each(source: str, desired: str) -> None:
    converted = THREE.convert(msgspec.json.encode(FORMS[source]), desired)
    assert msgspec.json.decode(converted) == FORMS[desired]


def test_what_has_no_room_in_a_spoke_is_told_whichever_way_it_came() -> None:
    told: list[str] = []
    full = {**FORMS[NEWER], "metadata": {"name": "s", "namespace": "n", "annotations": {"a": "x" * 262_130}}}
    full["spec"] = {**full["spec"], "kvCacheOffloading": {"cpu": "10Gi"}}
    THREE.convert(msgspec.json.encode(full), V1ALPHA1, told.append)
    assert told == ["n/s: kvCacheOffloading"]


def test_directions_are_seen_from_the_hub() -> None:
    assert [THREE.direction(version) for version in (V1ALPHA2, V1ALPHA1, NEWER, "x/v1")] == [
        "up",
        "down",
        "down",
        "unknown",
    ]


def test_a_version_without_a_spoke_is_refused_by_name() -> None:
    with pytest.raises(
        ConversionFailed, match=r'n/s: no kind "LLMInferenceService" is registered for version "serv'
    ):
        VERSIONS.convert(msgspec.json.encode(FORMS[NEWER]), V1ALPHA2)
