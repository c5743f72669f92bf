"""The plain S3 settings of a credential, as environment variables in KServe's order (ART-2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aioctl.plan.global_config import S3Config
from aioctl.plan.workload.containers import Item

CA_BUNDLE: Final = "AWS_CA_BUNDLE"
CA_BUNDLE_CONFIG_MAP: Final = "AWS_CA_BUNDLE_CONFIGMAP"
PREFIX: Final = "serving.kserve.io/"
"""Of the annotations of accounts and secrets."""
_ODH_ENDPOINT: Final = "AWS_S3_ENDPOINT"
_ENDPOINT: Final = "S3_ENDPOINT"
_USE_HTTPS: Final = "S3_USE_HTTPS"
_SETTINGS: Final = (
    # variable, annotation, secret key, field of the configuration
    ("S3_VERIFY_SSL", "s3-verifyssl", "S3_VERIFY_SSL", "verify_ssl"),
    ("awsAnonymousCredential", "s3-useanoncredential", "awsAnonymousCredential", "use_anonymous_credential"),
    ("AWS_DEFAULT_REGION", "s3-region", "AWS_DEFAULT_REGION", "region"),
    ("S3_USER_VIRTUAL_BUCKET", "s3-usevirtualbucket", "S3_USER_VIRTUAL_BUCKET", "use_virtual_bucket"),
    ("S3_USE_ACCELERATE", "s3-useaccelerate", "S3_USE_ACCELERATE", "use_accelerate"),
    (CA_BUNDLE, "s3-cabundle", "AWS_CA_BUNDLE", "ca_bundle"),
    (CA_BUNDLE_CONFIG_MAP, "s3-cabundle-configmap", "AWS_CA_BUNDLE_CONFIGMAP", "ca_bundle_config_map"),
)
SECRET_KEYS: Final = frozenset({_ODH_ENDPOINT, _ENDPOINT, _USE_HTTPS, *(key for _, _, key, _ in _SETTINGS)})


@dataclass(frozen=True, slots=True)
class _Sources:
    annotations: Mapping[str, str]
    secret: Mapping[str, str]
    config: S3Config

    def value(self, annotation: str, key: str, field: str) -> str:
        """The first source that has the setting decides, even if it is empty there."""
        if PREFIX + annotation in self.annotations:
            return self.annotations[PREFIX + annotation]
        if key in self.secret:
            return self.secret[key]
        configured: str = getattr(self.config, field)
        return configured


def variables(annotations: Mapping[str, str], secret: Mapping[str, str], config: S3Config) -> list[Item]:
    """The variables that are not empty. `secret` holds decoded values; an account has none."""
    sources = _Sources(annotations, secret, config)
    pairs = _endpoint(sources)
    pairs += [
        (variable, sources.value(annotation, key, field)) for variable, annotation, key, field in _SETTINGS
    ]
    return [{"name": name, "value": value} for name, value in pairs if value]


def _endpoint(sources: _Sources) -> list[tuple[str, str]]:
    endpoint = sources.secret.get(_ODH_ENDPOINT)
    if endpoint is None:
        endpoint = sources.value("s3-endpoint", _ENDPOINT, "endpoint")
    endpoint = endpoint.strip()
    if not endpoint:
        return []
    for scheme, use_https in (("https://", "1"), ("http://", "0")):
        if endpoint.lower().startswith(scheme):
            host = endpoint[len(scheme) :]
            return [(_USE_HTTPS, use_https), (_ENDPOINT, host), ("AWS_ENDPOINT_URL", endpoint)]
    use_https = sources.value("s3-usehttps", _USE_HTTPS, "use_https")
    scheme = "http://" if use_https == "0" else "https://"
    return [(_USE_HTTPS, use_https), (_ENDPOINT, endpoint), ("AWS_ENDPOINT_URL", scheme + endpoint)]
