"""The ConfigMap `inferenceservice-config`, read into a `GlobalConfig` (CFG-1, CFG-3).

Each value of the ConfigMap is a JSON text of its own, whose fields count in any case. Settings of storage and credentials stay as
written, defaults for empty ones are filled where they are used. Key `localModel` is read by admission alone (LM-1), so a wrong one
stops no service. All problems are PlanErrors with the Go controller's texts; a value of the wrong
type names key and field, such as `ingress.enableGatewayApi`. Nothing is read from the cluster here.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar

from aioctl.api.names import CONFIG_MAP_NAME, OLD_POOLS
from aioctl.api.objects import (
    FieldError,
    Object,
    annotations_of,
    boolean,
    integer,
    mapping,
    sequence,
    text,
    within,
)
from aioctl.api.user_names import LABEL
from aioctl.caching import LARGEST, BoundedCache
from aioctl.golang import gofields, quantity
from aioctl.golang.template import ParseError
from aioctl.plan.global_config import (
    EXPIRATION,
    TLS_SWITCH,
    CredentialConfig,
    GlobalConfig,
    PrometheusConfig,
    RoutingConfig,
    S3Config,
    StorageConfig,
)
from aioctl.plan.model import PlanError
from aioctl.plan.templates import parse as parse_template

_OPTIONAL: Final = ("cpuModelcar", "memoryModelcar")
_BROKEN_TEMPLATE: Final = re.compile(
    r'unexpected (EOF|\{\{|right paren|\. after term|"[{}@]")|expected end|missing value|unclosed|unterminated'
    r"|comment ends|bad number|non executable command"
    r'|function "(?!(call|ge|gt|html|index|js|le|len|lt|print|println|slice|urlquery)")'
)
"""Reasons that make a path template invalid in Go too; what only our subset refuses is none of our business there."""


INGRESS: Final = "ingress"
STORAGE: Final = "storageInitializer"
CREDENTIALS: Final = "credentials"
LOCAL_MODEL: Final = "localModel"
SCHEDULER: Final = "scheduler"
AUTOSCALING: Final = "autoscaling-wva-controller-config"
_KEYS: Final = (INGRESS, STORAGE, CREDENTIALS, SCHEDULER, AUTOSCALING)


def parse_config(config_map: Object | None, system_namespace: str) -> GlobalConfig:
    """The global configuration. Raises PlanError with the wrappers of CFG-1, for None too."""
    if config_map is None:
        raise PlanError(f'failed to load InferenceServiceConfigMap: configmaps "{CONFIG_MAP_NAME}" not found')
    texts = tuple(_entry(config_map, key) for key in _KEYS)
    size = sum(len(text) for text in texts if text)
    found = _PARSED.get(
        (system_namespace, *texts),
        lambda: _made(dict(zip(_KEYS, texts, strict=True)), system_namespace),
        lambda _: size,
    )
    finished = annotations_of(config_map).get(OLD_POOLS) == "finished"
    return replace(found, old_pools_finished=True) if finished else found


def say_the_same(one: Object, other: Object, system_namespace: str) -> bool:
    """Whether two versions of the ConfigMap are the same configuration. Of one that is refused every word counts."""
    try:
        return parse_config(one, system_namespace) == parse_config(other, system_namespace)
    except (PlanError, FieldError):
        return one.get("data") == other.get("data")


def _entry(config_map: Object, key: str) -> str | None:
    data = mapping(config_map, "data")
    return text(data, key) if key in data else None


_PARSED: Final[BoundedCache[tuple[str | None, ...], GlobalConfig]] = BoundedCache(4 * LARGEST)


def _made(texts: Mapping[str, str | None], system_namespace: str) -> GlobalConfig:
    found = _converted("IngressConfig", lambda: _ingress(texts[INGRESS], system_namespace))
    return replace(
        found,
        storage=_converted("StorageInitializerConfig", lambda: _checked_storage(texts[STORAGE])),
        credentials=_converted("CredentialConfig", lambda: _credentials(texts[CREDENTIALS])),
        expiration_annotations=_expiration_annotations(texts[SCHEDULER]),
        prometheus=_prometheus(texts[AUTOSCALING]),
    )


_Part = TypeVar("_Part")


def _converted(title: str, read: Callable[[], _Part]) -> _Part:
    try:
        return read()
    except PlanError as error:
        raise PlanError(f"failed to convert InferenceServiceConfigMap to {title}: {error}") from error


def _decoded(json_text: str) -> Mapping[str, Any]:
    """The object in a JSON text. Raises ValueError."""
    try:
        found = gofields.read(json_text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if found is not None and not isinstance(found, gofields.Fields):
        raise ValueError("expected an object")
    return found or {}


def _ingress(json_text: str | None, system_namespace: str) -> GlobalConfig:
    """What key `ingress` says, the rest at its defaults."""
    if json_text is None:
        return GlobalConfig(system_namespace, ingress_gateway_namespace=system_namespace)
    try:
        settings = _decoded(json_text)
        with within(INGRESS):
            found = _ingress_settings(settings, system_namespace)
    except ValueError as error:
        raise PlanError(f"unable to parse ingress config json: {error}") from error
    return found


def _ingress_settings(settings: Mapping[str, Any], system_namespace: str) -> GlobalConfig:
    gateway = text(settings, "kserveIngressGateway")
    if boolean(settings, "enableGatewayApi"):
        _check_gateway(gateway)
    if not text(settings, "ingressGateway"):
        raise PlanError("invalid ingress config - ingressGateway is required")
    _check_path_template(text(settings, "pathTemplate"), text(settings, "ingressDomain"))
    namespace, separator, name = gateway.partition("/")
    if not separator or "/" in name:
        namespace, name = system_namespace, gateway
    return GlobalConfig(
        system_namespace,
        ingress_gateway_namespace=namespace,
        ingress_gateway_name=name,
        routing=_routing(settings),
    )


def _routing(settings: Mapping[str, Any]) -> RoutingConfig:
    """Addresses and routing by model; a mode that is none of the three is `enabled`, as in KServe."""
    default = RoutingConfig()
    mode = text(settings, "modelBasedRoutingMode").lower()
    return RoutingConfig(
        url_scheme=text(settings, "urlScheme") or default.url_scheme,
        model_header=text(settings, "modelBasedRoutingHeaderName") or default.model_header,
        model_routing=mode if mode in ("forced", "disabled") else default.model_routing,
        enable_tls=None if settings.get(TLS_SWITCH) is None else boolean(settings, TLS_SWITCH),
    )


def _check_gateway(gateway: str) -> None:
    prefix = "invalid ingress config - kserveIngressGateway"
    if not gateway:
        raise PlanError(f"{prefix} is required")
    if gateway.count("/") != 1:
        raise PlanError(f"{prefix} should be in the format <namespace>/<name>")
    namespace, name = gateway.split("/")
    if LABEL.fullmatch(namespace) is None:
        raise PlanError(f"{prefix} gateway namespace is invalid")
    if LABEL.fullmatch(name) is None:
        raise PlanError(f"{prefix} gateway name is invalid")


def _check_path_template(template: str, domain: str) -> None:
    if not template:
        return
    prefix = "invalid ingress config, unable to parse pathTemplate: template: path-template:1: "
    if template.rfind("{{") > template.rfind("}}"):
        raise PlanError(f"{prefix}unclosed action")
    try:
        parse_template(template)
    except ParseError as error:
        if _BROKEN_TEMPLATE.match(error.reason):
            raise PlanError(prefix + error.reason) from error
    if not domain:
        raise PlanError("invalid ingress config - ingressDomain is required if pathTemplate is given")


def _storage(json_text: str | None) -> StorageConfig:
    if json_text is None:
        return StorageConfig()
    try:
        settings = _decoded(json_text)
        with within(STORAGE):
            return _storage_settings(settings)
    except ValueError as error:
        raise PlanError(f"Unable to unmarshall storageInitializer json string due to {error} ") from error


def _storage_settings(settings: Mapping[str, Any]) -> StorageConfig:
    return StorageConfig(
        image=text(settings, "image"),
        memory_request=text(settings, "memoryRequest"),
        memory_limit=text(settings, "memoryLimit"),
        cpu_request=text(settings, "cpuRequest"),
        cpu_limit=text(settings, "cpuLimit"),
        cpu_modelcar=text(settings, "cpuModelcar"),
        memory_modelcar=text(settings, "memoryModelcar"),
        uid_modelcar=integer(settings, "uidModelcar"),
        enable_modelcar=boolean(settings, "enableModelcar"),
        enable_oci_model_support=boolean(settings, "enableOciModelSupport"),
        oci_model_mode=text(settings, "ociModelMode"),
        oci_insecure_registry=boolean(settings, "ociInsecureRegistry"),
        ca_bundle_config_map_name=text(settings, "caBundleConfigMapName"),
        ca_bundle_volume_mount_path=text(settings, "caBundleVolumeMountPath"),
    )


_OCI_MODES: Final = ("modelcar", "native", "fetch")


def _checked_storage(json_text: str | None) -> StorageConfig:
    storage = _storage(json_text)
    values = {
        "memoryRequest": storage.memory_request,
        "memoryLimit": storage.memory_limit,
        "cpuRequest": storage.cpu_request,
        "cpuLimit": storage.cpu_limit,
        "cpuModelcar": storage.cpu_modelcar,
        "memoryModelcar": storage.memory_modelcar,
    }
    for field, value in values.items():
        if field in _OPTIONAL and not value:
            continue
        try:
            quantity.parse(value)
        except ValueError as error:
            raise PlanError(
                f'failed to parse resource configuration for "storageInitializer"."{field}": {error}'
            ) from error
    if storage.oci_model_mode and storage.oci_model_mode not in _OCI_MODES:
        modes = ", ".join(f'"{mode}"' for mode in _OCI_MODES)
        raise PlanError(
            f'invalid "{STORAGE}".ociModelMode "{storage.oci_model_mode}": must be one of {modes}'
        )
    return storage


def _credentials(json_text: str | None) -> CredentialConfig:
    if json_text is None:
        return CredentialConfig()
    try:
        settings = _decoded(json_text)
        with within(CREDENTIALS):
            return _credential_settings(settings)
    except ValueError as error:
        raise PlanError(f"unable to parse credential config json: {error}") from error


def _credential_settings(settings: Mapping[str, Any]) -> CredentialConfig:
    s3 = mapping(settings, "s3")
    with within("s3"):
        s3_config = S3Config(
            access_key_id_name=text(s3, "s3AccessKeyIDName"),
            secret_access_key_name=text(s3, "s3SecretAccessKeyName"),
            endpoint=text(s3, "s3Endpoint"),
            use_https=text(s3, "s3UseHttps"),
            region=text(s3, "s3Region"),
            verify_ssl=text(s3, "s3VerifySSL"),
            use_virtual_bucket=text(s3, "s3UseVirtualBucket"),
            use_accelerate=text(s3, "s3UseAccelerate"),
            use_anonymous_credential=text(s3, "s3UseAnonymousCredential"),
            ca_bundle_config_map=text(s3, "s3CABundleConfigMap"),
            ca_bundle=text(s3, "s3CABundle"),
        )
    return CredentialConfig(
        storage_spec_secret_name=text(settings, "storageSpecSecretName"),
        storage_secret_name_annotation=text(settings, "storageSecretNameAnnotation"),
        gcs_credential_file_name=text(settings, "gcs", "gcsCredentialFileName"),
        s3=s3_config,
    )


def caches_models(config_map: Object) -> bool:
    """Key `localModel`: whether models may be mounted from a cache. Raises PlanError where it cannot be read."""
    try:
        json_text = _entry(config_map, LOCAL_MODEL)
        settings = {} if json_text is None else _decoded(json_text)
        with within(LOCAL_MODEL):
            return boolean(settings, "enabled")
    except ValueError as error:
        raise PlanError(f"unable to parse localModel config json: {error}") from error


def _expiration_annotations(json_text: str | None) -> tuple[str, ...]:
    if json_text is None:
        return (EXPIRATION,)
    try:
        settings = _decoded(json_text)
        with within(SCHEDULER):
            return _texts(settings, "expirationAnnotations") or (EXPIRATION,)
    except ValueError as error:
        raise PlanError(
            f"failed to parse scheduler config: unable to parse scheduler config json: {error}"
        ) from error


def _texts(settings: Mapping[str, Any], field: str) -> tuple[str, ...]:
    found = sequence(settings, field)
    for place, item in enumerate(found):
        if not isinstance(item, str):
            raise FieldError(f"{field}[{place}]", "expected a string")
    return tuple(found)


def _prometheus(json_text: str | None) -> PrometheusConfig:
    if json_text is None:
        return PrometheusConfig()
    try:
        settings = _decoded(json_text)
        with within(AUTOSCALING):
            prometheus = mapping(settings, "prometheus")
            with within("prometheus"):
                return PrometheusConfig(
                    url=text(prometheus, "url"),
                    tls_insecure_skip_verify=boolean(prometheus, "tlsInsecureSkipVerify"),
                    auth_modes=text(prometheus, "authModes"),
                    trigger_auth_name=text(prometheus, "triggerAuthName"),
                    trigger_auth_kind=text(prometheus, "triggerAuthKind"),
                )
    except ValueError as error:
        raise PlanError(f"failed to parse {AUTOSCALING} config json: {error}") from error
