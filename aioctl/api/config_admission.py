"""Admission of LLMInferenceServiceConfigs: what may stand in one (ADM-5), and what is said when one is deleted (ADM-8).

A well-known config of the system namespace is what every service is laid over, so nobody deletes it by mistake; but the end of
that namespace is the end of the installation, and is never held up. A config that is used only gets a warning here: its
finalizer keeps it until nobody uses it any more.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from aioctl.api import admission_warnings, bounds, carrier_checks, names, validation
from aioctl.api.conversion import up
from aioctl.api.decoding import check_decodable
from aioctl.api.kinds import ObjectKey
from aioctl.api.objects import Object, is_deleting, key_of, sequence
from aioctl.api.problems import forbidden
from aioctl.api.rules.router import scheduler_replicas
from aioctl.api.verdict import ApiErrorStatus, Verdict, forbidden_status

_BASE_REFS: Final = "baseRefs is not a permitted field in LLMInferenceServiceConfig, support for recursive refs has been disabled"


def _renders(_: Object) -> None:
    """Without a cluster nothing is rendered."""


def _nobody(_: Object) -> Sequence[ObjectKey]:
    return ()


def _never(_: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class ConfigRules:
    """What judging configs takes beside the config."""

    check: Callable[[Object], None] = _renders
    """Gets a created or changed config in v1alpha2 and raises what refuses it: ApiErrorStatus, or anything whose text is
    the message of a 403."""
    users: Callable[[Object], Sequence[ObjectKey]] = _nobody
    """The services that use a config."""
    terminating: Callable[[str], bool] = _never
    """Whether the namespace is being deleted."""
    well_known: frozenset[str] = names.WELL_KNOWN_CONFIGS
    system_namespace: str = "kserve"
    prevents_deletion: bool = True
    """Of well-known configs of the system namespace; otherwise there is a warning."""


CONFIG_RULES: Final = ConfigRules()


def judge_config(new: Object, old: Object | None, rules: ConfigRules) -> Verdict:
    """A created config, or a changed one when `old` is given. Raises Undecodable and FieldError."""
    if is_deleting(new):
        return Verdict()
    check_decodable(new)
    found = [] if old is None else admission_warnings.of_config_update(new, old, rules.well_known)
    problems = (
        [forbidden("base-refs", "spec.baseRefs", _BASE_REFS)] if sequence(new, "spec", "baseRefs") else []
    )
    problems += scheduler_replicas(new)
    if problems:
        return Verdict(validation.status(new, problems), found)
    for excess in bounds.grown(new, old):
        return Verdict(forbidden_status(f"{excess.field}: it {excess}"), found)
    for key, _, problem in carrier_checks.problems(new, old):
        return Verdict(forbidden_status(f"{carrier_checks.field(key)}: {problem}"), found)
    try:
        rules.check(up(new))
    except ApiErrorStatus as error:
        return Verdict(error.status, found)
    except Exception as error:  # noqa: BLE001 (any failure to load or render is the user's answer, ADM-5)
        return Verdict(forbidden_status(str(error)), found)
    return Verdict(None, found)


def judge_deletion(gone: Object, rules: ConfigRules) -> Verdict:
    """A config that somebody deletes."""
    key = key_of(gone)
    if rules.terminating(key.namespace):
        return Verdict()
    if key.name in rules.well_known and key.namespace == rules.system_namespace:
        if rules.prevents_deletion:
            return Verdict(
                forbidden_status(f"well-known config {key.namespace}/{key.name} cannot be deleted")
            )
        return Verdict(None, admission_warnings.of_config_delete(gone))
    users = rules.users(gone)
    return Verdict(None, admission_warnings.of_config_in_use(gone, users) if users else ())
