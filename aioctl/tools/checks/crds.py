"""Our CRDs: versions, conversion, what their schemas drop, and what is stored in which version."""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from aioctl.api import kinds
from aioctl.api.objects import Object, dig, key_of, sequence
from aioctl.tools.checks.finding import Finding, bad, fine, warn
from aioctl.tools.checks.schemas import asked_for, dropped, lacking, schema_of
from aioctl.tools.checks.survey import Survey
from aioctl.tools.checks.webhooks import nowhere
from aioctl.tools.installation import CRDS, versions

_NAMED: Final = 5
"""Fields that a line names; of more their number is told."""


def crds(facts: Survey) -> Iterator[Finding]:
    if not facts.read(kinds.CRD):
        return
    for name in CRDS:
        crd = facts.named(kinds.CRD, name)
        if crd is None:
            yield bad("AIO-CRD-001", f"{name} is not installed")
            continue
        served, stored = versions(crd)
        if missing := sorted({"v1alpha1", "v1alpha2"} - set(served)):
            yield bad("AIO-CRD-002", f"{name} does not serve {', '.join(missing)}")
        if stored != "v1alpha2":
            yield bad("AIO-CRD-003", f"{name} stores {stored or 'nothing'}")
        if dig(crd, "spec", "conversion", "strategy") != "Webhook":
            yield bad(
                "AIO-CRD-004",
                f"{name}: spec.conversion.strategy is {dig(crd, 'spec', 'conversion', 'strategy')}",
            )
        elif problem := nowhere(facts, dig(crd, "spec", "conversion", "webhook", "clientConfig")):
            yield bad("AIO-CRD-005", f"{name}: {problem}")
        schema = schema_of(crd, "v1alpha2")
        if schema is not None and (fields := list(lacking(schema))):
            yield warn("AIO-CRD-006", f"{name} v1alpha2 lacks {_some(fields)}")
        yield fine("CRD", f"{name} serves {', '.join(served)}, stores {stored}")
    yield from lost(facts)


def lost(facts: Survey) -> Iterator[Finding]:
    """Fields that somebody gave an object and that the installed schema of that version does not have."""
    for kind, name in zip((kinds.SERVICE, kinds.CONFIG), CRDS, strict=True):
        crd = facts.named(kinds.CRD, name)
        if crd is None:
            continue
        schemas = {version: schema_of(crd, version) for version in versions(crd)[0]}
        for obj in facts.all(kind):
            fields = dict.fromkeys(
                field
                for version, spec in asked_for(obj)
                if (schema := schemas.get(version)) is not None
                for field in dropped(spec, schema)
            )
            if fields:
                yield bad("AIO-CRD-007", f"{kind.kind} {key_of(obj)}: {_some(list(fields))}")


def _some(fields: list[str]) -> str:
    more = len(fields) - _NAMED
    return ", ".join(islice(fields, _NAMED)) + (f" and {more} more" if more > 0 else "")


def stored(facts: Survey) -> Iterator[Finding]:
    for name in CRDS:
        crd = facts.named(kinds.CRD, name)
        if old := old_versions(crd or {}):
            yield warn("AIO-STORE-001", f"{name}: status.storedVersions still has {', '.join(old)}")


def old_versions(crd: Object) -> list[str]:
    """The versions in which objects may still be stored, beside the one in which they are written now."""
    return [str(one) for one in sequence(crd, "status", "storedVersions") if one != "v1alpha2"]
