"""COND-9: what is accepted without an effect is named, and what has one is not."""

from typing import Any

import pytest

from aioctl.api import without_effect
from aioctl.api.rules.dra import CONTAINER_NAME

HF: dict[str, Any] = {"uri": "hf://a/b"}


def service(**spec: Any) -> dict[str, Any]:
    return {"spec": {"model": HF, **spec}}


def model(**fields: Any) -> dict[str, Any]:
    return {**HF, **fields}


def main(**fields: Any) -> dict[str, Any]:
    return {"containers": [{"name": "main", **fields}]}


TOKEN = [{"name": "HF_TOKEN", "value": "t"}]
TAKEN = {**main(env=TOKEN), "initContainers": [{"name": "storage-initializer", "env": TOKEN}]}


FETCHES = [{"name": "storage-initializer"}]
OTHERS_POOL = {"pool": {"ref": {"name": "pool"}}}
BASES = [{"name": "base"}]


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
        ({"model": model(lora={"maxRank": 8})}, "spec.model.lora.maxRank"),
        ({"model": {**HF, "lora": {"adapters": [], "maxCpuAdapters": 8}}}, "spec.model.lora.maxCpuAdapters"),
        ({"model": {**HF, "lora": {"adapters": [{"lora": {}}]}}}, "spec.model.lora.adapters[0].lora"),
        (
            {"model": {**HF, "lora": {"adapters": [{}, {"confidential": {"enabled": True}}]}}},
            "spec.model.lora.adapters[1].confidential",
        ),
        (
            {"model": {**HF, "confidential": {"enabled": True}}, "storageInitializer": {"enabled": False}},
            "spec.model.confidential",
        ),
        (
            {"model": {"uri": "oci+native://a/b", "confidential": {"enabled": True}}},
            "spec.model.confidential",
        ),
        (
            {"model": {**HF, "confidential": {"enabled": False, "resourceId": "kbs:///a/b/c"}}},
            "spec.model.confidential.resourceId",
        ),
        (
            {"model": {"uri": "pvc://claim"}, "template": {"initContainers": FETCHES}},
            "spec.template.initContainers: storage-initializer",
        ),
        (
            {"template": {"serviceAccountName": "a"}, "worker": {"serviceAccountName": "b"}},
            "spec.worker.serviceAccountName",
        ),
        ({"router": {"ingress": {}}}, "spec.router.ingress"),
        ({"router": {"scheduler": {**OTHERS_POOL, "replicas": 2}}}, "spec.router.scheduler.replicas"),
        ({"router": {"scheduler": {**OTHERS_POOL, "config": {}}}}, "spec.router.scheduler.config"),
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
        {"model": model(lora={"maxRank": 8}), "baseRefs": BASES},
        {"model": {**HF, "lora": {"maxRank": 8, "adapters": [{"name": "a", "uri": "hf://a/b"}]}}},
        {"model": {**HF, "confidential": {"enabled": True, "resourceId": "kbs:///a/b/c"}}},
        {"template": {"initContainers": FETCHES}},
        {
            "model": {"uri": "pvc://claim", "lora": {"adapters": [{"uri": "hf://a/b"}]}},
            "template": {"initContainers": FETCHES},
        },
        {
            "model": {"uri": "pvc://claim"},
            "template": {"initContainers": FETCHES},
            "storageInitializer": {"enabled": False},
        },
        {"worker": {"serviceAccountName": "b"}},
        {"template": {"serviceAccountName": "a"}, "worker": {"serviceAccountName": "a"}},
        {"router": {"scheduler": {"replicas": 2, "config": {}}}},
        {"router": {"scheduler": OTHERS_POOL}},
        {"model": {"lora": "none", "confidential": 1, "uri": 3}, "router": []},
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
        ({"template": main(args=["serve"]), "parallelism": {"expert": True}}, "spec.parallelism.expert"),
        (
            {"template": main(args=["serve"]), "parallelism": {"dataRPCPort": 5555}},
            "spec.parallelism.dataRPCPort",
        ),
        ({"model": model(lora={"maxRank": 8}), "baseRefs": BASES}, "spec.model.lora.maxRank"),
        (
            {
                "model": {**HF, "lora": {"maxRank": 8, "adapters": [{"name": "a"}]}},
                "template": main(args=["--lora-modules", "x=y"]),
            },
            "spec.model.lora.maxRank",
        ),
        (
            {"template": main(args=["--kv-transfer-config={}"]), "kvCacheOffloading": {"cpu": "1Gi"}},
            "spec.kvCacheOffloading",
        ),
        (
            {"prefill": {"template": main(args=["serve"]), "kvCacheOffloading": {"cpu": "1Gi"}}},
            "spec.prefill.kvCacheOffloading",
        ),
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
        {"template": main(args=["serve"]), "parallelism": {"tensor": 1, "expert": False}},
        {"template": main(args=["--enable-expert-parallel"]), "parallelism": {"expert": True}},
        {
            "template": main(command=['--kv-transfer-config={"kv_connector":"OffloadingConnector"}']),
            "kvCacheOffloading": {"cpu": "1Gi"},
        },
        {"template": main(args=["serve"]), "tracing": {}},
        {
            "template": main(args=["serve"]),
            "worker": main(args=["--pipeline-parallel-size=2"]),
            "parallelism": {"pipeline": 2},
        },
    ],
)
def test_what_a_command_line_shows_has_an_effect(spec: dict[str, Any]) -> None:
    assert without_effect.of_combined(service(**spec)) == []


def test_a_container_that_is_not_there_is_named_for_tracing_and_claims() -> None:
    pod = {"containers": [{"name": "vllm"}]}
    traced = without_effect.of_combined(service(template=pod, tracing={}))
    assert [text.partition(" has no effect")[0] for text in traced] == ["spec.model", "spec.tracing"]
    claimed = {"metadata": {"annotations": {CONTAINER_NAME: "gpu"}}, **service(template=main())}
    assert without_effect.of_combined(claimed) == [
        f"{CONTAINER_NAME} has no effect: no container in spec.template is named gpu"
    ]
    claimed["metadata"]["annotations"][CONTAINER_NAME] = " main "
    assert without_effect.of_combined(claimed) == []
