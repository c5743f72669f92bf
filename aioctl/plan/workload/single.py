"""Single node: the main and the prefill Deployment, and the account a routing sidecar needs (SINGLE-1).

Only what is wanted is built. Whatever is wrong with the main pod, its account included, is reported by the main
Deployment's step; the account's step then leaves things alone.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aioctl.api import kinds, names
from aioctl.api.objects import FieldError, Object, mapping
from aioctl.api.records import changed
from aioctl.plan.children import under
from aioctl.plan.deployment import ensure_deployment, rolling_update
from aioctl.plan.memo import get_standing
from aioctl.plan.model import Context, PlanError, Verb, Write
from aioctl.plan.observation import Present
from aioctl.plan.workload import accounts, pods, sidecar
from aioctl.plan.workload.accounts import Account, is_left_in_pods
from aioctl.plan.workload.contents import fill, notices
from aioctl.plan.workload.forms import Forms
from aioctl.plan.workload.naming import MAIN, PREFILL, remove_child, retire, workload_name

PREFILL_COMPONENT: Final = f"{names.WORKLOAD_COMPONENT}-prefill"


@dataclass(frozen=True, slots=True)
class Built:
    """A pod that can be deployed, and the account of its routing sidecar (None: it has none)."""

    pod: pods.Pod
    account: Account | None = None
    used: Object | None = None
    """The account whose credentials count; None stands for the namespace's `default`."""


Build = Callable[[], Built]


def build_main(ctx: Context) -> Built:
    """The main pod. Raises PlanError with the text below `failed to get expected main deployment: `."""
    side = pods.main_side(ctx)
    pod = side.pod()
    account = None
    if pods.has_sidecar(pod):
        account = _sidecar_account(ctx, side)
        used: Object | None = account.obj
        pod["serviceAccountName"] = account.name
        pods.tell_pool(ctx, pod)
        sidecar.tell_generation(ctx, pod, _running(ctx))
    else:
        used = pods.existing_account(ctx, side.account_name("template"), "single node main")
    if side.has_template:
        fill(ctx, pod, side, used, whose="main deployment")
    return Built(pod, account, used)


def _running(ctx: Context) -> Iterator[Mapping[str, Any]]:
    """The pod spec of the main Deployment as it is now."""
    read = get_standing(ctx, kinds.DEPLOYMENT, workload_name(ctx, MAIN))
    if isinstance(read, Present):
        yield mapping(read.obj, "spec", "template", "spec")


def build_prefill(ctx: Context) -> Built:
    """The prefill pod. Raises PlanError with the text below `failed to get expected prefill deployment: `."""
    side = pods.prefill_side(ctx)
    pod = side.pod()
    used = pods.existing_account(ctx, side.account_name("template"), "single node prefill")
    if side.has_template:
        fill(ctx, pod, side, used, whose="prefill deployment")
    pods.need_containers(side, "template", pod)
    return Built(pod, used=used)


def access(ctx: Context, main: Build) -> Iterator[Write]:
    """Account, role and binding of the sidecar; in multi-node they exist too (the main template decides)."""
    side = pods.main_side(ctx)
    if ctx.stopped or not pods.has_sidecar(side.template()):
        if ctx.stopped or side.multi_node or (_can_build(main) and not is_left_in_pods(ctx, MAIN)):
            yield from remove_child(ctx, MAIN, kinds.ROLE_BINDING, kinds.ROLE, kinds.SERVICE_ACCOUNT)
        return
    if side.multi_node:
        used: Account | None = _sidecar_account(ctx, side)
    else:
        # What keeps the pod from being built is told by the step of the Deployment.
        used = main().account if _can_build(main) else None
    if used is not None:
        labels = names.labels(ctx.name, names.WORKLOAD_COMPONENT)
        yield from accounts.ensure(ctx, MAIN, used)
        yield from accounts.grant(ctx, MAIN, used, labels, sidecar=True)


def main_deployment(ctx: Context, main: Build, forms: Forms) -> Iterator[Write]:
    side = pods.main_side(ctx)
    if ctx.stopped or side.multi_node:
        yield from remove_child(ctx, MAIN, kinds.DEPLOYMENT)
        return
    built = _with_prefix("failed to get expected main deployment: ", main)
    yield from _deploy(ctx, side, workload_name(ctx, MAIN), names.WORKLOAD_COMPONENT, built, forms)
    yield from retire(ctx, MAIN)


def prefill_deployment(ctx: Context, prefill: Build, forms: Forms) -> Iterator[Write]:
    side = pods.prefill_side(ctx)
    if ctx.stopped or not side.exists or side.multi_node:
        yield from remove_child(ctx, PREFILL, kinds.DEPLOYMENT)
        return
    name = workload_name(ctx, PREFILL)
    built = _with_prefix("failed to get expected prefill deployment: ", prefill)
    yield from under(
        f"failed to reconcile prefill deployment {ctx.namespace}/{name}: ",
        _deploy(ctx, side, name, PREFILL_COMPONENT, built, forms),
    )
    yield from retire(ctx, PREFILL)


def _deploy(
    ctx: Context, side: pods.Side, name: str, component: str, built: Built, forms: Forms
) -> Iterator[Write]:
    selector = pods.pod_labels(ctx, component, side.role)
    copied = pods.copied_labels(ctx)
    annotations = pods.copied_annotations(ctx, pods.POD_ANNOTATIONS)
    keeper = forms.keeper(ctx, side, kinds.DEPLOYMENT, name, (built.pod,), built.used)
    for write in ensure_deployment(
        ctx,
        name,
        selector=selector,
        labels={**copied, **selector},
        annotations=annotations,
        pod_labels={**copied, **side.labels, **selector},
        pod_annotations={**annotations, **side.annotations},
        pod_spec=built.pod,
        replicas=pods.replicas(ctx, side),
        strategy=rolling_update(side.rolling_update),
        exclusive=pods.EXCLUSIVE,
        users=pods.shared_keys(annotations),
        pod_users=pods.shared_keys({**annotations, **side.annotations}),
        form=keeper,
    ):
        yield changed(
            write,
            warnings=(*notices(ctx, side, built.pod), *sidecar.notices(ctx, (built.pod,))),
            rolls=keeper.rolls and write.verb is not Verb.CREATE,
        )


def _sidecar_account(ctx: Context, side: pods.Side) -> Account:
    labels = names.labels(ctx.name, names.WORKLOAD_COMPONENT)
    try:
        return accounts.in_use(ctx, side, "template", children=MAIN, labels=labels)
    except (PlanError, FieldError) as error:
        raise PlanError(f"failed to created expected single node service account: {error}") from error


def _can_build(main: Build) -> bool:
    try:
        main()
    except (PlanError, FieldError):
        return False
    return True


def _with_prefix(prefix: str, build: Build) -> Built:
    try:
        return build()
    except (PlanError, FieldError) as error:
        raise PlanError(prefix + str(error)) from error
