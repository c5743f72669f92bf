"""A cluster as a dictionary for tests of the router plans: writes land as on an API server, gateways answer when told.

One service, `ns/svc`, behind gateway `kserve/kserve-ingress-gateway`. `reconcile` plans the router parts alone (no
workloads, no endpoint picker), applies until nothing is left, and stores the status.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from aioctl.api import kinds, names
from aioctl.api.kinds import Kind, ObjectRef
from aioctl.api.objects import Object
from aioctl.golang.equality import equal
from aioctl.plan import (
    addresses,
    auth,
    destination_rules,
    pool_status,
    pools,
    probe,
    references,
    route,
    status,
)
from aioctl.plan.evidence import listen
from aioctl.plan.facts import Facts
from aioctl.plan.global_config import GlobalConfig, RoutingConfig
from aioctl.plan.migration_facts import migration_of
from aioctl.plan.model import Context, Outcome, Part, Plan, Step, Verb, Write, step
from aioctl.plan.observation import GatewayRequest
from aioctl.plan.policy import Policy
from aioctl.plan.route_defaults import defaulted
from testbed.default_route import default_route_spec

NS, SVC = "ns", "svc"
POOL = "svc-inference-pool"
ROUTE = ObjectRef(kinds.HTTP_ROUTE, NS, "svc-kserve-route")
V1 = ObjectRef(kinds.POOL_V1, NS, POOL)
ALPHA = ObjectRef(kinds.POOL_V1ALPHA2, NS, POOL)
MODEL = ObjectRef(kinds.MODEL, NS, "svc-inference-model")
GATEWAY = ("kserve", "kserve-ingress-gateway")
SCHEDULER: dict[str, Any] = {
    "pool": {
        "spec": {
            "selector": {"matchLabels": names.workload_selector(SVC)},
            "targetPorts": [{"number": 8000}],
            "endpointPickerRef": {"kind": "Service", "name": "svc-epp-service", "port": {"number": 9002}},
        }
    }
}
MANAGED: dict[str, Any] = {"gateway": {}, "route": {}, "scheduler": SCHEDULER}
EXTERNAL: dict[str, Any] = {"route": {}, "scheduler": {"pool": {"ref": {"name": "my-pool"}}}}
REFERENCED: dict[str, Any] = {"route": {"http": {"refs": [{"name": "mine"}]}}, "scheduler": SCHEDULER}
OPEN = Policy(auth_disabled=True)


def condition(type_: str, status: str = "True", reason: str = "", **more: Any) -> dict[str, Any]:
    return {"type": type_, "status": status, "reason": reason or type_, "message": "", **more}


def accepted(*types: str, **more: Any) -> list[dict[str, Any]]:
    return [condition(type_, **more) for type_ in types or ("Accepted", "ResolvedRefs")]


INVALID_KIND = [condition("Accepted"), condition("ResolvedRefs", "False", "InvalidKind")]


def parent(namespace: str, name: str, conditions: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    ref = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": namespace, "name": name}
    return {"parentRef": ref, "conditions": conditions, **more}


def set_weights(*weights: int) -> Any:
    def change(route: dict[str, Any]) -> None:
        for rule in route["spec"]["rules"][:2]:
            for ref, weight in zip(rule["backendRefs"], weights, strict=True):
                ref["weight"] = weight

    return change


def pool_ref(group: str, name: str = POOL, **more: Any) -> dict[str, Any]:
    return {"group": group, "kind": "InferencePool", "name": name, "port": 8000, **more}


def user_route(*conditions: dict[str, Any], **status_more: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": NS, "name": "mine", "generation": 1},
        "spec": {"parentRefs": [{"name": GATEWAY[1], "namespace": GATEWAY[0]}]},
        "status": {"parents": [parent(*GATEWAY, list(conditions), **status_more)] if conditions else []},
    }


def with_gateway_refs(*refs: str) -> dict[str, Any]:
    return {**copy.deepcopy(MANAGED), "gateway": {"refs": [{"name": ref} for ref in refs]}}


def gateway(
    namespace: str,
    name: str,
    *addresses: str,
    programmed: str = "True",
    listeners: Any = None,
    cls: str = "other",
) -> dict[str, Any]:
    return {
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "gatewayClassName": cls,
            "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]
            if listeners is None
            else listeners,
        },
        "status": {
            "conditions": [condition("Programmed", programmed)],
            "addresses": [{"type": "IPAddress", "value": value} for value in addresses],
        },
    }


@dataclass
class RouterWorld:
    """The cluster, the service and what was written to it so far."""

    router: Mapping[str, Any] | None = field(default_factory=lambda: copy.deepcopy(MANAGED))
    policy: Policy = OPEN
    objects: dict[ObjectRef, Any] = field(default_factory=dict)
    unserved: frozenset[Kind] = frozenset({kinds.DESTINATION_RULE})
    unsure: frozenset[Kind] = frozenset()
    unknown: dict[ObjectRef, str] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)
    """Further fields of the combined spec."""
    routing: RoutingConfig = field(default_factory=RoutingConfig)
    writes: list[Write] = field(default_factory=list)
    error: str = ""
    retry: bool = False
    reached: frozenset[GatewayRequest] = frozenset()
    """Requests that come through the gateways."""
    now: datetime = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
    version: int = 0

    def __post_init__(self) -> None:
        self.service: dict[str, Any] = {
            "metadata": {"namespace": NS, "name": SVC, "uid": "uid-svc", "generation": 1, "annotations": {}},
            "spec": {},
        }
        self.put(
            kinds.GATEWAY_CLASS, {"metadata": {"name": "other"}, "spec": {"controllerName": "example.org/gw"}}
        )
        self.put(
            kinds.GATEWAY_CLASS,
            {"metadata": {"name": "istio"}, "spec": {"controllerName": "istio.io/gateway-controller"}},
        )
        self.put(kinds.GATEWAY, gateway(*GATEWAY, "203.0.113.1"))

    # -- what the user and the cluster do ------------------------------------------------------------------------

    def put(self, kind: Kind, obj: Mapping[str, Any]) -> None:
        metadata = obj["metadata"]
        self.objects[ObjectRef(kind, metadata.get("namespace", ""), metadata["name"])] = copy.deepcopy(
            dict(obj)
        )

    def annotate(self, key: str, value: str | None) -> None:
        self.service["metadata"]["annotations"][key] = value
        if value is None:
            del self.service["metadata"]["annotations"][key]

    def edit_router(self, router: Mapping[str, Any] | None) -> None:
        self.router = router
        self.service["metadata"]["generation"] += 1

    def edit(self, ref: ObjectRef, change: Callable[[Any], None]) -> None:
        """Somebody edits the spec or metadata of an object."""
        obj = copy.deepcopy(self.objects[ref])
        change(obj)
        obj["metadata"]["generation"] = obj["metadata"].get("generation", 1) + 1
        self.objects[ref] = obj

    def pool_status(
        self, ref: ObjectRef, conditions: list[dict[str, Any]], *gateways: tuple[str, str]
    ) -> None:
        field_name = "parents" if ref.kind == kinds.POOL_V1 else "parent"
        entries = [parent(*key, conditions) for key in gateways or (GATEWAY,)]
        self.objects[ref] = {**self.objects[ref], "status": {field_name: entries}}

    def route_status(self, *entries: dict[str, Any]) -> None:
        self.objects[ROUTE] = {**self.objects[ROUTE], "status": {"parents": list(entries)}}

    def accept_route(self) -> None:
        self.route_status(
            *(parent(ref.get("namespace", NS), ref["name"], accepted()) for ref in self.parents)
        )

    # -- what the controller does --------------------------------------------------------------------------------

    @property
    def facts(self) -> Facts:
        routes = (obj for ref, obj in self.objects.items() if ref.kind == kinds.HTTP_ROUTE)
        return Facts(
            objects=self.objects,
            unknown=self.unknown,
            unserved=self.unserved,
            unsure=self.unsure,
            hearsay=listen(routes),
            reached=self.reached,
        )

    @property
    def ctx(self) -> Context:
        spec: dict[str, Any] = {"model": {"uri": "hf://m", "name": "m"}, **self.more}
        if self.router is not None:
            spec["router"] = self._combined(copy.deepcopy(dict(self.router)))
        config = GlobalConfig(
            system_namespace="kserve",
            ingress_gateway_name=GATEWAY[1],
            ingress_gateway_namespace=GATEWAY[0],
            routing=self.routing,
        )
        return Context(self.facts, self.service, spec, config, self.policy, self.now)

    def _combined(self, router: dict[str, Any]) -> dict[str, Any]:
        section = router.get("route")
        if section is not None and not (section.get("http") or {}).get("refs"):
            inline = (section.get("http") or {}).get("spec") or {}
            combined = {**default_route_spec(SVC, NS, GATEWAY[1], GATEWAY[0]), **inline}
            combined = route.rewrite_default_refs(combined, SVC, {"router": router})
            router["route"] = {**section, "http": {"spec": combined}}
        return router

    def plan(self) -> Plan:
        ctx = self.ctx
        steps: list[Step] = []
        for each in _parts(ctx):
            steps.append(each)
            if each.error or each.unanswered:
                break
        return Plan(self.service, tuple(steps), ctx)

    def reconcile(self) -> list[Write]:
        """Plans and applies until nothing is left, concludes the status, and answers the writes it took."""
        self.now += timedelta(minutes=1)
        mark = len(self.writes)
        answers: dict[ObjectRef, Object | None] = {}
        for _ in range(6):
            plan = self.plan()
            outcome = self._apply(plan)
            answers.update(outcome.answers)
            if outcome.failed or not outcome.answers:
                break
        self.error, self.retry = outcome.error, outcome.retry
        outcome = Outcome(outcome.failed, outcome.error, answers, retry=outcome.retry)
        made = status.conclude(plan, outcome, self.facts, self.policy, self.now)
        if not status.status_equal(made, self.service.get("status", {})):
            self.service = {**self.service, "status": made}
        return self.writes[mark:]

    def plan_route(self) -> list[Write]:
        """What the route alone would write."""
        return list(route.route(self.ctx, lambda: migration_of(self.ctx)))

    def _apply(self, plan: Plan) -> Outcome:
        answers: dict[ObjectRef, Object | None] = {}
        for each in plan.steps:
            if each.unanswered:
                return Outcome(answers=answers, retry=True, error=each.unanswered)
            for write in each.writes:
                self.writes.append(write)
                answers[write.ref] = self._store(write)
            if each.error:
                return Outcome(failed=each, error=each.error, answers=answers)
        return Outcome(answers=answers)

    def _store(self, write: Write) -> Object | None:
        if write.verb is Verb.DELETE:
            del self.objects[write.ref]
            return None
        assert write.body is not None
        before = self.objects.get(write.ref, {})
        assert (write.verb is Verb.CREATE) == (not before)
        body = copy.deepcopy(dict(write.body))
        if write.kind == kinds.HTTP_ROUTE:
            body["spec"] = defaulted(body["spec"])
        self.version += 1
        metadata = {"uid": f"uid-{self.version}", "generation": 0, **body["metadata"]}
        if not equal(body.get("spec"), before.get("spec")):
            metadata["generation"] += 1
        metadata["resourceVersion"] = str(self.version)
        stored = {**body, "metadata": metadata}
        if "status" in before:
            stored["status"] = before["status"]
        self.objects[write.ref] = stored
        return stored

    # -- what tests look at --------------------------------------------------------------------------------------

    @property
    def live(self) -> dict[str, Any]:
        found: dict[str, Any] = self.objects[ROUTE]
        return found

    @property
    def parents(self) -> list[dict[str, Any]]:
        return list(self.live["spec"].get("parentRefs", []))

    def refs(self, rule: int = 0) -> list[dict[str, Any]]:
        return list(self.live["spec"]["rules"][rule]["backendRefs"])

    @property
    def w(self) -> tuple[int, ...]:
        """Weights of the first two rules, which must agree; the catch-all must be as it always is."""
        rules = self.live["spec"]["rules"]
        first, second, last = (tuple(ref["weight"] for ref in rule["backendRefs"]) for rule in rules)
        assert first == second
        assert last == (100,)
        return first

    @property
    def a(self) -> str | None:
        value = self.live["metadata"].get("annotations", {}).get(names.MIGRATED)
        return None if value is None else str(value)

    @property
    def copy_of_lock(self) -> str | None:
        value = self.service.get("status", {}).get("annotations", {}).get(names.MIGRATED)
        return None if value is None else str(value)

    def status_of(self, type_: str) -> str:
        return str(self.condition(type_).get("status", ""))

    def condition(self, type_: str) -> dict[str, Any]:
        entries = self.service.get("status", {}).get("conditions", [])
        return next((dict(entry) for entry in entries if entry["type"] == type_), {})

    def migrated(self) -> "RouterWorld":
        """Brings the service to the end of the road and forgets the writes it took."""
        self.reconcile()
        self.pool_status(V1, accepted())
        self.accept_route()
        self.reconcile()
        assert self.w == (100, 0)
        assert self.a == "v1"
        self.writes.clear()
        return self


def _parts(ctx: Context) -> Iterator[Step]:
    decided = cache(lambda: migration_of(ctx))
    first = auth.precondition(ctx)
    if first is not None:
        yield first
        if first.condition is not None:
            return
    yield references.validate(ctx)
    yield step(
        Part.SCHEDULER,
        lambda: _scheduler(ctx),
        outer="failed to reconcile networking: failed to reconcile scheduler: ",
    )
    yield step(
        Part.ROUTES,
        lambda: (*route.route(ctx, decided), *probe.probe(ctx, decided)),
        outer=addresses.OUTER,
    )
    yield step(Part.DESTINATION_RULES, lambda: destination_rules.destination_rules(ctx, decided))
    unread = pool_status.check(ctx)
    if unread is not None:
        yield unread
    discovery = addresses.check(ctx)
    if discovery is not None:
        yield discovery


def _scheduler(ctx: Context) -> Iterator[Write]:
    pools.check(ctx)
    yield from pools.model(ctx)
    yield from pools.pools(ctx)
