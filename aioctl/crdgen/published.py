"""HTTPRouteSpec and the two pool specs as a structural schema embeds them, read from the CRDs those projects publish.

They are taken as they are, without descriptions. Gateway API publishes HTTPRoute in two channels made of the same Go types:
the fields come from the experimental one (a service may use them where the cluster's HTTPRoute has them), validations and
enums that only one channel has come from neither. Which channel a cluster runs is for its HTTPRoute to decide, not for us.
"""

import copy
from collections.abc import Mapping
from typing import Any, Final

from aioctl.crdgen.schema import Schema, SourceError

_VALIDATIONS: Final = "x-kubernetes-validations"
_HEADER_VALUES: Final = (
    "matches[].headers[].value",
    *(
        f"{where}filters[].{modifier}.{how}[].value"
        for where in ("", "backendRefs[].")
        for modifier in ("requestHeaderModifier", "responseHeaderModifier")
        for how in ("add", "set")
    ),
)
"""Gateway API writes a pattern for these into its CRDs only, not into its Go types. A route of 1.4 has no such rule, so the
CRD that KServe makes of the types accepts more; the cluster's HTTPRoute decides."""


def http_route_spec(standard: Mapping[str, Any], experimental: Mapping[str, Any]) -> Schema:
    """HTTPRouteSpec of gateway.networking.k8s.io/v1, out of the CRDs of both channels. Raises SourceError."""
    if _bundle(standard) != _bundle(experimental):
        raise SourceError(
            f"the CRDs of HTTPRoute are of two releases, standard {_bundle(standard)!r} and experimental "
            f"{_bundle(experimental)!r}: give both of the same"
        )
    schema = spec_of(experimental, "v1")
    _keep_what_both_say(schema, spec_of(standard, "v1"))
    for path in _HEADER_VALUES:
        field(schema, f"rules[].{path}").pop("pattern", None)
    return schema


def field(schema: Schema, path: str) -> Schema:
    """The schema of the field at a path such as `rules[].matches[].path`. Raises SourceError."""
    at = schema
    for part in path.split("."):
        name, items = part.removesuffix("[]"), part.endswith("[]")
        at = at.get("properties", {}).get(name)
        at = at.get("items") if items and at is not None else at
        if at is None:
            raise SourceError(f"HTTPRouteSpec has no field {path}: give the CRD of HTTPRoute")
    return at


def _keep_what_both_say(schema: Schema, other: Schema) -> None:
    """Cuts validations and enums of `schema` down to those `other` has too; fields that `other` lacks stay whole."""
    for key in (_VALIDATIONS, "enum"):
        if key in schema:
            schema[key] = [entry for entry in schema[key] if entry in other.get(key, ())]
            if not schema[key]:
                del schema[key]
    for field, value in schema.get("properties", {}).items():
        if field in other.get("properties", {}):
            _keep_what_both_say(value, other["properties"][field])
    if "items" in schema and "items" in other:
        _keep_what_both_say(schema["items"], other["items"])


_BROKEN_BY_TEMPLATES: Final = frozenset({_VALIDATIONS, "pattern", "minLength", "minItems", "minProperties"})


def for_templates(node: Any) -> Any:
    """A deep copy for the Config kind: at no depth the rules that a template expression, or a part of a whole, would break.

    These five keywords KServe's generator leaves out of the same places (SCHEMA-3). A property of such a name stays.
    """
    return _without(node, _BROKEN_BY_TEMPLATES)


def spec_of(crd: Mapping[str, Any], version: str) -> Schema:
    """The schema of `spec` at that version of a published CRD, without descriptions. Raises SourceError."""
    for entry in (crd.get("spec") or {}).get("versions") or ():
        root = (entry.get("schema") or {}).get("openAPIV3Schema") or {}
        if entry.get("name") == version and "spec" in root.get("properties", {}):
            schema: Schema = without_descriptions(root["properties"]["spec"])
            return schema
    name = (crd.get("metadata") or {}).get("name", "the file")
    raise SourceError(
        f"{name} has no schema of `spec` at version {version}: give the CRD of the release that serves it"
    )


def without_descriptions(node: Any) -> Any:
    """A deep copy without the `description` of any schema; a property of that name stays."""
    return _without(node, frozenset({"description"}))


def _without(node: Any, keywords: frozenset[str]) -> Any:
    if not isinstance(node, Mapping):
        return copy.deepcopy(node)
    kept: Schema = {}
    for key, value in node.items():
        if key in keywords:
            continue
        if key == "properties":
            kept[key] = {field: _without(schema, keywords) for field, schema in value.items()}
        elif key == "default":
            kept[key] = copy.deepcopy(value)
        elif isinstance(value, list):
            kept[key] = [_without(item, keywords) for item in value]
        else:
            kept[key] = _without(value, keywords)
    return kept


def release_of(crd: Mapping[str, Any]) -> str:
    """The release, and channel where there is one, that a published CRD says it belongs to. May be empty."""
    return f"{_bundle(crd)} {_annotation(crd, '/channel')}".strip()


def _bundle(crd: Mapping[str, Any]) -> str:
    return _annotation(crd, "/bundle-version")


def _annotation(crd: Mapping[str, Any], suffix: str) -> str:
    annotations = (crd.get("metadata") or {}).get("annotations") or {}
    return next((str(value) for key, value in annotations.items() if key.endswith(suffix)), "")
