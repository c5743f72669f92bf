"""`aioctl check -f`: manifests without a cluster - fields that would be dropped, admission, and whether they render. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final

from aioctl import shipped
from aioctl.api import kinds, names
from aioctl.api.admission import judge_created
from aioctl.api.config_admission import ConfigRules
from aioctl.api.conversion import up
from aioctl.api.decoding import Undecodable
from aioctl.api.mutation import defaults_patch
from aioctl.api.objects import FieldError, Object, name_of, namespace_of
from aioctl.api.verdict import ApiErrorStatus, Verdict
from aioctl.golang.unknown_fields import unknown_fields
from aioctl.plan.config_check import check_config
from aioctl.plan.global_config import GlobalConfig
from aioctl.plan.model import PlanError
from aioctl.plan.offline import Surroundings, render, surroundings
from aioctl.plan.policy import Policy
from aioctl.sim.patch import json_patch
from aioctl.tools.checks.declared import OUR_KINDS, VERSIONS, decoded, problems, stored
from aioctl.tools.checks.finding import Finding, bad, fine, title, warn
from aioctl.tools.checks.presets import settings_of

_POLICY: Final = Policy(auth_disabled=True)
_DEFAULT: Final = ("spec.router.scheduler.pool.spec.appProtocol", "http")
"""Nothing is lost with what the schema fills in: pools of Inference Extension before 1.3 have no such field."""
_TOP: Final = frozenset({"apiVersion", "kind", "metadata", "spec", "status"})


@dataclass(frozen=True, slots=True)
class Given:
    """An object and the file that it is from."""

    file: str
    obj: Mapping[str, Any]

    def __str__(self) -> str:
        name = namespace_of(self.obj) + "/" if namespace_of(self.obj) else ""
        return f"{self.file}: {self.obj.get('kind')} {name}{name_of(self.obj) or '(no name)'}"


def check_files(every: Sequence[Given], now: datetime) -> list[Finding]:
    """Every finding, in the order of the files; the presets of this release count as given where no file has them."""
    ours = [one for one in every if one.obj.get("kind") in OUR_KINDS]
    settings = settings_of(_settings_map(every), Policy().system_namespace)
    around = [*shipped.objects(shipped.presets_folder()), *(one.obj for one in every if one not in ours)]
    around += [one.obj for one in ours if one.obj.get("kind") == kinds.CONFIG.kind]

    @cache
    def prepared() -> Surroundings:
        return surroundings(around, _POLICY, stored)

    found = [finding for one in ours for finding in _of(one, prepared, settings, now)]
    if any(one.code for one in found):
        return found
    others = len(every) - len(ours)
    more = f", rendered with {others} of other kinds" if others else ""
    return [title("FILE"), fine("FILE", f"{len(ours)} objects of our kinds{more}"), *found]


def _settings_map(every: Sequence[Given]) -> Object | None:
    return next(
        (
            one.obj
            for one in every
            if one.obj.get("kind") == kinds.CONFIG_MAP.kind and name_of(one.obj) == names.CONFIG_MAP_NAME
        ),
        None,
    )


def _of(
    one: Given, around: Callable[[], Surroundings], settings: GlobalConfig, now: datetime
) -> Iterator[Finding]:
    if one.obj.get("apiVersion") not in VERSIONS:
        yield bad("AIO-FILE-004", f"{one}: apiVersion {one.obj.get('apiVersion')}")
        return
    for path in dropped_fields(one.obj):
        yield bad("AIO-FILE-001", f"{one}: {path}")
    written = _as_written(one.obj)
    if said_by_schema := problems(written):
        # The API server asks the webhooks only of what the schema lets through.
        yield from (bad("AIO-FILE-006", f"{one}: {said}") for said in said_by_schema)
        return
    verdict, problem = admitted(written, settings)
    if problem:
        yield bad("AIO-FILE-002", f"{one}: {problem}")
        return
    for warning in verdict.warnings:
        yield warn("AIO-FILE-005", f"{one}: {warning}")
    if one.obj.get("kind") == kinds.SERVICE.kind:
        for said in _unrendered(one.obj, around, now):
            yield bad("AIO-FILE-003", f"{one}: {said}")


def refused(obj: Object) -> Sequence[str]:
    """What the schema says of an object of ours once the webhook has seen it, a sentence each."""
    return problems(_as_written(obj))


def _as_written(obj: Object) -> Object:
    """With the schema's defaults, and with what the mutating webhook adds to that; only then the API server looks at schemas."""
    obj = decoded(obj)
    if obj.get("kind") != kinds.SERVICE.kind:
        return obj
    try:
        patch = [step for step in defaults_patch(obj) if step["path"].startswith("/spec/")]
    except FieldError:
        return obj  # the schema or admission names the field
    written: Object = json_patch(obj, patch)
    return written


def _unrendered(service: Object, around: Callable[[], Surroundings], now: datetime) -> Sequence[str]:
    try:
        return render(service, around(), policy=_POLICY, now=now).problems
    except (PlanError, FieldError) as error:
        return (str(error),)


def admitted(obj: Mapping[str, Any], settings: GlobalConfig) -> tuple[Verdict, str]:
    """What admission says to the creation of the object, and why it refuses; empty when it does not."""
    rules = ConfigRules(check=lambda config: check_config(config, settings))
    try:
        verdict = judge_created(obj, rules)
    except (Undecodable, FieldError, ApiErrorStatus) as error:
        return Verdict(), str(error)
    return verdict, "" if verdict.status is None else str(verdict.status.get("message"))


def unknown_field_words(obj: Mapping[str, Any]) -> Iterator[str]:
    """What of a service or config would be lost without a word."""
    if obj.get("kind") in OUR_KINDS:
        name = (obj.get("metadata") or {}).get("name")
        yield from (f"{name}: unknown field {path}, which is dropped" for path in dropped_fields(obj))


def dropped_fields(obj: Mapping[str, Any]) -> Iterator[str]:
    """Paths of a service's or config's fields that no version has: the API server says `unknown field` of such."""
    try:
        spec = up(obj).get("spec")
    except FieldError:
        return  # admission names the field
    lost = [*((key, value) for key, value in obj.items() if key not in _TOP), *unknown_fields(spec)]
    yield from (path for path, value in lost if (path, value) != _DEFAULT)
