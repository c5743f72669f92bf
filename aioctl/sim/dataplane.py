"""Counts the requests a fleet would have lost, by looking at its routes the way a gateway does.

Fed by every write of routes and pools at the moment it happens. Between two writes nothing changes, so what a rule sends
where is weight times time. A reference can serve when its pool has, for every gateway of the route that exists as its parent,
Accepted and ResolvedRefs True and not stale. Judged are rules that name pools; a request counts as lost for nothing when it
went to a reference that could not serve while another one of the rule could, from the service's first success on. Each write
of a route is judged too: it must not move weight from a usable to an unusable reference.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import anyio

from aioctl.api.kinds import HTTP_ROUTE, POOL_GROUP_V1, POOL_V1, POOL_V1ALPHA2, ObjectKey
from aioctl.api.names import NAME
from aioctl.api.objects import dig, generation_of, labels_of, namespace_of, sequence
from aioctl.sim.api import SimCluster
from aioctl.sim.records import Record
from aioctl.sim.resources import Resource

Object = Mapping[str, Any]
_PoolRef = tuple[str, ObjectKey]
_POOLS: Final = {POOL_V1.resource: "parents", POOL_V1ALPHA2.resource: "parent"}
_GROUPS: Final = {POOL_V1.group, POOL_V1ALPHA2.group}


@dataclass(slots=True)
class ServiceReport:
    """One service (route). Requests are counted at the plane's rate; samples are taken after every change."""

    first_success: float | None = None
    """Loop time; None while no request could have succeeded."""
    served: float = 0.0
    lost_for_nothing: float = 0.0
    """Requests to a reference that could not serve while another one of the rule could."""
    lost: float = 0.0
    """Requests of rules of which no reference could serve."""
    lost_samples: int = 0
    """Moments (of any length, also none) at which weight lay on an unusable reference beside a usable one."""
    bad_moves: list[str] = field(default_factory=list)
    """Route writes that moved weight from a usable to an unusable reference."""

    def as_json(self) -> dict[str, Any]:
        return {
            "served": round(self.served, 3),
            "lost_for_nothing": round(self.lost_for_nothing, 3),
            "lost": round(self.lost, 3),
            "lost_samples": self.lost_samples,
            "bad_moves": list(self.bad_moves),
        }


@dataclass(frozen=True, slots=True)
class _Ref:
    pool: _PoolRef | None
    """None for a plain Service: it is taken to serve."""
    weight: int


@dataclass(slots=True)
class _Route:
    service: ObjectKey
    gateways: tuple[ObjectKey, ...]
    rules: tuple[tuple[_Ref, ...], ...]
    since: float


class DataPlane:
    """Watches one simulated cluster; made before the first route is."""

    def __init__(self, cluster: SimCluster, *, requests_per_second: float = 10.0) -> None:
        self._rate = requests_per_second
        self._routes: dict[ObjectKey, _Route] = {}
        self._ready: dict[_PoolRef, frozenset[ObjectKey]] = {}
        """Gateways for which a pool can serve."""
        self._naming: dict[_PoolRef, set[ObjectKey]] = {}
        self.reports: dict[ObjectKey, ServiceReport] = {}
        cluster.observers.append(self._observe)
        cluster.documents["/sim/dataplane"] = self.as_json

    # -- results

    def settle(self) -> None:
        """Counts up to this moment."""
        for key in self._routes:
            self._account(key)

    @property
    def lost_for_nothing(self) -> float:
        """Requests of the whole fleet, counted up to now."""
        self.settle()
        return sum(report.lost_for_nothing for report in self.reports.values())

    @property
    def bad_moves(self) -> list[str]:
        return [move for report in self.reports.values() for move in report.bad_moves]

    def as_json(self) -> dict[str, Any]:
        """Totals, and the services that lost something."""
        self.settle()
        reports = self.reports
        total = ServiceReport(
            served=sum(report.served for report in reports.values()),
            lost_for_nothing=sum(report.lost_for_nothing for report in reports.values()),
            lost=sum(report.lost for report in reports.values()),
            lost_samples=sum(report.lost_samples for report in reports.values()),
            bad_moves=self.bad_moves,
        )
        harmed = {
            str(key): report.as_json()
            for key, report in reports.items()
            if report.lost_samples or report.bad_moves or report.lost_for_nothing
        }
        serving = sum(report.first_success is not None for report in reports.values())
        return {"services": len(reports), "serving": serving, "total": total.as_json(), "harmed": harmed}

    # -- what happens

    def _observe(self, resource: Resource, record: Record, kind: str) -> None:
        if resource.title == HTTP_ROUTE.resource:
            self._route_written(ObjectKey(*record.key), record.decode(), is_gone=kind == "DELETED")
        elif resource.title in _POOLS:
            pool = resource.group, ObjectKey(*record.key)
            ready = frozenset() if kind == "DELETED" else _ready_for(record.decode(), _POOLS[resource.title])
            self._pool_written(pool, ready)

    def _pool_written(self, pool: _PoolRef, ready: frozenset[ObjectKey]) -> None:
        if self._ready.get(pool, frozenset()) == ready:
            return
        routes = self._naming.get(pool, set())
        for key in routes:
            self._account(key)
        self._ready[pool] = ready
        for key in routes:
            self._sample(key)

    def _route_written(self, key: ObjectKey, obj: Object, *, is_gone: bool) -> None:
        old = self._routes.get(key)
        if old is not None:
            self._account(key)
            for ref in _refs(old.rules):
                if ref.pool is not None:
                    self._naming.get(ref.pool, set()).discard(key)
        if is_gone:
            self._routes.pop(key, None)
            return
        new = _parse_route(obj, anyio.current_time())
        if old is not None:
            self._judge_move(old, new)
        self._routes[key] = new
        for ref in _refs(new.rules):
            if ref.pool is not None:
                self._naming.setdefault(ref.pool, set()).add(key)
        self._sample(key)

    def _serves(self, route: _Route, ref: _Ref) -> bool:
        if ref.pool is None:
            return True
        ready = self._ready.get(ref.pool, frozenset())
        return bool(route.gateways) and all(gateway in ready for gateway in route.gateways)

    def _shares(self, route: _Route) -> Iterator[tuple[float, float, float]]:
        """Per rule with pools: share served, share lost for nothing, share lost anyway."""
        for rule in route.rules:
            total = sum(ref.weight for ref in rule)
            if not total:
                yield 0.0, 0.0, 1.0
                continue
            good = sum(ref.weight for ref in rule if self._serves(route, ref)) / total
            has_usable = any(self._serves(route, ref) for ref in rule)
            yield good, (1 - good) if has_usable else 0.0, 0.0 if has_usable else 1 - good

    def _account(self, key: ObjectKey) -> None:
        route = self._routes[key]
        now = anyio.current_time()
        elapsed, route.since = now - route.since, now
        report = self._report(route)
        if not route.rules or not elapsed:
            return
        requests = elapsed * self._rate / len(route.rules)
        for good, for_nothing, lost in self._shares(route):
            report.served += good * requests
            if report.first_success is not None:
                report.lost_for_nothing += for_nothing * requests
                report.lost += lost * requests

    def _sample(self, key: ObjectKey) -> None:
        route = self._routes[key]
        report = self._report(route)
        shares = list(self._shares(route))
        if report.first_success is None and any(good > 0 for good, _, _ in shares):
            report.first_success = anyio.current_time()
        if report.first_success is not None:
            report.lost_samples += any(for_nothing > 0 for _, for_nothing, _ in shares)

    def _judge_move(self, old: _Route, new: _Route) -> None:
        for index, (before, after) in enumerate(zip(old.rules, new.rules, strict=False)):
            weights = {ref.pool: ref.weight for ref in before}
            grew = [ref for ref in after if ref.weight > weights.get(ref.pool, 0)]
            kept = {ref.pool: ref.weight for ref in after}
            shrank = [ref for ref in before if kept.get(ref.pool, 0) < ref.weight]
            bad = [ref for ref in grew if not self._serves(new, ref)]
            good = [ref for ref in shrank if self._serves(old, ref)]
            if bad and good:
                text = f"rule {index}: {_title(good[0])} can serve, weight moved to {_title(bad[0])}"
                self._report(new).bad_moves.append(f"{new.service}: {text}")

    def _report(self, route: _Route) -> ServiceReport:
        return self.reports.setdefault(route.service, ServiceReport())


def _refs(rules: tuple[tuple[_Ref, ...], ...]) -> Iterator[_Ref]:
    for rule in rules:
        yield from rule


def _title(ref: _Ref) -> str:
    if ref.pool is None:
        return "the service"
    generation = "v1" if ref.pool[0] == POOL_GROUP_V1 else "v1alpha2"
    return f"{generation} pool {ref.pool[1].name}"


def _parse_route(obj: Object, now: float) -> _Route:
    namespace = namespace_of(obj)
    gateways = tuple(
        ObjectKey(ref.get("namespace") or namespace, str(ref.get("name")))
        for ref in sequence(obj, "spec", "parentRefs")
    )
    rules = []
    for rule in sequence(obj, "spec", "rules"):
        refs = tuple(_parse_ref(ref, namespace) for ref in sequence(rule, "backendRefs"))
        if any(ref.pool is not None for ref in refs):
            rules.append(refs)
    metadata = obj["metadata"]
    service = ObjectKey(namespace, labels_of(obj).get(NAME) or str(metadata.get("name")))
    return _Route(service, gateways, tuple(rules), now)


def _parse_ref(ref: Mapping[str, Any], namespace: str) -> _Ref:
    weight = ref.get("weight")
    count = 1 if weight is None else int(weight)
    if ref.get("group") in _GROUPS and ref.get("kind") == "InferencePool":
        return _Ref(
            (str(ref["group"]), ObjectKey(ref.get("namespace") or namespace, str(ref["name"]))), count
        )
    return _Ref(None, count)


def _ready_for(pool: Object, field_name: str) -> frozenset[ObjectKey]:
    """Gateways that report the pool as Accepted and ResolvedRefs, for its current generation."""
    namespace, generation = namespace_of(pool), generation_of(pool)
    found = set()
    for entry in sequence(pool, "status", field_name):
        ref = dig(entry, "parentRef")
        if not isinstance(ref, Mapping):
            continue
        true = {
            condition.get("type")
            for condition in sequence(entry, "conditions")
            if condition.get("status") == "True"
            and not 0 < int(condition.get("observedGeneration") or 0) < generation
        }
        if {"Accepted", "ResolvedRefs"} <= true:
            found.add(ObjectKey(ref.get("namespace") or namespace, str(ref.get("name"))))
    return frozenset(found)
