"""All groups of checks in order. Each judge yields what is wrong, and what it saw that is well."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from aioctl.tools.checks import controller, crds, leftovers, webhooks
from aioctl.tools.checks.cluster import cluster, others
from aioctl.tools.checks.finding import Finding, title
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


def check(facts: Survey, judges: Sequence[tuple[str, Judge]] = INSTALLED) -> list[Finding]:
    """What each group finds; one in which nothing is wrong says so first."""
    findings: list[Finding] = []
    for group, judge in judges:
        found = list(judge(facts))
        findings += found if any(one.code for one in found) else [title(group), *found]
    return findings
