"""Names, labels and annotation keys of everything the controller makes (NAME-1, WORK-3).

`child` is the plain rule (63 characters, MD5), `safe` the shorter one that workload objects had once (43 characters,
SHA-256). They agree for short names only; `plan/workload/naming.py` says when the old one still applies.
"""

import hashlib
from collections.abc import Mapping
from typing import Final

_MAX: Final = 63
_MD5_LENGTH: Final = 32
_HEAD: Final = _MAX - _MD5_LENGTH
_SAFE_MAX: Final = 43
_SAFE_HASH: Final = 8
SHADOW_POOL: Final = "istio.io/inferencepool-name"
"""Label of the shadow Services that Istio makes for InferencePools: the pool's name."""


GATEWAY_NAME: Final = "gateway.networking.k8s.io/gateway-name"
"""Label of what is made for a Gateway, its Service among it: the Gateway's name."""


def child(parent: str, suffix: str) -> str:
    """Knative's ChildName: parent + suffix when it fits 63 characters, hashed otherwise."""
    if len(parent) + len(suffix) <= _MAX:
        return parent + suffix
    if len(suffix) < _HEAD:
        digest = hashlib.md5(parent.encode(), usedforsecurity=False).hexdigest()
        return parent[: _HEAD - len(suffix)] + digest + suffix
    name = parent[:_HEAD] + hashlib.md5((parent + suffix).encode(), usedforsecurity=False).hexdigest()
    if len(name) < _MAX:
        name += suffix[: _MAX - len(name)]
    while name and not (name[-1].isascii() and name[-1].isalnum()):
        name = name[:-1]
    return name


def safe(parent: str, suffix: str) -> str:
    """The former rule of workload objects: 43 characters, so that sets of pods can append theirs.

    Raises ValueError when the suffix alone leaves no room for the hash (Go panics there; no suffix of ours is so long).
    """
    if len(parent) + len(suffix) <= _SAFE_MAX:
        return parent + suffix
    room = _SAFE_MAX - _SAFE_HASH - len(suffix)
    if room < 0:
        raise ValueError(f"suffix {suffix!r} is longer than {_SAFE_MAX - _SAFE_HASH} characters")
    return parent[:room] + hashlib.sha256(parent.encode()).hexdigest()[:_SAFE_HASH] + suffix


FINALIZER: Final = "serving.kserve.io/llmisvc-finalizer"
CONFIG_FINALIZER: Final = "serving.kserve.io/llmisvcconfig-finalizer"
"""Keeps a config as long as services use it (CFG-5)."""
MIGRATED: Final = "serving.kserve.io/inference-pool-migrated"
MIGRATED_MERGED_SPELLING: Final = "serving.kserve.io/inferencepool-migrated"
ENABLE_AUTH: Final = "security.opendatahub.io/enable-auth"
STOP: Final = "serving.kserve.io/stop"
MODEL_BASED_ROUTING: Final = "serving.kserve.io/model-based-routing-enabled"
CRITICALITY: Final = "serving.kserve.io/criticality"
CERTIFICATE_EXPIRY: Final = "certificates.kserve.io/expiration-v2"
"""Where the earlier revision wrote it; the ConfigMap names today's (`scheduler.expirationAnnotations`)."""
ROUTING_GROUP: Final = "serving.kserve.io/routing-group"
"""Label of a service: the group that it shares traffic with."""
MIGRATION: Final = "aioctl.dev/migration"
PROBE: Final = "aioctl.dev/probe"
"""Label of an HTTPRoute that asks gateways what they serve and carries no traffic."""
MIGRATION_STRATEGY: Final = "aioctl.dev/migration-strategy"
POD_FORM: Final = "aioctl.dev/pod-form"
"""`current` lets the pods of a service take the form of today, `keep` waits for a change of its own (FORM-1)."""
FORM_INPUTS: Final = "aioctl.dev/inputs"
"""Beside a workload: a digest of what was given for its pods; and, below, of the pod template as it is stored."""
FORM_TEMPLATE: Final = "aioctl.dev/template"
FORM_SENT: Final = "aioctl.dev/sent"
"""Only where an admission webhook changes what is sent: the template before that, which is compared instead."""
GIVEN: Final = "aioctl.dev/given"
"""On a Service, workload or picker's account: the keys of labels and annotations that it has from the service (WORK-10)."""
GIVEN_PODS: Final = "aioctl.dev/given-to-pods"
"""On a workload: those of the annotations of its pods."""

OLD_POOLS: Final = "aioctl.dev/v1alpha2-pools"
"""On a service or on the ConfigMap: `finished` where no v1alpha2 InferencePool is to be any more (MIG-9)."""

MODEL_ROUTING: Final = "serving.kserve.io/model-based-routing-enabled"
"""In `spec.annotations`: `true` asks for routing by model; on a Gateway `false` opts out of it."""

COMPONENT: Final = "app.kubernetes.io/component"
NAME: Final = "app.kubernetes.io/name"
PART_OF: Final = "app.kubernetes.io/part-of"
PART_OF_VALUE: Final = "llminferenceservice"
KSERVE_COMPONENT: Final = "kserve.io/component"
ROLE: Final = "llm-d.ai/role"
RESERVED_LABELS: Final = (NAME, PART_OF, COMPONENT, KSERVE_COMPONENT, ROLE)
"""Labels by which pods are selected and watched: ours alone (WORK-6)."""

WORKLOAD_COMPONENT: Final = "llminferenceservice-workload"
ROUTER_COMPONENT: Final = "llminferenceservice-router"
PROBE_COMPONENT: Final = "llminferenceservice-router-probe"
"""Whoever selects the routes of a service by its labels gets those that carry traffic."""
SCHEDULER_COMPONENT: Final = "llminferenceservice-router-scheduler"

CONFIG_MAP_NAME: Final = "inferenceservice-config"
CONFIG_PREFIX: Final = "kserve-"
"""What the names of well-known configs begin with, where the operator says nothing else (PRESET-1)."""
WELL_KNOWN_SUFFIXES: Final = tuple(
    f"config-llm-{part}"
    for part in (
        "template",
        "decode-template",
        "prefill-template",
        "worker-data-parallel",
        "decode-worker-data-parallel",
        "prefill-worker-data-parallel",
        "scheduler",
        "router-route",
        "scheduler-latency-predictor",
        "tokenizer",
        "tracing",
    )
)
"""The configs that KServe ships, without the prefix (PRESET-1)."""


def well_known_configs(prefix: str) -> frozenset[str]:
    """Their names. Each shipped config is looked up in the service's namespace first, so any namespace may hold one."""
    return frozenset(f"{prefix}{suffix}" for suffix in WELL_KNOWN_SUFFIXES)


def pin_key(suffix: str) -> str:
    """The key of status.annotations under which a service keeps the name of a well-known config (PRESET-6)."""
    return f"serving.kserve.io/{suffix}"


WELL_KNOWN_CONFIGS: Final = well_known_configs(CONFIG_PREFIX)
ISTIO_GATEWAY_CONTROLLERS: Final = (
    "istio.io/gateway-controller",
    "istio.io/unmanaged-gateway",
    "openshift.io/gateway-controller/v1",
)


def probe_name(service: str) -> str:
    return child(service, "-aioctl-probe")


def mixed_probe_name(service: str) -> str:
    return child(service, "-aioctl-probe-mixed")


def own_routes(service: str) -> tuple[str, str, str]:
    """The HTTPRoutes that are made for a service: the managed one, and those that ask gateways."""
    return route_name(service), probe_name(service), mixed_probe_name(service)


def route_name(service: str) -> str:
    return child(service, "-kserve-route")


def default_pool_name(service: str) -> str:
    return child(service, "-inference-pool")


def qualified_model(namespace: str, model: str) -> str:
    """A model among those of all publishers: what publisher paths and the model header say, and a second served name."""
    return f"publishers/{namespace}/models/{model}"


def model_name(service: str) -> str:
    return child(service, "-inference-model")


def workload_service_name(service: str) -> str:
    return child(service, "-kserve-workload-svc")


def set_name(service: str, *, prefill: bool) -> str:
    """The LeaderWorkerSet of one side, and the account that is made for its pods."""
    return child(service, "-kserve-mn-prefill" if prefill else "-kserve-mn")


def tls_secret_name(service: str) -> str:
    return child(service, "-kserve-self-signed-certs")


def epp_service_account_name(service: str) -> str:
    return child(service, "-epp-sa")


def picker_service_name(service: str) -> str:
    return child(service, "-epp-service")


def tokenizer_name(service: str) -> str:
    return child(service, "-tokenizer")


def labels(service: str, component: str) -> dict[str, str]:
    """The three labels of owned children (OWN-1, ROUTE-2)."""
    return {COMPONENT: component, NAME: service, PART_OF: PART_OF_VALUE}


def workload_selector(service: str) -> dict[str, str]:
    """Selects decode, prefill and leader pods (WORK-3)."""
    return {PART_OF: PART_OF_VALUE, NAME: service, KSERVE_COMPONENT: "workload"}


def has_our_labels(found: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """True when every wanted label is there with its value."""
    return all(found.get(key) == value for key, value in wanted.items())
