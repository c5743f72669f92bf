"""Templates as KServe has them: what `.` is, the functions beside Go's own, and errors in the words of a plan.

The root is the service as stored and the global configuration (CFG-1, TPL-3).
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from aioctl.api import names
from aioctl.api.names import ISTIO_GATEWAY_CONTROLLERS
from aioctl.api.objects import Object
from aioctl.golang.gotypes import ROOT
from aioctl.golang.template import (
    Builtin,
    Functions,
    Rendered,
    Source,
    Template,
    TemplateError,
)
from aioctl.golang.template import parse as parse_go
from aioctl.golang.template import render as render_go
from aioctl.golang.template.values import Value, as_string, of_string
from aioctl.plan.global_config import GlobalConfig
from aioctl.plan.model import PlanError


def _child_name(operands: Sequence[Value]) -> Value:
    parent, suffix = (as_string(operand) for operand in operands)
    return of_string(names.child(parent, suffix))


FUNCTIONS: Functions = {"ChildName": Builtin(_child_name, 2, texts=2)}
"""KServe's own, by name: `ChildName parent suffix` is the name of a child (NAME-1)."""


def parse(text: str) -> Template:
    """One string as a template. Raises ParseError."""
    return parse_go(text, _NAMES)


def render(tree: Any, root: Value, *, source: Source = lambda _path: "", path: str = "") -> Rendered:
    """All templates of a tree rendered. Raises PlanError with the text of the first that fails."""
    try:
        return render_go(tree, root, functions=FUNCTIONS, source=source, path=path)
    except TemplateError as error:
        raise PlanError(str(error)) from error


_NAMES = frozenset(FUNCTIONS)


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)


def _credentials(config: GlobalConfig) -> dict[str, Any]:
    credentials, s3 = config.credentials, config.credentials.s3
    return {
        "s3": {
            "s3AccessKeyIDName": s3.access_key_id_name,
            "s3SecretAccessKeyName": s3.secret_access_key_name,
            "s3Endpoint": s3.endpoint,
            "s3UseHttps": s3.use_https,
            "s3Region": s3.region,
            "s3VerifySSL": s3.verify_ssl,
            "s3UseVirtualBucket": s3.use_virtual_bucket,
            "s3UseAccelerate": s3.use_accelerate,
            "s3UseAnonymousCredential": s3.use_anonymous_credential,
            "s3CABundleConfigMap": s3.ca_bundle_config_map,
            "s3CABundle": s3.ca_bundle,
        },
        "gcs": {"gcsCredentialFileName": credentials.gcs_credential_file_name},
        "storageSpecSecretName": credentials.storage_spec_secret_name,
        "storageSecretNameAnnotation": credentials.storage_secret_name_annotation,
    }


def root(service: Object, config: GlobalConfig) -> Value:
    """What `.` is at the start of every template."""
    global_config = {
        "systemNamespace": config.system_namespace,
        "ingressGatewayName": config.ingress_gateway_name,
        "ingressGatewayNamespace": config.ingress_gateway_namespace,
        "istioGatewayControllerNames": list(ISTIO_GATEWAY_CONTROLLERS),
        "storageConfig": {_camel(name): value for name, value in asdict(config.storage).items()},
        "credentialConfig": _credentials(config),
    }
    return Value(ROOT, {**service, "globalConfig": global_config})
