"""Other people's kinds (and ours) as tables of facts: addressing, defaults, required fields.

Sources: the CRDs of Gateway API 1.2.1 to 1.4.0, Inference Extension 1.0.1 (one target port, spec 10 section 2.2), LWS 0.6,
Prometheus Operator, Istio, Kuadrant; kube-apiserver 1.34 for the built-in kinds; spec 10 section 2 for ours. A table says
only what can show in objects that the controller or its users write.
"""

import functools
from collections.abc import Mapping
from typing import Any

from aioctl.api.kinds import GROUP, POOL_GROUP_V1, POOL_GROUP_V1ALPHA2
from aioctl.sim import builtins, events
from aioctl.sim.errors import Cause, invalid_value
from aioctl.sim.llm import LLM_COLUMNS, service_schema
from aioctl.sim.resources import GroupVersion, Prepare, Resource, Rule, Version
from aioctl.sim.schema import Schema, list_of, object_of, text, whole

_GATEWAY_API = "gateway.networking.k8s.io"
_EPOCH = "1970-01-01T00:00:00Z"


def _waiting(kind: str, reason: str = "Pending") -> dict[str, str]:
    return {
        "type": kind,
        "status": "Unknown",
        "reason": reason,
        "message": "Waiting for controller",
        "lastTransitionTime": _EPOCH,
    }


def _built_in(
    group: str,
    version: str,
    kind: str,
    plural: str,
    *,
    prepare: Prepare | None = None,
    namespaced: bool = True,
    status: bool = False,
    generation: bool = False,
    unconditional: bool = True,
    **rest: Any,
) -> Resource:
    at = GroupVersion(group, version)
    return Resource(
        group,
        plural,
        kind,
        (Version(at),),
        at,
        namespaced=namespaced,
        status=status,
        generation=generation,
        prepare=prepare,
        unconditional_update=unconditional,
        **rest,
    )


def _custom(
    group: str,
    kind: str,
    plural: str,
    versions: Mapping[str, tuple[Mapping[str, Any], tuple[Rule, ...]]],
    *,
    stored: str = "",
    status: bool = True,
    **rest: Any,
) -> Resource:
    made = tuple(
        Version(GroupVersion(group, name), Schema(schema), rules)
        for name, (schema, rules) in versions.items()
    )
    at = GroupVersion(group, stored) if stored else made[0].at
    return Resource(group, plural, kind, made, at, status=status, custom=True, **rest)


def built_ins() -> tuple[Resource, ...]:
    """Kinds that every API server serves."""
    rbac = "rbac.authorization.k8s.io"
    event_fields = frozenset(
        {
            *(f"involvedObject.{name}" for name in ("kind", "namespace", "name", "uid", "apiVersion")),
            *(f"regarding.{name}" for name in ("kind", "namespace", "name", "uid", "apiVersion")),
            "reason",
            "type",
            "source",
            "reportingController",
        }
    )
    core_event, new_event = GroupVersion("", "v1"), GroupVersion("events.k8s.io", "v1")
    return (
        _built_in(
            "", "v1", "Namespace", "namespaces",
            prepare=builtins.namespace, namespaced=False, status=True, short_names=("ns",),
        ),
        _built_in("", "v1", "Secret", "secrets", prepare=builtins.secret, selectable=frozenset({"type"})),
        _built_in("", "v1", "ConfigMap", "configmaps", prepare=builtins.config_map, short_names=("cm",)),
        _built_in(
            "", "v1", "Service", "services",
            prepare=builtins.service, status=True, short_names=("svc",), dns_label=True,
        ),
        _built_in("", "v1", "ServiceAccount", "serviceaccounts", short_names=("sa",)),
        _built_in(
            "", "v1", "Pod", "pods", status=True, generation=True, short_names=("po",),
            selectable=frozenset({"spec.nodeName", "status.phase"}),
        ),
        Resource(
            "",
            "events",
            "Event",
            (
                Version(core_event),
                Version(new_event, from_storage=events.to_new, to_storage=events.to_core),
            ),
            core_event,
            generation=False,
            unconditional_update=True,
            short_names=("ev",),
            selectable=event_fields,
        ),
        _built_in(
            "apps", "v1", "Deployment", "deployments",
            prepare=builtins.deployment, status=True, generation=True, short_names=("deploy",),
        ),
        _built_in(rbac, "v1", "Role", "roles"),
        _built_in(rbac, "v1", "RoleBinding", "rolebindings", prepare=builtins.role_binding),
        _built_in(rbac, "v1", "ClusterRole", "clusterroles", namespaced=False),
        _built_in(
            rbac, "v1", "ClusterRoleBinding", "clusterrolebindings",
            prepare=builtins.role_binding, namespaced=False,
        ),
        _built_in("coordination.k8s.io", "v1", "Lease", "leases", unconditional=False),
        _built_in(
            "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions",
            prepare=builtins.custom_resource_definition,
            namespaced=False, status=True, generation=True, unconditional=False, short_names=("crd", "crds"),
        ),
        _built_in(
            "admissionregistration.k8s.io", "v1",
            "ValidatingWebhookConfiguration", "validatingwebhookconfigurations",
            prepare=builtins.webhook_configuration, namespaced=False, generation=True,
        ),
    )  # fmt: skip


def _parent_status(field: str) -> dict[str, Any]:
    reference = object_of(
        {"group": text(_GATEWAY_API), "kind": text("Gateway"), "name": text()}, needs=("name",)
    )
    return list_of(
        object_of({"parentRef": reference, "conditions": _conditions()}, needs=("parentRef",)), title=field
    )


def _conditions() -> dict[str, Any]:
    needs = ("lastTransitionTime", "message", "reason", "status", "type")
    return list_of(object_of({"status": text(enum=["True", "False", "Unknown"])}, needs=needs))


def picker_port_required(path: tuple[str, ...]) -> Rule:
    """The v1 pool's CEL rule, for a pool spec found at `path` (spec 10 section 2.2)."""

    def rule(new: Mapping[str, Any], _old: Mapping[str, Any] | None) -> list[Cause]:
        spec: Any = new
        for part in path:
            spec = spec.get(part) if isinstance(spec, Mapping) else None
        picker = spec.get("endpointPickerRef") if isinstance(spec, Mapping) else None
        if isinstance(picker, Mapping) and picker.get("kind") == "Service" and "port" not in picker:
            detail = "port is required when kind is 'Service' or unspecified (defaults to 'Service')"
            at = ".".join((*path, "endpointPickerRef"))
            return [Cause(at, f'Invalid value: "object": {detail}')]
        return []

    return rule


def _model_name_immutable(new: Mapping[str, Any], old: Mapping[str, Any] | None) -> list[Cause]:
    if old is None or (old.get("spec") or {}).get("modelName") == (new.get("spec") or {}).get("modelName"):
        return []
    return [invalid_value("spec.modelName", new["spec"].get("modelName"), "modelName is immutable")]


def pool_v1_spec(*, most_ports: int, needs: tuple[str, ...]) -> dict[str, Any]:
    """Inference Extension v1 InferencePoolSpec; 1.0 CRDs take one port, 1.1 types eight."""
    value = text(maxLength=63, pattern=r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")
    return object_of(
        {
            "selector": object_of(
                {
                    "matchLabels": {
                        "type": "object",
                        "additionalProperties": value,
                        "minProperties": 1,
                        "maxProperties": 64,
                    }
                },
                needs=("matchLabels",),
            ),
            "targetPorts": list_of(
                object_of({"number": whole(minimum=1, maximum=65535)}, needs=("number",)),
                minItems=1,
                maxItems=most_ports,
            ),
            "endpointPickerRef": object_of(
                {
                    "group": text("", maxLength=253),
                    "kind": text("Service", minLength=1, maxLength=63),
                    "name": text(minLength=1, maxLength=253),
                    "port": object_of({"number": whole(minimum=1, maximum=65535)}, needs=("number",)),
                    "failureMode": text("FailClose", enum=["FailOpen", "FailClose"]),
                },
                needs=("name",),
            ),
        },
        needs=needs,
    )


def pool_v1alpha2_spec(*, needs: tuple[str, ...]) -> dict[str, Any]:
    """Inference Extension v1alpha2 InferencePoolSpec."""
    return object_of(
        {
            "selector": {"type": "object", "additionalProperties": text(maxLength=63)},
            "targetPortNumber": whole(minimum=1, maximum=65535),
            "extensionRef": object_of(
                {
                    "group": text("", maxLength=253),
                    "kind": text("Service", minLength=1, maxLength=63),
                    "name": text(minLength=1, maxLength=253),
                    "portNumber": whole(minimum=1, maximum=65535),
                    "failureMode": text("FailClose", enum=["FailOpen", "FailClose"]),
                },
                needs=("name",),
            ),
        },
        needs=needs,
    )


POOL_V1_NEEDS = ("endpointPickerRef", "selector", "targetPorts")
POOL_V1ALPHA2_NEEDS = ("extensionRef", "selector", "targetPortNumber")


def route_spec(*, may_be_template: bool = False) -> dict[str, Any]:
    """Gateway API HTTPRouteSpec: the defaults of spec 10 section 2.5 and the required names.

    `may_be_template` drops the pattern of a parent's namespace, as the Config kind does (spec 10 section 2.4).
    """
    namespace = text(minLength=1, maxLength=63)
    if not may_be_template:
        namespace["pattern"] = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
    any_path = {"type": "PathPrefix", "value": "/"}
    backend = {"group": text(""), "kind": text("Service"), "name": text(minLength=1, maxLength=253)}
    redirect = object_of({"statusCode": whole(302), "path": object_of({}, needs=("type",))})
    mirror = object_of(
        {
            "backendRef": object_of(backend, needs=("name",)),
            "fraction": object_of({"denominator": whole(100)}, needs=("numerator",)),
        },
        needs=("backendRef",),
    )
    rewrite = object_of({"path": object_of({"type": text()}, needs=("type",))})
    filters = list_of(
        object_of(
            {
                "type": text(),
                "requestRedirect": redirect,
                "requestMirror": mirror,
                "urlRewrite": rewrite,
                "cors": object_of({"maxAge": whole(5)}),
            },
            needs=("type",),
        )
    )
    match_type = list_of(object_of({"type": text("Exact")}))
    match = object_of(
        {
            "path": object_of({"type": text("PathPrefix"), "value": text("/")}, default=any_path),
            "headers": match_type,
            "queryParams": match_type,
        }
    )
    reference = object_of(
        {**backend, "weight": whole(1, minimum=0, maximum=1_000_000), "filters": filters}, needs=("name",)
    )
    session = object_of(
        {"type": text("Cookie"), "cookieConfig": object_of({"lifetimeType": text("Session")})}
    )
    rule = object_of(
        {
            "matches": list_of(match, default=[{"path": any_path}]),
            "filters": filters,
            "backendRefs": list_of(reference),
            "sessionPersistence": session,
        }
    )
    parent = object_of(
        {
            "group": text(_GATEWAY_API),
            "kind": text("Gateway"),
            "name": text(minLength=1, maxLength=253),
            "namespace": namespace,
        },
        needs=("name",),
    )
    return object_of(
        {
            "parentRefs": list_of(parent, maxItems=32),
            "rules": list_of(rule, default=[{"matches": [{"path": any_path}]}], maxItems=16),
        }
    )


def _gateway_schema() -> dict[str, Any]:
    listener = object_of(
        {
            "allowedRoutes": object_of(
                {"namespaces": object_of({"from": text("Same")}, default={"from": "Same"})},
                default={"namespaces": {"from": "Same"}},
            ),
            "tls": object_of({"mode": text("Terminate")}),
        },
        needs=("name", "port", "protocol"),
    )
    status = object_of(
        {"addresses": list_of(object_of({"type": text("IPAddress")}, needs=("value",)))},
        default={"conditions": [_waiting("Accepted"), _waiting("Programmed")]},
    )
    spec = object_of({"listeners": list_of(listener)}, needs=("gatewayClassName", "listeners"))
    return object_of({"spec": spec, "status": status}, needs=("spec",))


def _lws_schema() -> dict[str, Any]:
    rolling = object_of({"maxSurge": {"default": 0}, "maxUnavailable": {"default": 1}})
    return object_of(
        {
            "spec": object_of(
                {
                    "replicas": whole(1),
                    "startupPolicy": text("LeaderCreated", enum=["LeaderCreated", "LeaderReady"]),
                    "rolloutStrategy": object_of(
                        {"type": text("RollingUpdate"), "rollingUpdateConfiguration": rolling},
                        needs=("type",),
                    ),
                    "leaderWorkerTemplate": object_of(
                        {"size": whole(1, minimum=1), "restartPolicy": text("RecreateGroupOnPodRestart")},
                        needs=("workerTemplate",),
                    ),
                },
                needs=("leaderWorkerTemplate",),
            )
        }
    )


def _monitor_schema(endpoints: str) -> dict[str, Any]:
    named = object_of({"name": text("")}, needs=("key",))
    action = list_of(object_of({"action": text("replace")}))
    endpoint = object_of(
        {
            "authorization": object_of({"credentials": named}),
            "bearerTokenSecret": named,
            "relabelings": action,
            "metricRelabelings": action,
        }
    )
    return object_of(
        {"spec": object_of({endpoints: list_of(endpoint)}, needs=("selector",))}, needs=("spec",)
    )


def inference_pools() -> tuple[Resource, Resource, Resource]:
    """v1 pool, v1alpha2 pool, InferenceModel."""
    v1 = object_of(
        {
            "spec": pool_v1_spec(most_ports=1, needs=POOL_V1_NEEDS),
            "status": object_of({"parents": _parent_status("parents")}),
        },
        needs=("spec",),
    )
    pending = {"parentRef": {"kind": "Status", "name": "default"}, "conditions": [_waiting("Accepted")]}
    v1alpha2 = object_of(
        {
            "spec": pool_v1alpha2_spec(needs=POOL_V1ALPHA2_NEEDS),
            "status": object_of({"parent": _parent_status("parent")}, default={"parent": [pending]}),
        }
    )
    model = object_of(
        {
            "spec": object_of(
                {
                    "modelName": text(minLength=1, maxLength=256),
                    "criticality": text(enum=["Critical", "Standard", "Sheddable"]),
                    "poolRef": object_of(
                        {"group": text(POOL_GROUP_V1ALPHA2), "kind": text("InferencePool")}, needs=("name",)
                    ),
                },
                needs=("modelName", "poolRef"),
            ),
            "status": object_of({"conditions": _conditions()}, default={"conditions": [_waiting("Ready")]}),
        }
    )
    return (
        _custom(
            POOL_GROUP_V1,
            "InferencePool",
            "inferencepools",
            {"v1": (v1, (picker_port_required(("spec",)),))},
            short_names=("infpool",),
        ),
        _custom(
            POOL_GROUP_V1ALPHA2,
            "InferencePool",
            "inferencepools",
            {"v1alpha2": (v1alpha2, ())},
            short_names=("xinfpool",),
        ),
        _custom(
            POOL_GROUP_V1ALPHA2,
            "InferenceModel",
            "inferencemodels",
            {"v1alpha2": (model, (_model_name_immutable,))},
        ),
    )


def gateway_api() -> tuple[Resource, Resource, Resource]:
    """HTTPRoute, Gateway, GatewayClass."""
    route = object_of(
        {"spec": route_spec(), "status": object_of({"parents": _parent_status("parents")})}, needs=("spec",)
    )
    gateway = _gateway_schema()
    gateway_class = object_of(
        {
            "spec": object_of({"controllerName": text()}, needs=("controllerName",)),
            "status": object_of({}, default={"conditions": [_waiting("Accepted")]}),
        },
        needs=("spec",),
    )
    categories = ("gateway-api",)
    return (
        _custom(
            _GATEWAY_API,
            "HTTPRoute",
            "httproutes",
            {"v1": (route, ()), "v1beta1": (route, ())},
            categories=categories,
        ),
        _custom(
            _GATEWAY_API,
            "Gateway",
            "gateways",
            {"v1": (gateway, ()), "v1beta1": (gateway, ())},
            short_names=("gtw",),
            categories=categories,
        ),
        _custom(
            _GATEWAY_API,
            "GatewayClass",
            "gatewayclasses",
            {"v1": (gateway_class, ()), "v1beta1": (gateway_class, ())},
            namespaced=False,
            short_names=("gc",),
            categories=categories,
        ),
    )


def llm_kinds() -> tuple[Resource, Resource]:
    """Ours: both versions served, v1alpha2 stored, translated by the conversion webhook (spec 10 section 1)."""
    made = []
    for kind, plural, is_config in (
        ("LLMInferenceService", "llminferenceservices", False),
        ("LLMInferenceServiceConfig", "llminferenceserviceconfigs", True),
    ):
        pool_v1 = pool_v1_spec(most_ports=8, needs=() if is_config else POOL_V1_NEEDS)
        pool_old = pool_v1alpha2_spec(needs=() if is_config else POOL_V1ALPHA2_NEEDS)
        route = route_spec(may_be_template=is_config)
        rule = picker_port_required(("spec", "router", "scheduler", "pool", "spec"))
        versions = (
            Version(
                GroupVersion(GROUP, "v1alpha2"),
                Schema(service_schema(pool=pool_v1, route=route, is_old=False)),
                (rule,),
                columns=() if is_config else LLM_COLUMNS,
            ),
            Version(
                GroupVersion(GROUP, "v1alpha1"),
                Schema(service_schema(pool=pool_old, route=route, is_old=True)),
                columns=() if is_config else LLM_COLUMNS,
            ),
        )
        made.append(
            Resource(
                GROUP,
                plural,
                kind,
                versions,
                versions[0].at,
                status=not is_config,
                custom=True,
                webhook=True,
                short_names=() if is_config else ("llmisvc",),
            )
        )
    return made[0], made[1]


def _others() -> tuple[Resource, ...]:
    rule = object_of({"spec": object_of({"host": text()}, needs=("host",))})
    policy = object_of({"spec": object_of({}, needs=("targetRef",))})
    monitoring = "monitoring.coreos.com"
    return (
        _custom(
            "leaderworkerset.x-k8s.io", "LeaderWorkerSet", "leaderworkersets",
            {"v1": (_lws_schema(), ())}, short_names=("lws",),
        ),
        _custom(
            "networking.istio.io", "DestinationRule", "destinationrules",
            {"v1": (rule, ()), "v1beta1": (rule, ()), "v1alpha3": (rule, ())}, stored="v1beta1", short_names=("dr",),
        ),
        _custom(
            monitoring, "PodMonitor", "podmonitors",
            {"v1": (_monitor_schema("podMetricsEndpoints"), ())}, status=False, short_names=("pmon",),
        ),
        _custom(
            monitoring, "ServiceMonitor", "servicemonitors",
            {"v1": (_monitor_schema("endpoints"), ())}, status=False, short_names=("smon",),
        ),
        _custom("kuadrant.io", "AuthPolicy", "authpolicies", {"v1": (policy, ())}),
    )  # fmt: skip


@functools.cache
def custom_kinds() -> Mapping[str, Resource]:
    """Kinds that come with a CRD, by CRD name such as `httproutes.gateway.networking.k8s.io`."""
    kinds = (*llm_kinds(), *inference_pools(), *gateway_api(), *_others())
    return {resource.title: resource for resource in kinds}


ABSENT_BY_DEFAULT = frozenset({"authpolicies.kuadrant.io"})
"""CRDs a plain cluster does not have (spec 60 section 12)."""
