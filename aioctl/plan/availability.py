"""What a Deployment or LeaderWorkerSet says about its availability (COND-3, EPP-4).

Only condition `Available` counts; a stuck rollout beside serving pods is not reported, and no generation is compared.
"""

from aioctl.api.objects import Object, sequence, text


def availability(live: Object | None) -> tuple[str, str, str]:
    """(status `True` or `False`, reason, message); reason `Progressing` while there is no condition `Available`."""
    for condition in sequence(live, "status", "conditions"):
        if text(condition, "type") == "Available":
            if text(condition, "status") == "True":
                return "True", "", ""
            return "False", text(condition, "reason"), text(condition, "message")
    return "False", "Progressing", ""
