"""How long one object holds the event loop: conversion, admission and plan, on the code that the process runs.

Bytes go through the real handlers; each step of their coroutines, from one await to the next, is timed in CPU seconds of
the thread, which is not other people's. A plan is one stretch, and so is the status that follows it.
"""

import asyncio
import gc
import json
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from time import thread_time
from typing import Any, Final, TypeVar

import msgspec

from aioctl.api import kinds, weight
from aioctl.api.admission import review_admission
from aioctl.api.config_admission import ConfigRules
from aioctl.api.conversion import up
from aioctl.api.mutation import review_mutation
from aioctl.api.objects import Object, name_of, namespace_of
from aioctl.engine.turnstile import Turnstile
from aioctl.plan import order, status
from aioctl.plan.config_check import check_config
from aioctl.plan.facts import Facts
from aioctl.plan.model import Outcome
from aioctl.plan.policy import Policy
from aioctl.serving.admission import AdmissionHandler
from aioctl.serving.conversion import ConversionHandler
from aioctl.serving.webhook import Answer, Call
from aioctl.sim import seed
from testbed.plan_world import CONFIG, NOW, World
from testbed.shipped_files import presets

T = TypeVar("T")

_VERSIONS: Final = {"v1alpha1": kinds.V1ALPHA2, "v1alpha2": kinds.V1ALPHA1}


@dataclass
class Holds:
    """The longest stretch of each kind of work, in seconds."""

    longest: dict[str, float]

    def add(self, work: str, seconds: float) -> None:
        self.longest[work] = max(self.longest.get(work, 0.0), seconds)


@types.coroutine
def _timed(work: Awaitable[T], add: Callable[[float], None]) -> Generator[Any, Any, T]:
    steps = work.__await__()
    while True:
        started = thread_time()
        try:
            waited = next(steps)
        except StopIteration as done:
            result: T = done.value
            return result
        finally:
            add(thread_time() - started)
        yield waited


def of_object(obj: Object) -> Holds:
    """All the work that an object of ours, stored or sent in its version, gives the loop."""
    holds = Holds({})
    with _collecting_only_its_own():
        asyncio.run(_webhooks(obj, holds))
        if obj["kind"] == kinds.SERVICE.kind:
            _plan(obj, holds)
    return holds


@contextmanager
def _collecting_only_its_own() -> Iterator[None]:
    """What this process had made before, as the tests that ran in it, is no part of what a collection looks through."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


async def _webhooks(obj: Object, holds: Holds) -> None:
    kind, version = obj["kind"], obj["apiVersion"].rpartition("/")[2]
    turnstile = Turnstile()

    async def run(work: str, answer: Coroutine[Any, Any, Answer]) -> None:
        found = await _timed(answer, lambda seconds: holds.add(work, seconds))
        assert found.status == 200, f"{work}: {found.status}"

    body = conversion_review(obj, _VERSIONS[version])
    await run("convert", ConversionHandler(turnstile).answer(_call(body)))

    def review(body: bytes, content_type: str) -> bytes:
        rules = ConfigRules(check=lambda config: check_config(config, CONFIG))
        return review_admission(body, content_type, version=version, kind=kind, config_rules=rules)

    def mutate(body: bytes, content_type: str) -> bytes:
        return review_mutation(body, content_type, version=version)

    create, update = admission_review(obj), admission_review(obj, old=obj)
    await run("admit create", AdmissionHandler(review, turnstile).answer(_call(create)))
    await run("admit update", AdmissionHandler(review, turnstile).answer(_call(update)))
    if kind == kinds.SERVICE.kind:
        await run("mutate", AdmissionHandler(mutate, turnstile).answer(_call(create)))


def _call(body: bytes) -> Call:
    return Call("/", "application/json", asyncio.get_running_loop().time(), bytearray(body))


def conversion_review(obj: Object, desired: str) -> bytes:
    """A ConversionReview of one object."""
    request = {"uid": "1", "desiredAPIVersion": desired, "objects": [obj]}
    return _json({"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "request": request})


def admission_review(obj: Object, old: Object | None = None) -> bytes:
    """An AdmissionReview of a creation, or of an update where `old` is given."""
    request = {"uid": "1", "operation": "UPDATE" if old else "CREATE", "object": obj, "oldObject": old}
    return _json({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request})


def _json(tree: Any) -> bytes:
    return json.dumps(tree, separators=(",", ":"), ensure_ascii=False).encode()


def _plan(obj: Object, holds: Holds) -> None:
    """Decoding, planning, concluding: for a service without children, and again with all of them there."""
    world = World(dict(_furnished()))
    encoded = msgspec.json.encode(up(obj))
    _put(world, up(obj))
    for state in ("fresh", "settled"):
        started = thread_time()
        stored = weight.decode(encoded)
        facts = Facts(world.objects, unserved=world.unserved, certificates=world.certificates)
        plan = order.plan(facts, stored, Policy(), NOW)
        holds.add(f"plan {state}", thread_time() - started)
        started = thread_time()
        wanted = status.conclude(plan, Outcome(), facts, Policy(), NOW)
        status.status_equal(wanted, status.stored_status(stored))
        holds.add("status", thread_time() - started)
        for step in plan.steps:
            world.apply(write for write in step.writes if write.kind != kinds.SERVICE)


@cache
def _furnished() -> Mapping[kinds.ObjectRef, Object]:
    """A cluster's own objects and our presets."""
    world = World()
    for known in (*seed.world(), *presets()):
        _put(world, known)
    return world.objects


def _put(world: World, obj: Object) -> None:
    for kind in vars(kinds).values():
        if isinstance(kind, kinds.Kind) and (kind.api_version, kind.kind) == (obj["apiVersion"], obj["kind"]):
            placed = namespace_of(obj) or (seed.SYSTEM_NAMESPACE if kind.namespaced else "")
            metadata = {**obj["metadata"], **({"namespace": placed} if placed else {})}
            world.objects[kinds.ObjectRef(kind, placed, name_of(obj))] = {**obj, "metadata": metadata}
