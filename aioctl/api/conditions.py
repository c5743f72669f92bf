"""The arithmetic of status conditions: Knative's "living" set (COND-1).

`Ready` is the happy condition; `PresetsCombined`, `WorkloadsReady` and `RouterReady` are its dependents. These four have no
severity, every other condition is written with severity Info and never spoils Ready. A `ConditionSet` lives for one reconcile:
it is made from the stored conditions, marked, and finished into the list to be stored. It decides no reason and no
message; those come from `plan/status_builder.py`. Texts are never formatted again, so a `%` stays a `%`.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

READY: Final = "Ready"
PRESETS_COMBINED: Final = "PresetsCombined"
WORKLOADS_READY: Final = "WorkloadsReady"
MAIN_WORKLOAD_READY: Final = "MainWorkloadReady"
WORKER_WORKLOAD_READY: Final = "WorkerWorkloadReady"
PREFILL_WORKLOAD_READY: Final = "PrefillWorkloadReady"
PREFILL_WORKER_WORKLOAD_READY: Final = "PrefillWorkerWorkloadReady"
SCALING_READY: Final = "ScalingReady"
PREFILL_SCALING_READY: Final = "PrefillScalingReady"
ROUTER_READY: Final = "RouterReady"
GATEWAYS_READY: Final = "GatewaysReady"
HTTP_ROUTES_READY: Final = "HTTPRoutesReady"
INFERENCE_POOL_READY: Final = "InferencePoolReady"
SCHEDULER_WORKLOAD_READY: Final = "SchedulerWorkloadReady"
TOKENIZER_READY: Final = "TokenizerReady"
OCI_IMAGE_VOLUME_COMPATIBLE: Final = "OciImageVolumeCompatible"
"""Present and False only while image volumes are wanted and the API server's version may lack something for them (ART-5)."""
POOL_MIGRATION: Final = "InferencePoolMigration"
"""Ours: present and False only while somebody has to act for the migration to go on."""
GROUP_READY: Final = "GroupReady"
GROUP_DEGRADED: Final = "GroupDegraded"
"""True says that something is wrong; in no roll-up, as `GroupReady`."""
POD_FORM_CURRENT: Final = "PodFormCurrent"
"""Ours: present and False only while pods keep the form of an earlier controller (FORM-1)."""

TRUE, FALSE, UNKNOWN = "True", "False", "Unknown"
NEW_GENERATION: Final = ("NewObservedGenFailure", "unsuccessfully observed a new generation")

_DEPENDENTS: Final = (PRESETS_COMBINED, WORKLOADS_READY, ROUTER_READY)
"""COND-6."""
_TERMINAL: Final = (READY, *_DEPENDENTS)
_TIME: Final = "lastTransitionTime"


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with whole seconds, as Kubernetes writes times."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _entry(type_: str, status: str, reason: str = "", message: str = "") -> dict[str, Any]:
    entry: dict[str, Any] = {"type": type_, "status": status}
    if type_ not in _TERMINAL:
        entry["severity"] = "Info"
    if reason:
        entry["reason"] = reason
    if message:
        entry["message"] = message
    return entry


def _without_time(condition: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in condition.items() if key != _TIME and value not in (None, "")}


class ConditionSet:
    """The conditions of one service during one reconcile."""

    def __init__(self, stored: Sequence[Any], generation: int, observed_generation: int) -> None:
        """Takes the stored list (entries without a type are dropped) and initialises what is missing.

        `observed_generation` is 0 when the status has none. A new generation makes Ready Unknown until it is recomputed.
        """
        self._stored: dict[str, dict[str, Any]] = {
            str(entry["type"]): dict(entry)
            for entry in stored
            if isinstance(entry, Mapping) and entry.get("type")
        }
        self._now: dict[str, dict[str, Any]] = {
            type_: _without_time(entry) for type_, entry in self._stored.items()
        }
        self._touched: dict[str, int] = {}
        self._marks = 0
        self._initialise()
        if generation != observed_generation:
            self._mark_ready_unknown(*NEW_GENERATION)

    def mark_true(self, type_: str, reason: str = "", message: str = "") -> None:
        """Sets True and recomputes Ready, whatever the type (Knative does so too)."""
        self._set(_entry(type_, TRUE, reason, message))
        unhappy = self._unhappy()
        if unhappy is not None:
            status, reason, message = unhappy
            self._set(_entry(READY, status, reason, message))
        elif type_ != READY:
            self._set(_entry(READY, TRUE))

    def mark_false(self, type_: str, reason: str, message: str = "") -> None:
        """Sets False; a dependent takes Ready with it."""
        self._set(_entry(type_, FALSE, reason, message))
        if type_ in _DEPENDENTS:
            self._set(_entry(READY, FALSE, reason, message))

    def mark_unknown(self, type_: str, reason: str, message: str = "") -> None:
        """Sets Unknown; a dependent takes Ready with it, but what is False goes before what is not known."""
        self._set(_entry(type_, UNKNOWN, reason, message))
        if any(self.status_of(dependent) == FALSE for dependent in _DEPENDENTS):
            if self.status_of(READY) != FALSE:
                self._set(_entry(READY, FALSE, reason, message))
        elif type_ in _DEPENDENTS:
            self._set(_entry(READY, UNKNOWN, reason, message))

    def unset(self, type_: str) -> None:
        """Removes a condition that does not apply; Ready and its dependents always apply and stay."""
        if type_ not in _TERMINAL:
            self._now.pop(type_, None)

    def status_of(self, type_: str) -> str:
        """`True`, `False` or `Unknown`; empty when there is no such condition."""
        return str(self._now.get(type_, {}).get("status", ""))

    def reason_of(self, type_: str) -> tuple[str, str]:
        """Reason and message, empty when not given."""
        entry = self._now.get(type_, {})
        return str(entry.get("reason", "")), str(entry.get("message", ""))

    def roll_up(self, type_: str, parts: Sequence[str]) -> None:
        """Marks an aggregate: the first False part supplies reason and message; missing and Unknown count as fine."""
        for part in parts:
            if self.status_of(part) == FALSE:
                self.mark_false(type_, *self.reason_of(part))
                return
        self.mark_true(type_)

    def finish(self, now: datetime) -> list[dict[str, Any]]:
        """The list to store, sorted by type. Unchanged entries keep their time, all changed ones get `now`."""
        changed_at = timestamp(now)
        finished = []
        for type_ in sorted(self._now):
            entry = self._now[type_]
            before = self._stored.get(type_)
            if before is not None and _without_time(before) == entry:
                finished.append(before)
            else:
                finished.append({**entry, _TIME: changed_at})
        return finished

    def _initialise(self) -> None:
        if READY not in self._now:
            self._set(_entry(READY, UNKNOWN))
        for type_ in _DEPENDENTS:
            if type_ not in self._now:
                self._set(_entry(type_, TRUE if self.status_of(READY) == TRUE else UNKNOWN))

    def _mark_ready_unknown(self, reason: str, message: str) -> None:
        failed = any(self.status_of(type_) == FALSE for type_ in _DEPENDENTS)
        self._set(_entry(READY, FALSE if failed else UNKNOWN, reason, message))

    def _unhappy(self) -> tuple[str, str, str] | None:
        """What Ready has to copy: of the entries without severity the latest False one, else the latest Unknown one."""
        candidates = [
            entry
            for type_, entry in sorted(self._now.items())
            if type_ != READY and entry.get("severity", "") in ("", "Error")
        ]
        candidates.sort(key=self._age)
        for status in (FALSE, UNKNOWN):
            for entry in candidates:
                if entry.get("status") == status:
                    return status, str(entry.get("reason", "")), str(entry.get("message", ""))
        return None if len(candidates) >= len(_DEPENDENTS) else (UNKNOWN, "", "")

    def _age(self, entry: Mapping[str, Any]) -> tuple[int, float]:
        """Sorts the latest change first: what this reconcile changed (last mark first), then by stored time."""
        type_ = str(entry["type"])
        if type_ in self._touched:
            return (0, -self._touched[type_])
        text = str(self._stored.get(type_, {}).get(_TIME, ""))
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return (2, 0.0)
        return (1, -moment.replace(tzinfo=moment.tzinfo or UTC).timestamp())

    def _set(self, entry: dict[str, Any]) -> None:
        type_ = entry["type"]
        if self._now.get(type_) == entry:
            return
        self._now[type_] = entry
        self._marks += 1
        self._touched[type_] = self._marks
