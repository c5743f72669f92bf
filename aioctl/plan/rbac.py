"""Service accounts, roles and bindings of ours: how each looks and when it counts as unchanged (EQ-2).

Rules and subjects are generated, so they are compared in full; an account's secrets only where we set them, because
OpenShift adds its own to every account.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aioctl.api import kinds
from aioctl.api.kinds import Kind
from aioctl.api.objects import Object, annotations_of, labels_of
from aioctl.golang.equality import derivative, equal
from aioctl.plan.children import build, ensure, remove, under
from aioctl.plan.model import Context, Write

RBAC = "rbac.authorization.k8s.io"
_READ = ("get", "list", "watch")
_COPIED = ("secrets", "imagePullSecrets", "automountServiceAccountToken")


def rule(group: str, *resources: str) -> dict[str, Any]:
    """Permission to read the resources of one API group."""
    return {"apiGroups": [group], "resources": list(resources), "verbs": list(_READ)}


def account_subject(name: str, namespace: str = "") -> dict[str, Any]:
    """A ServiceAccount as subject; without a namespace it is the binding's own."""
    subject = {"kind": "ServiceAccount", "name": name}
    return {**subject, "namespace": namespace} if namespace else subject


def account(ctx: Context, name: str, labels: Mapping[str, str], source: Object | None) -> dict[str, Any]:
    """A generated account: what the source account has, under our name and labels (MULTI-1, SINGLE-1)."""
    copied = {field: source[field] for field in _COPIED if source and source.get(field) not in (None, [])}
    theirs = labels_of(source) if source else {}
    annotations = annotations_of(source) if source else {}
    return build(
        ctx,
        kinds.SERVICE_ACCOUNT,
        name,
        labels={**theirs, **labels},
        annotations=annotations,
        **copied,
    )


def ensure_account(ctx: Context, wanted: Object) -> Iterator[Write]:
    yield from ensure(ctx, kinds.SERVICE_ACCOUNT, wanted, same=_same_account)


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
    account: str,
    labels: Mapping[str, str],
    rules: Sequence[Mapping[str, Any]],
) -> Iterator[Write]:
    """A role and the binding that gives it to our account in the service's namespace; errors begin with `what`."""
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
        subjects=[account_subject(account, ctx.namespace)],
    )
    yield from under(
        f"failed to reconcile {what} rolebinding {at}{binding_name}: ",
        ensure_binding(ctx, kinds.ROLE_BINDING, bound),
    )


def remove_access(ctx: Context, *, binding: str, role: str, account: str) -> Iterator[Write]:
    """Binding, role and account go together, in this order (WORK-2)."""
    yield from remove(ctx, kinds.ROLE_BINDING, binding)
    yield from remove(ctx, kinds.ROLE, role)
    yield from remove(ctx, kinds.SERVICE_ACCOUNT, account)


def _same_account(wanted: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    return all(derivative(wanted.get(field), live.get(field)) for field in ("secrets", "imagePullSecrets"))


def _same_lists(wanted: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    fields = [field for field in ("rules", "subjects", "roleRef") if field in wanted]
    return all(equal(wanted[field], live.get(field)) for field in fields)
