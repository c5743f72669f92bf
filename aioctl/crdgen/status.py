"""`status` of both kinds and both versions. The old version knows less; the Config kind has only what is said about a preset."""

from aioctl.crdgen.schema import (
    GROUP,
    KIND,
    Schema,
    atomic_list,
    int32,
    list_of,
    namespace,
    obj,
    object_name,
    object_reference,
    requiring,
    ruled,
    section_name,
    string,
    string_map,
)


def service_status(*, newest: bool) -> Schema:
    """`status` of a service; `newest`: of the version that is stored."""
    status = obj(
        "What the controller has found.",
        address=_address("Not written; kept for clients that know it.", newest=False),
        addresses=list_of(
            "Every URL under which the model is served.", _address("One address.", newest=newest)
        ),
        **_common(),
        router=_router(newest=newest),
        url=string("The first URL that is reachable from outside the cluster."),
    )
    if newest:
        status["properties"]["addresses"]["x-kubernetes-list-type"] = "atomic"
        status["properties"]["appliedConfigs"] = atomic_list(
            "Presets and baseRefs that the running spec was combined from, in order.", _applied_config()
        )
        status["properties"]["workloads"] = _workloads()
    return status


def config_status(*, newest: bool) -> Schema:
    """`status` of a preset."""
    status = obj("What the controller has found.", **_common())
    if newest:
        user = obj("One service.", name=object_name("Its name."), namespace=namespace("Its namespace."))
        status["properties"]["referencedBy"] = atomic_list("Services that use this preset.", user)
    return status


def _common() -> dict[str, Schema]:
    return {
        "annotations": string_map(
            "Facts that outlive the objects they are about, such as which pool generation carries the traffic."
        ),
        "conditions": list_of("Ready, and the parts it is made of.", _condition()),
        "observedGeneration": {
            "description": "The generation of the spec that this status is about.",
            "type": "integer",
            "format": "int64",
        },
    }


def _address(about: str, *, newest: bool) -> Schema:
    schema = obj(
        about,
        CACerts=string("Authorities to trust when calling the URL, as PEM."),
        audience=string("Audience of the tokens that the URL expects."),
        name=string("Kind of address."),
        url=string("Where to send requests."),
    )
    if newest:
        model = requiring(obj("One model.", name=string("Value of `model` in requests.")), "name")
        schema["properties"]["models"] = list_of("Models that this URL serves.", model)
        schema["properties"]["origin"] = object_reference("The object that gave this address.")
    return schema


def _condition() -> Schema:
    schema = obj(
        "One aspect of the object.",
        lastTransitionTime=string("When anything but this time last changed."),
        message=string("Why, for people."),
        reason=string("Why, as one word for programs."),
        severity=string("Empty where Ready depends on it, Info where it does not."),
        status=string("True, False or Unknown."),
        type=string("Which aspect."),
    )
    return requiring(schema, "status", "type")


def _router(*, newest: bool) -> Schema:
    gateway = object_reference("One gateway.")
    gateway["properties"]["listeners"] = atomic_list(
        "Listeners that the routes name.", section_name("Name of a listener.")
    )
    gateway["properties"]["httpRoutes"] = atomic_list(
        "Routes that hang on this gateway.", object_reference("One route.")
    )
    schema = obj(
        "Objects that requests pass.",
        gateways=atomic_list("Gateways of all routes.", gateway),
        scheduler=obj(
            "The endpoint picker and its pool.",
            inferencePool=object_reference("The pool."),
            service=object_reference("The Service of the endpoint picker."),
        ),
    )
    if newest:
        schema["properties"]["group"] = _group()
    return schema


def _group() -> Schema:
    member = requiring(
        obj(
            "One service of the group.",
            backendRef=_backend(),
            name=string("Its name."),
            stopped={"description": "It is stopped and gets no requests.", "type": "boolean"},
            weight=int32("Its share of the requests."),
        ),
        "name",
        "weight",
    )
    members = {
        **list_of("All services of the group.", member),
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
    }
    return requiring(
        obj("Services that share the requests.", members=members, name=string("Name of the group.")), "name"
    )


def _backend() -> Schema:
    """Gateway API's BackendObjectReference."""
    schema = obj(
        "Where its requests go.",
        group=string("API group.", default="", maxLength=253, pattern=GROUP),
        kind=string("Kind.", default="Service", minLength=1, maxLength=63, pattern=KIND),
        name=object_name("Name."),
        namespace=namespace("Namespace."),
        port=int32("Port.", 1, 65535),
    )
    return ruled(
        requiring(schema, "name"),
        (
            "Must have port for Service reference",
            "(size(self.group) == 0 && self.kind == 'Service') ? has(self.port) : true",
        ),
    )


def _applied_config() -> Schema:
    return requiring(
        obj(
            "One preset.",
            name=object_name("Its name."),
            namespace=namespace("The namespace where it was found."),
            source=string(
                "Preset: taken by its well-known name. UserRef: named in baseRefs.",
                enum=["Preset", "UserRef"],
            ),
        ),
        "name",
        "namespace",
        "source",
    )


def _workloads() -> Schema:
    replicas = int32("Pods that are ready.")
    return obj(
        "Objects that run the pods.",
        primary=_typed_reference("The main workload.", readyReplicas=replicas),
        prefill=_typed_reference("The prefill workload.", readyReplicas=replicas),
        scheduler=_typed_reference("The endpoint picker.", readyReplicas=replicas),
        service=_typed_reference("The Service in front of the pods."),
    )


def _typed_reference(about: str, **more: Schema) -> Schema:
    """The core type TypedLocalObjectReference."""
    schema = obj(
        about, apiGroup=string("Its API group."), kind=string("Its kind."), name=string("Its name."), **more
    )
    return {**requiring(schema, "kind", "name"), "x-kubernetes-map-type": "atomic"}
