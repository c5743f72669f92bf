"""What both servers know of our kinds' schema: defaults, what is required, bounds, rules, and which parts are written apart.

Rules: SCHEMA-1, SCHEMA-6.
"""

from typing import Any

import pytest

from tests.contract.samples import service, services
from tests.contract.servers import Server

Fields = dict[str, Any]
HPA: Fields = {"maxReplicas": 3, "wva": {"hpa": {}}}
CPU: Fields = {"cpu": "1Gi"}
POOL: Fields = {"selector": {"matchLabels": {"a": "b"}}, "targetPorts": [{"number": 8000}]}
PICKER: Fields = {"name": "epp", "port": {"number": 9002}}


def configs(namespace: str, name: str = "") -> str:
    path = f"/apis/serving.kserve.io/v1alpha2/namespaces/{namespace}/llminferenceserviceconfigs"
    return f"{path}/{name}" if name else path


def scheduler(**fields: Any) -> Fields:
    return {"router": {"scheduler": fields}}


def dig(tree: Any, *path: str) -> Any:
    for name in path:
        tree = tree[name]
    return tree


WVA = ("scaling", "wva")
AT_SCHEDULER = ("router", "scheduler")
DEFAULTS: dict[str, tuple[Fields, tuple[str, ...], Any]] = {
    "least replicas": ({"scaling": HPA}, ("scaling", "minReplicas"), 1),
    "cost": ({"scaling": HPA}, (*WVA, "variantCost"), "10.0"),
    "least replicas of prefill": ({"prefill": {"scaling": HPA}}, ("prefill", "scaling", "minReplicas"), 1),
    "eviction": ({"kvCacheOffloading": CPU}, ("kvCacheOffloading", "evictionPolicy"), "lru"),
    "protocol of the pool": (
        scheduler(pool={"spec": {**POOL, "endpointPickerRef": PICKER}}),
        (*AT_SCHEDULER, "pool", "spec", "appProtocol"),
        "http",
    ),
    "name of a ConfigMap": (
        scheduler(config={"ref": {"key": "epp"}}), (*AT_SCHEDULER, "config", "ref", "name"), "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", DEFAULTS)
def test_defaults_are_filled(server: Server, namespace: str, what: str) -> None:
    given, path, default = DEFAULTS[what]
    # A config: admission refuses some of these in a service, such as a ConfigMap without a name.
    body = {**service("preset", **given), "kind": "LLMInferenceServiceConfig"}
    made = server("POST", configs(namespace), body)
    assert made.status == 201, made.body
    assert dig(made.body["spec"], *path) == default


BAD: dict[str, tuple[Fields, str]] = {
    "most replicas are required": ({"scaling": {"wva": {"hpa": {}}}}, "spec.scaling.maxReplicas"),
    "least replicas 0": ({"scaling": {**HPA, "minReplicas": 0}}, "spec.scaling.minReplicas"),
    "replicas and scaling": ({"replicas": 1, "scaling": HPA}, "spec"),
    "more at least than at most": ({"scaling": {**HPA, "minReplicas": 4}}, "spec.scaling"),
    "nobody scales": ({"scaling": {"maxReplicas": 1}}, "spec.scaling"),
    "nobody acts": ({"scaling": {"maxReplicas": 1, "wva": {}}}, "spec.scaling.wva"),
    "cost is no number": (
        {"scaling": {**HPA, "wva": {"hpa": {}, "variantCost": "x"}}}, "spec.scaling.wva.variantCost",
    ),
    "no trigger": ({"scaling": {"maxReplicas": 1, "keda": {"triggers": []}}}, "spec.scaling.keda.triggers"),
    "idle above least": (
        {"scaling": {"maxReplicas": 2, "wva": {"keda": {"idleReplicaCount": 1}}}}, "spec.scaling",
    ),
    "cache without memory": ({"kvCacheOffloading": {}}, "spec.kvCacheOffloading.cpu"),
    "eviction": (
        {"kvCacheOffloading": {**CPU, "evictionPolicy": "fifo"}}, "spec.kvCacheOffloading.evictionPolicy",
    ),
    "confidential says nothing": (
        {"model": {"uri": "hf://a/b", "confidential": {}}}, "spec.model.confidential.enabled",
    ),
    "rank 0": ({"model": {"uri": "hf://a/b", "lora": {"maxRank": 0}}}, "spec.model.lora.maxRank"),
    "weight": ({"router": {"route": {"group": "g", "weight": 1_000_001}}}, "spec.router.route.weight"),
    "group": ({"router": {"route": {"group": "G", "weight": 1}}}, "spec.router.route.group"),
    "listener": (
        {"router": {"gateway": {"refs": [{"name": "g", "sectionName": "_"}]}}},
        "spec.router.gateway.refs[0].sectionName",
    ),
    "key": (scheduler(config={"ref": {"name": "x"}}), "spec.router.scheduler.config.ref.key"),
    "text in place of a configuration": (
        scheduler(config={"inline": "plugins: []"}), "spec.router.scheduler.config.inline",
    ),
    "tokenizer without containers": (
        scheduler(tokenizer={"template": {}}), "spec.router.scheduler.tokenizer.template.containers",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_what_the_schema_forbids_is_refused_at_its_place(server: Server, namespace: str, what: str) -> None:
    given, place = BAD[what]
    refused = server("POST", services(namespace), service(**given))
    assert refused.status == 422, refused.body
    assert place in [cause["field"] for cause in refused.body["details"]["causes"]]


def test_a_picker_of_the_old_version_needs_no_more_than_a_name(server: Server, namespace: str) -> None:
    pool = {"selector": {"a": "b"}, "targetPortNumber": 8000, "extensionRef": {"name": "epp"}}
    body = service(old=True, **scheduler(pool={"spec": pool}))
    made = server("POST", services(namespace, old=True), body)
    assert made.status == 201, made.body
    picker = dig(made.body["spec"], *AT_SCHEDULER, "pool", "spec", "extensionRef")
    assert (picker["group"], picker["kind"], picker["failureMode"]) == ("", "Service", "FailClose")


def test_a_pool_of_the_old_version_may_lack_a_picker_and_a_config_any_part(
    server: Server, namespace: str
) -> None:
    body = service(old=True, **scheduler(pool={"spec": {"selector": {"a": "b"}, "targetPortNumber": 8000}}))
    made = server("POST", services(namespace, old=True), {**body, "metadata": {"name": "no-picker"}})
    assert made.status == 201, made.body
    parts = scheduler(pool={"spec": {}}, tokenizer={"template": {}})
    config = {**service("preset"), "kind": "LLMInferenceServiceConfig", "spec": parts}
    made = server("POST", configs(namespace), config)
    assert made.status == 201, made.body


def test_the_status_of_a_config_is_written_apart(server: Server, namespace: str) -> None:
    status = {"observedGeneration": 1}
    config = {**service("preset"), "kind": "LLMInferenceServiceConfig", "spec": {"replicas": 1}}
    made = server("POST", configs(namespace), {**config, "status": status})
    assert made.status == 201, made.body
    assert made.body.get("status") is None
    wanted = {**made.body, "spec": {"replicas": 2}, "status": status}
    written = server("PUT", configs(namespace, "preset/status"), wanted)
    assert (written.body["status"], written.body["spec"]["replicas"]) == (status, 1)


def test_a_null_where_none_is_allowed_counts_as_absent(server: Server, namespace: str) -> None:
    body = service("nulls", router={"route": {"group": None, "http": {}}, "scheduler": None}, replicas=None)
    made = server("POST", services(namespace), body)
    assert made.status == 201, made.body
    assert made.body["spec"]["router"] == {"route": {"http": {}}}
    assert "replicas" not in made.body["spec"]
