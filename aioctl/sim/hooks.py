"""Where the webhooks are: conversion clauses of our CRDs and the admission configurations, as install manifests set them.

The demo and the tests use it instead of manifests; a client may as well patch the objects itself.
"""

from typing import Any, Final

import msgspec

from aioctl.api.kinds import CONFIG, GROUP, SERVICE, Kind
from aioctl.sim.api import SimCluster
from aioctl.sim.requests import SimRequest

Object = dict[str, Any]
_VERSIONS: Final = ("v1alpha1", "v1alpha2")
_WRITTEN: Final = ("validator", ["CREATE", "UPDATE"], "Fail")
_DELETED: Final = ("deletion", ["DELETE"], "Ignore")
"""Role, operations and failure policy."""


def conversion_patch(base_url: str, ca_bundle: str) -> Object:
    """Merge patch for a CRD of ours; `ca_bundle` is base64 PEM, empty in memory."""
    config = {"url": f"{base_url.rstrip('/')}/convert", "service": None, "caBundle": ca_bundle or None}
    webhook = {"clientConfig": config, "conversionReviewVersions": ["v1", "v1beta1"]}
    return {"spec": {"conversion": {"strategy": "Webhook", "webhook": webhook}}}


def validating_configurations(base_url: str, ca_bundle: str, *, match_policy: str = "Exact") -> list[Object]:
    """Both ValidatingWebhookConfigurations (ADM-1)."""
    return [
        _configuration(
            "Validating",
            kind,
            [
                {
                    **_hook(kind, version, role, operations, base_url, ca_bundle),
                    "failurePolicy": failures,
                    "matchPolicy": match_policy,
                }
                for role, operations, failures in roles
                for version in _VERSIONS
            ],
        )
        for kind, roles in ((SERVICE, (_WRITTEN,)), (CONFIG, (_WRITTEN, _DELETED)))
    ]


def mutating_configuration(base_url: str, ca_bundle: str) -> Object:
    """The MutatingWebhookConfiguration for services (ADM-1)."""
    hooks = [
        {
            **_hook(SERVICE, version, "defaulter", ["CREATE", "UPDATE"], base_url, ca_bundle),
            "failurePolicy": "Fail",
            "matchPolicy": "Exact",
        }
        for version in _VERSIONS
    ]
    return _configuration("Mutating", SERVICE, hooks)


def admission_configurations(base_url: str, ca_bundle: str, *, match_policy: str = "Exact") -> list[Object]:
    """All that are shipped; `match_policy` is that of the validating ones."""
    return [
        *validating_configurations(base_url, ca_bundle, match_policy=match_policy),
        mutating_configuration(base_url, ca_bundle),
    ]


def _hook(
    kind: Kind, version: str, role: str, operations: list[str], base_url: str, ca_bundle: str
) -> Object:
    name = kind.kind.lower()
    verb = "mutate" if role == "defaulter" else "validate"
    path = f"/{verb}-{GROUP.replace('.', '-')}-{version}-{name}"
    return {
        "name": f"{name}.kserve-webhook-server.{version}.{role}",
        "clientConfig": {
            "url": base_url.rstrip("/") + path,
            **({"caBundle": ca_bundle} if ca_bundle else {}),
        },
        "rules": [
            {
                "apiGroups": [GROUP],
                "apiVersions": [version],
                "operations": operations,
                "resources": [kind.plural],
            }
        ],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1", "v1beta1"],
    }


def _configuration(prefix: str, kind: Kind, hooks: list[Object]) -> Object:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": f"{prefix}WebhookConfiguration",
        "metadata": {"name": f"{kind.kind.lower()}.{GROUP}"},
        "webhooks": hooks,
    }


async def install_webhooks(
    cluster: SimCluster,
    base_url: str,
    ca_bundle: str = "",
    *,
    match_policy: str = "Exact",
    admission: bool = True,
) -> None:
    """Points conversion (and with `admission` the reviews) at a webhook server. In memory any base URL will do."""
    patch = msgspec.json.encode(conversion_patch(base_url, ca_bundle))
    headers = {"content-type": "application/merge-patch+json", "user-agent": "sim"}
    for kind in (SERVICE, CONFIG):
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{kind.resource}"
        reply = await cluster.handle(SimRequest("PATCH", path, headers=headers, body=patch))
        if reply.status != 200:
            raise RuntimeError(f"{path}: the patch of the conversion clause was answered with {reply.status}")
    if admission:
        for configuration in admission_configurations(base_url, ca_bundle, match_policy=match_policy):
            await cluster.create(configuration, client="sim")
