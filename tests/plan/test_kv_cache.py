"""Volumes of the KV cache's secondary tiers (KV-1)."""

from typing import Any

import pytest

from aioctl.api.objects import FieldError
from aioctl.plan.workload.kv_cache import attach_tiers

CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "7Gi"}}}


def tiers(*file_systems: Any) -> dict[str, Any]:
    secondary = [{} if found is None else {"fileSystem": found} for found in file_systems]
    return {"kvCacheOffloading": {"cpu": "1Gi", "secondary": secondary}}


def pod(**main: Any) -> dict[str, Any]:
    return {"containers": [{"name": "side"}, {"name": "main", **main}]}


def test_each_tier_has_a_volume_by_its_index() -> None:
    spec = pod()
    workload = tiers(
        {"emptyDir": {"size": "5Gi"}},
        None,
        {"pvc": {"spec": CLAIM}},
        {"pvc": {"ref": {"name": "mine", "path": "a/b"}}},
        {"pvc": {"ref": {"name": "mine"}}},
    )
    attach_tiers(spec, workload)
    assert spec["volumes"] == [
        {"name": "kv-cache-secondary-0", "emptyDir": {"sizeLimit": "5Gi"}},
        {"name": "kv-cache-secondary-2", "ephemeral": {"volumeClaimTemplate": {"spec": CLAIM}}},
        {"name": "kv-cache-secondary-3", "persistentVolumeClaim": {"claimName": "mine"}},
        {"name": "kv-cache-secondary-4", "persistentVolumeClaim": {"claimName": "mine"}},
    ]
    assert spec["containers"] == [
        {"name": "side"},
        {
            "name": "main",
            "resources": {"requests": {"ephemeral-storage": "5Gi"}},
            "volumeMounts": [
                {"name": "kv-cache-secondary-0", "mountPath": "/mnt/kv-cache-0"},
                {"name": "kv-cache-secondary-2", "mountPath": "/mnt/kv-cache-2"},
                {"name": "kv-cache-secondary-3", "mountPath": "/mnt/kv-cache-3", "subPath": "a/b"},
                {"name": "kv-cache-secondary-4", "mountPath": "/mnt/kv-cache-4"},
            ],
        },
    ]


def test_sizes_on_the_nodes_disk_add_up_with_what_is_requested() -> None:
    resources = {"limits": {"cpu": "1"}, "requests": {"cpu": "1", "ephemeral-storage": "1Gi"}}
    spec = pod(resources=resources)
    attach_tiers(spec, tiers({"emptyDir": {"size": "5Gi"}}, {"emptyDir": {"size": "512Mi"}}))
    assert spec["containers"][1]["resources"] == {
        "limits": {"cpu": "1"},
        "requests": {"cpu": "1", "ephemeral-storage": "6656Mi"},
    }
    # The spec that the pod was copied from is not touched.
    assert resources["requests"] == {"cpu": "1", "ephemeral-storage": "1Gi"}


def test_without_main_there_are_only_volumes() -> None:
    spec: dict[str, Any] = {"containers": [{"name": "x"}]}
    attach_tiers(spec, tiers({"emptyDir": {"size": "5Gi"}}))
    assert spec == {
        "containers": [{"name": "x"}],
        "volumes": [{"name": "kv-cache-secondary-0", "emptyDir": {"sizeLimit": "5Gi"}}],
    }


@pytest.mark.parametrize(
    "workload",
    [
        {},
        {"kvCacheOffloading": {"cpu": "1Gi"}},
        tiers(),
        tiers({}),
        tiers({"pvc": {}}),
        tiers({"emptyDir": None}),
    ],
)
def test_without_tiers_nothing_changes(workload: dict[str, Any]) -> None:
    spec = pod()
    attach_tiers(spec, workload)
    assert spec == pod()


def test_a_tier_of_the_wrong_type_is_named() -> None:
    with pytest.raises(FieldError) as caught:
        attach_tiers(pod(), tiers("x"), at="spec.prefill")
    assert "spec.prefill.kvCacheOffloading.secondary[0].fileSystem" in str(caught.value)
