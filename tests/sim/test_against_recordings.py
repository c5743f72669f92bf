"""The tables of facts against objects recorded on a real API server, and against the real CRDs: ours, and those of shared data."""

import copy
import functools
from collections.abc import Iterator
from typing import Any

import pytest

from aioctl.sim.crds import resource_of
from aioctl.sim.facts import custom_kinds
from aioctl.sim.resources import GroupVersion, Resource
from aioctl.sim.schema import Schema
from aioctl.sim.webhooks import LocalWebhooks
from testbed.shared_data import documents
from testbed.shipped_files import OURS, crd
from testbed.virtual_time import virtual_time
from tests.sim.driver import Driver, Object, cluster, relabel

ALLOCATED = {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"}
"""Left out of the recordings, because it differs in every run."""


@functools.cache
def recorded() -> tuple[tuple[str, str, str, Object], ...]:
    """(case, path prefix, plural, object) of everything that stood on the real server."""
    found = []
    for case, [document] in documents("golden/*.yaml").items():
        for key, obj in document["objects"].items():
            *at, plural, _ = key.split("/")
            found.append((case, "/".join(at), plural, obj))
    return tuple(found)


def _path(at: str, plural: str, obj: Object) -> str:
    prefix = f"/apis/{at}" if "/" in at else f"/api/{at}"
    namespace = obj["metadata"].get("namespace")
    return f"{prefix}/namespaces/demo/{plural}" if namespace else f"{prefix}/{plural}"


async def _kind_of(api: Driver, at: str, plural: str) -> str:
    prefix = f"/apis/{at}" if "/" in at else f"/api/{at}"
    resources = (await api.get(prefix)).body["resources"]
    return next(str(entry["kind"]) for entry in resources if entry["name"] == plural)


def _comparable(obj: Object) -> Object:
    kept = {
        key: value for key, value in obj.items() if key not in {"metadata", "status", "apiVersion", "kind"}
    }
    if "router" in kept.get("spec", {}) and "scheduler" in kept["spec"]["router"]:
        kept = copy.deepcopy(kept)
        # Recorded under a schema that did not have the field yet, which has a default.
        kept["spec"]["router"]["scheduler"].get("pool", {}).get("spec", {}).pop("appProtocol", None)
    if "spec" in kept and isinstance(kept["spec"], dict):
        kept["spec"] = {key: value for key, value in kept["spec"].items() if key not in ALLOCATED}
    return kept


def _without_defaults_of_go(obj: Object) -> Object:
    """Recorded objects are as the server gave them out: a new write of them must come back the same."""
    fresh = copy.deepcopy(obj)
    fresh.pop("status", None)
    fresh["metadata"] = {"name": obj["metadata"]["name"], "labels": obj["metadata"].get("labels") or {}}
    return fresh


def test_what_the_real_server_gave_out_comes_back_unchanged() -> None:
    @virtual_time
    async def run() -> None:
        different = []
        async with cluster(webhooks=LocalWebhooks({"/convert": relabel})) as api:
            for case, at, plural, obj in recorded():
                if plural == "secrets":
                    continue  # their contents are replaced by placeholders
                body = _without_defaults_of_go(obj)
                body |= {"apiVersion": at, "kind": await _kind_of(api, at, plural)}
                answer = await api("POST", _path(at, plural, obj), body, dryRun="All")
                if answer.status != 201:
                    different.append(f"{case} {plural}: {answer.message}")
                elif _comparable(answer.body) != _comparable(obj):
                    different.append(
                        f"{case} {plural}: {_difference(_comparable(obj), _comparable(answer.body))}"
                    )
        assert different == []

    recorded()
    run()


def _difference(want: Any, got: Any, path: str = "") -> str:
    if isinstance(want, dict) and isinstance(got, dict):
        for key in sorted(want.keys() | got.keys()):
            if want.get(key) != got.get(key):
                return _difference(want.get(key), got.get(key), f"{path}.{key}")
    if isinstance(want, list) and isinstance(got, list) and len(want) == len(got):
        for index, (mine, theirs) in enumerate(zip(want, got, strict=True)):
            if mine != theirs:
                return _difference(mine, theirs, f"{path}[{index}]")
    return f"{path}: want {want!r:.80}, got {got!r:.80}"


@functools.cache
def real_crds() -> dict[str, Object]:
    """The CRDs of the recordings, by name; of our own kinds those that we ship."""
    files = {
        **documents("crds/gie/gie-v1*.yaml"),
        **documents("crds/gateway-api-v1.4.0/*.yaml"),
        **documents("crds/other/*.yaml"),
        **documents("upstream/crds/other/keda.yaml"),
        **documents("upstream/crds/kserve/serving.kserve.io_localmodel*.yaml"),
        **{plural: [crd(plural)] for plural in OURS},
    }
    return {crd["metadata"]["name"]: crd for group in files.values() for crd in group if crd}


@functools.cache
def real_resource(name: str) -> Resource:
    """What a server serves by that CRD, its schemas compiled."""
    return resource_of(real_crds()[name])


def _pairs() -> Iterator[tuple[str, Schema, Schema]]:
    for name, fact in custom_kinds().items():
        for version in real_resource(name).versions:
            mine = fact.version(version.at)
            if mine is not None and mine.schema is not None and version.schema is not None:
                yield f"{name} {version.at.version}", mine.schema, version.schema


def test_the_tables_know_every_served_version_of_the_real_crds() -> None:
    for name, fact in custom_kinds().items():
        real = real_resource(name)
        assert {version.at for version in fact.versions} == {version.at for version in real.versions}
        assert (fact.stored, fact.namespaced, fact.status) == (real.stored, real.namespaced, real.status)
        assert (fact.kind, fact.plural, fact.short_names) == (real.kind, real.plural, real.short_names)


def test_the_tables_default_recorded_objects_as_the_real_crds_do() -> None:
    schemas = {title: (mine, real) for title, mine, real in _pairs()}
    different = []
    for case, at, plural, obj in recorded():
        group_version = GroupVersion.parse(at)
        found = schemas.get(f"{plural}.{group_version.group} {group_version.version}")
        if found is None:
            continue
        results = []
        for schema in found:
            body = _stripped(obj)
            schema.apply_defaults(body)
            results.append(body)
            written = {key: value for key, value in obj.items() if key != "status"}
            assert list(schema.validate(written)) == [], (case, plural)
        if results[0] != results[1]:
            different.append(f"{case} {plural}: {_difference(results[1], results[0])}")
    assert different == []


OPTIONAL = {
    "weight",
    "group",
    "kind",
    "type",
    "failureMode",
    "matches",
    "restartPolicy",
    "startupPolicy",
    "protocol",
}


def _stripped(value: Any) -> Any:
    """The object without what a server may have filled in, so that both schemas have something to do."""
    if isinstance(value, dict):
        return {key: _stripped(item) for key, item in value.items() if key not in OPTIONAL | {"status"}}
    return [_stripped(item) for item in value] if isinstance(value, list) else value


SERVICES = "llminferenceservices.serving.kserve.io"
CONFIGS = "llminferenceserviceconfigs.serving.kserve.io"
POOLS = "inferencepools.inference.networking.k8s.io"
OLD_POOLS = "inferencepools.inference.networking.x-k8s.io"
MODELS = "inferencemodels.inference.networking.x-k8s.io"
ROUTES = "httproutes.gateway.networking.k8s.io"
SETS = "leaderworkersets.leaderworkerset.x-k8s.io"


def _pool(**spec: Any) -> Object:
    return {"spec": {"router": {"scheduler": {"pool": {"spec": spec}}}}}


def _route(**rule: Any) -> Object:
    return {"spec": {"rules": [rule]}}


SAMPLES: list[tuple[str, Object]] = [
    (SERVICES, {"spec": {"model": {}}}),
    (SERVICES, {"spec": {"replicas": -1}}),
    (SERVICES, {"spec": {"replicas": "two"}}),
    (SERVICES, {"spec": {"prefill": {"replicas": -2}}}),
    (SERVICES, {"spec": {"parallelism": {"tensor": 0, "dataRPCPort": 70000}}}),
    (SERVICES, {"spec": {"parallelism": {"dataRPCPort": 0, "expert": "yes"}}}),
    (SERVICES, {"spec": {"router": {"gateway": {"refs": [{"namespace": "Upper"}]}}}}),
    (SERVICES, {"spec": {"router": {"gateway": {"refs": [{"name": "", "namespace": "x" * 64}]}}}}),
    (SERVICES, _pool()),
    (SERVICES, _pool(selector={}, targetPorts=[], endpointPickerRef={})),
    (
        SERVICES,
        _pool(selector={"a": "b"}, targetPortNumber=0, extensionRef={"name": "x", "failureMode": "Odd"}),
    ),
    (SERVICES, _pool(selector={"matchLabels": {}}, targetPorts=[{}], endpointPickerRef={"name": ""})),
    (SERVICES, {"spec": {"router": {"route": {"http": {"spec": {"hostnames": ["a"]}}}}}}),
    (SERVICES, {"spec": {"router": {"route": {"http": {"refs": [{}]}}}}}),
    (SERVICES, {"spec": {"template": {"containers": [{"image": "x"}]}}}),
    (SERVICES, {"spec": {"template": {"containers": [{"name": "x", "ports": [{"containerPort": 1}]}]}}}),
    (SERVICES, {"spec": {"worker": {"imagePullSecrets": [{}], "volumes": [{"name": "c", "configMap": {}}]}}}),
    (SERVICES, {"spec": {"template": {"containers": [{"name": "x", "envFrom": [{"secretRef": {}}]}]}}}),
    (
        SERVICES,
        {"spec": {"template": {"containers": [{"name": "x", "livenessProbe": {"grpc": {"port": 1}}}]}}},
    ),
    (SERVICES, {"spec": {"model": {"uri": "hf://a", "criticality": "Odd"}}}),
    (SERVICES, {"spec": {"model": {"uri": 5}}}),
    (SERVICES, {"spec": {"baseRefs": [{}]}}),
    (SERVICES, {"status": {"conditions": [{}]}}),
    (SERVICES, {"spec": {"scaling": {}}}),
    (SERVICES, {"spec": {"scaling": {"maxReplicas": 0, "minReplicas": 0, "wva": {"variantCost": "ten"}}}}),
    (SERVICES, {"spec": {"scaling": {"maxReplicas": 2, "wva": {"keda": {"pollingInterval": 0}}}}}),
    (SERVICES, {"spec": {"prefill": {"scaling": {"keda": {"idleReplicaCount": -1, "fallback": {}}}}}}),
    (SERVICES, {"spec": {"scaling": {"maxReplicas": 2, "keda": {"triggers": []}}}}),
    (SERVICES, {"spec": {"scaling": {"maxReplicas": 2, "keda": {"triggers": [{}]}}}}),
    (
        SERVICES,
        {"spec": {"kvCacheOffloading": {"evictionPolicy": "fifo", "secondary": [{"fileSystem": {}}]}}},
    ),
    (SERVICES, {"spec": {"kvCacheOffloading": {"cpu": 1, "secondary": [{"fileSystem": {"emptyDir": {}}}]}}}),
    (SERVICES, {"spec": {"kvCacheOffloading": {"secondary": [{"fileSystem": {"pvc": {"ref": {}}}}]}}}),
    (SERVICES, {"spec": {"model": {"uri": "hf://a", "confidential": {}, "lora": {"maxRank": 0}}}}),
    (SERVICES, {"spec": {"model": {"uri": "hf://a", "lora": {"maxAdapters": 0, "maxCpuAdapters": "x"}}}}),
    (SERVICES, {"spec": {"storageInitializer": {"enabled": "no"}, "tracing": {"sampler": 1}}}),
    (SERVICES, {"spec": {"rolloutStrategy": {"maxSurge": True, "maxUnavailable": "5%"}}}),
    (SERVICES, {"spec": {"labels": {"a": 1}, "prefill": {"annotations": []}}}),
    (SERVICES, {"spec": {"router": {"route": {"group": "G", "weight": -1}}}}),
    (SERVICES, {"spec": {"router": {"route": {"group": "g" * 64, "weight": 1_000_001}}}}),
    (SERVICES, {"spec": {"router": {"gateway": {"refs": [{"name": "g", "sectionName": "_"}]}}}}),
    (SERVICES, {"spec": {"router": {"scheduler": {"config": {"inline": "a: b", "ref": {}}}}}}),
    (
        SERVICES,
        {"spec": {"router": {"scheduler": {"labels": [], "replicas": -5, "tokenizer": {"template": {}}}}}},
    ),
    (SERVICES, _pool(selector={"a": "b"}, targetPortNumber=70000, appProtocol="grpc")),
    (CONFIGS, {"spec": {"scaling": {"wva": {"variantCost": "{{ 1 }}"}}}}),
    (CONFIGS, {"spec": {"router": {"scheduler": {"tokenizer": {"template": {}}}}}}),
    (CONFIGS, {"spec": {"router": {"route": {"http": {"spec": {"hostnames": ["{{ .X }}"]}}}}}}),
    (CONFIGS, _pool(selector={"matchLabels": {"a": "{{ .X }}"}}, targetPorts=[], extensionRef={"name": ""})),
    (CONFIGS, _pool()),
    (CONFIGS, _pool(endpointPickerRef={}, extensionRef={})),
    (CONFIGS, {"spec": {"replicas": -1}}),
    (POOLS, {}),
    (POOLS, {"spec": {}}),
    (POOLS, {"spec": {"selector": {}, "targetPorts": [], "endpointPickerRef": {}}}),
    (POOLS, {"spec": {"targetPorts": [{"number": 1}, {"number": 70000}]}}),
    (POOLS, {"status": {"parents": [{"parentRef": {"name": "g"}, "conditions": [{"status": "Odd"}]}]}}),
    (OLD_POOLS, {}),
    (OLD_POOLS, {"spec": {}}),
    (OLD_POOLS, {"spec": {"selector": {"a": "b"}, "targetPortNumber": 0, "extensionRef": {"kind": ""}}}),
    (OLD_POOLS, {"status": {"parent": [{"parentRef": {"name": "g"}}]}}),
    (MODELS, {"spec": {}}),
    (MODELS, {"spec": {"modelName": "", "criticality": "Odd", "poolRef": {}}}),
    (ROUTES, {"spec": {}}),
    (ROUTES, _route()),
    (ROUTES, _route(backendRefs=[{}])),
    (ROUTES, _route(backendRefs=[{"name": "x", "weight": -1}])),
    (ROUTES, _route(matches=[{"path": {"value": "/x"}}, {"headers": [{"name": "a", "value": "b"}]}])),
    (ROUTES, _route(filters=[{"type": "RequestRedirect", "requestRedirect": {}}])),
    (ROUTES, _route(filters=[{"type": "URLRewrite", "urlRewrite": {"path": {}}}])),
    (ROUTES, {"spec": {"parentRefs": [{}, {"name": "g", "namespace": ""}]}}),
    (SETS, {"spec": {}}),
    (SETS, {"spec": {"leaderWorkerTemplate": {}, "rolloutStrategy": {}}}),
]


def _cases() -> Iterator[tuple[str, GroupVersion, Object]]:
    for name, sample in SAMPLES:
        for version in custom_kinds()[name].versions:
            yield name, version.at, sample


@pytest.mark.parametrize("case", list(_cases()), ids=lambda case: f"{case[0]}-{case[1].version}-{case[2]}")
def test_the_tables_judge_and_default_as_the_real_crd_does(case: tuple[str, GroupVersion, Object]) -> None:
    name, at, sample = case
    results = []
    for version in (real_resource(name).version(at), custom_kinds()[name].version(at)):
        assert version is not None
        assert version.schema is not None
        body = copy.deepcopy(sample)
        version.schema.apply_defaults(body)
        results.append((body, sorted(cause.text for cause in version.schema.validate(body))))
    assert results[1] == results[0]
