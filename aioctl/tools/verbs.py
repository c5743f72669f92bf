"""What the operator's verbs change of a service, and what each has to say of it. Pure: the words and the patch, no call.

Each verb sets or removes annotations that docs/reference.md lists; what follows from them is the controller's. `unlock` is
the exception: it takes the lock off both places that keep it, and `unlock_refusal` says when it must not.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aioctl.api import conditions as c
from aioctl.api import names
from aioctl.api.defaulting import is_stopped
from aioctl.api.kinds import Served
from aioctl.api.objects import Object, annotations_of, dig, is_deleting
from aioctl.plan.evidence import GatewayEvidence, Source, Support
from aioctl.plan.migration import MigrationFacts, PoolState, Refusal
from aioctl.plan.policy import PodForm, Strategy
from aioctl.plan.readiness import find_condition

Patch = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """What a verb makes of one service. `patch` None: nothing to write, and `said` tells why."""

    said: str
    patch: Patch | None = None


@dataclass(frozen=True, slots=True)
class Verb:
    """`annotation` is set to `value` (None: removed); `done` and `already` are what is said of a service."""

    name: str
    annotation: str
    value: str | None
    done: str
    already: str
    holds: Callable[[Object], bool] | None = None
    """Whether it is so already, where that is more than the annotation's very text."""

    def change(self, service: Object) -> Change:
        """The patch for this service, or why there is none."""
        if is_deleting(service):
            return Change("is being deleted, nothing to do")
        if self.holds(service) if self.holds else annotations_of(service).get(self.annotation) == self.value:
            return Change(self.already)
        return Change(self.done, annotated(self.annotation, self.value))


def annotated(key: str, value: str | None) -> Patch:
    """The merge patch that sets an annotation, or removes it."""
    return {"metadata": {"annotations": {key: value}}}


PAUSE: Final = Verb(
    "pause",
    names.MIGRATION,
    "paused",
    "paused: traffic stays where it is until `aioctl resume`",
    "is paused already",
)
RESUME: Final = Verb(
    "resume", names.MIGRATION, None, "resumed: the migration goes on", "is not paused, nothing to do"
)
STOP: Final = Verb(
    "stop",
    names.STOP,
    "true",
    "stopped: its pods and route are taken away, its spec stays",
    "is stopped already",
    is_stopped,
)
START: Final = Verb(
    "start",
    names.STOP,
    None,
    "started: its pods and route are made again",
    "is not stopped, nothing to do",
    lambda service: not is_stopped(service),
)
PLAIN: Final = (PAUSE, RESUME, STOP, START)
"""The verbs that take nothing but services."""


def strategy(chosen: Strategy) -> Verb:
    """The verb that sets a service's own strategy."""
    return Verb(
        "strategy",
        names.MIGRATION_STRATEGY,
        chosen.value,
        f"migrates with strategy {chosen.value} from now on",
        f"has strategy {chosen.value} already",
    )


def rollout(service: Object) -> Change:
    """Moves pods that are held back to the form of this release; once nothing is held back, takes that wish off again."""
    if is_deleting(service):
        return Change("is being deleted, nothing to do")
    asked = annotations_of(service).get(names.POD_FORM) == PodForm.CURRENT.value
    conditions = dig(service, "status", "conditions")
    held = find_condition(conditions if isinstance(conditions, list) else (), c.POD_FORM_CURRENT)
    if held is not None and held.get("status") == c.FALSE:
        if asked:
            return Change(f"rolls out, {held.get('reason')}: {held.get('message')}")
        return Change(
            "rolls out: its pods take the form of this release; the same command again tells how far it is",
            annotated(names.POD_FORM, PodForm.CURRENT.value),
        )
    if asked:
        return Change(
            "is rolled out: nothing is held back, and the wish is taken off", annotated(names.POD_FORM, None)
        )
    return Change("holds nothing back, nothing to do")


def has_status_lock(service: Object) -> bool:
    """The copy of the lock in the status, whatever else the status holds."""
    status = service.get("status")
    found = status.get("annotations") if isinstance(status, Mapping) else None
    return isinstance(found, Mapping) and names.MIGRATED in found


def unlock_refusal(facts: MigrationFacts, evidence: Sequence[GatewayEvidence] = ()) -> str:
    """Why the lock must stay: without the v1 InferencePool nothing would serve. Empty when it may go.

    Only what is known to serve v1alpha2 counts; where that is not known, nobody can promise that traffic has a place to go.
    `evidence`: of each gateway; a route that was refused counts more than a pool's status, which outlives the gateway's version.
    """
    if not facts.managed:
        return "its HTTPRoute is not the controller's, and has no lock of ours"
    if facts.external:
        return "its InferencePool is yours (pool.ref): what the route refers to follows that pool"
    if facts.v1alpha2_served is not Served.YES:
        said = "does not serve" if facts.v1alpha2_served is Served.NO else "is not known to serve"
        return (
            f"v1 is the only generation that can take the traffic: the cluster {said} v1alpha2 InferencePools"
        )
    if facts.v1alpha2 is not PoolState.READY:
        state = {
            PoolState.ABSENT: "is absent",
            PoolState.NOT_READY: "is not ready for the gateways of the route",
            PoolState.UNKNOWN: "could not be read",
        }[facts.v1alpha2]
        return f"v1 is the only generation that serves: the v1alpha2 InferencePool {state}"
    for one in evidence:
        if one.v1alpha2.support is Support.NO:
            return (
                f"v1 is the only generation that may serve: Gateway {one.gateway} refuses v1alpha2 InferencePools "
                f"({one.v1alpha2.source.value})"
            )
    if facts.refusal is not Refusal.NONE:
        return (
            "v1 is the only generation that may serve: a gateway refuses a kind that the HTTPRoute refers to"
        )
    return ""


def evidence_text(evidence: Sequence[GatewayEvidence]) -> str:
    """What v1alpha2 has on each gateway, and from what that is known; empty where there are no gateways."""
    said = [
        f"Gateway {one.gateway}: v1alpha2 "
        + ("not known" if one.v1alpha2.support is Support.UNKNOWN else one.v1alpha2.support.value)
        + ("" if one.v1alpha2.source is Source.NOBODY else f" ({one.v1alpha2.source.value})")
        for one in evidence
    ]
    return "; ".join(said)
