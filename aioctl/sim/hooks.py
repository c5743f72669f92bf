"""Where the webhooks are: conversion clauses of our CRDs and the validating configurations, as install manifests set them.

The demo and the tests use it instead of manifests; a client may as well patch the objects itself.
"""

from typing import Any

import msgspec

from aioctl.api.kinds import CONFIG, GROUP, SERVICE
from aioctl.sim.api import SimCluster
from aioctl.sim.requests import SimRequest

Object = dict[str, Any]


def conversion_patch(base_url: str, ca_bundle: str) -> Object:
    """Merge patch for a CRD of ours; `ca_bundle` is base64 PEM, empty in memory."""
    config = {"url": f"{base_url.rstrip('/')}/convert", "service": None, "caBundle": ca_bundle or None}
    webhook = {"clientConfig": config, "conversionReviewVersions": ["v1", "v1beta1"]}
    return {"spec": {"conversion": {"strategy": "Webhook", "webhook": webhook}}}


def validating_configurations(base_url: str, ca_bundle: str, *, match_policy: str = "Exact") -> list[Object]:
    """Both ValidatingWebhookConfigurations (spec 10 section 5.1)."""
    made = []
    for kind, operations in ((SERVICE, ["CREATE", "UPDATE"]), (CONFIG, ["CREATE", "UPDATE", "DELETE"])):
        name = kind.kind.lower()
        hooks = []
        for version in ("v1alpha1", "v1alpha2"):
            suffix = "" if version == "v1alpha1" else f"-{version}"
            path = f"/validate-{GROUP.replace('.', '-')}-{version}-{name}"
            config = {"url": base_url.rstrip("/") + path, **({"caBundle": ca_bundle} if ca_bundle else {})}
            rule = {
                "apiGroups": [GROUP],
                "apiVersions": [version],
                "operations": operations,
                "resources": [kind.plural],
            }
            hooks.append(
                {
                    "name": f"{name}{suffix}.kserve-webhook-server.validator",
                    "clientConfig": config,
                    "rules": [rule],
                    "failurePolicy": "Fail",
                    "matchPolicy": match_policy,
                    "sideEffects": "None",
                    "admissionReviewVersions": ["v1", "v1beta1"],
                }
            )
        made.append(
            {
                "apiVersion": "admissionregistration.k8s.io/v1",
                "kind": "ValidatingWebhookConfiguration",
                "metadata": {"name": f"{name}.{GROUP}"},
                "webhooks": hooks,
            }
        )
    return made


async def install_webhooks(
    cluster: SimCluster,
    base_url: str,
    ca_bundle: str = "",
    *,
    match_policy: str = "Exact",
    validate: bool = True,
) -> None:
    """Points conversion (and with `validate` admission) at a webhook server. In memory any base URL will do."""
    patch = msgspec.json.encode(conversion_patch(base_url, ca_bundle))
    headers = {"content-type": "application/merge-patch+json", "user-agent": "sim"}
    for kind in (SERVICE, CONFIG):
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{kind.resource}"
        reply = await cluster.handle(SimRequest("PATCH", path, headers=headers, body=patch))
        if reply.status != 200:
            raise RuntimeError(f"{path}: the patch of the conversion clause was answered with {reply.status}")
    if validate:
        for configuration in validating_configurations(base_url, ca_bundle, match_policy=match_policy):
            await cluster.create(configuration, client="sim")
