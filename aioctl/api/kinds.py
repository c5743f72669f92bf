"""The kinds this program reads or writes, each with the group, version and plural under which it is addressed.

One table, no behaviour beyond addressing: what a kind means stands in the modules that build or read it.
Names of types in texts follow the Go controller (CHILD-2): `v1.Deployment`, `v1alpha2pool.InferencePool`.
"""

from enum import Enum
from typing import Final, NamedTuple
from urllib.parse import quote

GROUP: Final = "serving.kserve.io"
V1ALPHA1: Final = f"{GROUP}/v1alpha1"
V1ALPHA2: Final = f"{GROUP}/v1alpha2"
POOL_GROUP_V1: Final = "inference.networking.k8s.io"
POOL_GROUP_V1ALPHA2: Final = "inference.networking.x-k8s.io"


class ObjectKey(NamedTuple):
    """Namespace and name of one object; the namespace of cluster-scoped objects is empty."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Kind(NamedTuple):
    """One resource type at one version. A tuple, because every read looks some up in dicts and compares others."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True
    optional: bool = False
    """The CRD belongs to somebody else and may be missing (CRD-1)."""
    title: str = ""
    """How texts call it; empty means `<version>.<kind>`."""

    @property
    def api_version(self) -> str:
        """`v1` for the core group, `<group>/<version>` otherwise."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """`<plural>[.<group>]`, as API server texts and CRD names spell it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def type_name(self) -> str:
        """The name texts and events use, such as `v1.Deployment` (CHILD-2)."""
        return self.title or f"{self.version}.{self.kind}"

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """URL path of the collection (no name), one object, or one of its subresources.

        Raises ValueError for a namespace or name that would lead elsewhere, such as `../other`.
        """
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", _segment(namespace)]
        parts.append(self.plural)
        if name:
            parts.append(_segment(name))
        if subresource:
            parts.append(subresource)
        return "/".join(parts)

    def not_found(self, name: str) -> str:
        """The text of a cached read that finds nothing: the kind, not the plural (COND-2)."""
        dotted = f"{self.kind}.{self.group}" if self.group else self.kind
        return f'{dotted} "{name}" not found'


def _segment(name: str) -> str:
    """A name as one segment of a URL path; what no API server takes as a name (as client-go checks it) is refused."""
    if name in (".", "..") or "/" in name or "%" in name:
        raise ValueError(f"{name!r} cannot be the name of an object")
    return quote(name, safe="!$&'()*+,;=:@")


class Served(Enum):
    """Whether the API server serves a kind. UNKNOWN: discovery failed or was not asked yet; never treated as NO."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class ObjectRef(NamedTuple):
    """One object of one kind."""

    kind: Kind
    namespace: str
    name: str

    @property
    def key(self) -> ObjectKey:
        return ObjectKey(self.namespace, self.name)

    def __str__(self) -> str:
        return f"{self.kind.type_name} {self.namespace}/{self.name}"


SERVICE: Final = Kind(GROUP, "v1alpha2", "LLMInferenceService", "llminferenceservices")
SERVICE_V1ALPHA1: Final = Kind(GROUP, "v1alpha1", "LLMInferenceService", "llminferenceservices")
CONFIG: Final = Kind(GROUP, "v1alpha2", "LLMInferenceServiceConfig", "llminferenceserviceconfigs")
CONFIG_V1ALPHA1: Final = Kind(GROUP, "v1alpha1", "LLMInferenceServiceConfig", "llminferenceserviceconfigs")

CONFIG_MAP: Final = Kind("", "v1", "ConfigMap", "configmaps")
SECRET: Final = Kind("", "v1", "Secret", "secrets")
SERVICE_ACCOUNT: Final = Kind("", "v1", "ServiceAccount", "serviceaccounts")
CORE_SERVICE: Final = Kind("", "v1", "Service", "services")
POD: Final = Kind("", "v1", "Pod", "pods")
NAMESPACE: Final = Kind("", "v1", "Namespace", "namespaces", namespaced=False)
EVENT: Final = Kind("events.k8s.io", "v1", "Event", "events")
DEPLOYMENT: Final = Kind("apps", "v1", "Deployment", "deployments")
ROLE: Final = Kind("rbac.authorization.k8s.io", "v1", "Role", "roles")
ROLE_BINDING: Final = Kind("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings")
CLUSTER_ROLE: Final = Kind("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", namespaced=False)
CLUSTER_ROLE_BINDING: Final = Kind(
    "rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", namespaced=False
)
TOKEN_REVIEW: Final = Kind("authentication.k8s.io", "v1", "TokenReview", "tokenreviews", namespaced=False)
ACCESS_REVIEW: Final = Kind(
    "authorization.k8s.io", "v1", "SubjectAccessReview", "subjectaccessreviews", namespaced=False
)
LEASE: Final = Kind("coordination.k8s.io", "v1", "Lease", "leases")
CRD: Final = Kind(
    "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False
)
VALIDATING_WEBHOOK: Final = Kind(
    "admissionregistration.k8s.io",
    "v1",
    "ValidatingWebhookConfiguration",
    "validatingwebhookconfigurations",
    namespaced=False,
)
MUTATING_WEBHOOK: Final = Kind(
    "admissionregistration.k8s.io",
    "v1",
    "MutatingWebhookConfiguration",
    "mutatingwebhookconfigurations",
    namespaced=False,
)

POOL_V1: Final = Kind(POOL_GROUP_V1, "v1", "InferencePool", "inferencepools", optional=True)
POOL_V1ALPHA2: Final = Kind(
    POOL_GROUP_V1ALPHA2,
    "v1alpha2",
    "InferencePool",
    "inferencepools",
    optional=True,
    title="v1alpha2pool.InferencePool",
)
MODEL: Final = Kind(
    POOL_GROUP_V1ALPHA2,
    "v1alpha2",
    "InferenceModel",
    "inferencemodels",
    optional=True,
    title="v1alpha2 InferenceModel",
)
HTTP_ROUTE: Final = Kind("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes", optional=True)
GATEWAY: Final = Kind("gateway.networking.k8s.io", "v1", "Gateway", "gateways", optional=True)
GATEWAY_CLASS: Final = Kind(
    "gateway.networking.k8s.io", "v1", "GatewayClass", "gatewayclasses", namespaced=False, optional=True
)
LEADER_WORKER_SET: Final = Kind(
    "leaderworkerset.x-k8s.io", "v1", "LeaderWorkerSet", "leaderworkersets", optional=True
)
RESOURCE_CLAIM_TEMPLATE: Final = Kind(
    "resource.k8s.io", "v1", "ResourceClaimTemplate", "resourceclaimtemplates", optional=True
)
AUTOSCALER: Final = Kind("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
SCALED_OBJECT: Final = Kind("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects", optional=True)
DESTINATION_RULE: Final = Kind(
    "networking.istio.io", "v1", "DestinationRule", "destinationrules", optional=True
)
POD_MONITOR: Final = Kind("monitoring.coreos.com", "v1", "PodMonitor", "podmonitors", optional=True)
SERVICE_MONITOR: Final = Kind(
    "monitoring.coreos.com", "v1", "ServiceMonitor", "servicemonitors", optional=True
)
LOCAL_MODEL_CACHE: Final = Kind(
    GROUP, "v1alpha1", "LocalModelCache", "localmodelcaches", namespaced=False, optional=True
)
LOCAL_MODEL_NAMESPACE_CACHE: Final = Kind(
    GROUP, "v1alpha1", "LocalModelNamespaceCache", "localmodelnamespacecaches", optional=True
)
AUTH_POLICY: Final = Kind("kuadrant.io", "v1", "AuthPolicy", "authpolicies", optional=True)
SCC: Final = Kind(
    "security.openshift.io",
    "v1",
    "SecurityContextConstraints",
    "securitycontextconstraints",
    namespaced=False,
    optional=True,
)
