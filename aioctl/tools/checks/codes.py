"""The codes that `aioctl check` finds, by group; see `codes.py` for the rest."""

from collections.abc import Mapping
from typing import Final

from aioctl.tools.codes import Code

_APPLY: Final = "apply the release's manifests again: kubectl apply --server-side -k deploy/base"

GROUPS: Final[Mapping[str, str]] = {
    "CLU": "cluster",
    "CRD": "our CRDs",
    "EXT": "CRDs of others",
    "HOOK": "webhooks, through the API server",
    "CERT": "certificates",
    "RBAC": "permissions of the controller",
    "LEAD": "controller and leader",
    "PRE": "presets",
    "GW": "gateways",
    "STORE": "stored versions",
    "LEFT": "leftovers of KServe's Go controller",
    "FIN": "finalizers",
    "TAKE": "taking over from KServe's controller",
    "FILE": "the files",
}
"""Group -> its title, in the order of the checks."""

CHECK: Final[Mapping[str, Code]] = {
    code: Code(code, see, why, cure)
    for code, see, why, cure in (
        ("AIO-CLU-001", "an old API server", "the controller is tested from Kubernetes 1.30 on", "upgrade the cluster"),
        ("AIO-CLU-002", "something that may not be read", "the command's user lacks a right", "ask for the right that the line names, or run the check as an administrator"),
        ("AIO-CLU-003", "something that could not be read, though nobody forbids it", "the API server does not answer, or fails", "see `kubectl get --raw '/readyz?verbose'`, and run the check again when the API server is well"),
        ("AIO-CRD-001", "a CRD of ours is not installed", "nothing of ours can be stored", _APPLY),
        ("AIO-CRD-002", "a CRD of ours does not serve v1alpha1 and v1alpha2", "clients of the missing version fail", _APPLY),
        ("AIO-CRD-003", "a CRD of ours does not store v1alpha2", "fields that v1alpha1 lacks are lost", _APPLY),
        ("AIO-CRD-004", "a CRD of ours has no conversion webhook", "the API server copies fields between the versions instead of converting them", _APPLY),
        ("AIO-CRD-005", "a CRD's conversion calls a Service that does not exist", "every read in the other version fails", "point spec.conversion at the controller's Service, or install it; " + _APPLY),
        ("AIO-CRD-006", "the schema of a CRD of ours lacks fields of this release", "whoever sets one of them loses it without a word", _APPLY),
        ("AIO-CRD-007", "an object was given fields that the schema drops", "what they ask for does not happen", "apply the CRDs of the release that has the fields and the object again, or take the fields out of it"),
        ("AIO-EXT-001", "Gateway API is not installed", "no route can be made", "install the Gateway API CRDs (standard channel)"),
        ("AIO-EXT-002", "the v1 InferencePool is not installed", "traffic stays on v1alpha2", "install the CRD inferencepools.inference.networking.k8s.io; no restart is needed"),
        ("AIO-EXT-003", "no InferencePool is installed at all", "no service with a scheduler gets a pool", "install the CRDs of Gateway API Inference Extension"),
        ("AIO-EXT-004", "LeaderWorkerSet is not installed and a service has several nodes", "its workload cannot be made", "install LeaderWorkerSet"),
        ("AIO-EXT-005", "a CRD of others does not serve the version that is used", "objects of that kind can neither be read nor made", "upgrade the CRD to a release that serves the version"),
        ("AIO-EXT-006", "KEDA is not installed and a service asks for it", "its autoscaler cannot be made", "install KEDA, or take keda out of spec.scaling"),
        ("AIO-HOOK-001", "a webhook of ours is missing", "objects of that version are not validated, or get no finalizer as they are created", _APPLY),
        ("AIO-HOOK-002", "a webhook of ours calls a Service that does not exist", "every write is refused", "install the Service, or point the webhook at the controller's; " + _APPLY),
        ("AIO-HOOK-003", "a create as a dry run fails", "conversion or admission do not answer the API server", "do what the API server's message says: most often no replica is ready, a NetworkPolicy is in between, or the caBundle does not fit"),
        ("AIO-HOOK-004", "a create as a dry run is slow", "every write waits for it", "give the controller more CPU, and look at aioctl_webhook_duration_seconds"),
        ("AIO-CERT-001", "a caBundle is missing", "the API server trusts the webhook only by its own authorities", "mode self: see that the controller runs and may patch it; mode files: let cert-manager or OpenShift inject it"),
        ("AIO-CERT-002", "a caBundle cannot be read", "every call of that webhook fails", "take the value out: whoever owns the certificate writes it anew"),
        ("AIO-CERT-003", "the authority in a caBundle has expired", "every call of that webhook fails", "renew the certificate; mode self does so while a controller runs"),
        ("AIO-CERT-004", "caBundles differ", "some of the webhooks trust another authority than the rest", "wait for a rotation to end; if it stays, take the odd one out: whoever owns the certificate writes it anew"),
        ("AIO-CERT-005", "a caBundle does not trust the certificate that is served", "every call of that webhook fails", "mode self: see that the controller runs and may patch it; mode files: let cert-manager or OpenShift inject the bundle of the authority that signed the certificate"),
        ("AIO-CERT-006", "the served certificate has expired", "every call of every webhook fails", "mode self renews it while a controller runs; mode files: ask cert-manager or OpenShift why not"),
        ("AIO-CERT-007", "the Secret has no certificate that can be read", "the webhook server cannot start", "mode self: delete the Secret, it is made anew; mode files: let cert-manager or OpenShift fill it"),
        ("AIO-CERT-008", "the served certificate expires within a week", "it should have been renewed by now", "mode self renews it while a controller runs: look at its log; mode files: ask cert-manager or OpenShift why not"),
        ("AIO-RBAC-001", "no ClusterRoleBinding names the controller's account", "it may not do anything", _APPLY),
        ("AIO-RBAC-002", "the controller's account lacks a right", "what needs it fails", _APPLY),
        ("AIO-LEAD-001", "no controller is installed", "nobody reconciles", _APPLY),
        ("AIO-LEAD-002", "no replica of the controller is ready", "webhooks do not answer", "look at its pods: `kubectl describe pod -l app.kubernetes.io/name=aioctl`"),
        ("AIO-LEAD-003", "nobody leads", "nothing is reconciled", "look at the log of the controller: it says why it cannot take the lease"),
        ("AIO-LEAD-004", "the lease has run out", "nothing is reconciled", "look at the log of the holder; another replica takes the lease by itself"),
        ("AIO-LEAD-005", "a controller leads in another namespace", "two controllers write the same objects", "end one of them: they exclude each other only within a namespace"),
        ("AIO-LEAD-006", "a controller runs outside of the cluster", "it ends with the terminal or the machine where it was started, and webhooks may not be reached", "nothing if that is meant, as in the demo or with `aioctl run --kubeconfig`; else install the release: kubectl apply --server-side -k deploy/base"),
        ("AIO-PRE-001", "a preset is missing", "services that need it cannot be combined", "kubectl apply --server-side -k deploy/presets"),
        ("AIO-PRE-002", "a preset differs from that of this release", "services follow what is installed; one changed byte restarts their model servers", "nothing, if it is meant; else compare it with `kubectl diff -k deploy/presets`"),
        ("AIO-PRE-003", "a config does not render", "services that it is part of cannot be combined", "correct the template that the message names"),
        ("AIO-PRE-004", "the ConfigMap inferenceservice-config cannot be used", "no service can be combined", "kubectl apply --server-side -f deploy/base/configmap.yaml, or correct the key that the message names"),
        ("AIO-GW-001", "a gateway's class does not exist", "no controller looks at the gateway", "install the gateway's controller, or correct gatewayClassName"),
        ("AIO-GW-002", "a gateway is not Programmed", "it carries no traffic", "look at its listeners and at its controller's log"),
        ("AIO-GW-003", "a gateway class says that it does not know InferencePools", "routes to pools are refused", "switch the controller's Inference Extension on, or upgrade it"),
        ("AIO-GW-004", "a gateway refuses the InferencePools of both generations", "every request through it to a pool fails", "switch its inference extension on, as the line says"),
        ("AIO-GW-005", "a gateway refuses the v1 InferencePool", "its services stay on v1alpha2", "upgrade the gateway's controller, or switch its support on, as the line says"),
        ("AIO-STORE-001", "objects may still be stored in an old version", "the version cannot be taken out of the CRD", "let the controller migrate the storage (AIOCTL_STORAGE_MIGRATION=true)"),
        ("AIO-LEFT-001", "a webhook of another controller judges our kinds and calls a Service that does not exist", "every write of them is refused", "delete that webhook configuration"),
        ("AIO-LEFT-002", "KServe's own LLM controller runs", "it holds the same lease: one of the two waits", "scale llmisvc-controller-manager to zero"),
        ("AIO-LEFT-003", "a role or binding of KServe's LLM controller is left", "it gives rights that nobody uses", "delete it, once you do not want to go back"),
        ("AIO-LEFT-004", "KServe's combined manager may still write our kinds", "two controllers write the same objects", 'take llminferenceservices out of its ClusterRole, as docs/operations.md says under "Take over"'),
        ("AIO-FIN-001", "an object of ours has a finalizer of somebody else", "it holds up a deletion, and an uninstall, until its owner takes it off", "make sure that its owner runs, or take the finalizer off before the uninstall"),
        ("AIO-FIN-002", "an object of ours has been going for long", "a finalizer is not taken off", "see who owns the finalizer; ours goes once the controller runs: `aioctl check` says whether"),
        ("AIO-FIN-003", "a route, pool or CRD of ours has a finalizer of somebody else", "it stays behind at an uninstall until its owner takes the finalizer off", "make sure that its owner runs, or take the finalizer off before the uninstall"),
        ("AIO-TAKE-001", "an object has fields that this controller does not know", "they are dropped at the next write", "take the fields out, or report them as missing"),
        ("AIO-TAKE-002", "a config does not render here", "services that it is part of cannot be combined, and keep what they have", "correct the template; a function that the message does not know is one that this controller lacks: report it"),
        ("AIO-TAKE-003", "pods would be restarted, made or taken away", "something of the service differs in what makes its pods", "see `aioctl diff NAME`: it shows each field and whose it is"),
        ("AIO-TAKE-004", "objects would change without a restart", "this controller writes them another way", "see `aioctl diff NAME`"),
        ("AIO-TAKE-005", "a service cannot be planned", "nothing of it would be reconciled", "do what the message says; `aioctl diff NAME` shows how far it comes"),
        ("AIO-TAKE-006", "admission here refuses an object that is stored", "it can be kept, and not be changed until it is correct", "correct the fields that the message names"),
        ("AIO-TAKE-007", "workload Services are https, and the ConfigMap inferenceservice-config does not say whether model servers speak TLS", "silence means plain HTTP: Services, addresses and endpoint pickers change to it at once, while model servers that keep their form still speak TLS, and lose it with their next rollout", "before taking over, set enableLLMInferenceServiceTLS in its key ingress: true keeps TLS, false says that plain HTTP is meant; the controller never writes it"),
        ("AIO-FILE-001", "a field that no version has", "the API server drops it without a word", "correct the field's name or place"),
        ("AIO-FILE-002", "an object that admission refuses", "it cannot be applied", "correct the field that the message names"),
        ("AIO-FILE-003", "a service that cannot be rendered", "it would not become Ready", "do what the message says; `aioctl render -f FILE` shows how far it comes"),
        ("AIO-FILE-004", "an object of another API version of our kinds", "no CRD serves it", "use serving.kserve.io/v1alpha2 or v1alpha1"),
        ("AIO-FILE-006", "a value that the CRD's schema refuses: its type, its bounds, something twice in a list, a validation rule", "it cannot be applied", "correct the field that the message names"),
        ("AIO-FILE-005", "something that has no effect, or is deprecated", "admission would warn of it", "do what the message says, or leave it"),
    )
}  # fmt: skip
"""Code -> its entry."""
