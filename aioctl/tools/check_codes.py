"""The codes that `aioctl check` finds, by group; see `codes.py` for the rest."""

from collections.abc import Mapping
from typing import Final

from aioctl.tools.codes import Code

_APPLY = "apply the release's manifests again: kubectl apply --server-side -k deploy/base"

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
}
"""Group -> its title, in the order of the checks."""

CHECK: Final[Mapping[str, Code]] = {
    code: Code(code, see, why, cure)
    for code, see, why, cure in (
        ("AIO-CLU-001", "an old API server", "the controller is tested from Kubernetes 1.30 on", "upgrade the cluster"),
        ("AIO-CLU-002", "something that may not be read", "the command's user lacks a right", "ask for the right that the line names, or run the check as an administrator"),
        ("AIO-CRD-001", "a CRD of ours is not installed", "nothing of ours can be stored", _APPLY),
        ("AIO-CRD-002", "a CRD of ours does not serve v1alpha1 and v1alpha2", "clients of the missing version fail", _APPLY),
        ("AIO-CRD-003", "a CRD of ours does not store v1alpha2", "fields that v1alpha1 lacks are lost", _APPLY),
        ("AIO-CRD-004", "a CRD of ours has no conversion webhook", "the API server copies fields between the versions instead of converting them", _APPLY),
        ("AIO-CRD-005", "a CRD's conversion calls a Service that does not exist", "every read in the other version fails", "point spec.conversion at the controller's Service, or install it; " + _APPLY),
        ("AIO-EXT-001", "Gateway API is not installed", "no route can be made", "install the Gateway API CRDs (standard channel)"),
        ("AIO-EXT-002", "the v1 InferencePool is not installed", "traffic stays on v1alpha2", "install the CRD inferencepools.inference.networking.k8s.io; no restart is needed"),
        ("AIO-EXT-003", "no InferencePool is installed at all", "no service with a scheduler gets a pool", "install the CRDs of Gateway API Inference Extension"),
        ("AIO-EXT-004", "LeaderWorkerSet is not installed and a service has several nodes", "its workload cannot be made", "install LeaderWorkerSet"),
        ("AIO-HOOK-001", "a webhook of ours is missing", "objects of that version are not validated, or get no finalizer as they are created", _APPLY),
        ("AIO-HOOK-002", "a webhook of ours calls a Service that does not exist", "every write is refused", "install the Service, or point the webhook at the controller's; " + _APPLY),
        ("AIO-HOOK-003", "a create as a dry run fails", "conversion or admission do not answer the API server", "do what the API server's message says: most often no replica is ready, a NetworkPolicy is in between, or the caBundle does not fit"),
        ("AIO-HOOK-004", "a create as a dry run is slow", "every write waits for it", "give the controller more CPU, and look at aioctl_webhook_duration_seconds"),
        ("AIO-CERT-001", "a caBundle is missing", "the API server trusts the webhook only by its own authorities", "mode self: see that the controller runs and may patch it; mode files: let cert-manager or OpenShift inject it"),
        ("AIO-CERT-002", "a caBundle cannot be read", "every call of that webhook fails", "take the value out: whoever owns the certificate writes it anew"),
        ("AIO-CERT-003", "the authority in a caBundle has expired", "every call of that webhook fails", "renew the certificate; mode self does so while a controller runs"),
        ("AIO-CERT-004", "caBundles differ", "some of the webhooks trust another authority than the rest", "wait for a rotation to end; if it stays, take the odd one out: whoever owns the certificate writes it anew"),
        ("AIO-RBAC-001", "no ClusterRoleBinding names the controller's account", "it may not do anything", _APPLY),
        ("AIO-RBAC-002", "the controller's account lacks a right", "what needs it fails", _APPLY),
        ("AIO-LEAD-001", "no controller is installed", "nobody reconciles", _APPLY),
        ("AIO-LEAD-002", "no replica of the controller is ready", "webhooks do not answer", "look at its pods: `kubectl describe pod -l app.kubernetes.io/name=aioctl`"),
        ("AIO-LEAD-003", "nobody leads", "nothing is reconciled", "look at the log of the controller: it says why it cannot take the lease"),
        ("AIO-LEAD-004", "the lease has run out", "nothing is reconciled", "look at the log of the holder; another replica takes the lease by itself"),
        ("AIO-PRE-001", "a preset is missing", "services that need it cannot be combined", "kubectl apply --server-side -k deploy/presets"),
        ("AIO-PRE-002", "a preset differs from that of this release", "services follow what is installed; one changed byte restarts their model servers", "nothing, if it is meant; else compare it with `kubectl diff -k deploy/presets`"),
        ("AIO-GW-001", "a gateway's class does not exist", "no controller looks at the gateway", "install the gateway's controller, or correct gatewayClassName"),
        ("AIO-GW-002", "a gateway is not Programmed", "it carries no traffic", "look at its listeners and at its controller's log"),
        ("AIO-GW-003", "a gateway class says that it does not know InferencePools", "routes to pools are refused", "switch the controller's Inference Extension on, or upgrade it"),
        ("AIO-STORE-001", "objects may still be stored in an old version", "the version cannot be taken out of the CRD", "let the controller migrate the storage (AIOCTL_STORAGE_MIGRATION=true)"),
        ("AIO-LEFT-001", "a webhook of another controller judges our kinds and calls a Service that does not exist", "every write of them is refused", "delete that webhook configuration"),
        ("AIO-LEFT-002", "KServe's own LLM controller runs", "it holds the same lease: one of the two waits", "scale llmisvc-controller-manager to zero"),
        ("AIO-FIN-001", "an object of ours has a finalizer of somebody else", "it holds up a deletion, and an uninstall, until its owner takes it off", "make sure that its owner runs, or take the finalizer off before the uninstall"),
        ("AIO-FIN-002", "an object of ours has been going for long", "a finalizer is not taken off", "see who owns the finalizer; ours goes once the controller runs: `aioctl check` says whether"),
    )
}  # fmt: skip
"""Code -> its entry."""
