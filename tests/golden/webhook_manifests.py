"""The validating webhook configurations of spec 60 section 7, pointing wherever a test wants them."""

from collections.abc import Callable, Mapping
from typing import Any

GROUP = "serving.kserve.io"
MATCH_POLICY = "Equivalent"
"""What the recordings were made with."""

ClientConfig = Callable[[str], Mapping[str, Any]]
"""Path -> `clientConfig`."""


def service_reference(path: str) -> Mapping[str, Any]:
    """Through the Service of the manifests, as a cluster has it."""
    return {"service": {"namespace": "kserve", "name": "kserve-webhook-server-service", "path": path}}


def validating_configurations(client_config: ClientConfig) -> list[dict[str, Any]]:
    """One configuration a kind, one webhook a version."""
    return [
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": f"{kind}.{GROUP}"},
            "webhooks": [
                _webhook(kind, version, operations, client_config) for version in ("v1alpha1", "v1alpha2")
            ],
        }
        for kind, operations in (
            ("llminferenceservice", ["CREATE", "UPDATE"]),
            ("llminferenceserviceconfig", ["CREATE", "UPDATE", "DELETE"]),
        )
    ]


def _webhook(kind: str, version: str, operations: list[str], client_config: ClientConfig) -> dict[str, Any]:
    stem = kind if version == "v1alpha1" else f"{kind}-{version}"
    rule = {
        "apiGroups": [GROUP],
        "apiVersions": [version],
        "operations": operations,
        "resources": [f"{kind}s"],
    }
    return {
        "name": f"{stem}.kserve-webhook-server.validator",
        "admissionReviewVersions": ["v1"],
        "clientConfig": dict(client_config(f"/validate-serving-kserve-io-{version}-{kind}")),
        "failurePolicy": "Fail",
        "matchPolicy": MATCH_POLICY,
        "rules": [rule],
        "sideEffects": "None",
    }
