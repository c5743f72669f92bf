"""Our own fields of both kinds and both versions, with descriptions (SCHEMA-2, SCHEMA-3, SCHEMA-1).

Embedded types are given; what stands here is what this API adds around them. The two kinds differ where a value may be a
template expression or a part of a whole, the two versions in `model.criticality` and in which pool spec is embedded.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aioctl.crdgen import published
from aioctl.crdgen.schema import Schema

OLD, NEW = "v1alpha1", "v1alpha2"


@dataclass(frozen=True, slots=True)
class Embedded:
    """Schemas of other people's types."""

    pod: Schema
    http_route: Schema
    pools: Mapping[str, Schema]
    """The pool spec by the version of ours that embeds it."""


@dataclass(frozen=True, slots=True)
class Flavour:
    """Which schema is made: a version of the service kind, or of the Config kind (values partial, or templates)."""

    version: str
    partial: bool


def root(embedded: Embedded, flavour: Flavour) -> Schema:
    """The `openAPIV3Schema` of one kind at one version."""
    fields: dict[str, Schema] = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
        "spec": _spec(embedded, flavour),
    }
    if not flavour.partial:
        fields["status"] = _status()
    return _object(_about_kind(flavour), **fields)


def _about_kind(flavour: Flavour) -> str:
    if flavour.partial:
        return "A preset: parts of a service's spec, with template expressions, merged by spec.baseRefs of services."
    return "One model served by pods that an endpoint picker and an HTTPRoute put in reach of clients."


def _object(about: str, /, **properties: Schema) -> Schema:
    return {"description": about, "type": "object", "properties": properties}


def _requiring(schema: Schema, *required: str) -> Schema:
    return {**schema, "required": list(required)}


def _list(about: str, items: Schema) -> Schema:
    return {"description": about, "type": "array", "items": items}


def _string(about: str, **rules: Any) -> Schema:
    return {"description": about, "type": "string", **rules}


def _int32(about: str, minimum: int, maximum: int | None = None) -> Schema:
    schema: Schema = {"description": about, "type": "integer", "format": "int32", "minimum": minimum}
    return schema if maximum is None else {**schema, "maximum": maximum}


def _embed(about: str, schema: Schema) -> Schema:
    return {"description": about, **copy.deepcopy(schema)}


def _local_reference(about: str) -> Schema:
    return {
        **_object(about, name=_string("Name of an object in the same namespace.", default="")),
        "x-kubernetes-map-type": "atomic",
    }


def _spec(embedded: Embedded, flavour: Flavour) -> Schema:
    return _object(
        "What is to run. Every part may come from a preset named in baseRefs.",
        baseRefs=_list(
            "Presets merged under this spec, in order: a later one wins over an earlier one, this spec over all.",
            _local_reference("A preset, looked up in this namespace and then in the controller's."),
        ),
        model=_model(flavour),
        prefill=_object(
            "Pods for the prefill phase alone. Its presence separates prefill from decoding.",
            **_workload(embedded, "prefill"),
        ),
        router=_router(embedded, flavour),
        **_workload(embedded, "main"),
    )


def _model(flavour: Flavour) -> Schema:
    fields = {
        "lora": _object(
            "Adapters loaded beside the model.",
            adapters={
                "description": "Models of their own (uri, name, lora), one for each adapter.",
                "x-kubernetes-preserve-unknown-fields": True,
            },
        ),
        "name": _string("Value of `model` in requests; the name of the service where it is not given."),
        "uri": _string("Where the model is found, such as hf://, s3://, pvc:// or oci://."),
    }
    if flavour.version == OLD:
        fields["criticality"] = _string(
            "Kept for clients of this version; nothing depends on it.",
            enum=["Critical", "Standard", "Sheddable"],
        )
    return _requiring(_object("The model that is served.", **fields), "uri")


def _workload(embedded: Embedded, which: str) -> dict[str, Schema]:
    return {
        "parallelism": _object(
            "How the model is spread over processes and pods.",
            data=_int32("Data-parallel size over all pods of a group.", 1),
            dataLocal=_int32("Data-parallel size inside one pod.", 1),
            dataRPCPort=_int32("Port over which data-parallel ranks find each other.", 1, 65535),
            expert={"description": "Spread the experts of the model, too.", "type": "boolean"},
            pipeline=_int32("Pipeline-parallel size.", 1),
            tensor=_int32("Tensor-parallel size.", 1),
        ),
        "replicas": _int32(f"Copies of the {which} workload.", 0),
        "template": _embed(
            f"Pod of the {which} workload; the leader of each group where `worker` is given.", embedded.pod
        ),
        "worker": _embed(
            f"Further pods of each group of the {which} workload. Its presence makes the groups span nodes.",
            embedded.pod,
        ),
    }


def _router(embedded: Embedded, flavour: Flavour) -> Schema:
    http_route = published.for_templates(embedded.http_route) if flavour.partial else embedded.http_route
    return _object(
        "How requests reach the pods. Absent: they do not.",
        gateway=_object(
            "Gateways that the route hangs on. Empty: the one of the controller's configuration.",
            refs=_list("Gateways of somebody else.", _gateway_reference()),
        ),
        ingress=_object(
            "Accepted and kept; nothing is made of it.",
            refs=_list("Objects of somebody else.", _gateway_reference()),
        ),
        route=_object(
            "The route. Empty: one is made by the preset.",
            http=_object(
                "HTTPRoutes: either somebody else's, or one that is made.",
                refs=_list(
                    "HTTPRoutes of somebody else.", _local_reference("An HTTPRoute in the same namespace.")
                ),
                spec=_embed("Spec of the HTTPRoute that is made.", http_route),
            ),
        ),
        scheduler=_object(
            "The endpoint picker. Empty: one is made by the preset.",
            pool=_object(
                "The InferencePool behind the route: either somebody else's, or one that is made.",
                ref=_local_reference("An InferencePool of somebody else in the same namespace."),
                spec=_pool_spec(embedded, flavour),
            ),
            template=_embed("Pod of the endpoint picker.", embedded.pod),
        ),
    )


def _gateway_reference() -> Schema:
    return _object(
        "An object in any namespace.",
        name=_string("Its name.", minLength=1, maxLength=253),
        namespace=_string(
            "Its namespace; the service's own where it is not given.",
            minLength=1,
            maxLength=63,
            pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        ),
    )


def _pool_spec(embedded: Embedded, flavour: Flavour) -> Schema:
    schema = _embed("Spec of the InferencePool that is made.", embedded.pools[flavour.version])
    if flavour.partial:
        schema.pop("required", None)
    return schema


def _status() -> Schema:
    return _object(
        "What the controller has found.",
        address=_address("Not written; kept for clients that know it."),
        addresses=_list("Every URL under which the model answers.", _address("One address.")),
        annotations={
            "description": "Facts that outlive the objects they are about, such as which pool generation carries the traffic.",
            "type": "object",
            "additionalProperties": {"type": "string"},
        },
        conditions=_list("Ready, and the parts it is made of.", _condition()),
        observedGeneration={
            "description": "The generation of the spec that this status is about.",
            "type": "integer",
            "format": "int64",
        },
        url=_string("The first URL that is reachable from outside the cluster."),
    )


def _address(about: str) -> Schema:
    return _object(
        about,
        CACerts=_string("Authorities to trust when calling the URL, as PEM."),
        audience=_string("Audience of the tokens that the URL expects."),
        name=_string("Kind of address."),
        url=_string("Where to send requests."),
    )


def _condition() -> Schema:
    schema = _object(
        "One aspect of the service.",
        lastTransitionTime=_string("When anything but this time last changed."),
        message=_string("Why, for people."),
        reason=_string("Why, as one word for programs."),
        severity=_string("Empty where Ready depends on it, Info where it does not."),
        status=_string("True, False or Unknown."),
        type=_string("Which aspect."),
    )
    return _requiring(schema, "status", "type")
