"""From a state of the second model to a cluster the real planner can read, and from the planner's writes back."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from functools import cache, partial
from typing import Any, NamedTuple

from aioctl.api import kinds, names
from aioctl.api.kinds import POOL_GROUP_V1, Kind, ObjectKey, ObjectRef
from aioctl.api.objects import Object, mapping
from aioctl.plan import lasting, order, status
from aioctl.plan.evidence import words_of
from aioctl.plan.facts import Facts
from aioctl.plan.hearsay import Heard, Word, gather
from aioctl.plan.model import Outcome, Plan, Verb, Write
from aioctl.plan.policy import Policy, Probe, Strategy
from aioctl.sim import seed
from testbed.default_route import default_route_spec
from testbed.plan_world import NOW, World
from tests.model.cluster import UNSERVED, Conclude, Planner, RememberingPlanner, as_written
from tests.model.played_state import NS, RESOLVED, Made, Op, Service, State, service_name

GATEWAYS = (ObjectKey("kserve", "kserve-ingress-gateway"), ObjectKey("kserve", "second-gateway"))
_GENERATION = 5
_POOLS = (kinds.POOL_V1, kinds.POOL_V1ALPHA2)
_AGE = timedelta(hours=1)
Hearsay = Callable[[ObjectKey, frozenset[ObjectKey]], Heard]


class Played(NamedTuple):
    """What the controller does in a state: its writes in order, the status last, and what it would say."""

    ops: tuple[Op, ...]
    deletes: tuple[str, ...]
    routes_ready: bool
    churns: bool


class PlayedCluster:
    """The world of one or two services behind one or two gateways. Plans are kept by what the controller can see."""

    def __init__(
        self,
        gateways: int,
        services: int,
        *,
        grouped: bool = False,
        strategy: Strategy = Strategy.AUTO,
        probes: bool = True,
        v1_crd: bool = True,
        planner: Planner | None = None,
        conclude: Conclude | None = None,
    ) -> None:
        self.gateways = GATEWAYS[:gateways]
        self._grouped = grouped
        self._v1_crd = v1_crd
        remembering = RememberingPlanner()
        self._planner = planner or remembering.plan
        self._conclude = conclude or remembering.conclude
        probe = Probe.STATUS if probes else Probe.OFF
        self._policy = Policy(auth_disabled=True, monitoring_disabled=True, strategy=strategy, probe=probe)
        self._services = [self._service(index) for index in range(services)]
        self._plans: dict[Any, Played] = {}
        self._specs: dict[str, str] = {}
        self._words: dict[Any, tuple[Word, ...]] = {}
        self._parts: dict[Any, Any] = {}
        self._world = self._settled()
        self._templates = {
            ref: self._world.objects.pop(ref)
            for index in range(services)
            for ref in (_route(index), _service_ref(index), *(_pool(index, kind) for kind in _POOLS))
        }

    @property
    def planned(self) -> int:
        """How many different situations were planned."""
        return len(self._plans)

    def plan(self, state: State, index: int) -> Played:
        """What the controller decides for one service when it sees exactly this state, without what only we know of it."""
        key = self._read(state, index)
        if key not in self._plans:
            self._plans[key] = self.planned_anew(state, index)
        return self._plans[key]

    def planned_anew(self, state: State, index: int) -> Played:
        """The same, whatever is kept."""
        seen = tuple(each._replace(pending=()) for each in state.services)
        return self._ask(state._replace(services=seen), index)

    def _read(self, state: State, index: int) -> Any:
        """What the plan of a service can depend on: itself, what it hears of others' routes, and in a group the others' pools."""
        if len(state.services) == 1:
            return index, state.services[0]._replace(pending=()), state.old, state.just_asked, state.old_crd
        own = state.services[index]._replace(pending=())
        routes = [ref for ref, _, _ in self._routes(index, own)]
        hearsay = self._hearsay(state)
        heard = tuple(repr(hearsay(gateway, frozenset(map(_key, routes)))) for gateway in self.gateways)
        others = tuple(each.pools for each in state.services) if self._grouped else ()
        return index, own, heard, others, state.old, state.just_asked, state.old_crd

    def _hearsay(self, state: State) -> Hearsay:
        """What is heard of all routes, as `listen` gathers it."""
        said: defaultdict[Word, set[ObjectKey]] = defaultdict(set)
        for index, service in enumerate(state.services):
            for ref, target, made in self._routes(index, service):
                key = ref, made
                if key not in self._words:
                    created = self._created(state, target)
                    self._words[key] = tuple(words_of(self._made(ref, index, made, created)))
                for word in self._words[key]:
                    said[word].add(_key(ref))
        return partial(gather, lambda word: said.get(word, ()))

    def _routes(self, index: int, service: Service) -> list[tuple[ObjectRef, str, Made]]:
        """The service's HTTPRoutes that are there, with what the model calls them."""
        targets = {_route(index): "route", **_probes(index)}
        made = (service.route, service.probe, service.mixed)
        return [
            (ref, target, each)
            for (ref, target), each in zip(targets.items(), made, strict=True)
            if each is not None
        ]

    def _ask(self, view: State, index: int) -> Played:
        facts = self._facts(view)
        service = facts.objects[_service_ref(index)]
        plan = self._planner(facts, service, self._policy, NOW)
        problems = [step.error or step.unanswered for step in plan.steps if step.error or step.unanswered]
        assert not problems, problems
        writes = [write for step in plan.steps for write in step.writes]
        deletes = tuple(
            str(write.ref)
            for write in writes
            if write.verb is Verb.DELETE and write.ref not in _probes(index)
        )
        ops = [op for write in writes if (op := self._op(write, index)) is not None]
        made = [write for write in writes if write.verb is not Verb.DELETE]
        answers = {write.ref: as_written(write.body) for write in made if write.body is not None}
        outcome = Outcome(answers=answers)
        concluded = self._conclude(plan, outcome, facts, self._policy, NOW)
        copied = mapping(concluded, "annotations").get(names.MIGRATED) == "v1"
        if copied != view.services[index].copy:
            ops.append(Op("status", lock=copied))
        ready = any(
            each["type"] == "HTTPRoutesReady" and each["status"] == "True"
            for each in concluded.get("conditions", ())
        )
        return Played(
            tuple(ops), deletes, ready, not writes and self._churns(plan, facts, service, concluded)
        )

    def _churns(self, plan: Plan, facts: Facts, service: Object, concluded: dict[str, Any]) -> bool:
        del plan
        metadata = {**service["metadata"], "resourceVersion": lasting.digest_of(concluded).hex()}
        service = {**service, "metadata": metadata, "status": concluded}
        again = self._planner(facts, service, self._policy, NOW)
        if any(step.writes for step in again.steps):
            return True
        second = self._conclude(again, Outcome(), facts, self._policy, NOW)
        return not status.status_equal(concluded, second)

    # -- from the model to objects

    def _facts(self, view: State) -> Facts:
        objects: dict[ObjectRef, Object] = dict(self._world.objects)
        for index, service in enumerate(view.services):
            objects[_service_ref(index)] = self._stored(index, service)
            for ref, target, made in self._routes(index, service):
                objects[ref] = self._made(ref, index, made, self._created(view, target))
            for kind, entries in zip(_POOLS, service.pools, strict=True):
                if entries is not None:
                    objects[_pool(index, kind)] = self._pool(
                        index, kind, entries, self._created(view, kind.group)
                    )
        absent = {kinds.POOL_V1: self._v1_crd, kinds.POOL_V1ALPHA2: view.old_crd}
        unserved = UNSERVED | {kind for kind, served in absent.items() if not served}
        return Facts(
            objects, unserved=unserved, certificates=self._world.certificates, hearsay=self._hearsay(view)
        )

    def _created(self, view: State, target: str) -> str:
        old = view.old and not (view.just_asked and target in ("probe", "mixed"))
        return (NOW - _AGE if old else NOW).isoformat()

    def _keep(self, key: Any, made: dict[str, Any]) -> dict[str, Any]:
        """An object, as a version of its own, kept by what it was made of."""
        metadata = {**made["metadata"], "resourceVersion": f"made {len(self._parts)}"}
        found: dict[str, Any] = self._parts.setdefault(key, {**made, "metadata": metadata})
        return found

    def _made(self, ref: ObjectRef, index: int, made: Made, created: str) -> dict[str, Any]:
        key = ref, made, created
        if key not in self._parts:
            template = self._templates[_route(index)]
            metadata = {
                **template["metadata"],
                "name": ref.name,
                "generation": _GENERATION,
                "creationTimestamp": created,
                "annotations": {names.MIGRATED: "v1"} if made.lock else {},
            }
            if ref in _probes(index):
                own = names.labels(service_name(index), names.PROBE_COMPONENT)
                metadata["labels"] = {**metadata["labels"], **own, names.PROBE: "true"}
                metadata["labels"].pop(names.ROUTING_GROUP, None)
            parents = list(self._parents(made))
            spec = json.loads(made.spec)
            return self._keep(key, {"metadata": metadata, "spec": spec, "status": {"parents": parents}})
        found: dict[str, Any] = self._parts[key]
        return found

    def _parents(self, made: Made) -> Iterator[dict[str, Any]]:
        for gateway, said in zip(self.gateways, made.answers, strict=True):
            if said is None:
                continue
            good = said.reason == RESOLVED
            generation = _GENERATION if said.current else _GENERATION - 1
            yield {
                "parentRef": {"namespace": gateway.namespace, "name": gateway.name},
                "controllerName": "example.org/gateway",
                "conditions": [
                    _condition("Accepted", "True", "Accepted", "", generation),
                    _condition(
                        "ResolvedRefs", "True" if good else "False", said.reason, said.message, generation
                    ),
                ],
            }

    def _pool(self, index: int, kind: Kind, entries: frozenset[int], created: str) -> dict[str, Any]:
        key = index, kind, entries, created
        if key not in self._parts:
            template = self._templates[_pool(index, kind)]
            said = [
                {
                    "parentRef": {
                        "namespace": self.gateways[each].namespace,
                        "name": self.gateways[each].name,
                    },
                    "conditions": [
                        _condition(type_, "True", type_, "", _GENERATION)
                        for type_ in ("Accepted", "ResolvedRefs")
                    ],
                }
                for each in sorted(entries)
            ]
            metadata = {**template["metadata"], "generation": _GENERATION, "creationTimestamp": created}
            field = "parents" if kind == kinds.POOL_V1 else "parent"
            return self._keep(key, {**template, "metadata": metadata, "status": {field: said}})
        found: dict[str, Any] = self._parts[key]
        return found

    def _stored(self, index: int, service: Service) -> dict[str, Any]:
        key = "stored", index, service.paused, service.copy
        if key in self._parts:
            found: dict[str, Any] = self._parts[key]
            return found
        template = self._templates[_service_ref(index)]
        annotations = {names.MIGRATION: "paused"} if service.paused else {}
        kept: dict[str, Any] = dict(_ROUTABLE) if self._grouped else {}
        if service.copy:
            kept["annotations"] = {names.MIGRATED: "v1"}
        metadata = {**template["metadata"], "annotations": annotations}
        return self._keep(key, {**template, "metadata": metadata, "status": kept})

    # -- from writes to the model

    def _op(self, write: Write, index: int) -> Op | None:
        if write.verb is Verb.DELETE:
            return Op(_probes(index)[write.ref], gone=True) if write.ref in _probes(index) else None
        assert write.body is not None
        for kind in _POOLS:
            if write.ref == _pool(index, kind):
                assert write.verb is Verb.CREATE, f"{write.ref} has nothing to be updated"
                return Op(kind.group)
        targets = {_route(index): "route", **_probes(index)}
        assert write.ref in targets, f"the model does not know how {write.ref} could change"
        spec = json.dumps(write.body["spec"], sort_keys=True)
        spec = self._specs.setdefault(spec, spec)  # equal ones are compared and hashed at once
        lock = mapping(write.body, "metadata", "annotations").get(names.MIGRATED) == "v1"
        return Op(targets[write.ref], spec, lock)

    # -- the world

    def _settled(self) -> World:
        """Everything of the services but routes, pools and probes is made, and nothing is said by any gateway."""
        world = World(unserved=UNSERVED)
        _put(world, kinds.CONFIG_MAP, seed.config_map())
        cls = {"metadata": {"name": "istio"}, "spec": {"controllerName": "example.org/gateway"}}
        _put(world, kinds.GATEWAY_CLASS, cls)
        for gateway in self.gateways:
            _put(world, kinds.GATEWAY, seed.gateway(gateway.namespace, gateway.name))
        for name in ("template", "scheduler", "router-route"):
            metadata = {"namespace": self._policy.system_namespace, "name": f"kserve-config-llm-{name}"}
            _put(world, kinds.CONFIG, {"metadata": metadata, "spec": {}})
        for service in self._services:
            _put(world, kinds.SERVICE, service)
        for _ in range(6):
            for index in range(len(self._services)):
                facts = Facts(world.objects, unserved=world.unserved, certificates=world.certificates)
                plan = order.plan(facts, world.objects[_service_ref(index)], self._policy, NOW)
                assert not any(step.error or step.unanswered for step in plan.steps), plan.steps
                world.apply(write for step in plan.steps for write in step.writes)
        for ref, obj in world.objects.items():
            world.objects[ref] = {**obj, "metadata": {**obj["metadata"], "resourceVersion": "1"}}
        return world

    def _service(self, index: int) -> dict[str, Any]:
        name = service_name(index)
        route: dict[str, Any] = {"http": {"spec": {"rules": _rules(name, grouped=self._grouped)}}}
        labels = {}
        if self._grouped:
            route |= {"group": "g", "weight": 50}
            labels = {names.ROUTING_GROUP: "g"}
        pool = {
            "selector": {"matchLabels": {}},
            "targetPorts": [{"number": 8000}],
            "endpointPickerRef": {"name": f"{name}-epp-service", "port": {"number": 9002}},
        }
        return {
            "apiVersion": "serving.kserve.io/v1alpha2",
            "kind": "LLMInferenceService",
            "metadata": {
                "namespace": NS,
                "name": name,
                "uid": f"uid-{name}",
                "generation": 1,
                "labels": labels,
                "finalizers": [names.FINALIZER],
                "creationTimestamp": NOW.isoformat(),
            },
            "spec": {
                "model": {"uri": "hf://facebook/opt-125m", "name": "m"},
                "template": {"containers": [{"name": "main", "image": "vllm:v1"}]},
                "router": {
                    "gateway": {
                        "refs": [{"namespace": each.namespace, "name": each.name} for each in self.gateways]
                    },
                    "route": route,
                    "scheduler": {"pool": {"spec": pool}},
                },
            },
            "status": dict(_ROUTABLE) if self._grouped else {},
        }


_ROUTABLE: Mapping[str, Any] = {
    "conditions": [{"type": "RouterReady", "status": "True"}],
    "workloads": {"primary": {"readyReplicas": 1}},
    "addresses": [{"url": "http://a/", "models": [{"name": "m"}]}],
}
"""What a member's status says for others to send requests to it."""


def _rules(name: str, *, grouped: bool) -> list[dict[str, Any]]:
    """Today's preset as far as it matters: one reference of the service's own, and in a group a rule that is shared."""
    spec = default_route_spec(name, NS, GATEWAYS[0].name, GATEWAYS[0].namespace)
    rules = []
    for rule in spec["rules"]:
        refs = [ref for ref in rule["backendRefs"] if ref.get("group") in (None, "", POOL_GROUP_V1)]
        rules.append({**rule, "backendRefs": [{**ref, "weight": 1} for ref in refs]})
    if grouped:
        shared = {"matches": [{"path": {"type": "PathPrefix", "value": f"/publishers/{NS}/models/m"}}]}
        rules.append({**rules[0], **shared})
    return rules


def _condition(type_: str, status_: str, reason: str, message: str, generation: int) -> dict[str, Any]:
    return {
        "type": type_,
        "status": status_,
        "reason": reason,
        "message": message,
        "observedGeneration": generation,
    }


def _key(ref: ObjectRef) -> ObjectKey:
    return ObjectKey(ref.namespace, ref.name)


def _put(world: World, kind: Kind, obj: Mapping[str, Any]) -> None:
    metadata = obj["metadata"]
    world.objects[ObjectRef(kind, metadata.get("namespace", ""), metadata["name"])] = obj


def _route(index: int) -> ObjectRef:
    return ObjectRef(kinds.HTTP_ROUTE, NS, names.route_name(service_name(index)))


@cache
def _probes(index: int) -> Mapping[ObjectRef, str]:
    """The probes of a service, and what the model calls them."""
    name = service_name(index)
    return {
        ObjectRef(kinds.HTTP_ROUTE, NS, names.probe_name(name)): "probe",
        ObjectRef(kinds.HTTP_ROUTE, NS, names.mixed_probe_name(name)): "mixed",
    }


def _pool(index: int, kind: Kind) -> ObjectRef:
    return ObjectRef(kind, NS, names.default_pool_name(service_name(index)))


def _service_ref(index: int) -> ObjectRef:
    return ObjectRef(kinds.SERVICE, NS, service_name(index))
