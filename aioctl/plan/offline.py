"""All children a service would get, from files alone: the plan on an empty cluster (`aioctl render`).

What a plan only wants to exist - gateways, routes and service accounts that the service names - is assumed to be there
unless given, and every assumption is told. The ConfigMap with KServe's shipped settings stands in when none is given.
Objects come in and go out as mappings; reading files and printing is the command's.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from aioctl.api import kinds, names
from aioctl.api.conversion import up
from aioctl.api.kinds import Kind, ObjectRef
from aioctl.api.objects import FieldError, Object, dig, mapping, name_of, namespace_of, sequence, text
from aioctl.api.records import changed
from aioctl.plan import trial
from aioctl.plan.combine import Combined, combine
from aioctl.plan.config import parse_config
from aioctl.plan.facts import Facts, Overlay
from aioctl.plan.model import PlanError, Step, Verb
from aioctl.plan.order import plan
from aioctl.plan.policy import Policy
from aioctl.plan.provenance import explain, filled

Stored = Callable[[Object], Object]
"""A service or config of any version as one of the hub's, as an API server gives it out: with the defaults of its schema."""

_UID: Final = "00000000-0000-0000-0000-000000000000"
"""Stands in owner references for the uid that only an API server gives."""

_CLASS: Final = "assumed"
SETTINGS: Final = {
    "ingress": (
        '{"enableGatewayApi": true, "kserveIngressGateway": "kserve/kserve-ingress-gateway",'
        ' "ingressGateway": "knative-serving/knative-ingress-gateway"}'
    ),
    "storageInitializer": (
        '{"image": "kserve/storage-initializer:latest", "memoryRequest": "100Mi", "memoryLimit": "1Gi",'
        ' "cpuRequest": "100m", "cpuLimit": "1", "cpuModelcar": "10m", "memoryModelcar": "15Mi",'
        ' "uidModelcar": 1010, "enableModelcar": true,'
        ' "caBundleVolumeMountPath": "/etc/ssl/custom-certs"}'
    ),
    "credentials": (
        '{"storageSpecSecretName": "storage-config",'
        ' "storageSecretNameAnnotation": "serving.kserve.io/storageSecretName",'
        ' "gcs": {"gcsCredentialFileName": "gcloud-application-credentials.json"},'
        ' "s3": {"s3AccessKeyIDName": "AWS_ACCESS_KEY_ID",'
        ' "s3SecretAccessKeyName": "AWS_SECRET_ACCESS_KEY"}}'
    ),
}
"""What KServe ships in the ConfigMap inferenceservice-config."""
_KINDS: Final = {
    (kind.api_version, kind.kind): kind for kind in vars(kinds).values() if isinstance(kind, Kind)
}
_POD_SPECS: Final = (("template",), ("worker",), ("prefill", "template"), ("prefill", "worker"))


@dataclass(frozen=True, slots=True)
class Rendering:
    """What came of one service."""

    children: tuple[Object, ...]
    """Every object that would be created, in the order of the plan. Keys and certificates are made on creation."""
    problems: tuple[str, ...]
    """Why parts are missing, in the words of the reconcile error; empty when all went well."""
    assumed: tuple[str, ...]
    """Objects that were taken to exist although they were not given, as `Gateway kserve/kserve-ingress-gateway`."""
    fields: tuple[tuple[str, str], ...]
    """(path, source) of every field of the combined spec; empty when the combination failed."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What stands around services, the same for all that are rendered."""

    facts: Facts
    filled: Mapping[ObjectRef, frozenset[str]]
    """Of each config the paths that are filled in."""
    stored: Stored


def surroundings(objects: Iterable[Object], policy: Policy, stored: Stored) -> Surroundings:
    """Configs, and whatever else of the cluster matters. Configs without a namespace count as presets of the system namespace.

    Raises FieldError.
    """
    given = tuple(objects)
    whole, written = facts(given, policy, stored), facts(given, policy)
    configs = ((ref, obj) for ref, obj in whole.objects.items() if ref.kind == kinds.CONFIG)
    added = {ref: _filled(obj, written.objects[ref]) for ref, obj in configs}
    return Surroundings(whole, added, stored)


def _filled(obj: Object, written: Object) -> frozenset[str]:
    """Paths of the spec that are there only since the object was stored."""
    return filled(obj.get("spec"), written.get("spec"))


def render(service: Object, around: Surroundings, *, policy: Policy, now: datetime) -> Rendering:
    """The children of a service; one without a namespace is in `default`.

    Raises PlanError when it is no LLMInferenceService, FieldError.
    """
    written, service = service, _service(service, around.stored)
    given = around.facts
    combined = _combined(given, service, policy)
    assumed = dict(_assumptions(given, combined)) if combined is not None else {}
    account = ObjectRef(kinds.SERVICE_ACCOUNT, namespace_of(service), "default")
    # Kubernetes makes this account in every namespace; without it nothing would be told of credentials.
    made = {account: _object(account.kind, account.namespace, account.name)}
    world = Facts({**made, **given.objects, **assumed}, admission=trial.in_process)
    steps = _settled(world, service, policy, now)
    writes = [write for step in steps for write in step.writes if write.verb is Verb.CREATE]
    return Rendering(
        children=tuple(write.body for write in writes if write.body is not None),
        problems=tuple(
            step.outer + step.inner + (step.error or step.unanswered)
            for step in steps
            if step.error or step.unanswered
        ),
        assumed=tuple(f"{ref.kind.kind} {ref.key}" for ref in assumed if ref.kind.namespaced),
        fields=() if combined is None else _fields(combined, around, _filled(service, up(written))),
    )


def _fields(combined: Combined, around: Surroundings, own: frozenset[str]) -> tuple[tuple[str, str], ...]:
    """(path, source) of every leaf of the combined spec. `own`: what is filled in in the service."""
    configs = [ObjectRef(kinds.CONFIG, one["namespace"], one["name"]) for one in combined.applied]
    added = [*(around.filled[ref] for ref in configs), own]
    sources = [replace(source, filled=paths) for source, paths in zip(combined.sources, added, strict=True)]
    return tuple(explain(combined.spec, sources))


def _settled(world: Facts, service: Object, policy: Policy, now: datetime) -> list[Step]:
    """The steps of the plan, each with what it creates now and once that is there: the route waits for its pools."""
    first = plan(world, service, policy, now)
    made = {
        write.ref: write.body
        for step in first.steps
        for write in step.writes
        if write.verb is Verb.CREATE and write.body is not None
    }
    then = {step.part: step.writes for step in plan(Overlay(world, made), service, policy, now).steps}
    return [
        changed(
            step,
            writes=(*step.writes, *(new for new in then.get(step.part, ()) if new.ref not in made)),
        )
        for step in first.steps
    ]


def facts(objects: Iterable[Object], policy: Policy, stored: Stored = up) -> Facts:
    """The objects as an observation; configs are in the hub version then, kinds that no plan reads are left out."""
    found = {
        ObjectRef(kinds.CONFIG_MAP, policy.system_namespace, names.CONFIG_MAP_NAME): _object(
            kinds.CONFIG_MAP, policy.system_namespace, names.CONFIG_MAP_NAME, data=SETTINGS
        )
    }
    for given in objects:
        obj = stored(given) if text(given, "kind") == kinds.CONFIG.kind else given
        kind = _KINDS.get((text(obj, "apiVersion"), text(obj, "kind")))
        if kind is None:
            continue
        placed = (
            obj if namespace_of(obj) or not kind.namespaced else _in_namespace(obj, policy.system_namespace)
        )
        found[ObjectRef(kind, namespace_of(placed), name_of(placed))] = dict(placed)
    return Facts(found)


def _service(given: Object, stored: Stored) -> dict[str, Any]:
    """The service in the hub version, with a namespace and a uid."""
    if text(given, "kind") != kinds.SERVICE.kind:
        raise PlanError(f"expected kind {kinds.SERVICE.kind}, got {given.get('kind')!r}")
    service = _in_namespace(stored(given), namespace_of(given) or "default")
    return {**service, "metadata": {"uid": _UID, **service["metadata"]}}


def _in_namespace(obj: Object, namespace: str) -> dict[str, Any]:
    return {**obj, "metadata": {**mapping(obj, "metadata"), "namespace": namespace}}


def _object(kind: Kind, namespace: str, name: str, **fields: Any) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if kind.namespaced else {})}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **fields}


def _combined(world: Facts, service: Object, policy: Policy) -> Combined | None:
    """The combination, None when it fails; the plan says why."""
    settings = world.objects[ObjectRef(kinds.CONFIG_MAP, policy.system_namespace, names.CONFIG_MAP_NAME)]
    try:
        return combine(world, service, parse_config(settings, policy.system_namespace), policy)
    except (PlanError, FieldError):
        return None


def _assumptions(world: Facts, combined: Combined) -> Iterator[tuple[ObjectRef, dict[str, Any]]]:
    """What the combined spec names and nobody gave, made up as plainly as possible."""
    for ref, fields in _named(combined):
        if ref not in world.objects:
            yield ref, _object(ref.kind, ref.namespace, ref.name, **fields)


def _named(combined: Combined) -> Iterator[tuple[ObjectRef, dict[str, Any]]]:
    spec, namespace = combined.spec, namespace_of(combined.service)
    parents = [
        *sequence(spec, "router", "gateway", "refs"),
        *sequence(spec, "router", "route", "http", "spec", "parentRefs"),
    ]
    for parent in parents:
        where = parent.get("namespace") or namespace
        listener = {"name": text(parent, "sectionName") or "http", "protocol": "HTTP", "port": 80}
        yield (
            ObjectRef(kinds.GATEWAY, where, parent.get("name", "")),
            {"spec": {"gatewayClassName": _CLASS, "listeners": [listener]}},
        )
        yield ObjectRef(kinds.GATEWAY_CLASS, "", _CLASS), {"spec": {"controllerName": "aioctl.dev/assumed"}}
    for ref in sequence(spec, "router", "route", "http", "refs"):
        yield ObjectRef(kinds.HTTP_ROUTE, namespace, ref.get("name", "")), {"spec": {}}
    for path in _POD_SPECS:
        account = dig(spec, *path, "serviceAccountName")
        if account:
            yield ObjectRef(kinds.SERVICE_ACCOUNT, namespace, account), {}
