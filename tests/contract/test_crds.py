"""Our CRDs on a real API server: made of what it serves itself, accepted by it, and as strict as they should be.

Conversion is switched off here, so that a write in v1alpha1 is judged by its schema alone and needs no webhook.

Rules: SCHEMA-4, SCHEMA-5, SCHEMA-6, ADM-7.
"""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from aioctl.api import v1alpha1
from aioctl.api.kinds import CONFIG, CONFIG_V1ALPHA1, CRD, SERVICE, SERVICE_V1ALPHA1, Kind
from aioctl.crdgen.command import crds as crds_command
from testbed import shared_data
from testbed.real import schemas
from testbed.real.api import Answer, Api
from testbed.real.build import Assets
from testbed.real.cluster import RealCluster
from testbed.real.kubectl import Kubectl
from testbed.shipped_files import CRDS, crd
from tests.contract.bad_objects import BAD, DROP, Bad, changed, valid

pytestmark = pytest.mark.real
NAMES = ("llminferenceservices", "llminferenceserviceconfigs")
KINDS = {(kind.kind, kind.version): kind for kind in (SERVICE, SERVICE_V1ALPHA1, CONFIG, CONFIG_V1ALPHA1)}


@pytest.fixture(scope="module")
def api(own_real_cluster: RealCluster, own_kubectl: Kubectl) -> Api:
    """The cluster with our CRDs, conversion off."""
    documents = []
    for name in NAMES:
        ours = crd(name)
        documents.append(json.dumps({**ours, "spec": {**ours["spec"], "conversion": {"strategy": "None"}}}))
    assert own_kubectl.install_crds(documents="\n---\n".join(documents)).warnings == ""
    return Api(own_real_cluster)


def kind_of(obj: dict[str, Any]) -> Kind:
    return KINDS[obj["kind"], obj["apiVersion"].rpartition("/")[2]]


def path_of(obj: dict[str, Any]) -> str:
    return kind_of(obj).path("default")


def shipped() -> dict[str, Any]:
    """KServe's samples and presets by file name; skips where they are not here."""
    found = {**shared_data.documents("samples/*/*.yaml"), **shared_data.documents("samples/*/*/*.yaml")}
    found |= shared_data.documents("presets/*.yaml")
    objects = {}
    for name, documents in found.items():
        for document in documents:
            if document and document["kind"] in (SERVICE.kind, CONFIG.kind):
                document["metadata"]["namespace"] = "default"
                objects[name] = document
    return objects


def test_the_committed_crds_are_what_the_command_makes(
    own_real_cluster: RealCluster, real_assets: Assets, tmp_path: Path
) -> None:
    crds_command.main(schemas.arguments(real_assets, own_real_cluster, tmp_path), standalone_mode=False)
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    committed = {path.name: path.read_text() for path in CRDS.glob("serving.kserve.io_*.yaml")}
    assert made.keys() == committed.keys()
    for name, text in made.items():
        assert text == committed[name], f"{name}: run `python -m testbed.real.schemas deploy/crds`"


@pytest.mark.parametrize("name", NAMES)
def test_the_server_finds_no_fault_with_the_schemas(api: Api, name: str) -> None:
    crd = api("GET", CRD.path("", f"{name}.serving.kserve.io")).body
    states = {condition["type"]: condition["status"] for condition in crd["status"]["conditions"]}
    assert states == {"NamesAccepted": "True", "Established": "True"}
    assert crd["status"]["storedVersions"] == ["v1alpha2"]


def test_all_samples_and_presets_are_accepted(api: Api) -> None:
    refused = {}
    for name, document in shipped().items():
        answer = api.try_create(path_of(document), document)
        if answer.status != 201:
            refused[name, document["apiVersion"]] = answer.message
            continue
        # The server fills in defaults before it converts; the old version's pool requires what the new one defaults.
        stored = {**answer.body, "metadata": document["metadata"]}
        old = v1alpha1.down(stored)
        # Leniently: what the old version does not know, such as `appProtocol`, is for conversion to carry.
        answer = create_leniently(api, old)
        if answer.status != 201:
            refused[name, old["apiVersion"]] = answer.message
    assert refused == {}


@pytest.mark.parametrize("kind", ["service", "config"])
@pytest.mark.parametrize("version", ["v1alpha1", "v1alpha2"])
def test_the_object_that_bad_ones_start_from_is_accepted(api: Api, version: str, kind: str) -> None:
    obj = valid(version, kind)
    answer = api.try_create(path_of(obj), obj)
    assert (answer.status, answer.warnings) == (201, ())


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: f"{bad.what}-{bad.version}-{bad.kind}")
def test_a_bad_object_is_refused_with_its_field(api: Api, bad: Bad) -> None:
    obj = bad.object()
    answer = api.try_create(path_of(obj), obj)
    assert answer.status == 422, answer.body
    assert bad.field in answer.fields, answer.message
    assert bad.text in answer.message


TEMPLATES: dict[str, dict[str, Any]] = {
    "path with an expression": {
        "spec.router.route.http.spec.rules[0].matches[0].path.value": "{{ .Name }}/v1",
    },
    "rewrite with an expression": {
        "spec.router.route.http.spec.rules[0].filters": [
            {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch"}}}
        ],
    },
    "parent namespace with an expression": {
        "spec.router.route.http.spec.parentRefs[0]": {"name": "a", "namespace": "{{ .Namespace }}"},
    },
    "part of a pool": {"spec.router.scheduler.pool.spec": {}},
}


@pytest.mark.parametrize("version", ["v1alpha1", "v1alpha2"])
@pytest.mark.parametrize("what", TEMPLATES)
def test_a_preset_may_hold_templates_and_parts(api: Api, what: str, version: str) -> None:
    obj = changed(valid(version, "config"), TEMPLATES[what])
    assert api.try_create(path_of(obj), obj).status == 201
    obj = changed(valid(version, "service"), TEMPLATES[what])
    assert api.try_create(path_of(obj), obj).status == 422


@pytest.mark.parametrize("version", ["v1alpha1", "v1alpha2"])
def test_defaults_are_filled_in(api: Api, version: str) -> None:
    changes = {"spec.baseRefs": [{}], "spec.template.containers[0].ports": [{"containerPort": 8000}]}
    obj = changed(valid(version, "service"), changes)
    spec = api.try_create(path_of(obj), obj).body["spec"]
    assert spec["baseRefs"] == [{"name": ""}]
    assert spec["template"]["containers"][0]["ports"] == [{"containerPort": 8000, "protocol": "TCP"}]


def test_an_endpoint_picker_is_a_service_that_fails_closed_by_default(api: Api) -> None:
    obj = valid("v1alpha2", "service")
    picker = api.try_create(path_of(obj), obj).body["spec"]["router"]["scheduler"]["pool"]["spec"][
        "endpointPickerRef"
    ]
    assert (picker["group"], picker["kind"], picker["failureMode"]) == ("", "Service", "FailClose")


def test_the_old_versions_picker_needs_no_more_than_a_name(api: Api) -> None:
    obj = valid("v1alpha1", "service")
    obj["spec"]["router"]["scheduler"]["pool"]["spec"]["extensionRef"] = {"name": "epp"}
    assert api.try_create(path_of(obj), obj).status == 201


SCALED = {"spec.replicas": DROP, "spec.scaling": {"maxReplicas": 3, "wva": {"hpa": {}}}}
OFFLOADED = {"spec.kvCacheOffloading": {"cpu": "1Gi"}}


@pytest.mark.parametrize("version", ["v1alpha1", "v1alpha2"])
@pytest.mark.parametrize("kind", ["service", "config"])
def test_scaling_gets_its_defaults(api: Api, version: str, kind: str) -> None:
    obj = changed(valid(version, kind), SCALED)
    made = api.try_create(path_of(obj), obj)
    assert made.status == 201, made.body
    scaling = made.body["spec"]["scaling"]
    assert scaling == {"minReplicas": 1, "maxReplicas": 3, "wva": {"variantCost": "10.0", "hpa": {}}}


@pytest.mark.parametrize("kind", ["service", "config"])
def test_an_offloaded_cache_and_a_pool_get_their_defaults(api: Api, kind: str) -> None:
    obj = changed(valid("v1alpha2", kind), OFFLOADED)
    made = api.try_create(path_of(obj), obj)
    assert made.status == 201, made.body
    assert made.body["spec"]["kvCacheOffloading"] == {"cpu": "1Gi", "evictionPolicy": "lru"}
    if kind == "service":
        assert made.body["spec"]["router"]["scheduler"]["pool"]["spec"]["appProtocol"] == "http"


@pytest.mark.parametrize("version", ["v1alpha1", "v1alpha2"])
def test_a_configuration_in_a_config_map_gets_the_default_name(api: Api, version: str) -> None:
    obj = changed(valid(version, "service"), {"spec.router.scheduler.config": {"ref": {"key": "epp"}}})
    made = api.try_create(path_of(obj), obj)
    assert made.status == 201, made.body
    assert made.body["spec"]["router"]["scheduler"]["config"] == {"ref": {"key": "epp", "name": ""}}


@pytest.mark.parametrize("version", ["v1alpha1", "v1alpha2"])
def test_a_route_with_host_names_only_gets_the_default_rule(api: Api, version: str) -> None:
    obj = changed(
        valid(version, "service"), {"spec.router.route.http.spec": {"hostnames": ["a.example.com"]}}
    )
    route = api.try_create(path_of(obj), obj).body["spec"]["router"]["route"]["http"]["spec"]
    assert route["rules"] == [{"matches": [{"path": {"type": "PathPrefix", "value": "/"}}]}]


@pytest.mark.parametrize(
    "change",
    [
        {"spec.template.volumes[0]": {"name": "a", "ephemeral": {"volumeClaimTemplate": {
            "metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}}, "spec": {}}}}},
        {"spec.template.containers[0].resources.limits": {"cpu": 2, "memory": "1.5Gi", "nvidia.com/gpu": "1"}},
        {"spec.template.containers[0].livenessProbe.httpGet": {"port": "http", "path": "/"}},
        {"spec.model.lora.adapters": [{"uri": "hf://a/b", "lora": {"adapters": [{"anything": [1]}]}}]},
        {"spec.router.route.http.spec.rules[0].retry": {"codes": [500], "attempts": 2}},
    ],
    ids=["claim template", "quantities", "port name", "adapters", "experimental route field"],
)  # fmt: skip
@pytest.mark.parametrize("version", ["v1alpha1", "v1alpha2"])
def test_what_is_written_is_kept(api: Api, version: str, change: dict[str, Any]) -> None:
    # The pools of the two versions differ, and nothing converts them here.
    obj = changed(valid(version, "service"), {"spec.router.scheduler": DROP, **change})
    wanted = copy.deepcopy(obj["spec"])
    answer = api.try_create(path_of(obj), obj)
    assert answer.status == 201, answer.body
    assert contains(answer.body["spec"], wanted)


def contains(found: Any, wanted: Any) -> bool:
    """Everything wanted is there; defaults may have been added."""
    if isinstance(wanted, dict):
        return all(key in found and contains(found[key], value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(contains, found, wanted))
    return bool(found == wanted)


def test_an_unknown_field_is_an_error_for_strict_clients(api: Api) -> None:
    obj = changed(valid("v1alpha2", "service"), {"spec.modle": {}})
    answer = api.try_create(path_of(obj), obj)
    assert answer.status == 400
    assert 'unknown field "spec.modle"' in answer.message


@pytest.mark.parametrize("version", ["v1alpha1", "v1alpha2"])
def test_the_columns_show_which_pool_carries_the_traffic(
    api: Api, own_kubectl: Kubectl, version: str
) -> None:
    name = f"columns-{version}"
    obj = {**valid(version, "service"), "metadata": {"name": name, "namespace": "default"}}
    created = api("POST", path_of(obj), obj).body
    created["status"] = {
        "url": "http://a.example.com/",
        "annotations": {"serving.kserve.io/inference-pool-migrated": "v1"},
        "conditions": [{"type": "Ready", "status": "True", "reason": "AllGood"}],
    }
    stored = api("PUT", kind_of(obj).path("default", name, "status"), created)
    assert stored.status == 200, stored.body
    table = own_kubectl("get", f"llminferenceservices.{version}.serving.kserve.io", name, "--output=wide")
    head, row = (line.split() for line in table.splitlines())
    assert head == ["NAME", "URL", "READY", "REASON", "AGE", "URLS", "POOL"]
    assert (row[:4], row[-1]) == ([name, "http://a.example.com/", "True", "AllGood"], "v1")
    own_kubectl("delete", "llmisvc", name, "--namespace=default")


# Between the fields of `scaling`; the messages are KServe's.
EXCLUSIVE = "replicas and scaling are mutually exclusive; use scaling for autoscaled deployments or replicas for static deployments"
IDLE = "idleReplicaCount must be less than minReplicas; idleReplicaCount defines the replica floor when no triggers are active"
NAMED_HPA = "horizontalPodAutoscalerConfig.name must not be set; the controller manages the HPA name"
MODIFIERS = "scalingModifiers must not be set; WVA controls the scaling metric formula and logic"
TRIGGERS = [{"type": "cpu", "metadata": {"value": "60"}}]
HPA_NAME = {"horizontalPodAutoscalerConfig": {"name": "mine"}}
SCALING_REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "neither": ({}, "", "either wva or keda must be specified when scaling is configured"),
    "both": (
        {"wva": {"hpa": {}}, "keda": {"triggers": TRIGGERS}},
        "",
        "wva and keda are mutually exclusive",
    ),
    "fewest over most": (
        {"minReplicas": 5, "wva": {"hpa": {}}},
        "",
        "minReplicas cannot exceed maxReplicas",
    ),
    "idle, wva": ({"minReplicas": 2, "wva": {"keda": {"idleReplicaCount": 2}}}, "", IDLE),
    "idle, keda": ({"minReplicas": 2, "keda": {"triggers": TRIGGERS, "idleReplicaCount": 2}}, "", IDLE),
    "idle, default": ({"keda": {"triggers": TRIGGERS, "idleReplicaCount": 1}}, "", IDLE),
    "two actuators": (
        {"wva": {"hpa": {}, "keda": {}}},
        ".wva",
        "hpa and keda are mutually exclusive; choose one actuator backend",
    ),
    "no actuator": ({"wva": {}}, ".wva", "either hpa or keda must be specified as the actuator backend"),
    "HPA name, wva": ({"wva": {"keda": {"advanced": HPA_NAME}}}, ".wva.keda", NAMED_HPA),
    "HPA name, keda": ({"keda": {"triggers": TRIGGERS, "advanced": HPA_NAME}}, ".keda", NAMED_HPA),
    **{
        f"modifier {field}": (
            {"wva": {"keda": {"advanced": {"scalingModifiers": {field: "Value"}}}}},
            ".wva",
            MODIFIERS,
        )
        for field in ("formula", "target", "activationTarget", "metricType")
    },
}
SCALING_ACCEPTED: dict[str, dict[str, Any]] = {
    "hpa": {"wva": {"hpa": {}}},
    "keda": {"minReplicas": 2, "keda": {"triggers": TRIGGERS, "idleReplicaCount": 1}},
    "wva over keda": {"minReplicas": 2, "wva": {"keda": {"idleReplicaCount": 1}}},
    "advanced without modifiers": {"wva": {"keda": {"advanced": {"restoreToOriginalReplicaCount": True}}}},
    "modifiers without fields": {"wva": {"keda": {"advanced": {"scalingModifiers": {}}}}},
    "modifiers of KEDA": {"keda": {"triggers": TRIGGERS, "advanced": {"scalingModifiers": {"formula": "a"}}}},
    "HPA without name": {
        "keda": {"triggers": TRIGGERS, "advanced": {"horizontalPodAutoscalerConfig": {"behavior": {}}}}
    },
    "HPA without name, wva": {"wva": {"keda": {"advanced": {"horizontalPodAutoscalerConfig": {}}}}},
}
WORKLOADS = ("spec", "spec.prefill")


def scaled(version: str, kind: str, at: str, scaling: dict[str, Any]) -> dict[str, Any]:
    """A valid object that scales one of its workloads up to 4."""
    changes: dict[str, Any] = {"spec.replicas": DROP} if at == "spec" else {}
    return changed(
        valid(version, kind), {**changes, f"{at}.scaling": {"maxReplicas": 4, **copy.deepcopy(scaling)}}
    )


def try_create(api: Api, obj: dict[str, Any]) -> Answer:
    return api.try_create(path_of(obj), obj)


def create_leniently(api: Api, obj: dict[str, Any]) -> Answer:
    """A creation that is validated and not stored; unknown fields are dropped, as KServe's cases were recorded."""
    return api("POST", path_of(obj), obj, dryRun="All", fieldValidation="Ignore")


@pytest.mark.parametrize("version", ["v1alpha1", "v1alpha2"])
@pytest.mark.parametrize("kind", ["service", "config"])
@pytest.mark.parametrize("at", WORKLOADS)
def test_scaling_that_contradicts_itself_is_refused(api: Api, version: str, kind: str, at: str) -> None:
    said = {}
    for what, (scaling, below, message) in SCALING_REFUSED.items():
        answer = try_create(api, scaled(version, kind, at, scaling))
        causes = answer.body.get("details", {}).get("causes", [])
        if (f"{at}.scaling{below}", message) not in [
            (cause["field"], cause["message"].rpartition(": ")[2]) for cause in causes
        ]:
            said[what] = answer.body
    assert said == {}


@pytest.mark.parametrize("version", ["v1alpha1", "v1alpha2"])
@pytest.mark.parametrize("kind", ["service", "config"])
@pytest.mark.parametrize("at", WORKLOADS)
def test_scaling_that_fits_is_accepted_with_its_defaults(api: Api, version: str, kind: str, at: str) -> None:
    for what, wanted in SCALING_ACCEPTED.items():
        answer = try_create(api, scaled(version, kind, at, wanted))
        assert answer.status == 201, (what, answer.body)
        workload = answer.body["spec"] if at == "spec" else answer.body["spec"]["prefill"]
        assert workload["scaling"]["minReplicas"] == wanted.get("minReplicas", 1)
        if "wva" in wanted:
            assert workload["scaling"]["wva"]["variantCost"] == "10.0"


@pytest.mark.parametrize("version", ["v1alpha1", "v1alpha2"])
@pytest.mark.parametrize("at", WORKLOADS)
def test_replicas_exclude_scaling(api: Api, version: str, at: str) -> None:
    obj = changed(scaled(version, "service", at, {"wva": {"hpa": {}}}), {f"{at}.replicas": 2})
    answer = try_create(api, obj)
    assert (answer.status, EXCLUSIVE in str(answer.body)) == (422, True), answer.body


@pytest.mark.parametrize("at", WORKLOADS)
def test_what_gives_way_first_is_least_recently_used_by_default(api: Api, at: str) -> None:
    obj = changed(valid("v1alpha2", "service"), {f"{at}.kvCacheOffloading": {"cpu": "1Gi"}})
    spec = try_create(api, obj).body["spec"]
    workload = spec if at == "spec" else spec["prefill"]
    assert workload["kvCacheOffloading"] == {"cpu": "1Gi", "evictionPolicy": "lru"}


def recorded() -> dict[tuple[str, str], tuple[dict[str, Any], str]]:
    """Services of the recorded cases, each with what KServe's schema said against it, or nothing."""
    found = {}
    for case, documents in shared_data.documents("upstream/golden/*.yaml").items():
        for document in documents:
            refused = document.get("refused") or {}
            for obj in document["given"]["services"]:
                if obj["kind"] != SERVICE.kind:
                    continue
                text = refused.get(f"{obj['kind']}/{obj['metadata']['name']}", "")
                found[case, obj["metadata"]["name"]] = obj, "" if "admission webhook" in text else text
    return found


NO_SUCH_KEY = "no such key: "
"""KServe's rules refuse with this what they do not ask about; ours accept it (tests/deploy/crd_differences.py)."""


def test_recorded_services_are_refused_where_kserve_refused_them(api: Api) -> None:
    differing = {}
    for case, (service, text) in recorded().items():
        obj = copy.deepcopy(service)
        obj["metadata"]["namespace"] = "default"
        answer = create_leniently(api, obj)
        refuses = text != "" and NO_SUCH_KEY not in text
        if (answer.status != 201) != refuses:
            differing[case] = text, answer.message
    assert differing == {}


_PICKER = "spec.router.scheduler.pool.spec.endpointPickerRef.name"
REFUSED_BY_KSERVE_TOO = {
    "llm-inference-service-latency-predictor": "spec.router.scheduler.config.inline",
    "llmisvc_config_default": _PICKER,
    "llmisvc_config_prefix_cache": _PICKER,
}
"""Samples that KServe's own CRDs, which agree with ours in these fields, refuse: text for an object, a picker without name."""


def test_samples_and_presets_of_today_are_refused_where_kserve_refuses_them(api: Api) -> None:
    refused = {}
    found = {
        **shared_data.documents("upstream/samples/**/*.yaml"),
        **shared_data.documents("upstream/presets/*.yaml"),
    }
    for name, documents in found.items():
        for document in documents:
            if document and document["kind"] in (SERVICE.kind, CONFIG.kind):
                document["metadata"]["namespace"] = "default"
                answer = create_leniently(api, document)
                if answer.status != 201:
                    refused[name] = answer.fields[0]
    assert refused == REFUSED_BY_KSERVE_TOO


@pytest.mark.parametrize("version", ["v1alpha1", "v1alpha2"])
def test_a_preset_has_a_status_and_shows_whether_it_is_ready(
    api: Api, own_kubectl: Kubectl, version: str
) -> None:
    name = f"preset-status-{version}"
    obj = {**valid(version, "config"), "metadata": {"name": name, "namespace": "default"}}
    created = api("POST", path_of(obj), obj).body
    created["status"] = {"conditions": [{"type": "Ready", "status": "False", "reason": "Broken"}]}
    stored = api("PUT", kind_of(obj).path("default", name, "status"), created)
    assert stored.status == 200, stored.body
    table = own_kubectl("get", f"llminferenceserviceconfigs.{version}.serving.kserve.io", name)
    head, row = (line.split() for line in table.splitlines())
    assert (head, row[:3]) == (["NAME", "READY", "REASON", "AGE"], [name, "False", "Broken"])
