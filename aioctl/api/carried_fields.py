"""The fields that v1alpha2 has and v1alpha1 has not, each with what its schema accepts (CONV-8).

They form a tree like the objects they are in: a `Branch` is opened, a `Check` ends a path, and `Rows` are the addresses,
whose fields are carried beside the URL they belong to. How they travel is in `conversion_carried`. A test holds the tree
against the CRDs, so that a field which only v1alpha2 gets cannot be forgotten.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aioctl.api.bounds import most
from aioctl.api.schema_checks import (
    Check,
    both,
    flag,
    integer,
    is_index,
    listed,
    mapped,
    name,
    one_of,
    quantity,
    record,
    shorter,
    text,
    wrong,
)

SPEC_FIELDS: Final = "internal.serving.kserve.io/v1alpha2-spec"
STATUS_FIELDS: Final = "internal.serving.kserve.io/v1alpha2-status"

_ADAPTER_LEVELS: Final = 16
"""Adapters nested deeper keep their fields in v1alpha1 too, where the list has no schema: nothing is lost there."""
_INT32: Final = integer(-(2**31), 2**31 - 1)


def _ending(key: str) -> bytes:
    """The end of a key in JSON text: short enough for a quick search, long enough to be rare."""
    return f'{key[-10:]}"'.encode()


@dataclass(frozen=True, slots=True)
class Rows:
    """A list of objects whose `parts` are carried together with `key`, which says whose they are."""

    key: str
    parts: Mapping[str, Check]
    names: tuple[bytes, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(_ending(name) for name in self.parts))

    def check(self, value: Any, where: str) -> str:
        """What is wrong with carried rows."""
        row = record(optional={self.key: text, **self.parts})
        return listed(row)(value, where)


@dataclass(frozen=True, slots=True)
class Branch:
    """An object, or with `many` a list of such objects, with the parts that lead to carried fields."""

    parts: "Mapping[str, Branch | Rows | Check]"
    many: bool = False
    names: tuple[bytes, ...] = field(init=False)
    """The last words of all paths below, their ends: encoded text that has none of them has none of the fields."""

    def __post_init__(self) -> None:
        found: dict[bytes, None] = {}
        for key, part in self.parts.items():
            found.update(dict.fromkeys(part.names if isinstance(part, Branch | Rows) else (_ending(key),)))
        object.__setattr__(self, "names", tuple(found))


_dns_label: Final = name(re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"), "a DNS label", most=63)
_group: Final = name(
    re.compile(r"|[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"),
    "an API group",
    least=0,
    most=253,
)
_kind: Final = name(re.compile(r"[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?"), "a kind", most=63)
_object_name: Final = name(re.compile(r"(?s:.*)"), "a name", most=253)

_typed: Final = {"apiGroup": text}
_claim: Final = record(
    optional={
        "accessModes": listed(text),
        "dataSource": record(kind=text, name=text, optional=_typed),
        "dataSourceRef": record(kind=text, name=text, optional={**_typed, "namespace": text}),
        "resources": record(optional={"limits": mapped(quantity), "requests": mapped(quantity)}),
        "selector": record(
            optional={
                "matchLabels": mapped(text),
                "matchExpressions": listed(
                    record(key=text, operator=text, optional={"values": listed(text)})
                ),
            }
        ),
        "storageClassName": text,
        "volumeAttributesClassName": text,
        "volumeMode": text,
        "volumeName": text,
    }
)
_CACHE: Final = "spec.kvCacheOffloading"
_FILES: Final = f"{_CACHE}.secondary[].fileSystem"
_reference: Final = record(
    name=shorter(text, most(f"{_FILES}.pvc.ref.name")),
    optional={"path": shorter(text, most(f"{_FILES}.pvc.ref.path"))},
)
_file_system: Final = record(
    optional={
        "emptyDir": record(size=shorter(quantity, most(f"{_FILES}.emptyDir.size"))),
        "pvc": record(optional={"spec": _claim, "ref": _reference}),
    }
)
kv_cache_offloading: Final = record(
    cpu=shorter(quantity, most(f"{_CACHE}.cpu")),
    optional={
        "evictionPolicy": one_of("lru", "arc"),
        "secondary": listed(record(optional={"fileSystem": _file_system}), most=most(f"{_CACHE}.secondary")),
    },
)
confidential: Final = record(
    enabled=flag, optional={"resourceId": shorter(text, most("spec.model.confidential.resourceId"))}
)
app_protocol: Final = one_of("http", "kubernetes.io/h2c")

origin: Final = record(group=_group, kind=_kind, name=_object_name, optional={"namespace": _dns_label})
models: Final = listed(record(name=text))


def _has_port(value: Any, where: str) -> str:
    """As the rule of BackendObjectReference in Gateway API: a Service needs a port."""
    service = not value.get("group") and value.get("kind") in (None, "Service")
    return (
        ""
        if not service or value.get("port") is not None
        else wrong(None, f"{where}.port", "set for a Service")
    )


_backend: Final = both(
    record(
        name=_object_name,
        optional={"group": _group, "kind": _kind, "namespace": _dns_label, "port": integer(1, 65535)},
    ),
    _has_port,
)
_member: Final = record(name=text, weight=_INT32, optional={"stopped": flag, "backendRef": _backend})
group: Final = record(name=text, optional={"members": listed(_member, unique="name")})
_counted: Final = record(kind=text, name=text, optional={**_typed, "readyReplicas": _INT32})
workloads: Final = record(
    optional={
        "primary": _counted,
        "prefill": _counted,
        "scheduler": _counted,
        "service": record(kind=text, name=text, optional=_typed),
    }
)
applied_configs: Final = listed(
    record(name=_object_name, namespace=_dns_label, source=one_of("Preset", "UserRef"))
)
referenced_by: Final = listed(record(optional={"name": _object_name, "namespace": _dns_label}))


def _adapters(levels: int) -> Branch:
    parts: dict[str, Branch | Rows | Check] = {"confidential": confidential}
    if levels > 1:
        parts["lora"] = Branch({"adapters": _adapters(levels - 1)})
    return Branch(parts, many=True)


SPEC: Final = Branch(
    {
        "kvCacheOffloading": kv_cache_offloading,
        "prefill": Branch({"kvCacheOffloading": kv_cache_offloading}),
        "model": Branch(
            {"confidential": confidential, "lora": Branch({"adapters": _adapters(_ADAPTER_LEVELS)})}
        ),
        "router": Branch(
            {"scheduler": Branch({"pool": Branch({"spec": Branch({"appProtocol": app_protocol})})})}
        ),
    }
)
STATUS: Final = Branch(
    {
        "addresses": Rows("url", {"origin": origin, "models": models}),
        "router": Branch({"group": group}),
        "workloads": workloads,
        "appliedConfigs": applied_configs,
        "referencedBy": referenced_by,
    }
)


def check_of(path: str, tree: Branch) -> Check | None:
    """The check of the field that the dotted path names; None when it names no carried field."""
    at: Branch | Rows | Check = tree
    inside = False
    for token in path.split("."):
        if not isinstance(at, Branch):
            return None
        if at.many and not inside:
            if not is_index(token):
                return None
            inside = True
            continue
        following = at.parts.get(token)
        if following is None:
            return None
        at, inside = following, False
    if isinstance(at, Branch):
        return None
    return at.check if isinstance(at, Rows) else at


def carrier(tree: Branch) -> Check:
    """What the whole annotation may hold: an object from the paths of carried fields to their values."""

    def check(value: Any, where: str) -> str:
        if not isinstance(value, Mapping):
            return wrong(value, where, "an object from path to value")
        for path, entry in value.items():
            known = check_of(path, tree)
            problem = (
                wrong(path, "key", "the path of a field that only v1alpha2 has")
                if known is None
                else known(entry, path)
            )
            if problem:
                return problem
        return ""

    return check
