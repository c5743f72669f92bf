"""The two CustomResourceDefinitions as documents: names, versions, columns, conversion clause, and their YAML.

Same names, versions and columns as KServe's (API-1), plus one column, last so that the positions of the others stay.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from aioctl.api import names
from aioctl.api.kinds import CONFIG, CRD, GROUP, SERVICE, Kind
from aioctl.api.review import CONVERT
from aioctl.crdgen import fields, pods, published
from aioctl.crdgen.fields import NEW, OLD, Embedded, Flavour
from aioctl.crdgen.scaling import Autoscalers

SOURCES_ANNOTATION: Final = "aioctl.dev/schema-sources"
HEADER: Final = "# Made by `aioctl crds` (docs/decisions/0006-crds-are-generated.md); do not edit.\n"
_LOCK: Final = names.MIGRATED.replace(".", r"\.")
_READY: Final[tuple[dict[str, Any], ...]] = (
    {"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type=='Ready')].status"},
    {"name": "Reason", "type": "string", "jsonPath": ".status.conditions[?(@.type=='Ready')].reason"},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
)
_COLUMNS: Final[dict[str, tuple[dict[str, Any], ...]]] = {
    SERVICE.kind: (
        {"name": "URL", "type": "string", "jsonPath": ".status.url"},
        *_READY,
        {"name": "URLs", "type": "string", "jsonPath": ".status.addresses[*].url", "priority": 1},
        {
            "name": "Pool",
            "type": "string",
            "description": "Generation of the InferencePool that carries the traffic for good; empty before that is decided.",
            "jsonPath": f".status.annotations['{_LOCK}']",
        },
    ),
    CONFIG.kind: _READY,
}


@dataclass(frozen=True, slots=True)
class Sources:
    """The documents that the embedded schemas are read from, decoded."""

    openapi: Mapping[str, Any]
    """`/openapi/v3/api/v1` of a kube-apiserver."""
    autoscaling: Mapping[str, Any]
    """`/openapi/v3/apis/autoscaling/v2` of the same."""
    http_route: Mapping[str, Any]
    """CRD of HTTPRoute, standard channel."""
    http_route_experimental: Mapping[str, Any]
    """CRD of HTTPRoute, experimental channel of the same release."""
    pool: Mapping[str, Any]
    """CRD of InferencePool, group inference.networking.k8s.io."""
    scaled_object: Mapping[str, Any]
    """CRD of KEDA's ScaledObject."""


@dataclass(frozen=True, slots=True)
class ConversionService:
    """The Service that answers conversion reviews at /convert on port 443."""

    name: str = "aioctl-webhook"
    namespace: str = "kserve"


def generate(sources: Sources, service: ConversionService = ConversionService()) -> dict[str, str]:
    """The YAML of both CRDs by file name. No caBundle: whoever owns the certificate fills it. Raises SourceError."""
    embedded = Embedded(
        pod=pods.pod_spec(sources.openapi),
        http_route=published.http_route_spec(sources.http_route, sources.http_route_experimental),
        pool=published.spec_of(sources.pool, "v1"),
        claim=pods.type_of(sources.openapi, pods.CLAIM_SPEC),
        quantity=pods.quantity(),
        int_or_string=pods.int_or_string(),
        autoscalers=Autoscalers(
            behavior=pods.type_of(sources.autoscaling, pods.BEHAVIOR),
            scaled_object=published.spec_of(sources.scaled_object, "v1alpha1"),
        ),
    )
    about = describe(sources)
    return {
        f"{GROUP}_{kind.plural}.yaml": HEADER + to_yaml(_crd(kind, embedded, service, about))
        for kind in (SERVICE, CONFIG)
    }


def describe(sources: Sources) -> str:
    """Which releases the sources say they are of."""
    kubernetes = (sources.openapi.get("info") or {}).get("version", "")
    parts = {
        "PodSpec": f"Kubernetes {kubernetes}",
        "HTTPRouteSpec": f"Gateway API {published.release_of(sources.http_route_experimental)}",
        "InferencePoolSpec": f"Inference Extension {published.release_of(sources.pool)}",
    }
    return "; ".join(f"{what}: {release}" for what, release in parts.items())


def _crd(kind: Kind, embedded: Embedded, service: ConversionService, about: str) -> dict[str, Any]:
    singular = kind.kind.lower()
    spoken: dict[str, Any] = {
        "kind": kind.kind,
        "listKind": f"{kind.kind}List",
        "plural": kind.plural,
        "singular": singular,
    }
    if kind is SERVICE:
        spoken["shortNames"] = ["llmisvc"]
    return {
        "apiVersion": CRD.api_version,
        "kind": CRD.kind,
        "metadata": {"name": kind.resource, "annotations": {SOURCES_ANNOTATION: about}},
        "spec": {
            "group": GROUP,
            "names": spoken,
            "scope": "Namespaced",
            "conversion": {
                "strategy": "Webhook",
                "webhook": {
                    "clientConfig": {
                        "service": {
                            "name": service.name,
                            "namespace": service.namespace,
                            "path": CONVERT,
                            "port": 443,
                        }
                    },
                    "conversionReviewVersions": ["v1", "v1beta1"],
                },
            },
            "versions": [_version(kind, version, embedded) for version in (OLD, NEW)],
        },
    }


def _version(kind: Kind, name: str, embedded: Embedded) -> dict[str, Any]:
    schema = fields.root(embedded, Flavour(name, partial=kind is CONFIG))
    return {
        "name": name,
        "served": True,
        "storage": name == NEW,
        "schema": {"openAPIV3Schema": schema},
        "additionalPrinterColumns": [dict(column) for column in _COLUMNS[kind.kind]],
        "subresources": {"status": {}},
    }


class _Plain(yaml.CSafeDumper):
    """No anchors: not every reader of manifests knows them."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def to_yaml(document: Mapping[str, Any]) -> str:
    """Keys sorted, so that the same content is the same text."""
    text: str = yaml.dump(document, Dumper=_Plain, sort_keys=True, width=110, allow_unicode=True)
    return text
