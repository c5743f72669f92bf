"""What a DELETE leaves on an object: finalizers by propagation policy, and the mark that it is on its way out.

Pure functions on decoded objects; `writes` decides when, the collector follows up.
"""

from aioctl.sim.resources import Object

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"


def finalizers_left(obj: Object, policy: str, title: str) -> list[str]:
    """The finalizers a deletion leaves on the object, by propagation policy."""
    held = [item for item in obj["metadata"].get("finalizers") or () if item not in {FOREGROUND, ORPHAN}]
    kept = [item for item in obj["metadata"].get("finalizers") or () if item in {FOREGROUND, ORPHAN}]
    if policy == "Foreground":
        kept = [FOREGROUND]
    elif policy == "Orphan":
        kept = [ORPHAN]
    elif policy == "Background":
        kept = []
    if title == "namespaces" and (obj.get("spec") or {}).get("finalizers"):
        # A namespace is held by its spec until it is empty; the collector empties it.
        kept.append("kubernetes")
    return held + kept


def mark_for_deletion(obj: Object, finalizers: list[str], stamp: str) -> bool:
    """Puts the mark; False when everything stood there already."""
    metadata = obj["metadata"]
    wanted = [item for item in finalizers if item != "kubernetes"]
    if metadata.get("deletionTimestamp") and (metadata.get("finalizers") or []) == wanted:
        return False
    metadata["finalizers"] = wanted
    if not wanted:
        del metadata["finalizers"]
    if not metadata.get("deletionTimestamp"):
        metadata["deletionTimestamp"] = stamp
        metadata["deletionGracePeriodSeconds"] = 0
        if metadata.get("generation"):
            metadata["generation"] += 1
        if "kubernetes" in finalizers:
            obj["status"] = {**(obj.get("status") or {}), "phase": "Terminating"}
    return True
