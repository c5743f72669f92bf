"""What the API server itself makes of an object of ours, and says of it, before it asks a webhook: the schemas of our CRDs -
defaults (SCHEMA-9), types, bounds, lists without repetition, validation rules (CEL) - and the rules of metadata. Pure.

The schemas are those of this release, from `schemas.json` beside this module (written by `python -m release charts`), and
are applied by the simulated API server's own machinery.
"""

from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec

from aioctl.api import kinds
from aioctl.api.conversion import up
from aioctl.api.objects import Object
from aioctl.sim.errors import Cause, StatusError
from aioctl.sim.list_types import repeated
from aioctl.sim.objectmeta import findings, metadata_of
from aioctl.sim.resources import GroupVersion, Resource, Version
from aioctl.sim.schema import UNCHECKED_RULES, Schema
from aioctl.sim.validations import Validations

OUR_KINDS: Final = frozenset({kinds.SERVICE.kind, kinds.CONFIG.kind})
VERSIONS: Final = frozenset({kinds.V1ALPHA1, kinds.V1ALPHA2})
_FILE: Final = Path(__file__).parent / "schemas.json"
_PARTS: Final = ("items", "additionalProperties")


def stored(obj: Object) -> Object:
    """A service or config of any version as the API server gives it out in the hub's: defaults go in before it is converted and
    after. Raises FieldError."""
    hub = up(decoded(obj))
    return hub if hub.get("apiVersion") == obj.get("apiVersion") else decoded(hub)


def decoded(obj: Object) -> Object:
    """A service or config as the API server reads it from a request: without nulls, and with its version's defaults.

    A copy; what is of no kind or version of ours is returned as it is.
    """
    if obj.get("kind") not in OUR_KINDS or obj.get("apiVersion") not in VERSIONS:
        return obj
    new = deepcopy({"spec": obj["spec"]} if "spec" in obj else {})
    schema = _version(str(obj["kind"]), GroupVersion.parse(str(obj["apiVersion"])).version).schema
    if schema is not None:
        schema.complete(new)
    return {**{name: value for name, value in obj.items() if name != "spec"}, **new}


def problems(obj: Mapping[str, Any]) -> list[str]:
    """What is wrong with an object of a version that is served, a sentence each."""
    try:
        found = causes(obj)
    except StatusError as error:
        return [str(error)]
    return [each.text if each != UNCHECKED_RULES else each.body.rpartition(": ")[2] for each in found]


def causes(obj: Mapping[str, Any]) -> list[Cause]:
    """What the API server says to whoever creates it. Raises StatusError for metadata that is none."""
    kind, at = str(obj.get("kind")), GroupVersion.parse(str(obj.get("apiVersion")))
    metadata = metadata_of({"metadata": deepcopy(dict(obj.get("metadata") or {}))})
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = (
            f"{metadata['generateName']}00000"  # letters of the API server's, which are always right
        )
    # The status is taken out before anything looks.
    new = {name: value for name, value in decoded(obj).items() if name == "spec"}
    said = _version(kind, at.version).findings(new, None)
    return [*findings(Resource(at.group, "", kind, (), at), metadata), *said]


@cache
def _version(kind: str, version: str) -> Version:
    """Compiled once a process: there are four."""
    file = msgspec.json.decode(_FILE.read_bytes())
    source = {"type": "object", "properties": {"spec": _tree(file["nodes"])[file["kinds"][kind][version]]}}

    def lists(new: Mapping[str, Any], _old: Mapping[str, Any] | None) -> list[Cause]:
        return list(repeated(source, new))

    return Version(GroupVersion(kinds.GROUP, version), Schema(source), (lists, Validations(source)))


def _tree(nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The nodes with their parts, which stand before them, in place of the parts' numbers."""
    made: list[dict[str, Any]] = []
    for node in nodes:
        full = dict(node)
        if "properties" in node:
            full["properties"] = {name: made[number] for name, number in node["properties"].items()}
        for part in _PARTS:
            if isinstance(node.get(part), int) and not isinstance(node[part], bool):
                full[part] = made[node[part]]
        made.append(full)
    return made
