"""Models that are OCI images: which way they come, and what the API server lacks (ART-5)."""

from dataclasses import replace
from typing import Any

import pytest

from aioctl.plan.model import PlanError
from aioctl.plan.workload import artifacts, oci
from aioctl.plan.workload.artifacts import attach_model, native_wanted
from aioctl.plan.workload.containers import Reader
from testbed.plan_world import CONFIG, STORAGE, World

VOLUME = {"name": "mnt-models", "image": {"reference": "q/m:1", "pullPolicy": "IfNotPresent"}}
MOUNT = {"name": "mnt-models", "mountPath": "/mnt/models", "subPath": "models", "readOnly": True}
NONE = replace(STORAGE, enable_modelcar=False)


def context(uri: str, storage: Any = STORAGE) -> Any:
    return World().context({"model": {"uri": uri}}, config=replace(CONFIG, storage=storage))


def attached(uri: str, storage: Any = STORAGE, **main: Any) -> dict[str, Any]:
    pod: dict[str, Any] = {"containers": [{"name": "main", **main}]}
    attach_model(context(uri, storage), pod, None)
    return pod


@pytest.mark.parametrize(
    ("storage", "native"),
    [
        (STORAGE, False),
        (replace(NONE, enable_oci_model_support=True), False),
        (replace(NONE, oci_model_mode="modelcar"), False),
        (replace(NONE, oci_model_mode="fetch"), False),
        (replace(STORAGE, oci_model_mode="native"), True),
    ],
)
def test_the_configured_mode_decides_for_the_plain_scheme(storage: Any, native: bool) -> None:
    pod = attached("oci://q/m:1", storage)
    names = [container["name"] for container in pod["containers"]]
    assert names == (["main"] if native else ["main", "modelcar"])
    assert ("initContainers" in pod) is not native


def test_where_no_mode_is_allowed_it_is_said_in_kserves_words() -> None:
    with pytest.raises(PlanError, match=r"^OCI modelcars is not enabled$"):
        attached("oci://q/m:1", NONE)


@pytest.mark.parametrize("storage", [STORAGE, NONE])
def test_the_native_scheme_needs_no_configuration(storage: Any) -> None:
    assert attached("oci+native://q/m:1", storage) == {
        "containers": [{"name": "main", "volumeMounts": [MOUNT]}],
        "volumes": [VOLUME],
    }


def test_an_image_volume_of_that_name_stays() -> None:
    pod = {
        "containers": [{"name": "main", "volumeMounts": [MOUNT]}],
        "volumes": [{"name": "mnt-models", "emptyDir": {}}],
    }
    attach_model(context("oci+native://q/m:1"), pod, None)
    assert pod["volumes"] == [{"name": "mnt-models", "emptyDir": {}}]
    assert pod["containers"] == [{"name": "main", "volumeMounts": [MOUNT]}]


def test_whoever_reads_the_model_elsewhere_has_a_volume_or_a_directory_of_that_place() -> None:
    reader = Reader(path="/mnt/models/base")
    native: dict[str, Any] = {"containers": [{"name": "main"}]}
    car: dict[str, Any] = {"containers": [{"name": "main"}]}
    attach_model(context("oci+native://q/m:1"), native, None, reader)
    attach_model(context("oci://q/m:1"), car, None, reader)
    assert native == {
        "containers": [
            {
                "name": "main",
                "volumeMounts": [{**MOUNT, "name": "mnt-models-base", "mountPath": "/mnt/models/base"}],
            }
        ],
        "volumes": [{**VOLUME, "name": "mnt-models-base"}],
    }
    assert car["containers"][1]["args"][2] == (
        "mkdir -p /mnt/models && ln -sf /proc/$$$$/root/models /mnt/models/base && sleep infinity"
    )


def test_another_volume_at_the_models_path_is_named() -> None:
    mine = {"name": "mine", "mountPath": "/mnt/models"}
    with pytest.raises(PlanError) as caught:
        attached("oci+native://q/m:1", volumeMounts=[mine])
    assert str(caught.value) == 'mountPath "/mnt/models" already used by volume "mine"'


def test_an_image_volume_needs_a_container_to_read_it() -> None:
    pod: dict[str, Any] = {"containers": [{"name": "x"}]}
    with pytest.raises(PlanError, match=r"^no container found with name main$"):
        attach_model(context("oci+native://q/m:1"), pod, None)


@pytest.mark.parametrize(
    ("version", "reason", "text"),
    [
        (("1", "30"), "ImageVolumeUnsupported", "Cluster K8s 1.30 does not support ImageVolume (introduced"),
        (("1", "31"), "ImageVolumeSubPathUnsupported", "Cluster K8s 1.31 (alpha) does not support subPath"),
        (("1", "32+"), "ImageVolumeSubPathUnsupported", "Cluster K8s 1.32+ (alpha) does not support subPath"),
        (
            ("1", "33"),
            "ImageVolumeAlpha",
            "Cluster K8s 1.33 has ImageVolume feature-gated (K8s 1.33\u20131.34",
        ),
        (
            ("1", "34"),
            "ImageVolumeAlpha",
            "Cluster K8s 1.34 has ImageVolume feature-gated (K8s 1.33\u20131.34",
        ),
    ],
)
def test_an_old_api_server_is_told_of(version: tuple[str, str], reason: str, text: str) -> None:
    found = oci.compatibility(version)
    assert found is not None
    assert found[0] == reason
    assert found[1].startswith(text)


@pytest.mark.parametrize("version", [("1", "35"), ("1", "36+"), ("1", ""), ("1", "x"), None])
def test_a_new_or_unknown_api_server_is_not_judged(version: tuple[str, str] | None) -> None:
    assert oci.compatibility(version) is None


@pytest.mark.parametrize(
    ("uri", "mode", "wanted"),
    [
        ("oci+native://q/m:1", "", True),
        ("oci+native://q/m:1", "modelcar", True),
        ("hf://a/b", "native", True),
        ("oci://q/m:1", "", False),
    ],
)
def test_image_volumes_are_wanted_by_scheme_or_mode(uri: str, mode: str, wanted: bool) -> None:
    ctx = context(uri, replace(STORAGE, oci_model_mode=mode))
    assert native_wanted(ctx.config, ctx.spec) is wanted


OWN_PROCESSES: dict[str, Any] = {
    "shareProcessNamespace": False,
    "containers": [{"name": "main", "image": "i", "securityContext": {"runAsUser": 7}}],
}


@pytest.mark.parametrize(
    ("uri", "storage", "fields"),
    [
        ("oci://q/m:1", {}, ["spec.template.shareProcessNamespace"]),
        (
            "oci://q/m:1",
            {"uid_modelcar": 1010},
            ["spec.template.shareProcessNamespace", "spec.template: runAsUser 7 of main"],
        ),
        ("oci://q/m:1", {"uid_modelcar": 7}, ["spec.template.shareProcessNamespace"]),
        ("oci://q/m:1", {"uid_modelcar": 1010, "oci_model_mode": "native"}, []),
        ("oci+native://q/m:1", {"uid_modelcar": 1010}, []),
        ("hf://a/b", {"uid_modelcar": 1010}, []),
    ],
)
def test_what_a_modelcar_takes_the_place_of_is_told(uri: str, storage: Any, fields: list[str]) -> None:
    """ART-5, COND-9: the pod that is made has another value than the user's."""
    ctx = context(uri, replace(STORAGE, **storage))
    ctx = replace(ctx, spec={**ctx.spec, "template": OWN_PROCESSES})
    assert [found.path for found in artifacts.notices(ctx)] == fields
    off = replace(ctx, spec={**ctx.spec, "storageInitializer": {"enabled": False}})
    assert list(artifacts.notices(off)) == []
    pod = {**OWN_PROCESSES, "containers": [dict(container) for container in OWN_PROCESSES["containers"]]}
    attach_model(ctx, pod, None)
    kept = pod["shareProcessNamespace"] is False and pod["containers"][0]["securityContext"]["runAsUser"] == 7
    assert kept is (fields == [])
