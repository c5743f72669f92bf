"""What can be wrong, by stable code: what one sees, why it is so, and what to do. `explain` ends in one, `check` finds them.

Codes are a promise: one is never given to something else. `docs/codes.md` is made of these tables.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aioctl.plan.migration import Reason

PAGE: Final = "docs/codes.md"


@dataclass(frozen=True, slots=True)
class Code:
    """One entry. `see`: the symptom in a few words; `why`; `cure`: what to do, as an order."""

    code: str
    see: str
    why: str
    cure: str

    @property
    def page(self) -> str:
        """Where it is described."""
        return f"{PAGE}#{self.code.lower()}"


_LOOK: Final = (
    "read the message: it is the API server's or the builder's own sentence and names the object or field"
)

SERVICE: Final[Mapping[str, Code]] = {
    reason: Code(f"AIO-SVC-{number:03}", reason, why, cure)
    for number, (reason, why, cure) in {
        1: (
            "CombineBaseError",
            "presets, baseRefs and service cannot be merged or rendered, or the ConfigMap inferenceservice-config cannot be read",
            "correct the preset, baseRef or field that the message names; `aioctl render -f FILE` shows the outcome without a cluster",
        ),
        2: (
            "ConfigNotFound",
            "a config that the service names is neither in its namespace nor in that of the controller",
            "create the LLMInferenceServiceConfig that the message names, or take it out of spec.baseRefs",
        ),
        3: (
            "PlanTooExpensive",
            "planning the service ended a process at a limit of time or memory",
            "make the spec or the configs it names smaller; a change of either is tried at once",
        ),
        4: ("Stopped", "the service carries serving.kserve.io/stop: true", "`aioctl start NAME`, or remove the annotation serving.kserve.io/stop"),
        5: ("ReconcileCertsError", "the service's TLS Secret could not be made or written", f"{_LOOK}; often a Secret of that name belongs to somebody else"),
        6: ("ReconcileSingleNodeWorkloadError", "a Deployment of the service could not be built or written", _LOOK),
        7: ("ReconcileMultiNodeWorkloadError", "a LeaderWorkerSet of the service could not be built or written", f"{_LOOK}; LeaderWorkerSet has to be installed"),
        8: ("ReconcileWorkloadServiceError", "the Service in front of the workload could not be made", f"{_LOOK}; a name that is too long or taken is cured by another name of the service"),
        9: ("ReconcileScalingError", "the autoscaler could not be written", _LOOK),
        10: ("ScalingCRDNotFound", "spec.scaling asks for KEDA, and its CRDs are not installed", "install KEDA, or take keda out of spec.scaling"),
        11: ("HPAProgressing", "the HorizontalPodAutoscaler has not spoken yet", "wait a minute; then look at `kubectl describe hpa` and at the metrics server"),
        12: ("ScaledObjectProgressing", "KEDA has not answered for the ScaledObject", "wait a minute; then look at `kubectl describe scaledobject` and at the KEDA operator"),
        13: ("SchedulerReconcileError", "the endpoint picker's objects could not be built or written", f"{_LOOK}; a service account that it names has to exist"),
        14: ("WaitingForGateway", "a gateway of the service has not said anything about the InferencePool", "check that the gateway's controller runs and supports the Inference Extension; `aioctl check` says which does"),
        15: ("InferencePoolNotReady", "a gateway of the service does not accept the InferencePool", "do what the gateway's message says; most often the endpoint picker's Service or port is wrong"),
        16: ("InferencePoolFetchError", "the InferencePool could not be read", "give the controller's account get and list on inferencepools, or wait for the API server"),
        17: ("HTTPRoutesNotReady", "a parent of a route has not accepted it, or a rule sends traffic nowhere", "do what the parent's message says; `aioctl status NAME` shows every parent"),
        18: ("HTTPRouteReconcileError", "the HTTPRoute or its protection could not be built or written", _LOOK),
        19: ("HTTPRouteFetchError", "a route that the service refers to could not be read", "create the HTTPRoute that the message names, or correct spec.router.route.http.refs"),
        20: ("RefsInvalid", "the service refers to a gateway or route that is not there, or routes that do not lead to its gateways", "create what the message names, or correct spec.router"),
        21: ("PlatformNetworkingReconcileError", "a DestinationRule could not be written", _LOOK),
        22: ("GatewaysNotReady", "a gateway of the service is not Programmed", "look at the Gateway: its class, its listeners, its controller's log"),
        23: ("GatewayFetchError", "a gateway of the service could not be read", "create the Gateway that the message names, or correct spec.router.gateway.refs"),
        24: ("InvalidRenderedConfig", "the API server refuses the combined spec in a dry run", "correct the preset, baseRef or field that the message names"),
        25: ("NewObservedGenFailure", "the present generation of the service was never reconciled to its end", "look at the service's events and at who leads: `aioctl check`"),
        26: ("Progressing", "a workload is being rolled out", "wait; if it stays, look at its pods"),
        27: ("ProgressDeadlineExceeded", "a rollout made no progress within its deadline", "look at the pods of the new ReplicaSet: image, resources, probes"),
        28: ("MinimumReplicasUnavailable", "fewer pods are ready than asked for", "look at the pods that are not: image, resources, probes, nodes"),
        29: ("NotReconciled", "the service has no status: no controller has looked at it", "look at who leads and whether its webhooks answer: `aioctl check`"),
        31: ("ValidationUnavailable", "the combined spec could not be put before the API server in a dry run", "wait, and look whether the webhooks answer: `aioctl check`"),
        32: ("FinalizationPending", "the service is being deleted, and the route of another member of its traffic group still leads to it", "wait for the member that the message names; `aioctl explain` of it says what it waits for"),
        33: ("MemberDivergence", "the service has another model or other adapters than its traffic group, and takes no part in its traffic", "give it the group's model and adapters, or another spec.router.route.group"),
        34: ("MemberPoolGeneration", "the service has no InferencePool of the generation that its traffic group's route is on", "let its migration go on: `aioctl status NAME` says what it waits for"),
        35: ("ImageVolumeUnsupported", "the API server's version has no image volumes, by which the model shall come", "upgrade the cluster to 1.35, or let the model come another way than oci+native:// and ociModelMode: native"),
        36: ("ImageVolumeSubPathUnsupported", "the API server's version has image volumes without subPath", "upgrade the cluster to 1.35, or let the model come another way than oci+native:// and ociModelMode: native"),
        37: ("ImageVolumeAlpha", "the API server's version has image volumes behind a feature gate", "switch the feature gate ImageVolume on, or upgrade the cluster to 1.35"),
        38: ("HeldBack", "the pods keep the form that another controller or an earlier release gave them", "nothing is broken; `aioctl diff NAME` shows what the present form changes, and a change of the service's own spec brings it"),
        39: ("WaitsForRollout", "the pods are to take the present form, and wait for their turn", "nothing to do: services take turns"),
        40: ("GatewayPreconditionNotMet", "requests must be authenticated, and nothing that could do that is installed: there is no managed route", "install Red Hat Connectivity Link, or set the annotation security.opendatahub.io/enable-auth to false"),
        41: ("ReconcileWorkloadPermissionsError", "on OpenShift, the RoleBinding by which pods of several nodes may use their SCC could not be made or written", f"{_LOOK}; the controller's account has to hold the SCC's role itself"),
        30: ("NotPlanned", "the service cannot be planned", "correct what the message names; `aioctl render -f FILE` shows the outcome without a cluster"),
    }.items()
}  # fmt: skip
"""Reason of a condition, or of the absence of one -> its entry. Reasons of Deployments that are not here end in `OTHER`."""

OTHER: Final = Code(
    "AIO-SVC-099",
    "another reason",
    "KServe hands on the reason of the object below",
    "do what the message of the object says",
)

_WAIT: Final = "nothing to do: traffic stays where it is until it is so"
MIGRATION: Final[Mapping[Reason, Code]] = {
    reason: Code(f"AIO-MIG-{number:03}", reason.value, why, cure)
    for number, (reason, why, cure) in {
        1: (Reason.NO_MANAGED_ROUTE, "the route is not ours to write", "weigh the two InferencePools in your own HTTPRoute, or let the service have a managed one (spec.router.route: {})"),
        2: (Reason.NO_SCHEDULER, "without a scheduler the route points at the workload", "nothing to do: there is no InferencePool to migrate"),
        3: (Reason.LOCKED, "traffic has moved to the v1 InferencePool for good", "nothing to do"),
        4: (Reason.V1_POOL_READY, "the v1 InferencePool is ready", "nothing to do: the write that moves traffic is on its way"),
        5: (Reason.V1ALPHA2_NOT_SERVED, "the cluster serves the v1 InferencePool only", "nothing to do: v1 is all there is"),
        6: (Reason.V1ALPHA2_REFUSED, "every gateway refuses the v1alpha2 reference that carries the traffic, and serves v1", "nothing to do: the write that moves traffic is on its way"),
        7: (Reason.EXTERNAL_POOL_FOUND, "a v1 InferencePool of the name in pool.ref exists", "nothing to do: the write that moves traffic is on its way"),
        8: (Reason.V1_NOT_SERVED, "the CRD of the v1 InferencePool is not installed", "install the CRD inferencepools.inference.networking.k8s.io; no restart is needed"),
        9: (Reason.V1_POOL_MISSING, "the v1 InferencePool does not exist yet", "wait for the controller, which paces creations; if pool.ref names a pool of yours, create the v1 one"),
        10: (Reason.V1_POOL_NOT_READY, "a gateway of the route has not accepted the v1 InferencePool", "upgrade the gateway's controller or switch its support for the v1 Inference Extension on; until then traffic stays on v1alpha2"),
        11: (Reason.NOT_KNOWN, "a read failed, so nothing is changed", f"give access to what could not be read, or wait for the API server; {_WAIT}"),
        12: (Reason.GATEWAY_REFUSES_V1, "a gateway refuses the v1 reference (ResolvedRefs InvalidKind)", "upgrade that gateway's controller, or `aioctl strategy NAME swap` (annotation aioctl.dev/migration-strategy)"),
        13: (Reason.MIXED_REFERENCES_REFUSED, "every gateway refuses a route that names both generations", "`aioctl strategy NAME swap` (annotation aioctl.dev/migration-strategy), or set AIOCTL_MIGRATION_STRATEGY=swap for all"),
        14: (Reason.PAUSED, "the service carries aioctl.dev/migration: paused", "`aioctl resume NAME` to go on, or remove the annotation aioctl.dev/migration"),
        15: (Reason.STRATEGY_HOLD, "strategy hold keeps traffic on v1alpha2", "`aioctl strategy NAME auto` to go on, or weighted or swap (annotation aioctl.dev/migration-strategy)"),
        16: (Reason.GATEWAY_SERVES_V1, "every gateway of the route has resolved a reference to the v1 InferencePool", "nothing to do: the write that moves traffic is on its way"),
        17: (Reason.GATEWAY_SERVES_NO_POOL, "a gateway refuses the InferencePools of both generations, so every request fails", "switch its inference extension on, as the message says"),
        18: (Reason.WAITS_FOR_BUDGET, "other services are on the move, or the window for moves is closed", "nothing to do: it moves when its turn comes; AIOCTL_MIGRATION_BUDGET and AIOCTL_MIGRATION_WINDOW say how many and when"),
        19: (Reason.GATEWAY_ASKED, "every gateway serves both InferencePool generations, and is asked whether it takes both in one rule, or has yet to resolve the route that has both", "nothing to do: gateways say so within seconds, and after ten the move goes on without; if it stays, look at the gateway controller's log"),
    }.items()
}  # fmt: skip
"""Reason of the migration -> its entry."""

BELOW: Final[Mapping[str, Code]] = {
    reason: Code(f"AIO-OBJ-{number:03}", reason, why, cure)
    for number, (reason, why, cure) in {
        1: ("InvalidKind", "the gateway does not know the kind that the route refers to", "upgrade the gateway's controller or switch its Inference Extension on; or `aioctl strategy NAME swap` (annotation aioctl.dev/migration-strategy)"),
        2: ("BackendNotFound", "the route names a pool or Service that is not there", "use the name that the message gives, or create the object"),
        3: ("RefNotPermitted", "the route refers into another namespace without permission", "create a ReferenceGrant in the namespace of the object"),
        4: ("NoMatchingParent", "no listener of the gateway fits the route's port or section", "correct the route's parentRef, or add the listener"),
        5: ("NotAllowedByListeners", "the gateway's listeners do not admit routes of this namespace", "set allowedRoutes of the listener to this namespace, or use another gateway"),
        6: ("NoMatchingListenerHostname", "no listener has the route's host name", "correct the route's hostnames, or add the listener"),
        7: ("ImagePullBackOff", "the image cannot be pulled", "correct the image's name or give the service account its pull secret"),
        8: ("ErrImagePull", "the image cannot be pulled", "correct the image's name or give the service account its pull secret"),
        9: ("CrashLoopBackOff", "the container ends again and again", "read its log: `kubectl logs POD -c CONTAINER --previous`"),
        10: ("OOMKilled", "the container took more memory than it may", "raise its memory limit, or shrink the model's cache"),
        11: ("Unschedulable", "no node has room for the pod", "free or add nodes with the resources that the message counts, or ask for less"),
        12: ("CreateContainerConfigError", "a ConfigMap, Secret or key that the container needs is not there", "create what the message names"),
        13: ("GatewayClassNotFound", "the gateway's class does not exist, so no controller looks at it", "install the gateway's controller, or correct gatewayClassName"),
        14: ("GatewayNotFound", "the gateway that the route hangs on does not exist", "create the Gateway, or correct spec.router.gateway.refs"),
        15: ("HasSaidNothing", "the gateway's controller has said nothing", "check that the controller of its class runs and supports this kind"),
        16: ("IsStale", "the gateway's answer is of an earlier generation", "wait; if it stays, look at its controller's log"),
    }.items()
}  # fmt: skip
"""Reason of an object below a condition -> its entry: better than the condition's own, as it is nearer the cause."""


def every() -> list[Code]:
    """All codes in order."""
    found = [*SERVICE.values(), OTHER, *MIGRATION.values(), *BELOW.values()]
    return sorted(found, key=lambda one: one.code)
