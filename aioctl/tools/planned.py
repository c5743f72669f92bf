"""What the controller would write for a service now, object by object: plans played to their end on what was read. Pure.

What an update leaves out and the API server fills in again is no difference: both sides are looked at with its defaults.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from aioctl.api import kinds, names
from aioctl.api.kinds import ObjectRef
from aioctl.api.objects import Object, dig, key_of, labels_of, mapping
from aioctl.golang.equality import equal
from aioctl.plan import order
from aioctl.plan.facts import Overlay
from aioctl.plan.model import Plan, Verb, Write
from aioctl.plan.observation import Observation
from aioctl.plan.pod_defaults import with_defaults
from aioctl.plan.policy import Policy
from aioctl.plan.route_defaults import defaulted

_ROUNDS: Final = 6
"""As many as the controller plays in one reconcile."""
_BOOKKEEPING: Final = (
    "managedFields",
    "resourceVersion",
    "uid",
    "creationTimestamp",
    "generation",
    "selfLink",
)
_POD_SPECS: Final = {
    kinds.DEPLOYMENT: (("spec", "template"),),
    kinds.LEADER_WORKER_SET: (
        ("spec", "leaderWorkerTemplate", "leaderTemplate"),
        ("spec", "leaderWorkerTemplate", "workerTemplate"),
    ),
}
_DEFAULTS: Final[dict[Any, dict[str, Any]]] = {
    kinds.DEPLOYMENT: {
        "progressDeadlineSeconds": 600,
        "revisionHistoryLimit": 10,
        "replicas": 1,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
    },
    kinds.CORE_SERVICE: {
        "internalTrafficPolicy": "Cluster",
        "ipFamilyPolicy": "SingleStack",
        "sessionAffinity": "None",
        "type": "ClusterIP",
    },
}
"""What the API server fills into `spec`."""
_GIVEN: Final[dict[Any, tuple[str, ...]]] = {kinds.CORE_SERVICE: ("clusterIP", "clusterIPs", "ipFamilies")}
"""What the API server alone decides, and keeps."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One object that would change. `before` None: it is made; `after` None: it goes. Both without bookkeeping and status."""

    ref: ObjectRef
    before: Object | None
    after: Object | None
    restarts: str
    """Whose pods would be restarted, made or taken away by it, in words; empty when nobody's."""

    @property
    def verb(self) -> str:
        return "create" if self.before is None else "delete" if self.after is None else "update"


@dataclass(frozen=True, slots=True)
class Outlook:
    """Everything that would be written for one service, in order, and what keeps the rest from being known."""

    changes: tuple[Planned, ...]
    plan: Plan
    problems: tuple[str, ...]


def outlook(obs: Observation, service: Object, policy: Policy, now: datetime) -> Outlook:
    """Plays plans on the observation until there is nothing more to write."""
    answers: dict[ObjectRef, Object | None] = {}
    first: dict[ObjectRef, Object | None] = {}
    ours = ObjectRef(kinds.SERVICE, *key_of(service))
    for _ in range(_ROUNDS):
        current = answers.get(ours) or service
        plan = order.plan(Overlay(obs, answers), current, policy, now)
        writes = [write for step in plan.steps for write in step.writes]
        fresh = False
        for write in writes:
            after = _after(write)
            first.setdefault(write.ref, None if write.verb is Verb.CREATE else write.live)
            fresh |= write.ref not in answers or not _same(answers[write.ref], after)
            answers[write.ref] = after
        if not fresh:
            break
    changes = (_planned(ref, first[ref], after) for ref, after in answers.items())
    problems = tuple(
        step.outer + step.inner + (step.error or step.unanswered)
        for step in plan.steps
        if step.error or step.unanswered
    )
    return Outlook(tuple(change for change in changes if change is not None), plan, problems)


def _same(one: Object | None, other: Object | None) -> bool:
    return one == other or (one is not None and other is not None and equal(one, other))


def _after(write: Write) -> Object | None:
    if write.verb is Verb.DELETE:
        return None
    if write.verb is Verb.PATCH:
        return merged(write.live or {}, write.body or {})
    body = dict(write.body or {})
    if write.sign is not None:
        body["data"] = {**mapping(body, "data"), "tls.crt": "", "tls.key": ""}
    live = write.live or {}
    # What a gateway or a workload says of the object stays said, and the next plan looks at it.
    return {**body, **({"status": live["status"]} if "status" in live else {})}


def merged(target: Mapping[str, Any], patch: Mapping[str, Any]) -> Mapping[str, Any]:
    """A JSON merge patch (RFC 7396) applied."""
    made = dict(target)
    for name, value in patch.items():
        if value is None:
            made.pop(name, None)
        elif isinstance(value, Mapping):
            below = made.get(name)
            made[name] = merged(below if isinstance(below, Mapping) else {}, value)
        else:
            made[name] = value
    return made


def _planned(ref: ObjectRef, live: Object | None, wanted: Object | None) -> Planned | None:
    if live is None and wanted is None:
        return None
    before = None if live is None else _plain(ref, live)
    after = None if wanted is None else _plain(ref, _kept(ref, wanted, live))
    if before is not None and after is not None and equal(before, after):
        return None
    return Planned(ref, before, after, _restarts(ref, before, after))


def _kept(ref: ObjectRef, wanted: Object, live: Object | None) -> Object:
    """With what only the API server decides taken from the live object."""
    fields = [name for name in _GIVEN.get(ref.kind, ()) if dig(live, "spec", name) is not None]
    if not fields:
        return wanted
    given = {name: dig(live, "spec", name) for name in fields}
    return {**wanted, "spec": {**given, **mapping(wanted, "spec")}}


def _plain(ref: ObjectRef, obj: Object) -> Object:
    metadata = {name: value for name, value in mapping(obj, "metadata").items() if name not in _BOOKKEEPING}
    # Items of a list do not say what they are.
    made = {"apiVersion": ref.kind.api_version, "kind": ref.kind.kind, **obj, "metadata": metadata}
    made.pop("status", None)
    annotations = {
        key: value
        for key, value in mapping(metadata, "annotations").items()
        if key != "deployment.kubernetes.io/revision"
    }
    if "annotations" in metadata:
        metadata = {**metadata, "annotations": annotations}
        made["metadata"] = metadata
    if ref.kind == kinds.HTTP_ROUTE:
        made["spec"] = defaulted(mapping(obj, "spec"))
    elif ref.kind in _DEFAULTS:
        made["spec"] = {**_DEFAULTS[ref.kind], **mapping(obj, "spec")}
    if ref.kind == kinds.CORE_SERVICE:
        made["spec"]["ports"] = [_port(port) for port in made["spec"].get("ports") or ()]
    for path in _POD_SPECS.get(ref.kind, ()):
        if dig(made, *path, "spec") is not None:
            made = _with(made, (*path, "spec"), with_defaults(mapping(made, *path, "spec")))
            stamp = mapping(made, *path, "metadata")
            made = _with(
                made,
                (*path, "metadata"),
                {name: value for name, value in stamp.items() if name != "creationTimestamp"},
            )
    return made


def _port(port: Any) -> Any:
    return {"protocol": "TCP", "targetPort": port.get("port"), **port} if isinstance(port, Mapping) else port


def _with(tree: Mapping[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    if len(path) == 1:
        return {**tree, path[0]: value}
    return {**tree, path[0]: _with(mapping(tree, path[0]), path[1:], value)}


def _restarts(ref: ObjectRef, before: Object | None, after: Object | None) -> str:
    paths = _POD_SPECS.get(ref.kind)
    if paths is None:
        return ""
    component = str(labels_of(after or before or {}).get(names.COMPONENT, ""))
    who = "the model server" if component.startswith(names.WORKLOAD_COMPONENT) else "the endpoint picker"
    if component not in ("", names.SCHEDULER_COMPONENT) and not component.startswith(
        names.WORKLOAD_COMPONENT
    ):
        who = component.removeprefix("llminferenceservice-")
    if before is None:
        return f"starts pods of {who}"
    if after is None:
        return f"ends the pods of {who}"
    whole = ("spec", "leaderWorkerTemplate", "size")
    if all(equal(dig(before, *path), dig(after, *path)) for path in (*paths, whole)):
        return ""
    return f"restarts {who}"
