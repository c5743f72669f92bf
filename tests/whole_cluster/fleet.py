"""The 22 services of the story: together every shape that KServe knows, half of them v1alpha1, and what users make for them.

Each comes with its own truth of how traffic reaches it: who makes its route, and whose pool it goes to. What stays out is
named, with the reason, in `test_fleet.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from aioctl.api import kinds, names
from aioctl.api.kinds import Kind
from aioctl.api.rules.dra import DEVICE_CLASS
from aioctl.sim import seed

TEAM, OTHER = "team", "other"
"""The namespace that stays until the end, and the one that is deleted in between."""
SINGLE, SCALED, SCALED_BY_KEDA = "single", "scaled", "scaled-by-keda"
PREFILLED, TOKENIZED = "prefill-decode", "tokenized"
HPA = "-kserve-hpa"
MOST = 2
"""Replicas that autoscalers may give."""
GROUP = {"blue": 90, "green": 10}
"""Members of one traffic group, and their weights."""
DEVICES = "gpu.example.com"
"""Driver and class of the devices that claims are for."""
GATEWAY = "team-gateway"

Object = dict[str, Any]
_HF = "hf://facebook/opt-125m"
_INGRESS = {"name": "kserve-ingress-gateway", "namespace": seed.SYSTEM_NAMESPACE}
_GPU = {"limits": {"nvidia.com/gpu": "1"}, "requests": {"nvidia.com/gpu": "1"}}
OWN_POOL = "shared-pool"
_PICKER = "shared-picker"
OWN_ROUTE = "own"
_CONFIG = "picker-config"
_BASE = "team-base"
_ACCOUNT = "reader"


class Route(Enum):
    """Who makes the HTTPRoute."""

    NONE = "none"
    OURS = "ours"
    THEIRS = "theirs"


class Pool(Enum):
    """Whose InferencePool takes the traffic."""

    NONE = "none"
    OURS = "ours"
    THEIRS = "theirs"


@dataclass(frozen=True, slots=True)
class Shape:
    """One service and its truth. `needs`: what its user makes before it; `makes`: what comes of its shape."""

    name: str
    spec: Object
    is_old: bool = False
    """Written as v1alpha1."""
    route: Route = Route.OURS
    pool: Pool = Pool.OURS
    namespace: str = TEAM
    annotations: Object = field(default_factory=dict)
    needs: tuple[Object, ...] = ()
    makes: tuple[tuple[Kind, str], ...] = ()
    """Kind, and what its name has after the service's."""

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def moves(self) -> bool:
        """Its traffic is ours to move to v1, and is locked there."""
        return self.route is Route.OURS and self.pool is not Pool.NONE

    def service(self) -> Object:
        version = kinds.V1ALPHA1 if self.is_old else kinds.V1ALPHA2
        return {
            "apiVersion": version,
            "kind": kinds.SERVICE.kind,
            "metadata": {
                "name": self.name,
                "namespace": self.namespace,
                # Plain Kubernetes has no AuthPolicy, and without it an authenticated service gets no route.
                "annotations": {names.ENABLE_AUTH: "false", **self.annotations},
            },
            "spec": self.spec,
        }


def _pod(**main: Any) -> Object:
    return {"containers": [{"name": "main", "resources": _GPU, **main}]}


def _spec(
    uri: str = _HF, *, model: Object | None = None, router: Object | None = None, **spec: Any
) -> Object:
    """A service with a route, a gateway and a picker, unless `router` says otherwise."""
    if router is None:
        router = {"route": {}, "gateway": {}, "scheduler": {}}
    name = {"name": uri.partition("://")[2]}
    return {"model": {"uri": uri, **name, **(model or {})}, **({"router": router} if router else {}), **spec}


def _scheduled(**scheduler: Any) -> Object:
    return {"route": {}, "gateway": {}, "scheduler": scheduler}


def _thing(kind: Kind, name: str, namespace: str = TEAM, **fields: Any) -> Object:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **fields}


def _pool_ref(name: str) -> Object:
    return {"group": kinds.POOL_GROUP_V1, "kind": kinds.POOL_V1.kind, "name": name, "port": 8000}


def _old_pool(service: str) -> Object:
    """An inline pool as v1alpha1 has it."""
    picker = {"name": names.picker_service_name(service), "failureMode": "FailOpen", "portNumber": 9002}
    return {"selector": names.workload_selector(service), "targetPortNumber": 8000, "extensionRef": picker}


def _pool(service: str, picker: str) -> Object:
    return {
        "selector": {"matchLabels": names.workload_selector(service)},
        "targetPorts": [{"number": 8000}],
        "endpointPickerRef": {"name": picker, "port": {"number": 9002}, "failureMode": "FailOpen"},
    }


def _rules(service: str, path: str) -> list[Object]:
    match = {"path": {"type": "PathPrefix", "value": path}}
    return [{"matches": [match], "backendRefs": [_pool_ref(names.default_pool_name(service))]}]


def _picker_config(*plugins: str) -> Object:
    return {
        "apiVersion": "llm-d.ai/v1alpha1",
        "kind": "EndpointPickerConfig",
        "plugins": [{"type": plugin} for plugin in (*plugins, "queue-scorer", "max-score-picker")],
        "schedulingProfiles": [
            {
                "name": "default",
                "plugins": [{"pluginRef": "queue-scorer"}, {"pluginRef": "max-score-picker"}],
            }
        ],
    }


def _autoscaled(**backend: Any) -> Object:
    return {"minReplicas": 1, "maxReplicas": MOST, **backend}


def _workloads() -> Iterator[Shape]:
    """By what serves the model."""
    yield Shape(SINGLE, _spec(replicas=2, template=_pod()))
    yield Shape(
        "critical",
        _spec(
            model={"criticality": "Sheddable"},
            router=_scheduled(pool={"spec": _old_pool("critical")}),
            template=_pod(),
        ),
        is_old=True,
    )
    yield Shape(
        PREFILLED,
        _spec(template=_pod(), prefill={"replicas": 2, "template": _pod()}),
        makes=((kinds.DEPLOYMENT, "-kserve-prefill"),),
    )
    yield Shape(
        "multi-node",
        _spec(template=_pod(), worker=_pod(), parallelism={"tensor": 2, "pipeline": 2}),
        makes=((kinds.LEADER_WORKER_SET, "-kserve-mn"),),
    )
    yield Shape(
        "data-parallel",
        _spec(
            template=_pod(),
            worker=_pod(),
            parallelism={"data": 4, "dataLocal": 2, "dataRPCPort": 5555, "expert": True, "tensor": 1},
        ),
        is_old=True,
        namespace=OTHER,
        makes=((kinds.LEADER_WORKER_SET, "-kserve-mn"),),
    )
    yield Shape(
        "prefill-multi-node",
        _spec(
            template=_pod(),
            worker=_pod(),
            parallelism={"data": 2, "dataLocal": 1},
            prefill={
                "template": _pod(),
                "worker": _pod(),
                "parallelism": {"tensor": 1, "pipeline": 2},
                "labels": {"tier": "prefill"},
                "annotations": {"example.com/tier": "prefill"},
            },
        ),
        makes=((kinds.LEADER_WORKER_SET, "-kserve-mn"), (kinds.LEADER_WORKER_SET, "-kserve-mn-prefill")),
    )
    yield Shape(
        "claiming-devices",
        _spec(template={"containers": [{"name": "main"}]}),
        annotations={DEVICE_CLASS: DEVICES},
        makes=((kinds.RESOURCE_CLAIM_TEMPLATE, "-managed-dra"),),
    )


def _models() -> Iterator[Shape]:
    """By where the model comes from, and what is kept beside it."""
    adapters = [{"name": "sql", "uri": "hf://example/lora-sql"}, {"name": "kept", "uri": "pvc://models/kept"}]
    yield Shape(
        "adapters",
        _spec(model={"lora": {"adapters": adapters, "maxRank": 16, "maxAdapters": 2, "maxCpuAdapters": 2}}),
        is_old=True,
    )
    yield Shape("modelcar", _spec("oci://registry.example/models/opt:1"), is_old=True, namespace=OTHER)
    room, access = {"storage": "1Gi"}, {"accessModes": ["ReadWriteOnce"], "storageClassName": ""}
    tiers = [
        {"fileSystem": {"emptyDir": {"size": "1Gi"}}},
        {"fileSystem": {"pvc": {"ref": {"name": "models", "path": "tier"}}}},
        {"fileSystem": {"pvc": {"spec": {**access, "resources": {"requests": room}}}}},
    ]
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": "tier"},
        "spec": {**access, "capacity": room, "hostPath": {"path": "/tier"}},
    }
    yield Shape(
        "offloading",
        _spec(
            "pvc://models/granite",
            template=_pod(),
            kvCacheOffloading={"cpu": "1Gi", "evictionPolicy": "lru", "secondary": tiers},
            tracing={
                "exporter": "otlp",
                "exporterEndpoint": "http://collector:4317",
                "sampler": "parentbased_traceidratio",
                "samplerArg": "0.5",
            },
            labels={"tier": "hot"},
            annotations={"example.com/tier": "hot"},
            rolloutStrategy={"maxSurge": 1, "maxUnavailable": 0},
        ),
        needs=(volume,),
    )


def _routers() -> Iterator[Shape]:
    """By how traffic comes to it."""
    yield Shape(
        "bare",
        _spec(router={}, storageInitializer={"enabled": False}),
        route=Route.NONE,
        pool=Pool.NONE,
    )
    keys = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key"}
    yield Shape(
        "without-picker",
        _spec(
            "s3://bucket/opt",
            router={"route": {}, "gateway": {}},
            template={**_pod(), "serviceAccountName": _ACCOUNT},
        ),
        is_old=True,
        pool=Pool.NONE,
        needs=(
            _thing(kinds.SECRET, _ACCOUNT, stringData=keys),
            _thing(kinds.SERVICE_ACCOUNT, _ACCOUNT, secrets=[{"name": _ACCOUNT}]),
        ),
    )
    yield Shape(
        "own-gateway",
        _spec(
            router={
                "route": {},
                "gateway": {"refs": [{"name": GATEWAY, "namespace": TEAM, "sectionName": "http"}]},
                "scheduler": {
                    "replicas": 2,
                    "labels": {"tier": "picker"},
                    "annotations": {"example.com/a": "b"},
                },
            }
        ),
        is_old=True,
        needs=(seed.gateway(TEAM, GATEWAY),),
    )
    yield Shape(
        "own-rules",
        _spec(
            router={
                "route": {
                    "http": {"spec": {"parentRefs": [_INGRESS], "rules": _rules("own-rules", "/own-rules")}}
                },
                "scheduler": {"config": {"ref": {"name": _CONFIG, "key": "config.yaml", "optional": False}}},
            },
            model={"confidential": {"enabled": True, "resourceId": "kbs:///default/key/1"}},
        ),
        needs=(
            _thing(
                kinds.CONFIG_MAP,
                _CONFIG,
                data={
                    "config.yaml": "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\nplugins:\n- type: queue-scorer\n"
                },
            ),
        ),
    )
    yield Shape(
        "own-route",
        _spec(
            router={
                "route": {"http": {"refs": [{"name": OWN_ROUTE}]}},
                "scheduler": {"pool": {"spec": _pool("own-route", names.picker_service_name("own-route"))}},
            }
        ),
        route=Route.THEIRS,
        needs=(
            _thing(
                kinds.HTTP_ROUTE,
                OWN_ROUTE,
                spec={"parentRefs": [_INGRESS], "rules": _rules("own-route", "/own-route")},
            ),
        ),
    )
    ports = [{"name": "grpc", "port": 9002}]
    yield Shape(
        "own-pool",
        _spec(router=_scheduled(pool={"ref": {"name": OWN_POOL}})),
        is_old=True,
        pool=Pool.THEIRS,
        needs=(
            _thing(kinds.CORE_SERVICE, _PICKER, spec={"selector": {"app": _PICKER}, "ports": ports}),
            _thing(kinds.POOL_V1, OWN_POOL, spec=_pool("own-pool", _PICKER)),
        ),
    )
    for member, weight in GROUP.items():
        route = {"group": "colours", "weight": weight}
        yield Shape(
            member,
            _spec(router={"route": route, "gateway": {}, "scheduler": {}}),
            is_old=member == "green",
        )
    yield Shape(
        TOKENIZED,
        _spec(
            router=_scheduled(
                config={"inline": _picker_config("token-producer", "predicted-latency-producer")},
                tokenizer={
                    "template": {"containers": [{"name": "main", "env": [{"name": "A", "value": "b"}]}]}
                },
                template={"containers": [{"name": "main", "resources": {"requests": {"cpu": "500m"}}}]},
            )
        ),
        makes=((kinds.DEPLOYMENT, "-tokenizer"),),
    )


def _autoscalers() -> Iterator[Shape]:
    """By who decides on replicas."""
    yield Shape(
        SCALED,
        _spec(scaling=_autoscaled(wva={"variantCost": "10.0", "hpa": {}})),
        makes=((kinds.AUTOSCALER, HPA),),
    )
    trigger = {"type": "cron", "metadata": {"timezone": "UTC", "start": "0 6 * * *", "end": "0 20 * * *"}}
    yield Shape(
        SCALED_BY_KEDA,
        {
            "model": {"uri": _HF},
            "baseRefs": [{"name": _BASE}],
            "scaling": _autoscaled(keda={"triggers": [trigger]}),
        },
        is_old=True,
        needs=(
            _thing(
                kinds.CONFIG,
                _BASE,
                spec={
                    "router": {"route": {}, "gateway": {}, "scheduler": {}},
                    "model": {"uri": _HF, "name": "base/opt"},
                },
            ),
        ),
        makes=((kinds.SCALED_OBJECT, "-kserve-keda"),),
    )
    yield Shape(
        "prefill-scaled",
        _spec(
            scaling=_autoscaled(wva={"keda": {"pollingInterval": 30}}),
            template=_pod(),
            prefill={"template": _pod(), "scaling": _autoscaled(wva={"keda": {}})},
        ),
        is_old=True,
        namespace=OTHER,
        makes=(
            (kinds.SCALED_OBJECT, "-kserve-keda"),
            (kinds.SCALED_OBJECT, "-kserve-prefill-keda"),
        ),
    )


SHAPES: dict[str, Shape] = {
    shape.key: shape for part in (_workloads, _models, _routers, _autoscalers) for shape in part()
}
"""By namespace and name, in the order of creation."""
