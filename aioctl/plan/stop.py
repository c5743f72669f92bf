"""A stopped service: everything of it goes, and nothing but names is needed for that (STOP-1).

The builders get a spec that asks for nothing, so that a preset that is gone, a template that breaks, a configuration that
cannot be read or a field of the wrong type keep no object alive. Whether the real spec can be combined is told by one
condition.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from aioctl.api import kinds, names
from aioctl.api.objects import FieldError, Object
from aioctl.plan import dry_run
from aioctl.plan.combine import combine
from aioctl.plan.config import parse_config
from aioctl.plan.global_config import GlobalConfig, StorageConfig
from aioctl.plan.model import Context, PlanError
from aioctl.plan.observation import Observation, Unanswered, need
from aioctl.plan.policy import Policy
from aioctl.plan.trial import Accepted


@dataclass(frozen=True, slots=True)
class Combinable:
    """Whether the spec of a stopped service can be combined."""

    problem: str | None
    """What keeps it from that; empty: nothing, None: that is not known."""
    applied: tuple[Mapping[str, str], ...] | None = None
    """What was laid under it; None where it cannot be combined."""
    oci_model_mode: str = ""
    """How images of models come into pods, for the one condition that speaks of the cluster and not of the service (ART-5)."""


def combined(obs: Observation, service: Object, policy: Policy) -> Combinable:
    """What came of the combination."""
    try:
        config_map = need(obs.get(kinds.CONFIG_MAP, policy.system_namespace, names.CONFIG_MAP_NAME))
        config = parse_config(config_map, policy.system_namespace)
    except (PlanError, FieldError) as error:
        return Combinable(f"failed to load ingress config: {error}")
    except Unanswered:
        return Combinable(None)
    mode = config.storage.oci_model_mode
    try:
        made = combine(obs, service, config, policy)
        tried = dry_run.verdict(obs, made)
    except (PlanError, FieldError) as error:
        return Combinable(str(error), oci_model_mode=mode)
    except Unanswered:
        return Combinable(None, oci_model_mode=mode)
    if not isinstance(tried, Accepted):
        return Combinable(tried.error, oci_model_mode=mode)
    return Combinable("", made.applied, mode)


def context(
    obs: Observation, service: Object, policy: Policy, now: datetime, *, oci_model_mode: str = ""
) -> Context:
    """The context of a service that asks for nothing."""
    config = GlobalConfig(policy.system_namespace, storage=StorageConfig(oci_model_mode=oci_model_mode))
    return Context(obs, service, {}, config, policy, now)
