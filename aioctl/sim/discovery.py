"""Discovery documents: groups, versions and resources that are served at this moment.

The plain (not aggregated) form that every client falls back to.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from aioctl.sim.errors import NoSuchPath, no_such_subresource
from aioctl.sim.resources import GroupVersion, Resource

_VERBS: Final = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
_STATUS_VERBS: Final = ["get", "patch", "update"]
VERSION: Final = {
    "major": "1",
    "minor": "34",
    "gitVersion": "v1.34.1+sim",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "",
    "goVersion": "",
    "compiler": "",
    "platform": "",
}


def document(path: str, resources: Iterable[Resource]) -> bytes:
    """The answer to a discovery path. Raises NoSuchPath."""
    parts = [part for part in path.split("/") if part]
    found = list(resources)
    match parts:
        case ["version"]:
            made: dict[str, Any] = VERSION
        case ["api"]:
            made = {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
        case ["api", version] if version != "v1":
            raise no_such_subresource()
        case ["api", version]:
            made = _resource_list(GroupVersion("", version), found)
        case ["apis"]:
            groups = [_group(group, found) for group in _groups(found)]
            made = {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
        case ["apis", group]:
            if group not in _groups(found):
                raise NoSuchPath
            made = {"kind": "APIGroup", "apiVersion": "v1", **_group(group, found)}
        case ["apis", group, version]:
            made = _resource_list(GroupVersion(group, version), found)
        case _:
            raise NoSuchPath
    return msgspec.json.encode(made)


def _groups(resources: Iterable[Resource]) -> list[str]:
    groups = {version.at.group: None for resource in resources for version in resource.versions}
    return sorted(group for group in groups if group)


def _group(group: str, resources: Iterable[Resource]) -> dict[str, Any]:
    versions = list(
        dict.fromkeys(
            version.at for resource in resources for version in resource.versions if version.at.group == group
        )
    )
    entries = [{"groupVersion": at.api_version, "version": at.version} for at in versions]
    return {"name": group, "versions": entries, "preferredVersion": entries[0]}


def _resource_list(at: GroupVersion, resources: Iterable[Resource]) -> dict[str, Any]:
    entries = []
    for resource in resources:
        if resource.version(at) is None:
            continue
        entry: dict[str, Any] = {
            "name": resource.plural,
            "singularName": resource.singular,
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": _VERBS,
        }
        if resource.short_names:
            entry["shortNames"] = list(resource.short_names)
        if resource.categories:
            entry["categories"] = list(resource.categories)
        entries.append(entry)
        if resource.status:
            status = {
                **entry,
                "name": f"{resource.plural}/status",
                "singularName": "",
                "verbs": _STATUS_VERBS,
            }
            status.pop("shortNames", None)
            status.pop("categories", None)
            entries.append(status)
    if not entries:
        raise NoSuchPath
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": at.api_version,
        "resources": entries,
    }
