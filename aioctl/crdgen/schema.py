"""What the generator's modules share: the shape of a schema, how one is built, and the error for a source that does not fit."""

import copy
from typing import Any, Final

from aioctl.api.bounds import Bound, parts

Schema = dict[str, Any]
"""A node of an OpenAPI v3 schema as CRDs spell it: raw, in the order in which it was made."""

VALIDATIONS: Final = "x-kubernetes-validations"
DNS_LABEL: Final = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DNS_SUBDOMAIN: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
GROUP: Final = "^$|" + DNS_SUBDOMAIN
KIND: Final = "^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$"


class SourceError(ValueError):
    """A source does not hold what is read from it; the text names what is missing and the cure."""


def obj(about: str, /, **properties: Schema) -> Schema:
    """An object with these fields."""
    return {"description": about, "type": "object", "properties": properties}


def requiring(schema: Schema, *required: str) -> Schema:
    """The same object with required fields."""
    return {**schema, "required": list(required)}


def ruled(schema: Schema, *rules: tuple[str, str]) -> Schema:
    """The same schema with CEL rules: message and expression of each."""
    return {**schema, VALIDATIONS: [{"message": message, "rule": rule} for message, rule in rules]}


def list_of(about: str, items: Schema, **rules: Any) -> Schema:
    """A list of these."""
    return {"description": about, "type": "array", "items": items, **rules}


def atomic_list(about: str, items: Schema, **rules: Any) -> Schema:
    """A list that a server-side apply replaces as a whole."""
    return list_of(about, items, **rules, **{"x-kubernetes-list-type": "atomic"})


def string_map(about: str) -> Schema:
    """Strings by name."""
    return {"description": about, "type": "object", "additionalProperties": {"type": "string"}}


def string(about: str, **rules: Any) -> Schema:
    """A string."""
    return {"description": about, "type": "string", **rules}


def boolean(about: str) -> Schema:
    """True or false."""
    return {"description": about, "type": "boolean"}


def int32(about: str, minimum: int | None = None, maximum: int | None = None, **rules: Any) -> Schema:
    """A 32-bit number within bounds that belong to the range."""
    schema: Schema = {"description": about, "type": "integer", "format": "int32", **rules}
    for keyword, bound in (("minimum", minimum), ("maximum", maximum)):
        if bound is not None:
            schema[keyword] = bound
    return schema


def embed(about: str, schema: Schema) -> Schema:
    """A schema of somebody else under a description of ours."""
    return {"description": about, **copy.deepcopy(schema)}


def local_reference(about: str) -> Schema:
    """The core type LocalObjectReference."""
    return {
        **obj(about, name=string("Name of an object in the same namespace.", default="")),
        "x-kubernetes-map-type": "atomic",
    }


def set_bound(root: Schema, bound: Bound) -> None:
    """Writes a bound into the schema of an object, in place; does nothing where this version has no such field."""
    node: Schema | None = root
    for part in parts(bound.path):
        if node is None:
            return
        within = {"[]": "items", "{}": "additionalProperties"}
        node = node.get(within[part]) if part in within else node.get("properties", {}).get(part)
    if node is not None:
        node[bound.measure.value] = bound.most


def namespace(about: str) -> Schema:
    """Name of a namespace, as Gateway API bounds it."""
    return string(about, minLength=1, maxLength=63, pattern=DNS_LABEL)


def object_name(about: str) -> Schema:
    """Name of an object, as Gateway API bounds it."""
    return string(about, minLength=1, maxLength=253)


def section_name(about: str) -> Schema:
    """Name of a listener, as Gateway API bounds it."""
    return string(about, minLength=1, maxLength=253, pattern=DNS_SUBDOMAIN)


def object_reference(about: str) -> Schema:
    """Gateway API's ParentReference as a status names it: group, kind, name and perhaps a namespace."""
    return requiring(
        obj(
            about,
            group=string("Its API group.", maxLength=253, pattern=GROUP),
            kind=string("Its kind.", minLength=1, maxLength=63, pattern=KIND),
            name=object_name("Its name."),
            namespace=namespace("Its namespace; absent: the service's own."),
        ),
        "group",
        "kind",
        "name",
    )
