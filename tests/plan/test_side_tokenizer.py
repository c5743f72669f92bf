"""The tokenizer in an older picker's pod: what it downloads, and what is no reason to restart the picker.

Rule: TOK-3.
"""

import json
from typing import Any

import pytest

from aioctl.api import kinds
from aioctl.plan.global_config import GlobalConfig, StorageConfig
from testbed.plan_world import World
from tests.plan.picker_world import run, spec_with

POD = {"containers": [{"name": "main", "image": "epp:1"}, {"name": "tokenizer", "image": "uds:1"}]}
SPEEDS = {"HF_HUB_ENABLE_HF_TRANSFER", "HF_XET_HIGH_PERFORMANCE", "HF_XET_NUM_CONCURRENT_RANGE_GETS"}
PICKER = "svc-kserve-router-scheduler"


def spec_of(uri: str, pod: dict[str, Any] = POD) -> dict[str, Any]:
    return {**spec_with(pod), "model": {"uri": uri}}


def initializer_of(world: World) -> dict[str, Any]:
    pod = world.get(kinds.DEPLOYMENT, PICKER)["spec"]["template"]["spec"]
    [found] = pod["initContainers"]
    assert found["name"] == "storage-initializer"
    return dict(found)


def variables(container: dict[str, Any]) -> dict[str, str]:
    return {variable["name"]: variable.get("value", "") for variable in container.get("env", ())}


def with_image(image: str) -> GlobalConfig:
    return GlobalConfig("kserve", storage=StorageConfig(image=image))


@pytest.mark.parametrize("uri", ["hf://a/b", "s3://a/b"])
def test_it_downloads_the_tokenizer_and_not_the_weights(uri: str) -> None:
    world = World()
    run(world, spec_of(uri))
    files = json.loads(variables(initializer_of(world))["STORAGE_ALLOW_PATTERNS"])
    assert {"tokenizer.json", "tokenizer_config.json", "config.json"} <= set(files)
    assert not any("*" in file or "safetensors" in file for file in files)


def test_what_the_user_says_of_the_files_stands() -> None:
    world = World()
    env = [{"name": "STORAGE_ALLOW_PATTERNS", "value": '["*"]'}]
    run(world, spec_of("hf://a/b", {**POD, "initContainers": [{"name": "storage-initializer", "env": env}]}))
    assert variables(initializer_of(world))["STORAGE_ALLOW_PATTERNS"] == '["*"]'


def test_another_image_for_downloads_does_not_restart_the_picker() -> None:
    world = World()
    run(world, spec_of("hf://a/b"), config=with_image("init:1"))
    assert run(world, spec_of("hf://a/b"), config=with_image("init:2")) == []
    assert initializer_of(world)["image"] == "init:1"


def test_the_users_image_stands_over_the_running_one() -> None:
    world = World()
    run(world, spec_of("hf://a/b"), config=with_image("init:1"))
    run(
        world,
        spec_of("hf://a/b", {**POD, "initContainers": [{"name": "storage-initializer", "image": "mine"}]}),
    )
    assert initializer_of(world)["image"] == "mine"


@pytest.mark.parametrize(("before", "after"), [([], set()), ([{"name": "HF_HOME", "value": "/tmp"}], SPEEDS)])
def test_variables_for_speed_come_only_where_some_of_theirs_were(
    before: list[dict[str, str]], after: set[str]
) -> None:
    world = World()
    run(world, spec_of("hf://a/b"))
    live = world.get(kinds.DEPLOYMENT, PICKER)
    live["spec"]["template"]["spec"]["initContainers"][0]["env"] = before
    run(world, spec_of("hf://a/b"))
    assert SPEEDS & set(variables(initializer_of(world))) == after
