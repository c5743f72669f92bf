"""What the ConfigMap `inferenceservice-config` says, parsed (CFG-1). Read from it by `plan/config.py`."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class S3Config:
    """The `s3` object of key `credentials` (CFG-2); all values are strings, empty = not set."""

    access_key_id_name: str = ""
    secret_access_key_name: str = ""
    endpoint: str = ""
    use_https: str = ""
    region: str = ""
    verify_ssl: str = ""
    use_virtual_bucket: str = ""
    use_accelerate: str = ""
    use_anonymous_credential: str = ""
    ca_bundle_config_map: str = ""
    ca_bundle: str = ""


@dataclass(frozen=True, slots=True)
class CredentialConfig:
    """Key `credentials` of the ConfigMap (CFG-2)."""

    storage_spec_secret_name: str = ""
    storage_secret_name_annotation: str = ""
    gcs_credential_file_name: str = ""
    s3: S3Config = S3Config()


@dataclass(frozen=True, slots=True)
class StorageConfig:
    """Key `storageInitializer` of the ConfigMap (CFG-1); quantities as written."""

    image: str = ""
    memory_request: str = ""
    memory_limit: str = ""
    cpu_request: str = ""
    cpu_limit: str = ""
    cpu_modelcar: str = ""
    memory_modelcar: str = ""
    uid_modelcar: int | None = None
    enable_modelcar: bool = False
    enable_oci_model_support: bool = False
    oci_model_mode: str = ""
    """`modelcar`, `native`, `fetch` or empty: then the two switches above decide."""
    oci_insecure_registry: bool = False
    ca_bundle_config_map_name: str = ""
    ca_bundle_volume_mount_path: str = ""


DEFAULT_MODEL_HEADER: Final = "X-Gateway-Model-Name"
TLS_SWITCH: Final = "enableLLMInferenceServiceTLS"
"""The field of key `ingress` that says whether model servers speak TLS."""


@dataclass(frozen=True, slots=True)
class RoutingConfig:
    """What key `ingress` of the ConfigMap says of addresses and of routing by model (CFG-4)."""

    url_scheme: str = "http"
    """Which of several addresses inside the cluster is shown first; nothing else follows from it."""
    model_header: str = DEFAULT_MODEL_HEADER
    """The request header that names a model; never empty."""
    model_routing: str = "enabled"
    """`enabled`, `forced` or `disabled`."""
    enable_tls: bool | None = None
    """Whether the workloads serve HTTPS. None: nobody said so, and they do not."""


@dataclass(frozen=True, slots=True)
class PrometheusConfig:
    """Where autoscalers find the wanted number of replicas: `prometheus` of the autoscaling key (CFG-3)."""

    url: str = ""
    tls_insecure_skip_verify: bool = False
    auth_modes: str = ""
    trigger_auth_name: str = ""
    trigger_auth_kind: str = ""


EXPIRATION: Final = "certificates.kserve.io/expiration"
"""The annotation that holds when a certificate is to be renewed, where `scheduler.expirationAnnotations` is empty."""


@dataclass(frozen=True, slots=True)
class GlobalConfig:
    """The parsed ConfigMap `inferenceservice-config` (CFG-1, CFG-3). Made by `plan/config.py`."""

    system_namespace: str
    ingress_gateway_name: str = ""
    ingress_gateway_namespace: str = ""
    routing: RoutingConfig = RoutingConfig()
    storage: StorageConfig = StorageConfig()
    credentials: CredentialConfig = CredentialConfig()
    expiration_annotations: tuple[str, ...] = (EXPIRATION,)
    """The first is written, all are read."""
    prometheus: PrometheusConfig = PrometheusConfig()
    old_pools_finished: bool = False
    """The ConfigMap carries the mark that v1alpha2 InferencePools are done with (MIG-9)."""
