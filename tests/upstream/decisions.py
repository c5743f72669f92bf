"""What is meant to differ from the recordings of today's KServe, each with its reason. Reviewed by hand.

Patterns are those of fnmatch on the lines of `tests.golden.compare.differences`, and where one has ` :: ` in it, on line and
values: `<line> :: <ours> != <theirs>`. Every difference has to be covered, and a pattern that covers nothing any more fails
as well.
"""

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Final

from tests.golden.differences import LLM, OLD, RBAC, Reason, because

MANAGED = "gateway.networking.k8s.io/v1/httproutes/*-kserve-route"
LOCK = "{'serving.kserve.io/inference-pool-migrated': 'v1'}"
_VALUES: Final = " :: "
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
        f"{MANAGED} spec.rules.*.backendRefs.*.group :: 'inference.networking.k8s.io' != 'inference.networking.x-k8s.io'",
        f"{MANAGED} metadata.annotations :: {LOCK} != (nothing)",
    ),
    because(
        "MIG-2: a second copy of the lock stands in the status",
        f"{LLM} status.annotations.serving.kserve.io/inference-pool-migrated :: 'v1' != (nothing)",
        f"{LLM} status.annotations :: {LOCK} != (nothing)",
    ),
    because(
        "SIDE-1: a routing sidecar reads a generation that is served, and v1alpha2 is not; KServe passes it what the preset says",
        "apps/v1/deployments/svc-kserve spec.template.spec.initContainers.0.command.*"
        " :: '--pool-group=inference.networking.k8s.io' != '--pool-group=inference.networking.x-k8s.io'",
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
        "warnings LLMInferenceService* ours spec.* has no effect: *",
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
    "ART-1: a model that cannot be fetched is refused at admission, so nothing is made for it",
    "refused LLMInferenceService/svc :: '422: *spec.model.uri: Invalid value: *://* is not supported; use *' != ''",
    f"{LLM} theirs",
    "v1/secrets/svc-kserve-self-signed-certs theirs",
    "event theirs Normal Created: Created v1.Secret <ns>/svc-kserve-self-signed-certs",
    "event theirs Warning Error: *: unsupported schema in model URI: *",
)
_PICKER_STAYS = because(
    "CHILD-1: nothing of a picker that is not wanted is left behind; KServe forgets what a generated account was given",
    f"{RBAC}/clusterrolebindings/<ns>-svc-epp-auth-rb theirs",
    f"{RBAC}/rolebindings/svc-epp-rb theirs",
    f"{RBAC}/roles/svc-epp-role theirs",
)
_URL_STAYS = because(
    "URL-2: without a route, and while stopped, no URL is shown; KServe's is that of the route that was",
    f"{LLM} status.url :: (nothing) != 'http://10.9.9.9/<ns>/svc'",
)
_ROUTE_FIRST = because("LIFE-1: the route of who is deleted goes first", f"{MANAGED} theirs")
_READ_TOO_EARLY = because(
    "ARCH-3: what is not there yet is no error; KServe's first read of a set that it is about to make fails",
    "event theirs Warning Error: *: failed to get current leaderworkerset <ns>/* not found",
)
_GATEWAY_TAKES_ITS_TIME = because(
    "EVENT-2: a route that its gateway has not looked at again is news when that lasts; here the gateway takes 0.3 s",
    "event ours Warning LLMInferenceServiceNotReady: * is no longer Ready because of: *, RouterReady",
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
    "dp-odd": (
        because(
            "COND-9: who asks for ranks that get no pod is told",
            "warnings LLMInferenceService/svc ours spec.parallelism: dataLocal 2 does not divide data 7, *",
        ),
    ),
    "group-base": (
        _SETTLED,
        because(
            "GROUP-3: a service that has its group from a config is woken, too, so its rules lead to the members and its status names them",
            f"{_TWO} metadata.annotations",
            f"{_TWO} spec.rules.*.backendRefs*",
            "event ours Normal Updated: Updated v1.HTTPRoute <ns>/two-kserve-route",
            "serving.kserve.io/v1alpha[12]/llminferenceservices/two status.conditions.GroupReady",
            "serving.kserve.io/v1alpha2/llminferenceservices/two status.router.group",
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
    "s3-switch": (_CURRENT_IMAGE, _GATEWAY_TAKES_ITS_TIME),
    "pd-bare": (
        because(
            "SIDE-1: a sidecar is told of a generation that is served",
            "apps/v1/deployments/svc-kserve spec.template.spec.initContainers.0.command.5 :: "
            "'--pool-group=inference.networking.k8s.io' != '--pool-group=inference.networking.x-k8s.io'",
        ),
    ),
    "del": (_ROUTE_FIRST,),
    "del-dp": (_ROUTE_FIRST,),
    "del-scaled": (_ROUTE_FIRST,),
    "dp": (_READ_TOO_EARLY,),
    "sample-dp-ep-deepseek-r1-pd-gpu-p-deepep-ht-d-p": (_READ_TOO_EARLY,),
    "scale-stop": (_PICKER_STAYS, _URL_STAYS),
    "stop-dp-pd": (_PICKER_STAYS, _URL_STAYS),
    "stop-later": (_PICKER_STAYS, _URL_STAYS),
    "upd-drop-router": (_PICKER_STAYS, _URL_STAYS),
    "upd-to-external-pool": (_PICKER_STAYS,),
    "baserefs-model": (
        because(
            "MUT-1: a model that a config brings is not written into the service beside an empty URI",
            f"{LLM} spec.model :: (nothing) != {{'name': 'svc', 'uri': ''}}",
        ),
    ),
    "cfg-a1": (
        because(
            "WORK-6: labels of a spec are for pods and the Service; a selector cannot be changed",
            "apps/v1/deployments/svc-kserve metadata.labels.a",
            "apps/v1/deployments/svc-kserve spec.selector.matchLabels.a",
        ),
    ),
    "cfg-templated-int": (
        because(
            "WORK-6: labels of a spec are for pods and the Service; a selector cannot be changed",
            "apps/v1/deployments/svc-kserve metadata.labels.[xy]",
            "apps/v1/deployments/svc-kserve spec.selector.matchLabels.[xy]",
        ),
    ),
    "cfg-invalid-stopped": (
        because("STOP-1: a stopped service rests whatever its configs are", "refused ~ did not settle"),
    ),
    "cfg-used-delete-free": (
        because(
            "CFG-5: a config that was deleted goes with its last user; KServe looks at none that is named no more",
            "serving.kserve.io/v1alpha[12]/llminferenceserviceconfigs/used theirs",
        ),
    ),
    "edit-service-foreign-label": (
        because(
            "EQ-2: a label that others set stays",
            "v1/services/svc-epp-service metadata.labels.mine :: 'x' != *",
        ),
    ),
    "lora-remove": (
        _GATEWAY_TAKES_ITS_TIME,
        because(
            "EPP-7: a generated configuration follows the adapters that there are",
            "apps/v1/deployments/svc-kserve-router-scheduler spec.template.spec.containers.0.args.1",
            "event ours Normal Updated: Updated v1.Deployment <ns>/svc-kserve-router-scheduler",
        ),
        because(
            "EQ-3: what was taken out of a list that we make goes; KServe leaves the matches of adapters that are gone",
            f"{MANAGED} spec.rules.4.matches",
            f"{MANAGED} spec.rules.11.matches",
        ),
    ),
    "pin-gone": (
        because(
            "PRESET-6: who misses a config that was pinned is told where",
            *(
                f"{LLM} status.conditions.{type_}.message :: '*; pinned in status.annotations*' != '*'"
                for type_ in ("PresetsCombined", "Ready")
            ),
            'event ours Warning Error: *; pinned in status.annotations?"serving.kserve.io/config-llm-template"?',
            "event theirs Warning Error: * not found in namespaces ?<ns> kserve?",
        ),
    ),
    "scale-direct-bare": (
        because(
            "SCALE-2: a failure of scaling ends nothing but itself, so the router is made",
            "apps/v1/deployments/svc-kserve-router-scheduler ours",
            "event ours Normal Created: Created v1.ClusterRoleBinding /<ns>-svc-epp-auth-rb",
            "event ours Normal Created: Created v1.Deployment <ns>/svc-kserve-router-scheduler",
            "event ours Normal Created: Created v1.HTTPRoute <ns>/svc-kserve-route",
            "event ours Normal Created: Created v1.InferencePool <ns>/svc-inference-pool",
            "event ours Normal Created: Created v1.Role <ns>/svc-epp-role",
            "event ours Normal Created: Created v1.RoleBinding <ns>/svc-epp-rb",
            "event ours Normal Created: Created v1.Service <ns>/svc-epp-service",
            "event ours Normal Created: Created v1.ServiceAccount <ns>/svc-epp-sa",
            f"{MANAGED} ours",
            "inference.networking.k8s.io/v1/inferencepools/svc-inference-pool ours",
            f"{RBAC}/clusterrolebindings/<ns>-svc-epp-auth-rb ours",
            f"{RBAC}/rolebindings/svc-epp-rb ours",
            f"{RBAC}/roles/svc-epp-role ours",
            "v1/serviceaccounts/svc-epp-sa ours",
            "v1/services/svc-epp-service ours",
            f"{LLM} status.addresses :: * != (nothing)",
            f"{LLM} status.url :: 'http://10.9.9.9/<ns>/svc' != (nothing)",
            "serving.kserve.io/v1alpha2/llminferenceservices/svc status.router :: * != (nothing)",
            f"{LLM} status.conditions.HTTPRoutesReady :: * 'status': 'True', * != (nothing)",
            f"{LLM} status.conditions.InferencePoolReady :: * 'status': 'True', * != (nothing)",
            f"{LLM} status.conditions.SchedulerWorkloadReady :: * 'status': 'True', * != (nothing)",
            f"{LLM} status.conditions.RouterReady.status :: 'True' != 'Unknown'",
        ),
    ),
    "scheduler-only": (
        because(
            "POOL-6: without a route and gateway refs any gateway's word will do; KServe's service is never ready",
            *(
                f"{LLM} status.conditions.{type_}.{field} :: {values}"
                for type_ in ("InferencePoolReady", "RouterReady", "Ready")
                for field, values in (
                    ("status", "'True' != 'False'"),
                    ("reason", "(nothing) != 'WaitingForGateway'"),
                    (
                        "message",
                        "(nothing) != 'Inference Pool * exists but no Gateway controller has accepted it yet'",
                    ),
                )
            ),
            "event ours Normal LLMInferenceServiceReady: LLMInferenceService ?svc? is Ready",
        ),
    ),
    "unknown-fields-a1": (
        because(
            "ARCH-4: what the schema lets through stays; Go forgets what its types do not know",
            f"{LLM} spec.model.lora.adapters.0.odd :: 1 != (nothing)",
            f"{LLM} spec.model.lora.adapters.0.lora.adapters.0.criticality :: 'Critical' != (nothing)",
        ),
    ),
    "oci-native": (
        because(
            "ART-5: what the API server lacks for image volumes is told of a URI that asks for one, too",
            f"{LLM} status.conditions.OciImageVolumeCompatible :: *'reason': 'ImageVolumeAlpha'* != (nothing)",
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
        because(
            "CERT-1: the pair names the Service's address; KServe does not find a Service whose label was taken",
            "event ours Normal Updated: Updated v1.Secret <ns>/svc-kserve-self-signed-certs",
        ),
    ),
    "baserefs-bad-template": (
        because(
            "TPL-4: a template error names the field that the template stands in",
            "refused LLMInferenceServiceConfig/bad",
        ),
    ),
    "scale-hpa-edited": (
        because("SCALE-1: labels and annotations of others stay", "autoscaling/v2/* metadata.*.mine"),
    ),
    "model-name-odd": (
        because(
            "ADM-3: a model's name that a script cannot hold is refused, so nothing is made for it",
            "refused LLMInferenceService/svc :: '422: *spec.model.name: Invalid value: *' != ''",
            f"{LLM} theirs",
            "event theirs Warning Error: *: failed to unmarshal config from template: *",
        ),
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
            "SCHEMA-1: our CEL rules ask whether a field is there first, so the service is admitted and gets what it asks for",
            "refused LLMInferenceService/svc :: '' != '422: *: no such key: *",
            f"{LLM} ours",
            "apps/v1/deployments/svc-kserve ours",
            "keda.sh/v1alpha1/scaledobjects/svc-kserve-keda ours",
            "v1/secrets/svc-kserve-self-signed-certs ours",
            "v1/services/svc-kserve-workload-svc ours",
            "event ours Normal Created: Created v1.Deployment <ns>/svc-kserve",
            "event ours Normal Created: Created v1.Secret <ns>/svc-kserve-self-signed-certs",
            "event ours Normal Created: Created v1.Service <ns>/svc-kserve-workload-svc",
            "event ours Normal Created: Created v1alpha1.ScaledObject <ns>/svc-kserve-keda",
            "event ours Normal Updated: Updated v1.Secret <ns>/svc-kserve-self-signed-certs",
        ),
    ),
}
"""Of one case only."""

EMBEDDED: Mapping[str, tuple[Reason, ...]] = {
    "oci-native": (
        because(
            "ART-5: the embedded cluster has the feature gate ImageVolume on; off, an API server drops these volumes",
            "apps/v1/deployments/svc-kserve spec.template.spec.volumes",
            "apps/v1/deployments/svc-kserve spec.template.spec.containers.0.volumeMounts",
        ),
    ),
}
"""Of one case, and only on the embedded cluster."""

REAL: tuple[Reason, ...] = (
    because(
        "EVENT-1: which of the states that pass in a moment a busy program sees depends on the machine; virtual time compares them",
        "event ours Normal Updated: Updated *",
        "event theirs Normal Updated: Updated *",
        "event ours * LLMInferenceService*Ready: *",
        "event theirs * LLMInferenceService*Ready: *",
    ),
    because(
        "FORM-1: what an API server without image volumes leaves of pods is remembered with what was sent",
        "apps/v1/deployments/svc-kserve metadata.annotations :: {'aioctl.dev/sent': *",
        "apps/v1/deployments/svc-kserve metadata.annotations.aioctl.dev/sent",
    ),
)
"""Of any case, and only on a real API server."""

__all__ = ["CASES", "EMBEDDED", "EVERYWHERE", "LLM", "REAL", "undecided", "unused"]


def undecided(name: str, found: Mapping[str, str], *, others: Iterable[Reason] = ()) -> dict[str, str]:
    """The differences of the case that no decision covers, nor one of the `others`."""
    patterns = tuple(_patterns((*EVERYWHERE, *CASES.get(name, ()), *others)))
    return {
        line: values
        for line, values in found.items()
        if not any(_covers(pattern, line, values) for pattern in patterns)
    }


def unused(reasons: Iterable[Reason], found: Iterable[tuple[str, str]]) -> list[str]:
    """The patterns that cover none of the differences, which are lines and values."""
    lines = list(found)
    return [
        pattern
        for pattern in _patterns(reasons)
        if not any(_covers(pattern, line, values) for line, values in lines)
    ]


def _patterns(reasons: Iterable[Reason]) -> Iterator[str]:
    return (pattern for reason in reasons for pattern in reason.patterns)


def _covers(pattern: str, line: str, values: str) -> bool:
    return fnmatchcase(f"{line}{_VALUES}{values}" if _VALUES in pattern else line, pattern)
