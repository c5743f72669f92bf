"""What of an object an installed CRD drops without a word: fields that its structural schema does not have. Pure.

The API server prunes what it stores and what it reads, so an object never shows what it lost. What was asked for is seen in
the annotation that `kubectl apply` leaves (the whole object as it was given) and in `metadata.managedFields` (a set of fields
that somebody wrote under an earlier schema).
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from aioctl.api.objects import Object, annotations_of, dig, sequence
from aioctl.golang.gotypes import SPEC, GoType, Shape

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_KEEPS: Final = "x-kubernetes-preserve-unknown-fields"
_METADATA: Final = "meta.ObjectMeta"
"""Of the metadata in a claim's template schemas describe what Kubernetes uses of it."""
Schema = Mapping[str, Any]


def schema_of(crd: Object, version: str) -> Schema | None:
    """The schema of `spec` in that version; None where the CRD has no such version or does not describe it."""
    for one in sequence(crd, "spec", "versions"):
        if dig(one, "name") == version:
            found = dig(one, "schema", "openAPIV3Schema", "properties", "spec")
            return found if isinstance(found, Mapping) else None
    return None


def dropped(value: Any, schema: Schema, at: str = "spec") -> Iterator[str]:
    """Paths of the fields of a value that the schema does not have, each at its highest."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            below = _below(schema, str(name))
            if below is not None:
                yield from dropped(item, below, f"{at}.{name}")
            elif not schema.get(_KEEPS):
                yield f"{at}.{name}"
    elif isinstance(value, list):
        items = schema.get("items")
        if isinstance(items, Mapping):
            for index, item in enumerate(value):
                yield from dropped(item, items, f"{at}[{index}]")


def _below(schema: Schema, name: str) -> Schema | None:
    properties, extra = schema.get("properties"), schema.get("additionalProperties")
    found = properties.get(name) if isinstance(properties, Mapping) else None
    if found is None:
        found = {_KEEPS: True} if extra is True else extra
    return found if isinstance(found, Mapping) else None


def asked_for(obj: Object) -> Iterator[tuple[str, Any]]:
    """(version, spec) of each thing that says what was asked for: what was applied, and who owns which fields."""
    applied = _decoded(annotations_of(obj).get(LAST_APPLIED))
    if isinstance(applied, Mapping):
        yield _version(applied.get("apiVersion")), applied.get("spec")
    for entry in sequence(obj, "metadata", "managedFields"):
        if not dig(entry, "subresource"):
            yield _version(dig(entry, "apiVersion")), _plain(dig(entry, "fieldsV1", "f:spec"))


def _decoded(found: Any) -> Any:
    try:
        return json.loads(found) if isinstance(found, str) else None
    except ValueError:
        return None


def _version(api_version: Any) -> str:
    return str(api_version or "").rpartition("/")[2]


def _plain(fields: Any) -> Any:
    """A fieldsV1 set as an object of the same shape (structured-merge-diff: `f:` a field, `k:` `v:` `i:` an item of a list)."""
    if not isinstance(fields, Mapping):
        return None
    items = [below for key, below in fields.items() if str(key)[:2] in ("k:", "v:", "i:")]
    if items:
        return [_plain(below) for below in items]
    return {str(key)[2:]: _plain(below) for key, below in fields.items() if str(key).startswith("f:")}


def lacking(schema: Schema, type_: GoType = SPEC, at: str = "spec") -> Iterator[str]:
    """Paths of the fields of this release's types that the schema does not have, each at its highest."""
    match type_.shape:
        case Shape.POINTER:
            yield from lacking(schema, type_.of, at)
        case Shape.LIST if isinstance(schema.get("items"), Mapping):
            yield from lacking(schema["items"], type_.of, f"{at}[]")
        case Shape.MAP if isinstance(schema.get("additionalProperties"), Mapping):
            yield from lacking(schema["additionalProperties"], type_.of, f"{at}{{}}")
        case Shape.STRUCT if not (schema.get(_KEEPS) or type_.struct_id == _METADATA) and schema.get(
            "properties"
        ):
            for field in type_.struct.fields:
                below = _below(schema, field.json)
                if below is None:
                    yield f"{at}.{field.json}"
                else:
                    yield from lacking(below, field.type, f"{at}.{field.json}")
