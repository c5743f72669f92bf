"""The storage initializer: one container for all downloads, the user's laid over it, what it is told (ART-4)."""

import base64
from dataclasses import replace
from typing import Any

import pytest

from aioctl.api import kinds
from aioctl.plan.model import PlanError
from aioctl.plan.workload import initializer
from aioctl.plan.workload.artifacts import attach_model
from testbed.plan_world import CONFIG, HF, MAIN, STORAGE, World
from tests.plan.workload_world import run

ACCOUNT = {"metadata": {"name": "u", "namespace": "ns"}}
DEFAULTS = ["HF_HUB_ENABLE_HF_TRANSFER", "HF_XET_HIGH_PERFORMANCE", "HF_XET_NUM_CONCURRENT_RANGE_GETS"]
BUNDLE = replace(CONFIG, storage=replace(STORAGE, ca_bundle_config_map_name="ca"))


def attached(
    uri: str,
    *adapters: tuple[str, str],
    own: dict[str, Any] | None = None,
    account: dict[str, Any] | None = ACCOUNT,
    world: World | None = None,
    config: Any = CONFIG,
    containers: list[dict[str, Any]] | None = None,
    **model: Any,
) -> dict[str, Any]:
    pod: dict[str, Any] = {"containers": containers or [{"name": "main", "image": "vllm:v1"}]}
    if own is not None:
        pod["initContainers"] = [{"name": "storage-initializer", **own}]
    lora = {"adapters": [{"name": name, "uri": place} for name, place in adapters]}
    spec = {"model": {"uri": uri, **({"lora": lora} if adapters else {}), **model}}
    attach_model((world or World()).context(spec, config=config), pod, account)
    return pod


def container(pod: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = pod["initContainers"][-1]
    assert found["name"] == "storage-initializer"
    return found


def variables(pod: dict[str, Any]) -> list[str]:
    return [item["name"] for item in container(pod).get("env", [])]


def provision(holder: dict[str, Any]) -> list[tuple[str, bool]]:
    return [
        (mount["mountPath"], mount.get("readOnly", False))
        for mount in holder.get("volumeMounts", [])
        if mount["name"] == "kserve-provision-location"
    ]


def main(pod: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = pod["containers"][0]
    return found


@pytest.mark.parametrize(
    ("uri", "adapters", "args", "place"),
    [
        ("hf://a/b", [], ["hf://a/b", "/mnt/models"], "/mnt/models"),
        (
            "hf://a/b",
            [("b", "hf://o/b"), ("a", "s3://k/a")],
            ["hf://a/b", "/mnt/models", "s3://k/a", "/mnt/lora/a", "hf://o/b", "/mnt/lora/b"],
            "/mnt",
        ),
        ("hf://a/b", [("p", "pvc://c")], ["hf://a/b", "/mnt/models"], "/mnt/models"),
        ("pvc://c", [("a", "hf://o/a")], ["hf://o/a", "/mnt/lora/a"], "/mnt/lora/a"),
        (
            "oci+native://i:1",
            [("a", "hf://o/a"), ("b", "hf://o/b")],
            ["hf://o/a", "/mnt/lora/a", "hf://o/b", "/mnt/lora/b"],
            "/mnt/lora",
        ),
    ],
)
def test_the_downloads_share_one_volume_at_their_common_directory(
    uri: str, adapters: list[tuple[str, str]], args: list[str], place: str
) -> None:
    pod = attached(uri, *adapters)
    assert container(pod)["args"] == args
    assert provision(container(pod)) == [(place, False)]
    assert provision(main(pod)) == [(place, True)]


def test_beside_a_modelcar_adapters_appear_where_the_server_looks() -> None:
    pod = attached("oci://i:1", ("a", "hf://o/a"))
    assert container(pod)["args"] == ["hf://o/a", "/mnt/lora/a"]
    # `main` has the modelcar's mount of the same volume, writable.
    assert provision(container(pod)) == provision(main(pod)) == [("/mnt", False)]


def test_a_users_container_is_laid_over_the_generated_one() -> None:
    own = {
        "image": "mine:1",
        "args": ["bad"],
        "command": ["worse"],
        "env": [{"name": "HF_HUB_OFFLINE", "value": "1"}, {"name": "HF_XET_HIGH_PERFORMANCE", "value": "0"}],
        "resources": {"limits": {"memory": "9Gi"}},
        "volumeMounts": [{"name": "extra", "mountPath": "/extra"}],
    }
    found = container(attached("hf://a/b", own=own))
    assert found == {
        "name": "storage-initializer",
        "image": "mine:1",
        "args": ["hf://a/b", "/mnt/models"],
        "env": [
            {"name": "HF_HUB_OFFLINE", "value": "1"},
            {"name": "HF_XET_HIGH_PERFORMANCE", "value": "0"},
            {"name": "HF_HUB_ENABLE_HF_TRANSFER", "value": "1"},
            {"name": "HF_XET_NUM_CONCURRENT_RANGE_GETS", "value": "8"},
        ],
        "resources": {
            "limits": {"cpu": "1", "memory": "9Gi"},
            "requests": {"cpu": "100m", "memory": "100Mi"},
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "extra", "mountPath": "/extra"},
            {"name": "kserve-provision-location", "mountPath": "/mnt/models"},
        ],
    }


def test_a_users_mount_of_the_shared_volume_is_respected() -> None:
    own = {"volumeMounts": [{"name": "kserve-provision-location", "mountPath": "/elsewhere"}]}
    assert provision(container(attached("hf://a/b", own=own))) == [("/elsewhere", False)]


def test_of_a_variable_with_a_value_and_a_reference_the_users_side_stands() -> None:
    reference = {"name": "CONFIDENTIAL_ENABLED", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    pod = attached("hf://a/b", own={"env": [reference]}, confidential={"enabled": True})
    assert container(pod)["env"][0] == reference


def test_an_element_without_its_key_cannot_be_laid_over() -> None:
    with pytest.raises(PlanError) as caught:
        attached("hf://a/b", own={"env": [{"value": "x"}]}, confidential={"enabled": True})
    assert str(caught.value) == (
        "failed to merge user storage-initializer customizations: map: map[value:x] does not contain declared "
        "merge key: name"
    )


@pytest.mark.parametrize(
    ("own", "overrides"),
    [
        ({"args": ["x"]}, True),
        ({"command": ["x"]}, True),
        ({"image": "i", "args": []}, False),
        ({"name": "other", "args": ["x"]}, False),
    ],
)
def test_a_command_of_the_users_is_noticed(own: dict[str, Any], overrides: bool) -> None:
    pod = {"initContainers": [{"name": "storage-initializer", **own}]}
    assert initializer.overrides_command(pod) is overrides


@pytest.mark.parametrize(
    ("uri", "adapters", "account", "found"),
    [
        ("hf://a/b", [], ACCOUNT, DEFAULTS),
        ("s3://b/m", [], ACCOUNT, []),
        ("s3://b/m", [("a", "hf://o/a")], ACCOUNT, DEFAULTS),
        ("s3://b/m", [("a", "s3://o/a")], ACCOUNT, []),
        # Neither where the namespace has no `default` account to be read.
        ("hf://a/b", [], None, []),
    ],
)
def test_defaults_of_hugging_face_come_with_its_downloads_only(
    uri: str, adapters: list[tuple[str, str]], account: dict[str, Any] | None, found: list[str]
) -> None:
    assert variables(attached(uri, *adapters, account=account)) == found


def test_credentials_come_before_the_defaults() -> None:
    world = World()
    world.put(kinds.SECRET, "hf", data={"HF_TOKEN": base64.b64encode(b"t").decode()})
    account = {**ACCOUNT, "secrets": [{"name": "hf"}]}
    assert variables(attached("hf://a/b", world=world, account=account)) == ["HF_TOKEN", *DEFAULTS]


@pytest.mark.parametrize(
    ("uri", "adapters", "bundled"),
    [
        ("s3://b/m", [], True),
        ("hf://a/b", [], False),
        ("hf://a/b", [("p", "pvc://c")], False),
        ("hf://a/b", [("a", "hf://o/a")], True),
        ("pvc://c", [("a", "hf://o/a")], True),
    ],
)
@pytest.mark.parametrize("account", [ACCOUNT, None])
def test_the_ca_bundle_comes_with_s3_and_with_adapters(
    uri: str, adapters: list[tuple[str, str]], bundled: bool, account: dict[str, Any] | None
) -> None:
    pod = attached(uri, *adapters, config=BUNDLE, account=account)
    assert ("CA_BUNDLE_CONFIGMAP_NAME" in variables(pod)) is bundled


def test_a_ca_bundle_of_the_users_stays() -> None:
    own = {"env": [{"name": "CA_BUNDLE_VOLUME_MOUNT_POINT", "value": "/mine"}]}
    env = container(attached("s3://b/m", own=own, config=BUNDLE))["env"]
    assert env == [
        {"name": "CA_BUNDLE_VOLUME_MOUNT_POINT", "value": "/mine"},
        {"name": "CA_BUNDLE_CONFIGMAP_NAME", "value": "global-ca-bundle"},
    ]


@pytest.mark.parametrize(
    ("confidential", "found"),
    [
        (
            {"enabled": True, "resourceId": "kbs:///r/t/1"},
            [("CONFIDENTIAL_ENABLED", "true"), ("CONFIDENTIAL_RESOURCE_ID", "kbs:///r/t/1")],
        ),
        ({"enabled": True}, [("CONFIDENTIAL_ENABLED", "true")]),
        ({"enabled": False, "resourceId": "kbs:///r/t/1"}, []),
    ],
)
@pytest.mark.parametrize("adapters", [(), (("a", "s3://o/a"),)])
def test_an_encrypted_model_is_told_of_first(
    confidential: dict[str, Any], found: list[tuple[str, str]], adapters: tuple[tuple[str, str], ...]
) -> None:
    pod = attached("s3://b/m", *adapters, confidential=confidential, own={"env": [{"name": "Z"}]})
    given = [(item["name"], item.get("value", "")) for item in container(pod)["env"]]
    assert [pair for pair in given if pair[0] != "Z"] == found


def test_a_base_model_that_is_not_downloaded_has_no_key() -> None:
    pod = attached("pvc://c", ("a", "s3://o/a"), confidential={"enabled": True})
    assert "env" not in container(pod)


def test_a_pod_without_main_still_downloads() -> None:
    pod = attached("hf://a/b", containers=[{"name": "other"}])
    assert container(pod)["args"] == ["hf://a/b", "/mnt/models"]
    assert pod["containers"] == [{"name": "other"}]


_USERS = {"name": "storage-initializer", "args": ["x"]}


@pytest.mark.parametrize("field", ["template", "worker"])
@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"model": {"uri": "hf://a/b"}}, True),
        ({"model": {"uri": "pvc://claim/path"}}, False),
        ({"model": {"uri": "hf://a/b"}, "storageInitializer": {"enabled": False}}, False),
    ],
)
def test_arguments_that_do_not_stand_are_told_of_with_the_write_of_their_workload(
    asked: dict[str, Any], told: bool, field: str
) -> None:
    """Not where nothing is downloaded, nor where the user's container is left as it is."""
    world = World()
    # A container that is left as it is needs an image of its own.
    users = {**MAIN, "initContainers": [_USERS if told else {**_USERS, "image": "theirs:1"}]}
    spec = {**HF, "template": MAIN, **asked, field: users, "prefill": {"template": MAIN}}
    assert run(world, spec) is None
    noticed = [(write.kind, reason) for write in world.writes for reason, _ in write.warnings]
    of = kinds.LEADER_WORKER_SET if field == "worker" else kinds.DEPLOYMENT
    assert noticed == [(of, "StorageInitializerOverride")] * told
    assert run(world, spec) is None
    world.writes.clear()
    assert run(world, spec) is None
    assert world.writes == []
