"""`spec` of both kinds and both versions, with descriptions: our own fields around embedded types (SCHEMA-1 to 3).

The two kinds differ where a value may be a template expression or a part of a whole. The two versions differ in
`model.criticality`, in which pool spec is embedded, and in what only the stored version has: `kvCacheOffloading` and
`model.confidential`.
"""

from dataclasses import dataclass

from aioctl.api.bounds import BOUNDS
from aioctl.crdgen import legacy_pool, published
from aioctl.crdgen.scaling import REPLICAS_OR_SCALING, Autoscalers, scaling
from aioctl.crdgen.schema import (
    Schema,
    boolean,
    embed,
    int32,
    list_of,
    local_reference,
    namespace,
    obj,
    object_name,
    requiring,
    ruled,
    section_name,
    set_bound,
    string,
    string_map,
)
from aioctl.crdgen.status import config_status, service_status

OLD, NEW = "v1alpha1", "v1alpha2"


@dataclass(frozen=True, slots=True)
class Embedded:
    """Schemas of other people's types."""

    pod: Schema
    """PodSpec without `required`: partial pod specs are merged."""
    http_route: Schema
    pool: Schema
    """InferencePoolSpec of inference.networking.k8s.io/v1."""
    claim: Schema
    """PersistentVolumeClaimSpec."""
    quantity: Schema
    int_or_string: Schema
    autoscalers: Autoscalers


@dataclass(frozen=True, slots=True)
class Flavour:
    """Which schema is made: a version of the service kind, or of the Config kind (values partial, or templates)."""

    version: str
    partial: bool

    @property
    def newest(self) -> bool:
        """Whether this version is the stored one."""
        return self.version == NEW

    def fit(self, schema: Schema) -> Schema:
        """An embedded schema, in the Config kind without the rules that templates and parts would break."""
        return published.for_templates(schema) if self.partial else schema


def root(embedded: Embedded, flavour: Flavour) -> Schema:
    """The `openAPIV3Schema` of one kind at one version."""
    status = config_status if flavour.partial else service_status
    schema = obj(
        _about_kind(flavour),
        apiVersion={"type": "string"},
        kind={"type": "string"},
        metadata={"type": "object"},
        spec=_spec(embedded, flavour),
        status=status(newest=flavour.newest),
    )
    for bound in BOUNDS:
        set_bound(schema, bound)
    return schema


def _about_kind(flavour: Flavour) -> str:
    if flavour.partial:
        return "A preset: parts of a service's spec, with template expressions, merged by spec.baseRefs of services."
    return "One model served by pods that an endpoint picker and an HTTPRoute put in reach of clients."


def _spec(embedded: Embedded, flavour: Flavour) -> Schema:
    prefill = obj(
        "Pods for the prefill phase alone. Its presence separates prefill from decoding.",
        **_workload(embedded, flavour, "prefill"),
    )
    schema = obj(
        "What is to run. Every part may come from a preset named in baseRefs.",
        baseRefs=list_of(
            "Presets merged under this spec, in order: a later one wins over an earlier one, this spec over all.",
            local_reference("A preset, looked up in this namespace and then in the controller's."),
        ),
        model=_model(flavour),
        prefill=ruled(prefill, REPLICAS_OR_SCALING),
        router=_router(embedded, flavour),
        storageInitializer=obj(
            "The container that fetches the model.", enabled=boolean("Whether it runs; absent: it does.")
        ),
        tracing=obj(
            "Traces of requests, by OpenTelemetry. Empty: with the defaults of the preset.",
            exporter=string("Kind of exporter."),
            exporterEndpoint=string("Where traces are sent."),
            sampler=string("Which requests are traced."),
            samplerArg=string("Argument of the sampler."),
        ),
        **_workload(embedded, flavour, "main"),
    )
    return ruled(schema, REPLICAS_OR_SCALING)


def _model(flavour: Flavour) -> Schema:
    fields = {
        "lora": obj(
            "Adapters loaded beside the model.",
            adapters={
                "description": "Models of their own (uri, name, lora), one for each adapter.",
                "x-kubernetes-preserve-unknown-fields": True,
            },
            maxAdapters=int32("Adapters in one batch.", 1),
            maxCpuAdapters=int32("Adapters kept in memory of the host.", 1),
            maxRank=int32("Greatest rank of an adapter.", 1),
        ),
        "name": string("Value of `model` in requests; the name of the service where it is not given."),
        "uri": string("Where the model is found, such as hf://, s3://, pvc:// or oci://."),
    }
    if flavour.newest:
        fields["confidential"] = requiring(
            obj(
                "A model that is stored encrypted.",
                enabled=boolean("Whether it is to be decrypted."),
                resourceId=string("The key, as kbs:///<repository>/<type>/<tag>."),
            ),
            "enabled",
        )
    else:
        fields["criticality"] = string(
            "Kept for clients of this version; nothing depends on it.",
            enum=["Critical", "Standard", "Sheddable"],
        )
    return requiring(obj("The model that is served.", **fields), "uri")


def _workload(embedded: Embedded, flavour: Flavour, which: str) -> dict[str, Schema]:
    pod = flavour.fit(embedded.pod)
    fields = {
        "annotations": string_map(f"Annotations of the pods of the {which} workload."),
        "labels": string_map(f"Labels of the pods of the {which} workload."),
        "parallelism": obj(
            "How the model is spread over processes and pods.",
            data=int32("Data-parallel size over all pods of a group.", 1),
            dataLocal=int32("Data-parallel size inside one pod.", 1),
            dataRPCPort=int32("Port over which data-parallel ranks find each other.", 1, 65535),
            expert=boolean("Spread the experts of the model, too."),
            pipeline=int32("Pipeline-parallel size.", 1),
            tensor=int32("Tensor-parallel size.", 1),
        ),
        "replicas": int32(f"Copies of the {which} workload.", 0),
        "rolloutStrategy": obj(
            "How pods are replaced when the workload changes.",
            maxSurge=embed("Pods or groups beyond the wanted number.", embedded.int_or_string),
            maxUnavailable=embed("Pods or groups that may be missing.", embedded.int_or_string),
        ),
        "scaling": scaling(embedded.autoscalers),
        "template": embed(
            f"Pod of the {which} workload; the leader of each group where `worker` is given.", pod
        ),
        "worker": embed(
            f"Further pods of each group of the {which} workload. Its presence makes the groups span nodes.",
            pod,
        ),
    }
    if flavour.newest:
        fields["kvCacheOffloading"] = _kv_cache(embedded)
    return fields


def _kv_cache(embedded: Embedded) -> Schema:
    reference = obj(
        "A claim of somebody else.", name=string("Its name."), path=string("Folder inside its volume.")
    )
    empty_dir = obj("A volume that goes with the pod.", size=embed("Its size.", embedded.quantity))
    file_system = obj(
        "Files: either of a volume that goes with the pod or of a claim.",
        emptyDir=requiring(empty_dir, "size"),
        pvc=obj(
            "A claim: either one that is made or somebody else's.",
            ref=requiring(reference, "name"),
            spec=embed("The claim that is made.", embedded.claim),
        ),
    )
    schema = obj(
        "Where cached keys and values go that the accelerator has no room for.",
        cpu=embed("Memory of the host.", embedded.quantity),
        evictionPolicy=string("What gives way first.", default="lru", enum=["lru", "arc"]),
        secondary=list_of(
            "What the host's memory has no room for.", obj("One tier.", fileSystem=file_system)
        ),
    )
    return requiring(schema, "cpu")


def _router(embedded: Embedded, flavour: Flavour) -> Schema:
    gateway = _reference()
    gateway["properties"]["sectionName"] = section_name("One listener of it; absent: all.")
    return obj(
        "How requests reach the pods. Absent: they do not.",
        gateway=obj(
            "Gateways that the route hangs on. Empty: the one of the controller's configuration.",
            refs=list_of("Gateways of somebody else.", gateway),
        ),
        ingress=obj(
            "Accepted and kept; nothing is made of it.",
            refs=list_of("Objects of somebody else.", _reference()),
        ),
        route=obj(
            "The route. Empty: one is made by the preset.",
            group=string(
                "Services of one group share the requests by their weights.",
                minLength=1,
                maxLength=63,
                pattern="^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
            ),
            http=obj(
                "HTTPRoutes: either somebody else's, or one that is made.",
                refs=list_of(
                    "HTTPRoutes of somebody else.", local_reference("An HTTPRoute in the same namespace.")
                ),
                spec=embed("Spec of the HTTPRoute that is made.", flavour.fit(embedded.http_route)),
            ),
            weight=int32("Share of the group's requests.", 0, 1000000),
        ),
        scheduler=_scheduler(embedded, flavour),
    )


def _scheduler(embedded: Embedded, flavour: Flavour) -> Schema:
    pod = flavour.fit(embedded.pod)
    return obj(
        "The endpoint picker. Empty: one is made by the preset.",
        annotations=string_map("Annotations of its pods."),
        config=obj(
            "Its configuration: either given here or in a ConfigMap.",
            inline={
                "description": "An EndpointPickerConfig.",
                "type": "object",
                "x-kubernetes-preserve-unknown-fields": True,
            },
            ref=_key_of_config_map(),
        ),
        labels=string_map("Labels of its pods."),
        pool=obj(
            "The InferencePool behind the route: either somebody else's, or one that is made.",
            ref=local_reference("An InferencePool of somebody else in the same namespace."),
            spec=_pool_spec(embedded, flavour),
        ),
        replicas=int32("Copies of the endpoint picker."),
        template=embed("Pod of the endpoint picker.", pod),
        tokenizer=obj(
            "Tokenizes prompts for the endpoint picker.",
            template=embed("Its pod.", pod if flavour.partial else requiring(pod, "containers")),
        ),
    )


def _key_of_config_map() -> Schema:
    """The core type ConfigMapKeySelector."""
    schema = obj(
        "One key of a ConfigMap.",
        key=string("The key."),
        name=string("Name of an object in the same namespace.", default=""),
        optional=boolean("Whether it may be missing."),
    )
    return {**requiring(schema, "key"), "x-kubernetes-map-type": "atomic"}


def _reference() -> Schema:
    return obj(
        "An object in any namespace.",
        name=object_name("Its name."),
        namespace=namespace("Its namespace; the service's own where it is not given."),
    )


def _pool_spec(embedded: Embedded, flavour: Flavour) -> Schema:
    pool = embedded.pool if flavour.newest else legacy_pool.spec()
    schema = embed("Spec of the InferencePool that is made.", flavour.fit(pool))
    if flavour.partial:
        schema.pop("required", None)
    return schema
