"""Every intended difference from the recordings of the Go controller, each with the Decision it comes from.

Reviewed by hand. A difference that no pattern here covers fails the test of its case, and a pattern that covers nothing any
more fails as well. Patterns are those of fnmatch on the lines of `compare.differences`; `LLM` stands for the service in
both versions.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

LLM = "serving.kserve.io/v1alpha[12]/llminferenceservices/*"
OLD = "serving.kserve.io/v1alpha1/llminferenceservices/*"
ROUTES = "gateway.networking.k8s.io/v1/httproutes"
POOLS_OLD = "inference.networking.x-k8s.io/v1alpha2/inferencepools"
POOLS_V1 = "inference.networking.k8s.io/v1/inferencepools"
MODELS = "inference.networking.x-k8s.io/v1alpha2/inferencemodels"
RULES = "networking.istio.io/v1/destinationrules"
RBAC = "rbac.authorization.k8s.io/v1"
MONITORS = "monitoring.coreos.com/v1"


@dataclass(frozen=True)
class Reason:
    """Why some lines differ, and which."""

    why: str
    patterns: tuple[str, ...]


def because(why: str, *patterns: str) -> Reason:
    return Reason(why, patterns)


def _conditions(*types: str) -> tuple[str, ...]:
    """The condition as a whole or any field of it."""
    return tuple(f"{LLM} status.conditions.{type_}*" for type_ in types)


_MONITORING = (
    f"{MONITORS}/podmonitors/kserve-llm-isvc-vllm-engine ours",
    f"{MONITORS}/servicemonitors/kserve-llm-isvc-scheduler ours",
    f"{RBAC}/clusterrolebindings/kserve-metrics-reader-role-binding-<ns> ours",
    "v1/secrets/kserve-metrics-reader-sa-secret ours",
    "v1/serviceaccounts/kserve-metrics-reader-sa ours",
)
_ISTIO = (f"{RULES}/svc-kserve-scheduler ours", f"{RULES}/svc-kserve-workload-svc ours")
_SAID_BY_THE_PART_THAT_FAILED = because(
    "WORK-1: only what is wanted is built, so the reason follows the part that failed",
    "event ours Warning Error: Reconciliation failed: failed to reconcile workload: failed to reconcile single node *",
    "event theirs Warning Error: Reconciliation failed: failed to reconcile workload: failed to reconcile multi node *",
    *_conditions("MainWorkloadReady", "WorkloadsReady", "Ready"),
)

_SAYS_WHY_NOT_COMBINED = because(
    "COND-6: what keeps the presets from being combined is said by Ready too",
    *_conditions("Ready"),
)

_PODS = ("spec.template.spec", "spec.leaderWorkerTemplate.*Template.spec")
_ACCOUNT_IN_USE = because(
    "today's KServe: an account that is named is used as it is, not copied",
    "event theirs Normal Created: Created v1.ServiceAccount <ns>/*-kserve*",
    "leaderworkerset.x-k8s.io/v1/leaderworkersets/*-kserve-mn* spec.*.spec.serviceAccountName",
    "v1/serviceaccounts/*-kserve* theirs",
)
_BOUND_ACCOUNT = because(
    "today's KServe: an account that is named is used as it is, not copied",
    f"{RBAC}/rolebindings/*-kserve*-rb subjects.0.name",
)

_LONG_NAME = because(
    "today's KServe: long names of workloads are cut by the rule of 63 characters",
    "event * Normal Created: Created v1.Deployment <ns>/*-kserve",
    "apps/v1/deployments/*-kserve ours",
    "apps/v1/deployments/*-kserve theirs",
)

EVERYWHERE: tuple[Reason, ...] = (
    because(
        "today's KServe: the status names what the service is made of",
        f"{LLM} status.router",
        f"{LLM} status.workloads",
    ),
    because(
        "today's KServe: events tell when a service becomes ready and when no longer",
        "event ours Normal LLMInferenceServiceReady: *",
        "event ours Warning LLMInferenceServiceNotReady: *",
    ),
    because(
        "today's KServe: without a route there is no condition of routes",
        f"{LLM} status.conditions.HTTPRoutesReady",
    ),
    because(
        "today's KServe: workloads of several nodes have conditions of their own",
        f"{LLM} status.conditions.MainWorkloadReady",
        f"{LLM} status.conditions.WorkerWorkloadReady",
        f"{LLM} status.conditions.PrefillWorkloadReady",
        f"{LLM} status.conditions.PrefillWorkerWorkloadReady",
    ),
    because(
        "today's KServe: the sidecar's role has one rule for both groups of pools",
        f"{RBAC}/roles/*-kserve-role rules",
        f"{RBAC}/roles/*-kserve-mn-role rules",
    ),
    because(
        "ART-4: HF_HOME is gone, the other variables come for hf:// only, after the credentials and with an account",
        *(f"*/*-kserve* {pod}.initContainers.[01].env*" for pod in _PODS),
    ),
    because(
        "CERT-1, CERT-2: the CA's certificate is there always, and another annotation says when the pair is renewed",
        "v1/secrets/*-kserve-self-signed-certs data.ca.crt",
        "v1/secrets/*-kserve-self-signed-certs metadata.annotations.certificates.kserve.io/expiration*",
    ),
    because(
        "COND-6: PresetsCombined is a dependent of Ready, as in today's KServe, and has no severity",
        f"{LLM} status.conditions.PresetsCombined.severity",
    ),
    because(
        "EQ-1, EQ-3: nothing is written that changes nothing; Go rewrites Deployments in every reconcile",
        "event theirs Normal Updated: Updated v1.Deployment *",
    ),
    because(
        "EVENT-1: the migration has an event of its own",
        "event ours Normal InferencePoolMigrated: Traffic moved to v1 InferencePool *",
    ),
    because(
        "EVENT-1: events are not thinned; in the recordings 25 events had used up what Go's client allows",
        "event ours Normal Updated: Updated v1.HTTPRoute *",
        "event ours Normal Deleted: Deleted v1.*",
    ),
    because(
        "PRESET-6: today's KServe lists the configs it combined; v1alpha1 carries that in an annotation",
        f"{LLM} status.appliedConfigs",
        f"{OLD} metadata.annotations",
    ),
    because(
        "MIG-4, PRESET-6: a second copy of the lock and the names of the presets stand in the status",
        f"{LLM} status.annotations",
    ),
    because(
        "URL-1: without a route the address is that of the workload in the cluster",
        f"{LLM} status.addresses",
    ),
    because(
        "today's KServe: an address has a name, its gateway and its models; v1alpha1 carries what it has no fields for",
        f"{LLM} status.addresses.*.name",
        f"{LLM} status.addresses.*.origin",
        f"{LLM} status.addresses.*.models",
        f"{OLD} metadata.annotations.internal.serving.kserve.io/v1alpha2-status",
    ),
    because(
        "today's KServe: the status names gateways, routes, pool and picker, and has no condition of routes without any",
        f"{LLM} status.router",
        f"{LLM} status.conditions.HTTPRoutesReady",
    ),
    because(
        "URL-2: behind a private gateway the internal address is the URL",
        f"{LLM} status.url",
    ),
    because(
        "EPP-2: today's KServe gives its pickers six rules",
        f"{RBAC}/roles/*-epp-role rules",
    ),
    because(
        "CHILD-2: the pool's type is written as today's KServe writes it, and its deletion is told",
        "event * Normal Created: Created v1alpha2*InferencePool *",
        "event ours Normal Deleted: Deleted v1alpha2pool.InferencePool *",
    ),
    because(
        "EPP-9: the picker's account has the model server's secrets",
        "v1/serviceaccounts/*-epp-sa secrets",
    ),
    because(
        "EPP-7: today's KServe generates another configuration for pickers of today",
        "apps/v1/deployments/*-kserve-router-scheduler spec.template.spec.containers.0.args.*",
    ),
    because(
        "POOL-6: as in today's KServe, the pool has no condition where there is no scheduler",
        f"{LLM} status.conditions.InferencePoolReady",
    ),
    because(
        "EPP-8: today's KServe replaces a picker instead of running two",
        "apps/v1/deployments/*-kserve-router-scheduler spec.strategy.*",
    ),
    because(
        "MULTI-1: no SCC binding without security.openshift.io",
        "event theirs Normal Created: Created v1.RoleBinding <ns>/*-kserve-mn-scc",
        f"{RBAC}/rolebindings/*-kserve-mn-scc theirs",
    ),
    because(
        "CONV-5: what users wrote is kept as they wrote it; Go stores it back through its types",
        f"{LLM} spec.*ontainers.*.resources",
        f"{LLM} spec.*ontainers.*.resources.limits.*",
        f"{LLM} spec.*ontainers.*.resources.requests.*",
        f"{LLM} spec.*ontainers.*.volumeMounts.*.readOnly",
    ),
    because(
        "ARCH-4: empty values that only Go's types carry are not sent",
        f"{MONITORS}/*monitors/* spec.namespaceSelector",
        f"{MONITORS}/podmonitors/* spec.podMetricsEndpoints.0.bearerTokenSecret",
        f"{MONITORS}/podmonitors/* spec.podMetricsEndpoints.0.tlsConfig.ca",
        f"{MONITORS}/podmonitors/* spec.podMetricsEndpoints.0.tlsConfig.cert",
    ),
    because(
        "CONV-3: the annotation that carries criticality shows in v1alpha2 only",
        f"{OLD} metadata.annotations.serving.kserve.io/criticality",
    ),
)

CASES: Mapping[str, tuple[Reason, ...]] = {
    "bad-scheme": (
        because(
            "ART-1: a model that cannot be fetched is refused at admission, so nothing is made for it", "*"
        ),
    ),
    "auth-on": (
        because(
            "AUTH-1: a precondition that is not met has a reason of its own in today's KServe, and is no failure",
            *(
                f"{LLM} status.conditions.{type_}.reason"
                for type_ in ("HTTPRoutesReady", "RouterReady", "Ready")
            ),
            "event theirs Warning Error: Reconciliation failed: *failed to validate Gateway on OpenShift: *",
            *_MONITORING,
        ),
    ),
    "baserefs-missing": (
        _SAYS_WHY_NOT_COMBINED,
        because(
            "PRESET-2: today's KServe says a missing config in words and with a reason of its own",
            *_conditions("PresetsCombined"),
            "event * Warning Error: Reconciliation failed: *LLMInferenceServiceConfig *",
        ),
    ),
    "del": (
        because(
            "LIFE-1: the managed route goes first, so that no traffic meets vanishing pods",
            f"{ROUTES}/svc-kserve-route theirs",
        ),
    ),
    "labels": (
        because(
            "today's KServe: annotations for Prometheus reach workloads and their pods",
            "leaderworkerset.x-k8s.io/v1/leaderworkersets/svc-kserve-mn *metadata.annotations.prometheus.io/scrape",
        ),
    ),
    "long-name": (_LONG_NAME,),
    "s3-dp": (_ACCOUNT_IN_USE,),
    "sample-dp-ep-deepseek-r1-gpu-naive": (_ACCOUNT_IN_USE,),
    "sample-dp-ep-deepseek-r1-gpu-deepep-ht": (_ACCOUNT_IN_USE,),
    "sample-dp-ep-deepseek-r1-pd-gpu-p-deepep-ht-d-d": (_ACCOUNT_IN_USE, _BOUND_ACCOUNT),
    "sample-dp-ep-deepseek-r1-pd-gpu-p-deepep-ht-d-p": (_ACCOUNT_IN_USE, _BOUND_ACCOUNT),
    "sample-qwen2-7b-gpu-no-scheduler": (_LONG_NAME,),
    "edit-deployment": (
        because(
            "EQ-3: labels and annotations of others are kept",
            "apps/v1/deployments/svc-kserve metadata.annotations",
            "apps/v1/deployments/svc-kserve metadata.labels.mine",
        ),
        because(
            "EQ-1: the live number of replicas stays where the spec has none",
            "apps/v1/deployments/svc-kserve spec.replicas",
        ),
    ),
    "edit-route-annotation": (
        because(
            "ROUTE-4: annotations of others are kept",
            f"{ROUTES}/svc-kserve-route metadata.annotations.mine",
        ),
    ),
    "external-pool": (
        because(
            "MIG-3: one route write is enough when the v1 pool is ready from the start",
            "event theirs Normal Updated: Updated v1.HTTPRoute <ns>/svc-kserve-route",
        ),
    ),
    "gateway-refs": (
        because(
            "ROUTE-2: a gateway reference without namespace is one of the service's namespace",
            "event theirs Warning Error: *spec.parentRefs?0?.namespace*",
            f"{ROUTES}/svc-kserve-route ours",
            *_ISTIO,
            *_MONITORING,
            *_conditions("GatewaysReady", "HTTPRoutesReady", "InferencePoolReady", "RouterReady", "Ready"),
        ),
    ),
    "labels-single": (
        because(
            "WORK-4: a selector cannot change, so copied labels stay out of it",
            "apps/v1/deployments/svc-kserve*spec.selector.matchLabels.kueue.x-k8s.io/queue-name",
        ),
    ),
    "lora-a1": (
        because(
            "LORA-1: adapters are downloaded beside the model, and told to the server",
            "apps/v1/deployments/svc-kserve spec.template.spec.containers.0.args",
            "apps/v1/deployments/svc-kserve spec.template.spec.containers.0.volumeMounts.4.mountPath",
            "apps/v1/deployments/svc-kserve spec.template.spec.initContainers.0.args",
            "apps/v1/deployments/svc-kserve spec.template.spec.initContainers.0.volumeMounts.0.mountPath",
        ),
        because(
            "CONV-3: the adapters' criticality survives in an annotation",
            f"{OLD} spec.model.lora.adapters.0.criticality",
            "serving.kserve.io/v1alpha2/llminferenceservices/svc"
            " metadata.annotations.internal.serving.kserve.io/lora-criticalities",
        ),
    ),
    "pool-foreign": (
        because(
            "POOL-4: the v1alpha2 pool comes first, before the v1 pool that fails",
            f"{POOLS_OLD}/svc-inference-pool ours",
        ),
    ),
    "pool-inline-a1": (
        because(
            "POOL-3: the annotation that carries criticality is read",
            f"{MODELS}/svc-inference-model spec.criticality",
        ),
    ),
    "pool-two-ports": (
        because(
            "POOL-4: the v1alpha2 pool comes first, before the v1 pool that fails",
            f"{POOLS_OLD}/svc-inference-pool ours",
        ),
        because(
            "POOL-4: what does not depend on the pool is done while the pool waits for its turn",
            *_ISTIO,
            *_MONITORING,
        ),
        because(
            "CONV-3: ports that v1alpha1 cannot say survive in an annotation",
            f"{OLD} metadata.annotations.internal.serving.kserve.io/target-ports",
        ),
    ),
    "route-inline": (
        because(
            "MIG-6: one reference to the pool becomes one to each generation, the active one with the weight",
            f"{ROUTES}/svc-kserve-route spec.rules.0.backendRefs",
        ),
    ),
    "router-all-a1": (
        because(
            "POOL-3: the annotation that carries criticality is read",
            f"{MODELS}/svc-inference-model spec.criticality",
        ),
    ),
    "sa-missing": (_SAID_BY_THE_PART_THAT_FAILED,),
    "scheduler-template": (
        because(
            "CHILD-1: an account named by the user is used as it is",
            "event theirs Warning Error: *it is not controlled by v1alpha2.LLMInferenceService <ns>/svc",
            "event ours Normal Created: Created *",
            "apps/v1/deployments/svc-kserve-router-scheduler ours",
            f"{ROUTES}/svc-kserve-route ours",
            f"{POOLS_V1}/svc-inference-pool ours",
            f"{POOLS_OLD}/svc-inference-pool ours",
            f"{MODELS}/svc-inference-model ours",
            f"{RBAC}/clusterrolebindings/<ns>-svc-epp-auth-rb ours",
            f"{RBAC}/rolebindings/svc-epp-rb ours",
            f"{RBAC}/roles/svc-epp-role ours",
            "v1/services/svc-epp-service ours",
            *_ISTIO,
            *_MONITORING,
            *_conditions(
                "HTTPRoutesReady", "InferencePoolReady", "SchedulerWorkloadReady", "RouterReady", "Ready"
            ),
        ),
    ),
    "upd-drop-prefill": (
        because(
            "WORK-4: a selector that no longer fits replaces the Deployment",
            "event theirs Warning Error: *field is immutable",
            "apps/v1/deployments/svc-kserve metadata.labels.llm-d.ai/role",
            "apps/v1/deployments/svc-kserve spec.*",
            "apps/v1/deployments/svc-kserve-router-scheduler spec.template.spec.containers.0.args.*",
            "apps/v1/deployments/svc-kserve-prefill theirs",
            f"{RBAC}/rolebindings/svc-kserve-rb theirs",
            f"{RBAC}/roles/svc-kserve-role theirs",
            *_conditions("MainWorkloadReady", "WorkloadsReady", "Ready"),
        ),
        because(
            "COND-3: conditions that no longer apply go",
            f"{LLM} status.conditions.PrefillWorkloadReady",
        ),
    ),
    "upd-drop-scheduler": (
        because(
            "CHILD-1: nothing of the picker is left behind",
            f"{RBAC}/clusterrolebindings/<ns>-svc-epp-auth-rb theirs",
            f"{RBAC}/rolebindings/svc-epp-rb theirs",
            f"{RBAC}/roles/svc-epp-role theirs",
        ),
        because(
            "EPP-4: the condition goes with the picker",
            f"{LLM} status.conditions.SchedulerWorkloadReady",
        ),
    ),
}

TAKEOVER_EVERYWHERE: tuple[Reason, ...] = (
    because(
        "FORM-1: what was given for the pods, and their template, is remembered beside them",
        "updated deployments.apps <ns>/*-kserve",
        "updated deployments.apps <ns>/*-kserve-prefill",
        "updated leaderworkersets.leaderworkerset.x-k8s.io <ns>/*-kserve-mn",
        "updated leaderworkersets.leaderworkerset.x-k8s.io <ns>/*-kserve-mn-prefill",
    ),
    because(
        "EPP-9: the picker's account gets the model server's secrets",
        "updated serviceaccounts <ns>/*-epp-sa",
    ),
    because(
        "EPP-8: pickers are replaced by another strategy from now on; their pod templates stay",
        "updated deployments.apps <ns>/*-kserve-router-scheduler",
    ),
    because(
        "EPP-2: all three resources in both groups",
        "updated roles.rbac.authorization.k8s.io <ns>/*-epp-role",
    ),
    because(
        "today's KServe: the sidecar's role has one rule for both groups of pools",
        "updated roles.rbac.authorization.k8s.io <ns>/*-kserve-role",
        "updated roles.rbac.authorization.k8s.io <ns>/*-kserve-mn-role",
    ),
    because(
        "MIG-4, URL-1: the status gets the second copy of the lock, or the address in the cluster",
        "updated llminferenceservices.serving.kserve.io <ns>/*",
    ),
)
_CRITICALITY = because(
    "POOL-3: the annotation that carries criticality is read",
    "updated inferencemodels.inference.networking.x-k8s.io <ns>/svc-inference-model",
)
_MONITORING_MADE = (
    "created clusterrolebindings.rbac.authorization.k8s.io /kserve-metrics-reader-role-binding-<ns>",
    "created podmonitors.monitoring.coreos.com <ns>/kserve-llm-isvc-vllm-engine",
    "created servicemonitors.monitoring.coreos.com <ns>/kserve-llm-isvc-scheduler",
    "created secrets <ns>/kserve-metrics-reader-sa-secret",
    "created serviceaccounts <ns>/kserve-metrics-reader-sa",
)
_BINDING_TAKEN_UP = because(
    "today's KServe: an account that is named is used as it is, not copied",
    "updated rolebindings.rbac.authorization.k8s.io <ns>/*-kserve*-rb",
    "deleted serviceaccounts <ns>/*-kserve",
)
TAKEOVER: Mapping[str, tuple[Reason, ...]] = {
    "auth-on": (
        because(
            "AUTH-1: a precondition that is not met ends the router part, and not the reconcile",
            *_MONITORING_MADE,
        ),
    ),
    "sample-dp-ep-deepseek-r1-pd-gpu-p-deepep-ht-d-d": (_BINDING_TAKEN_UP,),
    "sample-dp-ep-deepseek-r1-pd-gpu-p-deepep-ht-d-p": (_BINDING_TAKEN_UP,),
    "gateway-refs": (
        because(
            "ROUTE-2: a gateway reference without namespace is one of the service's namespace",
            "created httproutes.gateway.networking.k8s.io <ns>/svc-kserve-route",
            "created destinationrules.networking.istio.io <ns>/svc-kserve-*",
            *_MONITORING_MADE,
        ),
    ),
    "pool-foreign": (
        because(
            "POOL-4: the v1alpha2 pool comes first, before the v1 pool that fails",
            "created inferencepools.inference.networking.x-k8s.io <ns>/svc-inference-pool",
        ),
    ),
    "pool-inline-a1": (_CRITICALITY,),
    "pool-two-ports": (
        because(
            "POOL-4: what does not depend on the refused pool is done while it waits for its turn",
            "created inferencepools.inference.networking.x-k8s.io <ns>/svc-inference-pool",
            "created destinationrules.networking.istio.io <ns>/svc-kserve-*",
            *_MONITORING_MADE,
        ),
    ),
    "route-inline": (
        because(
            "MIG-5: a rule that refers to one pool only keeps its weight",
            "updated httproutes.gateway.networking.k8s.io <ns>/svc-kserve-route",
        ),
    ),
    "router-all-a1": (_CRITICALITY,),
    "scheduler-template": (
        because(
            "CHILD-1: an account named by the user is used as it is",
            "created deployments.apps <ns>/svc-kserve-router-scheduler",
            "created services <ns>/svc-epp-service",
            "created roles.rbac.authorization.k8s.io <ns>/svc-epp-role",
            "created rolebindings.rbac.authorization.k8s.io <ns>/svc-epp-rb",
            "created clusterrolebindings.rbac.authorization.k8s.io /<ns>-svc-epp-auth-rb",
            "created inferencemodels.inference.networking.x-k8s.io <ns>/svc-inference-model",
            "created inferencepools.inference.networking.k8s.io <ns>/svc-inference-pool",
            "created inferencepools.inference.networking.x-k8s.io <ns>/svc-inference-pool",
            "created httproutes.gateway.networking.k8s.io <ns>/svc-kserve-route",
            "created destinationrules.networking.istio.io <ns>/svc-kserve-*",
            *_MONITORING_MADE,
        ),
    ),
    "upd-drop-prefill": (
        because(
            "WORK-4: a selector that no longer fits replaces the Deployment",
            "updated deployments.apps <ns>/svc-kserve",
            "updated deployments.apps <ns>/svc-kserve-router-scheduler",
            "deleted deployments.apps <ns>/svc-kserve-prefill",
            "deleted rolebindings.rbac.authorization.k8s.io <ns>/svc-kserve-rb",
            "deleted roles.rbac.authorization.k8s.io <ns>/svc-kserve-role",
        ),
    ),
    "upd-drop-scheduler": (
        because(
            "CHILD-1: nothing of the picker is left behind",
            "deleted clusterrolebindings.rbac.authorization.k8s.io /<ns>-svc-epp-auth-rb",
            "deleted rolebindings.rbac.authorization.k8s.io <ns>/svc-epp-rb",
            "deleted roles.rbac.authorization.k8s.io <ns>/svc-epp-role",
        ),
    ),
}
"""What is written where the Go controller has settled; lines are those of `compare.changes`."""


def unexpected(case: str, found: Iterable[str]) -> list[str]:
    """The differences of a case that no entry explains."""
    return unexplained((*EVERYWHERE, *CASES.get(case, ())), found)


def unexplained(reasons: Iterable[Reason], found: Iterable[str]) -> list[str]:
    """The lines that no reason covers."""
    known = tuple(reasons)
    return [line for line in found if not any(_covers(reason, line) for reason in known)]


def outdated(reasons: Iterable[Reason], found: Iterable[str]) -> list[str]:
    """The patterns that match none of the differences."""
    lines = list(found)
    return [
        f"{pattern} ({reason.why})"
        for reason in reasons
        for pattern in reason.patterns
        if not any(fnmatchcase(line, pattern) for line in lines)
    ]


def _covers(reason: Reason, line: str) -> bool:
    return any(fnmatchcase(line, pattern) for pattern in reason.patterns)
