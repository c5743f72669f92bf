"""The combined spec put before the API server: what is asked, and what follows from the answer (PRESET-8).

A combined spec passes no admission by itself: what presets, baseRefs and templates made of it may be refused by the schema,
its CEL rules or the webhooks of a service. So the API server is asked to create a service of that spec, as a dry run.
"""

from collections.abc import Mapping
from typing import Any, Final

from aioctl.api import conditions as c
from aioctl.api import kinds, names, service_names
from aioctl.api.carrier_checks import CARRIERS
from aioctl.api.objects import (
    FieldError,
    Object,
    annotations_of,
    dig,
    labels_of,
    name_of,
    namespace_of,
    present,
    replaced,
)
from aioctl.caching import MIB, keeping
from aioctl.golang import goyaml
from aioctl.plan.combine import Combined
from aioctl.plan.epp_config import LONGEST
from aioctl.plan.model import Part, Step
from aioctl.plan.observation import Observation, Unanswered
from aioctl.plan.routing import hung_on_gateways
from aioctl.plan.trial import Accepted, DryRunResult, Rejected, Unavailable

RECHECK: Final = 3600.0
"""Seconds after which a refusal is asked about again: webhooks and quotas of others change without a sign."""
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_LEFT_OUT: Final = frozenset({LAST_APPLIED, *CARRIERS})
_SUFFIX: Final = "-validation-"
GENERATED: Final = "xxxxx"
"""As long as what the API server appends to `generateName`, and what messages name in its place."""
_ROUTE: Final = ("router", "route", "http", "spec")
_INLINE: Final = ("router", "scheduler", "config", "inline")


def candidate(combined: Combined) -> Object:
    """The service that would be of the combined spec; labels and annotations go along, for rules look at them, too.

    Raises FieldError for a field of the wrong type.
    """
    service = combined.service
    prefix = _prefix(service, combined.spec)
    metadata: dict[str, Any] = {"generateName": prefix, "namespace": namespace_of(service)}
    if labels := labels_of(service):
        metadata["labels"] = dict(labels)
    if annotations := {key: text for key, text in annotations_of(service).items() if key not in _LEFT_OUT}:
        metadata["annotations"] = annotations
    return {
        "apiVersion": kinds.V1ALPHA2,
        "kind": kinds.SERVICE.kind,
        "metadata": metadata,
        "spec": _as_written(combined.spec),
    }


def verdict(obs: Observation, combined: Combined) -> DryRunResult:
    """What came of it. Raises Unanswered where that was not asked yet, FieldError as `candidate`."""
    found = obs.try_out(candidate(combined))
    if isinstance(found, Accepted | Rejected | Unavailable):
        return found
    raise Unanswered(found.reason)


def problem(obs: Observation, combined: Combined) -> Step | None:
    """The step that says why the combined spec is not used; None where it is accepted."""
    try:
        found = verdict(obs, combined)
    except Unanswered as unanswered:
        return Step(Part.COMBINE, unanswered=str(unanswered))
    except FieldError as error:
        return Step(Part.COMBINE, outer="failed to combine base-configurations: ", error=str(error))
    if isinstance(found, Accepted):
        return None
    used = ", ".join(f"{each['source']}:{each['namespace']}/{each['name']}" for each in combined.applied)
    message = f"dry-run validation failed after merging configs [{used}]: {found.detail}"
    if isinstance(found, Rejected):
        return Step(
            Part.COMBINE,
            outer="terminal error: rendered config rejected: ",
            error=found.error,
            condition=(c.PRESETS_COMBINED, "InvalidRenderedConfig", message),
            revisit=RECHECK,
        )
    return Step(
        Part.COMBINE,
        outer="failed to dry-run validate rendered config: ",
        error=found.error,
        condition=(c.PRESETS_COMBINED, "ValidationUnavailable", message),
        unsure=True,
        revisit=found.wait,
    )


def _prefix(service: Object, spec: Mapping[str, Any]) -> str:
    """What the generated name begins with.

    Decision: it says nothing of the service where our rules of names would refuse what is generated: the service's own name was
    judged when it was made.
    """
    wanted = names.child(name_of(service), _SUFFIX)
    longest = wanted[: service_names.LONGEST - len(GENERATED)] + GENERATED
    would_be = {"metadata": {"name": longest}, "spec": spec}
    return _SUFFIX.removeprefix("-") if service_names.problem(would_be) else wanted


def _as_written(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """The spec as a user would have written it: the route hangs on the gateways that the router names, and the picker's
    configuration is an object, where it is the text of a ConfigMap.
    """
    if present(spec, *_ROUTE):
        spec = replaced(spec, _ROUTE, hung_on_gateways(spec))
    given = dig(spec, *_INLINE)
    return replaced(spec, _INLINE, _loaded(given)) if isinstance(given, str) else spec


@keeping(MIB)
def _loaded(given: str) -> Any:
    """The text as an object. Nobody looks into one that is too long, and no rule asks what is in it."""
    try:
        return goyaml.load(given) if len(given) <= LONGEST else {}
    except goyaml.NotYaml:
        return given  # told when it was looked up
