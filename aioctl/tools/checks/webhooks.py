"""The ways by which the API server calls us: webhook configurations, dry runs through them, and who trusts which certificate."""

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any, Final

from aioctl.api import kinds
from aioctl.api.kinds import Kind
from aioctl.api.objects import Object, dig, name_of, sequence, text
from aioctl.pki.pairs import read_certificate
from aioctl.pki.trust import distrust
from aioctl.tools.checks.finding import Finding, bad, fine, warn
from aioctl.tools.checks.survey import OURS, Survey
from aioctl.tools.installation import CRDS

SLOW: Final = 1.0
"""Seconds for a dry run after which one is told."""
SOON: Final = 7
"""Days before its end at which a certificate is told of, as the alert AioctlCertificateExpires has it."""


def nowhere(facts: Survey, config: Any) -> str:
    """Why a clientConfig leads nowhere; empty when its Service is there, or it names a URL."""
    service = dig(config, "service")
    if not isinstance(service, Mapping) or not facts.read(kinds.CORE_SERVICE):
        return ""
    name, namespace = text(service, "name"), text(service, "namespace")
    if facts.named(kinds.CORE_SERVICE, name, namespace) is not None:
        return ""
    return f"Service {namespace}/{name} does not exist"


def of_our_kinds(facts: Survey) -> Iterator[tuple[Kind, Object, Mapping[str, Any]]]:
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


def is_of_aioctl(hook: Mapping[str, Any]) -> bool:
    """By the Service it calls: KServe's configurations and ours have the same names."""
    path = str(dig(hook, "clientConfig", "service", "path") or dig(hook, "clientConfig", "url") or "")
    return "aioctl" in str(dig(hook, "clientConfig", "service", "name") or "") or (
        not dig(hook, "clientConfig", "service") and "serving-kserve-io" in path
    )


def hooks(facts: Survey) -> Iterator[Finding]:
    if facts.read(kinds.VALIDATING_WEBHOOK) and facts.read(kinds.MUTATING_WEBHOOK):
        covered = {
            (role, str(version), str(resource).partition("/")[0])
            for role, _, hook in of_our_kinds(facts)
            for rule in sequence(hook, "rules")
            for version in sequence(rule, "apiVersions")
            for resource in sequence(rule, "resources")
        }
        wanted = [(kinds.VALIDATING_WEBHOOK, kind) for kind in OURS]
        wanted += [(kinds.MUTATING_WEBHOOK, kind) for kind in (kinds.SERVICE, kinds.SERVICE_V1ALPHA1)]
        for role, kind in wanted:
            if (role, kind.version, kind.plural) not in covered:
                yield bad("AIO-HOOK-001", f"no {role.kind} is called for {kind.plural} {kind.version}")
    for role, configuration, hook in of_our_kinds(facts):
        problem = nowhere(facts, dig(hook, "clientConfig"))
        if problem and is_of_aioctl(hook):
            yield bad("AIO-HOOK-002", f"{role.kind} {name_of(configuration)}, {hook.get('name')}: {problem}")
    for run in facts.dry_runs:
        what = f"dry run: create {run.kind.kind} {run.kind.version}"
        if run.error:
            yield bad("AIO-HOOK-003", f"{what}: {run.error}")
        elif run.seconds > SLOW:
            yield warn("AIO-HOOK-004", f"{what} took {run.seconds:.1f} s")
        else:
            yield fine("HOOK", f"{what}: {run.seconds * 1000:.0f} ms")


def certificates(facts: Survey) -> Iterator[Finding]:
    bundles: dict[str, list[str]] = {}
    for where, config in _clients(facts):
        if dig(config, "service") is None and not str(dig(config, "url") or ""):
            continue
        bundle = dig(config, "caBundle")
        if not bundle:
            yield warn("AIO-CERT-001", f"{where} has no caBundle")
            continue
        bundles.setdefault(str(bundle), []).append(where)
    for bundle, where_all in bundles.items():
        who = ", ".join(where_all)
        pem = _pem(bundle)
        parsed = read_certificate(pem) if pem is not None else "is no base64"
        if isinstance(parsed, str):
            yield bad("AIO-CERT-002", f"{who}: caBundle {parsed}")
        elif parsed.not_after <= facts.now:
            yield bad("AIO-CERT-003", f"{who}: expired {parsed.not_after:%Y-%m-%dT%H:%M:%SZ}")
        elif pem is not None:
            yield from _believed(facts, pem, who)
    if len(bundles) > 1:
        fewest = min(bundles.values(), key=len)
        yield warn(
            "AIO-CERT-004",
            f"{', '.join(fewest)} {'has' if len(fewest) == 1 else 'have'} another caBundle than the rest",
        )
    yield from _served(facts)


def _pem(bundle: str) -> bytes | None:
    try:
        return base64.b64decode(bundle, validate=True)
    except (binascii.Error, ValueError):
        return None


def _believed(facts: Survey, bundle: bytes, who: str) -> Iterator[Finding]:
    """Whether those who have the bundle would believe what the controller serves."""
    served = facts.served
    if served is None or not served.chain or served.expired(facts.now):
        return
    if problem := distrust(served.chain, bundle, name=served.name, now=facts.now):
        yield bad("AIO-CERT-005", f"{who}: the certificate of Secret {served.secret} {problem}")


def _served(facts: Survey) -> Iterator[Finding]:
    served = facts.served
    if served is None:
        if kinds.SECRET.resource in facts.unread:
            return
        yield fine("CERT", "the certificate that is served was not looked at: no Secret is known to have it")
        return
    where = f"Secret {served.secret}"
    parsed = read_certificate(served.chain)
    if isinstance(parsed, str):
        yield bad(
            "AIO-CERT-007", f"{where}: {parsed if served.chain else 'does not exist, or has no tls.crt'}"
        )
        return
    until = f"{parsed.not_after:%Y-%m-%dT%H:%M:%SZ}"
    if parsed.not_after <= facts.now:
        yield bad("AIO-CERT-006", f"{where}: the served certificate expired {until}")
    elif (parsed.not_after - facts.now).days < SOON:
        yield warn("AIO-CERT-008", f"{where}: the served certificate expires {until}")
    else:
        yield fine("CERT", f"{where}: served until {until} for {served.name}")


def _clients(facts: Survey) -> Iterator[tuple[str, Any]]:
    """Who calls us, and how, by CRDs and webhooks."""
    for name in CRDS:
        crd = facts.named(kinds.CRD, name)
        config = dig(crd, "spec", "conversion", "webhook", "clientConfig")
        if config is not None:
            yield f"CRD {name}", config
    for role, configuration, hook in of_our_kinds(facts):
        if is_of_aioctl(hook):
            yield f"{role.kind} {name_of(configuration)} {hook.get('name')}", dig(hook, "clientConfig")
