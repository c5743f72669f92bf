"""Volumes for the secondary tiers of KV-cache offloading (KV-1).

The server learns of the tiers by a flag that presets render; here their directories come into the pod. Changes the pod
spec it is given, which must be the caller's own copy.
"""

from collections.abc import Mapping
from typing import Any, Final

from aioctl.api.objects import mapping, present, sequence, text, within
from aioctl.golang import quantity
from aioctl.plan.workload.containers import MAIN, Item, append, mount, named

_STORAGE: Final = "ephemeral-storage"
_FIELD: Final = "kvCacheOffloading"


def attach_tiers(pod: Item, workload: Mapping[str, Any], *, at: str = "spec") -> None:
    """A volume for each tier of the workload (`spec` or `spec.prefill`), mounted in `main` at /mnt/kv-cache-<index>.

    Replicas share a tier that refers to a claim; the others are a pod's own. Raises FieldError for a size that is none.
    """
    main = named(pod, "containers", MAIN)
    with within(at):
        tiers = sequence(workload, _FIELD, "secondary")
    for index, tier in enumerate(tiers):
        with within(f"{at}.kvCacheOffloading.secondary[{index}]"):
            if present(tier, "fileSystem"):
                _attach_tier(pod, main, index, mapping(tier, "fileSystem"))


def _attach_tier(pod: Item, main: Item | None, index: int, tier: Mapping[str, Any]) -> None:
    name = f"kv-cache-secondary-{index}"
    sub_path = ""
    volume: Item = {"name": name}
    if present(tier, "emptyDir"):
        size = tier["emptyDir"].get("size") or "0"
        volume["emptyDir"] = {"sizeLimit": size}
        if main is not None:
            _request_storage(main, size)
    elif present(tier, "pvc", "spec"):
        volume["ephemeral"] = {"volumeClaimTemplate": {"spec": dict(mapping(tier, "pvc", "spec"))}}
    elif present(tier, "pvc", "ref"):
        volume["persistentVolumeClaim"] = {"claimName": text(tier, "pvc", "ref", "name")}
        sub_path = text(tier, "pvc", "ref", "path")
    else:
        # A volume without a source would be one on the node's disk without a bound.
        return
    append(pod, "volumes", volume)
    if main is not None:
        below = {"subPath": sub_path} if sub_path else {}
        append(main, "volumeMounts", mount(name, f"/mnt/kv-cache-{index}", **below))


def _request_storage(main: Item, size: str) -> None:
    """The scheduler must find the room for it beside what the container asks for already."""
    resources = dict(main.get("resources") or {})
    requests = dict(resources.get("requests") or {})
    requests[_STORAGE] = quantity.add(str(requests.get(_STORAGE) or "0"), str(size))
    main["resources"] = {**resources, "requests": requests}
