"""`aioctl status NAME`: one service as a tree of the objects it stands on, each with what is said of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aioctl.api import conditions as c
from aioctl.api import kinds
from aioctl.api.kinds import Kind
from aioctl.api.objects import (
    FieldError,
    Object,
    dig,
    generation_of,
    key_of,
    labels_of,
    mapping,
    name_of,
    namespace_of,
    sequence,
)
from aioctl.plan.observation import Absent, Observation, Unknown
from aioctl.plan.parents import parents_of
from aioctl.plan.readiness import Condition, find_condition, is_stale
from aioctl.tools.look import Look, Workload, age, gateways, present, traffic

_SET_NAME: Final = "leaderworkerset.sigs.k8s.io/name"
"""Label that the LeaderWorkerSet controller gives to the pods of a set."""


@dataclass(frozen=True, slots=True)
class Node:
    """A line of the tree. `ok`: good, bad, or None where it is neither; `object` names what it is about."""

    text: str
    ok: bool | None = None
    object: str = ""
    children: Sequence["Node"] = field(default=())

    def as_data(self) -> dict[str, Any]:
        """For json and yaml."""
        return {
            "object": self.object,
            "text": self.text,
            "ok": self.ok,
            "children": [child.as_data() for child in self.children],
        }


def lines(node: Node) -> list[str]:
    """The tree as lines of text; what is bad is marked with `x`, what is good with `ok`, also without colour."""
    return [_line(node), *_below(node, "")]


def _line(node: Node) -> str:
    mark = {True: "ok  ", False: "x   ", None: ""}[node.ok]
    return f"{mark}{node.object + '  ' if node.object else ''}{node.text}".rstrip()


def _below(node: Node, indent: str) -> Iterator[str]:
    for number, child in enumerate(node.children, 1):
        last = number == len(node.children)
        yield f"{indent}{'└─ ' if last else '├─ '}{_line(child)}"
        yield from _below(child, indent + ("   " if last else "│  "))


def tree(seen: Look, obs: Observation) -> Node:
    """The service, its workloads, picker, pools, routes and lock."""
    ready = seen.condition(c.READY)
    status = (ready or {}).get("status", "Unknown")
    text = f"{seen.state} ({seen.reason}), Ready {status}"
    if ready is not None and status != "True":
        text += f" {ready.get('reason', '')}: {ready.get('message', '')}"
    children = [
        *(_workload(each, seen) for each in seen.workloads),
        *(_pool(kind, seen, obs) for kind in (kinds.POOL_V1, kinds.POOL_V1ALPHA2)),
        *(_route(route, seen, obs) for route in seen.routes),
        _lock(seen),
    ]
    if seen.stopped:
        text = f"stopped by annotation; {text}"
    if seen.problem:
        children.append(Node(f"what to do: {seen.problem}", ok=False))
    children += [Node(f"not known: {said}") for said in seen.unread]
    return Node(text, status == "True", f"LLMInferenceService {seen.key}", children)


def _workload(each: Workload, seen: Look) -> Node:
    good = each.ready >= each.wanted
    condition = find_condition(sequence(each.obj, "status", "conditions"), "Available")
    said = "" if good or condition is None else f": {_said(condition)}"
    children = [_pod(pod, seen) for pod in pods_of(each, seen) if not pod_ready(pod)]
    text = f"{each.role or 'workload'}: {each.ready}/{each.wanted} ready{said}"
    return Node(text, good, f"{each.kind.kind} {key_of(each.obj)}", children)


def pods_of(workload: Workload, seen: Look) -> list[Object]:
    """The pods that belong to a workload, by its selector."""
    return [pod for pod in seen.pods if _owned(pod, workload)]


def _owned(pod: Object, workload: Workload) -> bool:
    if workload.kind == kinds.LEADER_WORKER_SET:
        return labels_of(pod).get(_SET_NAME) == name_of(workload.obj)
    wanted = mapping(workload.obj, "spec", "selector", "matchLabels")
    return bool(wanted) and wanted.items() <= labels_of(pod).items()


def pod_ready(pod: Object) -> bool:
    """Whether the pod says so itself."""
    condition = find_condition(sequence(pod, "status", "conditions"), "Ready")
    return condition is not None and condition.get("status") == "True"


def pod_trouble(pod: Object) -> str:
    """What keeps a pod from being ready, in its own words: a waiting container before an unschedulable pod."""
    for field_ in ("initContainerStatuses", "containerStatuses"):
        for container in sequence(pod, "status", field_):
            for state in ("waiting", "terminated"):
                reason = dig(container, "state", state, "reason")
                if reason and reason not in ("PodInitializing", "Completed"):
                    message = dig(container, "state", state, "message") or ""
                    return f"container {dig(container, 'name')}: {reason}{': ' + str(message) if message else ''}"
    scheduled = find_condition(sequence(pod, "status", "conditions"), "PodScheduled")
    if scheduled is not None and scheduled.get("status") == "False":
        return f"{scheduled.get('reason', '')}: {scheduled.get('message', '')}"
    return str(dig(pod, "status", "phase") or "not started")


def _pod(pod: Object, seen: Look) -> Node:
    born = age(dig(pod, "metadata", "creationTimestamp"), seen.now)
    return Node(
        f"{pod_trouble(pod)}{f' (created {born} ago)' if born else ''}", ok=False, object=f"Pod {key_of(pod)}"
    )


def _pool(kind: Kind, seen: Look, obs: Observation) -> Node:
    version = f"InferencePool {kind.version}"
    read = seen.pools.get(kind)
    pool = present(read)
    if pool is None:
        why = "not known" if read is None else read.reason if isinstance(read, Unknown) else "absent"
        if isinstance(read, Absent) and obs.served(kind).value == "no":
            why = f"the cluster does not serve {kind.resource}"
        return Node(why, None, version)
    entries = sequence(pool, "status", "parents" if kind == kinds.POOL_V1 else "parent")
    answers = [
        _answer(
            f"gateway {_parent_name(entry, pool)}", sequence(entry, "conditions"), generation_of(pool), seen
        )
        for entry in entries
        if dig(entry, "parentRef", "kind") in (None, "", "Gateway")
    ]
    silent = [g for g in gateways(seen) if g not in {_parent_name(entry, pool) for entry in entries}]
    answers += [Node("has said nothing", ok=False, object=f"gateway {name}") for name in silent]
    good = bool(answers) and all(answer.ok for answer in answers)
    return Node("", good, f"{version} {key_of(pool)}", answers)


def _parent_name(entry: Any, pool: Object) -> str:
    return f"{dig(entry, 'parentRef', 'namespace') or namespace_of(pool)}/{dig(entry, 'parentRef', 'name') or ''}"


def _answer(who: str, conditions: Sequence[Any], generation: int, seen: Look) -> Node:
    said = [find_condition(conditions, type_) for type_ in ("Accepted", "ResolvedRefs")]
    spoken = [one for one in said if one is not None]
    good = bool(spoken) and all(
        one.get("status") == "True" and not is_stale(one, generation) for one in spoken
    )
    text = ", ".join(_verdict(one, generation, seen) for one in spoken) or "has said nothing"
    return Node(text, good, who)


def _verdict(condition: Condition, generation: int, seen: Look) -> str:
    stale = (
        f", of generation {condition.get('observedGeneration')}, now {generation}"
        if is_stale(condition, generation)
        else ""
    )
    old = age(condition.get("lastTransitionTime"), seen.now)
    why = "" if condition.get("status") == "True" else f" {_said(condition)}"
    return f"{condition.get('type')} {condition.get('status')}{why}{f' ({old})' if old else ''}{stale}"


def _said(condition: Condition) -> str:
    return ": ".join(filter(None, (str(condition.get("reason") or ""), str(condition.get("message") or ""))))


def _route(route: Object, seen: Look, obs: Observation) -> Node:
    shares = traffic(seen)
    split = "names no pool" if shares is None else f"{shares[0]} % to v1, {shares[1]} % to v1alpha2"
    try:
        parents = [
            _answer(
                str(parent),
                [one for entry in parent.entries for one in sequence(entry, "conditions")],
                generation_of(route),
                seen,
            )
            for parent in parents_of(route, obs)
        ]
    except FieldError as error:
        parents = [Node(str(error), ok=False)]
    return Node(
        split, bool(parents) and all(parent.ok for parent in parents), f"HTTPRoute {key_of(route)}", parents
    )


def _lock(seen: Look) -> Node:
    on_route, in_status = seen.locks
    words = {
        (True, True): "on the route and in the status: traffic stays on v1",
        (True, False): "on the route; the copy in the status follows",
        (False, True): "in the status only; the route gets it back",
        (False, False): "none: traffic has not moved for good",
    }
    return Node(words[on_route, in_status], None, "lock")
