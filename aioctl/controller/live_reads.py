"""Single reads of objects that nobody watches: users' Secrets, ServiceAccounts and ConfigMaps, and name clashes.

A plan that needs one answers "unknown" for it first; the reconciler fetches what was asked for and plans again. Answers
are kept for a short while and shared between services, so a fleet that names one secret costs one read per period.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from aioctl.api.kinds import ObjectRef
from aioctl.api.objects import Object
from aioctl.engine.clock import Clock
from aioctl.kube.client import Client
from aioctl.kube.errors import KubeError, NotFound
from aioctl.plan.model import Absent, Present, Read, Unknown

FRESH_PRESENT = 30.0
FRESH_ABSENT = 5.0
"""Seconds an answer is used. Short for absent ones: a user who adds the missing secret should not wait."""
_MOST = 4096
_NAME = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._:@-]+")
"""What can be a name in a URL path. Names come from users: one with a slash would lead to the objects of others."""


@dataclass(frozen=True, slots=True)
class _Answer:
    read: Read
    until: float


class LiveReads:
    """Answers of GETs, each with its time of expiry."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._answers: dict[ObjectRef, _Answer] = {}
        self._sweep_at = 0.0

    def get(self, ref: ObjectRef) -> Read | None:
        """The fresh answer, or None when the object has to be fetched."""
        answer = self._answers.get(ref)
        if answer is None or answer.until <= self._clock.monotonic():
            return None
        return answer.read

    async def fetch(self, refs: Iterable[ObjectRef]) -> None:
        """Reads each object; a failed read is kept as unknown with the API server's text."""
        for ref in sorted(refs, key=str):
            self.remember(ref, await self._read(ref))

    def remember(self, ref: ObjectRef, read: Read) -> None:
        """Keeps an answer that came another way, such as the object in whose way a create ran."""
        now = self._clock.monotonic()
        if len(self._answers) >= _MOST or now >= self._sweep_at:
            self._expire(now)
            self._sweep_at = now + FRESH_PRESENT
        seconds = FRESH_PRESENT if isinstance(read, Present) else FRESH_ABSENT
        self._answers[ref] = _Answer(read, now + seconds)

    def forget(self, ref: ObjectRef) -> None:
        """Drops an answer that is known to be out of date."""
        self._answers.pop(ref, None)

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
        self._answers = {ref: answer for ref, answer in self._answers.items() if answer.until > now}
        while len(self._answers) >= _MOST:
            self._answers.pop(next(iter(self._answers)))
