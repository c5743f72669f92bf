"""Under which account the pods of one side run, and what that account may do (MULTI-1, SINGLE-1).

An account that the template names is the user's: it must exist, is used as it is, and is never written. Otherwise one is
generated, with the secrets of the namespace's `default`. Pods that are still being replaced keep the account and the rights
they were started with: what is no longer wanted goes when the last of them has gone (WORK-2).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aioctl.api import kinds
from aioctl.api.kinds import Served
from aioctl.api.objects import Object, integer, mapping, name_of, text
from aioctl.plan import rbac
from aioctl.plan.children import is_ours, under
from aioctl.plan.model import Context, Write
from aioctl.plan.observation import need
from aioctl.plan.workload import naming, pods


@dataclass(frozen=True, slots=True)
class Account:
    """The account that pods run under."""

    obj: Object
    """As it stands, or as it is to be written; its secrets are the pods' credentials."""
    generated: bool

    @property
    def name(self) -> str:
        return name_of(self.obj)


def in_use(
    ctx: Context, side: pods.Side, *fields: str, children: tuple[naming.Child, ...], labels: Mapping[str, str]
) -> Account:
    """The account that the first of these pod specs names, else the generated one with these labels.

    Raises PlanError when a named one does not exist, Unanswered when that is not known.
    """
    generated = naming.name(ctx, children, kinds.SERVICE_ACCOUNT)
    named = side.account_name(*fields)
    if named != generated:
        found = pods.existing_account(
            ctx, named, f"{_node(children)} {'prefill' if side.prefill else 'main'}"
        )
        if found is not None:
            return Account(found, generated=False)
    return Account(rbac.account(ctx, generated, labels, None), generated=True)


def ensure(ctx: Context, children: tuple[naming.Child, ...], used: Account) -> Iterator[Write]:
    """Writes the account, if it is ours."""
    if used.generated:
        prefix = f"failed to reconcile {_node(children)} service account {ctx.namespace}/{used.name}: "
        yield from under(prefix, rbac.ensure_account(ctx, used.obj))


def grant(
    ctx: Context,
    children: tuple[naming.Child, ...],
    used: Account,
    labels: Mapping[str, str],
    *,
    sidecar: bool,
) -> Iterator[Write]:
    """Role and binding of a routing sidecar, or neither; then a generated account that nobody has any more goes."""
    left = not used.generated and is_left_in_pods(ctx, children)
    if sidecar:
        subjects = [used.name, *([naming.name(ctx, children, kinds.SERVICE_ACCOUNT)] if left else [])]
        yield from rbac.grant(
            ctx,
            _node(children),
            role=naming.name(ctx, children, kinds.ROLE),
            binding_name=naming.name(ctx, children, kinds.ROLE_BINDING),
            accounts=subjects,
            labels=labels,
            rules=pods.SIDECAR_RULES,
        )
    elif not left:
        yield from naming.remove_child(ctx, children, kinds.ROLE_BINDING, kinds.ROLE)
    if not used.generated and not left:
        yield from naming.remove_child(ctx, children, kinds.SERVICE_ACCOUNT)


def _node(children: tuple[naming.Child, ...]) -> str:
    return "multi node" if children[0][0] == kinds.LEADER_WORKER_SET else "single node"


def is_left_in_pods(ctx: Context, children: tuple[naming.Child, ...]) -> bool:
    """Whether pods of the workload still run under the generated account."""
    kind, _ = children[0]
    if kind.optional and ctx.obs.served(kind) is Served.NO:
        return False
    ours = naming.name(ctx, children, kinds.SERVICE_ACCOUNT)
    if need(ctx.obs.get(kinds.SERVICE_ACCOUNT, ctx.namespace, ours)) is None:
        return False
    live = need(ctx.obs.get(kind, ctx.namespace, naming.workload_name(ctx, children)))
    if live is None or not is_ours(ctx, live):
        return False
    return any(text(pod, "serviceAccountName") == ours for pod in _templates(live)) or _is_rolling(live)


def _templates(workload: Object) -> Sequence[Mapping[str, Any]]:
    groups = mapping(workload, "spec", "leaderWorkerTemplate")
    return [
        mapping(workload, "spec", "template", "spec"),
        mapping(groups, "leaderTemplate", "spec"),
        mapping(groups, "workerTemplate", "spec"),
    ]


def _is_rolling(workload: Object) -> bool:
    """Whether its controller has yet to replace pods of an older template; one without a word is taken as done."""
    status = mapping(workload, "status")
    observed, generation = integer(status, "observedGeneration"), integer(workload, "metadata", "generation")
    updated, replicas = integer(status, "updatedReplicas"), integer(status, "replicas")
    behind = observed is not None and generation is not None and observed < generation
    return behind or (updated or 0) < (replicas or 0)
