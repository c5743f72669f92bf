"""COND-9: what is accepted without an effect is named, and what has one is not."""

from typing import Any

import pytest

from aioctl.api import without_effect

HF = {"uri": "hf://a/b"}


def service(**spec: Any) -> dict[str, Any]:
    return {"spec": {"model": HF, **spec}}


def main(**fields: Any) -> dict[str, Any]:
    return {"containers": [{"name": "main", **fields}]}


TOKEN = [{"name": "HF_TOKEN", "value": "t"}]
TAKEN = {**main(env=TOKEN), "initContainers": [{"name": "storage-initializer", "env": TOKEN}]}


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"template": main(env=TOKEN)}, "spec.template: HF_TOKEN in main"),
        ({"worker": main(env=TOKEN)}, "spec.worker: HF_TOKEN in main"),
        ({"prefill": {"template": main(env=TOKEN)}}, "spec.prefill.template: HF_TOKEN in main"),
        ({"template": {"containers": [{"name": "vllm"}]}}, "spec.template.containers without main"),
        ({"parallelism": {"pipeline": 2}}, "spec.parallelism.pipeline"),
        ({"parallelism": {"data": 2}}, "spec.parallelism.data"),
        ({"prefill": {"parallelism": {"data": 2}}}, "spec.prefill.parallelism.data"),
    ],
)
def test_who_writes_what_has_no_effect_is_told(spec: dict[str, Any], path: str) -> None:
    (text,) = without_effect.warnings(service(**spec))
    assert text.startswith(f"{path} has no effect: ")
    assert len(text) <= 120


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"template": main()},
        {"template": TAKEN},
        {"template": main(env=TOKEN), "storageInitializer": {"enabled": False}},
        {"template": main(env=TOKEN), "model": {"uri": "pvc://claim"}},
        {"parallelism": {"tensor": 4}},
        {"parallelism": {"pipeline": 1}},
        {"parallelism": {"pipeline": 2}, "worker": main()},
        {"parallelism": {"pipeline": 2}, "baseRefs": [{"name": "base"}]},
        {"parallelism": {"pipeline": 2}, "template": main(args=["--pipeline-parallel-size=2"])},
        {"parallelism": {"pipeline": 2}, "template": main(command=["{{ .Spec.Parallelism.Pipeline }}"])},
        {"template": {"containers": "none"}, "parallelism": "none", "prefill": 3},
    ],
)
def test_nobody_else_is(spec: dict[str, Any]) -> None:
    assert without_effect.warnings(service(**spec)) == []


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"template": main(command=["vllm"]), "parallelism": {"tensor": 2}}, "spec.parallelism.tensor"),
        ({"template": main(args=["serve"]), "parallelism": {"pipeline": 2}}, "spec.parallelism.pipeline"),
        (
            {"prefill": {"template": main(args=["serve"]), "parallelism": {"tensor": 2}}},
            "spec.prefill.parallelism.tensor",
        ),
        ({"template": {"containers": [{"name": "vllm"}]}}, "spec.model"),
        ({"template": main(env=TOKEN)}, "spec.template: HF_TOKEN in main"),
    ],
)
def test_what_only_the_combined_spec_shows(spec: dict[str, Any], path: str) -> None:
    (text,) = without_effect.of_combined(service(**spec))
    assert text.startswith(f"{path} has no effect: ")


@pytest.mark.parametrize(
    "spec",
    [
        {"template": main(args=["--tensor-parallel-size", "2"]), "parallelism": {"tensor": 2}},
        {"template": main(env=[{"name": "ARGS", "value": "-tp 2"}]), "parallelism": {"tensor": 2}},
        {"template": main(args=["serve"]), "parallelism": {"tensor": 1}},
        {
            "template": main(args=["serve"]),
            "worker": main(args=["--pipeline-parallel-size=2"]),
            "parallelism": {"pipeline": 2},
        },
    ],
)
def test_what_a_command_line_shows_has_an_effect(spec: dict[str, Any]) -> None:
    assert without_effect.of_combined(service(**spec)) == []
