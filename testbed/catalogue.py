"""The scenarios of the crash matrix: shapes of services, strategies on gateways, changes, kinds that come and go, faults, takeovers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import anyio

from aioctl.api import kinds, local_model, names
from aioctl.api.rules import dra
from aioctl.plan.policy import PodForm, Strategy
from aioctl.sim.errors import conflict, plain_500, too_many_requests
from aioctl.sim.faults import Faults, Match
from aioctl.sim.players.gateway import BEHAVIOURS, GatewayScript
from testbed.crash_steps import (
    annotate,
    both,
    create,
    delete,
    edit,
    install,
    nothing,
    object_of,
    patch,
    service,
    uninstall,
)
from testbed.crashes import Scenario, Step
from testbed.world import NAMESPACE, POLICY, World, plain_service

Object = dict[str, Any]
_CONFIGS: Final = r".*/llminferenceserviceconfigs/"
_TRAFFIC: Final = r".*/(httproutes|inferencepools|llminferenceservices|deployments)\b"
"""What a strategy makes differently from another one."""
_OF_FEATURES: Final = (
    r".*/(httproutes|inferencepools|llminferenceservices|deployments|leaderworkersets|scaledobjects"
    r"|horizontalpodautoscalers|resourceclaimtemplates)\b|.*tokenizer"
)
ROUTER: Final[Mapping[str, Any]] = {"gateway": {}, "route": {}, "scheduler": {}}
_MAIN: Final = {"containers": [{"name": "main", "image": "vllm:1"}]}
_OURS: Final = "aioctl/"
_DISCOVERY: Final = 30.0
"""Seconds, as the controller ships: for scenarios in which kinds come and go."""
_GROUPED: Final = "g"


def _member(name: str, weight: int) -> Object:
    route = {"group": _GROUPED, "weight": weight}
    made = plain_service(name, router={**ROUTER, "route": route})
    made["spec"]["model"]["name"] = "m"
    made["metadata"]["labels"] = {names.ROUTING_GROUP: _GROUPED}
    return made


_ALONE: Final = {
    "metadata": {"labels": {names.ROUTING_GROUP: None}},
    "spec": {"router": {"route": {"group": None, "weight": None}}},
}
_POOL_SPEC: Final = {"selector": {"matchLabels": {"app": "mine"}}, "targetPorts": [{"number": 8000}]}
_PICKER: Final = {"endpointPickerRef": {"name": "mine-epp", "port": {"number": 9002}}}
_SCALING: Final = {"minReplicas": 1, "maxReplicas": 3, "wva": {"variantCost": "10.0", "hpa": {}}}
_TRIGGER: Final = {"type": "prometheus", "metadata": {"query": "waiting", "threshold": "5"}}
_BY_KEDA: Final = {"minReplicas": 1, "maxReplicas": 3, "keda": {"triggers": [_TRIGGER]}}


def _marked(annotations: Mapping[str, str], **spec: Any) -> Object:
    made = plain_service(**spec)
    made["metadata"]["annotations"] = dict(annotations)
    return made


def _cached() -> Object:
    """As admission marks a service whose model a LocalModelCache has."""
    made = _marked(_IN_A_CACHE, router=ROUTER)
    made["metadata"]["labels"] = {local_model.CACHE: "opt"}
    return made


_IN_A_CACHE: Final = {local_model.SOURCE: "hf://facebook/opt-125m", local_model.CLAIM: "opt-gpus"}
_NO_CACHE: Final = {
    "metadata": {"labels": {local_model.CACHE: None}, "annotations": dict.fromkeys(_IN_A_CACHE)}
}
SHAPES: Final[Mapping[str, tuple[Step, ...]]] = {
    "plain": (nothing, service(plain_service())),
    "routed": (nothing, service(plain_service(router={"gateway": {}, "route": {}}))),
    "scheduled": (nothing, service(plain_service(router=ROUTER))),
    "prefill": (nothing, service(plain_service(router=ROUTER, prefill={"template": _MAIN}))),
    "workers": (
        nothing,
        service(plain_service(router=ROUTER, template=_MAIN, worker=_MAIN, parallelism={"tensor": 2, "pipeline": 2})),
    ),
    "scaled": (nothing, service(plain_service(router=ROUTER, scaling=_SCALING))),
    "adapters": (
        nothing,
        service(
            plain_service(
                router=ROUTER,
                model={
                    "uri": "hf://facebook/opt-125m",
                    "lora": {"adapters": [{"name": "a", "uri": "hf://some/adapter"}]},
                },
            )
        ),
    ),
    "claimed": (nothing, service(plain_service(router=ROUTER, model={"uri": "pvc://models/opt"}))),
    "old version": (
        nothing,
        create((kinds.SERVICE_V1ALPHA1, {**plain_service(router=ROUTER), "apiVersion": kinds.V1ALPHA1})),
    ),
    "base": (
        create(object_of(kinds.CONFIG, "base", spec={"replicas": 2, "router": dict(ROUTER)})),
        service(plain_service(baseRefs=[{"name": "base"}])),
    ),
    "external pool": (
        create(object_of(kinds.POOL_V1, "ext", spec={**_POOL_SPEC, **_PICKER})),
        service(plain_service(router={**ROUTER, "scheduler": {"pool": {"ref": {"name": "ext"}}}})),
    ),
    "group": (nothing, service(_member("one", 90), _member("two", 10))),
}  # fmt: skip
"""What users ask for, and nothing goes wrong."""
FEATURES: Final[Mapping[str, tuple[Step, ...]]] = {
    "scaled by keda": (
        install(kinds.SCALED_OBJECT),
        service(plain_service(router=ROUTER, scaling=_BY_KEDA)),
    ),
    "devices": (nothing, service(_marked({dra.DEVICE_CLASS: "gpu.example.com"}, router=ROUTER))),
    "tokenizer": (nothing, service(plain_service(router={**ROUTER, "scheduler": {"tokenizer": {}}}))),
    "cached": (nothing, service(_cached())),
}
"""A plain service with a picker, and more: of interest are the writes that may be others than without it."""


_STOP: Final = annotate({names.STOP: "true"})
_START: Final = annotate({names.STOP: None})
CHANGES: Final[Mapping[str, Sequence[Step]]] = {
    "deleted": (delete(kinds.SERVICE, "one"),),
    "stopped": (_STOP, _START),
    "model changed": (patch({"model": {"uri": "hf://facebook/opt-350m"}}),),
    "scaled by hand": (patch({"replicas": 3}),),
    "scheduler dropped": (patch({"router": {"scheduler": None}}),),
    "router dropped": (patch({"router": None}),),
    "prefill added": (patch({"prefill": {"template": _MAIN}}),),
    "workers added": (patch({"template": _MAIN, "worker": _MAIN, "parallelism": {"pipeline": 2}}),),
    "template broken and mended": (
        patch({"template": {"containers": [{"name": "main", "image": "{{ .Broken"}]}}),
        patch({"template": None}),
    ),
    "pool deleted by hand": (delete(kinds.POOL_V1, "one-inference-pool"),),
    "route deleted by hand": (delete(kinds.HTTP_ROUTE, "one-kserve-route"),),
    "deployment deleted by hand": (delete(kinds.DEPLOYMENT, "one-kserve"),),
}
"""What happens to a plain service with a picker that has settled."""
CHANGES_OF: Final[Mapping[str, Mapping[str, Sequence[Step]]]] = {
    "workers": {"stopped": (_STOP, _START)},
    "prefill": {"stopped": (_STOP, _START), "prefill dropped": (patch({"prefill": None}),)},
    "scaled": {"stopped": (_STOP, _START), "scaling dropped": (patch({"scaling": None, "replicas": 2}),)},
    "scaled by keda": {"switched to HPA": (patch({"scaling": {"keda": None, "wva": {"hpa": {}}}}),)},
    "group": {
        "weights moved": (patch({"router": {"route": {"weight": 20}}}),),
        "member stopped": (_STOP, _START),
        "member deleted": (delete(kinds.SERVICE, "two"),),
        "member leaves": (edit(kinds.SERVICE, "two", _ALONE),),
    },
    "cached": {"cache goes": (edit(kinds.SERVICE, "one", _NO_CACHE),)},
    "devices": {"devices dropped": (annotate({dra.DEVICE_CLASS: None}),)},
    "tokenizer": {"tokenizer dropped": (patch({"router": {"scheduler": {"tokenizer": None}}}),)},
}
"""By shape, what happens to it when it has settled."""


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


_OTHER_FORM: Final = {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 77}}}}
"""Of pods, as another controller makes them."""
_AUTHENTICATED: Final = replace(POLICY, auth_disabled=False)
_PROTECTED: Final = (install(kinds.AUTH_POLICY), *SHAPES["scheduled"][1:])
_FORGOTTEN: Final = edit(
    kinds.SERVICE, "one", {"status": {"annotations": {names.MIGRATED: None}}}, subresource="status"
)


async def _unprotected_and_forgotten(world: World) -> None:
    """The lock is on the route alone, and no status can be written until the route was found without protection."""
    faults = world.cluster.faults
    statuses = Match(resource=f"{kinds.SERVICE.resource}/status", client=_OURS)
    failing = faults.fail(statuses, plain_500("etcdserver: timed out"), times=0)
    await _FORGOTTEN(world)
    await _UNPROTECTED(world)
    await anyio.sleep(2 * _DISCOVERY)
    faults.rules.remove(failing)


_UNPROTECTED: Final = uninstall(kinds.AUTH_POLICY)


def _kinds_that_come_and_go() -> Iterator[Scenario]:
    """Of CRDs. Without AuthPolicy a route is taken from its gateways first where no status has its lock (AUTH-1)."""
    for name, gone in (
        ("AuthPolicy goes", _UNPROTECTED),
        ("AuthPolicy goes before the status has the lock", _unprotected_and_forgotten),
    ):
        steps = (*_PROTECTED, gone, install(kinds.AUTH_POLICY))
        yield Scenario(
            f"kinds: {name}",
            steps,
            _AUTHENTICATED,
            dies_from=len(_PROTECTED),
            discovery_interval=_DISCOVERY,
        )
    scheduled = SHAPES["scheduled"]
    yield Scenario(
        "kinds: v1 pools come late",
        (uninstall(kinds.POOL_V1), *scheduled[1:], install(kinds.POOL_V1)),
        replace(POLICY, strategy=Strategy.AUTO),
        dies_from=len(scheduled),
        discovery_interval=_DISCOVERY,
    )
    yield Scenario(
        "kinds: v1 pools go and come back",
        (*scheduled, uninstall(kinds.POOL_V1), install(kinds.POOL_V1)),
        dies_from=len(scheduled),
        discovery_interval=_DISCOVERY,
    )


_QUESTIONS: Final = frozenset(f"{kinds.HTTP_ROUTE.resource}/{name}-aioctl-probe" for name in ("one", "two"))
"""A gateway is asked by one service at a time, whichever comes first (MIG-12)."""


def _groups() -> Iterator[Scenario]:
    """A group's one route, on gateways that refuse a generation."""
    for behaviour in ("both", "v1-only", "v1alpha2-only", "istio", "envoy-gateway-ai-v1"):
        yield Scenario(
            f"group: on {behaviour}",
            SHAPES["group"],
            replace(POLICY, strategy=Strategy.AUTO),
            GatewayScript(BEHAVIOURS[behaviour]),
            dies_at=_TRAFFIC,
            any_of=_QUESTIONS,
        )


def _takeovers() -> Iterator[Scenario]:
    """Of what another controller has left."""
    scheduled = SHAPES["scheduled"]
    forms = (names.FORM_INPUTS, names.FORM_TEMPLATE)
    for name, marks in (("unmarked", forms), ("unlocked", (*forms, names.MIGRATED))):
        yield Scenario(f"takeover: {name}", (*scheduled, _taken_over(*marks)), dies_from=len(scheduled))
    other = both(_taken_over(*forms), edit(kinds.DEPLOYMENT, "one-kserve", _OTHER_FORM))
    for form in PodForm:
        yield Scenario(
            f"takeover: pods of another form, {form.value}",
            (
                *scheduled,
                other,
                patch({"replicas": 2}),
                patch({"model": {"uri": "hf://facebook/opt-350m"}}),
            ),
            replace(POLICY, pod_form=form),
            dies_from=len(scheduled),
        )


def catalogue() -> dict[str, Scenario]:
    """By name; at least one for every shape, strategy and gateway, change, kind that goes, fault and kind of takeover."""
    found: list[Scenario] = [Scenario(f"shape: {name}", steps) for name, steps in SHAPES.items()]
    found += [Scenario(f"shape: {name}", steps, dies_at=_OF_FEATURES) for name, steps in FEATURES.items()]
    shapes = {**SHAPES, **FEATURES}
    scheduled = shapes["scheduled"]
    found.append(Scenario("presets", (*scheduled, delete(kinds.SERVICE, "one")), dies_at=_CONFIGS))
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
    found += [
        Scenario(
            f"change: {shape}, {name}",
            (*shapes[shape], *steps),
            dies_from=len(shapes[shape]),
            dies_at=_OF_FEATURES,
        )
        for shape, changes in CHANGES_OF.items()
        for name, steps in changes.items()
    ]
    found += [*_groups(), *_kinds_that_come_and_go(), *_takeovers()]
    return {scenario.name: scenario for scenario in found}
