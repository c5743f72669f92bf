"""Generated LLMInferenceService objects: shaped by the CRD schema, partial, and hostile."""

from typing import Any

from hypothesis import strategies as st

from aioctl.api.carrier_checks import CARRIERS
from aioctl.api.kinds import V1ALPHA1, V1ALPHA2

Strategy = st.SearchStrategy[Any]

words = st.sampled_from(["a", "b-1", "main", "é", "", "8000", "x/y", "Service"])
levels = st.sampled_from(["Critical", "Standard", "Sheddable"])
ports = st.integers(1, 65535)
leaves = st.one_of(st.none(), st.booleans(), st.integers(-5, 70000), st.floats(0, 9), words)
junk = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["u", "name", "number"]), inner, max_size=3),
    ),
    max_leaves=6,
)
unknown = {"futureField": junk}


def partial(**fields: Strategy) -> Strategy:
    """An object of which any field may be missing."""
    return st.fixed_dictionaries({}, optional=fields)


def listed(items: Strategy) -> Strategy:
    return st.lists(items, max_size=3)


named = st.fixed_dictionaries({"name": words})
env = listed(
    st.fixed_dictionaries(
        {"name": words},
        optional={
            "value": words,
            "valueFrom": partial(secretKeyRef=partial(name=words, key=words, optional=st.booleans())),
        },
    )
)
container = st.fixed_dictionaries(
    {"name": words},
    optional={
        "image": words,
        "args": listed(words),
        "env": env,
        "ports": listed(partial(containerPort=ports, protocol=st.just("TCP"))),
        "resources": partial(limits=st.dictionaries(words, words, max_size=2), requests=st.just({})),
        "livenessProbe": partial(
            httpGet=partial(path=words, port=st.one_of(ports, words)), periodSeconds=ports
        ),
        "volumeMounts": listed(partial(name=words, mountPath=words, readOnly=st.booleans())),
        **unknown,
    },
)
pod_spec = partial(
    containers=listed(container),
    initContainers=listed(container),
    tolerations=listed(partial(key=words, operator=words)),
    affinity=partial(nodeAffinity=junk),
    nodeSelector=st.dictionaries(words, words, max_size=2),
    volumes=listed(partial(name=words, emptyDir=st.just({}), configMap=named)),
    **unknown,
)
parallelism = partial(
    tensor=ports,
    pipeline=ports,
    data=ports,
    dataLocal=ports,
    dataRPCPort=ports,
    expert=st.booleans(),
    **unknown,
)
workload = {
    "replicas": st.integers(0, 9),
    "parallelism": parallelism,
    "template": pod_spec,
    "worker": pod_spec,
}
route = partial(
    http=partial(
        refs=listed(named),
        spec=partial(
            hostnames=listed(words),
            parentRefs=listed(partial(name=words, namespace=words)),
            rules=listed(junk),
        ),
        **unknown,
    )
)
refs = partial(refs=listed(partial(name=words, namespace=words)), **unknown)
_status = {
    "url": words,
    "observedGeneration": st.integers(0, 9),
    "conditions": listed(partial(type=words, status=words, reason=words)),
    "annotations": st.dictionaries(words, words, max_size=2),
}
gateways = {"gateways": listed(partial(name=words, **unknown)), **unknown}
status_v1alpha1 = partial(
    **_status, addresses=listed(partial(url=words, CACerts=words)), router=partial(**gateways)
)

# What only v1alpha2 has.
labels_of_dns = st.sampled_from(["a", "b-1", "kserve"])
quantities = st.sampled_from(["10Gi", "1", 2, "1500m"])
claim = partial(
    accessModes=listed(words),
    resources=partial(requests=st.dictionaries(words, quantities, max_size=2)),
    selector=partial(matchLabels=st.dictionaries(words, words, max_size=2)),
    storageClassName=words,
)
file_system = st.one_of(
    st.fixed_dictionaries({"emptyDir": st.fixed_dictionaries({"size": quantities})}),
    st.fixed_dictionaries({"pvc": partial(spec=claim)}),
    st.fixed_dictionaries({"pvc": st.fixed_dictionaries({"ref": named})}),
)
kv_cache_offloading = st.fixed_dictionaries(
    {"cpu": quantities},
    optional={
        "evictionPolicy": st.sampled_from(["lru", "arc"]),
        "secondary": listed(partial(fileSystem=file_system)),
        **unknown,
    },
)
confidential = st.fixed_dictionaries({"enabled": st.booleans()}, optional={"resourceId": words})
origin = st.fixed_dictionaries(
    {
        "group": st.sampled_from(["", "gateway.networking.k8s.io"]),
        "kind": st.just("Gateway"),
        "name": labels_of_dns,
    },
    optional={"namespace": labels_of_dns},
)
counted = st.fixed_dictionaries(
    {"kind": words, "name": words}, optional={"apiGroup": words, "readyReplicas": st.integers(0, 9)}
)
members = st.lists(
    st.fixed_dictionaries(
        {"name": words, "weight": st.integers(0, 100)},
        optional={
            "stopped": st.booleans(),
            "backendRef": st.fixed_dictionaries({"name": labels_of_dns, "port": ports}),
        },
    ),
    max_size=3,
    unique_by=lambda member: member["name"],
)
applied = st.fixed_dictionaries(
    {"name": labels_of_dns, "namespace": labels_of_dns, "source": st.sampled_from(["Preset", "UserRef"])}
)
status_v1alpha2 = partial(
    **_status,
    addresses=listed(partial(url=words, CACerts=words, origin=origin, models=listed(named))),
    router=partial(**gateways, group=st.fixed_dictionaries({"name": words}, optional={"members": members})),
    workloads=partial(primary=counted, prefill=counted, scheduler=counted, service=counted),
    appliedConfigs=listed(applied),
    referencedBy=listed(partial(name=labels_of_dns, namespace=labels_of_dns)),
)


def adapters(*, criticality: bool) -> Strategy:
    fields: dict[str, Strategy] = {"name": words, "uri": words, **unknown}
    deep: dict[str, Strategy] = {"name": words, "criticality": levels}
    if criticality:
        fields["criticality"] = st.one_of(levels, st.just("odd"))
    else:
        fields["confidential"] = deep["confidential"] = confidential
    return listed(partial(**fields, lora=partial(adapters=listed(partial(**deep)))))


def model(*, criticality: bool) -> Strategy:
    fields: dict[str, Strategy] = {
        "uri": words,
        "name": words,
        "lora": partial(adapters=adapters(criticality=criticality), maxRank=ports),
        **unknown,
    }
    if criticality:
        fields["criticality"] = levels
    else:
        fields["confidential"] = confidential
    return partial(**fields)


group_and_mode = {"group": words, "failureMode": st.sampled_from(["FailOpen", "FailClose"]), **unknown}
kinds = st.sampled_from(["Service", "", "Other"])
labels = st.dictionaries(words, words, max_size=3)
pool_v1alpha1 = partial(
    selector=labels,
    targetPortNumber=ports,
    extensionRef=partial(name=words, kind=kinds, portNumber=ports, **group_and_mode),
    **unknown,
)
port_object = st.fixed_dictionaries({"number": ports})
pool_v1alpha2 = partial(
    selector=st.fixed_dictionaries({"matchLabels": labels}),
    targetPorts=st.lists(
        st.fixed_dictionaries({"number": ports}, optional=unknown),
        min_size=1,
        max_size=8,
        unique_by=lambda port: port["number"],
    ),
    endpointPickerRef=st.one_of(
        st.fixed_dictionaries(
            {"name": words, "port": port_object}, optional={"kind": kinds, **group_and_mode}
        ),
        st.fixed_dictionaries({"name": words, "kind": st.just("Other")}, optional=group_and_mode),
    ),
    appProtocol=st.sampled_from(["http", "kubernetes.io/h2c"]),
    **unknown,
)


def _object(version: str, spec: Strategy, status: Strategy, annotation_keys: Strategy) -> Strategy:
    metadata = st.fixed_dictionaries(
        {"name": words},
        optional={
            "namespace": words,
            "uid": words,
            "labels": st.one_of(st.none(), labels),
            "annotations": st.dictionaries(annotation_keys, st.one_of(words, levels), min_size=1, max_size=3),
            "finalizers": listed(words),
            "managedFields": junk,
            "deletionTimestamp": words,
        },
    )
    return st.fixed_dictionaries(
        {"apiVersion": st.just(version), "kind": st.just("LLMInferenceService"), "metadata": metadata},
        optional={"spec": spec, "status": status, **unknown},
    )


def _spec(version_model: Strategy, pool: Strategy, extra: dict[str, Strategy]) -> Strategy:
    scheduler = partial(template=pod_spec, pool=partial(spec=pool, ref=named, **unknown), **unknown)
    return partial(
        model=version_model,
        **workload,
        **extra,
        prefill=partial(**workload, **extra),
        router=partial(route=route, gateway=refs, ingress=refs, scheduler=scheduler, **unknown),
        baseRefs=listed(named),
        **unknown,
    )


foreign_keys = st.sampled_from(["kubectl.kubernetes.io/x", "security.opendatahub.io/enable-auth", "note"])
v1alpha1 = _object(V1ALPHA1, _spec(model(criticality=True), pool_v1alpha1, {}), status_v1alpha1, foreign_keys)
v1alpha2 = _object(
    V1ALPHA2,
    _spec(model(criticality=False), pool_v1alpha2, {"kvCacheOffloading": kv_cache_offloading}),
    status_v1alpha2,
    st.one_of(foreign_keys, st.just("serving.kserve.io/criticality")),
)

# Hostile: fields of both versions at once, junk where objects belong, stale and broken carriers.
_carried = st.one_of(
    levels,
    words,
    st.sampled_from(
        [
            '{"0":"Critical","7":"Standard"}',
            '{"00":"Critical","0":5}',
            "[]",
            '[{"number":8000},{"number":8001}]',
            '[{},{"number":8001}]',
            '[{"number":8000}]',
            '[{"number":8000,"x":1}]',
            '{"kvCacheOffloading":{"cpu":"1Gi"},"router.scheduler.pool.spec.appProtocol":"http"}',
            '{"prefill.kvCacheOffloading":{"cpu":2},"model.lora.adapters.0.confidential":{"enabled":false}}',
            '{"model.confidential":{"enabled":true},"model.lora.adapters.0.lora.adapters.1.confidential":{"enabled":true}}',
            '{"kvCacheOffloading":{"cpu":true},"model.confidential":null,"model.lora.adapters.00.confidential":1,"x":[]}',
            '{"addresses":[{"url":"a","models":[]},{"origin":5}],"workloads":{},"router.group":{"name":"a"}}',
            '{"addresses":[{"url":"a","models":[]},{}],"appliedConfigs":[],"referencedBy":[{}],"router":{}}',
            "[" * 5000,
            "{",
            '"\\ud800"',
        ]
    ),
    junk,
)
_numbers = st.one_of(st.just(8000), ports, junk)
_level = st.one_of(levels, junk)
_secret = st.one_of(confidential, junk)
_deep_adapters = partial(adapters=st.one_of(junk, listed(partial(confidential=_secret))))
_hostile_adapter = st.one_of(
    junk, partial(criticality=_level, confidential=_secret, name=words, lora=st.one_of(junk, _deep_adapters))
)
_hostile_reference = st.one_of(
    junk,
    partial(
        kind=st.one_of(kinds, junk),
        name=words,
        portNumber=_numbers,
        port=st.one_of(junk, partial(number=_numbers, x=junk)),
    ),
)
_hostile_pool = partial(
    selector=st.one_of(junk, partial(matchLabels=st.one_of(labels, junk), x=junk)),
    targetPortNumber=_numbers,
    targetPorts=st.one_of(junk, listed(st.one_of(junk, partial(number=_numbers, x=junk)))),
    extensionRef=_hostile_reference,
    endpointPickerRef=_hostile_reference,
    appProtocol=st.one_of(st.just("kubernetes.io/h2c"), junk),
)
_hostile_cache = st.one_of(kv_cache_offloading, partial(cpu=junk), junk)
_hostile_model = partial(
    criticality=_level,
    confidential=_secret,
    lora=st.one_of(junk, partial(adapters=st.one_of(junk, listed(_hostile_adapter)))),
)
_hostile_spec = partial(
    kvCacheOffloading=_hostile_cache,
    prefill=st.one_of(junk, partial(kvCacheOffloading=_hostile_cache)),
    model=st.one_of(junk, _hostile_model),
    router=st.one_of(
        junk,
        partial(
            scheduler=st.one_of(
                junk, partial(pool=st.one_of(junk, partial(spec=st.one_of(junk, _hostile_pool))))
            )
        ),
    ),
)
_hostile_status = partial(
    addresses=st.one_of(
        junk,
        listed(
            st.one_of(junk, partial(url=st.one_of(words, junk), origin=st.one_of(origin, junk), models=junk))
        ),
    ),
    router=st.one_of(
        junk, partial(group=st.one_of(junk, partial(name=words, members=st.one_of(members, junk))))
    ),
    workloads=st.one_of(junk, partial(primary=st.one_of(counted, junk))),
    appliedConfigs=st.one_of(junk, listed(st.one_of(applied, junk))),
    referencedBy=junk,
)
_hostile_annotations = st.dictionaries(st.sampled_from([*CARRIERS, "note"]), _carried, max_size=4)
_hostile_metadata = st.one_of(junk, partial(name=junk, annotations=st.one_of(junk, _hostile_annotations)))


def hostile(version: str) -> Strategy:
    """An object of the version in which everything below may be anything."""
    return st.fixed_dictionaries(
        {"apiVersion": st.just(version), "kind": st.just("LLMInferenceServiceConfig")},
        optional={
            "metadata": _hostile_metadata,
            "spec": st.one_of(junk, _hostile_spec),
            "status": st.one_of(junk, _hostile_status),
        },
    )
