"""Other people's kinds (and ours) as tables of facts: addressing, defaults, required fields.

Sources: the CRDs of Gateway API 1.2.1 to 1.4.0, Inference Extension 1.0.1 (one target port, SCHEMA-5), LWS 0.6,
Prometheus Operator, Istio, Kuadrant; kube-apiserver 1.34 for the built-in kinds; SCHEMA-1 for ours. A table says
only what can show in objects that the controller or its users write.
"""

import functools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from aioctl.api.kinds import GROUP
from aioctl.sim import builtins, events
from aioctl.sim.custom_facts import custom
from aioctl.sim.gateway_facts import gateway_api, route_spec
from aioctl.sim.inference_facts import (
    OLD_INLINE_POOL_NEEDS,
    POOL_V1_NEEDS,
    inference_pools,
    inline_pool_spec,
    old_inline_pool_spec,
    picker_port_required,
)
from aioctl.sim.llm import CONFIG_COLUMNS, LLM_COLUMNS, for_templates, pod_spec, service_schema
from aioctl.sim.llm_rules import autoscaling
from aioctl.sim.resources import GroupVersion, Prepare, Resource, Version
from aioctl.sim.schema import Schema, list_of, object_of, text, whole


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
        replace(
            _built_in("", "v1", "Secret", "secrets", prepare=builtins.secret, selectable=frozenset({"type"})),
            cautions=builtins.secret_cautions,
        ),
        _built_in("", "v1", "ConfigMap", "configmaps", prepare=builtins.config_map, short_names=("cm",)),
        _built_in(
            "", "v1", "Service", "services",
            prepare=builtins.service, status=True, short_names=("svc",), dns_label=True,
        ),
        _built_in(
            "", "v1", "ServiceAccount", "serviceaccounts",
            prepare=builtins.service_account, short_names=("sa",),
        ),
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
            "autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers",
            prepare=builtins.autoscaler, status=True, short_names=("hpa",),
        ),
        _built_in(
            "resource.k8s.io", "v1", "ResourceClaimTemplate", "resourceclaimtemplates",
            prepare=builtins.resource_claim_template,
        ),
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
        _built_in(
            "admissionregistration.k8s.io", "v1",
            "MutatingWebhookConfiguration", "mutatingwebhookconfigurations",
            prepare=builtins.mutating_webhook_configuration, namespaced=False, generation=True,
        ),
    )  # fmt: skip


def _lws_schema() -> dict[str, Any]:
    template = object_of({"spec": {**pod_spec(), "required": ["containers"]}})
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
                        {
                            "size": whole(1, minimum=1),
                            "restartPolicy": text("RecreateGroupOnPodRestart"),
                            "leaderTemplate": template,
                            "workerTemplate": template,
                            "subGroupPolicy": object_of({"subGroupPolicyType": text("LeaderWorker")}),
                        },
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


def llm_kinds() -> tuple[Resource, Resource]:
    """Ours: both versions served, v1alpha2 stored, translated by the conversion webhook (API-1)."""
    made = []
    for kind, plural, is_config in (
        ("LLMInferenceService", "llminferenceservices", False),
        ("LLMInferenceServiceConfig", "llminferenceserviceconfigs", True),
    ):
        pool_v1 = inline_pool_spec(needs=() if is_config else POOL_V1_NEEDS)
        pool_old = old_inline_pool_spec(needs=() if is_config else OLD_INLINE_POOL_NEEDS)
        route = route_spec(may_be_template=is_config)
        if is_config:
            pool_v1, pool_old = for_templates(pool_v1), for_templates(pool_old)
        picker = picker_port_required(("spec", "router", "scheduler", "pool", "spec"))
        columns = CONFIG_COLUMNS if is_config else LLM_COLUMNS
        versions = (
            Version(
                GroupVersion(GROUP, "v1alpha2"),
                Schema(service_schema(pool=pool_v1, route=route, is_old=False, is_config=is_config)),
                (autoscaling,) if is_config else (picker, autoscaling),
                columns=columns,
            ),
            Version(
                GroupVersion(GROUP, "v1alpha1"),
                Schema(service_schema(pool=pool_old, route=route, is_old=True, is_config=is_config)),
                (autoscaling,),
                columns=columns,
            ),
        )
        made.append(
            Resource(
                GROUP,
                plural,
                kind,
                versions,
                versions[0].at,
                status=True,
                custom=True,
                webhook=True,
                short_names=() if is_config else ("llmisvc",),
            )
        )
    return made[0], made[1]


def _others() -> tuple[Resource, ...]:
    rule = object_of({"spec": object_of({"host": text()}, needs=("host",))})
    policy = object_of({"spec": object_of({}, needs=("targetRef",))})
    scaled = object_of({"spec": object_of({}, needs=("scaleTargetRef", "triggers"))}, needs=("spec",))
    cache = object_of({"spec": object_of({}, needs=("modelSize", "nodeGroups", "sourceModelUri"))})
    monitoring = "monitoring.coreos.com"
    return (
        custom(
            "leaderworkerset.x-k8s.io", "LeaderWorkerSet", "leaderworkersets",
            {"v1": (_lws_schema(), ())}, short_names=("lws",),
        ),
        custom(
            "networking.istio.io", "DestinationRule", "destinationrules",
            {"v1": (rule, ()), "v1beta1": (rule, ()), "v1alpha3": (rule, ())}, stored="v1beta1", short_names=("dr",),
        ),
        custom(
            monitoring, "PodMonitor", "podmonitors",
            {"v1": (_monitor_schema("podMetricsEndpoints"), ())}, status=False, short_names=("pmon",),
        ),
        custom(
            monitoring, "ServiceMonitor", "servicemonitors",
            {"v1": (_monitor_schema("endpoints"), ())}, status=False, short_names=("smon",),
        ),
        custom("kuadrant.io", "AuthPolicy", "authpolicies", {"v1": (policy, ())}),
        custom("keda.sh", "ScaledObject", "scaledobjects", {"v1alpha1": (scaled, ())}, short_names=("so",)),
        custom(
            GROUP, "LocalModelCache", "localmodelcaches", {"v1alpha1": (cache, ())}, namespaced=False,
        ),
        custom(GROUP, "LocalModelNamespaceCache", "localmodelnamespacecaches", {"v1alpha1": (cache, ())}),
    )  # fmt: skip


@functools.cache
def custom_kinds() -> Mapping[str, Resource]:
    """Kinds that come with a CRD, by CRD name such as `httproutes.gateway.networking.k8s.io`."""
    kinds = (*llm_kinds(), *inference_pools(), *gateway_api(), *_others())
    return {resource.title: resource for resource in kinds}


ABSENT_BY_DEFAULT: Final = frozenset(
    {
        "authpolicies.kuadrant.io",
        "localmodelcaches.serving.kserve.io",
        "localmodelnamespacecaches.serving.kserve.io",
        "scaledobjects.keda.sh",
    }
)
"""CRDs a plain cluster does not have (CRD-1)."""
