"""The endpoint picker: its account and permissions, Deployment and Service (EPP-1, EPP-5).

It is wanted while the combined spec has router, scheduler and template, no external pool, and the service is not
stopped. When it is not, everything of it that this service controls goes, binding objects first; a stranger's object of
the same name is never touched. Pools and the InferenceModel are made elsewhere.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from aioctl.api import kinds, names, without_effect
from aioctl.api.defaulting import epp_service_name
from aioctl.api.kinds import Kind, Served
from aioctl.api.objects import Object, dig, integer, labels_of, mapping, name_of, present, sequence, text
from aioctl.api.pod_reading import Finding
from aioctl.plan import epp_config, epp_rewriting, picker_account
from aioctl.plan.children import delete, is_ours, remove, under
from aioctl.plan.cluster_service import ensure_service
from aioctl.plan.config_lookup import as_written
from aioctl.plan.deployment import ensure_deployment
from aioctl.plan.epp_rewriting import Picker
from aioctl.plan.epp_rules import MODEL_AT, PRECISE_SCORER
from aioctl.plan.finished import v1alpha2_read
from aioctl.plan.memo import get_standing
from aioctl.plan.model import Context, PlanError, Write
from aioctl.plan.observation import Observation, need, need_list
from aioctl.plan.picker import deployment_name, is_wanted, tokenizer_address, tokenizer_is_wanted
from aioctl.plan.pod_defaults import canonical
from aioctl.plan.presets import LATENCY_PRODUCER
from aioctl.plan.rbac import account_subject, binding, ensure_account, ensure_binding, grant, rule
from aioctl.plan.scheduler_config import (
    generates,
    inline_text,
    with_config,
    with_leader_election,
    with_live_texts,
    with_served_group,
    with_tracing,
)
from aioctl.plan.workload.artifacts import attach_model
from aioctl.plan.workload.containers import MAIN, Reader, add_named, named
from aioctl.plan.workload.tracing import environment

ACCOUNT_REVISIT: Final = 60.0
"""Seconds until a picker whose account is missing is looked at again: accounts of users are not watched."""
_SCHEDULER: Final = ("spec", "router", "scheduler")
_TEMPLATE: Final = (*_SCHEDULER, "template")
_POOL_SPEC: Final = (*_SCHEDULER, "pool", "spec")
_SERVED_PORTS: Final = frozenset({"grpc", "grpc-health", "metrics", "zmq"})
_TOKENIZER_FILES: Final = (
    '["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json", "merges.txt", "config.json",'
    ' "generation_config.json"]'
)
"""KServe v0.20's text, so that a picker taken over from it is not restarted."""
_SIDE_READER: Final = Reader(epp_rewriting.SIDE_TOKENIZER, MODEL_AT, _TOKENIZER_FILES)
_ALL_VERBS: Final = ("get", "list", "watch", "create", "update", "patch", "delete")
_BOTH_GROUPS: Final = (kinds.POOL_GROUP_V1, kinds.POOL_GROUP_V1ALPHA2)
_RULES: Final = (
    rule("", "pods"),
    rule(_BOTH_GROUPS, "inferencepools", "inferenceobjectives", "inferencemodels"),
    rule(kinds.POOL_GROUP_V1ALPHA2, "inferencemodelrewrites", "inferencepoolimports"),
    rule("llm-d.ai", "inferenceobjectives", "inferencemodelrewrites"),
    rule("discovery.k8s.io", "endpointslices"),
    rule("coordination.k8s.io", "leases", verbs=_ALL_VERBS),
)
"""What pickers of all releases read; several of one service elect a leader with a lease."""


def access(ctx: Context) -> Iterator[Write]:
    """Account, auth-delegator binding, role and binding; none of them when no picker is wanted."""
    role, role_binding = names.child(ctx.name, "-epp-role"), names.child(ctx.name, "-epp-rb")
    if not is_wanted(ctx):
        yield from remove_delegators(ctx.obs, ctx.namespace, ctx.name)
        yield from remove(ctx, kinds.ROLE_BINDING, role_binding)
        yield from remove(ctx, kinds.ROLE, role)
        yield from _remove_others(ctx, kinds.SERVICE_ACCOUNT, keep="")
        return
    user = picker_account.name(ctx)
    if picker_account.is_generated(ctx):
        yield from under(
            f"failed to reconcile scheduler service account {ctx.namespace}/{user}: ",
            ensure_account(ctx, picker_account.generated(ctx)),
        )
    yield from _delegator(ctx, user)
    yield from grant(
        ctx,
        "scheduler",
        role=role,
        binding_name=role_binding,
        accounts=[user],
        labels=_labels(ctx),
        rules=_RULES,
    )
    yield from _remove_others(ctx, kinds.SERVICE_ACCOUNT, keep=user)


def deployment(ctx: Context) -> Iterator[Write]:
    """The picker's Deployment: the template with its arguments, made to fit the version of its image (EPP-3, EPP-6, EPP-8)."""
    name = deployment_name(ctx.name)
    if not is_wanted(ctx):
        yield from remove(ctx, kinds.DEPLOYMENT, name)
        return
    live = need(get_standing(ctx, kinds.DEPLOYMENT, name))
    live = live if live is not None and is_ours(ctx, live) else None
    scheduler = mapping({"spec": ctx.spec}, *_SCHEDULER)
    labels = _labels(ctx)
    selector = _selector(labels, live)
    try:
        pod = _pod(ctx, live)
    except PlanError as error:
        raise PlanError(f"failed to build expected scheduler deployment: {error}") from error
    yield from under(
        f"failed to reconcile scheduler deployment {ctx.namespace}/{name}: ",
        ensure_deployment(
            ctx,
            name,
            selector=selector,
            labels=labels,
            pod_spec=pod,
            pod_labels={**mapping(scheduler, "labels"), **labels, **selector},
            pod_annotations=mapping(scheduler, "annotations"),
            replicas=integer(scheduler, "replicas"),
            strategy={"type": "Recreate"},
            pod_users=mapping(scheduler, "annotations").keys() - {epp_rewriting.VERSION},
        ),
    )


def _trace(ctx: Context, pod: dict[str, Any]) -> None:
    """Flag and environment of a picker whose service traces; what the user has said stays."""
    tracing = mapping({"spec": ctx.spec}, "spec", "tracing")
    main = named(pod, "containers", MAIN)
    if main is None or not present({"spec": ctx.spec}, "spec", "tracing"):
        return
    with_tracing(pod)
    for variable in environment(tracing, "inference-scheduler", namespace=ctx.namespace, service=ctx.name):
        add_named(main, "env", variable)


def _attach_side_tokenizer(ctx: Context, pod: dict[str, Any], running: Mapping[str, Any] | None) -> None:
    """The tokenizer's files, for the container that older pickers have beside them in the pod (TOK-3)."""
    if named(pod, "containers", epp_rewriting.SIDE_TOKENIZER) is None:
        return
    account = picker_account.credentials(ctx)
    try:
        attach_model(ctx, pod, account, _SIDE_READER, running)
    except PlanError as error:
        raise PlanError(f"failed to attach model artifacts to scheduler deployment: {error}") from error


def _selector(labels: Mapping[str, str], live: Object | None) -> Mapping[str, str]:
    """The live selector, which cannot be changed and may have labels of the user, unless it contradicts ours."""
    kept = mapping(live, "spec", "selector", "matchLabels") if live is not None else {}
    fits = all(labels.get(key, value) == value for key, value in kept.items())
    return kept if kept and fits else labels


def _pod(ctx: Context, live: Object | None) -> dict[str, Any]:
    """The picker's pod spec. Raises PlanError when it cannot be made to fit its version."""
    running = mapping(live, "spec", "template", "spec") if live is not None else None
    pod: dict[str, Any] = canonical(_template(ctx))
    pod["serviceAccountName"] = picker_account.name(ctx)
    with_leader_election(pod, integer({"spec": ctx.spec}, *_SCHEDULER, "replicas"))
    with_config(pod, ctx.spec, running)
    _trace(ctx, pod)
    may_be = {kinds.POOL_V1: ctx.obs.served(kinds.POOL_V1), kinds.POOL_V1ALPHA2: v1alpha2_read(ctx)}
    served = [kind for kind, served in may_be.items() if served is not Served.NO]
    if len(served) == 1:
        with_served_group(pod, served[0].group)
    _attach_side_tokenizer(ctx, pod, running)
    where = f"{ctx.namespace}/{deployment_name(ctx.name)}"
    version = text({"spec": ctx.spec}, *_SCHEDULER, "annotations", epp_rewriting.VERSION)
    url = tokenizer_address(ctx) if tokenizer_is_wanted(ctx) else ""
    epp_rewriting.rewrite(pod, Picker(where, version, url))
    with_live_texts(pod, running)
    return pod


def service(ctx: Context) -> Iterator[Write]:
    """The picker's Service: the named ports of its containers. One of ours under a former name goes."""
    if not is_wanted(ctx):
        yield from _remove_others(ctx, kinds.CORE_SERVICE, keep="")
        return
    name = epp_service_name(ctx.name, ctx.spec)
    labels = _labels(ctx)
    yield from ensure_service(ctx, name, labels=labels, selector=labels, ports=_ports(_template(ctx)))
    yield from _remove_others(ctx, kinds.CORE_SERVICE, keep=name)


def account_problem(ctx: Context) -> str:
    """Why the picker's pods cannot start although all of its objects are made; empty when they can (EPP-9)."""
    return picker_account.problem(ctx) if is_wanted(ctx) else ""


def notices(ctx: Context) -> tuple[tuple[str, str], ...]:
    """(reason, message) of what the user should know of the picker's configuration, each to be told once as long as it says the same."""
    if not is_wanted(ctx):
        return ()
    raw = inline_text(ctx.spec)
    types = epp_config.plugin_types(raw) if raw is not None else frozenset()
    found: list[tuple[str, str]] = []
    if PRECISE_SCORER in types:
        found.append(
            (
                "DeprecatedPlugin",
                (
                    f'LLMInferenceService "{ctx.name}" uses {PRECISE_SCORER} in config.inline. Update config.inline to use '
                    "token-producer, precise-prefix-cache-producer, and prefix-cache-scorer directly. This implicit "
                    "migration will be removed in a future release."
                ),
            )
        )
    if _tokenizes_for_nobody(ctx):
        why = "the generated configuration has no plugin that calls one; scheduler.config with a token-producer has"
        found.append((without_effect.REASON, str(Finding("spec.router.scheduler.tokenizer", why))))
    if LATENCY_PRODUCER in types and (ref := _referred(ctx)):
        found.append(
            (
                "LatencyPredictorConfigRef",
                (
                    f'{LATENCY_PRODUCER} plugin detected in Config.Ref ConfigMap "{ref}"; latency predictor sidecar '
                    "injection requires Config.Inline instead of Config.Ref"
                ),
            )
        )
    return tuple(found)


def _referred(ctx: Context) -> str:
    """The ConfigMap whose text is the picker's configuration, whether service or baseRef names it; empty where none does."""
    service, *configs = as_written(ctx.obs, ctx.service, ctx.policy.system_namespace) or [ctx.service]
    named = (text(each, *_SCHEDULER, "config", "ref", "name") for each in (service, *reversed(configs)))
    return next((name for name in named if name), "")


def _tokenizes_for_nobody(ctx: Context) -> bool:
    """Whether a tokenizer is asked for beside the configuration that is made where nobody gives one.

    What others write may have plugins that are not known here.
    """
    return present({"spec": ctx.spec}, *_SCHEDULER, "tokenizer") and generates(_template(ctx), ctx.spec)


def misfits(ctx: Context) -> tuple[str, ...]:
    """What the picker's Service lacks, for the log: no condition speaks of it (EPP-5). Raises FieldError."""
    if not is_wanted(ctx):
        return ()
    ports = {port["name"]: port["port"] for port in _ports(_template(ctx))}
    found = [
        f"no container of the endpoint picker has a port named {name}"
        for name in sorted(_SERVED_PORTS - ports.keys())
    ]
    reference = (*_POOL_SPEC, "endpointPickerRef")
    root = {"spec": ctx.spec}
    number = integer(root, *reference, "port", "number")
    if number is not None and text(root, *reference, "kind") in ("", "Service"):
        name = epp_service_name(ctx.name, ctx.spec)
        if number not in ports.values():
            found.append(
                f"{'.'.join(reference)}.port.number is {number}, which is no port of Service {name}; "
                f"its ports are {', '.join(map(str, sorted(ports.values()))) or 'none'}"
            )
    return tuple(found)


def delegator_names(namespace: str, service: str) -> tuple[str, str]:
    """The binding's name, and the one to use when another service has the first (EPP-2)."""
    suffix = f"-{service}-epp-auth-rb"
    digest = hashlib.sha256(f"{namespace}/{service}".encode()).hexdigest()[:8]
    return names.child(namespace, suffix), names.child(namespace, f"{suffix}-{digest}")


def remove_delegators(obs: Observation, namespace: str, service: str) -> Iterator[Write]:
    """The deletes of this service's auth-delegator bindings; also for the finalizer, which has no combined spec."""
    for name in delegator_names(namespace, service):
        live = need(obs.get(kinds.CLUSTER_ROLE_BINDING, "", name))
        if live is not None and _delegates_for(live, namespace, service) and not _leaves(live):
            yield delete(kinds.CLUSTER_ROLE_BINDING, live)


def _delegator(ctx: Context, user: str) -> Iterator[Write]:
    first, second = delegator_names(ctx.namespace, ctx.name)
    live = need(ctx.obs.get(kinds.CLUSTER_ROLE_BINDING, "", first))
    taken = live is not None and not _delegates_for(live, ctx.namespace, ctx.name)
    name = second if taken else first
    wanted = binding(
        ctx,
        kinds.CLUSTER_ROLE_BINDING,
        name,
        _labels(ctx),
        role_kind="ClusterRole",
        role="system:auth-delegator",
        subjects=[account_subject(user, ctx.namespace)],
    )
    yield from under(
        f"failed to reconcile scheduler clusterrolebinding {name}: ",
        ensure_binding(ctx, kinds.CLUSTER_ROLE_BINDING, wanted),
    )
    if not taken:
        spare = need(ctx.obs.get(kinds.CLUSTER_ROLE_BINDING, "", second))
        if spare is not None and _delegates_for(spare, ctx.namespace, ctx.name) and not _leaves(spare):
            yield delete(kinds.CLUSTER_ROLE_BINDING, spare)


def _delegates_for(live: Object, namespace: str, service: str) -> bool:
    """Cluster-scoped objects have no owner: label and subject namespace say whose binding it is.

    One without subjects, which somebody emptied, is of whom the label names: equal names of two namespaces never clash.
    """
    subjects = sequence(live, "subjects")
    return labels_of(live).get(names.NAME) == service and (
        not subjects or any(dig(subject, "namespace") == namespace for subject in subjects)
    )


def _leaves(live: Object) -> bool:
    return bool(dig(live, "metadata", "deletionTimestamp"))


def _labels(ctx: Context) -> dict[str, str]:
    return names.labels(ctx.name, names.SCHEDULER_COMPONENT)


def _template(ctx: Context) -> Mapping[str, Any]:
    return mapping({"spec": ctx.spec}, *_TEMPLATE)


def _remove_others(ctx: Context, kind: Kind, *, keep: str) -> Iterator[Write]:
    """The picker's objects of this kind that we control, but for one: also those of names the spec no longer has."""
    found = need_list(ctx.obs.select(kind, ctx.namespace, _labels(ctx)))
    candidates = {name_of(obj) for obj in found}
    if kind is kinds.SERVICE_ACCOUNT:
        candidates.add(names.epp_service_account_name(ctx.name))
    for name in sorted(candidates - {keep}):
        yield from remove(ctx, kind, name)


def _ports(template: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Service ports for the container ports the picker is reached by, by name; the last of equal names counts."""
    found: dict[str, dict[str, Any]] = {}
    for container in sequence(template, "containers"):
        for port in sequence(container, "ports"):
            name = text(port, "name")
            if name in _SERVED_PORTS:
                found[name] = {
                    "name": name,
                    "port": integer(port, "containerPort"),
                    "protocol": text(port, "protocol") or "TCP",
                    "targetPort": name,
                }
    return [found[name] for name in sorted(found)]
