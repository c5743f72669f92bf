"""What a scenario sees: one service in a namespace of its own, on the simulated or on a real API server.

A scenario plays the user, the gateway and whoever edits by hand; the controller runs somewhere else and is only observed
through the API. Positive claims wait (`until`), negative ones are looked at once nothing is written any more (`rest`).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
import msgspec

from aioctl.api import kinds, names
from aioctl.api.kinds import Kind
from aioctl.api.objects import dig
from aioctl.kube.client import Client
from aioctl.kube.errors import Conflict, NotFound
from testbed.at_rest import At

SVC = "svc"
GLOBAL_GATEWAY = ("kserve", "kserve-ingress-gateway")
OLD_TIME = "2026-01-01T00:00:00Z"
ROUTER: dict[str, Any] = {"route": {}, "gateway": {}, "scheduler": {}}
WATCHED = (
    kinds.SERVICE,
    kinds.GATEWAY,
    kinds.HTTP_ROUTE,
    kinds.POOL_V1,
    kinds.POOL_V1ALPHA2,
    kinds.MODEL,
    kinds.DEPLOYMENT,
    kinds.CORE_SERVICE,
    kinds.SECRET,
    kinds.DESTINATION_RULE,
)
"""What `rest` looks at: everything that the controller writes while it has anything to do, and gateways, which it reads."""
POOL_STATUS = {kinds.POOL_V1: "parents", kinds.POOL_V1ALPHA2: "parent"}
Change = Callable[[dict[str, Any]], object]


def condition(type_: str, status: str = "True", reason: str = "", **more: Any) -> dict[str, Any]:
    """A condition as the CRDs of others demand it."""
    return {
        "type": type_,
        "status": status,
        "reason": reason or type_,
        "message": "",
        "lastTransitionTime": OLD_TIME,
        **more,
    }


ACCEPTED = [condition("Accepted"), condition("ResolvedRefs")]
ACCEPTED_ONLY = [condition("Accepted")]
INVALID_KIND = [condition("Accepted"), condition("ResolvedRefs", "False", "InvalidKind")]


def pool_ref(group: str, name: str, **more: Any) -> dict[str, Any]:
    return {"group": group, "kind": "InferencePool", "name": name, "port": 8000, **more}


@dataclass
class Scene:
    """`window` is how long nothing may be written before the scene counts as at rest, `patience` how long a claim may
    take; both in seconds (virtual on the simulated server). `busy` says whether the controller has work in the namespace, or
    has not seen what stands there: where time is real, nothing being written may only mean that it has not come to it."""

    user: Client
    namespace: str
    window: float
    patience: float
    pool: str = field(default=names.default_pool_name(SVC))
    busy: Callable[[Mapping[At, str]], bool] = lambda versions: False

    # -- the user

    async def create(
        self,
        router: Mapping[str, Any] | None = ROUTER,
        *,
        annotations: Mapping[str, str] | None = None,
        **spec: Any,
    ) -> dict[str, Any]:
        """The service `svc`; authentication is off unless `annotations` say otherwise."""
        model = {"uri": "hf://facebook/opt-125m", "name": "facebook/opt-125m"}
        full: dict[str, Any] = {"model": model, "template": TEMPLATE, **spec}
        if router is not None:
            full["router"] = router
        meta = {
            "name": SVC,
            "annotations": {names.ENABLE_AUTH: "false"} if annotations is None else dict(annotations),
        }
        body = {"apiVersion": kinds.V1ALPHA2, "kind": "LLMInferenceService", "metadata": meta, "spec": full}
        return await self.user.create(kinds.SERVICE, self.namespace, body)

    async def put(self, kind: Kind, name: str, spec: Mapping[str, Any], **metadata: Any) -> dict[str, Any]:
        """Creates an object of somebody else in the namespace."""
        body = {
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "metadata": {"name": name, **metadata},
            "spec": spec,
        }
        return await self.user.create(kind, self.namespace, body)

    async def edit(self, kind: Kind, name: str, change: Change) -> dict[str, Any]:
        """Read, change, write back, as `kubectl edit` does, until nobody came between."""
        while True:
            obj = await self.user.get(kind, self.namespace, name)
            change(obj)
            try:
                return await self.user.update(kind, obj)
            except Conflict:
                continue

    async def set_router(self, router: Mapping[str, Any] | None) -> None:
        await self.edit(kinds.SERVICE, SVC, lambda service: service["spec"].update(router=router))

    async def annotate(
        self, key: str, value: str | None, *, kind: Kind = kinds.SERVICE, name: str = SVC
    ) -> Any:
        patch = {"metadata": {"annotations": {key: value}}}
        return await self.user.patch(kind, self.namespace, name, patch)

    async def touch(self, value: str) -> dict[str, Any]:
        """A change of the service that means nothing: the controller looks at it all the same."""
        answer: dict[str, Any] = await self.annotate("example.com/touched", value)
        return answer

    async def set_weights(self, v1: int | None = None, alpha: int | None = None) -> None:
        """By hand, in the two pool rules of the route."""
        wanted = {kinds.POOL_GROUP_V1: v1, kinds.POOL_GROUP_V1ALPHA2: alpha}

        def change(route: dict[str, Any]) -> None:
            for rule in (rule for rule in route["spec"]["rules"] if len(rule["backendRefs"]) == 2):
                for ref in rule["backendRefs"]:
                    weight = wanted[ref["group"]]
                    if weight is not None:
                        ref["weight"] = weight

        await self.edit(kinds.HTTP_ROUTE, self.route_name, change)

    # -- the gateway

    async def gateway(
        self, name: str, *, programmed: bool = True, addresses: Sequence[str] = ("203.0.113.9",)
    ) -> None:
        """A gateway in the namespace, of a class that is not Istio's."""
        listener = {"name": "http", "port": 80, "protocol": "HTTP"}
        await self.put(kinds.GATEWAY, name, {"gatewayClassName": "plain", "listeners": [listener]})
        await self.gateway_status(name, programmed=programmed, addresses=addresses)

    async def gateway_status(
        self, name: str, *, programmed: bool = True, addresses: Sequence[str] = ()
    ) -> None:
        status = {
            "conditions": [condition("Programmed", "True" if programmed else "False")],
            "addresses": [{"type": "IPAddress", "value": value} for value in addresses],
        }
        await self._status(kinds.GATEWAY, name, status)

    async def pool_status(
        self,
        kind: Kind,
        conditions: Sequence[Mapping[str, Any]] = ACCEPTED,
        *gateways: tuple[str, str],
        name: str = "",
    ) -> None:
        """What the gateways (default: the global one) say about a pool; empty conditions take everything back."""
        parents = [
            {"parentRef": _gateway_ref(*gateway), "conditions": list(conditions)}
            for gateway in gateways or (GLOBAL_GATEWAY,)
        ]
        await self._status(kind, name or self.pool, {POOL_STATUS[kind]: parents if conditions else []})

    async def route_status(
        self,
        conditions: Sequence[Mapping[str, Any]],
        *gateways: tuple[str, str],
        name: str = "",
        controller: str = "istio.io/gateway-controller",
    ) -> None:
        """What the gateways say about a route, for its current generation."""
        name = name or self.route_name
        route = await self.user.get(kinds.HTTP_ROUTE, self.namespace, name)
        seen = {"observedGeneration": route["metadata"]["generation"]}
        parents = [
            {
                "parentRef": _gateway_ref(*gateway),
                "controllerName": controller,
                "conditions": [{**seen, **found} for found in conditions],
            }
            for gateway in gateways or (GLOBAL_GATEWAY,)
        ]
        await self._status(kinds.HTTP_ROUTE, name, {"parents": parents})

    async def _status(self, kind: Kind, name: str, status: Mapping[str, Any]) -> None:
        await self.user.patch(kind, self.namespace, name, {"status": status}, subresource="status")

    # -- what is to be seen

    @property
    def route_name(self) -> str:
        return names.route_name(SVC)

    async def find(self, kind: Kind, name: str) -> dict[str, Any] | None:
        try:
            return await self.user.get(kind, self.namespace if kind.namespaced else "", name)
        except NotFound:
            return None

    async def service(self) -> dict[str, Any]:
        return await self.user.get(kinds.SERVICE, self.namespace, SVC)

    async def route(self) -> dict[str, Any]:
        """The managed route. Raises NotFound."""
        return await self.user.get(kinds.HTTP_ROUTE, self.namespace, self.route_name)

    async def condition(self, type_: str) -> tuple[str, str, str]:
        """(status, reason, message); empty strings where it is absent."""
        for found in dig(await self.service(), "status", "conditions") or ():
            if found["type"] == type_:
                return found["status"], found.get("reason", ""), found.get("message", "")
        return "", "", ""

    async def traffic(self) -> tuple[int, int, str | None]:
        """Percent of the traffic for v1 and v1alpha2, and the lock; asserts the rules to the workload on the way."""
        return traffic_of(await self.route(), self.pool)

    async def copy_of_lock(self) -> str | None:
        found: str | None = dig(await self.service(), "status", "annotations", names.MIGRATED)
        return found

    async def events(self) -> list[tuple[str, str, str]]:
        """(type, reason, note) of every event about the service."""
        found = await self.list(kinds.EVENT)
        return [
            (event["type"], event["reason"], event.get("note", ""))
            for event in found
            if dig(event, "regarding", "name") == SVC
        ]

    async def list(self, kind: Kind) -> list[dict[str, Any]]:
        """All objects of the kind in the namespace; none while it is not served."""
        items: list[dict[str, Any]] = []
        try:
            async for page in self.user.list_pages(kind, namespace=self.namespace):
                items += [msgspec.json.decode(item) for item in page.items]
        except NotFound:
            return []
        return items

    async def versions(self) -> dict[At, str]:
        """resourceVersion of everything in the namespace that the controller writes or reads."""
        return {
            At(kind.resource, self.namespace, obj["metadata"]["name"]): obj["metadata"]["resourceVersion"]
            for kind in WATCHED
            for obj in await self.list(kind)
        }

    async def until(self, claim: Callable[[], Awaitable[object]]) -> None:
        """Waits until the claim holds; an object that is not there yet is no error. Raises AssertionError."""
        with anyio.move_on_after(self.patience):
            while True:
                try:
                    if await claim():
                        return
                except NotFound:
                    pass
                await anyio.sleep(0.1)
        raise AssertionError(f"did not come true within {self.patience:g} s; {await self._picture()}")

    async def until_traffic(self, *wanted: object) -> None:
        """Waits for exactly these shares and this lock."""

        async def claim() -> bool:
            return await self.traffic() == wanted

        await self.until(claim)

    async def until_condition(self, type_: str, status: str, reason: str = "") -> None:
        """Waits until the status says so of what the service asks for now: what it said of an earlier spec may be equal."""
        await self.until_conditions({type_: (status, reason)})

    async def until_conditions(self, wanted: Mapping[str, tuple[str, str]]) -> None:
        """Waits until one status says all of that of what the service asks for now: type -> (status, reason or '' for any),
        an empty status where there is to be no such condition."""

        async def claim() -> bool:
            service = await self.service()
            found = {each["type"]: each for each in dig(service, "status", "conditions") or ()}
            return is_of_this_spec(service) and all(
                found.get(type_, {}).get("status", "") == status
                and (not reason or found[type_].get("reason", "") == reason)
                for type_, (status, reason) in wanted.items()
            )

        await self.until(claim)

    async def rest(self) -> dict[At, str]:
        """Waits until nothing is written for a while; returns the versions. Raises TimeoutError when it never ends."""
        with anyio.fail_after(self.patience):
            before = await self.versions()
            while True:
                await anyio.sleep(self.window)
                now = await self.versions()
                if now == before and not self.busy(now):
                    return now
                before = now

    async def created(self, router: Mapping[str, Any] | None = ROUTER, **more: Any) -> None:
        """Creates the service and waits until its children stand and nothing moves."""
        await self.create(router, **more)
        await self.until(self.service_has_status)
        await self.rest()

    async def service_has_status(self) -> bool:
        return dig(await self.service(), "status", "observedGeneration") is not None

    async def migrated(self, router: Mapping[str, Any] | None = ROUTER, **more: Any) -> None:
        """Creates the service and lets it migrate."""
        await self.created(router, **more)
        await self.pool_status(kinds.POOL_V1)
        await self.until_traffic(100, 0, "v1")

        async def copied() -> bool:
            return await self.copy_of_lock() == "v1"

        await self.until(copied)
        await self.rest()

    async def _picture(self) -> str:
        service = await self.find(kinds.SERVICE, SVC)
        route = await self.find(kinds.HTTP_ROUTE, self.route_name)
        return f"service status: {dig(service, 'status')}\nroute: {route}"


def is_of_this_spec(service: Mapping[str, Any]) -> bool:
    """Whether the status is that of the spec that stands; one write bears all of a status."""
    return bool(dig(service, "status", "observedGeneration") == service["metadata"]["generation"])


TEMPLATE: dict[str, Any] = {"containers": [{"name": "main", "image": "quay.io/example/vllm:1"}]}


def traffic_of(route: Mapping[str, Any], pool: str) -> tuple[int, int, str | None]:
    """Percent of the traffic for v1 and v1alpha2, equal in all pool rules, and the lock of a route with the default rules."""
    rules = route["spec"]["rules"]
    workload = [
        rule["name"] for rule in rules if rule["name"].startswith(("v1-catch-all", "v1-publisher-path"))
    ]
    to_pools = [rule for rule in rules if rule["name"] not in workload]
    for rule in rules:
        if rule["name"] in workload:
            (ref,) = rule["backendRefs"]
            assert (ref["kind"], ref["name"]) == ("Service", names.workload_service_name(SVC))
    groups = [
        {ref["group"]: ref["weight"] for ref in rule["backendRefs"] if ref["name"] == pool}
        for rule in to_pools
    ]
    assert groups
    assert all(each == groups[0] for each in groups)
    total = sum(groups[0].values()) or 1
    v1, v1alpha2 = (
        100 * groups[0].get(group, 0) // total for group in (kinds.POOL_GROUP_V1, kinds.POOL_GROUP_V1ALPHA2)
    )
    return v1, v1alpha2, dig(route, "metadata", "annotations", names.MIGRATED)


def _gateway_ref(namespace: str, name: str) -> dict[str, str]:
    return {"group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": namespace, "name": name}
