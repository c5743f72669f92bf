"""From a state of the model to a cluster the real planner can read, and from the planner's writes back to the model.

Nothing of the planner is replaced: a whole world (presets, ConfigMap, gateways, one service) is planned to rest once; then
each state varies route, pools, CRDs, annotations and the status copy of it. A write of anything else would be a bug of
the model and is refused loudly. Plans are kept by state, as a state is planned on again and again; and as in the program, what
the last plan found settled is not decided again where it reads the same (a million states take half the time for it).
"""

import copy
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from aioctl.api import kinds, names
from aioctl.api.kinds import POOL_GROUP_V1, POOL_GROUP_V1ALPHA2, Kind, ObjectKey, ObjectRef
from aioctl.api.objects import Object, mapping, sequence
from aioctl.plan import lasting, order, status
from aioctl.plan.facts import Facts, Overlay
from aioctl.plan.memo import Remembering
from aioctl.plan.model import Outcome, Plan, Verb, Write
from aioctl.plan.policy import Policy, Probe, Strategy
from aioctl.plan.remembered import Memo
from aioctl.sim import seed
from testbed.default_route import default_route_spec
from testbed.plan_world import NOW, World
from tests.model.state import ALPHA, ON_ALPHA, V1, Answer, Crd, Failing, Op, Route, Shape, State, outdated

NS, SVC = "ns", "svc"
ROUTE = ObjectRef(kinds.HTTP_ROUTE, NS, names.route_name(SVC))
POOL_V1 = ObjectRef(kinds.POOL_V1, NS, names.default_pool_name(SVC))
POOL_ALPHA = ObjectRef(kinds.POOL_V1ALPHA2, NS, names.default_pool_name(SVC))
POLICY = Policy(auth_disabled=True, monitoring_disabled=True, probe=Probe.OFF)
GATEWAYS = (
    ObjectKey("kserve", "kserve-ingress-gateway"),
    ObjectKey("kserve", "second-gateway"),
)
UNSERVED = frozenset({kinds.SCC, kinds.MODEL, kinds.DESTINATION_RULE, kinds.LEADER_WORKER_SET})

_GENERATION = 5
_GROUPS = {V1: POOL_GROUP_V1, ALPHA: POOL_GROUP_V1ALPHA2}
_POOLS = {POOL_V1: V1, POOL_ALPHA: ALPHA}
_FAILING = {
    Failing.NONE: (),
    Failing.V1: (POOL_V1,),
    Failing.ALPHA: (POOL_ALPHA,),
    Failing.POOLS: (POOL_V1, POOL_ALPHA),
    Failing.ROUTE: (ROUTE,),
}
_ACCEPTED = ("Accepted", "ResolvedRefs")


class Planned(NamedTuple):
    """What the controller does in a state: its writes in order, the status last."""

    ops: tuple[Op, ...]
    deletes: tuple[str, ...]
    churns: bool
    """A second conclusion from the status just written differs from it."""


class Conclude(Protocol):
    """`aioctl.plan.status.conclude`, or a wrong one."""

    def __call__(
        self, plan: Plan, outcome: Outcome, obs: Any, policy: Policy, now: Any, /
    ) -> dict[str, Any]: ...


Planner = Callable[[Facts, Object, Policy, Any], Plan]
"""`aioctl.plan.order.plan`, or a wrong one."""


class RememberingPlanner:
    """The planner of the program with its memory: what the last plan found settled is not decided again where it reads the same."""

    def __init__(self) -> None:
        self._memos: defaultdict[bytes, Memo] = defaultdict(Memo)

    def plan(self, facts: Facts, service: Object, policy: Policy, now: Any) -> Plan:
        memo = self._memos[lasting.digest(service)]
        return order.plan(Remembering(Overlay(facts, {}), memo, now), service, policy, now)

    def conclude(self, plan: Plan, outcome: Outcome, obs: Facts, policy: Policy, now: Any) -> dict[str, Any]:
        memo = self._memos[lasting.digest(plan.service)]
        view = Remembering(Overlay(obs, outcome.answers), memo, now, keeps=True)
        return status.conclude(plan, outcome, view, policy, now)


class Cluster:
    """The world of one service behind the given number of gateways."""

    def __init__(
        self,
        gateways: int,
        *,
        planner: Planner | None = None,
        conclude: Conclude | None = None,
        policy: Policy = POLICY,
    ) -> None:
        self.gateways = GATEWAYS[:gateways]
        remembering = RememberingPlanner()
        self._planner = planner or remembering.plan
        self._conclude = conclude or remembering.conclude
        self._policy = policy
        self._plans: dict[State, Planned] = {}
        self._parts: dict[Any, Any] = {}
        self._world = settled(self.gateways, policy)
        self._service = self._world.objects.pop(SERVICE)
        self._templates = {ref: self._world.objects.pop(ref) for ref in (ROUTE, POOL_V1, POOL_ALPHA)}

    @property
    def planned(self) -> int:
        """How many different states were planned."""
        return len(self._plans)

    def plan(self, state: State) -> Planned:
        """What the controller decides when it sees exactly this state (what it has in flight aside)."""
        view = state._replace(pending=())
        known = self._plans.get(view)
        if known is None:
            known = self._plans[view] = self._ask(view)
        return known

    def _ask(self, view: State) -> Planned:
        facts, service = self._facts(view), self._stored(view)
        plan = self._planner(facts, service, self._policy, NOW)
        writes = [write for step in plan.steps for write in step.writes]
        deletes = tuple(str(write.ref) for write in writes if write.verb is Verb.DELETE)
        made = [write for write in writes if write.verb is not Verb.DELETE]
        ops = [self._op(write, view) for write in made]
        concluded, churns = self._concluded(plan, made, facts, service)
        has_copy = mapping(concluded, "annotations").get(names.MIGRATED) == "v1"
        if has_copy != view.copy:
            ops.append(Op("status", copy=has_copy))
        return Planned(tuple(ops), deletes, churns)

    def _concluded(
        self, plan: Plan, writes: list[Write], facts: Facts, service: Object
    ) -> tuple[dict[str, Any], bool]:
        """The status after these writes, and whether concluding it from itself changes it once more."""
        outcome = _outcome(plan, writes)
        first = self._conclude(plan, outcome, facts, self._policy, NOW)
        if writes:
            return first, False
        again = self._planner(facts, {**service, "status": first}, self._policy, NOW)
        second = self._conclude(again, _outcome(again, []), facts, self._policy, NOW)
        return first, not status.status_equal(first, second)

    # -- from the model to objects

    def _facts(self, view: State) -> Facts:
        objects = dict(self._world.objects)
        if view.route is not None:
            objects[ROUTE] = self._once(view.route, self._route)
        if view.v1 is not None:
            objects[POOL_V1] = self._once(view.v1, self._v1)
        if view.alpha is not None:
            objects[POOL_ALPHA] = self._once(view.alpha, self._alpha)
        crds = {kinds.POOL_V1: view.v1_crd, kinds.POOL_V1ALPHA2: view.alpha_crd}
        unserved = UNSERVED | {kind for kind, crd in crds.items() if crd is Crd.GONE}
        unsure = frozenset(kind for kind, crd in crds.items() if crd is Crd.UNSURE)
        unknown = {ref: "connection refused" for ref in _FAILING[view.failing] if ref.kind not in unserved}
        return Facts(objects, unknown, unserved, unsure, self._world.certificates)

    def _once(self, value: Any, build: Callable[[Any], Any]) -> Any:
        key = (build.__name__, value)
        if key not in self._parts:
            made = build(value)
            version = f"{build.__name__} {len(self._parts)}"
            self._parts[key] = {**made, "metadata": {**made["metadata"], "resourceVersion": version}}
        return self._parts[key]

    def _route(self, route: Route) -> dict[str, Any]:
        made = copy.deepcopy(dict(self._templates[ROUTE]))
        for rule, shape in zip(made["spec"]["rules"], route.rules, strict=False):
            rule["backendRefs"] = [_ref(generation, weight) for generation, weight in shape]
        if route.lock:
            made["metadata"]["annotations"] = {names.MIGRATED: "v1"}
        if route.hostname:
            made["spec"]["hostnames"] = ["by-hand.example.org"]
        made["status"] = {"parents": self._parents(route.answers, "InvalidKind", ("ResolvedRefs",))}
        return made

    def _v1(self, answers: tuple[Answer, ...]) -> dict[str, Any]:
        parents = self._parents(answers, "NotSupported", _ACCEPTED)
        return {**self._templates[POOL_V1], "status": {"parents": parents}}

    def _alpha(self, answer: Answer) -> dict[str, Any]:
        parents = self._parents((answer,), "NotSupported", _ACCEPTED)
        return {**self._templates[POOL_ALPHA], "status": {"parent": parents}}

    def _parents(
        self, answers: tuple[Answer, ...], refusal: str, types: tuple[str, ...]
    ) -> list[dict[str, Any]]:
        return [
            {
                "parentRef": {"namespace": gateway.namespace, "name": gateway.name},
                "conditions": [_condition(type_, answer, refusal) for type_ in types],
            }
            for gateway, answer in zip(self.gateways, answers, strict=False)
            if answer is not Answer.SILENT
        ]

    def _stored(self, view: State) -> dict[str, Any]:
        annotations = {}
        if view.strategy is not Strategy.WEIGHTED:
            annotations[names.MIGRATION_STRATEGY] = view.strategy.value
        if view.paused:
            annotations[names.MIGRATION] = "paused"
        metadata = {**self._service["metadata"], "annotations": annotations}
        kept = {"annotations": {names.MIGRATED: "v1"}} if view.copy else {}
        return {**self._service, "metadata": metadata, "status": kept}

    # -- from writes to the model

    def _op(self, write: Write, view: State) -> Op:
        assert write.body is not None
        if write.ref in _POOLS:
            assert write.verb is Verb.CREATE, f"{write.ref} has nothing to be updated"
            return Op(_POOLS[write.ref])
        assert write.ref == ROUTE, f"the model does not know how {write.ref} could change"
        spec = write.body["spec"]
        rules = tuple(_shape(rule) for rule in spec["rules"][:2])
        last = [(ref["kind"], ref["weight"]) for ref in spec["rules"][2]["backendRefs"]]
        assert last == [("Service", 100)], "the catch-all is never touched"
        made = Route(
            rules=(rules[0], rules[1]),
            lock=mapping(write.body, "metadata", "annotations").get(names.MIGRATED) == "v1",
            answers=view.route.answers if view.route is not None else (Answer.SILENT,) * len(self.gateways),
            hostname=bool(spec.get("hostnames")),
        )
        if view.route is not None and (made.rules, made.hostname) != (view.route.rules, view.route.hostname):
            made = made._replace(answers=outdated(made.answers))
        return Op("route", made)


SERVICE = ObjectRef(kinds.SERVICE, NS, SVC)


def _outcome(plan: Plan, writes: list[Write]) -> Outcome:
    failed = next((step for step in plan.steps if step.error), None)
    answers = {write.ref: as_written(write.body) for write in writes if write.body is not None}
    return Outcome(failed, failed.error if failed else "", answers)


def as_written(body: Mapping[str, Any]) -> dict[str, Any]:
    """What was written is another version than the one that it was made of; without one, all that it says is its version."""
    metadata = {key: value for key, value in body["metadata"].items() if key != "resourceVersion"}
    return {**body, "metadata": metadata}


def _ref(generation: str, weight: int) -> dict[str, Any]:
    name = names.default_pool_name(SVC)
    return {
        "group": _GROUPS[generation],
        "kind": "InferencePool",
        "name": name,
        "port": 8000,
        "weight": weight,
    }


def _shape(rule: Mapping[str, Any]) -> Shape:
    generations = {group: generation for generation, group in _GROUPS.items()}
    return tuple((generations[ref["group"]], ref["weight"]) for ref in sequence(rule, "backendRefs"))


def _condition(type_: str, answer: Answer, refusal: str) -> dict[str, Any]:
    good = answer in (Answer.READY, Answer.STALE_READY)
    stale = answer in (Answer.STALE_READY, Answer.STALE_REFUSED)
    return {
        "type": type_,
        "status": "True" if good else "False",
        "reason": type_ if good else refusal,
        "message": "",
        "observedGeneration": _GENERATION - 1 if stale else _GENERATION,
    }


def settled(gateways: tuple[ObjectKey, ...], policy: Policy) -> World:
    """The world after the controller has made everything, with no answer from any gateway."""
    world = World(unserved=UNSERVED)
    _put(world, kinds.CONFIG_MAP, seed.config_map())
    _put(
        world,
        kinds.GATEWAY_CLASS,
        {"metadata": {"name": "istio"}, "spec": {"controllerName": "example.org/gateway"}},
    )
    for gateway in gateways:
        _put(world, kinds.GATEWAY, seed.gateway(gateway.namespace, gateway.name))
    for name, spec in _presets().items():
        config = {"metadata": {"namespace": policy.system_namespace, "name": name}, "spec": spec}
        _put(world, kinds.CONFIG, config)
    _put(world, kinds.SERVICE, _service(gateways))
    for _ in range(6):
        facts = Facts(world.objects, unserved=world.unserved, certificates=world.certificates)
        plan = order.plan(facts, world.objects[SERVICE], policy, NOW)
        assert not any(step.error or step.unanswered for step in plan.steps), plan.steps
        writes = [write for step in plan.steps for write in step.writes]
        if not writes:
            break
        world.apply(writes)
    for ref in (ROUTE, POOL_V1, POOL_ALPHA):
        settled = world.objects[ref]
        world.objects[ref] = {**settled, "metadata": {**settled["metadata"], "generation": _GENERATION}}
    for ref, obj in world.objects.items():
        world.objects[ref] = {**obj, "metadata": {**obj["metadata"], "resourceVersion": "1"}}
    rules = world.objects[ROUTE]["spec"]["rules"]
    assert [_shape(rule) for rule in rules[:2]] == [ON_ALPHA, ON_ALPHA]
    return world


def _put(world: World, kind: Kind, obj: Mapping[str, Any]) -> None:
    metadata = obj["metadata"]
    ref = ObjectRef(kind, metadata.get("namespace", ""), metadata["name"])
    world.objects[ref] = obj


def _presets() -> dict[str, dict[str, Any]]:
    """The least that makes a service with a managed route, both pools and a deployment."""
    gateway = GATEWAYS[0]
    pool = {
        "selector": {"matchLabels": {}},
        "targetPorts": [{"number": 8000}],
        "endpointPickerRef": {"name": f"{SVC}-epp-service", "port": {"number": 9002}},
    }
    route = default_route_spec(SVC, NS, gateway.name, gateway.namespace)
    return {
        "kserve-config-llm-template": {"template": {"containers": [{"name": "main", "image": "vllm:v1"}]}},
        "kserve-config-llm-scheduler": {"router": {"scheduler": {"pool": {"spec": pool}}}},
        "kserve-config-llm-router-route": {"router": {"route": {"http": {"spec": route}}}},
    }


def _service(gateways: tuple[ObjectKey, ...]) -> dict[str, Any]:
    refs = [{"namespace": gateway.namespace, "name": gateway.name} for gateway in gateways]
    return {
        "apiVersion": "serving.kserve.io/v1alpha2",
        "kind": "LLMInferenceService",
        "metadata": {
            "namespace": NS,
            "name": SVC,
            "uid": "uid-svc",
            "generation": 1,
            "finalizers": [names.FINALIZER],
            "creationTimestamp": NOW.isoformat(),
        },
        "spec": {
            "model": {"uri": "hf://facebook/opt-125m", "name": "m"},
            "router": {"gateway": {"refs": refs}, "route": {}, "scheduler": {}},
        },
        "status": {},
    }
