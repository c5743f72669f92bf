"""Single reads of objects that nobody watches: users' Secrets, ServiceAccounts and ConfigMaps, and name clashes.

A plan that needs one says "unknown" for it first; the reconciler fetches what was asked for and plans again. Answers
are kept for a short while and shared between services, so a fleet that names one secret costs one read per period. Whoever
changes a service may have changed what it names just before: its next run takes no answer that is older than the change.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from aioctl.api.kinds import ObjectRef
from aioctl.api.objects import Object, resource_version_of
from aioctl.engine.clock import Clock
from aioctl.kube.client import Client
from aioctl.kube.errors import KubeError, NotFound
from aioctl.plan.observation import Absent, Present, Read, Unknown

FRESH_PRESENT: Final = 30.0
FRESH_ABSENT: Final = 5.0
"""Seconds an answer is used. Short for absent ones: a user who adds the missing secret should not wait."""
_MOST: Final = 4096
MOST_BYTES: Final = 32 * 1024 * 1024
"""JSON of all answers that are kept for a next time: 32 of the largest secrets. What a plan is waiting for is kept anyway."""
_NAME: Final = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._:@-]+")
"""What can be a name in a URL path. Names come from users: one with a slash would lead to the objects of others."""


@dataclass(frozen=True, slots=True)
class _Answer:
    read: Read
    asked: float
    until: float
    bytes: int


class LiveReads:
    """Answers of GETs, each with its time of expiry."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._answers: dict[ObjectRef, _Answer] = {}
        self._bytes = 0
        self._sweep_at = 0.0

    def get(self, ref: ObjectRef, since: float = 0.0) -> Read | None:
        """The fresh answer, or None when the object has to be fetched. `since`: when it may have been asked for, at the earliest."""
        answer = self._answers.get(ref)
        if answer is None or answer.asked < since or answer.until <= self._clock.monotonic():
            return None
        return answer.read

    def is_current(self, ref: ObjectRef, version: str) -> bool:
        """Whether what is kept of the object is that version; an empty one: that it is not there."""
        answer = self._answers.get(ref)
        if answer is None:
            return False
        if isinstance(answer.read, Present):
            return resource_version_of(answer.read.obj) == version
        return isinstance(answer.read, Absent) and not version

    async def fetch(self, refs: Iterable[ObjectRef]) -> None:
        """Reads each object; a failed read is kept as unknown with the API server's text."""
        asked = sorted(refs, key=str)
        for ref in asked:
            now = self._clock.monotonic()
            self.remember(ref, await self._read(ref), now)
        self._lighten(frozenset(asked))

    def remember(self, ref: ObjectRef, read: Read, asked: float | None = None) -> None:
        """Keeps an answer, also one that came another way, such as the object in whose way a create ran. `asked`: when; now if None."""
        now = self._clock.monotonic()
        if len(self._answers) >= _MOST or now >= self._sweep_at:
            self._expire(now)
            self._sweep_at = now + FRESH_PRESENT
        seconds = FRESH_PRESENT if isinstance(read, Present) else FRESH_ABSENT
        self.forget(ref)
        size = len(msgspec.json.encode(read.obj)) if isinstance(read, Present) else 0
        self._answers[ref] = _Answer(read, now if asked is None else asked, now + seconds, size)
        self._bytes += size

    def forget(self, ref: ObjectRef) -> None:
        """Drops an answer that is known to be out of date."""
        answer = self._answers.pop(ref, None)
        self._bytes -= answer.bytes if answer is not None else 0

    def _lighten(self, awaited: frozenset[ObjectRef]) -> None:
        """Drops the oldest answers, but for those that a plan is about to use, until the rest is light enough."""
        for ref in [ref for ref in self._answers if ref not in awaited]:
            if self._bytes <= MOST_BYTES:
                return
            self.forget(ref)

    async def _read(self, ref: ObjectRef) -> Read:
        if not _NAME.fullmatch(ref.name):
            return Absent()
        try:
            found: Object = await self._client.get(ref.kind, ref.namespace, ref.name)
        except NotFound:
            return Absent()
        except KubeError as error:
            return Unknown(str(error))
        return Present(found)

    def _expire(self, now: float) -> None:
        """Drops what nobody may use any more: the secrets of users have no business here."""
        for ref in [ref for ref, answer in self._answers.items() if answer.until <= now]:
            self.forget(ref)
        while len(self._answers) >= _MOST:
            self.forget(next(iter(self._answers)))
