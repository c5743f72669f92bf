"""The controller that runs: its Deployment, who leads, and what its account may do."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from aioctl.api import kinds
from aioctl.api.objects import dig, key_of, namespace_of
from aioctl.tools.checks import permissions
from aioctl.tools.checks.finding import Finding, bad, fine, warn
from aioctl.tools.checks.survey import Survey
from aioctl.tools.look import age

LEASE_SECONDS: Final = 15
"""How long a lease lasts that does not say so."""


def rights(facts: Survey) -> Iterator[Finding]:
    if not facts.read(kinds.DEPLOYMENT):
        return
    account = permissions.account_of(facts.all(kinds.DEPLOYMENT))
    if account is None:
        yield fine("RBAC", "no controller was found, so nothing is known of what its account may do")
        return
    readable = facts.read(kinds.CLUSTER_ROLE_BINDING) and facts.read(kinds.CLUSTER_ROLE)
    bound = permissions.bound_roles(account, facts.all(kinds.CLUSTER_ROLE_BINDING))
    if readable and not bound:
        yield bad("AIO-RBAC-001", f"{account} is bound to no ClusterRole")
        return
    if facts.denied is not None:
        denied, asked = facts.denied, "SubjectAccessReview"
    elif readable:
        roles = permissions.with_names(facts.all(kinds.CLUSTER_ROLE), bound)
        denied, asked = permissions.lacking(roles, account.namespace), "its ClusterRoles"
    else:
        return
    for what, verbs in permissions.by_object(denied).items():
        yield bad("AIO-RBAC-002", f"{account} may not {', '.join(verbs)} {what} (by {asked})")
    yield fine("RBAC", f"{account} was compared with the shipped roles, by {asked}")


def leader(facts: Survey) -> Iterator[Finding]:
    if not facts.read(kinds.DEPLOYMENT):
        return
    controller = permissions.controller_of(facts.all(kinds.DEPLOYMENT))
    holder = dig(facts.lease, "spec", "holderIdentity")
    if controller is None:
        found = f"no Deployment has the label {'='.join(permissions.LABEL)}"
        if not (holder and is_held(facts.lease, facts.now)):
            yield bad("AIO-LEAD-001", found)
            return
        # As `aioctl run` with a kubeconfig does, and the demo.
        yield warn("AIO-LEAD-006", f"{found}, though one leads")
    elif not dig(controller, "status", "readyReplicas"):
        yield bad(
            "AIO-LEAD-002",
            f"Deployment {key_of(controller)}: 0 of {dig(controller, 'spec', 'replicas')} replicas are ready",
        )
    if not holder:
        if kinds.LEASE.resource not in facts.unread:
            why = "has no holder" if facts.lease else "does not exist"
            yield bad("AIO-LEAD-003", f"lease {facts.lease_key} {why}")
        return
    renewed = dig(facts.lease, "spec", "renewTime")
    ago = age(renewed, facts.now)
    if is_held(facts.lease, facts.now):
        yield fine("LEAD", f"{holder} leads, lease {facts.lease_key} renewed {ago} ago")
    else:
        yield bad("AIO-LEAD-004", f"lease {facts.lease_key} of {holder} was renewed {ago} ago")
    yield from _elsewhere(facts)


def _elsewhere(facts: Survey) -> Iterator[Finding]:
    """Two leaders exclude each other by the lease's name and its namespace."""
    for lease in facts.leases:
        holder = dig(lease, "spec", "holderIdentity")
        if namespace_of(lease) != facts.lease_key.namespace and holder and is_held(lease, facts.now):
            yield bad("AIO-LEAD-005", f"lease {key_of(lease)} is held by {holder}")


def is_held(lease: object, now: datetime) -> bool:
    """Whether the holder renewed it within twice the time for which it holds; True where it does not say when."""
    lasts = float(dig(lease, "spec", "leaseDurationSeconds") or LEASE_SECONDS)
    old = seconds_since(dig(lease, "spec", "renewTime"), now)
    return old is None or old <= 2 * lasts


def seconds_since(moment: object, now: datetime) -> float | None:
    """None for what is no time."""
    try:
        return (now - datetime.fromisoformat(str(moment))).total_seconds()
    except (ValueError, TypeError):
        return None
