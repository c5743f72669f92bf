"""A Deployment of ours: selector rule, replicas that others set, comparison after local defaulting.

Serves the model servers and the endpoint picker alike (WORK-4, SINGLE-1, EQ-1, EPP-3, EQ-2). A selector
cannot be changed: while the new pod labels satisfy the live one it is kept, otherwise the Deployment is deleted and the
next reconcile creates it again.

The API server fills in a strategy where we send none, so one that is no longer wanted is seen by comparing with what it
would fill in.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from typing import Any, Final, Protocol

from aioctl.api.kinds import DEPLOYMENT
from aioctl.api.names import FORM_SENT, has_our_labels
from aioctl.api.objects import Object, dig, integer, is_deleting, mapping
from aioctl.golang.equality import derivative, equal
from aioctl.plan import given
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
    users: Collection[str] = (),
    pod_users: Collection[str] = (),
    form: Form | None = None,
) -> Iterator[Write]:
    """The write that makes the Deployment as wanted; its pods have the same labels and annotations where none are given.

    `replicas` None leaves the live number alone, `strategy` None asks for the API server's. Labels and annotations with an
    `exclusive` prefix are ours alone: those that are not wanted go, from the object and from its pods. `users` and `pod_users`: the
    keys of other annotations that the user gave. Raises PlanError for a stranger's object of that name.
    """
    live = need(get_standing(ctx, DEPLOYMENT, name))
    ours = live if live is not None and is_ours(ctx, live) else None
    given_labels = dict(labels if pod_labels is None else pod_labels)
    asked = dict((annotations if pod_annotations is None else pod_annotations) or {})
    left = given.left_in_pods(ours, (mapping(ours, "spec", "template"),), asked)

    def judged(without: Collection[str]) -> tuple[Mapping[str, Any], bool]:
        """The pods' template without these annotations, and whether it stands."""
        metadata: dict[str, Any] = {"labels": given_labels}
        if found := with_foreign(asked, mapping(ours, *_POD_METADATA), exclusive, without):
            metadata["annotations"] = found
        made = {"metadata": metadata, "spec": pod_spec}
        same = ours is not None and _same_template(made, ours, exclusive)
        if form is not None and form.judge(made, sent=_foretold, live=ours, same=same):
            return mapping(ours, "spec", "template"), True
        return made, same

    template, stands = judged(())
    if left and not stands:
        left = frozenset()
        template, _ = judged(given.before_in_pods(ours))
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
    annotations = {**(annotations or {}), **given.record(users, {*pod_users, *left})}
    if form is not None:
        annotations = {**annotations, **form.annotations}
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
    annotations: Mapping[str, str],
    live_metadata: Mapping[str, Any],
    exclusive: tuple[str, ...],
    without: Collection[str],
) -> dict[str, str]:
    """Annotations for pods, with what others put into the live template; of that nothing that is to go (`without`).

    A restart that a user asked for by annotation would be undone, and the pods rolled once more, without this.
    """
    found = mapping(live_metadata, "annotations")
    foreign = {
        key: value for key, value in found.items() if not key.startswith(exclusive) and key not in without
    }
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
