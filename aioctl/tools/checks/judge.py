"""All groups of checks in order. Each judge yields what is wrong, and what it saw that is well."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from aioctl.api import kinds
from aioctl.api.kinds import Kind
from aioctl.tools.checks import controller, crds, leftovers, webhooks
from aioctl.tools.checks.cluster import cluster, others
from aioctl.tools.checks.finding import Finding, title, unknown
from aioctl.tools.checks.gateways import gateways
from aioctl.tools.checks.presets import presets
from aioctl.tools.checks.survey import Survey

Judge = Callable[[Survey], Iterable[Finding]]
INSTALLED: Final[Sequence[tuple[str, Judge]]] = (
    ("CLU", cluster),
    ("CRD", crds.crds),
    ("EXT", others),
    ("HOOK", webhooks.hooks),
    ("CERT", webhooks.certificates),
    ("RBAC", controller.rights),
    ("LEAD", controller.leader),
    ("PRE", presets),
    ("GW", gateways),
    ("STORE", crds.stored),
    ("LEFT", leftovers.left),
    ("FIN", leftovers.finalizers),
)
"""Of an installation."""
BEFORE: Final[Sequence[tuple[str, Judge]]] = (
    ("CLU", cluster),
    ("EXT", others),
    ("GW", gateways),
    ("LEFT", leftovers.left),
)
"""Before anything of ours is installed."""


STANDS_ON: Final[Mapping[str, Sequence[Kind]]] = {
    "CRD": (kinds.CRD,),
    "EXT": (kinds.CRD,),
    "HOOK": (kinds.VALIDATING_WEBHOOK, kinds.MUTATING_WEBHOOK),
    "CERT": (kinds.CRD, kinds.VALIDATING_WEBHOOK, kinds.MUTATING_WEBHOOK, kinds.SECRET),
    "RBAC": (kinds.DEPLOYMENT,),
    "LEAD": (kinds.DEPLOYMENT, kinds.LEASE),
    "PRE": (kinds.CONFIG, kinds.CONFIG_MAP),
    "GW": (kinds.GATEWAY, kinds.GATEWAY_CLASS),
    "STORE": (kinds.CRD,),
    "LEFT": (kinds.DEPLOYMENT, kinds.CLUSTER_ROLE, kinds.VALIDATING_WEBHOOK, kinds.MUTATING_WEBHOOK),
    "FIN": (kinds.SERVICE, kinds.CONFIG),
}
"""Group -> kinds without which it cannot say that nothing is wrong."""


def check(facts: Survey, judges: Sequence[tuple[str, Judge]] = INSTALLED) -> list[Finding]:
    """What each group finds; one in which nothing is wrong, or of which that is not known, says so first."""
    findings: list[Finding] = []
    for group, judge in judges:
        found = list(judge(facts))
        if unread := [kind.resource for kind in STANDS_ON.get(group, ()) if kind.resource in facts.unread]:
            findings.append(unknown(group, unread))
        elif not any(one.code for one in found):
            findings.append(title(group))
        findings += found
    return findings
