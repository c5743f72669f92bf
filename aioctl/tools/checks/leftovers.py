"""What others left or hold: KServe's own controllers, and finalizers that would hold an uninstall up."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from aioctl.api import kinds, names
from aioctl.api.objects import Object, dig, is_deleting, key_of, labels_of, name_of, sequence
from aioctl.tools.checks.controller import seconds_since
from aioctl.tools.checks.finding import Finding, bad, warn
from aioctl.tools.checks.survey import Survey
from aioctl.tools.checks.webhooks import is_of_aioctl, nowhere, of_our_kinds
from aioctl.tools.installation import CRDS
from aioctl.tools.look import age

GOING_FOR: Final = timedelta(minutes=10)
SEPARATE: Final = "llmisvc-controller-manager"
COMBINED: Final = "kserve-controller-manager"
COMBINED_ROLE: Final = "kserve-manager-role"
ROLES: Final = ("kserve-llmisvc-manager-role",)
BINDINGS: Final = ("llmisvc-manager-rolebinding",)
"""Names that KServe gives to what its LLM controller needs (its config/rbac/llmisvc)."""
_WRITES: Final = frozenset({"update", "patch", "create", "*"})
_USUAL: Final = frozenset({"foregroundDeletion", "orphan", "customresourcecleanup.apiextensions.k8s.io"})


def left(facts: Survey) -> Iterator[Finding]:
    for role, configuration, hook in of_our_kinds(facts):
        problem = nowhere(facts, dig(hook, "clientConfig"))
        if problem and not is_of_aioctl(hook):
            yield bad("AIO-LEFT-001", f"{role.kind} {name_of(configuration)}, {hook.get('name')}: {problem}")
    yield from runs(facts)
    if not facts.read(kinds.DEPLOYMENT) or _deployments(facts, SEPARATE):
        return
    for kind, known in ((kinds.CLUSTER_ROLE, ROLES), (kinds.CLUSTER_ROLE_BINDING, BINDINGS)):
        for name in known:
            if facts.named(kind, name) is not None:
                yield warn("AIO-LEFT-003", f"{kind.kind} {name}")


def runs(facts: Survey) -> Iterator[Finding]:
    """KServe's controllers that reconcile our kinds."""
    for deployment in _deployments(facts, SEPARATE):
        if dig(deployment, "spec", "replicas") != 0:
            count = dig(deployment, "spec", "replicas")
            yield bad("AIO-LEFT-002", f"Deployment {key_of(deployment)} has {count} replicas")
    role = facts.named(kinds.CLUSTER_ROLE, COMBINED_ROLE)
    if role is None or not any(_writes_ours(rule) for rule in sequence(role, "rules")):
        return
    for deployment in _deployments(facts, COMBINED):
        if dig(deployment, "spec", "replicas") != 0:
            yield bad(
                "AIO-LEFT-004",
                f"Deployment {key_of(deployment)} runs, and ClusterRole {COMBINED_ROLE} lets it write "
                f"{kinds.SERVICE.plural}",
            )


def _deployments(facts: Survey, name: str) -> list[Object]:
    return [one for one in facts.all(kinds.DEPLOYMENT) if name_of(one) == name]


def _writes_ours(rule: object) -> bool:
    groups, resources = sequence(rule, "apiGroups"), sequence(rule, "resources")
    return (
        (kinds.GROUP in groups or "*" in groups)
        and (kinds.SERVICE.plural in resources or "*" in resources)
        and bool(_WRITES.intersection(map(str, sequence(rule, "verbs"))))
    )


def finalizers(facts: Survey) -> Iterator[Finding]:
    ours = {names.FINALIZER, names.CONFIG_FINALIZER} | _USUAL
    for kind in (kinds.SERVICE, kinds.CONFIG):
        for obj in facts.all(kind):
            where = f"{kind.kind} {key_of(obj)}"
            if foreign := _finalizers(obj, ours):
                yield warn("AIO-FIN-001", f"{where}: {', '.join(foreign)}")
            since = dig(obj, "metadata", "deletionTimestamp")
            old = seconds_since(since, facts.now) if is_deleting(obj) else None
            if old is not None and old > GOING_FOR.total_seconds():
                held = ", ".join(map(str, sequence(obj, "metadata", "finalizers")))
                yield bad(
                    "AIO-FIN-002", f"{where} has been going for {age(since, facts.now)}; finalizers: {held}"
                )
    for kind in (kinds.HTTP_ROUTE, kinds.POOL_V1, kinds.POOL_V1ALPHA2):
        for obj in facts.all(kind):
            foreign = _finalizers(obj, _USUAL)
            if foreign and labels_of(obj).get(names.PART_OF) == names.PART_OF_VALUE:
                yield warn("AIO-FIN-003", f"{kind.kind} {kind.version} {key_of(obj)}: {', '.join(foreign)}")
    for name in CRDS:
        crd = facts.named(kinds.CRD, name)
        if crd is not None and (foreign := _finalizers(crd, _USUAL)):
            yield warn("AIO-FIN-003", f"{kinds.CRD.kind} {name}: {', '.join(foreign)}")


def _finalizers(obj: Object, usual: frozenset[str] | set[str]) -> list[str]:
    return [str(one) for one in sequence(obj, "metadata", "finalizers") if one not in usual]
