"""What a Deployment or LeaderWorkerSet says about its availability (COND-3, EPP-4).

Only condition `Available` counts; a stuck rollout beside serving pods is not reported, and no generation is compared.
"""

from aioctl.api import conditions as c
from aioctl.api.conditions import ConditionSet
from aioctl.api.objects import Object, sequence, text


def availability(live: Object | None) -> tuple[str, str, str]:
    """(status `True` or `False`, reason, message); reason `Progressing` while there is no condition `Available`."""
    for condition in sequence(live, "status", "conditions"):
        if text(condition, "type") == "Available":
            if text(condition, "status") == "True":
                return "True", "", ""
            return "False", text(condition, "reason"), text(condition, "message")
    return "False", "Progressing", ""


def mark_availability(made: ConditionSet, type_: str, live: Object | None) -> None:
    """Sets a condition to what the object says; None: it is not there yet."""
    status, reason, message = availability(live)
    if status == c.TRUE:
        made.mark_true(type_)
    else:
        made.mark_false(type_, reason, message)
