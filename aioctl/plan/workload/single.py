"""Single node: the main and the prefill Deployment, and the account a routing sidecar needs (SINGLE-1).

Only what is wanted is built. Whatever is wrong with the main pod, its account included, is reported by the main
Deployment's step; the account's step then leaves things alone.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from aioctl.api import kinds, names
from aioctl.api.defaulting import is_stopped
from aioctl.api.objects import FieldError, Object
from aioctl.plan.children import remove, under
from aioctl.plan.deployment import ensure_deployment, rolling_update
from aioctl.plan.model import Context, PlanError, Write
from aioctl.plan.rbac import (
    account,
    ensure_account,
    grant,
    remove_access,
)
from aioctl.plan.workload import pods
from aioctl.plan.workload.contents import fill

PREFILL_COMPONENT = f"{names.WORKLOAD_COMPONENT}-prefill"


@dataclass(frozen=True, slots=True)
class Built:
    """A pod that can be deployed, and the account that was generated for it (None: it uses one as given)."""

    pod: pods.Pod
    account: Object | None = None


Build = Callable[[], Built]


def build_main(ctx: Context) -> Built:
    """The main pod. Raises PlanError with the text below `failed to get expected main deployment: `."""
    side = pods.main_side(ctx)
    pod = side.pod()
    used = pods.existing_account(ctx, side.account_name("template"), "single node main")
    generated = None
    if pods.has_sidecar(pod):
        labels = names.labels(ctx.name, names.WORKLOAD_COMPONENT)
        generated = used = account(ctx, account_name(ctx), labels, used)
        pod["serviceAccountName"] = account_name(ctx)
        pods.tell_pool(ctx, pod)
    if side.has_template:
        fill(ctx, pod, side, used, whose="main deployment")
    return Built(pod, generated)


def build_prefill(ctx: Context) -> Built:
    """The prefill pod. Raises PlanError with the text below `failed to get expected prefill deployment: `."""
    side = pods.prefill_side(ctx)
    pod = side.pod()
    used = pods.existing_account(ctx, side.account_name("template"), "single node prefill")
    if side.has_template:
        fill(ctx, pod, side, used, whose="prefill deployment")
    return Built(pod)


def account_name(ctx: Context) -> str:
    return names.safe(ctx.name, "-kserve")


def access(ctx: Context, main: Build) -> Iterator[Write]:
    """Account, role and binding of the sidecar; in multi-node they exist too (the main template decides)."""
    role, role_binding = names.safe(ctx.name, "-kserve-role"), names.safe(ctx.name, "-kserve-rb")
    side = pods.main_side(ctx)
    if is_stopped(ctx.service) or not pods.has_sidecar(side.template()):
        if is_stopped(ctx.service) or side.multi_node or _can_build(main):
            yield from remove_access(ctx, binding=role_binding, role=role, account=account_name(ctx))
        return
    wanted = _sidecar_account(ctx, side, main)
    if wanted is None:
        return
    yield from under(
        f"failed to reconcile single node service account {ctx.namespace}/{account_name(ctx)}: ",
        ensure_account(ctx, wanted),
    )
    yield from grant(
        ctx,
        "single node",
        role=role,
        binding_name=role_binding,
        account=account_name(ctx),
        labels=names.labels(ctx.name, names.WORKLOAD_COMPONENT),
        rules=pods.SIDECAR_RULES,
    )


def main_deployment(ctx: Context, main: Build) -> Iterator[Write]:
    name = names.safe(ctx.name, "-kserve")
    side = pods.main_side(ctx)
    if is_stopped(ctx.service) or side.multi_node:
        yield from remove(ctx, kinds.DEPLOYMENT, name)
        return
    pod = _with_prefix("failed to get expected main deployment: ", main).pod
    yield from _deploy(ctx, side, name, names.WORKLOAD_COMPONENT, pod)


def prefill_deployment(ctx: Context) -> Iterator[Write]:
    name = names.safe(ctx.name, "-kserve-prefill")
    side = pods.prefill_side(ctx)
    if is_stopped(ctx.service) or not side.exists or side.multi_node:
        yield from under("failed to delete prefill main deployment: ", remove(ctx, kinds.DEPLOYMENT, name))
        return
    pod = _with_prefix("failed to get expected prefill deployment: ", lambda: build_prefill(ctx)).pod
    yield from under(
        f"failed to reconcile prefill deployment {ctx.namespace}/{name}: ",
        _deploy(ctx, side, name, PREFILL_COMPONENT, pod),
    )


def _deploy(ctx: Context, side: pods.Side, name: str, component: str, pod: pods.Pod) -> Iterator[Write]:
    selector = pods.pod_labels(ctx, component, side.role)
    copied = pods.copied_labels(ctx)
    annotations = pods.copied_annotations(ctx, pods.POD_ANNOTATIONS)
    for write in ensure_deployment(
        ctx,
        name,
        selector=selector,
        labels={**copied, **selector},
        annotations=annotations,
        pod_labels={**copied, **side.labels, **selector},
        pod_annotations={**annotations, **side.annotations},
        pod_spec=pod,
        replicas=side.replicas,
        strategy=rolling_update(side.rolling_update),
        exclusive=pods.EXCLUSIVE,
    ):
        yield replace(write, warnings=side.reserved)


def _sidecar_account(ctx: Context, side: pods.Side, main: Build) -> Object | None:
    """The account to make; None when the main Deployment's step is going to say why it cannot be made."""
    if side.multi_node:
        source = pods.existing_account(ctx, side.account_name("template"), "single node main")
        return account(ctx, account_name(ctx), names.labels(ctx.name, names.WORKLOAD_COMPONENT), source)
    return main().account if _can_build(main) else None


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
