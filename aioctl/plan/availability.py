"""What a Deployment or LeaderWorkerSet says about its availability (COND-3, EPP-4).

Condition `Available` counts; of a workload that is not available, why its rollout does not come on. A stuck rollout beside
serving pods is not reported, and no generation is compared.
"""

from aioctl.api import conditions as c
from aioctl.api.conditions import ConditionSet
from aioctl.api.kinds import DEPLOYMENT, LEADER_WORKER_SET, Kind
from aioctl.api.objects import Object, sequence, text


def availability(live: Object | None, kind: Kind = DEPLOYMENT) -> tuple[str, str, str]:
    """(status `True` or `False`, reason, message); reason `Progressing` while there is no condition `Available`.

    `live` None: it is not there yet. Of a LeaderWorkerSet only `Available` counts, it says `Progressing` of other things.
    """
    found = {
        text(condition, "type"): condition for condition in reversed(sequence(live, "status", "conditions"))
    }
    available, progressing = found.get("Available"), found.get("Progressing")
    if available is not None and text(available, "status") == "True":
        return "True", "", ""
    is_stuck = progressing is not None and text(progressing, "status") == "False"
    if is_stuck and kind == DEPLOYMENT:
        available = progressing
    if available is not None:
        return "False", text(available, "reason"), text(available, "message")
    return "False", "Progressing", "LWS is progressing" if kind == LEADER_WORKER_SET else ""


def mark_availability(made: ConditionSet, type_: str, live: Object | None, kind: Kind = DEPLOYMENT) -> None:
    """Sets a condition to what the object says; None: it is not there yet."""
    status, reason, message = availability(live, kind)
    if status == c.TRUE:
        made.mark_true(type_)
    else:
        made.mark_false(type_, reason, message)
