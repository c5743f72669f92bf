"""One service as an operator looks at it: what is planned for it, and the objects it stands on. Pure, over a snapshot.

Decided by the same code as the controller: the plan is made from what was read, and never applied.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from aioctl.api import conditions as c
from aioctl.api import kinds, names
from aioctl.api.defaulting import effective_pool_name, is_stopped
from aioctl.api.kinds import POOL_GROUP_V1, POOL_GROUP_V1ALPHA2, Kind, ObjectKey
from aioctl.api.objects import FieldError, Object, dig, key_of, name_of, namespace_of, sequence
from aioctl.plan import order, status
from aioctl.plan.facts import Overlay
from aioctl.plan.gateways import routes
from aioctl.plan.lock import has_lock, status_locked
from aioctl.plan.migration import Decision, Reason
from aioctl.plan.model import Plan, PlanError
from aioctl.plan.observation import Observation, Present, Read, Unanswered, Unknown
from aioctl.plan.policy import Policy
from aioctl.plan.readiness import find_condition
from aioctl.plan.routing import is_pool_ref, pool_names

T = TypeVar("T")
WORKLOAD_KINDS: Final = (kinds.DEPLOYMENT, kinds.LEADER_WORKER_SET)


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment or LeaderWorkerSet of the service. `role`: its component label without our prefix."""

    kind: Kind
    obj: Object
    role: str

    @property
    def ready(self) -> int:
        return _count(self.obj, "status", "readyReplicas", default=0)

    @property
    def wanted(self) -> int:
        return _count(self.obj, "spec", "replicas", default=1)


@dataclass(frozen=True, slots=True)
class Standing:
    """What a plan says of a service, without the plan: small enough to be kept for every service of a fleet."""

    decision: Decision | None = None
    error: str = ""
    """Why the service could not be planned, empty when it was."""
    pool: str = ""
    """The InferencePool that traffic goes to."""
    pool_names: frozenset[str] = frozenset()
    """Names by which a route means it; empty where it is not known."""
    routes: tuple[ObjectKey, ...] = ()
    unread: tuple[str, ...] = ()
    turn: str = ""
    """See `Look`."""


@dataclass(frozen=True, slots=True)
class Look:
    """One service and what belongs to it. `error`: why it could not be planned, empty when it was."""

    service: Object
    plan: Plan
    decision: Decision | None
    error: str
    pools: Mapping[Kind, Read]
    routes: Sequence[Object]
    workloads: Sequence[Workload]
    pods: Sequence[Object]
    now: datetime
    unread: Sequence[str] = field(default=())
    """What could not be read of it, in sentences."""
    turn: str = ""
    """What a service that could move waits for, in words; empty when it does not wait for its turn."""
    pool_names: frozenset[str] = frozenset()
    """See `Standing`."""

    @property
    def key(self) -> ObjectKey:
        return key_of(self.service)

    @property
    def state(self) -> str:
        return self.decision.state.value if self.decision else "Unknown"

    @property
    def reason(self) -> str:
        return self.decision.reason.value if self.decision else "NotPlanned"

    @property
    def problem(self) -> str:
        """What somebody has to do, in a sentence; empty when nothing."""
        return self.decision.problem if self.decision else self.error

    @property
    def stopped(self) -> bool:
        return is_stopped(self.service)

    def condition(self, type_: str) -> Mapping[str, Any] | None:
        """A condition of the stored status."""
        conditions = dig(self.service, "status", "conditions")
        return find_condition(conditions if isinstance(conditions, list) else (), type_)

    @property
    def locks(self) -> tuple[bool, bool]:
        """The lock on the route, and its copy in the status of the service."""
        try:
            return any(has_lock(route) for route in self.routes), status_locked(self.service)
        except FieldError:
            return any(has_lock(route) for route in self.routes), False

    def workload_roles(self) -> Iterator[Workload]:
        """The workloads that serve the model: not the picker, not the tokenizer."""
        return (each for each in self.workloads if each.role.startswith("workload"))


def look(obs: Observation, service: Object, policy: Policy, now: datetime) -> Look:
    """Plans the service and gathers what belongs to it. Does not raise for anything in the cluster."""
    plan = order.plan(obs, service, policy, now)
    return gather(obs, service, standing(plan, status.migration_of(plan, Overlay(obs, {}))), plan, now)


def standing(plan: Plan, decision: Decision | None) -> Standing:
    """What a plan and the decision made of it leave to be remembered."""
    unread = tuple(one.unanswered for one in plan.steps if one.unanswered)
    ctx = plan.context
    if ctx is None:
        return Standing(decision, "" if decision else _why(plan), unread=unread)
    name = name_of(plan.service)
    none: list[Object] = []
    return Standing(
        decision,
        "" if decision else _why(plan),
        _or(lambda: effective_pool_name(name, ctx.spec), names.default_pool_name(name)),
        _or(lambda: pool_names(name, ctx.spec), frozenset()),
        tuple(key_of(route) for route in _or(lambda: routes(ctx), none)),
        unread,
        ctx.policy.turn if decision is not None and decision.reason is Reason.WAITS_FOR_BUDGET else "",
    )


def gather(obs: Observation, service: Object, stands: Standing, plan: Plan, now: datetime) -> Look:
    """The service with the objects that belong to it, as they are now. `plan`: an empty one where none is at hand."""
    namespace, name = namespace_of(service), name_of(service)
    unread = list(stands.unread)
    pools = {
        kind: obs.get(kind, namespace, stands.pool)
        for kind in (kinds.POOL_V1, kinds.POOL_V1ALPHA2)
        if stands.pool
    }
    workloads = [
        Workload(kind, obj, _role(obj))
        for kind in WORKLOAD_KINDS
        for obj in _listed(obs.select(kind, namespace, {names.NAME: name}), unread)
    ]
    pods = _listed(obs.select(kinds.POD, namespace, {names.NAME: name}), unread)
    found = (present(obs.get(kinds.HTTP_ROUTE, *key)) for key in stands.routes)
    return Look(
        service,
        plan,
        stands.decision,
        stands.error,
        pools,
        [route for route in found if route is not None],
        workloads,
        pods,
        now,
        tuple(dict.fromkeys(unread)),
        stands.turn,
        stands.pool_names,
    )


def _or(ask: Callable[[], T], otherwise: T) -> T:
    try:
        return ask()
    except (Unanswered, PlanError, FieldError):
        return otherwise


def _why(plan: Plan) -> str:
    return next(
        (one.error or one.unanswered for one in reversed(plan.steps) if one.error or one.unanswered), ""
    )


def _listed(found: Sequence[Object] | Unknown, unread: list[str]) -> Sequence[Object]:
    if isinstance(found, Unknown):
        unread.append(found.reason)
        return ()
    return found


def _role(obj: Object) -> str:
    component = str(dig(obj, "metadata", "labels", names.COMPONENT) or "")
    return component.removeprefix("llminferenceservice-")


def _count(obj: Object, *path: str, default: int) -> int:
    found = dig(obj, *path)
    return found if isinstance(found, int) else default


def traffic(seen: Look) -> tuple[int, int] | None:
    """Percent of the traffic to the pools of v1 and of v1alpha2; None where no route names one."""
    weights = {POOL_GROUP_V1: 0, POOL_GROUP_V1ALPHA2: 0}
    for route in seen.routes:
        for rule in sequence(route, "spec", "rules"):
            for ref in sequence(rule, "backendRefs"):
                if is_pool_ref(ref, seen.pool_names):
                    weights[ref["group"]] += _count(ref, "weight", default=1)
    whole = sum(weights.values())
    if not whole:
        return None
    v1 = round(100 * weights[POOL_GROUP_V1] / whole)
    return v1, 100 - v1


def gateways(seen: Look) -> list[str]:
    """The parents of the routes, as `namespace/name`, in the order of the specs."""
    found: dict[str, None] = {}
    for route in seen.routes:
        for ref in sequence(route, "spec", "parentRefs"):
            found[f"{ref.get('namespace') or namespace_of(route)}/{ref.get('name', '')}"] = None
    return list(found)


def since(seen: Look) -> str:
    """When the condition that speaks of the migration, else Ready, became what it is: RFC 3339, or empty."""
    spoken = seen.condition(c.POOL_MIGRATION) or seen.condition(c.READY)
    return str((spoken or {}).get("lastTransitionTime") or "")


def age(moment: object, now: datetime) -> str:
    """How long ago an RFC 3339 time was, in the largest unit that fits, as kubectl has it: `45s`, `4m`, `3h`, `12d`."""
    if not isinstance(moment, str) or not moment:
        return ""
    try:
        then = datetime.fromisoformat(moment)
    except ValueError:
        return ""
    then = then if then.tzinfo else then.replace(tzinfo=UTC)
    seconds = max(0, int((now - then).total_seconds()))
    for size, unit in ((86400 * 2, "d"), (3600 * 2, "h"), (60 * 2, "m")):
        if seconds >= size:
            return f"{seconds // {'d': 86400, 'h': 3600, 'm': 60}[unit]}{unit}"
    return f"{seconds}s"


def present(read: Read | None) -> Object | None:
    """The object of a read; None when it is absent or unknown."""
    return read.obj if isinstance(read, Present) else None
