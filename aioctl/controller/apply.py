"""The only writer of a reconcile: runs the writes of a plan in order and reports what came of them (ARCH-3).

The first failure ends the run, but for that of a step that stands aside. A pool creation that has to wait is left out and the
rest goes on. Every answer is remembered: as an expectation (so that no plan is made on caches that are older than our own writes)
and in the outcome (so that the next round of the same reconcile and the status see it).
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, Final, Protocol

import msgspec
import structlog

from aioctl.api import kinds
from aioctl.api.conversion import up
from aioctl.api.kinds import ObjectKey, ObjectRef
from aioctl.api.objects import Object, key_of, mapping, resource_version_of, uid_of
from aioctl.controller.live_reads import LiveReads
from aioctl.controller.own_writes import OwnWrites
from aioctl.controller.pacing import PoolPacer, RollPacer
from aioctl.kube.client import Client
from aioctl.kube.errors import AlreadyExists, Conflict, Invalid, KubeError, NotFound, asked_to_wait
from aioctl.kube.events import regarding
from aioctl.kube.expectations import Expectations
from aioctl.plan.model import Outcome, Plan, Sign, Step, Verb, Write
from aioctl.plan.observation import Absent, Present
from aioctl.plan.workload import pod_form

log = structlog.get_logger(__name__)

_VOLATILE: Final = ("resourceVersion", "generation", "managedFields")
STATUS_ATTEMPTS: Final = 5
_UNWATCHED: Final = (kinds.CONFIG_MAP,)
"""No cache shows what we write of these."""


class Recorder(Protocol):
    """Where events go; must not wait (EVENT-1). `kube.events.EventRecorder` is one."""

    def event(self, regarding: Mapping[str, str], type: str, reason: str, message: str) -> None: ...  # noqa: A002  the field of the Event


class ApplyObserver:
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


@dataclass(slots=True)
class _Run:
    """A plan on its way."""

    plan: Plan
    paced: int
    """Pool creations that are still to come."""
    answers: dict[ObjectRef, Object | None] = field(default_factory=dict)
    deferred: float | None = None
    roll: float | None = None
    unknown: str = ""
    """What a step that stands aside waits for."""
    beside: Step | None = None
    beside_error: str = ""

    def unanswered(self, step: Step) -> Applied | None:
        if step.aside:
            self.unknown = step.unanswered
            return None
        return Applied(self.ended(retry=True, error=step.unanswered))

    def failed(self, step: Step, error: str) -> Applied | None:
        if step.aside:
            self.beside, self.beside_error = step, error
            return None
        return Applied(self.ended(failed=step, error=error))

    def ended(self, **how: Any) -> Outcome:
        """The outcome of a run that ends before its last step."""
        return Outcome(
            answers=self.answers,
            deferred=self.deferred,
            beside=self.beside,
            beside_error=self.beside_error,
            **how,
        )

    def outcome(self) -> Outcome:
        """The outcome of a run that came to its end."""
        made = Outcome(answers=self.answers, deferred=self.deferred)
        if self.beside is not None:
            return replace(made, failed=self.beside, error=self.beside_error)
        if self.unknown:
            return replace(made, retry=True, error=self.unknown)
        return replace(made, roll=self.roll)


class Applier:
    """Sends writes for services; one instance a process."""

    def __init__(
        self,
        client: Client,
        *,
        recorder: Recorder,
        expectations: Expectations,
        own_writes: OwnWrites,
        pacer: PoolPacer,
        rolls: RollPacer,
        live: LiveReads,
        signer: Signer,
        observer: ApplyObserver,
    ) -> None:
        self._client = client
        self._recorder = recorder
        self._expectations = expectations
        self._own_writes = own_writes
        self._pacer = pacer
        self._rolls = rolls
        self._live = live
        self._signer = signer
        self._observer = observer
        self._same: dict[ObjectRef, tuple[bytes, bytes]] = {}

    async def run(self, plan: Plan) -> Applied:
        """Writes until done or the first failure. Raises nothing that the API server can cause."""
        run = _Run(plan, sum(write.paced for step in plan.steps for write in step.writes))
        if not run.paced:
            self._pacer.settled(key_of(plan.service))
        for step in plan.steps:
            if step.aside and run.beside is not None:
                continue
            ended = run.unanswered(step) if step.unanswered else await self._do(run, step)
            if ended is not None:
                return ended
        return Applied(run.outcome())

    async def _do(self, run: _Run, step: Step) -> Applied | None:
        """Writes one step; answers what the run came to where it ends here."""
        for write in step.writes:
            if not self._may_go(run, write):
                continue
            try:
                await self._send(run.plan, write, run.answers)
            except (_Stale, Conflict) as error:
                stale = isinstance(error, _Stale)
                outcome = run.ended(retry=True, error=f"{write.error}{error}", blocked=step)
                return Applied(outcome, replan=stale, conflict=not stale)
            except (KubeError, SigningError, _Unconfirmed) as failed:
                cause = failed.error if isinstance(failed, _Unconfirmed) else failed
                if asked := asked_to_wait(cause):
                    # Nothing was done, and nothing is wrong with this service.
                    log.info("the API server asks to wait", write=str(write.ref), seconds=asked)
                    run.deferred = max(run.deferred or 0.0, asked)
                    return Applied(run.ended(blocked=step))
                if write.best_effort:
                    log.warning("write left out", write=str(write.ref), error=str(cause))
                    continue
                words = write.error
                if isinstance(failed, _Unconfirmed):
                    words = words.replace("failed to update ", "failed to get defaults for ")
                return run.failed(step, f"{words}{cause}")
        return run.failed(step, step.error) if step.error else None

    def _may_go(self, run: _Run, write: Write) -> bool:
        """Whether it is the turn of a write; noted where it is not."""
        if write.rolls and (wait := self._rolls.admit(write.ref)) > 0:
            run.roll = wait if run.roll is None else min(run.roll, wait)
            self._observer.deferred(write, wait)
            return False
        if not write.paced:
            return True
        service = key_of(run.plan.service)
        wait = run.deferred if run.deferred is not None else self._pacer.admit(service, run.paced)
        if wait > 0:
            run.deferred = wait
            self._observer.deferred(write, wait)
            return False
        run.paced -= 1
        return True

    async def write_status(self, service: Object, status: Object) -> Object | None:
        """Replaces the status; on conflict onto the live object, not the cache's. None when the service is gone."""
        owner = key_of(service)
        ref = ObjectRef(kinds.SERVICE, *owner)
        body = dict(service)
        for attempt in range(STATUS_ATTEMPTS):
            request = self._client.update(kinds.SERVICE, {**body, "status": status}, subresource="status")
            # After a conflict the answer carries somebody's change that no plan has seen: should a list be what shows it
            # first, it must wake the service.
            base = resource_version_of(body) if attempt == 0 else None
            try:
                answer = await self._answered(owner, ref, base, request)
            except NotFound:
                return None
            except Conflict:
                if attempt == STATUS_ATTEMPTS - 1:
                    raise
                try:
                    live = await self._client.get(kinds.SERVICE, *owner)
                except NotFound:
                    return None
                if uid_of(live) != uid_of(service):
                    return None
                body = live
                continue
            self._expect(owner, ref, answer)
            return answer
        return None

    def gone(self, ref: ObjectRef) -> None:
        """Drops what is remembered of an object that is gone, whoever deleted it."""
        self._same.pop(ref, None)
        self._rolls.forget(ref)

    async def _send(self, plan: Plan, write: Write, answers: dict[ObjectRef, Object | None]) -> None:
        owner = key_of(plan.service)
        match write.verb:
            case Verb.CREATE:
                answer = await self._create(owner, write)
            case Verb.UPDATE:
                try:
                    answer = await self._update(owner, write)
                except Conflict:
                    # Where no watch shows the object (it lost our label), the next plan must not be made of the same read.
                    self._live.forget(write.ref)
                    raise
            case Verb.PATCH:
                answer = await self._patch(owner, write)
            case Verb.DELETE:
                if not await self._delete(owner, write):
                    answers[write.ref] = None
                    return
                answer = None
        if answer is None and write.verb is not Verb.DELETE:
            return
        answers[write.ref] = answer
        self._live.forget(write.ref)
        if answer is not None and not write.releases:
            self._expect(owner, write.ref, answer)
        if write.paced:
            self._pacer.created(owner)
        self._observer.written(write)
        log.info("written", verb=write.verb.value, kind=write.kind.kind, object=str(write.ref.key))
        self._announce(plan, write)

    async def _answered(
        self, owner: ObjectKey, ref: ObjectRef, base: str | None, request: Awaitable[dict[str, Any]]
    ) -> dict[str, Any]:
        """The answer to a write of the owner's reconcile, whose echo then does not wake the owner.

        `base`: the version that the write is made for and refused without, empty for a creation; None when the answer may
        hold what no plan has seen. An answer of that very version is no write: it makes no event.
        """
        with self._own_writes.writing(ref, owner) as write:
            answer = await request
            version = resource_version_of(answer)
            if base is not None and version != base and ref.kind not in _UNWATCHED:
                write.made(version)
        return answer

    async def _create(self, owner: ObjectKey, write: Write) -> Object | None:
        body = await self._signed(write)
        try:
            return await self._answered(
                owner, write.ref, "", self._client.create(write.kind, write.namespace, body)
            )
        except AlreadyExists as error:
            if write.exists_is_fine:
                return None
            # Something stands there that the watch does not show (yet, or ever: it may lack our label). The next round
            # plans with the object itself, and says whose it is.
            await self._live.fetch([write.ref])
            if isinstance(self._live.get(write.ref), Present):
                raise _Stale(str(error)) from error
            raise

    async def _update(self, owner: ObjectKey, write: Write) -> Object | None:
        body = await self._signed(write)
        live = write.live or {}
        fingerprint = (_digest(body), _digest(live))
        if self._same.get(write.ref) == fingerprint:
            self._observer.avoided(write)
            return None
        if write.confirm and not write.scales:
            try:
                answer = await self._client.update(write.kind, body, dry_run=True)
            except (Conflict, NotFound):
                raise
            except KubeError as error:
                raise _Unconfirmed(error) from error
            body, foreseen = pod_form.confirmed(body, answer)
            if _significant(foreseen) == _significant(live):
                self._same[write.ref] = fingerprint
                self._observer.avoided(write)
                return None
        try:
            answer = await self._answered(
                owner, write.ref, _guard(body), self._client.update(write.kind, body)
            )
        except NotFound as error:
            self._live.remember(write.ref, Absent())
            raise _Stale(str(error)) from error
        except Conflict:
            raise
        except KubeError as error:
            if write.scales:
                raise _Unconfirmed(error) from error
            raise
        if resource_version_of(answer) == resource_version_of(live):
            # The API server dropped all that differs, as it does with fields its CRD does not know: no write, no event.
            self._same[write.ref] = fingerprint
            return None
        return answer

    async def _patch(self, owner: ObjectKey, write: Write) -> Object | None:
        body = write.body or {}
        try:
            answer: Object | None = await self._patched(owner, write, body, old=write.through_old)
        except NotFound:
            if not write.releases:
                raise
            answer = None
        except Invalid:
            if not write.releases:
                raise
            # Something is stored that the schema refuses of any write (`plan/mending.py`): nobody else could let it go.
            answer = await self._patched(owner, write, body, old=True)
        if write.releases:
            self._expect_release(owner, write, answer)
        return answer

    async def _patched(self, owner: ObjectKey, write: Write, body: Object, *, old: bool) -> Object:
        kind = kinds.SERVICE_V1ALPHA1 if old else write.kind
        request = self._client.patch(kind, write.namespace, write.name, body)
        answer = await self._answered(owner, write.ref, _guard(body), request)
        return up(answer) if old else answer

    def _expect_release(self, owner: ObjectKey, write: Write, answer: Object | None) -> None:
        """The answer to the last finalizer's removal has the version from before: it says nothing about the caches."""
        if answer is not None and mapping(answer, "metadata").get("finalizers"):
            self._expect(owner, write.ref, answer)
        else:
            uid = uid_of(write.live or {})
            self._expectations.released(write.kind, write.ref.key, uid, owner=owner)

    async def _delete(self, owner: ObjectKey, write: Write) -> bool:
        live = write.live or {}
        try:
            await self._client.delete(write.kind, write.namespace, write.name, uid=uid_of(live))
        except NotFound:
            return False
        self._expectations.deleted(write.kind, write.ref.key, uid_of(live), owner=owner)
        return True

    async def _signed(self, write: Write) -> Object:
        body = write.body or {}
        if write.sign is None:
            return body
        return {**body, "data": {**mapping(body, "data"), **await self._signer(write.sign)}}

    def _expect(self, owner: ObjectKey, ref: ObjectRef, answer: Object) -> None:
        if ref.kind not in _UNWATCHED:
            self._expectations.wrote(
                ref.kind, ref.key, uid_of(answer), resource_version_of(answer), owner=owner
            )

    def _announce(self, plan: Plan, write: Write) -> None:
        if write.event:
            self._recorder.event(regarding(plan.service), "Normal", write.event.split(" ", 1)[0], write.event)
        if write.announce is not None:
            self._recorder.event(regarding(plan.service), "Normal", *write.announce)
        for reason, message in write.warnings:
            self._recorder.event(regarding(plan.service), "Warning", reason, message)
            log.warning("written with a warning", object=str(write.ref.key), reason=reason, problem=message)


class _Stale(Exception):
    """What we planned on is out of date; plan again."""


class _Unconfirmed(Exception):
    """The dry run of an update failed: KServe has words of its own for that (CHILD-2)."""

    def __init__(self, error: KubeError) -> None:
        super().__init__(str(error))
        self.error = error


def _guard(body: Object) -> str | None:
    """The version without which the write is refused; None for a write onto whatever is there."""
    return resource_version_of(body) or None


def _significant(obj: Object) -> dict[str, Any]:
    """The object without what changes by itself: status and the server's bookkeeping."""
    metadata = {name: value for name, value in mapping(obj, "metadata").items() if name not in _VOLATILE}
    return {
        **{name: value for name, value in obj.items() if name not in ("status", "metadata")},
        "metadata": metadata,
    }


def _digest(obj: Object) -> bytes:
    return sha256(msgspec.json.encode(_significant(obj), order="deterministic")).digest()
