"""The only writer of a reconcile: runs the writes of a plan in order and reports what came of them (design rule 3).

The first failure ends the run. A pool creation that has to wait is left out and the rest goes on. Every answer is
remembered: as an expectation (so that no plan is made on caches that are older than our own writes) and in the outcome
(so that the next round of the same reconcile and the status see it).
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Protocol

import msgspec
import structlog

from aioctl.api import kinds
from aioctl.api.kinds import ObjectKey, ObjectRef
from aioctl.api.objects import Object, key_of, mapping, resource_version_of, uid_of
from aioctl.controller.live_reads import LiveReads
from aioctl.controller.pacing import PoolPacer
from aioctl.kube.client import Client
from aioctl.kube.errors import AlreadyExists, Conflict, KubeError, NotFound
from aioctl.kube.events import regarding
from aioctl.kube.expectations import Expectations
from aioctl.plan.model import Absent, Outcome, Plan, Present, Sign, Verb, Write

log = structlog.get_logger(__name__)

_VOLATILE = ("resourceVersion", "generation", "managedFields")
STATUS_ATTEMPTS = 5
_UNWATCHED = (kinds.CONFIG_MAP,)
"""No cache shows what we write of these."""


class Recorder(Protocol):
    """Where events go; must not wait (spec 50 section 12.4). `kube.events.EventRecorder` is one."""

    def event(self, regarding: Mapping[str, str], type: str, reason: str, message: str) -> None: ...  # noqa: A002  the field of the Event


class ApplyObserver(Protocol):
    """Counts for metrics."""

    def written(self, write: Write) -> None: ...
    def avoided(self, write: Write) -> None:
        """A dry run showed that nothing would change."""

    def deferred(self, write: Write, seconds: float) -> None: ...


Signer = Callable[[Sign], Awaitable[Mapping[str, str]]]
"""Makes the `data` of a TLS secret (base64 values). Raises SigningError."""


class SigningError(Exception):
    """The certificate authority cannot sign; the text names its Secret and the cure."""


@dataclass(frozen=True, slots=True)
class Applied:
    """The outcome, and whether planning again at once will see more (an object stood in the way and was read)."""

    outcome: Outcome
    replan: bool = False
    conflict: bool = False
    """Somebody wrote between our read and our write; the caches will show it in a moment."""


class OwnWrites:
    """The versions our latest writes made, so that their echo in the watches wakes nobody."""

    def __init__(self, most: int = 20_000) -> None:
        self._versions: dict[tuple[ObjectRef, str], None] = {}
        self._most = most

    def add(self, ref: ObjectRef, version: str) -> None:
        if len(self._versions) >= self._most:
            del self._versions[next(iter(self._versions))]
        self._versions[ref, version] = None

    def is_echo(self, ref: ObjectRef, version: str) -> bool:
        """True when the version is of our own making; forgets it, as a watch shows each version once."""
        return self._versions.pop((ref, version), False) is None


class Applier:
    """Sends writes for services; one instance a process."""

    def __init__(
        self,
        client: Client,
        *,
        recorder: Recorder,
        expectations: Expectations,
        pacer: PoolPacer,
        live: LiveReads,
        signer: Signer,
        observer: ApplyObserver,
    ) -> None:
        self._client = client
        self._recorder = recorder
        self._expectations = expectations
        self._pacer = pacer
        self._live = live
        self._signer = signer
        self._observer = observer
        self.own_writes = OwnWrites()
        self._same: dict[ObjectRef, tuple[bytes, bytes]] = {}

    async def run(self, plan: Plan) -> Applied:
        """Writes until done or the first failure. Raises nothing that the API server can cause."""
        service = key_of(plan.service)
        answers: dict[ObjectRef, Object | None] = {}
        deferred: float | None = None
        paced = sum(write.paced for step in plan.steps for write in step.writes)
        if not paced:
            self._pacer.settled(service)
        for step in plan.steps:
            if step.unanswered:
                return Applied(Outcome(answers=answers, deferred=deferred, retry=True, error=step.unanswered))
            for write in step.writes:
                if write.paced:
                    wait = deferred if deferred is not None else self._pacer.admit(service, paced)
                    if wait > 0:
                        deferred = wait
                        self._observer.deferred(write, wait)
                        continue
                    paced -= 1
                try:
                    await self._send(plan, write, answers)
                except (_Stale, Conflict) as error:
                    text = f"{write.error}{error}"
                    outcome = Outcome(
                        answers=answers, deferred=deferred, retry=True, error=text, blocked=step
                    )
                    stale = isinstance(error, _Stale)
                    return Applied(outcome, replan=stale, conflict=not stale)
                except (KubeError, SigningError) as error:
                    if write.best_effort:
                        log.warning("write left out", write=str(write.ref), error=str(error))
                        continue
                    failure = f"{write.error}{error}"
                    return Applied(Outcome(failed=step, error=failure, answers=answers, deferred=deferred))
            if step.error:
                return Applied(Outcome(failed=step, error=step.error, answers=answers, deferred=deferred))
        return Applied(Outcome(answers=answers, deferred=deferred))

    async def write_status(self, service: Object, status: Object) -> Object | None:
        """Replaces the status; on conflict onto the live object, not the cache's. None when the service is gone."""
        body = dict(service)
        for attempt in range(STATUS_ATTEMPTS):
            try:
                answer = await self._client.update(
                    kinds.SERVICE, {**body, "status": status}, subresource="status"
                )
            except NotFound:
                return None
            except Conflict:
                if attempt == STATUS_ATTEMPTS - 1:
                    raise
                try:
                    live = await self._client.get(kinds.SERVICE, *key_of(service))
                except NotFound:
                    return None
                if uid_of(live) != uid_of(service):
                    return None
                body = live
                continue
            # After a conflict the answer carries somebody's change that no plan has seen: should a list be what shows it
            # first, it must wake the service.
            self._expect(
                key_of(service), ObjectRef(kinds.SERVICE, *key_of(service)), answer, known=attempt == 0
            )
            return answer
        return None

    def forget(self, service: ObjectKey) -> None:
        """Drops what is remembered of a service that is gone."""
        self._pacer.forget(service)

    def gone(self, ref: ObjectRef) -> None:
        """Drops what is remembered of an object that is gone, whoever deleted it."""
        self._same.pop(ref, None)

    async def _send(self, plan: Plan, write: Write, answers: dict[ObjectRef, Object | None]) -> None:
        match write.verb:
            case Verb.CREATE:
                answer = await self._create(write)
            case Verb.UPDATE:
                try:
                    answer = await self._update(write)
                except Conflict:
                    # Where no watch shows the object (it lost our label), the next plan must not be made of the same read.
                    self._live.forget(write.ref)
                    raise
            case Verb.PATCH:
                answer = await self._patch(plan, write)
            case Verb.DELETE:
                if not await self._delete(plan, write):
                    answers[write.ref] = None
                    return
                answer = None
        if answer is None and write.verb is not Verb.DELETE:
            return
        answers[write.ref] = answer
        self._live.forget(write.ref)
        if answer is not None and not write.releases:
            self._expect(key_of(plan.service), write.ref, answer)
        if write.paced:
            self._pacer.created(key_of(plan.service))
        self._observer.written(write)
        self._announce(plan, write)

    async def _create(self, write: Write) -> Object | None:
        body = await self._signed(write)
        try:
            return await self._client.create(write.kind, write.namespace, body)
        except AlreadyExists as error:
            if write.exists_is_fine:
                return None
            # Something stands there that the watch does not show (yet, or ever: it may lack our label). The next round
            # plans with the object itself, and says whose it is.
            await self._live.fetch([write.ref])
            if isinstance(self._live.get(write.ref), Present):
                raise _Stale(str(error)) from error
            raise

    async def _update(self, write: Write) -> Object | None:
        body = await self._signed(write)
        live = write.live or {}
        fingerprint = (_digest(body), _digest(live))
        if self._same.get(write.ref) == fingerprint:
            self._observer.avoided(write)
            return None
        if write.confirm:
            answer = await self._client.update(write.kind, body, dry_run=True)
            if _significant(answer) == _significant(live):
                self._same[write.ref] = fingerprint
                self._observer.avoided(write)
                return None
        try:
            answer = await self._client.update(write.kind, body)
        except NotFound as error:
            self._live.remember(write.ref, Absent())
            raise _Stale(str(error)) from error
        if resource_version_of(answer) == resource_version_of(live):
            # The API server dropped all that differs, as it does with fields its CRD does not know: no write, no event.
            self._same[write.ref] = fingerprint
            return None
        return answer

    async def _patch(self, plan: Plan, write: Write) -> Object | None:
        try:
            answer = await self._client.patch(write.kind, write.namespace, write.name, write.body or {})
        except NotFound:
            if not write.releases:
                raise
            answer = None
        if write.releases:
            self._expect_release(plan, write, answer)
        return answer

    def _expect_release(self, plan: Plan, write: Write, answer: Object | None) -> None:
        """The answer to the last finalizer's removal has the version from before: it says nothing about the caches."""
        if answer is not None and mapping(answer, "metadata").get("finalizers"):
            self._expect(key_of(plan.service), write.ref, answer)
        else:
            uid = uid_of(write.live or {})
            self._expectations.released(write.kind, write.ref.key, uid, owner=key_of(plan.service))

    async def _delete(self, plan: Plan, write: Write) -> bool:
        live = write.live or {}
        try:
            await self._client.delete(write.kind, write.namespace, write.name, uid=uid_of(live))
        except NotFound:
            return False
        self._expectations.deleted(write.kind, write.ref.key, uid_of(live), owner=key_of(plan.service))
        return True

    async def _signed(self, write: Write) -> Object:
        body = write.body or {}
        if write.sign is None:
            return body
        return {**body, "data": {**mapping(body, "data"), **await self._signer(write.sign)}}

    def _expect(self, owner: ObjectKey, ref: ObjectRef, answer: Object, *, known: bool = True) -> None:
        """`known`: the answer holds nothing but what was planned on and what we wrote, so its echo is no news."""
        if ref.kind in _UNWATCHED:
            return
        version = resource_version_of(answer)
        self._expectations.wrote(ref.kind, ref.key, uid_of(answer), version, owner=owner)
        if known:
            self.own_writes.add(ref, version)

    def _announce(self, plan: Plan, write: Write) -> None:
        if write.event:
            self._recorder.event(regarding(plan.service), "Normal", write.event.split(" ", 1)[0], write.event)
        if write.announce is not None:
            self._recorder.event(regarding(plan.service), "Normal", *write.announce)


class _Stale(Exception):
    """What we planned on is out of date; plan again."""


def _significant(obj: Object) -> dict[str, Any]:
    """The object without what changes by itself: status and the server's bookkeeping."""
    metadata = {name: value for name, value in mapping(obj, "metadata").items() if name not in _VOLATILE}
    return {
        **{name: value for name, value in obj.items() if name not in ("status", "metadata")},
        "metadata": metadata,
    }


def _digest(obj: Object) -> bytes:
    return sha256(msgspec.json.encode(_significant(obj), order="deterministic")).digest()
