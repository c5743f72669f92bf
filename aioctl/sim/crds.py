"""CustomResourceDefinitions as objects: which kinds are served follows from which of them exist.

Kinds of the tables get a CRD object that says little more than their names; a CRD that a client posts brings its own schema
(defaults and required fields), and where it belongs to a kind of the tables that kind's rules stay in force.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from aioctl.sim.facts import custom_kinds
from aioctl.sim.resources import GroupVersion, Object, Resource, Version
from aioctl.sim.schema import Schema
from aioctl.sim.webhooks import HookTarget

_GROUP: Final = "apiextensions.k8s.io"


def crd_of(resource: Resource, webhook: Mapping[str, Any] | None) -> Object:
    """The CRD object of a kind of the tables; `webhook` is the conversion's clientConfig."""
    open_schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    versions = [
        {
            "name": version.at.version,
            "served": True,
            "storage": version.at == resource.stored,
            "schema": open_schema,
            **({"subresources": {"status": {}}} if resource.status else {}),
        }
        for version in resource.versions
    ]
    spec: Object = {
        "group": resource.group,
        "names": {
            "plural": resource.plural,
            "singular": resource.singular,
            "kind": resource.kind,
            "listKind": f"{resource.kind}List",
            **({"shortNames": list(resource.short_names)} if resource.short_names else {}),
            **({"categories": list(resource.categories)} if resource.categories else {}),
        },
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "versions": versions,
        "conversion": {"strategy": "None"},
    }
    if resource.webhook and webhook is not None:
        hook = {"clientConfig": dict(webhook), "conversionReviewVersions": ["v1", "v1beta1"]}
        spec["conversion"] = {"strategy": "Webhook", "webhook": hook}
    return {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": resource.title},
        "spec": spec,
    }


def _schema_of(version: Mapping[str, Any]) -> Schema | None:
    source = (version.get("schema") or {}).get("openAPIV3Schema") or {}
    if not source.get("properties"):
        return None
    # Metadata is judged by the API server's own rules.
    properties = {name: sub for name, sub in source["properties"].items() if name != "metadata"}
    return Schema({**source, "properties": properties})


def _full(version: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The schema, where it says what there is."""
    source: Mapping[str, Any] = (version.get("schema") or {}).get("openAPIV3Schema") or {}
    return source if source.get("properties") else None


def _priority(version: str) -> tuple[int, int, int]:
    """Kubernetes' order of versions: v2 before v1 before v1beta2 before v1alpha1; names of other shapes last."""
    match = re.fullmatch(r"v(\d+)(?:(alpha|beta)(\d+))?", version)
    if match is None:
        return 0, 0, 0
    stage = {None: 3, "beta": 2, "alpha": 1}[match[2]]
    return stage, int(match[1]), int(match[3] or 0)


def resource_of(crd: Mapping[str, Any]) -> Resource:
    """What a CRD object makes the server serve."""
    spec = crd["spec"]
    known = custom_kinds().get(crd["metadata"]["name"])
    group, names = spec["group"], spec["names"]
    versions, stored, has_status = [], None, False
    for entry in spec["versions"]:
        at = GroupVersion(group, entry["name"])
        if entry.get("storage"):
            stored = at
        if not entry.get("served", True):
            continue
        fact = known.version(at) if known else None
        columns = tuple(
            (column["name"], column["type"], column["jsonPath"].removeprefix("."))
            for column in entry.get("additionalPrinterColumns") or ()
            if not column.get("priority") and column["name"] != "Age"
        )
        versions.append(
            Version(
                at,
                _schema_of(entry) or (fact.schema if fact else None),
                fact.rules if fact else (),
                columns or (fact.columns if fact else ()),
                full=_full(entry),
            )
        )
        has_status = has_status or "status" in (entry.get("subresources") or {})
    versions.sort(key=lambda version: _priority(version.at.version), reverse=True)
    return Resource(
        group,
        names["plural"],
        names["kind"],
        tuple(versions),
        stored or versions[0].at,
        namespaced=spec.get("scope") != "Cluster",
        status=has_status,
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        custom=True,
        webhook=(spec.get("conversion") or {}).get("strategy") == "Webhook",
    )


def conversion_target(crd: Mapping[str, Any]) -> HookTarget | None:
    """Where the conversion webhook is; None with strategy None."""
    conversion = (crd.get("spec") or {}).get("conversion") or {}
    if conversion.get("strategy") != "Webhook":
        return None
    return HookTarget.parse((conversion.get("webhook") or {}).get("clientConfig") or {})
