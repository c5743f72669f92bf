"""The scenarios of the crash matrix: shapes of services, strategies on gateways, changes, faults of the API server, takeovers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from aioctl.api import kinds, names
from aioctl.api.kinds import Kind
from aioctl.plan.policy import Strategy
from aioctl.sim.errors import conflict, plain_500, too_many_requests
from aioctl.sim.faults import Faults, Match
from aioctl.sim.players.gateway import BEHAVIOURS, GatewayScript
from testbed.crashes import Scenario, Step
from testbed.world import NAMESPACE, POLICY, World, plain_service

Object = dict[str, Any]
_CONFIGS: Final = r".*/llminferenceserviceconfigs/"
_TRAFFIC: Final = r".*/(httproutes|inferencepools|llminferenceservices|deployments)\b"
"""What a strategy makes differently from another one."""
ROUTER: Final[Mapping[str, Any]] = {"gateway": {}, "route": {}, "scheduler": {}}
_MAIN: Final = {"containers": [{"name": "main", "image": "vllm:1"}]}
_OURS: Final = "aioctl/"
_GROUPED: Final = "g"


def _create(*objects: tuple[Kind, Object]) -> Step:
    async def step(world: World) -> None:
        for kind, obj in objects:
            namespace = obj["metadata"].get("namespace", NAMESPACE) if kind.namespaced else ""
            await world.user.create(kind, namespace, obj)

    return step


def _service(*services: Object) -> Step:
    return _create(*((kinds.SERVICE, service) for service in services))


def _patch(spec: Mapping[str, Any] | None = None, **annotations: str | None) -> Step:
    """Edits the service; annotations by their short names, an underscore for each dash."""

    async def step(world: World) -> None:
        body: Object = {"spec": dict(spec or {})}
        if annotations:
            marks = {
                f"serving.kserve.io/{name.replace('_', '-')}": value for name, value in annotations.items()
            }
            body["metadata"] = {"annotations": marks}
        await world.user.patch(kinds.SERVICE, NAMESPACE, "one", body)

    return step


def _delete(kind: Kind, name: str) -> Step:
    async def step(world: World) -> None:
        await world.user.delete(kind, NAMESPACE, name)

    return step


async def _nothing(_: World) -> None:
    """The fleet is empty when the process starts."""


def _object(kind: Kind, name: str, **fields: Any) -> tuple[Kind, Object]:
    metadata = {"name": name, "namespace": NAMESPACE}
    return kind, {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **fields}


def _member(name: str, weight: int) -> Object:
    route = {"group": _GROUPED, "weight": weight}
    made = plain_service(name, router={**ROUTER, "route": route})
    made["spec"]["model"]["name"] = "m"
    made["metadata"]["labels"] = {names.ROUTING_GROUP: _GROUPED}
    return made


_POOL_SPEC: Final = {"selector": {"matchLabels": {"app": "mine"}}, "targetPorts": [{"number": 8000}]}
_PICKER: Final = {"endpointPickerRef": {"name": "mine-epp", "port": {"number": 9002}}}
_SCALING: Final = {"minReplicas": 1, "maxReplicas": 3, "wva": {"variantCost": "10.0", "hpa": {}}}
SHAPES: Final[Mapping[str, tuple[Step, ...]]] = {
    "plain": (_nothing, _service(plain_service())),
    "routed": (_nothing, _service(plain_service(router={"gateway": {}, "route": {}}))),
    "scheduled": (_nothing, _service(plain_service(router=ROUTER))),
    "prefill": (_nothing, _service(plain_service(router=ROUTER, prefill={"template": _MAIN}))),
    "workers": (
        _nothing,
        _service(plain_service(router=ROUTER, template=_MAIN, worker=_MAIN, parallelism={"tensor": 2, "pipeline": 2})),
    ),
    "scaled": (_nothing, _service(plain_service(router=ROUTER, scaling=_SCALING))),
    "adapters": (
        _nothing,
        _service(
            plain_service(
                router=ROUTER,
                model={
                    "uri": "hf://facebook/opt-125m",
                    "lora": {"adapters": [{"name": "a", "uri": "hf://some/adapter"}]},
                },
            )
        ),
    ),
    "claimed": (_nothing, _service(plain_service(router=ROUTER, model={"uri": "pvc://models/opt"}))),
    "old version": (
        _nothing,
        _create((kinds.SERVICE_V1ALPHA1, {**plain_service(router=ROUTER), "apiVersion": kinds.V1ALPHA1})),
    ),
    "base": (
        _create(_object(kinds.CONFIG, "base", spec={"replicas": 2, "router": dict(ROUTER)})),
        _service(plain_service(baseRefs=[{"name": "base"}])),
    ),
    "external pool": (
        _create(_object(kinds.POOL_V1, "ext", spec={**_POOL_SPEC, **_PICKER})),
        _service(plain_service(router={**ROUTER, "scheduler": {"pool": {"ref": {"name": "ext"}}}})),
    ),
    "group": (_nothing, _service(_member("one", 90), _member("two", 10))),
}  # fmt: skip
"""What users ask for, and nothing goes wrong."""


CHANGES: Final[Mapping[str, Sequence[Step]]] = {
    "deleted": (_delete(kinds.SERVICE, "one"),),
    "stopped": (_patch(stop="true"), _patch(stop=None)),
    "model changed": (_patch({"model": {"uri": "hf://facebook/opt-350m"}}),),
    "scaled by hand": (_patch({"replicas": 3}),),
    "scheduler dropped": (_patch({"router": {"scheduler": None}}),),
    "router dropped": (_patch({"router": None}),),
    "prefill added": (_patch({"prefill": {"template": _MAIN}}),),
    "workers added": (_patch({"template": _MAIN, "worker": _MAIN, "parallelism": {"pipeline": 2}}),),
    "template broken and mended": (
        _patch({"template": {"containers": [{"name": "main", "image": "{{ .Broken"}]}}),
        _patch({"template": None}),
    ),
    "pool deleted by hand": (_delete(kinds.POOL_V1, "one-inference-pool"),),
    "route deleted by hand": (_delete(kinds.HTTP_ROUTE, "one-kserve-route"),),
    "deployment deleted by hand": (_delete(kinds.DEPLOYMENT, "one-kserve"),),
}
"""What happens to a service that has settled."""


def _conflicts(faults: Faults) -> None:
    for resource in ("httproutes", "deployments", "llminferenceservices"):
        faults.fail(
            Match(verb="update", resource=resource, client=_OURS), conflict(resource, "", "one"), times=2
        )


_CREATES: Final = Match(verb="create", client=_OURS)
FAULTS: Final[Mapping[str, Callable[[Faults], object]]] = {
    "conflicts": _conflicts,
    "failing writes": lambda faults: faults.fail(
        _CREATES, plain_500("etcdserver: timed out"), first=3, times=3
    ),
    "asked to wait": lambda faults: faults.fail(_CREATES, too_many_requests(5), first=2, times=2),
    "lost answers": lambda faults: faults.lose(_CREATES, first=2, times=2),
    "slow writes": lambda faults: faults.slow(_CREATES, 3.0),
    "lagging watches": lambda faults: faults.lag_watches(Match(client=_OURS), 2.0),
}
"""What the API server does to the controller from the start."""


def _faulty(name: str) -> Step:
    async def step(world: World) -> None:
        FAULTS[name](world.cluster.faults)

    return step


def _taken_over(*marks: str) -> Step:
    """What we keep beside the pods and on the service goes, so that all of it looks as another controller has left it."""

    async def step(world: World) -> None:
        gone = {"metadata": {"annotations": dict.fromkeys(marks)}}
        for kind, name in (
            (kinds.DEPLOYMENT, "one-kserve"),
            (kinds.HTTP_ROUTE, "one-kserve-route"),
            (kinds.SERVICE, "one"),
        ):
            await world.user.patch(kind, NAMESPACE, name, gone)

    return step


def catalogue() -> dict[str, Scenario]:
    """By name; at least one for every shape, strategy and gateway, change, fault and kind of takeover."""
    found: list[Scenario] = [Scenario(f"shape: {name}", steps) for name, steps in SHAPES.items()]
    scheduled = SHAPES["scheduled"]
    found.append(Scenario("presets", (*scheduled, _delete(kinds.SERVICE, "one")), dies_at=_CONFIGS))
    found += [
        Scenario(
            f"strategy: {strategy.value} on {behaviour}",
            scheduled,
            replace(POLICY, strategy=strategy),
            GatewayScript(BEHAVIOURS[behaviour]),
            dies_at=_TRAFFIC,
        )
        for strategy in Strategy
        for behaviour in ("both", "v1-only", "v1alpha2-only", "istio", "istio-agentgateway")
    ]
    found += [
        Scenario(f"change: {name}", (*scheduled, *steps), dies_from=len(scheduled))
        for name, steps in CHANGES.items()
    ]
    found += [Scenario(f"fault: {name}", (_faulty(name), *scheduled[1:])) for name in FAULTS]
    forms = (names.FORM_INPUTS, names.FORM_TEMPLATE)
    for name, marks in (("unmarked", forms), ("unlocked", (*forms, names.MIGRATED))):
        found.append(
            Scenario(f"takeover: {name}", (*scheduled, _taken_over(*marks)), dies_from=len(scheduled))
        )
    return {scenario.name: scenario for scenario in found}
