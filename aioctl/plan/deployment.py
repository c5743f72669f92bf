"""A Deployment of ours: selector rule, replicas that others set, comparison after local defaulting.

Serves the model servers and the endpoint picker alike (WORK-4, SINGLE-1, EQ-1, EPP-3, EQ-2). A selector
cannot be changed: while the new pod labels satisfy the live one it is kept, otherwise the Deployment is deleted and the
next reconcile creates it again.

The API server fills in a strategy where we send none, so one that is no longer wanted is seen by comparing with what it
would fill in.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final, Protocol

from aioctl.api.kinds import DEPLOYMENT
from aioctl.api.names import FORM_SENT, has_our_labels
from aioctl.api.objects import Object, dig, integer, is_deleting, mapping
from aioctl.golang.equality import derivative, equal
from aioctl.plan.children import build, delete, ensure, has_left_over, is_ours
from aioctl.plan.memo import get_standing
from aioctl.plan.model import Context, Write
from aioctl.plan.observation import need
from aioctl.plan.pod_defaults import with_canonical_amounts, with_defaults

_POD_SPEC: Final = ("spec", "template", "spec")
_POD_METADATA: Final = ("spec", "template", "metadata")


_ROLLING: Final = {"maxUnavailable": "25%", "maxSurge": "25%"}
_KEEPING: Final = {"revisionHistoryLimit": 10, "progressDeadlineSeconds": 600}
"""What the API server fills in (k8s.io/kubernetes 1.34, pkg/apis/apps/v1/defaults.go)."""


def rolling_update(given: Mapping[str, Any]) -> dict[str, Any] | None:
    """The strategy with these of the fields `maxUnavailable` and `maxSurge`; None, the API server's own, for neither."""
    return {"type": "RollingUpdate", "rollingUpdate": dict(given)} if given else None


class Form(Protocol):
    """Decides whether the pods of a workload that stands keep their template (FORM-1)."""

    def judge(
        self, wanted: Object, *, sent: Callable[[Object], Object], live: Object | None, same: bool
    ) -> bool:
        """True for keep. `sent` makes of what is `wanted` the workload as it would be stored; `same`: that is the live template."""
        ...

    @property
    def annotations(self) -> Mapping[str, str]:
        """What is remembered of the template, once it was judged."""
        ...


def ensure_deployment(
    ctx: Context,
    name: str,
    *,
    selector: Mapping[str, str],
    labels: Mapping[str, str],
    pod_spec: Mapping[str, Any],
    annotations: Mapping[str, str] | None = None,
    pod_labels: Mapping[str, str] | None = None,
    pod_annotations: Mapping[str, str] | None = None,
    replicas: int | None = None,
    strategy: Mapping[str, Any] | None = None,
    exclusive: tuple[str, ...] = (),
    form: Form | None = None,
) -> Iterator[Write]:
    """The write that makes the Deployment as wanted; its pods have the same labels and annotations where none are given.

    `replicas` None leaves the live number alone, `strategy` None asks for the API server's. Labels and annotations with an
    `exclusive` prefix are ours alone: those that are not wanted go, from the object and from its pods. Raises PlanError for
    a stranger's object of that name.
    """
    live = need(get_standing(ctx, DEPLOYMENT, name))
    ours = live if live is not None and is_ours(ctx, live) else None
    pod_labels = labels if pod_labels is None else pod_labels
    template_annotations = dict((annotations if pod_annotations is None else pod_annotations) or {})
    if ours is not None:
        template_annotations = with_foreign(template_annotations, mapping(ours, *_POD_METADATA), exclusive)
    metadata: dict[str, Any] = {"labels": dict(pod_labels)}
    if template_annotations:
        metadata["annotations"] = template_annotations
    template: Mapping[str, Any] = {"metadata": metadata, "spec": pod_spec}
    if form is not None:
        same = ours is not None and _same_template(template, ours, exclusive)
        if form.judge(template, sent=_foretold, live=ours, same=same):
            template = mapping(ours, "spec", "template")
            pod_labels = mapping(template, "metadata", "labels")
    if ours is not None:
        kept = mapping(ours, "spec", "selector", "matchLabels")
        if dict(kept) != dict(selector):
            if not kept or not has_our_labels(pod_labels, kept):
                if not is_deleting(ours):
                    yield delete(DEPLOYMENT, ours)
                return
            selector = kept
        if replicas is None:
            replicas = integer(ours, "spec", "replicas")
    spec: dict[str, Any] = {"selector": {"matchLabels": dict(selector)}, "template": template}
    if replicas is not None:
        spec["replicas"] = replicas
    if strategy is not None:
        spec["strategy"] = dict(strategy)
    if form is not None:
        annotations = {**(annotations or {}), **form.annotations}
    wanted = build(ctx, DEPLOYMENT, name, labels=labels, annotations=annotations, spec=spec)
    yield from ensure(
        ctx,
        DEPLOYMENT,
        wanted,
        same=partial(_same, exclusive=exclusive),
        confirm=True,
        exclusive=exclusive if form is None else (*exclusive, FORM_SENT),
    )


def with_foreign(
    annotations: Mapping[str, str], live_metadata: Mapping[str, Any], exclusive: tuple[str, ...]
) -> dict[str, str]:
    """Annotations for pods, with what others put into the live template.

    A restart that a user asked for by annotation would be undone, and the pods rolled once more, without this.
    """
    found = mapping(live_metadata, "annotations")
    foreign = {key: value for key, value in found.items() if not key.startswith(exclusive)}
    return {**foreign, **annotations}


def _same(wanted: Object, live: Object, *, exclusive: tuple[str, ...]) -> bool:
    ours = mapping(wanted, "spec")
    around = {field: value for field, value in ours.items() if field not in ("strategy", "template")}
    return (
        derivative({**_KEEPING, **around}, {**_KEEPING, **mapping(live, "spec")})
        and _strategy(wanted) == _strategy(live)
        and not dig(live, "spec", "paused")
        and not dig(live, "spec", "minReadySeconds")
        and _same_template(ours["template"], live, exclusive)
    )


def _same_template(wanted: Mapping[str, Any], live: Object, exclusive: tuple[str, ...]) -> bool:
    if wanted is dig(live, "spec", "template"):
        return True
    metadata = mapping(wanted, "metadata")
    return (
        derivative(metadata, mapping(live, *_POD_METADATA))
        and not has_left_over(metadata, mapping(live, *_POD_METADATA), exclusive)
        and equal(with_defaults(mapping(wanted, "spec")), mapping(live, *_POD_SPEC))
    )


def _foretold(template: Mapping[str, Any]) -> Object:
    """A Deployment with this template as an API server will store it."""
    stored = {**template, "spec": with_canonical_amounts(with_defaults(mapping(template, "spec")))}
    return {"spec": {"template": stored}}


def _strategy(deployment: Object) -> dict[str, Any]:
    """The strategy as it is stored."""
    found = {"type": "RollingUpdate", **mapping(deployment, "spec", "strategy")}
    if found["type"] == "RollingUpdate":
        found["rollingUpdate"] = {**_ROLLING, **mapping(found, "rollingUpdate")}
    return found
