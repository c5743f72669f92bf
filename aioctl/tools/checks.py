"""`aioctl check`: what is wrong with an installation. Pure functions of a survey, one a group; each finding has a stable code."""

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from aioctl import shipped
from aioctl.api import kinds, names
from aioctl.api.kinds import Kind
from aioctl.api.objects import Object, dig, is_deleting, key_of, name_of, namespace_of, sequence, text
from aioctl.controller.caches import watched
from aioctl.pki.pairs import read_certificate
from aioctl.plan.readiness import find_condition
from aioctl.tools.check_codes import CHECK, GROUPS
from aioctl.tools.codes import Code
from aioctl.tools.installation import CRDS, versions
from aioctl.tools.look import age
from aioctl.tools.survey import OURS, Survey

OLDEST_MINOR: Final = 30
SLOW: Final = 1.0
"""Seconds for a dry run after which one is told."""
GOING_FOR: Final = timedelta(minutes=10)
LABEL: Final = ("app.kubernetes.io/name", "aioctl")


class Grade(StrEnum):
    """How bad it is. A warning asks nobody to act now."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line. `code` None: all is well, and `found` says what was looked at."""

    group: str
    grade: Grade
    found: str
    code: Code | None = None

    def as_data(self) -> dict[str, Any]:
        """The fields that `-o json` promises."""
        return {
            "group": self.group,
            "grade": self.grade.value,
            "code": self.code.code if self.code else "",
            "found": self.found,
            "cure": self.code.cure if self.code else "",
            "page": self.code.page if self.code else "",
        }


def check(facts: Survey, *, pre: bool = False) -> list[Finding]:
    """Every group in order; a group without findings says so in one line. `pre`: before anything of ours is installed."""
    findings: list[Finding] = []
    for group, judge, early in _GROUPS:
        if pre and not early:
            continue
        bad = list(judge(facts))
        findings += bad or [Finding(group, Grade.OK, GROUPS[group])]
    return findings


def _bad(code: str, found: str, grade: Grade = Grade.FAILED) -> Finding:
    return Finding(code.split("-")[1], grade, found, CHECK[code])


def _warn(code: str, found: str) -> Finding:
    return _bad(code, found, Grade.WARNING)


def _cluster(facts: Survey) -> Iterator[Finding]:
    match = re.match(r"v?(\d+)\.(\d+)", facts.version)
    if match and (int(match[1]), int(match[2])) < (1, OLDEST_MINOR):
        yield _warn("AIO-CLU-001", f"the API server is {facts.version}")
    for said in facts.unread.values():
        yield _warn("AIO-CLU-002", said)


def _crds(facts: Survey) -> Iterator[Finding]:
    if not facts.read(kinds.CRD):
        return
    for name in CRDS:
        crd = facts.named(kinds.CRD, name)
        if crd is None:
            yield _bad("AIO-CRD-001", f"{name} is not installed")
            continue
        served, stored = versions(crd)
        if missing := sorted({"v1alpha1", "v1alpha2"} - set(served)):
            yield _bad("AIO-CRD-002", f"{name} does not serve {', '.join(missing)}")
        if stored != "v1alpha2":
            yield _bad("AIO-CRD-003", f"{name} stores {stored or 'nothing'}")
        if dig(crd, "spec", "conversion", "strategy") != "Webhook":
            yield _bad(
                "AIO-CRD-004",
                f"{name}: spec.conversion.strategy is {dig(crd, 'spec', 'conversion', 'strategy')}",
            )
        elif problem := _nowhere(facts, dig(crd, "spec", "conversion", "webhook", "clientConfig")):
            yield _bad("AIO-CRD-005", f"{name}: {problem}")


def _nowhere(facts: Survey, config: Any) -> str:
    """Why a clientConfig leads nowhere; empty when its Service is there, or it names a URL."""
    service = dig(config, "service")
    if not isinstance(service, Mapping) or not facts.read(kinds.CORE_SERVICE):
        return ""
    name, namespace = text(service, "name"), text(service, "namespace")
    if facts.named(kinds.CORE_SERVICE, name, namespace) is not None:
        return ""
    return f"Service {namespace}/{name} does not exist"


def _others(facts: Survey) -> Iterator[Finding]:
    if not facts.read(kinds.CRD):
        return
    there = {name_of(crd) for crd in facts.all(kinds.CRD)}
    gateway_api = (kinds.HTTP_ROUTE, kinds.GATEWAY, kinds.GATEWAY_CLASS)
    if missing := [kind.resource for kind in gateway_api if kind.resource not in there]:
        yield _bad("AIO-EXT-001", f"not installed: {', '.join(missing)}")
    pools = [kind for kind in (kinds.POOL_V1, kinds.POOL_V1ALPHA2) if kind.resource in there]
    if not pools:
        yield _bad(
            "AIO-EXT-003", f"neither {kinds.POOL_V1.resource} nor {kinds.POOL_V1ALPHA2.resource} is installed"
        )
    elif kinds.POOL_V1 not in pools:
        yield _warn("AIO-EXT-002", f"{kinds.POOL_V1.resource} is not installed")
    if kinds.LEADER_WORKER_SET.resource not in there:
        for service in facts.all(kinds.SERVICE):
            if (
                dig(service, "spec", "worker") is not None
                or dig(service, "spec", "prefill", "worker") is not None
            ):
                yield _bad("AIO-EXT-004", f"{kinds.SERVICE.kind} {key_of(service)} has workers")


def _ours(facts: Survey) -> Iterator[tuple[Kind, Object, Mapping[str, Any]]]:
    """Every webhook, of any configuration, whose rules name our kinds."""
    for kind in (kinds.VALIDATING_WEBHOOK, kinds.MUTATING_WEBHOOK):
        for configuration in facts.all(kind):
            for hook in sequence(configuration, "webhooks"):
                if any(
                    kinds.GROUP in sequence(rule, "apiGroups") and _names_ours(rule)
                    for rule in sequence(hook, "rules")
                ):
                    yield kind, configuration, hook


def _names_ours(rule: Any) -> bool:
    ours = {kinds.SERVICE.plural, kinds.CONFIG.plural, "*"}
    return any(str(resource).partition("/")[0] in ours for resource in sequence(rule, "resources"))


def _is_of_aioctl(hook: Mapping[str, Any]) -> bool:
    """By the Service it calls: KServe's configurations and ours have the same names."""
    path = str(dig(hook, "clientConfig", "service", "path") or dig(hook, "clientConfig", "url") or "")
    return "aioctl" in str(dig(hook, "clientConfig", "service", "name") or "") or (
        not dig(hook, "clientConfig", "service") and "serving-kserve-io" in path
    )


def _hooks(facts: Survey) -> Iterator[Finding]:
    if facts.read(kinds.VALIDATING_WEBHOOK) and facts.read(kinds.MUTATING_WEBHOOK):
        covered = {
            (role, str(version), str(resource).partition("/")[0])
            for role, _, hook in _ours(facts)
            for rule in sequence(hook, "rules")
            for version in sequence(rule, "apiVersions")
            for resource in sequence(rule, "resources")
        }
        wanted = [(kinds.VALIDATING_WEBHOOK, kind) for kind in OURS]
        wanted += [(kinds.MUTATING_WEBHOOK, kind) for kind in (kinds.SERVICE, kinds.SERVICE_V1ALPHA1)]
        for role, kind in wanted:
            if (role, kind.version, kind.plural) not in covered:
                yield _bad("AIO-HOOK-001", f"no {role.kind} is called for {kind.plural} {kind.version}")
    for role, configuration, hook in _ours(facts):
        problem = _nowhere(facts, dig(hook, "clientConfig"))
        if problem and _is_of_aioctl(hook):
            yield _bad("AIO-HOOK-002", f"{role.kind} {name_of(configuration)}, {hook.get('name')}: {problem}")
    for run in facts.dry_runs:
        what = f"create of a {run.kind.kind} {run.kind.version} as a dry run"
        if run.error:
            yield _bad("AIO-HOOK-003", f"{what}: {run.error}")
        elif run.seconds > SLOW:
            yield _warn("AIO-HOOK-004", f"{what} took {run.seconds:.1f} s")


def _certificates(facts: Survey) -> Iterator[Finding]:
    bundles: dict[str, list[str]] = {}
    for where, config in _clients(facts):
        if dig(config, "service") is None and not str(dig(config, "url") or ""):
            continue
        bundle = dig(config, "caBundle")
        if not bundle:
            yield _warn("AIO-CERT-001", f"{where} has no caBundle")
            continue
        bundles.setdefault(str(bundle), []).append(where)
    for bundle, where_all in bundles.items():
        try:
            parsed = read_certificate(base64.b64decode(bundle, validate=True))
        except (binascii.Error, ValueError):
            parsed = "is no base64"
        if isinstance(parsed, str):
            yield _bad("AIO-CERT-002", f"{', '.join(where_all)}: caBundle {parsed}")
        elif parsed.not_after <= facts.now:
            yield _bad(
                "AIO-CERT-003", f"{', '.join(where_all)}: expired {parsed.not_after:%Y-%m-%dT%H:%M:%SZ}"
            )
    if len(bundles) > 1:
        fewest = min(bundles.values(), key=len)
        yield _warn(
            "AIO-CERT-004",
            f"{', '.join(fewest)} {'has' if len(fewest) == 1 else 'have'} another caBundle than the rest",
        )


def _clients(facts: Survey) -> Iterator[tuple[str, Any]]:
    """Who calls us, and how, by CRDs and webhooks."""
    for name in CRDS:
        crd = facts.named(kinds.CRD, name)
        config = dig(crd, "spec", "conversion", "webhook", "clientConfig")
        if config is not None:
            yield f"CRD {name}", config
    for role, configuration, hook in _ours(facts):
        if _is_of_aioctl(hook):
            yield f"{role.kind} {name_of(configuration)} {hook.get('name')}", dig(hook, "clientConfig")


def _controller(facts: Survey) -> Object | None:
    label, value = LABEL
    return next(
        (obj for obj in facts.all(kinds.DEPLOYMENT) if dig(obj, "metadata", "labels", label) == value), None
    )


def _rbac(facts: Survey) -> Iterator[Finding]:
    controller = _controller(facts)
    if controller is None or not facts.read(kinds.CLUSTER_ROLE_BINDING) or not facts.read(kinds.CLUSTER_ROLE):
        return
    namespace = namespace_of(controller)
    account = str(dig(controller, "spec", "template", "spec", "serviceAccountName") or "default")
    bound = {
        text(binding, "roleRef", "name")
        for binding in facts.all(kinds.CLUSTER_ROLE_BINDING)
        for subject in sequence(binding, "subjects")
        if (text(subject, "kind"), text(subject, "namespace"), text(subject, "name"))
        == ("ServiceAccount", namespace, account)
    }
    if not bound:
        yield _bad("AIO-RBAC-001", f"ServiceAccount {namespace}/{account} is bound to no ClusterRole")
        return
    rules = [
        rule
        for role in facts.all(kinds.CLUSTER_ROLE)
        if name_of(role) in bound
        for rule in sequence(role, "rules")
    ]
    # A watch of one object by name is allowed by a rule of that name.
    watches = [watch for watch in watched(namespace, None) if not (watch.namespace or watch.fields)]
    for kind in dict.fromkeys(watch.kind for watch in watches):
        lacking = [verb for verb in ("list", "watch") if not any(_allows(rule, kind, verb) for rule in rules)]
        if lacking:
            yield _bad(
                "AIO-RBAC-002",
                f"ServiceAccount {namespace}/{account} may not {' and '.join(lacking)} {kind.resource}",
            )


def _allows(rule: Any, kind: Kind, verb: str) -> bool:
    return (
        not sequence(rule, "resourceNames")
        and _among(kind.group, sequence(rule, "apiGroups"))
        and _among(kind.plural, sequence(rule, "resources"))
        and _among(verb, sequence(rule, "verbs"))
    )


def _among(one: str, of: Sequence[Any]) -> bool:
    return one in of or "*" in of


def _leader(facts: Survey) -> Iterator[Finding]:
    controller = _controller(facts)
    if not facts.read(kinds.DEPLOYMENT):
        return
    if controller is None:
        yield _bad("AIO-LEAD-001", f"no Deployment has the label {'='.join(LABEL)}")
        return
    if not dig(controller, "status", "readyReplicas"):
        yield _bad(
            "AIO-LEAD-002",
            f"Deployment {key_of(controller)}: 0 of {dig(controller, 'spec', 'replicas')} replicas are ready",
        )
    holder = dig(facts.lease, "spec", "holderIdentity")
    if not holder:
        if kinds.LEASE.resource not in facts.unread:
            yield _bad(
                "AIO-LEAD-003",
                f"lease {facts.lease_key} " + ("has no holder" if facts.lease else "does not exist"),
            )
        return
    renewed, lasts = (
        dig(facts.lease, "spec", "renewTime"),
        dig(facts.lease, "spec", "leaseDurationSeconds") or 15,
    )
    old = _seconds(renewed, facts)
    if old is not None and old > 2 * float(lasts):
        yield _bad(
            "AIO-LEAD-004", f"lease {facts.lease_key} of {holder} was renewed {age(renewed, facts.now)} ago"
        )


def _seconds(moment: object, facts: Survey) -> float | None:
    try:
        return (facts.now - datetime.fromisoformat(str(moment))).total_seconds()
    except (ValueError, TypeError):
        return None


def _presets(facts: Survey) -> Iterator[Finding]:
    if not facts.read(kinds.CONFIG):
        return
    for preset in shipped.objects(shipped.presets_folder()):
        stored = facts.named(kinds.CONFIG, name_of(preset), facts.system_namespace)
        if stored is None:
            yield _bad("AIO-PRE-001", f"{facts.system_namespace}/{name_of(preset)} does not exist")
        elif not _covers(dig(stored, "spec"), dig(preset, "spec")):
            yield _warn(
                "AIO-PRE-002", f"{facts.system_namespace}/{name_of(preset)} differs from that of this release"
            )


def _covers(stored: Any, given: Any) -> bool:
    """Whether what is stored says the same where something was given: the API server adds defaults."""
    if isinstance(given, Mapping):
        return isinstance(stored, Mapping) and all(
            _covers(stored.get(key), value) for key, value in given.items()
        )
    if isinstance(given, list):
        return isinstance(stored, list) and len(stored) == len(given) and all(map(_covers, stored, given))
    return bool(stored == given) or (given in ("", None, {}) and not stored)


def _gateways(facts: Survey) -> Iterator[Finding]:
    if not facts.read(kinds.GATEWAY_CLASS):
        return
    for gateway in facts.all(kinds.GATEWAY):
        name = text(gateway, "spec", "gatewayClassName")
        where = f"Gateway {key_of(gateway)}"
        cls = facts.named(kinds.GATEWAY_CLASS, name)
        if cls is None:
            yield _bad("AIO-GW-001", f"{where}: GatewayClass {name} does not exist")
            continue
        said = find_condition(sequence(gateway, "status", "conditions"), "Programmed")
        if said is None or said.get("status") != "True":
            why = (
                f"{said.get('reason', '')}: {said.get('message', '')}"
                if said
                else "its controller has said nothing"
            )
            yield _bad("AIO-GW-002", f"{where} of class {name}: {why}")
        features = sequence(cls, "status", "supportedFeatures")
        if features and not any("InferencePool" in str(dig(each, "name") or each) for each in features):
            yield _warn(
                "AIO-GW-003", f"{where}: class {name} lists its features, and InferencePool is not among them"
            )


def _stored(facts: Survey) -> Iterator[Finding]:
    for name in CRDS:
        crd = facts.named(kinds.CRD, name)
        old = [str(one) for one in sequence(crd or {}, "status", "storedVersions") if one != "v1alpha2"]
        if old:
            yield _warn("AIO-STORE-001", f"{name}: status.storedVersions still has {', '.join(old)}")


def _left(facts: Survey) -> Iterator[Finding]:
    for role, configuration, hook in _ours(facts):
        problem = _nowhere(facts, dig(hook, "clientConfig"))
        if problem and not _is_of_aioctl(hook):
            yield _bad("AIO-LEFT-001", f"{role.kind} {name_of(configuration)}, {hook.get('name')}: {problem}")
    for deployment in facts.all(kinds.DEPLOYMENT):
        if name_of(deployment) == "llmisvc-controller-manager" and dig(deployment, "spec", "replicas") != 0:
            yield _bad(
                "AIO-LEFT-002",
                f"Deployment {key_of(deployment)} has {dig(deployment, 'spec', 'replicas')} replicas",
            )


def _finalizers(facts: Survey) -> Iterator[Finding]:
    ours = {names.FINALIZER, names.CONFIG_FINALIZER, "foregroundDeletion", "orphan"}
    for kind in (kinds.SERVICE, kinds.CONFIG):
        for obj in facts.all(kind):
            where = f"{kind.kind} {key_of(obj)}"
            foreign = [str(one) for one in sequence(obj, "metadata", "finalizers") if one not in ours]
            if foreign:
                yield _warn("AIO-FIN-001", f"{where}: {', '.join(foreign)}")
            since = dig(obj, "metadata", "deletionTimestamp")
            old = _seconds(since, facts) if is_deleting(obj) else None
            if old is not None and old > GOING_FOR.total_seconds():
                held = ", ".join(map(str, sequence(obj, "metadata", "finalizers")))
                yield _bad(
                    "AIO-FIN-002", f"{where} has been going for {age(since, facts.now)}; finalizers: {held}"
                )


_GROUPS: Final[tuple[tuple[str, Callable[[Survey], Iterable[Finding]], bool], ...]] = (
    ("CLU", _cluster, True),
    ("CRD", _crds, False),
    ("EXT", _others, True),
    ("HOOK", _hooks, False),
    ("CERT", _certificates, False),
    ("RBAC", _rbac, False),
    ("LEAD", _leader, False),
    ("PRE", _presets, False),
    ("GW", _gateways, True),
    ("STORE", _stored, False),
    ("LEFT", _left, True),
    ("FIN", _finalizers, False),
)
"""Group, its judge, and whether it makes sense before anything of ours is installed."""
