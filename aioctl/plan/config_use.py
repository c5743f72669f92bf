"""The life of a config: who uses it, what its status says of that, and the finalizer that keeps it as long (CFG-5).

A service uses the well-known configs always, else the configs that its status lists as applied; before it lists any, those
that its baseRefs and pins name. Everything here is pure; `controller/config_users.py` keeps the facts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from aioctl.api.conditions import timestamp
from aioctl.api.kinds import ObjectKey
from aioctl.api.names import CONFIG_FINALIZER
from aioctl.api.objects import Object, generation_of, is_deleting, mapping, sequence

MOST_REFERENCES: Final = 100
"""Services in status.referencedBy: well-known configs are used by every service of the cluster. The count is of all."""
IN_USE, NOT_IN_USE, BLOCKED = "InUse", "NotInUse", "DeletionBlocked"


@dataclass(frozen=True, slots=True)
class Uses:
    """What a service says of the configs it uses."""

    applied: frozenset[tuple[str, str]] = frozenset()
    """(namespace, name), as the status lists them."""
    named: frozenset[str] = frozenset()
    """Names in baseRefs and pins: they count while nothing is listed as applied."""

    @property
    def names(self) -> frozenset[str]:
        """All names that count."""
        return frozenset(name for _, name in self.applied) if self.applied else self.named

    def name(self, config: ObjectKey, *, shadowed: bool) -> bool:
        """Whether the config is meant; `shadowed`: the service's own namespace has another of that name."""
        if self.applied:
            return (config.namespace, config.name) in self.applied
        return config.name in self.named and not shadowed


@dataclass(frozen=True, slots=True)
class ConfigPlan:
    """What a config needs: new finalizers or a new status, where it differs, and what is told."""

    finalizers: tuple[str, ...] | None = None
    status: Mapping[str, Any] | None = None
    blocked: str = ""
    """A deletion that waits, told once."""


def plan(config: Object, users: Sequence[ObjectKey], now: datetime) -> ConfigPlan:
    """One pass over a config that `users`, sorted, use. Raises FieldError for metadata of the wrong type."""
    present = tuple(sequence(config, "metadata", "finalizers"))
    deleting = is_deleting(config)
    if CONFIG_FINALIZER not in present:
        return ConfigPlan() if deleting else ConfigPlan(finalizers=(*present, CONFIG_FINALIZER))
    if deleting and not users:
        return ConfigPlan(finalizers=tuple(each for each in present if each != CONFIG_FINALIZER))
    stored = config.get("status")
    stored = stored if isinstance(stored, Mapping) else {}
    status = _status(stored, users, now, deleting=deleting)
    # As in KServe: a generation that is being deleted is not looked at any more.
    if not deleting and (generation := generation_of(config)):
        status["observedGeneration"] = generation
    blocked = ""
    if deleting and _reason(stored) != BLOCKED:
        title = f"{mapping(config, 'metadata').get('namespace')}/{mapping(config, 'metadata').get('name')}"
        blocked = f"Cannot delete LLMInferenceServiceConfig {title}: {_referenced(users)}"
    return ConfigPlan(status=None if status == stored else status, blocked=blocked)


def _referenced(users: Sequence[ObjectKey]) -> str:
    return f"referenced by {len(users)} LLMInferenceService(s)"


def _status(
    stored: Mapping[str, Any], users: Sequence[ObjectKey], now: datetime, *, deleting: bool
) -> dict[str, Any]:
    if users:
        in_use = _condition("True", BLOCKED if deleting else IN_USE, _referenced(users))
    else:
        in_use = _condition("False", NOT_IN_USE, "not referenced by any LLMInferenceService")
    wanted = [{"type": "ConfigInUse", "severity": "Info", **in_use}, {"type": "Ready", "status": "True"}]
    status = {name: value for name, value in stored.items() if name != "referencedBy"}
    made = {str(condition["type"]): _dated(condition, stored, now) for condition in wanted}
    conditions = {**_entries(stored), **made}
    status["conditions"] = [conditions[type_] for type_ in sorted(conditions)]
    if users:
        status["referencedBy"] = [
            {"name": user.name, "namespace": user.namespace} for user in users[:MOST_REFERENCES]
        ]
    return status


def _condition(status: str, reason: str, message: str) -> dict[str, str]:
    return {"status": status, "reason": reason, "message": message}


def _dated(condition: dict[str, str], stored: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """With the stored time where the rest is as it was."""
    before = _stored(stored, condition["type"])
    same = {name: value for name, value in before.items() if name != "lastTransitionTime"} == condition
    return dict(before) if same else {**condition, "lastTransitionTime": timestamp(now)}


def _stored(status: Mapping[str, Any], type_: str) -> Mapping[str, Any]:
    return _entries(status).get(type_, {})


def _entries(status: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The stored conditions by type, the first of each; what is none is left out."""
    conditions = status.get("conditions")
    found: dict[str, Mapping[str, Any]] = {}
    for entry in conditions if isinstance(conditions, list) else ():
        if isinstance(entry, Mapping) and isinstance(entry.get("type"), str):
            found.setdefault(entry["type"], entry)
    return found


def _reason(status: Mapping[str, Any]) -> Any:
    return _stored(status, "ConfigInUse").get("reason")
