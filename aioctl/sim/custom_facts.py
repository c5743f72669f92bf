"""Shorthands that the tables of custom kinds share: a resource from its schemas, conditions, parents of a route or pool."""

from collections.abc import Mapping
from typing import Any, Final

from aioctl.sim.resources import GroupVersion, Resource, Rule, Version
from aioctl.sim.schema import Schema, list_of, object_of, text

GATEWAY_API: Final = "gateway.networking.k8s.io"
_EPOCH: Final = "1970-01-01T00:00:00Z"


def waiting(kind: str, reason: str = "Pending") -> dict[str, str]:
    return {
        "type": kind,
        "status": "Unknown",
        "reason": reason,
        "message": "Waiting for controller",
        "lastTransitionTime": _EPOCH,
    }


def custom(
    group: str,
    kind: str,
    plural: str,
    versions: Mapping[str, tuple[Mapping[str, Any], tuple[Rule, ...]]],
    *,
    stored: str = "",
    status: bool = True,
    **rest: Any,
) -> Resource:
    made = tuple(
        Version(GroupVersion(group, name), Schema(schema), rules)
        for name, (schema, rules) in versions.items()
    )
    at = GroupVersion(group, stored) if stored else made[0].at
    return Resource(group, plural, kind, made, at, status=status, custom=True, **rest)


def parent_status(field: str, *, pending: bool = False) -> dict[str, Any]:
    """Schema of the parents of a route or pool; `pending`: conditions that are left out read as waiting."""
    found = conditions()
    if pending:
        found["default"] = [waiting("Accepted")]
    reference = object_of(
        {"group": text(GATEWAY_API), "kind": text("Gateway"), "name": text()}, needs=("name",)
    )
    return list_of(
        object_of({"parentRef": reference, "conditions": found}, needs=("parentRef",)), title=field
    )


def conditions() -> dict[str, Any]:
    needs = ("lastTransitionTime", "message", "reason", "status", "type")
    return list_of(object_of({"status": text(enum=["True", "False", "Unknown"])}, needs=needs))
