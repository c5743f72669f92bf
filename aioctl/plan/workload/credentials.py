"""Credentials of the storage initializer, from a service account and its secrets (ART-2, ART-3).

Reads secrets through the observation; a secret that is not known yet raises Unanswered, one that does not exist is a
PlanError with the API server's text. Values stay references wherever the spec makes them references: the only secret
bytes that are copied into a pod are the plain S3 settings and HTTPS headers, as KServe does.
"""

import base64
import binascii
import json
import posixpath
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from aioctl.api.kinds import SECRET, SERVICE_ACCOUNT
from aioctl.api.objects import Object, annotations_of, mapping, name_of, sequence, text
from aioctl.plan.model import Context, PlanError
from aioctl.plan.observation import need
from aioctl.plan.workload import s3
from aioctl.plan.workload.containers import Item, add_named, append, from_secret, mount, override

_ROLE_ARN: Final = "eks.amazonaws.com/role-arn"
_GLOBAL_CA_BUNDLE: Final = "global-ca-bundle"
_DEFAULT_CA_PATH: Final = "/etc/ssl/custom-certs"
_TENANT: Final = "TENANT_ID"
_AZURE: Final = (
    ("SUBSCRIPTION_ID", True),
    (_TENANT, True),
    ("CLIENT_ID", True),
    ("CLIENT_SECRET", True),
    ("STORAGE_ACCESS_KEY", False),
    ("ACCESS_TOKEN", False),
    ("ACCESS_EXPIRES_ON_SECONDS", False),
    ("ACCOUNT_NAME", False),
    ("SERVICE_URL", False),
)
"""Variables `AZURE_<name>`, from the secret's key of that name, and whether `AZ_<name>` goes before it."""
_AZURE_KEYS: Final = frozenset({"AZ_CLIENT_ID", "AZURE_CLIENT_ID", "AZURE_ACCESS_TOKEN"})
"""Keys by which a secret is known to be one for Azure's accounts."""
_AZURE_STORAGE: Final = "AZURE_STORAGE_ACCESS_KEY"
_COPIED: Final = s3.SECRET_KEYS | {"https-host", "headers"}
_TOKENS: Final = ("HF_TOKEN", "MODELSCOPE_API_TOKEN")


def attach_credentials(ctx: Context, pod: Item, container: Item, account: Object | None) -> bool:
    """Add variables and volumes for the account's credentials; None stands for the namespace's `default` account.

    Returns False when there is no `default` account: then there are no credentials, without an error.
    """
    if account is None:
        account = need(ctx.obs.get(SERVICE_ACCOUNT, ctx.namespace, "default"))
        if account is None:
            return False
    if _ROLE_ARN in annotations_of(account):
        append(container, "env", *s3.variables(annotations_of(account), {}, ctx.config.credentials.s3))
    wanted = _secret_names(ctx, account)
    # All are asked for at once: nobody watches them, and each would cost a round of reading otherwise.
    found = [ctx.obs.get(SECRET, ctx.namespace, name) for name in wanted]
    for name, read in zip(wanted, found, strict=True):
        _check(name)
        secret = need(read)
        if secret is None:
            raise PlanError(f'secrets "{name}" not found')
        _attach_secret(ctx, pod, container, secret)
    return True


def found(ctx: Context, account: Object | None) -> list[Any]:
    """What `attach_credentials` makes its variables and volumes of, whatever it makes of it; what is not there is left out."""
    if account is None:
        account = need(ctx.obs.get(SERVICE_ACCOUNT, ctx.namespace, "default"))
        if account is None:
            return []
    secrets = [need(ctx.obs.get(SECRET, ctx.namespace, name)) for name in _secret_names(ctx, account)]
    return [
        annotations_of(account).get(_ROLE_ARN, ""),
        asdict(ctx.config.credentials),
        *(_facts(secret) for secret in secrets if secret is not None),
    ]


def _facts(secret: Object) -> list[Any]:
    """Of a secret what ends up in pods: its name, which entries it has, and those that are copied as plain text."""
    data = mapping(secret, "data")
    plain = {key: data[key] for key in sorted(data) if key in _COPIED}
    said = {key: value for key, value in annotations_of(secret).items() if key.startswith(s3.PREFIX)}
    return [name_of(secret), sorted(data), plain, said]


def attach_ca_bundle(ctx: Context, pod: Item, container: Item) -> None:
    """Mount the CA bundle that S3 clients shall trust, if one is configured or a credential names one."""
    name = ctx.config.storage.ca_bundle_config_map_name
    told = _said(container, s3.CA_BUNDLE_CONFIG_MAP)
    if not name and told is None:
        return
    if ctx.namespace != ctx.config.system_namespace:
        name = _GLOBAL_CA_BUNDLE
    path = ctx.config.storage.ca_bundle_volume_mount_path or _DEFAULT_CA_PATH
    if told is not None:
        name = told
    file = _said(container, s3.CA_BUNDLE)
    if file is not None:
        path = posixpath.normpath(posixpath.dirname(file) or ".")
    add_named(container, "env", {"name": "CA_BUNDLE_CONFIGMAP_NAME", "value": name})
    add_named(container, "env", {"name": "CA_BUNDLE_VOLUME_MOUNT_POINT", "value": path})
    append(pod, "volumes", {"name": "cabundle-cert", "configMap": {"name": name}})
    append(container, "volumeMounts", mount("cabundle-cert", path, readOnly=True))


def _said(container: Item, name: str) -> str | None:
    """The plain value of a variable, of several with one name that of the last, which the process sees; None without one."""
    found = [text(variable, "value") for variable in sequence(container, "env") if variable["name"] == name]
    return found[-1] if found else None


def _secret_names(ctx: Context, account: Object) -> list[str]:
    key = ctx.config.credentials.storage_secret_name_annotation
    annotations = annotations_of(ctx.service)
    if key and key in annotations:
        return [annotations[key]]
    return [text(entry, "name") for entry in sequence(account, "secrets")]


def _check(name: str) -> None:
    """Raises PlanError for what Go's client does not even ask the API server for."""
    if not name:
        raise PlanError("resource name may not be empty")
    problems = [f"may not be '{name}'"] if name in (".", "..") else []
    problems += [f"may not contain '{letter}'" for letter in "/%" if letter in name]
    if problems:
        raise PlanError(f"invalid resource name {json.dumps(name)}: [{' '.join(problems)}]")


def _attach_secret(ctx: Context, pod: Item, container: Item, secret: Object) -> None:
    """The first rule whose key the secret has; a secret with none of the keys is not for us."""
    data, name, config = mapping(secret, "data"), name_of(secret), ctx.config.credentials
    secret_key = config.s3.secret_access_key_name or "awsSecretAccessKey"
    gcs_file = config.gcs_credential_file_name or "gcloud-application-credentials.json"
    if secret_key in data:
        plain = {key: _plain(data, key) for key in data if key in s3.SECRET_KEYS}
        key_id = config.s3.access_key_id_name or "awsAccessKeyID"
        override(
            container,
            [
                from_secret("AWS_ACCESS_KEY_ID", name, key_id),
                from_secret("AWS_SECRET_ACCESS_KEY", name, secret_key),
                *s3.variables(annotations_of(secret), plain, config.s3),
            ],
        )
    elif gcs_file in data:
        _attach_volume(pod, container, "user-gcp-sa", name, "/var/secrets/")
        variable = {"name": "GOOGLE_APPLICATION_CREDENTIALS", "value": f"/var/secrets/{gcs_file}"}
        append(container, "env", variable)
    elif _AZURE_KEYS & data.keys():
        append(container, "env", *_azure(name, data))
    elif _AZURE_STORAGE in data:
        append(container, "env", from_secret(_AZURE_STORAGE, name, _AZURE_STORAGE))
    elif "https-host" in data:
        if "headers" in data:
            host = _plain(data, "https-host")
            append(container, "env", {"name": f"{host}-headers", "value": _plain(data, "headers")})
    elif "HDFS_NAMENODE" in data:
        _attach_volume(pod, container, "hdfs-secrets", name, "/var/secrets/kserve-hdfscreds")
    else:
        token = next((key for key in _TOKENS if key in data), "")
        if token:
            append(container, "env", from_secret(token, name, token))


def _azure(name: str, data: Mapping[str, Any]) -> list[Item]:
    """Each variable whose key the secret has, and the tenant in any case."""
    found = []
    for field, has_short in _AZURE:
        variable, short = f"AZURE_{field}", f"AZ_{field}"
        key = short if has_short and short in data else variable
        if key in data or field == _TENANT:
            found.append(from_secret(variable, name, key))
    return found


def _attach_volume(pod: Item, container: Item, volume: str, secret: str, path: str) -> None:
    add_named(pod, "volumes", {"name": volume, "secret": {"secretName": secret}})
    add_named(container, "volumeMounts", mount(volume, path, readOnly=True))


def _plain(data: Mapping[str, Any], key: str) -> str:
    """A value of a secret as text; what is not base64 cannot come from an API server and counts as empty."""
    try:
        return base64.b64decode(text(data, key), validate=True).decode(errors="replace")
    except binascii.Error:
        return ""
