"""Every permission that the program needs, by reason; the shipped roles have to hold these and no other (RBAC-1).

What can be read off the code is: the watches, and the rules of the roles that are handed out. The rest is one row for
each call the code makes.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from aioctl.api import kinds
from aioctl.api.kinds import Kind
from aioctl.app import policy_of
from aioctl.controller.caches import watched
from aioctl.plan import scheduler
from aioctl.plan.workload import pods
from aioctl.settings import load
from aioctl.upkeep.former_autoscalers import VARIANT_AUTOSCALING
from aioctl.upkeep.webhook_certificates import TARGETS
from tests.deploy.manifests import NAMESPACE, Permission

CHILDREN = (
    kinds.CORE_SERVICE,
    kinds.SECRET,
    kinds.SERVICE_ACCOUNT,
    kinds.DEPLOYMENT,
    kinds.LEADER_WORKER_SET,
    kinds.RESOURCE_CLAIM_TEMPLATE,
    kinds.AUTOSCALER,
    kinds.SCALED_OBJECT,
    kinds.ROLE,
    kinds.ROLE_BINDING,
    kinds.CLUSTER_ROLE_BINDING,
    kinds.HTTP_ROUTE,
    kinds.POOL_V1,
    kinds.POOL_V1ALPHA2,
    kinds.MODEL,
    kinds.DESTINATION_RULE,
    kinds.POD_MONITOR,
    kinds.SERVICE_MONITOR,
)
"""What plans write. A child that stands in the way of a creation is read once, whoever made it."""

SHARED = (kinds.POD_MONITOR, kinds.SERVICE_MONITOR)
"""Only made for a whole namespace: what stands in their way counts as there, and is not read (MON-1)."""

HANDED_OUT: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "the endpoint picker's role": scheduler._RULES,
    "the routing side-car's role": pods.SIDECAR_RULES,
    "system:auth-delegator": (
        {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
        {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
    ),
}
"""The escalation rule: nobody can give what he has not."""


def on(kind: Kind, *verbs: str, part: str = "", name: str = "", namespace: str = "") -> Iterator[Permission]:
    resource = f"{kind.plural}/{part}" if part else kind.plural
    for verb in verbs:
        yield Permission(verb, kind.group, resource, name, namespace)


def rules(given: Iterable[Mapping[str, Any]]) -> Iterator[Permission]:
    for rule in given:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                for verb in rule["verbs"]:
                    yield Permission(verb, group, resource)


def needed() -> set[Permission]:
    found: set[Permission] = set()
    for watch in watched(NAMESPACE, policy_of(load({})[0]).signer):
        if watch.kind == kinds.CRD:
            found |= set(on(watch.kind, "list", "watch", name=kinds.SERVICE.resource))
        else:
            found |= set(on(watch.kind, "list", "watch"))
    for kind in CHILDREN:
        found |= set(on(kind, "create", "update", "delete"))
        if kind not in SHARED:
            found |= set(on(kind, "get"))
    for given in HANDED_OUT.values():
        found |= set(rules(given))
    event = Kind("", "v1", "Event", "events")
    found |= {
        *on(kinds.SERVICE, "create"),  # as dry runs only
        *on(kinds.SERVICE, "get", "patch"),  # after a conflict on the status; finalizer, storage migration
        *on(kinds.SERVICE, "update", part="status"),
        *on(kinds.SERVICE, "update", part="finalizers"),  # blockOwnerDeletion of children
        *on(kinds.CONFIG, "patch"),  # finalizer, storage migration
        *on(kinds.CONFIG, "update", part="status"),
        *on(kinds.CONFIG_MAP, "list", "watch"),  # by name, those that services refer to
        *on(kinds.CONFIG_MAP, "get", "create", "update"),  # CA bundle, copied
        *on(VARIANT_AUTOSCALING, "list", "delete"),  # what KServe made for autoscaling before
        *on(event, "create", "patch"),
        *on(kinds.TOKEN_REVIEW, "create"),  # who may read the metrics port (AIOCTL_METRICS_AUTH)
        *on(kinds.ACCESS_REVIEW, "create"),
        *on(kinds.NAMESPACE, "get"),  # whether it is being deleted
        *on(kinds.LEASE, "get", "create", "update", namespace=NAMESPACE),
    }
    for target in TARGETS:
        found |= set(on(target.kind, "get", "patch", name=target.name))  # CA bundle of the webhooks
    for kind in (kinds.SERVICE, kinds.CONFIG):
        found |= set(on(kinds.CRD, "get", name=kind.resource))
        found |= set(on(kinds.CRD, "patch", part="status", name=kind.resource))
    return found
