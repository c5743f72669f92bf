"""Services that the schemas of our CRDs refuse, one for each kind of reason; judged by `aioctl check -f` and by a real API server."""

from typing import Any

_PATH = {"type": "PathPrefix", "value": "/"}


def _rule(**rule: Any) -> dict[str, Any]:
    return {"router": {"route": {"http": {"spec": {"rules": [rule]}}}}}


def _scaling(**scaling: Any) -> dict[str, Any]:
    return {"scaling": {"maxReplicas": 4, **scaling}}


def _keda(**keda: Any) -> dict[str, Any]:
    return _scaling(keda={"triggers": [{"type": "cpu", "metadata": {"value": "1"}}], **keda})


def _pool(**spec: Any) -> dict[str, Any]:
    pool = {"selector": {"matchLabels": {"a": "b"}}, "targetPorts": [{"number": 8000}],
            "endpointPickerRef": {"name": "epp", "port": {"number": 9002}}, **spec}  # fmt: skip
    return {"router": {"scheduler": {"pool": {"spec": pool}}}}


def _filter(**given: Any) -> dict[str, Any]:
    return _rule(filters=[given])


BAD: dict[str, dict[str, Any]] = {
    "type": {"replicas": "two"},
    "types in lists": {"template": {"containers": [{"name": 1}]}},
    "minimum": _pool(targetPorts=[{"number": 0}]),
    "maximum": _pool(targetPorts=[{"number": 65536}]),
    "pattern": _rule(backendRefs=[{"name": "a", "port": 80, "group": "A b"}]),
    "enum": _rule(filters=[{"type": "Rewrite"}]),
    "required": _pool(targetPorts=[{}]),
    "required, of a rule's part": _filter(type="RequestMirror", requestMirror={}),
    "too many": _rule(backendRefs=[{"name": f"s{n}", "port": 80} for n in range(17)]),
    "twice in a list": {"template": {"containers": [{"name": "main"}, {"name": "main"}]}},
    "replicas and scaling": {"replicas": 1, **_scaling(wva={"hpa": {}})},
    "scaling by nobody": _scaling(),
    "scaling by both": _scaling(wva={"hpa": {}}, keda={"triggers": [{"type": "cpu", "metadata": {}}]}),
    "scaling without triggers": _scaling(keda={"triggers": []}),
    "more than the most": _scaling(minReplicas=5, wva={"hpa": {}}),
    "both actuators": _scaling(wva={"hpa": {}, "keda": {}}),
    "no actuator": _scaling(wva={}),
    "idle above the least": _keda(idleReplicaCount=3),
    "a name for the HPA": _keda(advanced={"horizontalPodAutoscalerConfig": {"name": "mine"}}),
    "of the prefill workload": {"prefill": {"replicas": 1, **_scaling(wva={"hpa": {}})}},
    "a Service without a port": _rule(backendRefs=[{"name": "a"}]),
    "a longer timeout": _rule(timeouts={"request": "1s", "backendRequest": "1500ms"}),
    "timeouts that are fine": _rule(timeouts={"request": "0s", "backendRequest": "1h"}),
    "a path without a slash": _rule(matches=[{"path": {"type": "Exact", "value": "a"}}]),
    "a path with two": _rule(matches=[{"path": {**_PATH, "value": "/a//b"}}]),
    "letters of a path": _rule(matches=[{"path": {**_PATH, "value": "/a b"}}]),
    "a path with dots at its end": _rule(matches=[{"path": {**_PATH, "value": "/a/.."}}]),
    "a redirect with backends": _rule(
        backendRefs=[{"name": "a", "port": 80}], filters=[{"type": "RequestRedirect", "requestRedirect": {"port": 80}}]
    ),
    "two redirects": _rule(filters=[{"type": "RequestRedirect", "requestRedirect": {"port": 80}}] * 2),
    "a filter of another type": _filter(type="URLRewrite", requestRedirect={"port": 80}),
    "a prefix without its match": _rule(
        matches=[{"path": {"type": "Exact", "value": "/a"}}],
        filters=[{"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}}],
    ),
    "a fraction above one": _filter(
        type="RequestMirror",
        requestMirror={"backendRef": {"name": "a", "port": 80}, "fraction": {"numerator": 3, "denominator": 2}},
    ),
    "percent and fraction": _filter(
        type="RequestMirror",
        requestMirror={"backendRef": {"name": "a", "port": 80}, "percent": 1, "fraction": {"numerator": 1}},
    ),
    "a session without end": _rule(
        sessionPersistence={"sessionName": "a", "type": "Cookie", "cookieConfig": {"lifetimeType": "Permanent"}}
    ),
    "a cookie for a header": _rule(
        sessionPersistence={"sessionName": "a", "type": "Header", "cookieConfig": {"lifetimeType": "Session"}}
    ),
    "a port twice": _pool(targetPorts=[{"number": 8000}, {"number": 8000}]),
    "a picker without a port": _pool(endpointPickerRef={"name": "epp"}),
    "several at once": {"replicas": 1, **_scaling(minReplicas=5, wva={}), **_rule(backendRefs=[{"name": "a"}])},
}  # fmt: skip
"""What is wrong -> the spec, beside a model."""


def service(what: str, version: str = "v1alpha2") -> dict[str, Any]:
    return {
        "apiVersion": f"serving.kserve.io/{version}",
        "kind": "LLMInferenceService",
        "metadata": {"name": "bad", "namespace": "team"},
        "spec": {"model": {"uri": "hf://facebook/opt-125m", "name": "m"}, **BAD[what]},
    }
