"""Who wrote an object in which version: what `metadata.managedFields` remembers on the real server, without the fields.

The real server compares, at every update and for every version somebody else wrote in, the stored object with the new one
in that version. For a kind with a conversion webhook that is one call for each such manager (the stored object, to see
whether its fields are still in the schema) and two for each such version (stored and new). Measured on kube-apiserver
1.34.1 by `tests/contract/test_conversion.py`. A manager whose fields were all taken over stays remembered here.
"""

from contextlib import suppress

from aioctl.sim.core import Core
from aioctl.sim.errors import StatusError
from aioctl.sim.patch import APPLY_PATCH
from aioctl.sim.records import Manager
from aioctl.sim.requests import SimRequest, Target
from aioctl.sim.resources import GroupVersion, Object
from aioctl.sim.store import Collection


def manager_of(request: SimRequest, target: Target) -> Manager:
    """The entry a write is remembered by: the query's `fieldManager`, else the program's name."""
    name = request.argument("fieldManager") or request.user_agent.partition("/")[0]
    operation = "Apply" if request.content_type == APPLY_PATCH else "Update"
    return Manager(name, operation, target.at, target.subresource)


async def compare(core: Core, collection: Collection, old: Object, new: Object, at: GroupVersion) -> None:
    """The conversions behind an update in version `at` of `old` to `new`. One that fails fails nothing."""
    if not collection.resource.webhook:
        return
    metadata = old["metadata"]
    key = (str(metadata.get("namespace", "")), str(metadata["name"]))
    others = [manager.at for manager in collection.managers.get(key, ()) if manager.at != at]
    asked = [(old, version) for version in others]
    asked += [(obj, version) for version in dict.fromkeys(others) for obj in (old, new)]
    with suppress(StatusError):
        for obj, version in asked:
            await core.converter.convert(collection.resource, [obj], version, cause="managed fields")
