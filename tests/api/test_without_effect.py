"""COND-9: what is accepted without an effect is named, and what has one is not."""

from typing import Any

import pytest

from aioctl.api import admission_warnings, local_model, names, without_effect
from aioctl.api.names import MODEL_ROUTING
from aioctl.api.rules.dra import CONTAINER_NAME
from aioctl.plan.finished import FINISHED, LEAVING
from aioctl.plan.policy import PodForm, Strategy

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
        (
            {
                "model": {"uri": "oci://a/b"},
                "prefill": {"worker": {**main(), "shareProcessNamespace": False}},
                "router": {"scheduler": {}},
            },
            "spec.prefill.worker.shareProcessNamespace",
        ),
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
        (
            {"router": {"scheduler": {"pool": {**OTHERS_POOL["pool"], "spec": {}}}}},
            "spec.router.scheduler.pool.spec",
        ),
        (
            {"router": {"scheduler": {"config": {"ref": {"name": "a", "optional": True}}}}},
            "spec.router.scheduler.config.ref.optional",
        ),
        (
            {"router": {"scheduler": {"config": {"inline": {}}, "template": main(args=["-configFile=/x"])}}},
            "-configFile in spec.router.scheduler.template",
        ),
        ({"prefill": {}, "router": {"route": {}}}, "spec.prefill"),
        ({"router": {"gateway": {"refs": [{"name": "a"}]}}}, "spec.router.gateway"),
        ({"annotations": {MODEL_ROUTING: "True"}}, f"spec.annotations[{MODEL_ROUTING}]"),
        (
            {
                "annotations": {MODEL_ROUTING: "true"},
                "router": {"route": {"http": {"refs": [{"name": "a"}]}}},
            },
            f"spec.annotations[{MODEL_ROUTING}]",
        ),
        ({"labels": {names.NAME: "a"}}, f"spec.labels[{names.NAME}]"),
        ({"prefill": {"labels": {names.ROLE: "a"}}}, f"spec.prefill.labels[{names.ROLE}]"),
        (
            {"router": {"scheduler": {"labels": {names.COMPONENT: "a"}}}},
            f"spec.router.scheduler.labels[{names.COMPONENT}]",
        ),
        ({"kvCacheOffloading": {"cpu": "0"}}, "spec.kvCacheOffloading"),
        ({"tracing": {"sampler": "always_on", "samplerArg": "1"}}, "spec.tracing.samplerArg"),
        (
            {
                "tracing": {"sampler": "always_on"},
                "template": main(env=[{"name": "OTEL_TRACES_SAMPLER", "value": "always_off"}]),
            },
            "spec.tracing.sampler",
        ),
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
        {"router": {"scheduler": {"config": {"ref": {"name": "a"}}, "template": main(args=["--v=2"])}}},
        {"router": {"scheduler": {"template": main(args=["--config-text", "x"])}}},
        {"prefill": {}},
        {"prefill": {}, "router": {"route": {}, "scheduler": {}}},
        {"prefill": {}, "router": {"route": {}}, "baseRefs": BASES},
        {"router": {"gateway": {}, "route": {}}},
        {"router": {"gateway": {}, "scheduler": {}}},
        {"router": {"gateway": {}}, "baseRefs": BASES},
        {"annotations": {MODEL_ROUTING: "true"}, "router": {"route": {}}},
        {"annotations": {MODEL_ROUTING: "false"}},
        {"labels": {"team": "a"}, "annotations": "none", "prefill": {"annotations": []}},
        {"kvCacheOffloading": {"cpu": "1Gi"}},
        {"kvCacheOffloading": {"cpu": "much"}},
        {"tracing": {"sampler": "parentbased_traceidratio", "samplerArg": "1"}},
        {"tracing": {}, "template": main(env=[{"name": "OTEL_TRACES_SAMPLER", "value": "always_off"}])},
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
            {"router": {"scheduler": {"config": {}, "template": {"containers": [{"name": "picker"}]}}}},
            "spec.router.scheduler.config",
        ),
        ({"prefill": {}, "router": {"route": {}}, "baseRefs": BASES}, "spec.prefill"),
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


CACHED = {"metadata": {"labels": {local_model.CACHE: "cache"}}}


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"model": {**HF, "confidential": {"enabled": True}}}, "spec.model.confidential"),
        ({"template": {"initContainers": FETCHES}}, "spec.template.initContainers: storage-initializer"),
        ({"template": main(env=TOKEN)}, None),
    ],
)
def test_a_model_in_a_cache_is_not_downloaded(spec: dict[str, Any], path: str | None) -> None:
    found = without_effect.warnings({**CACHED, **service(**spec)})
    assert [text.partition(" has no effect")[0] for text in found] == ([] if path is None else [path])


@pytest.mark.parametrize(
    ("annotations", "key"),
    [
        ({names.STOP: "yes"}, names.STOP),
        ({names.STOP: "TRUE"}, None),
        ({names.ENABLE_AUTH: "no"}, names.ENABLE_AUTH),
        ({names.ENABLE_AUTH: "False"}, None),
        ({names.POD_FORM: "Current"}, names.POD_FORM),
        ({names.POD_FORM: ""}, names.POD_FORM),
        ({names.POD_FORM: "keep"}, None),
        ({names.MIGRATION: "pause"}, names.MIGRATION),
        ({names.MIGRATION: "paused"}, None),
        ({names.MIGRATION_STRATEGY: "Swap"}, names.MIGRATION_STRATEGY),
        ({names.OLD_POOLS: "true"}, names.OLD_POOLS),
        ({names.OLD_POOLS: "finished"}, None),
        ({MODEL_ROUTING: "true"}, MODEL_ROUTING),
        ({local_model.NODE_GROUP: "gpu"}, None),
        ({local_model.NODE_GROUP: "gpu", local_model.DISABLED: ""}, local_model.NODE_GROUP),
        ("none", None),
    ],
)
def test_annotations_are_told_of_when_they_change(annotations: Any, key: str | None) -> None:
    old = {"kind": "LLMInferenceService", **service()}
    new = {**old, "metadata": {"annotations": annotations}}
    found = admission_warnings.of_spec(new, old)
    assert [text.partition(" has no effect")[0] for text in found] == (
        [] if key is None else [f"metadata.annotations[{key}]"]
    )
    assert all(len(text) <= 120 for text in found)
    assert admission_warnings.of_spec(new, new) == []
    told = (names.MIGRATION, names.MIGRATION_STRATEGY)  # by the migration itself
    assert without_effect.of_combined(new) == ([] if key in told else found)


@pytest.mark.parametrize(
    ("key", "values"),
    [
        (names.POD_FORM, {form.value for form in PodForm}),
        (names.MIGRATION_STRATEGY, {strategy.value for strategy in Strategy}),
        (names.OLD_POOLS, {FINISHED, LEAVING}),
    ],
)
def test_every_value_that_is_read_has_an_effect(key: str, values: set[str]) -> None:
    for value in values:
        annotated = {"kind": "LLMInferenceService", "metadata": {"annotations": {key: value}}, **service()}
        assert admission_warnings.of_spec(annotated, None) == []


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"parallelism": {"data": 3, "dataLocal": 2}, "worker": {}}, "does not divide data 3"),
        (
            {"prefill": {"parallelism": {"data": 1, "dataLocal": 2}, "worker": {}}},
            "spec.prefill.parallelism: ",
        ),
        ({"parallelism": {"data": 4, "dataLocal": 2}, "worker": {}}, ""),
        (
            {"model": {**HF, "lora": {"adapters": [{}], "maxAdapters": 2, "maxCpuAdapters": 1}}},
            "maxCpuAdapters 1 below maxAdapters 2",
        ),
        ({"model": {**HF, "lora": {"adapters": [{}], "maxAdapters": 2, "maxCpuAdapters": 2}}}, ""),
    ],
)
def test_what_never_starts_is_told_before_it_has_accelerators(spec: dict[str, Any], text: str) -> None:
    found = admission_warnings.of_spec({"kind": "LLMInferenceService", **service(**spec)}, None)
    assert len(found) == bool(text)
    assert all(text in each and len(each) <= 120 for each in found)


def test_a_switch_that_any_value_turns_is_told_of_its_false() -> None:
    annotated = {**service(), "metadata": {"annotations": {local_model.DISABLED: "False"}}}
    (text,) = admission_warnings.of_spec({"kind": "LLMInferenceService", **annotated}, None)
    assert "with any value" in text
    assert len(text) <= 120
