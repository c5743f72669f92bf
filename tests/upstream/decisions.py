"""What is meant to differ from the recordings of today's KServe, each with its reason. Reviewed by hand.

Patterns are those of fnmatch on the lines of `tests.golden.compare.differences`. Such a difference is in no file of `open/`,
and a pattern that covers nothing any more fails the test of the whole.
"""

from collections.abc import Mapping

from tests.golden.differences import LLM, OLD, RBAC, Reason, because, unexplained

CONFIGS = "serving.kserve.io/v1alpha[12]/llminferenceserviceconfigs/*"

EVERYWHERE: tuple[Reason, ...] = (
    because(
        "WORK-6: a selector cannot be changed, so it takes no labels from the service",
        "apps/v1/deployments/svc-kserve* spec.selector.matchLabels.internal.serving.kserve.io/localmodel",
    ),
    because(
        "WORK-2: role and binding go with the account, which KServe forgets of a stopped service",
        f"{RBAC}/roles/svc-kserve*-role theirs",
        f"{RBAC}/rolebindings/svc-kserve*-rb theirs",
    ),
    because(
        "DRA-1: a claim template carries the labels by which everything of ours is found",
        "resource.k8s.io/v1/resourceclaimtemplates/* metadata.labels",
    ),
    because(
        "CONV-5: what users wrote is kept as they wrote it; Go stores it back through its types",
        f"{LLM} spec.*ontainers.*.resources",
        f"{LLM} spec.*ontainers.*.resources.limits.*",
        f"{LLM} spec.*ontainers.*.resources.requests.*",
    ),
    because(
        "CONV-8: what only v1alpha2 has travels through v1alpha1 in annotations, and none of it is lost",
        f"{OLD} metadata.annotations.internal.serving.kserve.io/v1alpha2-spec",
    ),
    because(
        "CONV-3: a model's criticality travels under the key of the fork that has both versions",
        "serving.kserve.io/v1alpha2/* metadata.annotations.serving.kserve.io/criticality",
        "serving.kserve.io/v1alpha2/* metadata.annotations.internal.serving.kserve.io/model-criticality",
    ),
    because(
        "CONV-5: a config gets its finalizer by a patch of its metadata; Go writes the object back through its types",
        f"{CONFIGS} spec.model",
    ),
    because(
        "MIG-1: traffic moves when v1 is served everywhere, and is locked; KServe keeps what resolves for ever",
        "gateway.networking.k8s.io/v1/httproutes/*-kserve-route spec.rules.*.backendRefs.*.group",
        "gateway.networking.k8s.io/v1/httproutes/*-kserve-route metadata.annotations*",
    ),
    because(
        "MIG-2: a second copy of the lock stands in the status",
        f"{LLM} status.annotations.serving.kserve.io/inference-pool-migrated",
    ),
    because(
        "CONV-3: nothing is lost in v1alpha1: what it has fields for is there, the rest in an annotation",
        f"{OLD} status.router",
        f"{OLD} metadata.annotations.internal.serving.kserve.io/v1alpha2-status",
        f"{OLD} metadata.annotations.internal.serving.kserve.io/v1alpha2-spec",
    ),
    because(
        "CFG-5: a config's finalizer is a patch of its metadata; Go writes all of it back through its types",
        "serving.kserve.io/v1alpha[12]/llminferenceserviceconfigs/* spec.model",
        "serving.kserve.io/v1alpha[12]/llminferenceserviceconfigs/* spec.*.resources",
    ),
    because(
        "CONV-8: what only v1alpha2 has passes through v1alpha1 in an annotation",
        "serving.kserve.io/v1alpha1/llminferenceserviceconfigs/* metadata.annotations*",
    ),
    because(
        "EVENT-1: what is taken away is told by an event; no recording of any case has one",
        "event ours Normal Deleted: Deleted *",
    ),
    because(
        "MIG-7: traffic moves to v1 in a write of its own, which today's KServe never makes",
        "event ours Normal Updated: Updated v1.HTTPRoute <ns>/*-kserve-route",
    ),
    because(
        "EVENT-1: the migration has an event of its own",
        "event ours Normal InferencePoolMigrated: Traffic moved to v1 InferencePool *",
    ),
    because(
        "ADM-3: who writes the old version is told so, refused or not",
        "warnings LLMInferenceService* ours *v1alpha1 * is deprecated*",
        "warnings LLMInferenceService* ours spec.model.criticality is deprecated and has no effect",
    ),
    because(
        "COND-9: what has no effect is named",
        "event ours Warning WithoutEffect: *",
        "warnings LLMInferenceService/* ours spec.template: HF_TOKEN in main has no effect: *",
    ),
    because(
        "ADM-8: who deletes a config that services use is told so, and that it stays",
        "warnings DELETE llminferenceserviceconfigs/*",
    ),
)

_CURRENT_IMAGE = because(
    "ART-4: pods that are made anew for another reason take the initializer's image that is configured now",
    "apps/v1/deployments/svc-kserve spec.template.spec.initContainers.0.image",
    "apps/v1/deployments/svc-kserve spec.template.spec.initContainers.0.imagePullPolicy",
)

_REFUSED_PLACE = because(
    "ART-1: a model that cannot be fetched is refused at admission, so nothing is made for it", "*"
)

_TWO = "gateway.networking.k8s.io/v1/httproutes/two-kserve-route"
_SETTLED = because(
    "EVENT-2: a route that its gateway has not looked at yet is news when that lasts",
    "event * Warning LLMInferenceServiceNotReady: *",
)

CASES: Mapping[str, tuple[Reason, ...]] = {
    "group-no-scheduler": (
        _SETTLED,
        because(
            "GROUP-5: a route that leads to the pools of others moves, and is locked as they are",
            f"{_TWO} metadata.annotations",
        ),
    ),
    "group-base": (
        _SETTLED,
        because(
            "GROUP-3: a service that has its group from a config is woken, too, and its rules lead to the members",
            f"{_TWO} metadata.annotations",
            f"{_TWO} spec.rules.*.backendRefs*",
            "event ours Normal Updated: Updated v1.HTTPRoute <ns>/two-kserve-route",
        ),
    ),
    "mig-no-v1-group": (
        because(
            "GROUP-5: a group's route has one generation, here the one that the gateway serves, and works",
            "gateway.networking.k8s.io/v1/httproutes/*-kserve-route metadata.annotations",
            "gateway.networking.k8s.io/v1/httproutes/*-kserve-route spec.rules.*.backendRefs*",
            *(
                f"{LLM} status.conditions.{type_}.{field}"
                for type_ in ("HTTPRoutesReady", "RouterReady", "Ready")
                for field in ("status", "reason", "message")
            ),
            f"{LLM} status.router.group.members",
            "event ours Normal LLMInferenceServiceReady: *",
            "event ours Warning LLMInferenceServiceNotReady: *",
        ),
    ),
    "group-delete": (
        because(
            "LIFE-1: routes and bindings of who is deleted go first",
            f"{_TWO} theirs",
            "event ours Normal Deleted: Deleted v1.*",
        ),
    ),
    "bad-scheme": (_REFUSED_PLACE,),
    "gs": (_REFUSED_PLACE,),
    "bad-scale-no-max": (
        because(
            "MUT-1: the schema says what is missing, for nothing is filled in before it is asked",
            "refused LLMInferenceService/svc",
        ),
    ),
    "deploy-failed": (
        because(
            "COND-3: of a Deployment that is not available the stuck rollout is told",
            *(
                f"{LLM} status.conditions.{type_}.{field}"
                for type_ in ("MainWorkloadReady", "WorkloadsReady", "Ready")
                for field in ("reason", "message")
            ),
        ),
    ),
    "lora-oci-base": (
        because(
            "LORA-1: beside a modelcar the adapters' volume is mounted where it is in `main`, so that they are found",
            "apps/v1/deployments/svc-kserve spec.template.spec.initContainers.1.volumeMounts.0.mountPath",
        ),
    ),
    "minimal-switch": (_CURRENT_IMAGE,),
    "router-all-switch": (_CURRENT_IMAGE,),
    "s3-switch": (_CURRENT_IMAGE,),
    "oci-native": (
        because(
            "ART-5: the embedded cluster has the feature gate ImageVolume on; off, an API server drops these volumes",
            "apps/v1/deployments/svc-kserve spec.template.spec.volumes",
            "apps/v1/deployments/svc-kserve spec.template.spec.containers.0.volumeMounts",
        ),
    ),
    "meta": (
        because(
            "WORK-6: pods get the labels of the spec, their objects and selectors do not, and ours are not taken from there",
            "apps/v1/deployments/svc-kserve* metadata.labels.*",
            "apps/v1/deployments/svc-kserve* spec.selector.matchLabels.*",
            "apps/v1/deployments/svc-kserve spec.template.metadata.labels.app.kubernetes.io/name",
            "v1/services/svc-kserve-workload-svc metadata.labels.app.kubernetes.io/name",
            "event ours Warning ReservedLabel: *",
        ),
    ),
    "baserefs-bad-template": (
        because(
            "TPL-4: a template error names the field that the template stands in",
            "refused LLMInferenceServiceConfig/bad",
        ),
    ),
    **{
        case: (
            because(
                "SCHEMA-1: the embedded cluster does not drop what the older KEDA of the recordings does not know",
                "keda.sh/v1alpha1/scaledobjects/svc-kserve-keda spec.fallback.behavior",
            ),
        )
        for case in ("del-scaled", "scale-a1", "scale-keda", "scale-so-silent")
    },
    "scale-hpa-edited": (
        because("SCALE-1: labels and annotations of others stay", "autoscaling/v2/* metadata.*.mine"),
    ),
    "scale-so-label": (
        because(
            "SCHEMA-1: the embedded cluster does not drop what the older KEDA of the recordings does not know",
            "keda.sh/v1alpha1/scaledobjects/svc-kserve-keda spec.fallback.behavior",
        ),
        because(
            "the player's own patch is warned of by a real API server",
            "warnings PATCH scaledobjects/* theirs *domain-qualified*",
        ),
    ),
    "model-name-odd": (
        because("ADM-3: a model's name that a script cannot hold is refused, so nothing is made for it", "*"),
    ),
    "sample-inference-pd-disaggregation": (
        because(
            "SCHEMA-6: of the picker's reference only the name is required, and nothing of a config's pool",
            "refused LLMInferenceServiceConfig/*",
        ),
    ),
    "scheduler-sa-missing": (
        because(
            "EPP-9: a named account that is missing stops nothing else: the picker's pods wait for it",
            "apps/v1/deployments/svc-kserve-router-scheduler ours",
            "event ours Normal Created: Created v1.ClusterRoleBinding /<ns>-svc-epp-auth-rb",
            "event ours Normal Created: Created v1.Deployment <ns>/svc-kserve-router-scheduler",
            "event ours Normal Created: Created v1*InferencePool <ns>/svc-inference-pool",
            "event ours Normal Created: Created v1.Role* <ns>/svc-epp-*",
            "event ours Normal Created: Created v1.Service <ns>/svc-epp-service",
            "inference.networking.*/inferencepools/svc-inference-pool ours",
            "rbac.authorization.k8s.io/v1/*svc-epp-* ours",
            "v1/services/svc-epp-service ours",
        ),
    ),
    "scale-keda-advanced": (
        because(
            "SCHEMA-1: our CEL rules ask whether a field is there first, so the service is admitted", "*"
        ),
    ),
}
"""Of one case only."""

__all__ = ["CASES", "EVERYWHERE", "LLM", "undecided"]


def undecided(name: str, found: Mapping[str, str]) -> dict[str, str]:
    """The differences of the case that no decision covers."""
    return {line: found[line] for line in unexplained((*EVERYWHERE, *CASES.get(name, ())), found)}
