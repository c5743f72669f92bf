"""Objects from one version into another, through the conversion webhook exactly as kube-apiserver asks and checks it.

One call of `convert` is one ConversionReview (CONV-7); objects already in the wanted version are not sent, and
no call is made when none is left. Of an answer's metadata only labels and annotations count, the rest is restored.
Resources without a webhook are translated in memory by the functions of their tables.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import anyio
import msgspec

from aioctl.sim.errors import StatusError, plain_500
from aioctl.sim.resources import GroupVersion, Object, Resource
from aioctl.sim.stats import HookStats
from aioctl.sim.webhooks import HookFailure, HookTarget, WebhookCaller

TIMEOUT: Final = 30.0
"""Seconds; fixed in the API server."""
_REVIEW: Final = "apiextensions.k8s.io/v1"


class ConversionError(StatusError):
    """A conversion that failed, worded as users see it. The original's kind is part of the text."""


def failed(source: Mapping[str, Any], why: str) -> ConversionError:
    return _refused(source, f"failed: {why}")


def _refused(source: Mapping[str, Any], what: str) -> ConversionError:
    at = source.get("apiVersion")
    return ConversionError(500, "", f"conversion webhook for {at}, Kind={source.get('kind')} {what}")


class Converter:
    """Translates objects of all resources."""

    def __init__(
        self, caller: WebhookCaller, target_of: Callable[[str], HookTarget | None], stats: HookStats
    ) -> None:
        """`target_of` returns where a resource's CRD says its webhook is (None: strategy None)."""
        self._caller = caller
        self._target_of = target_of
        self._stats = stats

    async def convert(
        self, resource: Resource, objects: Sequence[Object], to: GroupVersion, *, cause: str
    ) -> list[Object]:
        """All objects in version `to`, all or none. Raises StatusError 500."""
        others = [obj for obj in objects if obj["apiVersion"] != to.api_version]
        if not others:
            return list(objects)
        target = self._target_of(resource.title) if resource.webhook else None
        if target is None:
            converted = [_locally(resource, obj, to) for obj in others]
        else:
            converted = await self._ask(target, others, to, cause)
        version = resource.version(to)
        if version is not None:
            for obj in converted:
                version.pruned(obj)
        answers = iter(converted)
        return [obj if obj["apiVersion"] == to.api_version else next(answers) for obj in objects]

    async def _ask(
        self, target: HookTarget, objects: Sequence[Object], to: GroupVersion, cause: str
    ) -> list[Object]:
        uid = str(uuid.uuid4())
        request = {"uid": uid, "desiredAPIVersion": to.api_version, "objects": objects}
        body = msgspec.json.encode({"apiVersion": _REVIEW, "kind": "ConversionReview", "request": request})
        started = anyio.current_time()
        self._stats.begin(len(objects), cause)
        is_done = False
        try:
            with anyio.fail_after(TIMEOUT):
                answer = await self._caller.call(target, body, seconds=TIMEOUT)
            converted = _checked(answer, uid, objects, to)
            is_done = True
        except HookFailure as error:
            raise failed(objects[0], str(error)) from error
        except TimeoutError as error:
            why = f'Post "{target.url}?timeout={TIMEOUT:g}s": context deadline exceeded'
            raise failed(objects[0], why) from error
        finally:
            self._stats.end(anyio.current_time() - started, failed=not is_done)
        return converted


def _locally(resource: Resource, obj: Object, to: GroupVersion) -> Object:
    source = resource.version(GroupVersion.parse(obj["apiVersion"]))
    wanted = resource.version(to)
    if source is None or wanted is None:
        raise plain_500(f"{resource.title} is not served in {to.api_version}")
    return {**wanted.from_storage(source.to_storage(obj)), "apiVersion": to.api_version}


def _checked(answer: bytes, uid: str, objects: Sequence[Object], to: GroupVersion) -> list[Object]:
    try:
        review = msgspec.json.decode(answer)
    except msgspec.DecodeError as error:
        raise failed(objects[0], f"unable to decode the webhook's answer: {error}") from error
    found = (review.get("apiVersion"), review.get("kind")) if isinstance(review, dict) else (None, None)
    if found != (_REVIEW, "ConversionReview"):
        text = (
            f"expected webhook response of {_REVIEW}, Kind=ConversionReview, got {found[0]}, Kind={found[1]}"
        )
        raise failed(objects[0], text)
    response = review.get("response")
    if not isinstance(response, dict):
        raise failed(objects[0], "no response provided")
    if response.get("uid") != uid:
        raise failed(objects[0], f'expected response.uid="{uid}", got "{response.get("uid", "")}"')
    result = response.get("result") or {}
    if result.get("status") != "Success":
        text = (
            result.get("message") or f"response.result.status was '{result.get('status', '')}', not 'Success'"
        )
        raise failed(objects[0], text)
    converted = response.get("convertedObjects") or []
    if len(converted) != len(objects):
        raise _refused(objects[0], f"returned {len(converted)} objects, expected {len(objects)}")
    for index, (original, obj) in enumerate(zip(objects, converted, strict=True)):
        # The real server words it by whether it converts a list or one object; one of a list is rare.
        at = f"object at index {index}" if len(objects) == 1 else f"converted object at index {index}"
        _restore(original, obj, to, at)
    return list(converted)


def _restore(original: Object, converted: Any, to: GroupVersion, at: str) -> None:
    if not isinstance(converted, dict) or converted.get("apiVersion") != to.api_version:
        received = converted.get("apiVersion") if isinstance(converted, dict) else None
        text = f"invalid groupVersion (expected {to.api_version}, received {received})"
        raise _refused(original, f"returned invalid {at}: {text}")
    if converted.get("kind") != original.get("kind"):
        text = f"invalid kind (expected {original.get('kind')}, received {converted.get('kind')})"
        raise _refused(original, f"returned invalid {at}: {text}")
    metadata = converted.get("metadata")
    if not isinstance(metadata, dict):
        raise _refused(original, "returned invalid metadata: missing metadata in converted object")
    mine = original["metadata"]
    for field in ("name", "namespace", "uid"):
        if metadata.get(field, "") != mine.get(field, ""):
            title = {"name": "name", "namespace": "namespace", "uid": "UID"}[field]
            text = f"must have the same {title}: {metadata.get(field, '')} != {mine.get(field, '')}"
            raise _refused(original, f"returned invalid metadata: {text}")
    kept = {key: value for key, value in mine.items() if key not in {"labels", "annotations"}}
    for field in ("labels", "annotations"):
        values = metadata.get(field)
        if values is not None and (
            not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values())
        ):
            text = f"invalid metadata.{field} of type {type(values).__name__} in converted object"
            raise _refused(original, f"returned invalid metadata: {text}")
        if values:
            kept[field] = values
    converted["metadata"] = kept
