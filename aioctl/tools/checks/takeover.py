"""`aioctl check --takeover`: what would be lost or changed if this controller took over from KServe's. Pure.

Over the survey, and over what `aioctl diff -A` finds: plans for every service, made and not applied.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from aioctl.api import kinds, names
from aioctl.api.defaulting import is_stopped
from aioctl.api.kinds import ObjectKey
from aioctl.api.objects import Object, is_controlled_by, is_deleting, key_of, name_of, namespace_of, uid_of
from aioctl.plan.global_config import TLS_SWITCH
from aioctl.plan.workload.service import speaks_tls
from aioctl.tools.checks import leftovers
from aioctl.tools.checks.cluster import cluster, others
from aioctl.tools.checks.files import admitted, dropped_fields
from aioctl.tools.checks.finding import Finding, bad, fine, title, warn
from aioctl.tools.checks.gateways import gateways
from aioctl.tools.checks.judge import Judge, check
from aioctl.tools.checks.presets import rendering, settings_of, unusable
from aioctl.tools.checks.schemas import asked_for
from aioctl.tools.checks.survey import Survey
from aioctl.tools.diff import Report

BESIDE: Final[Sequence[tuple[str, Judge]]] = (
    ("CLU", cluster),
    ("EXT", others),
    ("GW", gateways),
    ("FIN", leftovers.finalizers),
)
"""The groups that make sense beside a controller that runs."""


def check_takeover(facts: Survey, reports: Sequence[Report]) -> list[Finding]:
    """Those groups, and what would become of services and configs."""
    found = [*_objects(facts), *rendering(facts, "AIO-TAKE-002"), *_lost_tls(facts), *_plans(reports)]
    head = [] if any(one.code for one in found) else [title("TAKE")]
    counts = f"{len(facts.all(kinds.SERVICE))} services and {len(facts.all(kinds.CONFIG))} configs"
    return [
        *check(facts, BESIDE),
        *head,
        *found,
        fine("TAKE", f"{counts} were looked at; {_still(facts)}"),
    ]


def _still(facts: Survey) -> str:
    running = [one.found for one in leftovers.runs(facts)]
    return "; ".join(running) if running else "no controller of KServe for them was seen"


def _objects(facts: Survey) -> Iterator[Finding]:
    settings = settings_of(facts.settings_map, facts.system_namespace)
    for kind in (kinds.SERVICE, kinds.CONFIG):
        for obj in facts.all(kind):
            whole = {"apiVersion": kind.api_version, "kind": kind.kind, **obj}
            where = f"{kind.kind} {key_of(obj)}"
            if lost := list(dict.fromkeys([*dropped_fields(whole), *_applied(whole)])):
                yield bad("AIO-TAKE-001", f"{where}: {', '.join(lost)}")
            _, refused = admitted(whole, settings)
            if refused and not _of_rendering(kind.kind, refused):
                yield warn("AIO-TAKE-006", f"{where}: {refused}")


def _of_rendering(kind: str, refused: str) -> bool:
    """Whether it is a config's template that is refused, which has a code of its own."""
    return kind == kinds.CONFIG.kind and "spec.baseRefs" not in refused and "is invalid" not in refused


def _applied(obj: Object) -> Iterator[str]:
    """Fields that somebody asked for, in v1alpha2, and that nobody here knows."""
    for version, spec in asked_for(obj):
        if version == "v1alpha2":
            yield from dropped_fields({**obj, "spec": spec})


def _lost_tls(facts: Survey) -> Iterator[Finding]:
    """One line for the fleet, as one key of one ConfigMap decides; none where that is not known to be absent."""
    settings, namespace = facts.settings_map, facts.system_namespace
    if kinds.CONFIG_MAP.resource in facts.unread or (settings is not None and unusable(settings, namespace)):
        return
    if settings_of(settings, namespace).routing.enable_tls is not None:
        return
    stored = {key_of(one): one for one in facts.all(kinds.CORE_SERVICE) if speaks_tls(one)}
    secure = []
    for service in facts.all(kinds.SERVICE):
        key = ObjectKey(namespace_of(service), names.workload_service_name(name_of(service)))
        one = stored.get(key)
        going = is_deleting(service) or is_stopped(service)
        if one is not None and not going and is_controlled_by(one, uid_of(service)):
            secure.append(str(key))
    if secure:
        more = f" and {len(secure) - 1} more" if len(secure) > 1 else ""
        yield bad(
            "AIO-TAKE-007",
            f"{TLS_SWITCH} is absent from key ingress of ConfigMap {namespace}/{names.CONFIG_MAP_NAME}, and https: Service "
            f"{secure[0]}{more}",
        )


def _plans(reports: Sequence[Report]) -> Iterator[Finding]:
    same = 0
    for report in reports:
        where = f"{kinds.SERVICE.kind} {key_of(report.service)}"
        for problem in report.problems:
            yield bad("AIO-TAKE-005", f"{where}: {problem}")
        changes = [one.planned for one in report.differences]
        loud = [one for one in changes if one.restarts]
        quiet = [one for one in changes if not one.restarts]
        for one in loud:
            yield bad("AIO-TAKE-003", f"{where}: {one.verb} {one.ref}: {one.restarts}")
        if quiet:
            names = ", ".join(f"{one.verb} {one.ref.kind.kind} {one.ref.name}" for one in quiet)
            yield warn("AIO-TAKE-004", f"{where}: {names}")
        same += not changes and not report.problems
    if reports:
        yield fine("TAKE", f"{same} of {len(reports)} services would not be written to at all")
