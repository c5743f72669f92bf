"""`aioctl storage`: in which versions objects are stored, who still uses v1alpha1, and the migration of what is stored.

The migration is the controller's (`upkeep/storage_migration.py`), run by whoever calls: each object gets an empty merge patch. It
keeps nothing of its own, so a kill after any write loses nothing: the next run begins anew and comes to the same end.
"""

import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from aioctl.api import kinds
from aioctl.api.kinds import Kind, ObjectKey
from aioctl.api.objects import FieldError, Object, annotations_of, dig, key_of, sequence
from aioctl.engine.clock import Clock
from aioctl.engine.limits import TokenBucket
from aioctl.kube.errors import KubeError, NotFound
from aioctl.tools.checks.schemas import LAST_APPLIED
from aioctl.tools.connect import Connection, explain
from aioctl.tools.installation import versions
from aioctl.tools.writing import Told
from aioctl.upkeep.storage_migration import (
    MigrationIncomplete,
    Rewrite,
    StorageMigrationObserver,
    migrate_once,
)

BOTH: Final = (kinds.SERVICE, kinds.CONFIG)
OLD: Final = "v1alpha1"
_decoder: Final = msgspec.json.Decoder(dict[str, Any])
APPLY: Final = "kubectl apply"
_SERIES: Final = re.compile(r"apiserver_(request_total|requested_deprecated_apis)\{([^}]*)\} ([0-9.e+]+)")
_LABEL: Final = re.compile(r'(\w+)="([^"]*)"')
"""Metrics of kube-apiserver: requests by verb, group, version and resource since that process started."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One CRD. `versions`: in which objects may be stored; `objects` None: they could not be listed."""

    resource: str
    storage: str
    versions: tuple[str, ...]
    objects: int | None

    @property
    def done(self) -> bool:
        return self.versions == (self.storage,)


@dataclass(frozen=True, slots=True)
class Writer:
    """A client that last wrote some objects in v1alpha1. `last`: when, RFC 3339; `example`: one of the objects."""

    manager: str
    resource: str
    objects: int
    last: str
    example: ObjectKey


@dataclass(frozen=True, slots=True)
class Requests:
    """Calls in v1alpha1, reads among them, counted by the API server that answered."""

    resource: str
    verb: str
    count: int


@dataclass(frozen=True, slots=True)
class Status:
    """What was found. `unread`: sentences about what could not be."""

    crds: tuple[Stored, ...] = ()
    writers: tuple[Writer, ...] = ()
    requests: tuple[Requests, ...] = ()
    unread: tuple[str, ...] = ()

    @property
    def done(self) -> bool:
        """Nothing is stored in an old version, as far as that could be read."""
        return bool(self.crds) and all(one.done for one in self.crds)


async def read_status(connection: Connection) -> Status:
    """Reads everything; what may not be read is told."""
    unread: list[str] = []
    crds: list[Stored] = []
    writers: list[Writer] = []
    for kind in BOTH:
        try:
            crd = await connection.client.get(kinds.CRD, "", kind.resource)
        except NotFound:
            unread.append(f"CRD {kind.resource} is not installed")
            continue
        except KubeError as error:
            unread.append(explain(error, "get", kinds.CRD, "", connection.server))
            continue
        objects = await _objects(connection, kind, unread)
        _, storage = versions(crd)
        held = tuple(str(one) for one in sequence(crd, "status", "storedVersions"))
        crds.append(Stored(kind.resource, storage, held, None if objects is None else len(objects)))
        writers += writers_of(kind, objects or ())
    requests = await _requests(connection, unread)
    return Status(tuple(crds), tuple(writers), requests, tuple(unread))


async def _objects(connection: Connection, kind: Kind, unread: list[str]) -> list[Object] | None:
    try:
        return [
            _decoder.decode(raw)
            async for page in connection.client.list_pages(kind, metadata_only=True)
            for raw in page.items
        ]
    except KubeError as error:
        unread.append(explain(error, "list", kind, "", connection.server))
        return None


def writers_of(kind: Kind, objects: Sequence[Object]) -> list[Writer]:
    """Who wrote in v1alpha1: each manager of metadata.managedFields with the objects whose last write of its was in v1alpha1.

    Beside it what client-side `kubectl apply` leaves, the object as it was given: the API server drops managedFields where
    it cannot keep them up, and this annotation stays.
    """
    found: dict[str, list[tuple[str, ObjectKey]]] = {}
    for obj in objects:
        applied = annotations_of(obj).get(LAST_APPLIED)
        if isinstance(applied, str) and f'"apiVersion":"{kinds.V1ALPHA1}"' in applied:
            found.setdefault(APPLY, []).append(("", key_of(obj)))
        for entry in sequence(obj, "metadata", "managedFields"):
            if dig(entry, "apiVersion") == kinds.V1ALPHA1:
                at = (str(dig(entry, "time") or ""), key_of(obj))
                found.setdefault(str(dig(entry, "manager") or "unknown"), []).append(at)
    return [
        Writer(manager, kind.resource, len({key for _, key in writes}), *max(writes))
        for manager, writes in sorted(found.items())
    ]


async def _requests(connection: Connection, unread: list[str]) -> tuple[Requests, ...]:
    try:
        text = (await connection.client.get_raw("/metrics", accept="text/plain")).decode(errors="replace")
    except KubeError as error:
        unread.append(f"requests in {OLD}: the API server's /metrics cannot be read: {error}")
        return ()
    return requests_of(text)


def requests_of(text: str) -> tuple[Requests, ...]:
    """The calls of our kinds in v1alpha1, by resource and verb, in the metrics page of kube-apiserver."""
    found: Counter[tuple[str, str]] = Counter()
    deprecated: set[str] = set()
    for line in text.splitlines():
        match = _SERIES.match(line) if kinds.GROUP in line and OLD in line else None
        labels = dict(_LABEL.findall(match[2])) if match else {}
        if match is None or not _is_ours(labels):
            continue
        if match[1] == "request_total":
            found[labels["resource"], labels.get("verb", "")] += int(float(match[3]))
        elif float(match[3]):
            deprecated.add(labels["resource"])
    # The gauge of deprecated APIs counts nothing: it says that there was a call.
    found.update((resource, "any verb") for resource in deprecated - {resource for resource, _ in found})
    return tuple(Requests(*key, count) for key, count in sorted(found.items()) if count)


def _is_ours(labels: Mapping[str, str]) -> bool:
    ours = {kind.plural for kind in BOTH}
    return (
        labels.get("group") == kinds.GROUP and labels.get("version") == OLD and labels.get("resource") in ours
    )


@dataclass
class _Counts(StorageMigrationObserver):
    """What became of the objects of one CRD."""

    results: Counter[Rewrite] = field(default_factory=Counter)

    def rewrite(self, kind: Kind, result: Rewrite) -> None:
        self.results[result] += 1


async def migrate(connection: Connection, *, rate: float, clock: Clock) -> AsyncIterator[Told]:
    """Rewrites what is stored, one CRD after the other, at most `rate` objects a second; tells what became of each CRD."""
    pace = TokenBucket(rate, 1, clock)
    for kind in BOTH:
        where = ObjectKey("CRD", kind.resource)
        counts = _Counts()
        try:
            await migrate_once(connection.client, kind, pace=pace, observer=counts)
        except MigrationIncomplete as error:
            for key, why in error.left:
                yield Told(key, f"is stored in an old version and cannot be rewritten: {why}", failed=True)
            yield Told(where, f"is not migrated: {error}; correct the objects and run it again", failed=True)
        except KubeError as error:
            said = explain(error, "patch", kind, "", connection.server)
            yield Told(where, f"is not migrated: {said}", failed=True)
        except FieldError as error:
            yield Told(where, f"is not migrated: {error}", failed=True)
        else:
            yield Told(where, _done(counts.results))


def _done(results: Counter[Rewrite]) -> str:
    if not results:
        return "stores everything in its storage version, nothing to do"
    gone = results[Rewrite.GONE]
    also = f", {gone} were deleted meanwhile" if gone else ""
    count = results.total() - gone
    return f"is migrated: {count} {'object was' if count == 1 else 'objects were'} rewritten{also}"
