"""Whether the endpoint picker, or its tokenizer, is there to be asked (EPP-4, TOK-2)."""

from typing import Final

from aioctl.api.objects import Object, integer, sequence, text
from aioctl.plan.gateways import READY, Judgement
from aioctl.plan.readiness import find_condition

_DEADLINE: Final = "ProgressDeadlineExceeded"


def judge(live: Object | None) -> Judgement:
    """What the Deployment says; None: it is not there yet.

    One available replica is enough: of several pickers those that do not lead never become available.
    """
    if (integer(live, "status", "availableReplicas") or 0) > 0:
        return READY
    conditions = sequence(live, "status", "conditions")
    progressing = find_condition(conditions, "Progressing")
    if (
        progressing is not None
        and text(progressing, "status") == "False"
        and text(progressing, "reason") == _DEADLINE
    ):
        return Judgement(ready=False, reason=_DEADLINE, message=text(progressing, "message"))
    available = find_condition(conditions, "Available")
    if available is None:
        return Judgement(ready=False, reason="Progressing", message="Deployment rollout in progress")
    if text(available, "status") == "True":
        return READY
    return Judgement(ready=False, reason=text(available, "reason"), message=text(available, "message"))
