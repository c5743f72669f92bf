"""Service accounts, roles and bindings of ours: how each looks and when it counts as unchanged (EQ-2).

Rules and subjects are generated, so they are compared in full; an account's secrets only where we set them, because
OpenShift adds its own to every account.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from aioctl.api import kinds
from aioctl.api.kinds import Kind
from aioctl.api.objects import Object, annotations_of, labels_of, name_of
from aioctl.golang.equality import derivative, equal
from aioctl.plan import given
from aioctl.plan.children import build, ensure, under
from aioctl.plan.model import Context, Write
from aioctl.plan.observation import need

RBAC: Final = "rbac.authorization.k8s.io"
_READ: Final = ("get", "list", "watch")
_COPIED: Final = ("secrets", "imagePullSecrets", "automountServiceAccountToken")
_FROM_DEFAULT: Final = ("secrets", "imagePullSecrets")
TRACKING: Final = (
    "kubectl.kubernetes.io/",
    "argocd.argoproj.io/",
    "kustomize.toolkit.fluxcd.io/",
    "helm.toolkit.fluxcd.io/",
    "meta.helm.sh/",
    "helm.sh/",
    "config.k8s.io/",
    "cli-utils.sigs.k8s.io/",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
)
"""Labels and annotations, by prefix, in which tools say what they applied: on a copy they claim that it is theirs to prune."""
_NOT_COPIED: Final = (*TRACKING, "openshift.io/")
"""OpenShift notes the secret that it made for exactly this account."""


def rule(groups: str | Sequence[str], *resources: str, verbs: Sequence[str] = _READ) -> dict[str, Any]:
    """Permission for the resources of one API group or several; to read, where no verbs are named."""
    named = [groups] if isinstance(groups, str) else list(groups)
    return {"apiGroups": named, "resources": list(resources), "verbs": list(verbs)}


def account_subject(name: str, namespace: str = "") -> dict[str, Any]:
    """A ServiceAccount as subject; without a namespace it is the binding's own."""
    subject = {"kind": "ServiceAccount", "name": name}
    return {**subject, "namespace": namespace} if namespace else subject


def account(ctx: Context, name: str, labels: Mapping[str, str], source: Object | None) -> dict[str, Any]:
    """A generated account: what the source account has, under our name and labels (MULTI-1, SINGLE-1).

    Without a source the pull secrets and secrets come from the namespace's `default` account, under which the pods would run
    otherwise. Raises Unanswered when it is not known whether there is one.
    """
    fields = _COPIED if source is not None else _FROM_DEFAULT
    origin = (
        source if source is not None else need(ctx.obs.get(kinds.SERVICE_ACCOUNT, ctx.namespace, "default"))
    )
    copied = {field: origin[field] for field in fields if origin and origin.get(field) not in (None, [])}
    theirs = without_tracking(labels_of(source)) if source else {}
    annotations = without_tracking(annotations_of(source)) if source else {}
    return build(
        ctx,
        kinds.SERVICE_ACCOUNT,
        name,
        labels={**theirs, **labels},
        annotations=annotations,
        **copied,
    )


def without_tracking(found: Mapping[str, Any]) -> dict[str, Any]:
    """What of labels or annotations may be copied to another account."""
    return {key: value for key, value in found.items() if not key.startswith(_NOT_COPIED)}


def ensure_account(ctx: Context, wanted: Object) -> Iterator[Write]:
    """The account as wanted; what an earlier copy says of tools goes, secrets that others added stay."""
    live = need(ctx.obs.get(kinds.SERVICE_ACCOUNT, ctx.namespace, name_of(wanted)))
    if live is not None:
        joined = {field: _joined(wanted.get(field), live.get(field)) for field in _FROM_DEFAULT}
        wanted = {**wanted, **{field: entries for field, entries in joined.items() if entries}}
    yield from ensure(ctx, kinds.SERVICE_ACCOUNT, wanted, same=_same_account, exclusive=TRACKING)


def _joined(wanted: Any, live: Any) -> list[Any]:
    """The live entries as they stand, then those that are wanted and not there."""
    there = live if isinstance(live, list) else []
    return [*there, *(entry for entry in wanted or () if entry not in there)] if wanted else []


def _ensure_role(
    ctx: Context, name: str, labels: Mapping[str, str], rules: Sequence[Mapping[str, Any]]
) -> Iterator[Write]:
    wanted = build(ctx, kinds.ROLE, name, labels=labels, rules=list(rules))
    yield from ensure(ctx, kinds.ROLE, wanted, same=_same_lists)


def binding(
    ctx: Context,
    kind: Kind,
    name: str,
    labels: Mapping[str, str],
    *,
    role_kind: str,
    role: str,
    subjects: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """A RoleBinding (owned) or ClusterRoleBinding (not owned: it is cluster-scoped)."""
    return build(
        ctx,
        kind,
        name,
        labels=labels,
        owned=kind.namespaced,
        subjects=list(subjects),
        roleRef={"apiGroup": RBAC, "kind": role_kind, "name": role},
    )


def ensure_binding(ctx: Context, kind: Kind, wanted: Object, *, shared: bool = False) -> Iterator[Write]:
    """`shared`: several services make it, so that it may exist already, and nobody gets an event."""
    yield from ensure(
        ctx, kind, wanted, same=_same_lists, owned=kind.namespaced, exists_is_fine=shared, quiet=shared
    )


def grant(
    ctx: Context,
    what: str,
    *,
    role: str,
    binding_name: str,
    accounts: Sequence[str],
    labels: Mapping[str, str],
    rules: Sequence[Mapping[str, Any]],
) -> Iterator[Write]:
    """A role and the binding that gives it to accounts of the service's namespace; errors begin with `what`."""
    at = f"{ctx.namespace}/"
    yield from under(
        f"failed to reconcile {what} role {at}{role}: ",
        _ensure_role(ctx, role, labels, rules),
    )
    bound = binding(
        ctx,
        kinds.ROLE_BINDING,
        binding_name,
        labels,
        role_kind="Role",
        role=role,
        subjects=[account_subject(account, ctx.namespace) for account in accounts],
    )
    yield from under(
        f"failed to reconcile {what} rolebinding {at}{binding_name}: ",
        ensure_binding(ctx, kinds.ROLE_BINDING, bound),
    )


def _same_account(wanted: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    """Rights that a copy no longer has are taken at once: nothing else may ever change that would write the account."""
    return not given.is_left_on(wanted, live) and all(
        derivative(wanted.get(field), live.get(field)) for field in ("secrets", "imagePullSecrets")
    )


def _same_lists(wanted: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    fields = [field for field in ("rules", "subjects", "roleRef") if field in wanted]
    return all(equal(wanted[field], live.get(field)) for field in fields)
