"""Multi node: LeaderWorkerSets, the accounts their pods run under, and the OpenShift binding (MULTI-1).

A side of the service is multi-node when it has a `worker`, even an empty one. Pod specs of LeaderWorkerSets are stored
nearly as they are sent, so they compare equal without local defaulting.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aioctl.api import kinds, names
from aioctl.api.defaulting import group_size, is_data_parallel
from aioctl.api.kinds import Served
from aioctl.api.objects import FieldError, Object, integer, mapping, present, sequence
from aioctl.api.records import changed
from aioctl.golang.equality import derivative, equal
from aioctl.plan import given
from aioctl.plan.children import build, ensure, has_left_over, is_ours, remove
from aioctl.plan.deployment import with_foreign
from aioctl.plan.memo import get_standing
from aioctl.plan.model import Context, PlanError, Verb, Write
from aioctl.plan.observation import Present, need
from aioctl.plan.rbac import account_subject, binding, ensure_binding
from aioctl.plan.workload import accounts, naming, pods, sidecar
from aioctl.plan.workload.accounts import Account
from aioctl.plan.workload.contents import fill, notices
from aioctl.plan.workload.forms import Forms
from aioctl.plan.workload.naming import (
    MAIN_GROUP,
    PREFILL_GROUP,
    Child,
    remove_child,
    retire,
    workload_name,
)

SCC_ROLE: Final = "openshift-ai-llminferenceservice-scc"
_LEADER: Final = ("spec", "leaderWorkerTemplate", "leaderTemplate")
_WORKER: Final = ("spec", "leaderWorkerTemplate", "workerTemplate")
_ROLLING: Final = {"maxUnavailable": 1, "maxSurge": 0}
"""What LeaderWorkerSet fills in (0.7, pkg/webhooks/leaderworkerset_webhook.go); one field given brings the other along."""


@dataclass(frozen=True, slots=True)
class Group:
    """The pods of one LeaderWorkerSet, ready to be sent; no leader means that workers lead."""

    worker: pods.Pod
    leader: pods.Pod | None
    used: Object
    """The account whose credentials count."""

    @property
    def pods(self) -> tuple[pods.Pod, ...]:
        return (self.worker,) if self.leader is None else (self.worker, self.leader)

    @property
    def has_sidecar(self) -> bool:
        return any(map(pods.has_sidecar, self.pods))


Build = Callable[[], Group]


def build_main(ctx: Context) -> Group:
    """Both pods of the main side. Raises PlanError with the text below `failed to build the expected main LWS: `."""
    return _build(ctx, pods.main_side(ctx))


def build_prefill(ctx: Context) -> Group:
    """Both pods of the prefill side. Raises PlanError with the text below `failed to build the expected prefill LWS: `."""
    return _build(ctx, pods.prefill_side(ctx))


def main_access(ctx: Context, main: Build) -> Iterator[Write]:
    """Account of the main side; role and binding when one of its pods has the sidecar."""
    side = pods.main_side(ctx)
    if ctx.stopped or not side.multi_node:
        yield from remove_child(ctx, MAIN_GROUP, kinds.ROLE_BINDING, kinds.ROLE, kinds.SERVICE_ACCOUNT)
        return
    used = _checked_account(ctx, side)
    yield from accounts.ensure(ctx, MAIN_GROUP, used)
    group = _with_prefix("failed to build the expected main LWS for building the Role: ", main)
    yield from accounts.grant(ctx, MAIN_GROUP, used, pods.base_labels(ctx), sidecar=group.has_sidecar)


def prefill_access(ctx: Context) -> Iterator[Write]:
    """Account of the prefill side; its pods get no role."""
    side = pods.prefill_side(ctx)
    if side.multi_node and not ctx.stopped:
        used = _checked_account(ctx, side)
        yield from accounts.ensure(ctx, PREFILL_GROUP, used)
        yield from accounts.grant(ctx, PREFILL_GROUP, used, pods.base_labels(ctx), sidecar=False)
    else:
        yield from remove_child(ctx, PREFILL_GROUP, kinds.SERVICE_ACCOUNT)


def security_binding(ctx: Context) -> Iterator[Write]:
    """On OpenShift: lets both accounts use the SCC the presets need. Where the group is not served: nothing."""
    name = names.child(ctx.name, "-kserve-mn-scc")
    if ctx.stopped or not (pods.main_side(ctx).multi_node or pods.prefill_side(ctx).multi_node):
        yield from remove(ctx, kinds.ROLE_BINDING, name)
        return
    if ctx.policy.scc_disabled or ctx.obs.served(kinds.SCC) is not Served.YES:
        return
    sides = pods.main_side(ctx), pods.prefill_side(ctx)
    subjects = [account_subject(_account_name(ctx, side)) for side in sides]
    wanted = binding(
        ctx,
        kinds.ROLE_BINDING,
        name,
        pods.base_labels(ctx),
        role_kind="ClusterRole",
        role=SCC_ROLE,
        subjects=subjects,
    )
    yield from ensure_binding(ctx, kinds.ROLE_BINDING, wanted)


def main_set(ctx: Context, main: Build, forms: Forms) -> Iterator[Write]:
    side = pods.main_side(ctx)
    if ctx.stopped or not side.multi_node:
        yield from remove_child(ctx, MAIN_GROUP, kinds.LEADER_WORKER_SET)
        return
    group = _with_prefix("failed to build the expected main LWS: ", main)
    yield from _ensure_set(ctx, side, group, forms)


def prefill_set(ctx: Context, prefill: Build, forms: Forms) -> Iterator[Write]:
    side = pods.prefill_side(ctx)
    if ctx.stopped or not side.multi_node:
        yield from remove_child(ctx, PREFILL_GROUP, kinds.LEADER_WORKER_SET)
        return
    group = _with_prefix("failed to build the expected prefill LWS: ", prefill)
    yield from _ensure_set(ctx, side, group, forms)


def _children(side: pods.Side) -> tuple[Child, ...]:
    return PREFILL_GROUP if side.prefill else MAIN_GROUP


def _account(ctx: Context, side: pods.Side) -> Account:
    return accounts.in_use(
        ctx, side, "template", "worker", children=_children(side), labels=pods.base_labels(ctx)
    )


def _checked_account(ctx: Context, side: pods.Side) -> Account:
    try:
        return _account(ctx, side)
    except (PlanError, FieldError) as error:
        raise PlanError(f"failed to create expected multi node service account: {error}") from error


def _account_name(ctx: Context, side: pods.Side) -> str:
    """Of a side that has no groups, the account that it would get."""
    generated = naming.name(ctx, _children(side), kinds.SERVICE_ACCOUNT)
    return (side.account_name("template", "worker") if side.multi_node else "") or generated


def _build(ctx: Context, side: pods.Side) -> Group:
    used = _account(ctx, side)
    part = "prefill " if side.prefill else ""
    # The leader first: of a model that neither can have, its error is the one that is told (ERR-1).
    leader = _pod(ctx, side, "template", used, f"{part}leader template") if side.has_template else None
    return Group(_pod(ctx, side, "worker", used, f"{part}worker template"), leader, used.obj)


def _pod(ctx: Context, side: pods.Side, field: str, used: Account, title: str) -> pods.Pod:
    pod = side.pod(field)
    pod["serviceAccountName"] = used.name
    if not side.prefill:
        pods.tell_pool(ctx, pod)
        sidecar.tell_generation(ctx, pod, _running(ctx))
    fill(ctx, pod, side, used.obj, whose=title)
    if side.prefill:
        pods.need_containers(side, field, pod)
    return pod


def _running(ctx: Context) -> Iterator[Mapping[str, Any]]:
    """The pod specs of the main set as they are now."""
    read = get_standing(ctx, kinds.LEADER_WORKER_SET, workload_name(ctx, MAIN_GROUP))
    if isinstance(read, Present):
        yield from (mapping(read.obj, *path, "spec") for path in (_LEADER, _WORKER))


def _ensure_set(ctx: Context, side: pods.Side, group: Group, forms: Forms) -> Iterator[Write]:
    kind, name = kinds.LEADER_WORKER_SET, workload_name(ctx, _children(side))
    if ctx.obs.served(kind) is Served.NO:
        raise PlanError(
            f"failed to get {kind.type_name} {ctx.namespace}/{name}: "
            f'no matches for kind "{kind.kind}" in version "{kind.api_version}"'
        )
    live = need(get_standing(ctx, kind, name))
    if live is not None and not is_ours(ctx, live):
        live = None
    labels = {**pods.copied_labels(ctx), **_worker_labels(ctx, side)}
    annotations = pods.copied_annotations(ctx, pods.GROUP_ANNOTATIONS)
    keeper = forms.keeper(ctx, side, kind, name, group.pods, group.used)
    left = given.left_in_pods(
        live, [mapping(live, *at) for at in (_LEADER, _WORKER)], {*annotations, *side.annotations}
    )

    def judged(without: Collection[str]) -> tuple[dict[str, Any], bool]:
        """The set's spec, its pods without these annotations, and whether they stand."""
        spec = _spec(ctx, side, group, live, without)
        same = live is not None and _same_templates({"spec": spec}, live)
        if keeper.judge(spec, sent=_foretold, live=live, same=same):
            spec["leaderWorkerTemplate"] = _with_templates(spec["leaderWorkerTemplate"], live)
            return spec, True
        return spec, same

    spec, stands = judged(())
    if left and not stands:
        left = frozenset()
        spec, _ = judged(given.before_in_pods(live))
    in_pods = {*pods.shared_keys({**annotations, **side.annotations}), *left}
    remembered = {**given.record(pods.shared_keys(annotations), in_pods), **keeper.annotations}
    annotations = {**annotations, **remembered}
    wanted = build(ctx, kind, name, labels=labels, annotations=annotations, spec=spec)
    # Asked before it is sent, like a Deployment: an admission webhook may change pod specs, and would do so for ever.
    for write in ensure(
        ctx, kind, wanted, same=_same, confirm=True, exclusive=(*pods.EXCLUSIVE, names.FORM_SENT)
    ):
        yield changed(
            write,
            warnings=(*notices(ctx, side, group.worker, group.leader), *sidecar.notices(ctx, group.pods)),
            rolls=keeper.rolls and write.verb is not Verb.CREATE,
        )
    yield from retire(ctx, _children(side))


def _spec(
    ctx: Context, side: pods.Side, group: Group, live: Object | None, without: Collection[str]
) -> dict[str, Any]:
    """The set's spec; `live` is ours, for what stays as others have set it, but for annotations of pods that are to go."""
    worker = _worker_labels(ctx, side)
    template: dict[str, Any] = {
        "restartPolicy": "RecreateGroupOnPodRestart",
        "workerTemplate": _template(ctx, side, worker, group.worker, mapping(live, *_WORKER), without),
    }
    if group.leader is not None:
        leader = _leader_labels(ctx, side)
        standing = mapping(live, *_LEADER)
        template["leaderTemplate"] = _template(ctx, side, leader, group.leader, standing, without)
    at = ".".join((*side.path, "parallelism"))
    size = group_size(side.parallelism, at=at)
    if size is not None:
        template["size"] = size
        if side.prefill and is_data_parallel(side.parallelism, at=at):
            template["subGroupPolicy"] = {"subGroupSize": size}
    rollout: dict[str, Any] = {"type": "RollingUpdate"}
    if side.rolling_update:
        rollout["rollingUpdateConfiguration"] = {**_ROLLING, **side.rolling_update}
    spec: dict[str, Any] = {
        "leaderWorkerTemplate": template,
        "rolloutStrategy": rollout,
        "startupPolicy": "LeaderCreated",
    }
    replicas = pods.replicas(ctx, side)
    if replicas is None:
        replicas = integer(live, "spec", "replicas")
    if replicas is not None:
        spec["replicas"] = replicas
    return spec


def _template(
    ctx: Context,
    side: pods.Side,
    labels: Mapping[str, str],
    pod: pods.Pod,
    live: Mapping[str, Any],
    without: Collection[str],
) -> dict[str, Any]:
    """One pod template; `live` is what stands in its place, empty where nothing does."""
    wanted = {**pods.copied_annotations(ctx, pods.GROUP_ANNOTATIONS), **side.annotations}
    annotations = with_foreign(wanted, mapping(live, "metadata"), pods.EXCLUSIVE, without)
    metadata: dict[str, Any] = {"labels": {**pods.copied_labels(ctx), **side.labels, **labels}}
    if annotations:
        metadata["annotations"] = annotations
    return {"metadata": metadata, "spec": pod}


def _worker_labels(ctx: Context, side: pods.Side) -> dict[str, str]:
    """Ours, of the object and its worker pods. Workers take requests only where there is no leader template."""
    component = f"{names.WORKLOAD_COMPONENT}-worker{'-prefill' if side.prefill else ''}"
    labels = names.labels(ctx.name, component)
    if not side.has_template:
        labels[names.KSERVE_COMPONENT] = "workload"
        labels[names.ROLE] = "prefill" if side.prefill else "decode"
    return labels


def _leader_labels(ctx: Context, side: pods.Side) -> dict[str, str]:
    component = f"{names.WORKLOAD_COMPONENT}-leader{'-prefill' if side.prefill else ''}"
    return pods.pod_labels(ctx, component, side.role)


def _same(wanted: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    return (
        _rolling(wanted) == _rolling(live)
        and derivative(_without_pods(mapping(wanted, "spec")), mapping(live, "spec"))
        and _same_templates(wanted, live)
    )


def _same_templates(wanted: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    """Whether both templates are, or the one that there is, as they are wanted."""
    return present(wanted, *_LEADER) == present(live, *_LEADER) and all(
        mapping(wanted, *at) is mapping(live, *at) or _same_template(mapping(wanted, *at), mapping(live, *at))
        for at in (_LEADER, _WORKER)
        if present(wanted, *at)
    )


def _same_template(wanted: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    metadata = mapping(wanted, "metadata")
    return (
        derivative(metadata, mapping(live, "metadata"))
        and not has_left_over(metadata, mapping(live, "metadata"), pods.EXCLUSIVE)
        and _same_pod(mapping(wanted, "spec"), mapping(live, "spec"))
    )


def _with_templates(groups: Mapping[str, Any], live: Object | None) -> dict[str, Any]:
    """The groups with the live templates; a leader template that does not stand is left out."""
    others = {
        field: value for field, value in groups.items() if field not in ("leaderTemplate", "workerTemplate")
    }
    return {**others, **{at[-1]: mapping(live, *at) for at in (_LEADER, _WORKER) if present(live, *at)}}


def _foretold(spec: Mapping[str, Any]) -> Object:
    """A set with these templates as an API server will store it."""
    groups = mapping(spec, "leaderWorkerTemplate")
    stored = {
        field: {**groups[field], "spec": _filled(mapping(groups, field, "spec"))}
        for field in ("leaderTemplate", "workerTemplate")
        if field in groups
    }
    return {"spec": {"leaderWorkerTemplate": stored}}


def _without_pods(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The set's spec without what is compared apart: the templates, and the rollout."""
    template = _with_templates(mapping(spec, "leaderWorkerTemplate"), None)
    return {**spec, "leaderWorkerTemplate": template, "rolloutStrategy": {"type": "RollingUpdate"}}


def _rolling(lws: Mapping[str, Any]) -> dict[str, Any]:
    """How the set rolls, as it is stored."""
    found = mapping(lws, "spec", "rolloutStrategy", "rollingUpdateConfiguration")
    return {"partition": 0, **_ROLLING, **found}


def _same_pod(wanted: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    return equal(_filled(wanted), live)


def _filled(pod: Mapping[str, Any]) -> dict[str, Any]:
    """With the one default that the LeaderWorkerSet CRD fills in, the protocol of ports."""
    filled = dict(pod)
    for field in ("initContainers", "containers"):
        if sequence(pod, field):
            filled[field] = [_with_protocols(container) for container in sequence(pod, field)]
    return filled


def _with_protocols(container: Mapping[str, Any]) -> Mapping[str, Any]:
    if not sequence(container, "ports"):
        return container
    return {**container, "ports": [{"protocol": "TCP", **port} for port in sequence(container, "ports")]}


def _with_prefix(prefix: str, main: Build) -> Group:
    try:
        return main()
    except (PlanError, FieldError) as error:
        raise PlanError(prefix + str(error)) from error
