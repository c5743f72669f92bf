"""The part of a reconcile that runs the model servers: ten steps in the order of WORK-1.

Every topology is walked in every reconcile, so that what a former one left behind goes away; only what is wanted is
built. Error prefixes are those of ERR-1, split so that conditions show inner + text.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from aioctl.api import kinds, pod_images, pod_metadata, service_names
from aioctl.api.kinds import Served
from aioctl.api.objects import FieldError
from aioctl.api.records import changed
from aioctl.plan.memo import kept, kept_step, shared
from aioctl.plan.model import Context, Part, PlanError, Step, Write, step
from aioctl.plan.observation import Unanswered
from aioctl.plan.workload import artifacts, certificate, managed_dra, multi, naming, pods, service, single
from aioctl.plan.workload.forms import Forms

_WORKLOAD: Final = "failed to reconcile workload: "
_MULTI: Final = _WORKLOAD + "failed to reconcile multi node workload: "
_SINGLE: Final = _WORKLOAD + "failed to reconcile single node workload: "

__all__ = ["steps"]


def steps(ctx: Context) -> Iterator[Step]:
    """Steps 1 to 10, each planned when it is asked for."""
    forms = Forms()
    # The first step that needs a pod builds it, and a second one finds it built.
    group = shared(ctx, "built group", lambda: multi.build_main(ctx))
    pod = shared(ctx, "built pod", lambda: single.build_main(ctx))
    prefill_group = shared(ctx, "built prefill group", lambda: multi.build_prefill(ctx))
    prefill_pod = shared(ctx, "built prefill pod", lambda: single.build_prefill(ctx))
    unfit = _name_problem(ctx)
    if unfit:
        # Told by the Service's own part, but first: its pods would cost and serve nobody (NAME-2).
        yield Step(Part.WORKLOAD_SERVICE, _WORKLOAD, error=unfit)
    if (imageless := _image_problem(ctx)) is not None:
        yield imageless
    yield _kept(
        ctx,
        "certificate",
        Part.CERTIFICATE,
        lambda: certificate.certificate(ctx),
        outer=_WORKLOAD + "failed to reconcile self-signed certificates secret: ",
    )
    yield _kept(
        ctx,
        "security binding",
        Part.PERMISSIONS,
        lambda: multi.security_binding(ctx),
        outer=_WORKLOAD + "failed to reconcile workload platform permissions: ",
        inner="failed to reconcile multi-node SCC role binding: ",
    )
    grouped = _grouped(ctx)
    if grouped:
        yield _devices(ctx, Part.MULTI_NODE, _MULTI)
    account = "failed to reconcile multi-node service account: "
    yield _kept(
        ctx,
        "group access",
        Part.MULTI_NODE,
        lambda: multi.main_access(ctx, group),
        outer=_MULTI,
        inner=account,
    )
    yield _kept(
        ctx,
        "prefill group access",
        Part.MULTI_NODE,
        lambda: multi.prefill_access(ctx),
        outer=_MULTI,
        inner=account,
    )
    # A Service that cannot be had is told before any GPU is asked for; pods that cannot be made need no Service.
    mains, prefills = (group, pod), (prefill_group, prefill_pod)
    fit = kept(
        ctx,
        "can be built",
        lambda: (
            _can_be_built(ctx, pods.main_side(ctx), *mains),
            _can_be_built(ctx, pods.prefill_side(ctx), *prefills),
        ),
        all,
    )
    if all(fit):
        yield _service(ctx)

    def prefill_set() -> Step:
        return _deployed(
            ctx,
            "prefill group",
            forms,
            Part.MULTI_NODE,
            lambda: multi.prefill_set(ctx, prefill_group, forms),
            outer=_MULTI,
            inner="failed to reconcile multi-node prefill workload: ",
        )

    def prefill_deployment() -> Step:
        return _deployed(
            ctx,
            "prefill deployment",
            forms,
            Part.SINGLE_NODE,
            lambda: single.prefill_deployment(ctx, prefill_pod, forms),
            outer=_SINGLE,
            inner="failed to reconcile prefill workload: ",
        )

    if fit == (True, False):
        # The main pods would hold accelerators beside a side that cannot be made (WORK-9): it says why, and ends the steps.
        yield prefill_set() if _is_grouped(pods.prefill_side(ctx)) else prefill_deployment()
    yield _deployed(
        ctx,
        "group",
        forms,
        Part.MULTI_NODE,
        lambda: multi.main_set(ctx, group, forms),
        outer=_MULTI,
        inner="failed to reconcile multi-node main workload: ",
    )
    yield prefill_set()
    if not grouped:
        yield _devices(ctx, Part.SINGLE_NODE, _SINGLE)
    yield _kept(
        ctx,
        "access",
        Part.SINGLE_NODE,
        lambda: single.access(ctx, pod),
        outer=_SINGLE,
        inner="failed to reconcile service account: ",
    )
    yield _deployed(
        ctx,
        "deployment",
        forms,
        Part.SINGLE_NODE,
        lambda: single.main_deployment(ctx, pod, forms),
        outer=_SINGLE,
        inner="failed to reconcile main workload: ",
    )
    yield prefill_deployment()
    if not all(fit):
        yield _service(ctx)


def _kept(
    ctx: Context, name: str, part: Part, build: Callable[[], Iterator[Write]], *, outer: str, inner: str = ""
) -> Step:
    """The step, from the memo under that name where nothing that it read has changed."""
    return kept_step(ctx, name, lambda: step(part, build, outer=outer, inner=inner))


def _deployed(
    ctx: Context,
    name: str,
    forms: Forms,
    part: Part,
    build: Callable[[], Iterator[Write]],
    *,
    outer: str,
    inner: str,
) -> Step:
    """The same of a workload, with what of it keeps its form."""
    return kept_step(
        ctx, name, lambda: changed(step(part, build, outer=outer, inner=inner), held=forms.take())
    )


def _grouped(ctx: Context) -> bool:
    """Whether LeaderWorkerSets run pods of the service."""
    return _is_grouped(pods.main_side(ctx)) or _is_grouped(pods.prefill_side(ctx))


def _is_grouped(side: pods.Side) -> bool:
    """Whether a LeaderWorkerSet runs this side. A field of the wrong type is for its step, too."""
    try:
        return side.multi_node
    except FieldError:
        return True


def _devices(ctx: Context, part: Part, outer: str) -> Step:
    """Before the pods that claim them; said of the part that runs these pods (DRA-1)."""
    inner = "failed to reconcile managed DRA: "
    return _kept(ctx, "devices", part, lambda: managed_dra.template(ctx), outer=outer, inner=inner)


def _service(ctx: Context) -> Step:
    return _kept(
        ctx,
        "service",
        Part.WORKLOAD_SERVICE,
        lambda: service.service(ctx),
        outer=_WORKLOAD + "failed to reconcile workload service: ",
    )


def _can_be_built(
    ctx: Context, side: pods.Side, group: Callable[[], object], pod: Callable[[], object]
) -> bool:
    """Whether it is known that the pods of this side, if it has any, can be made."""
    if ctx.stopped:
        return False
    try:
        if side.multi_node:
            group()
        elif side.exists:
            pod()
        return not side.multi_node or ctx.obs.served(kinds.LEADER_WORKER_SET) is not Served.NO
    except (PlanError, FieldError, Unanswered):
        return False


def _name_problem(ctx: Context) -> str:
    """Which name no Service can have, or which label no pod, so that nothing can be served. A field of the wrong type is for the
    step that reads it."""
    if ctx.stopped:
        return ""
    try:
        combined = {**ctx.service, "spec": ctx.spec}
        if problem := service_names.problem(combined, _set_name(ctx)):
            return f"metadata.name: {problem}"
        if problem := service_names.picker_problem(combined):
            return f"{'.'.join(service_names.PICKER)}: {problem}"
        return next(pod_metadata.problems(combined), "")
    except (FieldError, Unanswered):
        return ""


def _image_problem(ctx: Context) -> Step | None:
    """Which container has no image, told of the part that would run it (WORK-9)."""
    if ctx.stopped:
        return None
    for found in pod_images.missing({**ctx.service, "spec": ctx.spec}):
        for side in (pods.prefill_side(ctx), pods.main_side(ctx)):
            if found.at in (".".join((*side.path, "template")), ".".join((*side.path, "worker"))):
                many = _is_grouped(side)
                return Step(
                    Part.MULTI_NODE if many else Part.SINGLE_NODE,
                    _MULTI if many else _SINGLE,
                    error=str(found),
                )
        return Step(Part.WORKLOAD_SERVICE, _WORKLOAD, error=str(found))
    return None


def notices(ctx: Context) -> Iterator[str]:
    """What has no effect beside the service's name and the cluster's configuration. Raises Unanswered and FieldError."""
    if not ctx.stopped:
        combined = {**ctx.service, "spec": ctx.spec}
        yield from map(str, service_names.podless_sets(combined, _set_name(ctx)))
        with suppress(PlanError):  # the step of the pods says so
            yield from map(str, artifacts.notices(ctx))


def _set_name(ctx: Context) -> service_names.SetName:
    def set_name(*, prefill: bool) -> str:
        return naming.workload_name(ctx, naming.group(multi_node=True, prefill=prefill))

    return set_name
