"""Admission webhooks, called and worded as kube-apiserver does.

A webhook whose rule names the request's version is called with it; with matchPolicy Equivalent also one whose rule names
another version of the same resource, after the object (and on update the old one) was converted for it. Mutating ones run
first, one after the other by the names of their configurations, each with what the last one made; validating ones all at
once. failurePolicy decides what an unanswered call means (ADM-1, ADM-2). Status writes are matched only by
rules that name the subresource.
"""

import base64
import binascii
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import anyio
import msgspec

from aioctl.sim import patch
from aioctl.sim.conversion import Converter
from aioctl.sim.errors import StatusError, internal
from aioctl.sim.resources import GroupVersion, Object, Resource
from aioctl.sim.stats import HookStats
from aioctl.sim.store import Collection
from aioctl.sim.webhooks import HookFailure, HookTarget, WebhookCaller

_REVIEW: Final = "admission.k8s.io/v1"
_QUOTED: Final = re.compile(r'["\\]')
_ESCAPED: Final = r"\\\g<0>"


@dataclass(frozen=True, slots=True)
class Attributes:
    """What is about to be written. `obj` is None on DELETE, `old` on CREATE; both in version `at`."""

    resource: Resource
    at: GroupVersion
    operation: str
    namespace: str
    name: str
    obj: Object | None
    old: Object | None
    is_dry_run: bool = False
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class _Hook:
    name: str
    target: HookTarget
    timeout: float
    ignores_failure: bool
    is_exact: bool
    rules: tuple[Mapping[str, Any], ...]

    @classmethod
    def parse(cls, source: Mapping[str, Any]) -> "_Hook":
        return cls(
            source.get("name", ""),
            HookTarget.parse(source.get("clientConfig") or {}),
            float(source.get("timeoutSeconds", 10)),
            source.get("failurePolicy") == "Ignore",
            source.get("matchPolicy") == "Exact",
            tuple(source.get("rules") or ()),
        )

    def version_for(self, attributes: Attributes) -> GroupVersion | None:
        """The version this webhook wants the object in, or None when it is not called."""
        for rule in self.rules:
            if self._matches(rule, attributes, attributes.at):
                return attributes.at
        if self.is_exact:
            return None
        for rule in self.rules:
            for version in attributes.resource.versions:
                if self._matches(rule, attributes, version.at):
                    return version.at
        return None

    @staticmethod
    def _matches(rule: Mapping[str, Any], attributes: Attributes, at: GroupVersion) -> bool:
        def has(field: str, value: str) -> bool:
            return any(item in {"*", value} for item in rule.get(field) or ())

        resource = attributes.resource
        path = f"{resource.plural}/{attributes.subresource}" if attributes.subresource else resource.plural
        scope = rule.get("scope", "*")
        return (
            has("apiGroups", at.group)
            and has("apiVersions", at.version)
            and has("operations", attributes.operation)
            and (path in (rule.get("resources") or ()) or (has("resources", "*/*")))
            and scope in {"*", "Namespaced" if resource.namespaced else "Cluster"}
        )


def warning_header(warnings: Iterable[str]) -> str:
    """How warnings travel, with a success as with a refusal."""
    return ", ".join(f'299 - "{_QUOTED.sub(_ESCAPED, text)}"' for text in warnings)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What one webhook said: warnings, the refusal if there is one, the operations of its patch if it has one."""

    warnings: list[str]
    refusal: StatusError | None = None
    operations: Any = None


class _Configured:
    """The webhooks of all configurations of one kind, parsed when they change."""

    def __init__(self, configurations: Collection) -> None:
        self._configurations = configurations
        self._parsed: tuple[tuple[int, ...], list[_Hook]] = ((), [])

    def for_write(self, attributes: Attributes) -> list[tuple[_Hook, GroupVersion]]:
        """Those to call, each with the version it wants, in the order of their configurations' names."""
        records = self._configurations.records
        stamp = tuple(record.revision for record in records.values())
        if stamp != self._parsed[0]:
            ordered = (records[key] for key in sorted(records))
            sources = (hook for record in ordered for hook in record.decode().get("webhooks") or ())
            self._parsed = stamp, [_Hook.parse(hook) for hook in sources]
        return [(hook, at) for hook in self._parsed[1] if (at := hook.version_for(attributes)) is not None]


class Admission:
    """Asks the webhooks that the cluster's configurations name."""

    def __init__(
        self,
        mutating: Collection,
        validating: Collection,
        converter: Converter,
        caller: WebhookCaller,
        stats: HookStats,
    ) -> None:
        self._mutating = _Configured(mutating)
        self._validating = _Configured(validating)
        self._converter = converter
        self._caller = caller
        self._stats = stats

    def mutates(self, attributes: Attributes) -> bool:
        """Whether any mutating webhook is to be called."""
        return bool(self._mutating.for_write(attributes))

    async def mutate(self, attributes: Attributes, obj: Object) -> tuple[Object, list[str]]:
        """`obj` as the mutating webhooks leave it, and their warnings. Raises StatusError when one refuses."""
        warnings: list[str] = []
        for hook, at in self._mutating.for_write(attributes):
            attributes = replace(attributes, obj=obj)
            sent, old = (await self._versioned(attributes, {at}))[at]
            answer = await self._call(hook, at, attributes, sent, old)
            warnings += answer.warnings
            if answer.refusal is not None:
                raise _with(warnings, answer.refusal)
            if not answer.operations:
                continue
            try:
                obj = patch.json_patch(sent, answer.operations)
            except StatusError as error:
                raise internal(error.message) from error
            if at != attributes.at:
                back = await self._converter.convert(
                    attributes.resource, [obj], attributes.at, cause="admission"
                )
                obj = back[0]
        return obj, warnings

    async def review(self, attributes: Attributes) -> list[str]:
        """Warnings of all validating webhooks. Raises StatusError, with the warnings, when one refuses or is not answered."""
        called = self._validating.for_write(attributes)
        if not called:
            return []
        objects = await self._versioned(attributes, {at for _, at in called})
        answers = [_Answer([])] * len(called)

        async def ask(index: int, hook: _Hook, at: GroupVersion) -> None:
            answers[index] = await self._call(hook, at, attributes, *objects[at])

        async with anyio.create_task_group() as group:
            for index, (hook, at) in enumerate(called):
                group.start_soon(ask, index, hook, at)
        warnings = [warning for answer in answers for warning in answer.warnings]
        for answer in answers:
            if answer.refusal is not None:
                raise _with(warnings, answer.refusal)
        return warnings

    async def _versioned(
        self, attributes: Attributes, wanted: Iterable[GroupVersion]
    ) -> dict[GroupVersion, tuple[Object | None, Object | None]]:
        """New and old object in each wanted version: one conversion call each, as the real server makes them."""
        made = {}
        for at in wanted:
            pair = []
            for obj in (attributes.obj, attributes.old):
                if obj is None or at == attributes.at:
                    pair.append(obj)
                    continue
                try:
                    converted = await self._converter.convert(
                        attributes.resource, [obj], at, cause="admission"
                    )
                except StatusError as error:
                    raise internal(error.message) from error
                pair.append(converted[0])
            made[at] = pair[0], pair[1]
        return made

    async def _call(
        self, hook: _Hook, at: GroupVersion, attributes: Attributes, obj: Object | None, old: Object | None
    ) -> _Answer:
        """An unanswered call is no answer at all or, where that may not be ignored, a refusal."""
        uid = str(uuid.uuid4())
        body = msgspec.json.encode(_review(uid, at, attributes, obj, old))
        started = anyio.current_time()
        self._stats.begin(1, attributes.operation)
        is_done = False
        try:
            with anyio.fail_after(hook.timeout):
                answer = await self._caller.call(hook.target, body, seconds=hook.timeout)
            result = _verdict(hook, answer, uid)
            is_done = True
        except (HookFailure, TimeoutError) as error:
            if hook.ignores_failure:
                return _Answer([])
            why = (
                str(error) or f'Post "{hook.target.url}?timeout={hook.timeout:g}s": context deadline exceeded'
            )
            return _Answer(
                [], internal(f'failed calling webhook "{hook.name}": failed to call webhook: {why}')
            )
        finally:
            self._stats.end(anyio.current_time() - started, failed=not is_done)
        return result


def _review(
    uid: str, at: GroupVersion, attributes: Attributes, obj: Object | None, old: Object | None
) -> dict[str, Any]:
    resource = attributes.resource

    def kind(version: GroupVersion) -> dict[str, str]:
        return {"group": version.group, "version": version.version, "kind": resource.kind}

    def plural(version: GroupVersion) -> dict[str, str]:
        return {"group": version.group, "version": version.version, "resource": resource.plural}

    request: dict[str, Any] = {
        "uid": uid,
        "kind": kind(at),
        "resource": plural(at),
        "requestKind": kind(attributes.at),
        "requestResource": plural(attributes.at),
        "name": attributes.name,
        "namespace": attributes.namespace,
        "operation": attributes.operation,
        "userInfo": {"username": "sim", "groups": ["system:masters", "system:authenticated"]},
        "object": obj,
        "oldObject": old,
        "dryRun": attributes.is_dry_run,
        "options": None,
    }
    return {"apiVersion": _REVIEW, "kind": "AdmissionReview", "request": request}


def _with(warnings: list[str], refusal: StatusError) -> StatusError:
    if warnings:
        refusal.headers["warning"] = warning_header(warnings)
    return refusal


def _verdict(hook: _Hook, answer: bytes, uid: str) -> _Answer:
    """Raises HookFailure for an answer that is none."""
    try:
        review = msgspec.json.decode(answer)
    except msgspec.DecodeError as error:
        raise HookFailure(f"couldn't decode the response: {error}") from error
    response = review.get("response") if isinstance(review, dict) else None
    if not isinstance(response, dict):
        raise HookFailure("webhook response was empty")
    if response.get("uid") != uid:
        raise HookFailure(f'expected response.uid="{uid}", got "{response.get("uid", "")}"')
    warnings = [str(warning) for warning in response.get("warnings") or ()]
    if response.get("allowed"):
        return _Answer(warnings, operations=_operations(response))
    result = response.get("status") or {}
    message, reason = result.get("message"), result.get("reason", "")
    denied = f'admission webhook "{hook.name}" denied the request'
    text = f"{denied}: {message or reason}" if message or reason else f"{denied} without explanation"
    code = max(int(result.get("code") or 0), 400)
    return _Answer(warnings, StatusError(code, reason, text, details=result.get("details")))


def _operations(response: Mapping[str, Any]) -> Any:
    """The JSON patch of an answer, decoded. Raises HookFailure when it is none."""
    if not response.get("patch"):
        return None
    if response.get("patchType") != "JSONPatch":
        raise HookFailure(f'unsupported patch type "{response.get("patchType", "")}"')
    try:
        return msgspec.json.decode(base64.b64decode(response["patch"], validate=True))
    except (binascii.Error, msgspec.DecodeError) as error:
        raise HookFailure(f"couldn't decode the patch: {error}") from error
