"""Objects that the schemas refuse, each with the field that the refusal names (SCHEMA-5, SCHEMA-3, SCHEMA-1, ADM-7).

Each row starts from a small valid object and changes single values at paths such as `spec.router.gateway.refs[0].name`;
`DROP` removes one. The kinds are `service` and `config`.
"""

import copy
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

DROP = object()
_CONTAINER = {"name": "main", "image": "example.com/model:1"}
_ROUTE = "spec.router.route.http.spec"
_POOL = "spec.router.scheduler.pool.spec"
_POD = "spec.template"
_LONG = "a" * 254
_RULE = {"matches": [{"path": {"type": "PathPrefix", "value": "/"}}]}
_POOLS = {
    "v1alpha1": {
        "selector": {"app": "a"},
        "targetPortNumber": 8000,
        "extensionRef": {"name": "epp", "portNumber": 9002, "failureMode": "FailClose"},
    },
    "v1alpha2": {
        "selector": {"matchLabels": {"app": "a"}},
        "targetPorts": [{"number": 8000}],
        "endpointPickerRef": {"name": "epp", "port": {"number": 9002}},
    },
}


class Bad(NamedTuple):
    """One object: what is wrong with it, where it is sent, what is changed, which field is named, and a part of the text."""

    what: str
    version: str
    kind: str
    changes: Mapping[str, Any]
    field: str
    text: str = ""

    def object(self) -> dict[str, Any]:
        return changed(valid(self.version, self.kind), self.changes)


def valid(version: str, kind: str) -> dict[str, Any]:
    """An object that every schema rule accepts, with something in each part."""
    name = {"service": "LLMInferenceService", "config": "LLMInferenceServiceConfig"}[kind]
    return {
        "apiVersion": f"serving.kserve.io/{version}",
        "kind": name,
        "metadata": {"name": "valid", "namespace": "default"},
        "spec": {
            "model": {"uri": "hf://facebook/opt-125m", "name": "opt"},
            "replicas": 1,
            "template": {"containers": [dict(_CONTAINER)]},
            "router": {
                "gateway": {"refs": [{"name": "gw", "namespace": "gateways"}]},
                "route": {
                    "http": {"spec": {"hostnames": ["a.example.com"], "rules": [copy.deepcopy(_RULE)]}}
                },
                "scheduler": {"pool": {"spec": copy.deepcopy(_POOLS[version])}},
            },
        },
    }


def changed(obj: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The object with values put at paths; parts on the way are made."""
    for path, value in changes.items():
        *way, last = [int(part) if part.isdigit() else part for part in re.findall(r"[^.\[\]]+", path)]
        at: Any = obj
        for part, following in zip(way, [*way[1:], last], strict=True):
            empty: Any = [] if isinstance(following, int) else {}
            if isinstance(at, list):
                at.extend([{}] * (part + 1 - len(at)))
                at = at[part]
            else:
                at = at.setdefault(part, empty)
        if value is DROP:
            del at[last]
        elif isinstance(at, list):
            at[last : last + 1] = [value]
        else:
            at[last] = value
    return obj


def both(what: str, changes: Mapping[str, Any], field: str, text: str = "") -> list[Bad]:
    """The same mistake in either version."""
    return [Bad(what, version, "service", changes, field, text) for version in ("v1alpha1", "v1alpha2")]


BAD = [
    *both("negative replicas", {"spec.replicas": -1}, "spec.replicas", "greater than or equal to 0"),
    *both("replicas as text", {"spec.replicas": "two"}, "spec.replicas", "must be of type integer"),
    *both("tensor 0", {"spec.parallelism.tensor": 0}, "spec.parallelism.tensor", "greater than or equal to 1"),
    *both("pipeline 0", {"spec.parallelism.pipeline": 0}, "spec.parallelism.pipeline"),
    *both("data 0", {"spec.parallelism.data": 0}, "spec.parallelism.data"),
    *both("dataLocal 0", {"spec.parallelism.dataLocal": 0}, "spec.parallelism.dataLocal"),
    *both("RPC port 0", {"spec.parallelism.dataRPCPort": 0}, "spec.parallelism.dataRPCPort"),
    *both(
        "RPC port 65536",
        {"spec.parallelism.dataRPCPort": 65536},
        "spec.parallelism.dataRPCPort",
        "less than or equal to 65535",
    ),
    *both("expert as text", {"spec.parallelism.expert": "yes"}, "spec.parallelism.expert"),
    *both("prefill tensor 0", {"spec.prefill.parallelism.tensor": 0}, "spec.prefill.parallelism.tensor"),
    *both("prefill replicas", {"spec.prefill.replicas": -3}, "spec.prefill.replicas"),
    *both("model without uri", {"spec.model.uri": DROP}, "spec.model.uri", "Required value"),
    *both("model uri as number", {"spec.model.uri": 5}, "spec.model.uri"),
    *both("gateway name empty", {"spec.router.gateway.refs[0].name": ""}, "spec.router.gateway.refs[0].name"),
    *both("gateway name long", {"spec.router.gateway.refs[0].name": _LONG}, "spec.router.gateway.refs[0].name"),
    *both(
        "gateway namespace",
        {"spec.router.gateway.refs[0].namespace": "Up"},
        "spec.router.gateway.refs[0].namespace",
    ),
    *both(
        "ingress namespace long",
        {"spec.router.ingress.refs[0].namespace": "a" * 64},
        "spec.router.ingress.refs[0].namespace",
    ),
    *both("baseRefs as text", {"spec.baseRefs": "a"}, "spec.baseRefs"),
    *both("template as list", {_POD: []}, _POD),
    *both(
        "container without name",
        {f"{_POD}.containers[0].name": DROP},
        f"{_POD}.containers[0].name",
        "Required value",
    ),
    *both(
        "container twice", {f"{_POD}.containers": [_CONTAINER, _CONTAINER]}, f"{_POD}.containers[1]", "Duplicate"
    ),
    *both(
        "variable twice",
        {f"{_POD}.containers[0].env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]},
        f"{_POD}.containers[0].env[1]",
        "Duplicate",
    ),
    *both(
        "mount path twice",
        {
            f"{_POD}.containers[0].volumeMounts": [
                {"name": "a", "mountPath": "/m"},
                {"name": "b", "mountPath": "/m"},
            ]
        },
        f"{_POD}.containers[0].volumeMounts[1]",
    ),
    *both(
        "port without number",
        {f"{_POD}.containers[0].ports": [{"name": "http"}]},
        f"{_POD}.containers[0].ports[0].containerPort",
    ),
    *both(
        "memory that is no quantity",
        {f"{_POD}.containers[0].resources.limits.memory": "lots"},
        f"{_POD}.containers[0].resources.limits.memory",
    ),
    *both(
        "probe port as object",
        {f"{_POD}.containers[0].livenessProbe.httpGet.port": {}},
        f"{_POD}.containers[0].livenessProbe.httpGet.port",
    ),
    *both("grace as text", {f"{_POD}.terminationGracePeriodSeconds": "5"}, f"{_POD}.terminationGracePeriodSeconds"),
    *both(
        "worker toleration", {"spec.worker.tolerations[0].tolerationSeconds": "1"},
        "spec.worker.tolerations[0].tolerationSeconds",
    ),
    *both(
        "scheduler container without name",
        {"spec.router.scheduler.template.containers[0].image": "a"},
        "spec.router.scheduler.template.containers[0].name",
    ),
    *both("host name", {f"{_ROUTE}.hostnames[0]": "UP.example.com"}, f"{_ROUTE}.hostnames[0]"),
    *both(
        "path not absolute",
        {f"{_ROUTE}.rules[0].matches[0].path.value": "v1"},
        f"{_ROUTE}.rules[0].matches[0].path",
        "must be an absolute path",
    ),
    *both(
        "path with two slashes",
        {f"{_ROUTE}.rules[0].matches[0].path.value": "/a//b"},
        f"{_ROUTE}.rules[0].matches[0].path",
        "must not contain '//'",
    ),
    *both(
        "unknown path type",
        {f"{_ROUTE}.rules[0].matches[0].path.type": "Glob"},
        f"{_ROUTE}.rules[0].matches[0].path.type",
        "Unsupported value",
    ),
    *both(
        "unknown filter", {f"{_ROUTE}.rules[0].filters[0].type": "Magic"}, f"{_ROUTE}.rules[0].filters[0].type"
    ),
    *both(
        "filter without its part",
        {f"{_ROUTE}.rules[0].filters[0].type": "RequestRedirect"},
        f"{_ROUTE}.rules[0].filters[0]",
        "filter.requestRedirect must be specified",
    ),
    *both(
        "redirect code",
        {f"{_ROUTE}.rules[0].filters": [{"type": "RequestRedirect", "requestRedirect": {"statusCode": 200}}]},
        f"{_ROUTE}.rules[0].filters[0].requestRedirect.statusCode",
    ),
    *both(
        "backend weight",
        {f"{_ROUTE}.rules[0].backendRefs[0]": {"name": "a", "port": 80, "weight": -1}},
        f"{_ROUTE}.rules[0].backendRefs[0].weight",
    ),
    *both(
        "backend service without port",
        {f"{_ROUTE}.rules[0].backendRefs[0]": {"name": "a"}},
        f"{_ROUTE}.rules[0].backendRefs[0]",
        "Must have port for Service reference",
    ),
    *both(
        "rewrite without prefix match",
        {
            f"{_ROUTE}.rules[0].filters": [
                {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch"}}}
            ]
        },
        f"{_ROUTE}.rules[0].filters[0].urlRewrite.path",
        "replacePrefixMatch must be specified",
    ),
    *both("timeout", {f"{_ROUTE}.rules[0].timeouts.request": "soon"}, f"{_ROUTE}.rules[0].timeouts.request"),
    *both("parent namespace", {f"{_ROUTE}.parentRefs[0]": {"name": "a", "namespace": "Up"}},
          f"{_ROUTE}.parentRefs[0].namespace"),
    Bad(
        "criticality outside the enum",
        "v1alpha1",
        "service",
        {"spec.model.criticality": "Urgent"},
        "spec.model.criticality",
        'supported values: "Critical", "Standard", "Sheddable"',
    ),
    Bad("pool without selector", "v1alpha1", "service", {f"{_POOL}.selector": DROP}, f"{_POOL}.selector"),
    Bad("pool without port", "v1alpha1", "service", {f"{_POOL}.targetPortNumber": DROP}, f"{_POOL}.targetPortNumber"),
    Bad("picker port 0", "v1alpha1", "service", {f"{_POOL}.extensionRef.portNumber": 0},
        f"{_POOL}.extensionRef.portNumber"),
    Bad("label value long", "v1alpha1", "service", {f"{_POOL}.selector.app": "a" * 64}, f"{_POOL}.selector.app"),
    Bad(
        "picker without name",
        "v1alpha1",
        "service",
        {f"{_POOL}.extensionRef.name": DROP},
        f"{_POOL}.extensionRef.name",
    ),
    Bad("failure mode", "v1alpha1", "service", {f"{_POOL}.extensionRef.failureMode": "Fail"},
        f"{_POOL}.extensionRef.failureMode"),
    Bad("picker port", "v1alpha1", "service", {f"{_POOL}.extensionRef.portNumber": 70000},
        f"{_POOL}.extensionRef.portNumber"),
    Bad("pool without selector", "v1alpha2", "service", {f"{_POOL}.selector": DROP}, f"{_POOL}.selector"),
    Bad("pool without ports", "v1alpha2", "service", {f"{_POOL}.targetPorts": DROP}, f"{_POOL}.targetPorts"),
    Bad("pool without picker", "v1alpha2", "service", {f"{_POOL}.endpointPickerRef": DROP},
        f"{_POOL}.endpointPickerRef"),
    Bad("no port at all", "v1alpha2", "service", {f"{_POOL}.targetPorts": []}, f"{_POOL}.targetPorts"),
    Bad(
        "nine ports",
        "v1alpha2",
        "service",
        {f"{_POOL}.targetPorts": [{"number": 8000 + index} for index in range(9)]},
        f"{_POOL}.targetPorts",
    ),
    Bad(
        "port twice",
        "v1alpha2",
        "service",
        {f"{_POOL}.targetPorts": [{"number": 80}, {"number": 80}]},
        f"{_POOL}.targetPorts",
        "port number must be unique",
    ),
    Bad("empty selector", "v1alpha2", "service", {f"{_POOL}.selector.matchLabels": {}},
        f"{_POOL}.selector.matchLabels"),
    Bad("label value", "v1alpha2", "service", {f"{_POOL}.selector.matchLabels.app": "a b"},
        f"{_POOL}.selector.matchLabels.app"),
    Bad(
        "service picker without port",
        "v1alpha2",
        "service",
        {f"{_POOL}.endpointPickerRef.port": DROP},
        f"{_POOL}.endpointPickerRef",
        "port is required when kind is 'Service'",
    ),
    Bad("picker kind", "v1alpha2", "service", {f"{_POOL}.endpointPickerRef.kind": "A Service"},
        f"{_POOL}.endpointPickerRef.kind"),
    Bad("failure mode", "v1alpha2", "service", {f"{_POOL}.endpointPickerRef.failureMode": "Fail"},
        f"{_POOL}.endpointPickerRef.failureMode"),
    Bad("negative replicas", "v1alpha2", "config", {"spec.replicas": -1}, "spec.replicas"),
    Bad("model without uri", "v1alpha2", "config", {"spec.model.uri": DROP}, "spec.model.uri"),
    Bad("container without name", "v1alpha2", "config", {f"{_POD}.containers[0].name": DROP},
        f"{_POD}.containers[0].name"),
    Bad("picker without name", "v1alpha2", "config", {f"{_POOL}.endpointPickerRef.name": DROP},
        f"{_POOL}.endpointPickerRef.name"),
    Bad("unknown path type", "v1alpha1", "config", {f"{_ROUTE}.rules[0].matches[0].path.type": "Glob"},
        f"{_ROUTE}.rules[0].matches[0].path.type"),
    Bad("criticality", "v1alpha1", "config", {"spec.model.criticality": "Urgent"}, "spec.model.criticality"),
]  # fmt: skip
