"""Rewrites stored objects in the storage version, so that old versions can one day go (STORE-1).

For each of our CRDs whose `status.storedVersions` is not exactly its storage version: list the objects, send each an empty
merge patch (the API server decodes, converts, admits and stores it anew), then trim `storedVersions`, guarded by the
resourceVersion the CRD had before the list. Runs under the leader lease only.

Paced; a conflict means that somebody else rewrote the object, not-found that it is gone. An object that admission refuses
is named and keeps `storedVersions` from being trimmed, but stops no other. Whatever is left is tried again with growing
waits up to `LONGEST_WAIT`; what this process has rewritten is not rewritten again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

import anyio
import msgspec
import structlog

from aioctl.api.kinds import CRD, Kind, ObjectKey
from aioctl.api.objects import FieldError, resource_version_of, sequence, text
from aioctl.engine.limits import Backoff
from aioctl.kube.cached import Cached
from aioctl.kube.client import Client, Limiter
from aioctl.kube.errors import ApiError, Conflict, KubeError, NotFound, ServerUnavailable, TooManyRequests

FIRST_WAIT: Final = 2.0
LONGEST_WAIT: Final = 300.0
GIVE_UP: Final = 5
"""Objects in a row that fail for reasons of the server, after which the attempt ends."""
NAMED: Final = 20
"""Refused objects named in the log per attempt."""
_REPORT: Final = 100

log = structlog.get_logger(__name__)


class Rewrite(Enum):
    """What became of one object."""

    MIGRATED = "migrated"
    GONE = "gone"
    CONFLICT = "conflict"
    """Somebody else wrote it at the same moment, and so migrated it."""
    REFUSED = "refused"
    """Admission or validation does not accept the object as it is."""
    FAILED = "failed"
    """The server failed; it is tried again."""


class StorageMigrationObserver:
    """Hook for metrics."""

    def rewrite(self, kind: Kind, result: Rewrite) -> None:
        """One object was dealt with."""

    def remaining(self, kind: Kind, objects: int) -> None:
        """Objects still to be dealt with in this attempt; 0 at its end when all went well."""


class MigrationIncomplete(Exception):
    """An attempt could not finish; the text says for which CRD, why, and names a refused object."""

    def __init__(self, text: str, left: Sequence[tuple[ObjectKey, KubeError]] = ()) -> None:
        """`left`: every object that was refused or failed, and why."""
        super().__init__(text)
        self.left = tuple(left)


@dataclass
class _Done:
    """What this process has rewritten, by the version it was rewritten to."""

    version: str = ""
    uids: set[str] = field(default_factory=set)


async def migrate_storage(
    client: Client,
    kinds: Sequence[Kind],
    *,
    pace: Limiter,
    observer: StorageMigrationObserver | None = None,
    first_wait: float = FIRST_WAIT,
    longest_wait: float = LONGEST_WAIT,
) -> None:
    """Returns when every kind's CRD holds only its storage version; until then tries again, for ever.

    `kinds` gives group and plural, any version. `pace` is passed before every write. Waits are in seconds.
    """
    waits: Backoff[Kind] = Backoff(base=first_wait, cap=longest_wait)
    done = {kind: _Done() for kind in kinds}
    left = list(kinds)
    while left:
        for kind in tuple(left):
            try:
                await _Attempt(client, kind, pace, observer or StorageMigrationObserver(), done[kind]).run()
            except (KubeError, MigrationIncomplete, FieldError) as error:
                log.warning("storage migration incomplete", crd=kind.resource, error=str(error))
            else:
                left.remove(kind)
        if left:
            await anyio.sleep(max(waits.next(kind) for kind in left))


async def migrate_once(
    client: Client, kind: Kind, *, pace: Limiter, observer: StorageMigrationObserver | None = None
) -> None:
    """One attempt at one CRD; what was rewritten before is rewritten again, which changes nothing.

    Raises KubeError, MigrationIncomplete, or FieldError for a CRD that makes no sense.
    """
    await _Attempt(client, kind, pace, observer or StorageMigrationObserver(), _Done()).run()


class _Attempt:
    """One pass over one CRD."""

    def __init__(
        self, client: Client, kind: Kind, pace: Limiter, observer: StorageMigrationObserver, done: _Done
    ) -> None:
        self._client = client
        self._kind = kind
        self._pace = pace
        self._observer = observer
        self._done = done
        self._refused: list[tuple[ObjectKey, KubeError]] = []
        self._failed: list[tuple[ObjectKey, KubeError]] = []
        self._failures_in_a_row = 0

    async def run(self) -> None:
        """Raises KubeError, MigrationIncomplete, or FieldError for a CRD that makes no sense."""
        crd = await self._client.get(CRD, "", self._kind.resource)
        version = _storage_version(crd, self._kind)
        if list(sequence(crd, "status", "storedVersions")) == [version]:
            self._observer.remaining(self._kind, 0)
            return
        if self._done.version != version:
            self._done.version, self._done.uids = version, set()
        kind = self._kind._replace(version=version)
        todo = [item for item in await self._list(kind) if item.uid not in self._done.uids]
        log.info("storage migration", crd=kind.resource, version=version, objects=len(todo))
        for number, item in enumerate(todo):
            self._observer.remaining(self._kind, len(todo) - number)
            if number and number % _REPORT == 0:
                log.info("storage migration goes on", crd=kind.resource, rewritten=number, objects=len(todo))
            await self._rewrite(kind, item)
        self._raise_if_incomplete()
        await self._trim(crd, version)
        self._observer.remaining(self._kind, 0)
        log.info("storage migration done", crd=kind.resource, version=version, objects=len(todo))

    async def _list(self, kind: Kind) -> list[Cached]:
        """All objects, as metadata: the list must be read at once, its continuation lives for five minutes only."""
        found: list[Cached] = []
        async for page in self._client.list_pages(kind, metadata_only=True):
            try:
                found += [Cached.from_raw(raw, kind) for raw in page.items]
            except msgspec.MsgspecError as error:
                raise MigrationIncomplete(
                    f"{kind.resource}: unreadable object in the list: {error}"
                ) from error
        return found

    async def _rewrite(self, kind: Kind, item: Cached) -> None:
        await self._pace.acquire()
        try:
            await self._client.patch(kind, item.key.namespace, item.key.name, {})
        except NotFound as error:
            # Admission refuses with the 404 of what it misses itself (ADM-5).
            if error.details.get("kind", kind.plural) == kind.plural:
                self._note(item, Rewrite.GONE)
            else:
                self._refuse(item, error)
        except Conflict:
            self._note(item, Rewrite.CONFLICT)
        except (ServerUnavailable, TooManyRequests) as error:
            self._fail(item, error)
        except ApiError as error:
            self._refuse(item, error)
        except KubeError as error:
            self._fail(item, error)
        else:
            self._note(item, Rewrite.MIGRATED)

    def _note(self, item: Cached, result: Rewrite) -> None:
        self._failures_in_a_row = 0
        if result is not Rewrite.REFUSED:
            self._done.uids.add(item.uid)
        self._observer.rewrite(self._kind, result)

    def _refuse(self, item: Cached, error: ApiError) -> None:
        self._refused.append((item.key, error))
        self._note(item, Rewrite.REFUSED)
        if len(self._refused) <= NAMED:
            log.warning(
                "object refused by admission",
                crd=self._kind.resource,
                object=str(item.key),
                error=str(error),
            )

    def _fail(self, item: Cached, error: KubeError) -> None:
        self._failed.append((item.key, error))
        self._observer.rewrite(self._kind, Rewrite.FAILED)
        self._failures_in_a_row += 1
        if self._failures_in_a_row >= GIVE_UP:
            self._raise_if_incomplete()

    def _raise_if_incomplete(self) -> None:
        left = self._refused + self._failed
        if not left:
            return
        key, error = left[0]
        raise MigrationIncomplete(
            f"{len(self._refused)} refused and {len(self._failed)} failed, first: {key}: {error}", left
        )

    async def _trim(self, crd: dict[str, Any], version: str) -> None:
        """Says that only the storage version is stored. Raises Conflict when the CRD is not the one we started from."""
        body = {
            "metadata": {"resourceVersion": resource_version_of(crd)},
            "status": {"storedVersions": [version]},
        }
        await self._client.patch(CRD, "", self._kind.resource, body, subresource="status")


def _storage_version(crd: dict[str, Any], kind: Kind) -> str:
    for version in sequence(crd, "spec", "versions"):
        if isinstance(version, dict) and version.get("storage") is True:
            return text(version, "name")
    raise FieldError("spec.versions", f"no storage version in CustomResourceDefinition {kind.resource}")
