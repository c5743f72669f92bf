"""What the recordings found in the cluster: one function for each thing that differs between their worlds.

| World | Setting |
|---|---|
| plain | the shipped ConfigMap, and settings for the workload variant autoscaler |
| tls | TLS, https, forced model routing, model caches, own storage initializer, native OCI images, secure Prometheus |
| bare | without LeaderWorkerSet, ScaledObject and v1alpha2 InferencePool; model routing and model cars off; a CA bundle |
| switch | as plain; the ConfigMap changes when everything has settled |
"""

import copy
import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from aioctl.api import kinds
from aioctl.plan.policy import Policy, Strategy
from aioctl.sim import seed
from aioctl.sim.crds import resource_of
from aioctl.sim.facts import ABSENT_BY_DEFAULT, custom_kinds
from aioctl.sim.resources import Resource
from testbed.shared_data import documents
from testbed.shipped_files import OURS, crd
from tests.golden.cases import Object
from tests.upstream.cases import MODEL_CACHE, SCALED_OBJECT, presets

_NOT_OF_TODAY = frozenset(
    {
        kinds.DESTINATION_RULE.resource,
        kinds.MODEL.resource,
        kinds.POD_MONITOR.resource,
        kinds.SERVICE_MONITOR.resource,
    }
)
_WITHOUT = frozenset({kinds.LEADER_WORKER_SET.resource, SCALED_OBJECT.resource, kinds.POOL_V1ALPHA2.resource})
_CA_BUNDLE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
_SHARED_PICKER = """
kind: EndpointPickerConfig
apiVersion: llm-d.ai/v1alpha1
plugins: [{type: single-profile-handler}, {type: queue-scorer}, {type: max-score-picker}]
schedulingProfiles:
- name: default
  plugins: [{pluginRef: queue-scorer, weight: 7}, {pluginRef: max-score-picker}]
"""
"""Means what the recordings' endpoint pickers got from it; which letters it had they do not tell."""
_AUTOSCALER_SETTINGS = "autoscaling-wva-controller-config"
_SECTIONS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "plain": {_AUTOSCALER_SETTINGS: {"prometheus": {"url": "http://prometheus.monitoring:9090"}}},
    "tls": {
        "ingress": {
            "enableGatewayApi": True,
            "enableLLMInferenceServiceTLS": True,
            "urlScheme": "https",
            "modelBasedRoutingMode": "forced",
        },
        "localModel": {"enabled": True},
        "storageInitializer": {
            "image": "registry.local/storage-initializer:v1",
            "ociModelMode": "native",
            "cpuRequest": "200m",
        },
        "scheduler": {
            "expirationAnnotations": [
                "certificates.kserve.io/expiration-v2",
                "certificates.kserve.io/expiration",
            ]
        },
        _AUTOSCALER_SETTINGS: {
            "prometheus": {
                "url": "https://thanos.monitoring:9091",
                "tlsInsecureSkipVerify": True,
                "authModes": "bearer",
                "triggerAuthName": "prom-auth",
                "triggerAuthKind": "ClusterTriggerAuthentication",
            }
        },
    },
    "bare": {
        "ingress": {"modelBasedRoutingMode": "disabled"},
        "storageInitializer": {"enableModelcar": False, "caBundleConfigMapName": "ca-certs"},
    },
}
_SWITCHED: Mapping[str, Mapping[str, Any]] = {
    "ingress": {"enableLLMInferenceServiceTLS": True, "modelBasedRoutingHeaderName": "X-Other-Model"},
    "storageInitializer": {"image": "kserve/storage-initializer:next", "memoryLimit": "2Gi"},
}


def absent(world: str) -> frozenset[str]:
    """CRDs that are not installed, by name."""
    caches = {title for title in ABSENT_BY_DEFAULT if title.startswith("localmodel")}
    usual = (ABSENT_BY_DEFAULT | _NOT_OF_TODAY) - {SCALED_OBJECT.resource}
    if world == "bare":
        return usual | _WITHOUT
    return usual - caches if world == "tls" else usual


@cache
def real_resources() -> Mapping[str, Resource]:
    """Kinds by the name of their CRD: those of others with the schemas of the CRDs that the recordings were made with, ours
    with the rules of the embedded cluster, which drops what our CRDs do not know."""
    return {**_of_others(), **_ours()}


def _ours() -> dict[str, Resource]:
    made = {}
    for plural in OURS:
        published = resource_of(crd(plural))
        known = custom_kinds()[published.title]
        full = {version.at: version.full for version in published.versions}
        versions = tuple(replace(version, full=full[version.at]) for version in known.versions)
        made[known.title] = replace(known, versions=versions)
    return made


def _of_others() -> dict[str, Resource]:
    return {crd["metadata"]["name"]: resource_of(crd) for crd in crds_of_others()}


@cache
def crds_of_others() -> tuple[Object, ...]:
    """The CRDs that the recordings were made with, but for KServe's two."""
    folders = ("gateway-api/*", "gie/*", "other/*", "kserve/serving.kserve.io_localmodelcaches")
    return tuple(
        crd
        for folder in folders
        for file in documents(f"upstream/crds/{folder}.yaml").values()
        for crd in file
        if crd and crd["kind"] == kinds.CRD.kind
    )


def policy(world: str) -> Policy:
    """What the recorded program's environment said."""
    return Policy(auth_disabled=True, pins_configs=world != "bare", strategy=Strategy.AUTO)


def prevents_deletion(world: str) -> bool:
    """Whether well-known configs were protected (PREVENT_WELL_KNOWN_CONFIG_DELETION)."""
    return world != "bare"


@cache
def _shipped_config_map() -> Object:
    ((found,),) = documents("upstream/configmap/inferenceservice.yaml").values()
    return {**found, "data": {key: text for key, text in found["data"].items() if key != "_example"}}


def config_map(world: str) -> Object:
    """The ConfigMap of KServe's settings."""
    changed = _SECTIONS["plain" if world == "switch" else world]
    return _with_sections(_shipped_config_map(), changed)


def switched_config_map() -> Object:
    """What it becomes in world `switch`."""
    return _with_sections(config_map("switch"), _SWITCHED)


def _with_sections(base: Object, changed: Mapping[str, Mapping[str, Any]]) -> Object:
    made = copy.deepcopy(base)
    for name, section in changed.items():
        made["data"][name] = json.dumps({**json.loads(made["data"].get(name, "{}")), **section})
    return made


def furniture(world: str) -> list[Object]:
    """All that stands in the cluster before the first case, in the order of creation; not the CRDs."""
    found = [config_map(world) if obj["kind"] == "ConfigMap" else obj for obj in seed.world(namespaces=())]
    if world == "tls":
        found = [_with_https(obj) if obj["kind"] == "Gateway" else obj for obj in found]
        found += [
            _model_cache("opt-cache", "hf://facebook/opt-125m", "gpu-a", "gpu-b"),
            _model_cache("s3-cache", "s3://bucket/models/big", "gpu-b"),
        ]
    found.append(_behind_gateway())
    found.append(_system_map("config-scheduler-shared", {"epp": _SHARED_PICKER}))
    if world == "bare":
        found.append(_system_map("ca-certs", {"cabundle.crt": _CA_BUNDLE}))
    return [*found, *presets()]


def _system_map(name: str, data: Mapping[str, str]) -> Object:
    metadata = {"name": name, "namespace": seed.SYSTEM_NAMESPACE}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": dict(data)}


def _with_https(gateway: Object) -> Object:
    listener = {
        "name": "https",
        "hostname": "*.models.example.org",
        "port": 443,
        "protocol": "HTTPS",
        "tls": {"mode": "Terminate", "certificateRefs": [{"name": "models-example-org"}]},
        "allowedRoutes": {"namespaces": {"from": "All"}},
    }
    spec = gateway["spec"]
    return {**gateway, "spec": {**spec, "listeners": [*spec["listeners"], listener]}}


def _behind_gateway() -> Object:
    """The Service that Istio makes for the gateway."""
    ports = [{"name": "http", "port": 80}, {"name": "https", "port": 443}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "kserve-ingress-gateway-istio",
            "namespace": seed.SYSTEM_NAMESPACE,
            "labels": {"gateway.networking.k8s.io/gateway-name": "kserve-ingress-gateway"},
        },
        "spec": {"ports": ports},
    }


def _model_cache(name: str, uri: str, *groups: str) -> Object:
    return {
        "apiVersion": MODEL_CACHE.api_version,
        "kind": MODEL_CACHE.kind,
        "metadata": {"name": name},
        "spec": {"sourceModelUri": uri, "modelSize": "1Gi", "nodeGroups": list(groups)},
    }
