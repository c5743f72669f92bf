"""What of an object stands while others write its status: all that a child of ours is compared with.

Gateways and the controllers of workloads write the status of our children many times while they roll out; what such a write leaves as
it was need not be decided again.
"""

from hashlib import blake2b
from typing import Any, Final

from aioctl.api import kinds
from aioctl.api.encoding import to_json
from aioctl.api.objects import Object, mapping
from aioctl.plan.observation import Present, Read

KINDS: Final = frozenset(
    {kinds.DEPLOYMENT, kinds.LEADER_WORKER_SET, kinds.HTTP_ROUTE, kinds.POOL_V1, kinds.POOL_V1ALPHA2}
)
"""Those of our children whose status others write."""
_PASSING: Final = frozenset({"resourceVersion", "managedFields"})


def of_read(read: Read) -> Read:
    """What was read, but for a status."""
    return Present(_without_status(read.obj)) if isinstance(read, Present) else read


def digest(obj: Object) -> bytes:
    """The same for versions of an object that differ in nothing but their status."""
    metadata = {name: value for name, value in mapping(obj, "metadata").items() if name not in _PASSING}
    return blake2b(to_json({**_without_status(obj), "metadata": metadata}), digest_size=16).digest()


def _without_status(obj: Object) -> dict[str, Any]:
    return {name: value for name, value in obj.items() if name != "status"}
